"""One-vs-rest linear models over hashed features.

Training is dual coordinate descent for the L2-regularised squared hinge (Hsieh et al. 2008,
"A Dual Coordinate Descent Method for Large-scale Linear SVM", with its shrinking), one tag after
the other on every core. The result is kept as an inverted index from feature to tags.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.tagging.features import FEATURE_BITS, Rows
from tagmill.tagging.kernels import kernel

__all__ = [
    "DENSE_TAGS",
    "LabelMatrix",
    "LinearModel",
    "add_postings",
    "on_all_cores",
    "train_linear",
]

# Weights below this share of a tag's largest are noise that costs memory traffic.
_RELATIVE_CUT = 0.01
# Postings read for an average product, and postings kept in all.
_READS_PER_PRODUCT, _READS_PER_FEATURE = 3_000.0, 32.0  # the larger: long texts tell more
_DENSE_SPEED = 16  # levels of all tags read in the time of one posting
_POSTINGS = 8_000_000
# Weights kept per tag before that, and tags trained at once.
_WEIGHTS_PER_TAG = 16_384
_BLOCK = 16
# The low bits of a posting hold the quantised weight.
_LEVEL_BITS = np.uint32(8)
_LEVEL_MASK = np.uint32(255)
_LEVEL_ZERO = 128
_HIGHEST_LEVEL = 127
_DENSE_SHARE = 3
DENSE_TAGS = 8_192  # with more tags than this no array over all of them is gone through
_TOLERANCE = 0.2  # largest violated gradient at which training ends
# A tag is first trained on its positives and so many negatives for each, and some more.
_NEGATIVES_PER_POSITIVE, _MORE_NEGATIVES = 2, 1_500
_FAR = np.float32(0.05)  # gradient from which a row on the right side is left out for a while


@dataclass(frozen=True)
class LabelMatrix:
    """What people said: `values` csr (n, m) int8, +1 accepted, -1 rejected, absent otherwise.

    `complete` (n,) says of which products every tag was judged: there absent means wrong,
    elsewhere it means unknown.
    """

    values: sparse.csr_array
    complete: npt.NDArray[np.bool_]

    def counts(self) -> npt.NDArray[np.int64]:
        """How many products each tag was accepted for, (m,)."""
        accepted = self.values.indices[self.values.data > 0]
        return np.bincount(accepted, minlength=self.values.shape[1])

    def subset(self, rows: npt.NDArray[np.int64]) -> LabelMatrix:
        """The same for some of the products."""
        return LabelMatrix(sparse.csr_array(self.values[rows]), self.complete[rows])


@dataclass(frozen=True)
class LinearModel:
    """Inverted index: feature f has the words indptr[f]:indptr[f + 1] of `postings`.

    A word is a posting, `tag << 8 | level + 128`; the weight is `level * scale[tag]`, level in
    -127..127. Of a feature that many tags weigh, the words are instead the levels of all tags, four
    a word, which is no longer and several times faster to read: see `dense_words`.
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
        order = np.lexsort((tags, features))
        indptr, postings = _pack(
            features[order].astype(np.int64), tags[order].astype(np.int64),
            levels[order].astype(np.int64), 1 << FEATURE_BITS, len(bias),
        )  # fmt: skip
        return LinearModel(indptr, postings, scale, bias)

    def unpack(
        self,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Feature, tag and level of every weight that is not zero, (w,) each."""
        features, tags, levels = _unpack(self.indptr, self.postings, len(self.bias))
        return features, tags, levels

    def margins(self, rows: Rows) -> npt.NDArray[np.float32]:
        """All margins, (n, tags) float32; nan for a tag without a model."""
        out = np.zeros((len(rows), len(self.bias)), np.float32)
        for row in range(len(rows)):
            add_postings(
                row, rows.indptr, rows.indices, rows.values, self.indptr, self.postings, out[row]
            )
        result: npt.NDArray[np.float32] = out * self.scale + self.bias
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
        size = np.int64(len(self.bias))
        keys = np.concatenate(
            [own_features * size + own_tags, np.asarray(features, np.int64) * size + tags]
        )
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        values = np.concatenate([levels * self.scale[own_tags], weights])[order]
        sums = np.add.reduceat(values, first).astype(np.float32) if len(first) else values
        return LinearModel.quantised(keys[first] // size, keys[first] % size, sums, bias)

    def moved(self, places: npt.NDArray[np.int64], size: int) -> LinearModel:
        """The same with tag i at places[i] (-1: dropped) of `size` tags."""
        features, tags, levels = self.unpack()
        kept = places[tags] >= 0
        scale, bias = np.zeros(size, np.float32), np.full(size, np.nan, np.float32)
        known = places >= 0
        scale[places[known]], bias[places[known]] = self.scale[known], self.bias[known]
        return LinearModel.pack(features[kept], places[tags[kept]], levels[kept], scale, bias)


def train_linear(
    rows: Rows,
    labels: LabelMatrix,
    *,
    regularisation: float = 1.0,
    minimum_count: int = 1,
    epochs: int = 40,
    seed: int = 0,
) -> LinearModel:
    """A model for every tag accepted at least `minimum_count` times; the same for the same seed.

    `regularisation` is C of the squared hinge.
    """
    judged = sparse.csc_array(labels.values)
    trained = np.flatnonzero(labels.counts() >= max(minimum_count, 1)).astype(np.int64)
    feature_ids, compact = _by_frequency(rows.indices)
    bias = np.full(judged.shape[1], np.nan, np.float32)
    if not len(feature_ids) or not len(trained):  # nothing to learn from
        return LinearModel.untrained(len(bias))
    parts: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]] = []
    tag_indptr, tag_rows = judged.indptr.astype(np.int64), judged.indices.astype(np.int64)

    def train_block(block: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
        arrays: tuple[npt.NDArray[Any], ...] = _train_block(
            rows.indptr, compact, rows.values, len(feature_ids), tag_indptr, tag_rows,
            judged.data, labels.complete, block, regularisation, epochs, seed,
        )  # fmt: skip
        return arrays

    for block, arrays in zip(in_blocks(trained), on_all_cores(train_block, trained), strict=True):
        kept, weights, sizes, bias[block] = arrays
        filled = np.arange(kept.shape[1]) < sizes[:, None]
        features = feature_ids[kept[filled]].astype(np.int32)
        parts.append((features, np.repeat(block, sizes).astype(np.int32), weights[filled]))
    features, tags, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return _build_index(features, tags, weights, bias, _FeatureStatistics.of(rows))


def in_blocks(tags: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """The tags in the blocks that one call of a kernel trains."""
    return [tags[start : start + _BLOCK] for start in range(0, len(tags), _BLOCK)]


def on_all_cores(
    work: Callable[[npt.NDArray[np.int64]], tuple[npt.NDArray[Any], ...]],
    tags: npt.NDArray[np.int64],
) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """What `work` gives for each block of tags, in order.

    Threads over kernels without the GIL: an idle one sleeps, where OpenMP's would spin.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(work, in_blocks(tags))


def _by_frequency(
    indices: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The features that occur, frequent ones first, and `indices` as places among them.

    What training reads most then lies together, in the nearest cache.
    """
    frequency = np.bincount(indices, minlength=1 << FEATURE_BITS)
    features = np.argsort(-frequency, kind="stable")[: np.count_nonzero(frequency)]
    place = np.zeros(1 << FEATURE_BITS, np.int32)
    place[features] = np.arange(len(features), dtype=np.int32)
    return features.astype(np.int32), place[indices]


@dataclass(frozen=True)
class _FeatureStatistics:
    """How often features occur in the training rows and how large they are then."""

    frequency: npt.NDArray[np.float32]  # (features,) share of rows that have it
    mean: npt.NDArray[np.float32]  # (features,) value, over all rows
    mean_square: npt.NDArray[np.float32]  # (features,) over the rows that have it

    @staticmethod
    def of(rows: Rows) -> _FeatureStatistics:
        def total(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
            sums = np.bincount(rows.indices, values, minlength=1 << FEATURE_BITS)
            return sums.astype(np.float64)

        count = total(np.ones_like(rows.values))
        mean_square = total(rows.values**2) / np.maximum(count, 1)
        columns = (count / len(rows), total(rows.values) / len(rows), mean_square)
        return _FeatureStatistics(*(column.astype(np.float32) for column in columns))


def _build_index(
    features: npt.NDArray[np.int32],
    tags: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    statistics: _FeatureStatistics,
) -> LinearModel:
    """The weights that are worth a posting, within the budgets.

    A posting is worth the variance it adds to margins, weight² · value², once for each product
    that has the feature, and costs one read for each: what is read and hardly tells is dropped,
    and its mean stays, in the bias. With few tags even all weights cost no more than the budget.
    """
    worth = weights**2 * statistics.mean_square[features]
    frequency = statistics.frequency[features]
    kept = worth * frequency >= _cut(worth * frequency, np.ones_like(worth), _POSTINGS)
    features_per_product = float(statistics.frequency.sum())
    reads = max(_READS_PER_PRODUCT, _READS_PER_FEATURE * features_per_product)
    if len(bias) * features_per_product > reads * _DENSE_SPEED:
        kept &= worth >= _cut(worth, frequency * kept, reads)
    lost = np.bincount(
        tags[~kept], weights[~kept] * statistics.mean[features[~kept]], minlength=len(bias)
    )
    bias = (bias + lost).astype(np.float32)
    return LinearModel.quantised(features[kept], tags[kept], weights[kept], bias)


def _cut(
    worth: npt.NDArray[np.float32], cost: npt.NDArray[np.float32], budget: float
) -> np.float32:
    """The worth from which on all costs together stay within the budget."""
    order = np.argsort(-worth, kind="stable")
    within = int(np.searchsorted(np.cumsum(cost[order], dtype=np.float64), budget, side="right"))
    return worth[order[within - 1]] if 0 < within < len(worth) else np.float32(0)


@kernel
def _train_block(  # type: ignore[no-untyped-def]
    indptr, indices, values, n_features, tag_indptr, tag_rows, tag_signs, complete, block,
    regularisation, epochs, seed,
):  # fmt: skip
    """Train the tags of a block; their largest weights, how many, and the biases."""
    kept = np.zeros((len(block), _WEIGHTS_PER_TAG), np.int32)
    out = np.zeros((len(block), _WEIGHTS_PER_TAG), np.float32)
    sizes = np.zeros(len(block), np.int64)
    biases = np.zeros(len(block), np.float32)
    for k in range(len(block)):
        tag = block[k]
        weights, bias = _train_one(
            indptr, indices, values, n_features, complete,
            tag_rows[tag_indptr[tag] : tag_indptr[tag + 1]],
            tag_signs[tag_indptr[tag] : tag_indptr[tag + 1]],
            regularisation, epochs, seed + tag,
        )  # fmt: skip
        biases[k] = bias
        size = np.abs(weights)
        cut = size.max() * _RELATIVE_CUT
        if (size > cut).sum() > _WEIGHTS_PER_TAG:
            cut = np.partition(size, len(size) - _WEIGHTS_PER_TAG - 1)[
                len(size) - _WEIGHTS_PER_TAG - 1
            ]
        used = 0
        for feature in range(n_features):
            if size[feature] > cut and used < _WEIGHTS_PER_TAG:
                kept[k, used] = feature
                out[k, used] = weights[feature]
                used += 1
        sizes[k] = used
    return kept, out, sizes, biases


@kernel(inline="always")
def _draw(items, position, size, state):  # type: ignore[no-untyped-def]
    """Swap a random one of items[position:size] to `position`; the next state (xorshift)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    other = position + np.int64(state % np.uint64(size - position))
    items[position], items[other] = items[other], items[position]
    return state


@kernel
def _train_one(  # type: ignore[no-untyped-def]
    indptr, indices, values, n_features, complete, judged, signs, regularisation, epochs, seed
):
    """Weights and bias of one tag by dual coordinate descent with shrinking.

    Begins with the positives and a sample of the negatives; the check of all rows that every
    end is put to then takes in those that the sample says nothing of.
    """
    n = len(indptr) - 1
    target = np.zeros(n, np.int8)
    for i in range(n):
        if complete[i]:
            target[i] = -1
    for j in range(len(judged)):
        target[judged[j]] = signs[j]
    active = np.flatnonzero(target)
    alpha = np.zeros(n, np.float32)
    weights = np.zeros(n_features, np.float32)
    bias = np.float32(0)
    diagonal = np.float32(0.5 / regularisation)
    # Rows have length one, and the bias is a feature of value one.
    curvature = np.float32(2.0) + diagonal
    state = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)
    positives = 0
    for position in range(len(active)):
        if target[active[position]] > 0:
            active[position], active[positives] = active[positives], active[position]
            positives += 1
    size = min(len(active), (1 + _NEGATIVES_PER_POSITIVE) * positives + _MORE_NEGATIVES)
    for position in range(positives, size):
        state = _draw(active, position, len(active), state)
    bound = np.float32(np.inf)
    for _ in range(epochs):
        worst = np.float32(0)
        highest = np.float32(-np.inf)
        position = 0
        while position < size:
            state = _draw(active, position, size, state)
            i = active[position]
            sign = np.float32(target[i])
            margin = bias
            for j in range(indptr[i], indptr[i + 1]):
                margin += weights[indices[j]] * values[j]
            gradient = sign * margin - np.float32(1) + alpha[i] * diagonal
            if alpha[i] == 0:
                if gradient > bound:  # far on the right side: leave it out from now on
                    size -= 1
                    active[position], active[size] = active[size], active[position]
                    continue
                projected = min(gradient, np.float32(0))
            else:
                projected = gradient
            worst = max(worst, abs(projected))
            highest = max(highest, projected)
            if abs(projected) > 1e-6:
                before = alpha[i]
                alpha[i] = max(before - gradient / curvature, np.float32(0))
                step = (alpha[i] - before) * sign
                bias += step
                for j in range(indptr[i], indptr[i + 1]):
                    weights[indices[j]] += step * values[j]
            position += 1
        if worst < _TOLERANCE:
            if size == len(active):
                break
            size = len(active)  # check the rows left out once more
            bound = np.float32(np.inf)
        else:
            bound = min(highest, _FAR) if highest > 0 else _FAR
    return weights, bias


@kernel(inline="always")
def dense_words(tags):  # type: ignore[no-untyped-def]
    """How many words the levels of all tags take; 0 where there are too many tags for that.

    A feature with so many words has them all, one with fewer has postings. From this number of
    weights on, divided by `_DENSE_SHARE`, all levels are read faster than the postings would be.
    """
    return (tags + 3) // 4 if tags <= DENSE_TAGS else 0


@kernel
def add_postings(  # type: ignore[no-untyped-def]
    row, row_indptr, row_indices, row_values, indptr, postings, sums
):
    """Add to `sums` (tags,) the levels of one row's features, weighted by its values."""
    dense, tags = dense_words(len(sums)), len(sums)
    levels = postings.view(np.int8)
    begin = row_indptr[row]
    size = row_indptr[row + 1] - begin
    places = np.empty(size, np.int64)  # of the features with levels of all tags
    values = np.empty(size, np.float32)
    found = 0
    for i in range(begin, begin + size):
        feature, value = np.uint64(row_indices[i]), row_values[i]
        start, end = indptr[feature], indptr[feature + np.uint64(1)]
        if dense and end - start == dense:
            places[found], values[found] = 4 * np.int64(start), value
            found += 1
            continue
        for j in range(start, end):
            posting = postings[np.uint64(j)]
            sums[posting >> _LEVEL_BITS] += value * np.float32(
                np.int32(posting & _LEVEL_MASK) - _LEVEL_ZERO
            )
    i = 0
    while i + 3 < found:  # four at once: the sums are read and written less, memory waited for less
        v, w, x, y = values[i], values[i + 1], values[i + 2], values[i + 3]
        a, b, c, d = places[i], places[i + 1], places[i + 2], places[i + 3]
        first, second = levels[a : a + tags], levels[b : b + tags]
        third, fourth = levels[c : c + tags], levels[d : d + tags]
        for tag in range(tags):
            sums[tag] += (
                v * np.float32(first[tag]) + w * np.float32(second[tag])
                + x * np.float32(third[tag]) + y * np.float32(fourth[tag])
            )  # fmt: skip
        i += 4
    while i < found:
        last_value, place = values[i], places[i]
        own = levels[place : place + tags]
        for tag in range(tags):
            sums[tag] += last_value * np.float32(own[tag])
        i += 1


@kernel
def _pack(features, tags, levels, n_features, n_tags):  # type: ignore[no-untyped-def]
    """`indptr` and `postings` of weights ordered by feature, then tag."""
    dense = dense_words(n_tags)
    counts = np.zeros(n_features, np.int64)
    for feature in features:
        counts[feature] += 1
    indptr = np.zeros(n_features + 1, np.int32)
    for feature in range(n_features):
        size = counts[feature]
        if dense and _DENSE_SHARE * size >= dense:
            size = dense
        indptr[feature + 1] = indptr[feature] + size
    postings = np.zeros(indptr[n_features], np.uint32)
    rows = postings.view(np.int8)
    used = 0
    for feature in range(n_features):
        first = indptr[feature]
        for i in range(counts[feature]):
            tag, level = tags[used], levels[used]
            if dense and indptr[feature + 1] - first == dense:
                rows[4 * first + tag] = level
            else:
                postings[first + i] = np.uint32((tag << 8) | (level + _LEVEL_ZERO))
            used += 1
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
