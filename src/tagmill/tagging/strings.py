"""Strings of a batch for kernels: its texts as byte ranges, its attributes numbered by field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.kernels import kernel, string_buffers
from tagmill.tagging.features import _OFFSET, _PRIME, _mix

__all__ = ["AttributeFields", "Texts", "attribute_fields"]

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

_BLOCK = 64  # bytes


@dataclass(frozen=True, slots=True)
class Texts:
    """UTF-8 texts, each a byte range of `data`; a null is an empty one."""

    data: npt.NDArray[np.uint8]
    starts: Longs
    ends: Longs

    @staticmethod
    def of(columns: Sequence[pa.Array]) -> Texts:
        """The strings of several columns, one column after the other."""
        if len(columns) == 1:
            return Texts(*string_buffers(columns[0]))
        data, starts, ends, size = [], [], [], 0
        for column in columns:
            buffer, first, last = string_buffers(column)
            if len(first):
                part = buffer[first[0] : last[-1]]
                starts.append(first - (first[0] - size))
                ends.append(last - (first[0] - size))
                data.append(part)
                size += len(part)
        if not data:
            return Texts(np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64))
        return Texts(np.concatenate(data), np.concatenate(starts), np.concatenate(ends))

    def take(self, numbers: Ints) -> list[pa.StringArray]:
        """Columns of texts, by number, one for each row of `numbers` (columns, n).

        They share buffers: what Arrow's `take` does, all at once and at a fraction of its cost.
        """
        offsets, data = _take(self.data, self.starts, self.ends, numbers.ravel())
        buffers = pa.py_buffer(offsets), pa.py_buffer(data)
        count, size = numbers.shape
        return [
            pa.StringArray.from_buffers(size, *buffers, offset=column * size)
            for column in range(count)
        ]

    def cut(self, texts: Longs, starts: Ints, ends: Ints) -> pa.StringArray:
        """The characters `starts` to `ends` of some of the texts, by number; of −1 nothing."""
        offsets, data = _cut(self.data, self.starts, self.ends, texts, starts, ends)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.StringArray.from_buffers(len(texts), buffers[1], buffers[2])

    def hashes(self, texts: Ints, starts: Ints, ends: Ints) -> npt.NDArray[np.uint64]:
        """A hash of what `cut` gives, never 0."""
        hashes: npt.NDArray[np.uint64] = _hash_cut(
            self.data, self.starts, self.ends, texts, starts, ends
        )
        return hashes


@dataclass(frozen=True, slots=True)
class AttributeFields:
    """The attributes of a batch that have a value, in order: entries of its maps.

    A field is called `attributes.颜色`, and `attributes.颜色#2` where the name occurs again.
    """

    values: pa.Array  # of all entries
    entries: Longs  # (k,)
    rows: Ints  # (k,)
    names: Ints  # (k,) index into `dictionary`
    fields: Ints  # (k,) index into `labels`
    dictionary: list[str]
    labels: list[str]  # by first occurrence; no two are equal


def attribute_fields(column: pa.MapArray) -> AttributeFields | None:
    """The attributes of a batch; None where no product has any."""
    if column.null_count == len(column):
        return None
    offsets = np.asarray(column.offsets, np.int64)
    if column.null_count and np.diff(offsets)[np.asarray(column.is_null())].any():
        column = pa.array(column.to_pylist(), column.type)  # a null that hides entries
        offsets = np.asarray(column.offsets, np.int64)
    first, size = int(offsets[0]), int(offsets[-1] - offsets[0])
    values = column.items.slice(first, size)
    _, starts, ends = string_buffers(values)
    keys = column.keys.slice(first, size).dictionary_encode()
    dictionary = keys.dictionary.to_pylist()
    codes = np.asarray(keys.indices, np.int32)
    numbered = _number_fields(offsets - first, codes, ends > starts, len(dictionary))
    entries, rows, names, fields, label_names, occurrences = numbered
    labels: dict[str, int] = {}
    numbers = np.zeros(len(label_names), np.int32)
    for i, (name, count) in enumerate(zip(label_names.tolist(), occurrences.tolist(), strict=True)):
        label = f"attributes.{dictionary[name]}" + (f"#{count}" if count > 1 else "")
        numbers[i] = labels.setdefault(label, len(labels))
    return AttributeFields(values, entries, rows, names, numbers[fields], dictionary, list(labels))


@kernel
def _number_fields(offsets, codes, filled, size):  # type: ignore[no-untyped-def]
    """Entries with a value, with row, name and field; of each field name and occurrence."""
    count = len(codes)
    entries = np.empty(count, np.int64)
    rows = np.empty(count, np.int32)
    names = np.empty(count, np.int32)
    fields = np.empty(count, np.int32)
    label_names = np.empty(count, np.int32)
    occurrences = np.empty(count, np.int32)
    first = np.full(size, -1, np.int32)  # by name: its field
    again = np.full(count, -1, np.int32)  # by field: that of the name's next occurrence
    latest = np.full(size, -1, np.int32)  # by name: its last field in the row …
    seen = np.full(size, -1, np.int64)  # … that this is
    used, labels = 0, 0
    for row in range(len(offsets) - 1):
        for entry in range(offsets[row], offsets[row + 1]):
            if not filled[entry]:
                continue
            name = codes[entry]
            repeated = seen[name] == row
            label = again[latest[name]] if repeated else first[name]
            if label < 0:
                label = np.int32(labels)
                label_names[label] = name
                occurrences[label] = occurrences[latest[name]] + 1 if repeated else 1
                if repeated:
                    again[latest[name]] = label
                else:
                    first[name] = label
                labels += 1
            seen[name], latest[name] = row, label
            entries[used], rows[used] = entry, row
            names[used], fields[used] = name, label
            used += 1
    return (
        entries[:used],
        rows[:used],
        names[:used],
        fields[:used],
        label_names[:labels],
        occurrences[:labels],
    )


@kernel
def _take(data, starts, ends, numbers):  # type: ignore[no-untyped-def]
    """Offsets and bytes of a string array of some texts."""
    offsets = np.zeros(len(numbers) + 1, np.int32)
    for i in range(len(numbers)):
        text = numbers[i]
        offsets[i + 1] = offsets[i] + (ends[text] - starts[text])
    out = np.empty(offsets[-1], np.uint8)
    for i in range(len(numbers)):
        first, place = starts[numbers[i]], offsets[i]
        for j in range(offsets[i + 1] - place):
            out[place + j] = data[first + j]
    return offsets, out


@kernel
def _cut(data, text_starts, text_ends, texts, starts, ends):  # type: ignore[no-untyped-def]
    """Offsets and bytes of a string array of parts of texts, given in characters."""
    offsets = np.zeros(len(texts) + 1, np.int32)
    places = np.empty(len(texts), np.int64)
    for i in range(len(texts)):
        offsets[i + 1] = offsets[i]
        if texts[i] >= 0:
            end = text_ends[texts[i]]
            places[i] = _advance(data, text_starts[texts[i]], end, np.int64(starts[i]))
            last = _advance(data, places[i], end, np.int64(ends[i]) - starts[i])
            offsets[i + 1] += last - places[i]
    out = np.empty(offsets[-1], np.uint8)
    for i in range(len(texts)):
        for j in range(offsets[i], offsets[i + 1]):
            out[j] = data[places[i] + j - offsets[i]]
    return offsets, out


@kernel
def _hash_cut(data, text_starts, text_ends, texts, starts, ends):  # type: ignore[no-untyped-def]
    hashes = np.empty(len(texts), np.uint64)
    for i in range(len(texts)):
        end = text_ends[texts[i]]
        place = _advance(data, text_starts[texts[i]], end, np.int64(starts[i]))
        last = _advance(data, place, end, np.int64(ends[i]) - starts[i])
        value = _OFFSET + np.uint64(last - place)
        for j in range(place, last):
            value = (value ^ np.uint64(data[j])) * _PRIME
        hashes[i] = _mix(value) | np.uint64(1)
    return hashes


@numba.njit(nogil=True)
def _advance(data, place, end, characters):  # type: ignore[no-untyped-def]
    """Where in UTF-8 so many characters from `place` lead, at most to `end`."""
    while characters >= _BLOCK and end - place >= _BLOCK:
        for i in range(place, place + _BLOCK):
            characters -= (data[i] & 0xC0) != 0x80
        place += _BLOCK
    while place < end and (characters > 0 or data[place] & 0xC0 == 0x80):
        characters -= (data[place] & 0xC0) != 0x80
        place += 1
    return place
