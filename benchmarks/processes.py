"""Commands on a chosen number of cores, with their wall time and peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TAGMILL = str(Path(sys.executable).with_name("tagmill"))
PYTHON = sys.executable


@dataclass(frozen=True)
class Finished:
    """What a command cost, and what it wrote to stdout."""

    seconds: float
    peak_mb: float
    output: str


def all_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))


def core_counts() -> list[int]:
    """One core, and two where there are two."""
    return list(range(1, min(all_cores(), 2) + 1))


def run_measured(
    command: Sequence[str], *, cores: int | None = None, folder: Path | None = None, **extra: str
) -> Finished:
    """Run a command to its end; `extra` are environment variables. Raises RuntimeError."""
    allowed = sorted(os.sched_getaffinity(0))[: cores or None]
    environment = {**os.environ, **extra}
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment[name] = str(len(allowed))
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    peak = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return Finished(seconds, peak, output)


def folder_mb(folder: Path) -> float:
    """Size of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
