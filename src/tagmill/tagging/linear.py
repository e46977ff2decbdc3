"""One-vs-rest linear models over hashed features, as an inverted index from feature to tags."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.kernels import kernel
from tagmill.tagging.features import FEATURE_BITS, Rows

__all__ = [
    "DENSE_TAGS",
    "LinearModel",
    "add_postings",
    "best_margins",
    "find_highest",
    "sums_of",
]

# The low bits of a posting hold the quantised weight.
_LEVEL_BITS = np.uint32(8)
_LEVEL_MASK = np.uint32(255)
_LEVEL_ZERO = 128
_HIGHEST_LEVEL = 127
_DENSE_SHARE = 3
_TAGS_AT_ONCE = 32
_LINE = 16  # postings of a line of the cache
DENSE_TAGS = 8_192  # with more tags than this no array over all of them is gone through


@dataclass(frozen=True)
class LinearModel:
    """Inverted index: feature f has the words indptr[f]:indptr[f + 1] of `postings`.

    A word is a posting, `tag << 8 | level + 128`; the weight is `level * scale[tag]`, level in
    -127..127. Of a feature that many tags weigh, the words are instead the levels of all tags, four
    a word, which is hardly longer and several times faster to read: see `dense_words`.
    """

    indptr: npt.NDArray[np.int32]  # (features + 1,)
    postings: npt.NDArray[np.uint32]  # (words,)
    scale: npt.NDArray[np.float32]  # (tags,)
    bias: npt.NDArray[np.float32]  # (tags,), nan for a tag without a model

    @cached_property
    def lowest_bias(self) -> npt.NDArray[np.float32]:
        """The bias, -inf for a tag without a model: below every margin."""
        return np.nan_to_num(self.bias, nan=-np.inf)

    @staticmethod
    def untrained(size: int) -> LinearModel:
        """A model of no tag out of `size`."""
        none = np.zeros(0, np.int64)
        bias = np.full(size, np.nan, np.float32)
        return LinearModel.pack(none, none, none, np.zeros(size, np.float32), bias)

    @staticmethod
    def quantised(
        features: npt.NDArray[np.integer],
        tags: npt.NDArray[np.integer],
        weights: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32],
    ) -> LinearModel:
        """The index of weights (w,), none twice; a tag's largest becomes its highest level."""
        largest = np.zeros(len(bias), np.float32)
        np.maximum.at(largest, tags, np.abs(weights))
        scale = np.where(largest > 0, largest / np.float32(_HIGHEST_LEVEL), np.float32(1))
        levels = np.rint(weights / scale[tags]).astype(np.int64)
        return LinearModel.pack(features, tags, levels, scale, bias)

    @staticmethod
    def pack(
        features: npt.NDArray[np.integer],
        tags: npt.NDArray[np.integer],
        levels: npt.NDArray[np.integer],
        scale: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32],
    ) -> LinearModel:
        """The index of weights (w,) given in any order, none twice."""
        if len(tags) and (np.diff(tags) < 0).any():
            order = np.argsort(tags, kind="stable")
            features, tags, levels = features[order], tags[order], levels[order]
        indptr, postings = _pack(features, tags, levels, 1 << FEATURE_BITS, len(bias))
        return LinearModel(indptr, postings, scale, bias)

    def unpack(
        self,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Feature, tag and level of every weight that is not zero, (w,) each."""
        features, tags, levels = _unpack(self.indptr, self.postings, len(self.bias))
        return features, tags, levels

    def margins(self, rows: Rows) -> npt.NDArray[np.float32]:
        """All margins, (n, tags) float32; nan for a tag without a model."""
        out = np.zeros((len(rows), sums_of(len(self.bias))), np.float32)
        for row in range(len(rows)):
            add_postings(
                row, rows.indptr, rows.indices, rows.values, self.indptr, self.postings, out[row]
            )
        result: npt.NDArray[np.float32] = out[:, : len(self.bias)] * self.scale + self.bias
        return result

    def plus(
        self,
        features: npt.NDArray[np.integer],
        tags: npt.NDArray[np.integer],
        weights: npt.NDArray[np.floating],
        bias: npt.NDArray[np.float32],
    ) -> LinearModel:
        """The same with weights (w,) added, a pair any number of times, and other biases."""
        own_features, own_tags, levels = self.unpack()
        values = np.concatenate([levels * self.scale[own_tags], weights]).astype(np.float32)
        places = np.concatenate([own_features, features]), np.concatenate([own_tags, tags])
        shape = (1 << FEATURE_BITS, len(self.bias))
        # By way of both sparse forms everything is counted into place: sorting takes longer.
        sums = sparse.coo_array((values, places), shape=shape).tocsr().tocsc()
        owners = np.repeat(np.arange(len(self.bias)), np.diff(sums.indptr))
        return LinearModel.quantised(sums.indices, owners, sums.data, bias)

    def moved(self, places: npt.NDArray[np.int64], size: int) -> LinearModel:
        """The same with tag i at places[i] (-1: dropped) of `size` tags."""
        features, tags, levels = self.unpack()
        kept = places[tags] >= 0
        scale, bias = np.zeros(size, np.float32), np.full(size, np.nan, np.float32)
        known = places >= 0
        scale[places[known]], bias[places[known]] = self.scale[known], self.bias[known]
        return LinearModel.pack(features[kept], places[tags[kept]], levels[kept], scale, bias)


@kernel(inline="always")
def dense_words(tags):  # type: ignore[no-untyped-def]
    """How many words the levels of all tags take; 0 where there are too many tags for that.

    A feature with so many words has them all, one with fewer has postings. From this number of
    weights on, divided by `_DENSE_SHARE`, all levels are read faster than the postings would be.
    They are filled up to whole `_TAGS_AT_ONCE`: what is left over would be added one by one.
    """
    at_once = (tags + _TAGS_AT_ONCE - 1) // _TAGS_AT_ONCE
    return at_once * (_TAGS_AT_ONCE // 4) if tags <= DENSE_TAGS else 0


@kernel
def sums_of(tags):  # type: ignore[no-untyped-def]
    """The length of the array that the levels of so many tags are summed in."""
    return max(tags, 4 * dense_words(tags))


@kernel
def find_postings(row, row_indptr, row_indices, indptr, postings, dense):  # type: ignore[no-untyped-def]
    """Where the postings of one row's features begin and end, (features,) each.

    The index is larger than a cache near to the core. So all places are looked up before any is
    read, and a word of every line of postings is touched: the misses then overlap.
    """
    first = row_indptr[row]
    size = row_indptr[row + 1] - first
    starts, ends = np.empty(size + 1, np.int64), np.empty(size, np.int64)
    for i in range(size):
        feature = np.uint64(row_indices[first + i])
        starts[i], ends[i] = indptr[feature], indptr[feature + np.uint64(1)]
    touched = np.uint32(0)
    for i in range(size):
        if ends[i] - starts[i] != dense:
            for j in range(starts[i], ends[i], _LINE):
                touched += postings[np.uint64(j)]
    starts[size] = touched  # or it would not be read
    return starts[:size], ends


@kernel
def add_postings(  # type: ignore[no-untyped-def]
    row, row_indptr, row_indices, row_values, indptr, postings, sums
):
    """Add to `sums` (`sums_of(tags)`,) the levels of one row's features, weighted by its values."""
    dense, tags = dense_words(len(sums)), len(sums)
    levels = postings.view(np.int8)
    starts, ends = find_postings(row, row_indptr, row_indices, indptr, postings, dense)
    values = row_values[row_indptr[row] : row_indptr[row + 1]].copy()
    found = 0  # features with levels of all tags: their places and values come first
    for i in range(len(starts)):
        start, end, value = starts[i], ends[i], values[i]
        if dense and end - start == dense:
            starts[found], values[found] = 4 * start, value
            found += 1
            continue
        for j in range(start, end):
            posting = postings[np.uint64(j)]
            sums[posting >> _LEVEL_BITS] += value * np.float32(
                np.int32(posting & _LEVEL_MASK) - _LEVEL_ZERO
            )
    i = 0
    while i + 3 < found:  # four at once: the sums are read and written less
        v, w, x, y = values[i], values[i + 1], values[i + 2], values[i + 3]
        a, b, c, d = starts[i], starts[i + 1], starts[i + 2], starts[i + 3]
        first, second = levels[a : a + tags], levels[b : b + tags]
        third, fourth = levels[c : c + tags], levels[d : d + tags]
        for tag in range(tags):
            sums[tag] += (
                v * np.float32(first[tag]) + w * np.float32(second[tag])
                + x * np.float32(third[tag]) + y * np.float32(fourth[tag])
            )  # fmt: skip
        i += 4
    while i < found:
        last_value, place = values[i], starts[i]
        own = levels[place : place + tags]
        for tag in range(tags):
            sums[tag] += last_value * np.float32(own[tag])
        i += 1


@kernel
def _pack(features, tags, levels, n_features, n_tags):  # type: ignore[no-untyped-def]
    """`indptr` and `postings` of weights ordered by tag."""
    dense = dense_words(n_tags)
    indptr = np.zeros(n_features + 1, np.int32)
    for feature in features:
        indptr[feature + 1] += 1
    for feature in range(n_features):
        size = indptr[feature + 1]
        if dense and _DENSE_SHARE * size >= dense:
            size = dense
        indptr[feature + 1] = indptr[feature] + size
    postings = np.zeros(indptr[n_features], np.uint32)
    rows = postings.view(np.int8)
    cursor = indptr[:-1].copy()
    for i in range(len(features)):
        feature, tag, level = features[i], tags[i], levels[i]
        if dense and indptr[feature + 1] - indptr[feature] == dense:
            rows[4 * indptr[feature] + tag] = level
        else:
            postings[cursor[feature]] = np.uint32((tag << 8) | (level + _LEVEL_ZERO))
            cursor[feature] += 1
    return indptr, postings


@kernel
def _unpack(indptr, postings, n_tags):  # type: ignore[no-untyped-def]
    """Feature, tag and level of each weight."""
    dense = dense_words(n_tags)
    rows = postings.view(np.int8)
    capacity = 4 * len(postings)
    features = np.empty(capacity, np.int32)
    tags = np.empty(capacity, np.int32)
    levels = np.empty(capacity, np.int32)
    used = 0
    for feature in range(len(indptr) - 1):
        first, last = indptr[feature], indptr[feature + 1]
        if dense and last - first == dense:
            for tag in range(n_tags):
                if rows[4 * first + tag]:
                    features[used], tags[used] = feature, tag
                    levels[used] = rows[4 * first + tag]
                    used += 1
            continue
        for j in range(first, last):
            features[used] = feature
            tags[used] = postings[j] >> _LEVEL_BITS
            levels[used] = np.int32(postings[j] & _LEVEL_MASK) - _LEVEL_ZERO
            used += 1
    return features[:used].copy(), tags[:used].copy(), levels[:used].copy()


def best_margins(
    rows: Rows, model: LinearModel, limit: int, start: int, end: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Row, tag and margin of the `limit` highest margins of each of rows[start:end]."""
    found, tags, margins = _best_margins(
        rows.indptr, rows.indices, rows.values, model.indptr, model.postings, model.scale,
        model.lowest_bias, min(limit, len(model.bias)), start, end,
    )  # fmt: skip
    return found, tags, margins


@kernel
def _best_margins(  # type: ignore[no-untyped-def]
    row_indptr, row_indices, row_values, indptr, postings, scale, bias, limit, start, end
):
    m = len(bias)
    sums = np.zeros(sums_of(m), np.float32)
    rows = np.empty((end - start) * limit, np.int32)
    tags = np.empty(len(rows), np.int32)
    margins = np.empty(len(rows), np.float32)
    seen = np.full(m if m > DENSE_TAGS else 0, -1, np.int64)
    touched = np.empty(len(seen), np.int32)
    best = np.empty(limit, np.int32)
    highest = np.empty(limit, np.float32)
    used = 0
    for row in range(start, end):
        found = find_highest(
            row, row_indptr, row_indices, row_values, indptr, postings, scale, bias,
            sums, seen, touched, best, highest,
        )  # fmt: skip
        rows[used : used + found] = row
        tags[used : used + found] = best[:found]
        margins[used : used + found] = highest[:found]
        used += found
    return rows[:used].copy(), tags[:used].copy(), margins[:used].copy()


@kernel
def find_highest(  # type: ignore[no-untyped-def]
    row, row_indptr, row_indices, row_values, indptr, postings, scale, bias,
    sums, seen, touched, best, highest,
):  # fmt: skip
    """Margins of one row into `sums`; the tags of the highest, descending, into `best`, their
    margins into `highest`; returns how many. With an array `seen` (m,), only of tags that a
    feature of the row speaks for: seen[tag] is `row` then."""
    if len(seen):
        return _add_highest_touched(
            row, row_indptr, row_indices, row_values, indptr, postings, scale, bias,
            sums, seen, touched, best, highest,
        )  # fmt: skip
    return _add_highest(
        row, row_indptr, row_indices, row_values, indptr, postings, scale, bias, sums, best, highest
    )


@kernel
def _add_highest(  # type: ignore[no-untyped-def]
    row, row_indptr, row_indices, row_values, indptr, postings, scale, bias, sums, best, highest
):
    """Out of all tags."""
    limit, size = len(best), len(bias)
    sums[:] = 0
    add_postings(row, row_indptr, row_indices, row_values, indptr, postings, sums)
    found = 0
    start = np.uint64(0)
    while start < np.uint64(size):
        end = min(start + np.uint64(_TAGS_AT_ONCE), np.uint64(size))
        above = found < limit
        lowest = highest[limit - 1] if limit else np.float32(np.inf)
        for tag in range(start, end):  # a loop that vector instructions do
            margin = sums[tag] * scale[tag] + bias[tag]
            sums[tag] = margin
            above |= margin > lowest
        if above:
            for tag in range(start, end):
                margin = sums[tag]
                if found < limit:
                    if margin > -np.inf:
                        found = _insert(best, highest, found, tag, margin)
                elif margin > highest[limit - 1]:
                    _insert(best, highest, limit - 1, tag, margin)
        start = end
    return found


@kernel
def _add_highest_touched(  # type: ignore[no-untyped-def]
    row, row_indptr, row_indices, row_values, indptr, postings, scale, bias,
    sums, seen, touched, best, highest,
):  # fmt: skip
    """Out of the tags that have a posting: the cost does not grow with the number of tags."""
    count = 0
    starts, ends = find_postings(row, row_indptr, row_indices, indptr, postings, 0)
    for i in range(len(starts)):
        value = row_values[row_indptr[row] + i]
        for j in range(starts[i], ends[i]):
            posting = postings[np.uint64(j)]
            tag = posting >> _LEVEL_BITS
            if seen[tag] != row:
                seen[tag] = row
                sums[tag] = 0
                touched[count] = tag
                count += 1
            sums[tag] += value * np.float32(np.int32(posting & _LEVEL_MASK) - _LEVEL_ZERO)
    limit = len(best)
    found = 0
    for tag in touched[:count]:
        sums[tag] = sums[tag] * scale[tag] + bias[tag]
        margin = sums[tag]
        if found < limit:
            if margin > -np.inf:
                found = _insert(best, highest, found, tag, margin)
        elif limit and margin > highest[limit - 1]:
            _insert(best, highest, limit - 1, tag, margin)
    return found


@kernel
def _insert(best, highest, last, tag, margin):  # type: ignore[no-untyped-def]
    """Put a tag among the highest, descending, where `last` are kept; returns how many are now."""
    i, one = np.uint64(last), np.uint64(1)  # unsigned: no check for indices from the end
    while i > np.uint64(0) and highest[i - one] < margin:
        highest[i] = highest[i - one]
        best[i] = best[i - one]
        i -= one
    highest[i] = margin
    best[i] = tag
    return last + 1
