"""Hashed features straight from Arrow string buffers.

One numba kernel decodes UTF-8, folds (width, case, Traditional to Simplified by character) and
hashes: words, pairs of neighbouring words, character 3- to 5-grams of words, and 1- to 4-grams of
Chinese characters. Category and attribute values are hashed as text and again crossed with the
name of their field. Rows are tf-idf weighted, (1 + ln tf) · idf, and of length one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tagmill import text as _text
from tagmill.kernels import kernel, string_buffers

__all__ = ["FEATURE_BITS", "Idf", "Rows", "count_rows", "extract", "fit_idf"]

FEATURE_BITS = 20
_MASK = np.uint64((1 << FEATURE_BITS) - 1)

_SEPARATOR, _WORD, _UNSPACED = 0, 1, 2

# Streams keep equal words of different fields apart by seed.
_TEXT_SEED = np.uint64(0)
_CATEGORY_SEED = np.uint64(0x9E3779B97F4A7C15)
_ATTRIBUTE_SEED = np.uint64(0xC2B2AE3D27D4EB4F)

_TEXT_COLUMNS = (
    ("title", _TEXT_SEED),
    ("description", _TEXT_SEED),
    ("category", _CATEGORY_SEED),
)

_MULTIPLY = np.uint64(0xFF51AFD7ED558CCD)
_MULTIPLY_2 = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)
_PRIME = np.uint64(0x100000001B3)
_OFFSET = np.uint64(0xCBF29CE484222325)
_COUNTS = 64  # of a feature in a product, below which logarithms stand in a table


@dataclass(frozen=True)
class Rows:
    """Feature rows in CSR form: `indptr` (n + 1,) int64, `indices` int32, `values` float32."""

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def matrix(self) -> sparse.csr_array:
        """The same as a scipy matrix (n, 2 ** FEATURE_BITS)."""
        shape = (len(self), 1 << FEATURE_BITS)
        return sparse.csr_array((self.values, self.indices, self.indptr), shape=shape)

    def take(self, rows: npt.NDArray[np.int64]) -> Rows:
        """Some of the rows, in the order given."""
        chosen = self.matrix()[rows]
        return Rows(chosen.indptr.astype(np.int64), chosen.indices.astype(np.int32), chosen.data)

    @staticmethod
    def empty(size: int) -> Rows:
        """So many rows without features."""
        none = np.zeros(0, np.int32), np.zeros(0, np.float32)
        return Rows(np.zeros(size + 1, np.int64), *none)

    @staticmethod
    def concatenate(parts: list[Rows]) -> Rows:
        """All rows of several parts, in order."""
        if not parts:
            return Rows.empty(0)
        lengths = np.concatenate([np.diff(part.indptr) for part in parts])
        return Rows(
            np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            np.concatenate([part.indices for part in parts]),
            np.concatenate([part.values for part in parts]),
        )


@dataclass(frozen=True)
class Idf:
    """Inverse document frequency of every feature, (2 ** FEATURE_BITS,) float32; 0 if unseen."""

    weights: npt.NDArray[np.float32]

    def apply(self, counts: Rows) -> Rows:
        """tf-idf rows of length one, features the training never saw left out."""
        indptr, indices, values = _weigh(counts.indptr, counts.indices, counts.values, self.weights)
        return Rows(indptr, indices, values)


def fit_idf(counts: Rows, minimum: int = 1) -> Idf:
    """Idf ln((1 + n) / (1 + df)) + 1 of the features that at least `minimum` rows have."""
    frequency = np.bincount(counts.indices, minlength=1 << FEATURE_BITS)
    weights = np.log((1 + len(counts)) / (1 + frequency)) + 1
    weights[frequency < minimum] = 0
    return Idf(weights.astype(np.float32))


def extract(batch: pa.RecordBatch) -> Rows:
    """Feature counts of a batch of `PRODUCT_SCHEMA`: one row a product, values are counts."""
    size = batch.num_rows
    streams = [
        _plain_stream(batch.column(name), seed)
        for name, seed in _TEXT_COLUMNS
        if batch.column(name).null_count < size
    ]
    streams += _attribute_streams(batch.column("attributes"), size)
    ends: list[npt.NDArray[np.int64]] = [np.zeros(size + 1, np.int64)] if not streams else []
    hashed: list[npt.NDArray[np.uint32]] = [np.zeros(0, np.uint32)] if not streams else []
    folded, kinds = _character_tables()
    for stream in streams:
        found, end = _hash_stream(
            stream.data, stream.starts, stream.ends, stream.outer, stream.seeds, folded, kinds
        )
        hashed.append(found)
        ends.append(end)
    return Rows(*_count_features(*_join_streams(ends, hashed, size)))


def _join_streams(
    ends: list[npt.NDArray[np.int64]], hashed: list[npt.NDArray[np.uint32]], size: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """The features of all streams by product, and where each product's begin."""
    if len(ends) == 1:
        return hashed[0], ends[0]
    starts = np.zeros(size + 1, np.int64)
    for end in ends:
        starts += end
    joined = np.empty(int(starts[-1]), np.uint32)
    cursor = starts[:-1].copy()
    for end, found in zip(ends, hashed, strict=True):
        _scatter(found, end, joined, cursor)
    return joined, starts


@dataclass(frozen=True)
class _Stream:
    """Texts of one field: product i has the texts outer[i]:outer[i + 1], each a byte range."""

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    outer: npt.NDArray[np.int64]
    seeds: npt.NDArray[np.uint64]  # one a text


def _plain_stream(column: pa.Array, seed: np.uint64) -> _Stream:
    data, starts, ends = string_buffers(column)
    size = len(starts)
    return _Stream(
        data, starts, ends, np.arange(size + 1, dtype=np.int64), np.full(size, seed, np.uint64)
    )


def _attribute_streams(column: pa.MapArray, size: int) -> list[_Stream]:
    """Attribute values as plain text, and crossed with the attribute's name."""
    if column.null_count == size:
        return []
    offsets = np.asarray(column.offsets, np.int64)
    if column.null_count and np.diff(offsets)[np.asarray(column.is_null())].any():
        column = pa.array(column.to_pylist(), column.type)  # a null that hides entries
        offsets = np.asarray(column.offsets, np.int64)
    chosen = slice(offsets[0], offsets[-1])
    outer = offsets - offsets[0]
    data, value_starts, value_ends = string_buffers(column.items)
    key_data, key_starts, key_ends = string_buffers(column.keys)
    folded, _ = _character_tables()
    seeds = _hash_whole(key_data, key_starts[chosen], key_ends[chosen], folded, _ATTRIBUTE_SEED)
    plain = np.full(len(seeds), _TEXT_SEED, np.uint64)
    return [
        _Stream(data, value_starts[chosen], value_ends[chosen], outer, plain),
        _Stream(data, value_starts[chosen], value_ends[chosen], outer, seeds),
    ]


@cache
def _character_tables() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """Folded code point and kind (separator, word, unspaced) of each of the basic plane."""
    folded = np.arange(0x10000, dtype=np.uint32)
    kinds = np.zeros(0x10000, np.uint8)
    table = _text._fold_table()
    for code in range(0x10000):
        if 0xD800 <= code < 0xE000:
            continue
        character = table.get(code, chr(code))[:1]
        if not character:
            continue
        folded[code] = ord(character)
        if _text._UNSPACED_RUN.match(character):
            kinds[code] = _UNSPACED
        elif character.isalnum():
            kinds[code] = _WORD
    return folded, kinds


@kernel(inline="always")
def _mix(value: np.uint64) -> np.uint64:
    """The 64-bit finalizer of MurmurHash3."""
    value ^= value >> _SHIFT
    value *= _MULTIPLY
    value ^= value >> _SHIFT
    value *= _MULTIPLY_2
    value ^= value >> _SHIFT
    return value


@kernel
def _decode(data, start, end, folded, kinds, points, types):  # type: ignore[no-untyped-def]
    """Folded code points and kinds of one UTF-8 text; returns how many."""
    count = 0
    i = start
    while i < end:
        byte = np.uint32(data[i])
        if byte < 0x80:
            code = byte
            i += 1
        elif byte < 0xE0:
            code = ((byte & 0x1F) << 6) | (np.uint32(data[i + 1]) & 0x3F)
            i += 2
        elif byte < 0xF0:
            code = (
                ((byte & 0x0F) << 12)
                | ((np.uint32(data[i + 1]) & 0x3F) << 6)
                | (np.uint32(data[i + 2]) & 0x3F)
            )
            i += 3
        else:
            code = (
                ((byte & 0x07) << 18)
                | ((np.uint32(data[i + 1]) & 0x3F) << 12)
                | ((np.uint32(data[i + 2]) & 0x3F) << 6)
                | (np.uint32(data[i + 3]) & 0x3F)
            )
            i += 4
        if code < 0x10000:
            points[count] = folded[code]
            types[count] = kinds[code]
        else:  # rare Han and emoji: each a character of its own
            points[count] = code
            types[count] = _UNSPACED
        count += 1
    return count


@kernel
def _hash_stream(data, starts, ends, outer, seeds, folded, kinds):  # type: ignore[no-untyped-def]
    """Feature numbers of every product's texts, and where each product's end."""
    total, longest = 0, 0
    for j in range(outer[-1]):
        size = ends[j] - starts[j]
        total += 5 * size + 8
        longest = max(longest, size)
    out = np.empty(total, np.uint32)
    points = np.empty(longest + 1, np.uint32)
    types = np.empty(longest + 1, np.uint8)
    offsets = np.zeros(len(outer), np.int64)
    used = 0
    for product in range(len(outer) - 1):
        for j in range(outer[product], outer[product + 1]):
            count = _decode(data, starts[j], ends[j], folded, kinds, points, types)
            used = _hash_text(points, types, count, seeds[j], out, used)
        offsets[product + 1] = used
    return out[:used], offsets


@kernel
def _hash_text(points, types, count, seed, out, used):  # type: ignore[no-untyped-def]
    """Append the features of one decoded text; returns the new length of `out`."""
    previous = np.uint64(0)
    i = 0
    while i < count:
        kind = types[i]
        if kind == _SEPARATOR:
            i += 1
            continue
        start = i
        if kind == _WORD:
            value = _OFFSET ^ seed
            while i < count and types[i] == _WORD:
                value = (value ^ np.uint64(points[i])) * _PRIME
                i += 1
            token = _mix(value)
            out[used] = np.uint32(token & _MASK)
            used += 1
            used = _hash_ngrams(points, start, i, seed, out, used)
        else:
            value = _OFFSET ^ seed
            token = np.uint64(0)
            for n in range(4):
                if i + n >= count or types[i + n] != _UNSPACED:
                    break
                value = (value ^ np.uint64(points[i + n])) * _PRIME
                gram = _mix(value + np.uint64(n))
                if n == 0:
                    token = gram
                out[used] = np.uint32(gram & _MASK)
                used += 1
            i += 1
        if previous and (kind == _WORD or types[start - 1] != _UNSPACED):
            out[used] = np.uint32(_mix(previous * _PRIME + token) & _MASK)
            used += 1
        previous = token
    return used


@kernel
def _hash_ngrams(points, start, end, seed, out, used):  # type: ignore[no-untyped-def]
    """Append the 3- to 5-grams of one word between its boundary marks."""
    size = end - start + 2
    for first in range(size):
        value = (_OFFSET + np.uint64(7)) ^ seed
        for n in range(5):
            at = first + n
            if at >= size:
                break
            if at == 0:
                point = np.uint64(1)
            elif at == size - 1:
                point = np.uint64(2)
            else:
                point = np.uint64(points[start + at - 1])
            value = (value ^ point) * _PRIME
            if n >= 2 and size > 3:  # of one letter the word itself says all
                out[used] = np.uint32(_mix(value) & _MASK)
                used += 1
    return used


@kernel
def _hash_whole(data, starts, ends, folded, seed):  # type: ignore[no-untyped-def]
    """One hash for each whole ASCII-folded byte range (attribute names)."""
    out = np.empty(len(starts), np.uint64)
    for j in range(len(starts)):
        value = _OFFSET ^ seed
        for i in range(starts[j], ends[j]):
            byte = data[i]
            point = np.uint64(folded[byte]) if byte < 0x80 else np.uint64(byte)
            value = (value ^ point) * _PRIME
        out[j] = _mix(value) | np.uint64(1)
    return out


@kernel
def _scatter(found, ends, joined, cursor):  # type: ignore[no-untyped-def]
    """Put each product's features of one stream behind those it already has."""
    for product in range(len(cursor)):
        place = cursor[product]
        for i in range(ends[product], ends[product + 1]):
            joined[place] = found[i]
            place += 1
        cursor[product] = place


@kernel
def _count_features(joined, starts):  # type: ignore[no-untyped-def]
    """CSR rows of distinct features in order of appearance, and their counts.

    A small hash table finds what a product has already: several times faster than sorting.
    """
    size = len(starts) - 1
    indptr = np.zeros(size + 1, np.int64)
    indices = np.empty(len(joined), np.int32)
    values = np.empty(len(joined), np.float32)
    longest = 0
    for product in range(size):
        longest = max(longest, starts[product + 1] - starts[product])
    bits = 6
    while (1 << bits) < 2 * longest:
        bits += 1
    mask = (1 << bits) - 1
    place = np.empty(mask + 1, np.int64)  # of the slot's feature in `indices`
    owner = np.full(mask + 1, -1, np.int64)  # product that filled the slot
    used = 0
    for product in range(size):
        for i in range(starts[product], starts[product + 1]):
            feature = np.int32(joined[i])
            slot = feature & mask
            while owner[slot] == product and indices[place[slot]] != feature:
                slot = (slot + 1) & mask
            if owner[slot] == product:
                values[place[slot]] += np.float32(1)
                continue
            owner[slot] = product
            place[slot] = used
            indices[used] = feature
            values[used] = np.float32(1)
            used += 1
        indptr[product + 1] = used
    return indptr, indices[:used].copy(), values[:used].copy()


@kernel
def _weigh(indptr, indices, values, weights):  # type: ignore[no-untyped-def]
    """(1 + ln tf) · idf, features without idf dropped, each row scaled to length one."""
    size = len(indptr) - 1
    out_indptr = np.zeros(size + 1, np.int64)
    out_indices = np.empty(len(indices), np.int32)
    out_values = np.empty(len(indices), np.float32)
    damped = np.ones(_COUNTS, np.float32)  # logarithms of small counts, once
    for count in range(2, _COUNTS):
        damped[count] = 1 + np.log(np.float32(count))
    used = 0
    for product in range(size):
        first = used
        total = np.float32(0)
        for i in range(indptr[product], indptr[product + 1]):
            weight = weights[indices[i]]
            if weight > 0:
                times = np.int64(values[i])
                tf = damped[times] if times < _COUNTS else np.float32(1 + np.log(values[i]))
                value = tf * weight
                out_indices[used] = indices[i]
                out_values[used] = value
                total += value * value
                used += 1
        if total > 0:
            scale = np.float32(1.0 / np.sqrt(total))
            for i in range(first, used):
                out_values[i] *= scale
        out_indptr[product + 1] = used
    return out_indptr, out_indices[:used].copy(), out_values[:used].copy()


def count_rows(batches: Iterable[pa.RecordBatch]) -> Rows:
    """Feature counts of all batches, one after the other."""
    return Rows.concatenate([extract(batch) for batch in batches])
