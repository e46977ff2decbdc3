"""One way to measure for everybody: from a sparse score matrix to the metrics of the design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.learning.metrics import (
    Judged,
    brier_score,
    coverage,
    expected_calibration_error,
    ranking_metrics,
    set_metrics,
)

PROMISE = 0.95
HELD = 0.935  # an achieved precision below this counts as no coverage
COMPARED = ("p_at_1", "p_at_5", "ndcg_at_5", "micro_f1")  # with bootstrap intervals

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Thresholds:
    """From which score a pair is published, and accepted at the promised precision."""

    publish: float
    accept: float | Floats  # of all tags, or of each (m,)


def judge(scores: sparse.csr_array, gold: sparse.csr_array) -> Judged:
    """The pairs best first beside gold; gold may have more tags than scores."""
    pairs = scores.tocoo()
    rows, tags = pairs.row.astype(np.int64), pairs.col.astype(np.int64)
    values = pairs.data.astype(np.float64)
    order = np.lexsort((-values, rows))
    rows, tags, values = rows[order], tags[order], values[order]
    gold_pairs = sparse.csr_array(gold).tocoo()
    gold_rows, gold_tags = gold_pairs.row.astype(np.int64), gold_pairs.col.astype(np.int64)
    width = gold.shape[1]
    right = np.isin(rows * width + tags, gold_rows * width + gold_tags)
    ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return Judged(rows, tags, ranks, values, right, gold_rows, gold_tags, gold.shape[0], width)


def choose_thresholds(scores: sparse.csr_array, gold: sparse.csr_array) -> Thresholds:
    """Best micro-F1, and the lowest threshold that holds the promised precision, on dev."""
    judged = judge(scores, gold)
    order = np.argsort(-judged.probability, kind="stable")
    values, right = judged.probability[order], np.cumsum(judged.right[order])
    if not len(order):
        return Thresholds(np.inf, np.inf)
    count = np.arange(1, len(order) + 1)
    last = np.append(values[1:] != values[:-1], True)  # equal scores pass together
    f1 = np.where(last, 2 * right / (count + len(judged.gold_rows)), -1.0)
    holds = np.flatnonzero(last & (right / count >= PROMISE))
    return Thresholds(
        float(values[f1.argmax()]), float(values[holds[-1]]) if len(holds) else np.inf
    )


def measure(
    scores: sparse.csr_array,
    gold: sparse.csr_array,
    thresholds: Thresholds,
    frequency: npt.NDArray[np.int64],
    train_size: int,
) -> dict[str, float | None]:
    """All metrics of one method on one test set; `frequency` counts training rows, (m gold,)."""
    judged = judge(scores, gold)
    published = judged.probability >= thresholds.publish
    sets = set_metrics(judged, published)
    share, achieved, count = coverage(judged, accepted_pairs(judged, thresholds))
    top = judged.ranks < 10
    probability, right = judged.probability[top], judged.right[top]
    ranking = ranking_metrics(judged, frequency, train_size)
    return {
        **{key: ranking[key] for key in ("p_at_1", "p_at_5", "r_at_5", "ndcg_at_5", "psp_at_5")},
        "micro_f1": sets["micro_f1"],
        "macro_f1": sets["macro_f1"],
        "coverage": share if achieved is not None and achieved >= HELD else 0.0,
        "achieved": achieved,
        "accepted": count,
        "ece": expected_calibration_error(probability, right),
        "brier": brier_score(probability, right),
    }


def accepted_pairs(judged: Judged, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
    """Which pairs the promised precision lets through."""
    if isinstance(thresholds.accept, float):
        return judged.probability >= thresholds.accept
    return judged.probability >= thresholds.accept[judged.tags]


@dataclass(frozen=True)
class PerProduct:
    """What each test product adds to the compared metrics; all arrays (n,)."""

    sums: dict[str, Floats]

    @staticmethod
    def of(scores: sparse.csr_array, gold: sparse.csr_array, thresholds: Thresholds) -> PerProduct:
        """The parts of one method's metrics."""
        judged = judge(scores, gold)
        n, hit = judged.products, judged.right
        sizes = judged.gold_sizes()
        discounts = 1 / np.log2(np.arange(5) + 2)
        ideal = np.concatenate([[np.inf], np.cumsum(discounts)])[np.minimum(sizes, 5)]
        in_five = hit & (judged.ranks < 5)
        gained = np.bincount(judged.rows[in_five], discounts[judged.ranks[in_five]], n)
        published = judged.probability >= thresholds.publish

        def count(chosen: npt.NDArray[np.bool_]) -> Floats:
            return np.bincount(judged.rows[chosen], minlength=n).astype(np.float64)

        return PerProduct(
            {
                "p_at_1": count(hit & (judged.ranks < 1)),
                "p_at_5": count(in_five) / 5,
                "ndcg_at_5": gained / ideal,
                "right": count(hit & published),
                "size": (count(published) + sizes) / 2,
                "with_gold": (sizes > 0).astype(np.float64),
            }
        )

    def resampled(self, weights: Floats) -> dict[str, Floats]:
        """Each compared metric under each weighting of the products, (resamples,)."""
        totals = {key: weights @ values for key, values in self.sums.items()}
        ranked = {key: totals[key] / totals["with_gold"] for key in COMPARED if key != "micro_f1"}
        return {**ranked, "micro_f1": totals["right"] / np.maximum(totals["size"], 1e-12)}


def bootstrap_weights(size: int, resamples: int = 1000, seed: int = 0) -> Floats:
    """How often each product is drawn in each resample, (resamples, size)."""
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), resamples)
    return drawn.astype(np.float64)


def difference(
    ours: list[PerProduct], peer: PerProduct, metric: str, weights: Floats
) -> dict[str, float]:
    """Our mean over seeds minus the peer, with the 95% interval over the same resamples."""

    def gap(drawn: Floats) -> Floats:
        mean = np.mean([seed.resampled(drawn)[metric] for seed in ours], axis=0)
        return np.asarray(mean - peer.resampled(drawn)[metric], np.float64)

    low, high = np.percentile(gap(weights), [2.5, 97.5])
    return {
        "difference": float(gap(np.ones((1, weights.shape[1])))[0]),
        "low": float(low),
        "high": float(high),
    }
