"""Kernels: functions that numba compiles once and keeps on disk.

numba's own cache watches only the file a kernel stands in, not the kernels it calls in others: an
upgrade could run old code. So the folder of the cache is named after all sources that hold kernels.
It lies beside them, in the user's cache where the installation cannot be written, or nowhere: then
kernels are compiled at every start, which takes a minute.
"""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["kernel", "string_buffers"]

_STRING = pa.string()
_config: Any = numba.config
_SOURCES = ("catalog", "tagging", "learning", "discover")  # folders of the package


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:  # noqa: ANN401
    """The function compiled by numba, without the GIL, kept on disk; `options` are numba's."""
    if function is None:
        return lambda other: kernel(other, **options)
    folder = _folder()
    if folder is None:
        return numba.njit(nogil=True, **options)(function)
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(folder)  # read when the function is decorated, never later
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    finally:
        _config.CACHE_DIR = before


@cache
def _folder() -> Path | None:
    """Where compiled kernels are kept; None where nothing can be written."""
    package = Path(__file__).parent
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(path for name in _SOURCES for path in (package / name).glob("*.py")):
        digest.update(source.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    if _config.CACHE_DIR:  # the user's own choice
        return Path(_config.CACHE_DIR) / name
    for parent in (Path(__file__).parent / "__pycache__", Path.home() / ".cache" / "tagmill"):
        try:
            (parent / name).mkdir(parents=True, exist_ok=True)
            (parent / name / "writable").touch()
        except OSError:
            continue
        for former in parent.glob("kernels-*"):
            if former.name != name:
                shutil.rmtree(former, ignore_errors=True)
        return parent / name
    warnings.warn(
        "tagmill cannot keep its compiled kernels: neither its installation nor "
        f"{Path.home() / '.cache'} can be written, so every start compiles them, which takes a "
        "minute. Set NUMBA_CACHE_DIR to a folder that can be written",
        stacklevel=2,
    )
    return None


def string_buffers(
    column: pa.Array,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Bytes and the byte range of each string; a null is an empty range."""
    if column.type != _STRING:
        column = column.cast(_STRING)
    buffers = column.buffers()
    size = len(column)
    if size == 0 or buffers[1] is None:
        return np.zeros(1, np.uint8), np.zeros(size, np.int64), np.zeros(size, np.int64)
    offsets = np.frombuffer(buffers[1], np.int32)[column.offset : column.offset + size + 1]
    data = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.zeros(1, np.uint8)
    starts = offsets[:-1].astype(np.int64)
    ends = offsets[1:].astype(np.int64)
    if column.null_count:
        ends = np.where(np.asarray(column.is_null()), starts, ends)
    return data if len(data) else np.zeros(1, np.uint8), starts, ends
