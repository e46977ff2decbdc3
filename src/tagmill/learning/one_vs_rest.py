"""One linear model a tag, trained on every core: squared hinge, L2, dual coordinate descent.

Hsieh et al. 2008, "A Dual Coordinate Descent Method for Large-scale Linear SVM", with its
shrinking. What keeps it fast is that a tag sees only the products that matter to it: those that
have it, a weighted sample of the others, and those others that a first model takes for it (hard
negatives, as mined by PECOS, Yu et al. 2022). The cost grows with the labels, not with products
times tags. Cross-fitting starts from the solution of all products, less what is held out, and
needs a few steps from there (DeCoste & Wagstaff 2000, "Alpha seeding").
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.kernels import kernel
from tagmill.learning.dataset import LabelMatrix
from tagmill.tagging.features import FEATURE_BITS, Rows
from tagmill.tagging.linear import LinearModel, best_margins
from tagmill.tagging.options import TEACHER_WEIGHT

__all__ = ["OneVsRest", "in_blocks", "on_all_cores", "train_linear"]

# Of the products without a tag a sample is seen: so many for each with it, and so many more.
_SAMPLED_PER_POSITIVE, _SAMPLED = 2, 500
_HEAVIEST = 32.0  # products that one of the sample may stand for
# Hard negatives are a product's highest margins above this one; the hinge begins at -1.
_HARD, _HARDEST = 20, -0.95
_EPOCHS = 40
_TOLERANCE = 0.2  # largest violated gradient at which training ends
_FAR = np.float32(0.05)  # gradient from which a row on the right side is left out for a while
_BLOCK = 16  # tags that one call of a kernel trains
_ROWS_AT_ONCE = 2_048
# Weights below this share of a tag's largest are noise that costs memory traffic.
_RELATIVE_CUT = 0.01
# Weights kept of a tag; of very many tags fewer, so that all fit into memory.
_WEIGHTS_PER_TAG, _FEWEST_WEIGHTS, _WEIGHTS = 16_384, 256, 16_000_000
# Postings read for an average product, and postings kept in all.
_READS_PER_PRODUCT, _READS_PER_FEATURE = 3_000.0, 32.0  # the larger: long texts tell more
_DENSE_SPEED = 16  # levels of all tags read in the time of one posting
_POSTINGS = 8_000_000
_BIN_BITS = 12  # of a float32 that are left out to compare sizes: a two-thousandth

Result = TypeVar("Result")


def train_linear(
    rows: Rows, labels: LabelMatrix, *, regularisation: float = 1.0, seed: int = 0
) -> LinearModel:
    """A model for every tag accepted at least once; the same for the same seed.

    `regularisation` is C of the squared hinge.
    """
    return OneVsRest.solve(rows, labels, regularisation=regularisation, seed=seed).index()


@dataclass(frozen=True)
class _Entries:
    """What each tag was trained on, tag t the entries indptr[t]:indptr[t + 1]."""

    indptr: npt.NDArray[np.int64]  # (m + 1,)
    rows: npt.NDArray[np.int32]
    signs: npt.NDArray[np.int8]  # +1 has it, -1 has not
    costs: npt.NDArray[np.float32]  # C times what the entry weighs
    duals: npt.NDArray[np.float32]  # the solution: weights = sum of dual · sign · row

    @staticmethod
    def of_no_tag(size: int) -> _Entries:
        none = np.zeros(0, np.float32)
        return _Entries(
            np.zeros(size + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8), none, none
        )


@dataclass(frozen=True)
class OneVsRest:
    """The solution of all tags in its dual form: what further training may start from."""

    rows: Rows
    feature_ids: npt.NDArray[np.int32]  # features that occur, frequent ones first
    places: npt.NDArray[np.int32]  # of the rows' features among them
    entries: _Entries
    trained: npt.NDArray[np.int64]  # tags with a model
    held_out: npt.NDArray[np.bool_]  # (n,) rows it has not seen
    seed: int

    @staticmethod
    def solve(
        rows: Rows, labels: LabelMatrix, *, regularisation: float = 1.0, seed: int = 0
    ) -> OneVsRest:
        """Train on a sample, find the hard negatives by what came out, train on."""
        trained = np.flatnonzero(labels.counts() > 0).astype(np.int64)
        size = labels.values.shape[1]
        feature_ids, places = _by_frequency(rows.indices)
        nothing = np.zeros(len(rows), np.bool_)
        start = OneVsRest(
            rows, feature_ids, places, _Entries.of_no_tag(size), trained, nothing, seed
        )
        if not len(feature_ids) or not len(trained):
            return replace(start, trained=trained[:0])
        judged = sparse.csc_array(labels.values)
        entries = start._gather(judged, labels.complete, regularisation)
        first = replace(start, entries=entries)._descended()
        hard = first._hard_negatives(labels)
        return first._with_hard(hard, regularisation)._descended()

    def without(self, held_out: npt.NDArray[np.bool_]) -> OneVsRest:
        """The solution for the rows that are not `held_out` (n,); tags without any left have none.

        Of a tag that none of these rows concerns the weights stay as they are.
        """
        entries = self.entries
        kept = ~held_out[entries.rows]
        owner = np.repeat(np.arange(len(entries.indptr) - 1), np.diff(entries.indptr))
        sizes = np.bincount(owner[kept], minlength=len(entries.indptr) - 1)
        left = _Entries(
            np.concatenate([[0], np.cumsum(sizes)]), entries.rows[kept], entries.signs[kept],
            entries.costs[kept], entries.duals[kept],
        )  # fmt: skip
        positive = np.bincount(owner[kept & (entries.signs > 0)], minlength=len(sizes))
        trained = self.trained[positive[self.trained] > 0]
        return replace(self, entries=left, trained=trained, held_out=held_out)._descended()

    def index(self) -> LinearModel:
        """The model as an inverted index, its weights within the budgets."""
        bias = np.full(len(self.entries.indptr) - 1, np.nan, np.float32)
        limit = int(np.clip(_WEIGHTS // max(len(self.trained), 1), _FEWEST_WEIGHTS,
                            _WEIGHTS_PER_TAG))  # fmt: skip

        def weigh(block: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
            arrays: tuple[npt.NDArray[Any], ...] = _weigh_block(
                self.rows.indptr, self.places, self.rows.values, len(self.feature_ids),
                *self._solved(), block, limit,
            )  # fmt: skip
            return arrays

        if not len(self.trained):
            return LinearModel.untrained(len(bias))
        parts = []
        for block, (kept, weights, sizes, biases) in zip(
            in_blocks(self.trained), on_all_cores(weigh, in_blocks(self.trained)), strict=True
        ):
            bias[block] = biases
            parts.append(
                (self.feature_ids[kept], np.repeat(block, sizes).astype(np.int32), weights)
            )
        features, tags, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        statistics = _FeatureStatistics.of(self.rows, self.held_out)
        return _within_budgets(features, tags, values, bias, statistics)

    def _solved(self) -> tuple[npt.NDArray[Any], ...]:
        entries = self.entries
        return entries.indptr, entries.rows, entries.signs, entries.duals

    def _gather(
        self, judged: sparse.csc_array, complete: npt.NDArray[np.bool_], regularisation: float
    ) -> _Entries:
        """The judged rows of every tag, and its sample of the others."""
        indptr, rows = judged.indptr.astype(np.int64), judged.indices.astype(np.int32)
        pool = np.flatnonzero(complete).astype(np.int32)

        def gather(block: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
            arrays: tuple[npt.NDArray[Any], ...] = _gather_block(
                indptr, rows, judged.data.astype(np.float32), complete, pool, block,
                np.float32(regularisation), self.seed,
            )  # fmt: skip
            return arrays

        parts = list(on_all_cores(gather, in_blocks(self.trained)))
        found, signs, costs, sizes = (np.concatenate(a) for a in zip(*parts, strict=True))
        counts = np.zeros(judged.shape[1], np.int64)
        counts[self.trained] = sizes
        bounds = np.concatenate([[0], np.cumsum(counts)])
        return _Entries(bounds, found, signs, costs, np.zeros(len(found), np.float32))

    def _descended(self) -> OneVsRest:
        """The same with its duals at the optimum, from where they are."""
        entries = self.entries
        duals = entries.duals.copy()

        def descend(block: npt.NDArray[np.int64]) -> None:
            _descend_block(
                self.rows.indptr, self.places, self.rows.values, len(self.feature_ids),
                entries.indptr, entries.rows, entries.signs, entries.costs, duals, block, self.seed,
            )  # fmt: skip

        for _ in on_all_cores(descend, in_blocks(self.trained)):
            pass
        return replace(self, entries=replace(entries, duals=duals))

    def _hard_negatives(
        self, labels: LabelMatrix
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Of each tag the rows that the model takes for it and that were not judged so."""
        model = self.index()

        def find(rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
            found, tags, margins = best_margins(
                self.rows, model, _HARD, int(rows[0]), int(rows[-1]) + 1
            )
            kept = (margins > _HARDEST) & labels.complete[found]
            return found[kept], tags[kept]

        starts = range(0, len(self.rows), _ROWS_AT_ONCE)
        chunks = [np.arange(s, min(s + _ROWS_AT_ONCE, len(self.rows))) for s in starts]
        rows, tags = (np.concatenate(a) for a in zip(*on_all_cores(find, chunks), strict=True))
        order = np.argsort(tags, kind="stable")
        counts = np.bincount(tags, minlength=labels.values.shape[1])
        return np.concatenate([[0], np.cumsum(counts)]), rows[order]

    def _with_hard(
        self, hard: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]], regularisation: float
    ) -> OneVsRest:
        """The same with hard negatives among the entries, none twice."""
        entries = self.entries
        indptr, rows, signs, costs, duals = _join_hard(
            entries.indptr, entries.rows, entries.signs, entries.costs, entries.duals, *hard,
            np.float32(regularisation), len(self.rows), self.trained,
        )  # fmt: skip
        return replace(self, entries=_Entries(indptr, rows, signs, costs, duals))


def in_blocks(tags: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """The tags in the blocks that one call of a kernel trains."""
    return [tags[start : start + _BLOCK] for start in range(0, len(tags), _BLOCK)]


def on_all_cores(
    work: Callable[[npt.NDArray[np.int64]], Result], blocks: Sequence[npt.NDArray[np.int64]]
) -> Iterator[Result]:
    """What `work` gives for each block, in order.

    Threads over kernels without the GIL: an idle one sleeps, where OpenMP's would spin.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(work, blocks)


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
    def of(rows: Rows, held_out: npt.NDArray[np.bool_]) -> _FeatureStatistics:
        seen = max(int((~held_out).sum()), 1)
        count, total, square = _sum_features(
            rows.indptr, rows.indices, rows.values, held_out, 1 << FEATURE_BITS
        )
        return _FeatureStatistics(count / seen, total / seen, square / np.maximum(count, 1))


def _within_budgets(
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
    told = worth * frequency
    kept = told >= _cut(told, np.ones_like(told), _POSTINGS)
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
    """The worth, never negative, from which on all costs together stay within the budget."""
    if float(cost.sum()) <= budget:
        return np.float32(0)
    # Bits of floats that are not negative are ordered as the floats: bins instead of sorting.
    bins = worth.view(np.uint32) >> np.uint32(_BIN_BITS)
    above = np.cumsum(np.bincount(bins, cost)[::-1])[::-1]
    first = int(np.searchsorted(-above, -budget))
    return np.uint32(first << _BIN_BITS).view(np.float32)


@kernel
def _sum_features(indptr, indices, values, left_out, n_features):  # type: ignore[no-untyped-def]
    """Of each feature the rows that have it, the sum of its values and of their squares."""
    count = np.zeros(n_features, np.float32)
    total = np.zeros(n_features, np.float32)
    square = np.zeros(n_features, np.float32)
    for row in range(len(indptr) - 1):
        if left_out[row]:
            continue
        for j in range(indptr[row], indptr[row + 1]):
            feature, value = indices[j], values[j]
            count[feature] += 1
            total[feature] += value
            square[feature] += value * value
    return count, total, square


@kernel(inline="always")
def _next_random(state):  # type: ignore[no-untyped-def]
    """The next state of xorshift."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state


@kernel(inline="always")
def _seeded(seed, tag):  # type: ignore[no-untyped-def]
    return np.uint64(seed + tag) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)


@kernel
def _gather_block(  # type: ignore[no-untyped-def]
    tag_indptr, tag_rows, tag_values, complete, pool, block, regularisation, seed
):
    """Rows, signs and costs of the entries of each tag of a block, and how many each has.

    A soft label v in (-1, 1), a teacher's, is both: right with (1 + v) / 2 of its weight, wrong
    with the rest.
    """
    judged, most = 0, 0
    for tag in block:
        size = tag_indptr[tag + 1] - tag_indptr[tag]
        judged += size
        most = max(most, size)
    capacity = (2 + _SAMPLED_PER_POSITIVE) * judged + len(block) * _SAMPLED
    rows = np.empty(capacity, np.int32)
    signs = np.empty(capacity, np.int8)
    costs = np.empty(capacity, np.float32)
    sizes = np.zeros(len(block), np.int64)
    is_taken = np.zeros(len(complete), np.bool_)
    used = 0
    for k in range(len(block)):
        tag = block[k]
        first, positives, inside = used, 0, 0
        for j in range(tag_indptr[tag], tag_indptr[tag + 1]):
            row, value = tag_rows[j], tag_values[j]
            is_taken[row] = True
            inside += complete[row]
            positives += value > 0
            weight = regularisation
            if abs(value) < 1:
                weight *= np.float32(TEACHER_WEIGHT)
            if value > -1:
                rows[used], signs[used] = row, 1
                costs[used] = weight * (1 + value) / 2
                used += 1
            if value < 1:
                rows[used], signs[used] = row, -1
                costs[used] = weight * (1 - value) / 2
                used += 1
        others = len(pool) - inside
        wanted = _SAMPLED + _SAMPLED_PER_POSITIVE * positives
        start = used
        if 2 * wanted >= others:  # most of them: go through all, take each with a fair chance
            state = _seeded(seed, tag)
            left = min(wanted, others)
            seen = 0
            for row in pool:
                if is_taken[row]:
                    continue
                state = _next_random(state)
                if np.int64(state % np.uint64(others - seen)) < left:
                    rows[used], signs[used] = row, -1
                    used += 1
                    left -= 1
                seen += 1
        else:
            state = _seeded(seed, tag)
            while used - start < wanted:
                state = _next_random(state)
                row = pool[np.int64(state % np.uint64(len(pool)))]
                if not is_taken[row]:
                    is_taken[row] = True
                    rows[used], signs[used] = row, -1
                    used += 1
        if used > start:
            weight = min(np.float32(others) / np.float32(used - start), np.float32(_HEAVIEST))
            costs[start:used] = regularisation * weight
        is_taken[rows[first:used]] = False
        sizes[k] = used - first
    return rows[:used].copy(), signs[:used].copy(), costs[:used].copy(), sizes


@kernel
def _join_hard(  # type: ignore[no-untyped-def]
    indptr, rows, signs, costs, duals, hard_indptr, hard_rows, regularisation, n, trained
):
    """The entries with the hard negatives that are not among them, of trained tags only.

    One of the sample that is hard stands for itself from now on.
    """
    m = len(indptr) - 1
    capacity = len(rows) + len(hard_rows)
    out_rows = np.empty(capacity, np.int32)
    out_signs = np.empty(capacity, np.int8)
    out_costs = np.empty(capacity, np.float32)
    out_duals = np.zeros(capacity, np.float32)
    out_indptr = np.zeros(m + 1, np.int64)
    place = np.full(n, -1, np.int64)
    has_model = np.zeros(m, np.bool_)
    has_model[trained] = True
    used = 0
    for tag in range(m):
        first = used
        for j in range(indptr[tag], indptr[tag + 1]):
            out_rows[used], out_signs[used] = rows[j], signs[j]
            out_costs[used], out_duals[used] = costs[j], duals[j]
            place[rows[j]] = used
            used += 1
        if has_model[tag]:
            for j in range(hard_indptr[tag], hard_indptr[tag + 1]):
                row = hard_rows[j]
                if place[row] < first:
                    out_rows[used], out_signs[used] = row, -1
                    out_costs[used] = regularisation
                    used += 1
                elif out_signs[place[row]] < 0:
                    out_costs[place[row]] = min(out_costs[place[row]], regularisation)
        out_indptr[tag + 1] = used
    return (
        out_indptr, out_rows[:used].copy(), out_signs[:used].copy(), out_costs[:used].copy(),
        out_duals[:used].copy(),
    )  # fmt: skip


@kernel
def _start(indptr, indices, values, rows, signs, duals, weights):  # type: ignore[no-untyped-def]
    """Add up the weights that the duals of a tag's entries stand for; returns the bias."""
    bias = np.float32(0)
    for i in range(len(rows)):
        if duals[i] > 0:
            step, row = duals[i] * signs[i], rows[i]
            bias += step
            for j in range(indptr[row], indptr[row + 1]):
                weights[indices[j]] += step * values[j]
    return bias


@kernel
def _descend_block(  # type: ignore[no-untyped-def]
    indptr, indices, values, n_features, entry_indptr, rows, signs, costs, duals, block, seed
):
    """Move the duals of each tag of a block to their optimum."""
    weights = np.zeros(n_features, np.float32)
    for tag in block:
        own = slice(entry_indptr[tag], entry_indptr[tag + 1])
        bias = _start(indptr, indices, values, rows[own], signs[own], duals[own], weights)
        _descend(
            indptr, indices, values, rows[own], signs[own], costs[own], duals[own], weights, bias,
            _seeded(seed, tag),
        )  # fmt: skip
        weights[:] = 0


@kernel
def _descend(  # type: ignore[no-untyped-def]
    indptr, indices, values, rows, signs, costs, duals, weights, bias, state
):
    """Dual coordinate descent with shrinking over the entries of one tag."""
    active = np.arange(len(rows))
    size = len(rows)
    bound = np.float32(np.inf)
    for _ in range(_EPOCHS):
        worst = np.float32(0)
        highest = np.float32(-np.inf)
        position = 0
        while position < size:
            state = _next_random(state)
            other = position + np.int64(state % np.uint64(size - position))
            active[position], active[other] = active[other], active[position]
            i = active[position]
            row, sign = rows[i], np.float32(signs[i])
            diagonal = np.float32(0.5) / max(costs[i], np.float32(1e-6))
            margin = bias
            for j in range(indptr[row], indptr[row + 1]):
                margin += weights[indices[j]] * values[j]
            gradient = sign * margin - np.float32(1) + duals[i] * diagonal
            if duals[i] == 0:
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
                before = duals[i]
                # Rows have length one, and the bias is a feature of value one.
                duals[i] = max(before - gradient / (np.float32(2) + diagonal), np.float32(0))
                step = (duals[i] - before) * sign
                bias += step
                for j in range(indptr[row], indptr[row + 1]):
                    weights[indices[j]] += step * values[j]
            position += 1
        if worst < _TOLERANCE:
            if size == len(active):
                break
            size = len(active)  # check the rows left out once more
            bound = np.float32(np.inf)
        else:
            bound = min(highest, _FAR) if highest > 0 else _FAR


@kernel
def _weigh_block(  # type: ignore[no-untyped-def]
    indptr, indices, values, n_features, entry_indptr, rows, signs, duals, block, limit
):
    """Feature and size of the largest weights of each tag of a block, how many, and the biases."""
    weights = np.zeros(n_features, np.float32)
    features = np.empty(len(block) * limit, np.int32)
    out = np.empty(len(block) * limit, np.float32)
    sizes = np.zeros(len(block), np.int64)
    biases = np.zeros(len(block), np.float32)
    used = 0
    for k in range(len(block)):
        own = slice(entry_indptr[block[k]], entry_indptr[block[k] + 1])
        biases[k] = _start(indptr, indices, values, rows[own], signs[own], duals[own], weights)
        total = 0
        for i in range(own.start, own.stop):
            if duals[i] > 0:
                total += indptr[rows[i] + 1] - indptr[rows[i]]
        touched = np.empty(min(total, n_features), np.int32)
        sizes_of = np.empty(len(touched), np.float32)
        found = 0
        for i in range(own.start, own.stop):
            if duals[i] > 0:
                for j in range(indptr[rows[i]], indptr[rows[i] + 1]):
                    if weights[indices[j]] != 0:
                        touched[found], sizes_of[found] = indices[j], weights[indices[j]]
                        weights[indices[j]] = 0
                        found += 1
        size = np.abs(sizes_of[:found])
        cut = size.max() * _RELATIVE_CUT if found else np.float32(0)
        if (size > cut).sum() > limit:
            cut = np.partition(size, found - limit - 1)[found - limit - 1]
        first = used
        for i in range(found):
            if size[i] > cut and used - first < limit:
                features[used], out[used] = touched[i], sizes_of[i]
                used += 1
        sizes[k] = used - first
    return features[:used].copy(), out[:used].copy(), sizes, biases
