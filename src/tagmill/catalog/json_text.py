"""Arrow batches as JSON Lines, by kernels without the GIL.

Python's way makes an object of every value first: of ten tags with evidence that takes longer than
finding them. Here each array becomes the JSON text of each of its values, those of a struct or a
list out of those of their parts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.kernels import kernel, string_buffers

__all__ = ["json_lines"]

# The text of value i is the bytes offsets[i] to offsets[i + 1] of the first array.
_Written: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]

_NULL, _SIZE_OF_NULL = np.frombuffer(b"null", np.uint8), 4
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_QUOTE, _BACKSLASH, _ZERO, _POINT, _MINUS = (ord(c) for c in '"\\0.-')
_DIGITS = 6  # of a number behind the point
# The letter of a two-character escape; 1: written \u00XX; 0: a byte that stands for itself.
_ESCAPES = np.zeros(256, np.uint8)
_ESCAPES[:0x20] = 1
for _byte, _letter in zip(b'"\\\b\f\n\r\t', b'"\\bfnrt', strict=True):
    _ESCAPES[_byte] = _letter


def json_lines(batch: pa.RecordBatch) -> bytes:
    """A line with an object for each row of a batch, as `json.dumps` writes it without blanks.

    Columns may be text, numbers, booleans, structs and lists of these. Numbers that are not whole
    have six digits behind the point at most, and must be below 10¹² in size.
    """
    written = [_write(column) for column in batch.columns]
    valid = np.ones(batch.num_rows, np.bool_)
    data, _ = _object(batch.schema.names, written, valid, b"}\n")
    return data.tobytes()


def _write(array: pa.Array) -> _Written:
    """The JSON text of each value."""
    kind = array.type
    valid = np.ones(len(array), np.bool_)
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        data, offsets = _quoted(*string_buffers(array), valid)
        return data, offsets
    if pa.types.is_boolean(kind):
        words = pa.array(["false", "true"])
        chosen = words.take(array.cast(pa.int8()))
        data, offsets = _copied(*string_buffers(chosen), valid)
        return data, offsets
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        digits = _DIGITS if pa.types.is_floating(kind) else 0
        numbers = array.cast(pa.float64() if digits else pa.int64()).fill_null(0).to_numpy()
        units = np.rint(numbers * 10**digits).astype(np.int64) if digits else numbers
        data, offsets = _numbers(units, digits, valid)
        return data, offsets
    if pa.types.is_struct(kind):
        parts = [_write(child) for child in array.flatten()]
        return _object([field.name for field in kind], parts, valid, b"}")
    if pa.types.is_list(kind):
        bounds = array.offsets.to_numpy()
        first, last = int(bounds[0]), int(bounds[-1])
        entries = _write(array.values.slice(first, last - first))
        data, offsets = _listed(*entries, bounds - first, valid)
        return data, offsets
    raise TypeError(f"A column of {kind} cannot be written as JSON")


def _object(
    names: Sequence[str], parts: Sequence[_Written], valid: npt.NDArray[np.bool_], close: bytes
) -> _Written:
    """An object of each row, of the texts of its fields."""
    keys = [f"{',' if i else '{'}{json.dumps(name)}:".encode() for i, name in enumerate(names)]
    pieces = np.frombuffer(b"".join([*keys, close]), np.uint8)
    bounds = np.cumsum([0, *map(len, keys), len(close)])
    starts = np.cumsum([0, *(len(data) for data, _ in parts)])
    texts = np.concatenate([data for data, _ in parts])
    places = np.stack([own + start for (_, own), start in zip(parts, starts[:-1], strict=True)])
    data, offsets = _objects(pieces, bounds, texts, places, valid)
    return data, offsets


@numba.njit(nogil=True)
def _copy(out, place, data, start, end):  # type: ignore[no-untyped-def]
    for i in range(start, end):
        out[place] = data[i]
        place += 1
    return place


@numba.njit(nogil=True)
def _room(sizes, valid):  # type: ignore[no-untyped-def]
    """Where each text begins, of so many bytes each, that of a null written as such."""
    offsets = np.zeros(len(sizes) + 1, np.int64)
    for i in range(len(sizes)):
        offsets[i + 1] = offsets[i] + (sizes[i] if valid[i] else _SIZE_OF_NULL)
    return offsets


@kernel
def _quoted(data, starts, ends, valid):  # type: ignore[no-untyped-def]
    sizes = np.empty(len(starts), np.int64)
    for i in range(len(starts)):
        sizes[i] = 2
        for j in range(starts[i], ends[i]):
            escape = _ESCAPES[data[j]]
            sizes[i] += 1 if escape == 0 else 6 if escape == 1 else 2
    offsets = _room(sizes, valid)
    out = np.empty(offsets[-1], np.uint8)
    for i in range(len(starts)):
        place = offsets[i]
        if not valid[i]:
            _copy(out, place, _NULL, 0, _SIZE_OF_NULL)
            continue
        out[place] = _QUOTE
        place += 1
        for j in range(starts[i], ends[i]):
            byte = data[j]
            escape = _ESCAPES[byte]
            if escape == 0:
                out[place] = byte
                place += 1
                continue
            out[place] = _BACKSLASH
            out[place + 1] = escape
            place += 2
            if escape == 1:
                out[place - 1] = ord("u")
                out[place] = out[place + 1] = _ZERO
                out[place + 2], out[place + 3] = _HEX[byte >> 4], _HEX[byte & 15]
                place += 4
        out[place] = _QUOTE
    return out, offsets


@kernel
def _copied(data, starts, ends, valid):  # type: ignore[no-untyped-def]
    """The texts as they are."""
    offsets = _room(ends - starts, valid)
    out = np.empty(offsets[-1], np.uint8)
    for i in range(len(starts)):
        if valid[i]:
            _copy(out, offsets[i], data, starts[i], ends[i])
        else:
            _copy(out, offsets[i], _NULL, 0, _SIZE_OF_NULL)
    return out, offsets


@kernel
def _numbers(units, digits, valid):  # type: ignore[no-untyped-def]
    """Whole numbers, the last `digits` of them behind a point: as few as tell it, but one."""
    room = np.empty(24, np.uint8)
    out = np.empty(24 * len(units) + _SIZE_OF_NULL, np.uint8)
    offsets = np.zeros(len(units) + 1, np.int64)
    for i in range(len(units)):
        place = offsets[i]
        if not valid[i]:
            offsets[i + 1] = _copy(out, place, _NULL, 0, _SIZE_OF_NULL)
            continue
        negative = units[i] < 0
        rest = np.uint64(-units[i]) if negative else np.uint64(units[i])
        behind, used = digits, 0
        while behind > 1 and rest % np.uint64(10) == 0:
            rest //= np.uint64(10)
            behind -= 1
        fewest = behind + 2 if digits > 0 else 1
        while rest > 0 or used < fewest:
            if used == behind and digits > 0:
                room[used] = _POINT
                used += 1
                continue
            room[used] = _ZERO + rest % np.uint64(10)
            rest //= np.uint64(10)
            used += 1
        if negative:
            room[used] = _MINUS
            used += 1
        for j in range(used):
            out[place + j] = room[used - 1 - j]
        offsets[i + 1] = place + used
    return out[: offsets[-1]].copy(), offsets


@kernel
def _objects(pieces, bounds, texts, places, valid):  # type: ignore[no-untyped-def]
    """Each row's fields with the piece before each, and the last piece behind them."""
    fields, rows = places.shape[0], places.shape[1] - 1
    sizes = np.full(rows, len(pieces), np.int64)
    for field in range(fields):
        for row in range(rows):
            sizes[row] += places[field, row + 1] - places[field, row]
    offsets = _room(sizes, valid)
    out = np.empty(offsets[-1], np.uint8)
    for row in range(rows):
        place = offsets[row]
        if not valid[row]:
            _copy(out, place, _NULL, 0, _SIZE_OF_NULL)
            continue
        for field in range(fields):
            place = _copy(out, place, pieces, bounds[field], bounds[field + 1])
            place = _copy(out, place, texts, places[field, row], places[field, row + 1])
        _copy(out, place, pieces, bounds[fields], bounds[fields + 1])
    return out, offsets


@kernel
def _listed(data, offsets, bounds, valid):  # type: ignore[no-untyped-def]
    """The entries bounds[i] to bounds[i + 1] of each row as a list."""
    rows = len(bounds) - 1
    sizes = np.empty(rows, np.int64)
    for row in range(rows):
        count = bounds[row + 1] - bounds[row]
        sizes[row] = offsets[bounds[row + 1]] - offsets[bounds[row]] + max(count - 1, 0) + 2
    starts = _room(sizes, valid)
    out = np.empty(starts[-1], np.uint8)
    for row in range(rows):
        place = starts[row]
        if not valid[row]:
            _copy(out, place, _NULL, 0, _SIZE_OF_NULL)
            continue
        out[place] = ord("[")
        place += 1
        for entry in range(bounds[row], bounds[row + 1]):
            if entry > bounds[row]:
                out[place] = ord(",")
                place += 1
            place = _copy(out, place, data, offsets[entry], offsets[entry + 1])
        out[place] = ord("]")
    return out, starts
