"""Scores into probabilities, and probabilities into lanes.

`Calibration` is isotonic regression by bucket of tag frequency, shrunk to that of all pairs
(pool-adjacent-violators, Zadrozny & Elkan 2002). `lane_threshold` finds where the lane auto may
begin by Learn-then-Test (Angelopoulos et al. 2021) with a binomial tail bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = [
    "FREQUENCY_BUCKETS",
    "Calibration",
    "Curve",
    "best_f1_threshold",
    "fit_calibration",
    "fit_curve",
    "half_best_f1",
    "is_shown",
    "lane_threshold",
    "longest_passing",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# A tag is in bucket i when it has at least FREQUENCY_BUCKETS[i] training examples.
FREQUENCY_BUCKETS: tuple[int, ...] = (0, 5, 20, 100)
_BUCKET_STARTS = np.array(FREQUENCY_BUCKETS)
# What all pairs outside a bucket weigh together in its curve, in pairs of its own.
_SHRINKAGE_PAIRS = 500.0
# Sequences of tests for a lane: each begins where its pairs are expected to be wrong that share
# less often than promised, and has this share of delta.
_SEQUENCES = ((0.4, 0.65), (0.7, 0.25), (1.0, 0.1))


@dataclass(frozen=True)
class Curve:
    """A monotone map from score to probability: knots `x` (k,) ascending, values `y` (k,)."""

    x: Floats
    y: Floats

    def __call__(self, scores: npt.NDArray[np.floating]) -> Floats:
        """Probabilities in [0, 1] of scores of any shape; constant outside the knots."""
        return np.asarray(np.interp(scores, self.x, self.y), np.float64)


@dataclass(frozen=True)
class Calibration:
    """One curve for each frequency bucket."""

    curves: tuple[Curve, ...]

    def __call__(self, scores: npt.NDArray[np.floating], counts: npt.NDArray[np.integer]) -> Floats:
        """Probabilities (n,) of scores (n,) whose tags have `counts` (n,) training examples."""
        curve, low, high, width = self._one_after_the_other
        return curve(np.minimum(np.maximum(scores, low), high) + width * bucket_of(counts))

    @cached_property
    def _one_after_the_other(self) -> tuple[Curve, float, float, float]:
        """All curves as one, the scores of bucket i moved by i widths, and their range."""
        low = min(float(curve.x[0]) for curve in self.curves)
        high = max(float(curve.x[-1]) for curve in self.curves)
        width = high - low + 1
        x = [np.r_[low, curve.x, high] + i * width for i, curve in enumerate(self.curves)]
        y = [np.r_[curve.y[0], curve.y, curve.y[-1]] for curve in self.curves]
        return Curve(np.concatenate(x), np.concatenate(y)), low, high, width


def bucket_of(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The frequency bucket of each tag count."""
    return np.searchsorted(_BUCKET_STARTS, counts, side="right") - 1


def fit_curve(
    scores: npt.NDArray[np.floating],
    outcomes: Bools | npt.NDArray[np.floating],
    weights: Floats | None = None,
) -> Curve:
    """The isotonic curve of outcomes, in [0, 1], on scores, a knot at the mean score of each level.

    A level whose pairs all agree gets (right + 1) / (pairs + 2), so that no finite sample is
    taken for certainty. `weights` (n,) count a pair as so many. Without pairs it is 0.5.
    """
    if len(scores) == 0:
        return Curve(np.array([0.0]), np.array([0.5]))
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(scores, kind="stable")
    ordered = np.asarray(scores, np.float64)[order]
    mass = np.ones(len(ordered)) if weights is None else weights[order]
    right = np.asarray(outcomes, np.float64)[order]
    fitted = IsotonicRegression().fit_transform(ordered, right, sample_weight=mass)
    starts = np.flatnonzero(np.r_[True, np.diff(fitted) > 0])
    sizes = np.add.reduceat(mass, starts)
    x = np.add.reduceat(ordered * mass, starts) / sizes
    y = fitted[starts]
    if y[0] <= 0:  # only the first level can be all wrong, only the last all right
        y[0] = min([1 / (sizes[0] + 2), *y[1:2]])
    if y[-1] >= 1:
        y[-1] = max([(sizes[-1] + 1) / (sizes[-1] + 2), *y[-2:-1]])
    return Curve(x, y)


def fit_calibration(
    scores: npt.NDArray[np.floating],
    outcomes: Bools | npt.NDArray[np.floating],
    counts: npt.NDArray[np.integer],
) -> Calibration:
    """Calibration of held-out scores (n,), how right each was (n,), and tag counts (n,).

    Each bucket's curve sees its own pairs in full and all others with a total weight of
    `_SHRINKAGE_PAIRS`: where it has no evidence of its own it follows the rest.
    """
    bucket = bucket_of(counts)
    curves = []
    for index in range(len(FREQUENCY_BUCKETS)):
        members = bucket == index
        others = max(len(scores) - int(members.sum()), 1)
        weights = np.where(members, 1.0, min(1.0, _SHRINKAGE_PAIRS / others))
        curves.append(fit_curve(scores, outcomes, weights))
    return Calibration(tuple(curves))


def lane_threshold(
    probabilities: npt.NDArray[np.floating],
    outcomes: Bools,
    precision: float,
    *,
    delta: float = 0.1,
) -> float:
    """The probability from which accepted pairs hold `precision`; inf if none can be shown.

    Learn-then-Test, fixed-sequence: thresholds are tested from strict to lenient with a binomial
    tail bound, and a sequence ends at its first failure, so precision holds with probability at
    least 1 - delta. Where to begin, which no outcome may decide, the probabilities say: at the
    threshold whose pairs they expect to be a little better than promised. Further sequences, with
    smaller shares of delta, begin at stricter ones. `probabilities` must come from a calibration
    that did not see these outcomes.
    """
    order = np.argsort(-np.asarray(probabilities, np.float64), kind="stable")
    ordered = np.asarray(probabilities, np.float64)[order]
    wrong = np.cumsum(~np.asarray(outcomes, np.bool_)[order], dtype=np.int64)
    expected = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    accepted = 0
    for lead, share in _SEQUENCES:
        wanted = precision + lead * (1 - precision)
        first = int(np.searchsorted(-expected, -wanted, side="right"))
        passing = longest_passing(ordered, wrong, first, precision, share * delta)
        accepted = max(accepted, passing)
    if not accepted:
        return float("inf")
    # Midway to the next lower pair: any value between accepts the same held-out pairs.
    below = ordered[accepted] if accepted < len(ordered) else 0.0
    return float(ordered[accepted - 1] + below) / 2


def longest_passing(
    ordered: Floats,
    wrong: npt.NDArray[np.integer],
    first: int,
    precision: float,
    level: float,
) -> int:
    """How many pairs the most lenient threshold of a sequence accepts before one fails; 0: none.

    The sequence begins at `first` pairs and grows by a hundredth, pairs of equal probability
    being accepted together.
    """
    last_of_ties = np.flatnonzero(np.r_[np.diff(ordered) != 0, len(ordered) > 0]) + 1
    smallest = int(np.ceil(np.log(level) / np.log(precision)))  # shown by no error at all
    size, passed = max(first, smallest), 0
    while passed < size <= len(ordered):
        size = int(last_of_ties[np.searchsorted(last_of_ties, size)])
        if not is_shown(int(wrong[size - 1]), size, precision, level):
            break
        passed = size
        size = min(max(size + 1, int(size * 1.01)), len(ordered))
    return passed


def is_shown(wrong: int, size: int, precision: float, level: float) -> bool:
    """Whether so few are wrong of so many that at least `precision` are right: by chance, with
    fewer right, it would happen with a probability of at most `level` (binomial tail)."""
    from scipy.special import bdtr

    return bool(bdtr(wrong, size, 1 - precision) <= level)


def best_f1_threshold(
    probabilities: npt.NDArray[np.floating],
    outcomes: Bools,
    gold_total: int,
    *,
    published: int = 0,
    published_right: int = 0,
) -> float:
    """The probability from which publishing gives the highest micro-F1, 2 TP / (published + gold).

    `gold_total` counts all gold pairs, those never suggested included. Other pairs may be
    `published` already, so many of them right; inf where it is best to leave it at these. It lies
    halfway between the last pair worth publishing and the next one: of few pairs the last may
    stand far above what other products' pairs will.
    """
    if len(probabilities) == 0:
        return float("inf") if published else 0.5
    order = np.argsort(-np.asarray(probabilities, np.float64), kind="stable")
    ordered = np.asarray(probabilities, np.float64)[order]
    right = np.cumsum(np.asarray(outcomes, np.bool_)[order])
    sizes = published + np.arange(1, len(ordered) + 1)
    f1 = 2 * (published_right + right) / (sizes + max(gold_total, 1))
    last_of_ties = np.r_[np.diff(ordered) != 0, True]
    best = int(np.argmax(np.where(last_of_ties, f1, -1.0)))
    if f1[best] < 2 * published_right / (published + max(gold_total, 1)):
        return float("inf")
    return float(ordered[best : best + 2].mean())


def half_best_f1(
    probabilities: npt.NDArray[np.floating], outcomes: Bools, gold_total: int
) -> float:
    """The probability from which publishing gives the highest micro-F1, where probabilities are
    calibrated: half of that F1 (Lipton, Elkan & Narayanaswamy 2014, "Optimal Thresholding of
    Classifiers to Maximize F1 Measure").

    Of few held-out pairs the threshold that happens to be best (`best_f1_threshold`) may be far
    from it; its F1 hardly is. 0.5 where none is right.
    """
    if not outcomes.any():
        return 0.5
    shown = probabilities >= best_f1_threshold(probabilities, outcomes, gold_total)
    return float(outcomes[shown].sum()) / max(int(shown.sum()) + gold_total, 1)
