"""One-vs-rest linear models over hashed features.

Training is dual coordinate descent for the L2-regularised squared hinge (Hsieh et al. 2008,
"A Dual Coordinate Descent Method for Large-scale Linear SVM", with its shrinking), one tag after
the other on every core. The result is kept as an inverted index from feature to tags.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.tagging.features import FEATURE_BITS, Rows

__all__ = ["LabelMatrix", "LinearModel", "add_postings", "train_linear"]

# Weights below this share of a tag's largest are noise that costs memory traffic.
_RELATIVE_CUT = 0.01
# Postings kept per feature: the most decided tags.
_POSTINGS_PER_FEATURE = 64
# Weights kept per tag before that, and tags trained between two such selections.
_WEIGHTS_PER_TAG = 16_384
_BLOCK = 16
# The low bits of a posting hold the quantised weight.
_LEVEL_BITS = np.uint32(8)
_LEVEL_MASK = np.uint32(255)
_LEVEL_ZERO = 128
_TOLERANCE = 0.1  # largest violated gradient at which training ends, liblinear's default


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
    """Inverted index: feature f has the postings indptr[f]:indptr[f + 1] of (tag, weight).

    A posting is `tag << 8 | level + 128`; the weight is `level * scale[tag]`, level in -127..127:
    four bytes read per posting, and reading postings is what scoring costs.
    """

    indptr: npt.NDArray[np.int32]  # (features + 1,)
    postings: npt.NDArray[np.uint32]  # (postings,)
    scale: npt.NDArray[np.float32]  # (tags,)
    bias: npt.NDArray[np.float32]  # (tags,), nan for a tag without a model

    @staticmethod
    def untrained(size: int) -> LinearModel:
        """A model of no tag out of `size`."""
        return _build_index([], np.full(size, np.nan, np.float32))

    def margins(self, rows: Rows) -> npt.NDArray[np.float32]:
        """All margins, (n, tags) float32; nan for a tag without a model."""
        out = np.zeros((len(rows), len(self.bias)), np.float32)
        for row in range(len(rows)):
            add_postings(
                row, rows.indptr, rows.indices, rows.values, self.indptr, self.postings, out[row]
            )
        result: npt.NDArray[np.float32] = out * self.scale + self.bias
        return result

    def tags(self) -> npt.NDArray[np.int64]:
        """The tag of each posting, (postings,)."""
        return (self.postings >> _LEVEL_BITS).astype(np.int64)

    def moved(self, places: npt.NDArray[np.int64], size: int) -> LinearModel:
        """The same with tag i at places[i] (-1: dropped) of `size` tags."""
        tags = places[self.tags()]
        kept = np.concatenate([np.zeros(1, np.int32), np.cumsum(tags >= 0, dtype=np.int32)])
        levels = self.postings & _LEVEL_MASK
        postings = (tags.astype(np.uint32) << _LEVEL_BITS | levels)[tags >= 0]
        scale, bias = np.zeros(size, np.float32), np.full(size, np.nan, np.float32)
        known = places >= 0
        scale[places[known]], bias[places[known]] = self.scale[known], self.bias[known]
        return LinearModel(kept[self.indptr], postings, scale, bias)


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
    feature_ids, compact = np.unique(rows.indices, return_inverse=True)
    compact = compact.astype(np.int32)
    bias = np.full(judged.shape[1], np.nan, np.float32)
    if not len(feature_ids):  # products without any text: nothing to learn from
        return _build_index([], bias)
    parts: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]] = []
    tag_indptr, tag_rows = judged.indptr.astype(np.int64), judged.indices.astype(np.int64)

    def train_block(block: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
        arrays: tuple[npt.NDArray[Any], ...] = _train_block(
            rows.indptr, compact, rows.values, len(feature_ids), tag_indptr, tag_rows,
            judged.data, labels.complete, block, regularisation, epochs, seed,
        )  # fmt: skip
        return arrays

    # Threads over a kernel without the GIL: an idle one sleeps, where OpenMP's would spin.
    blocks = [trained[start : start + _BLOCK] for start in range(0, len(trained), _BLOCK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for block, arrays in zip(blocks, pool.map(train_block, blocks), strict=True):
            kept, weights, sizes, bias[block] = arrays
            filled = np.arange(kept.shape[1]) < sizes[:, None]
            features = feature_ids[kept[filled]].astype(np.int32)
            parts.append((features, np.repeat(block, sizes).astype(np.int32), weights[filled]))
    return _build_index(parts, bias)


def _build_index(
    parts: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]],
    bias: npt.NDArray[np.float32],
) -> LinearModel:
    """Postings by feature, the most decided `_POSTINGS_PER_FEATURE` of each, tags ascending."""
    empty = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    features, tags, weights = (
        np.concatenate(arrays) for arrays in zip(*parts or [empty], strict=True)
    )
    indptr, tags, weights = _index_postings(
        features, tags, weights, 1 << FEATURE_BITS, _POSTINGS_PER_FEATURE
    )
    largest = np.zeros(len(bias), np.float32)
    np.maximum.at(largest, tags, np.abs(weights))
    scale = np.where(largest > 0, largest / np.float32(_LEVEL_ZERO - 1), np.float32(1))
    levels = np.rint(weights / scale[tags]).astype(np.int64) + _LEVEL_ZERO
    postings = (tags.astype(np.int64) << _LEVEL_BITS | levels).astype(np.uint32)
    return LinearModel(indptr, postings, scale, bias)


@numba.njit(nogil=True, cache=True)
def _index_postings(features, tags, weights, n_features, limit):  # type: ignore[no-untyped-def]
    """Counting sort by feature; of each feature the `limit` largest |weight|, in their order."""
    starts = np.zeros(n_features + 1, np.int64)
    for feature in features:
        starts[feature + 1] += 1
    for feature in range(n_features):
        starts[feature + 1] += starts[feature]
    cursor = starts[:-1].copy()
    order = np.empty(len(features), np.int64)
    for i in range(len(features)):
        order[cursor[features[i]]] = i
        cursor[features[i]] += 1
    indptr = np.zeros(n_features + 1, np.int32)
    out_tags = np.empty(len(features), np.int32)
    out_weights = np.empty(len(features), np.float32)
    used = 0
    for feature in range(n_features):
        own = order[starts[feature] : starts[feature + 1]]
        cut, ties = np.float32(0), len(own)
        if len(own) > limit:
            size = np.abs(weights[own])
            cut = np.partition(size, len(own) - limit)[len(own) - limit]
            ties = limit - (size > cut).sum()  # of equal weights at the cut the first stay
        for i in own:
            magnitude = abs(weights[i])
            if magnitude < cut:
                continue
            if magnitude == cut:
                if ties <= 0:
                    continue
                ties -= 1
            out_tags[used] = tags[i]
            out_weights[used] = weights[i]
            used += 1
        indptr[feature + 1] = used
    return indptr, out_tags[:used].copy(), out_weights[:used].copy()


@numba.njit(nogil=True, cache=True)
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


@numba.njit(nogil=True, cache=True)
def _train_one(  # type: ignore[no-untyped-def]
    indptr, indices, values, n_features, complete, judged, signs, regularisation, epochs, seed
):
    """Weights and bias of one tag by dual coordinate descent with shrinking."""
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
    size = len(active)
    bound = np.float32(np.inf)
    state = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)
    for _ in range(epochs):
        worst = np.float32(0)
        highest = np.float32(-np.inf)
        position = 0
        while position < size:
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            other = position + np.int64(state % np.uint64(size - position))
            active[position], active[other] = active[other], active[position]
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
            bound = highest if highest > 0 else np.float32(np.inf)
    return weights, bias


@numba.njit(nogil=True, cache=True)
def add_postings(  # type: ignore[no-untyped-def]
    row, row_indptr, row_indices, row_values, indptr, postings, sums
):
    """Add to `sums` (tags,) the levels of one row's postings, weighted by its values."""
    for i in range(row_indptr[row], row_indptr[row + 1]):
        feature = row_indices[i]
        value = row_values[i]
        for j in range(indptr[feature], indptr[feature + 1]):
            posting = postings[j]
            sums[posting >> _LEVEL_BITS] += value * np.float32(
                np.int32(posting & _LEVEL_MASK) - _LEVEL_ZERO
            )
