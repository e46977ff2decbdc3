"""What a list of tags is worth, from plain arrays.

All functions take `Judged`: predicted (product, tag) pairs over the union of gold and predicted
tags, so a gold tag the model does not know is a miss, and a predicted tag outside gold is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Judged",
    "brier_score",
    "coverage",
    "expected_calibration_error",
    "ranking_metrics",
    "reliability",
    "risk_coverage",
    "set_metrics",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """Predicted pairs ordered by product, best first, and the gold pairs; tags are numbers."""

    rows: Ints  # (p,) product
    tags: Ints  # (p,)
    ranks: Ints  # (p,) 0 is the product's best
    probability: Floats  # (p,)
    right: Bools  # (p,)
    gold_rows: Ints  # (g,)
    gold_tags: Ints  # (g,)
    products: int
    tag_count: int  # size of the union of known, predicted and gold tags

    def gold_sizes(self) -> Ints:
        """Gold tags of each product, (products,)."""
        return np.bincount(self.gold_rows, minlength=self.products)


def ranking_metrics(judged: Judged, tag_frequency: Ints, train_size: int) -> dict[str, float]:
    """P@k, R@k, nDCG@5 and propensity-scored PSP@5, over products that have gold tags.

    P@k divides by k even where a product has fewer gold tags. nDCG@5 has gains 1 and discount
    log2(rank + 2), divided by that of a perfect list. PSP@5 (Jain et al. 2016, A=0.55, B=1.5)
    weighs a hit by the inverse propensity of its tag, divided by the best reachable.
    """
    gold_sizes = judged.gold_sizes()
    with_gold = gold_sizes > 0
    count = max(int(with_gold.sum()), 1)
    results: dict[str, float] = {}
    for k in (1, 3, 5):
        results[f"p_at_{k}"] = float(judged.right[judged.ranks < k].sum() / (k * count))
    for k in (5, 10):
        hits = judged.right & (judged.ranks < k)
        found = np.bincount(judged.rows[hits], minlength=judged.products)
        results[f"r_at_{k}"] = float((found[with_gold] / gold_sizes[with_gold]).sum() / count)
    hits = judged.right & (judged.ranks < 5)
    discounts = 1 / np.log2(np.arange(5) + 2)
    gained = np.bincount(judged.rows[hits], discounts[judged.ranks[hits]], judged.products)
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(gold_sizes, 5)]
    results["ndcg_at_5"] = float((gained[with_gold] / ideal[with_gold]).sum() / count)
    results["psp_at_5"] = _propensity_precision(judged, hits, tag_frequency, train_size)
    return results


def _propensity_precision(
    judged: Judged, hits: Bools, tag_frequency: Ints, train_size: int
) -> float:
    scale = (np.log(max(train_size, 3)) - 1) * 2.5**0.55
    inverse = 1 + scale * (tag_frequency + 1.5) ** -0.55
    gained = inverse[judged.tags[hits]].sum()
    order = np.lexsort((-inverse[judged.gold_tags], judged.gold_rows))
    rows = judged.gold_rows[order]
    best = np.arange(len(rows)) - np.searchsorted(rows, rows) < 5
    return float(gained / max(inverse[judged.gold_tags[order]][best].sum(), 1e-12))


def set_metrics(judged: Judged, published: Bools) -> dict[str, float]:
    """Micro-, macro- and example-F1, precision and recall of the published pairs.

    Macro averages over all tags that are gold or published; example over products, where an empty
    list for a product without gold tags counts as 1.
    """
    right = judged.right & published
    tags_right = np.bincount(judged.tags[right], minlength=judged.tag_count)
    tags_published = np.bincount(judged.tags[published], minlength=judged.tag_count)
    tags_gold = np.bincount(judged.gold_tags, minlength=judged.tag_count)
    rows_right = np.bincount(judged.rows[right], minlength=judged.products)
    rows_published = np.bincount(judged.rows[published], minlength=judged.products)
    tag_totals = tags_published + tags_gold
    row_totals = rows_published + judged.gold_sizes()
    per_row = np.where(row_totals > 0, 2 * rows_right / np.maximum(row_totals, 1), 1.0)
    concerned = tag_totals > 0
    total_right, total_published = int(right.sum()), int(published.sum())
    gold = len(judged.gold_rows)
    return {
        "precision": total_right / max(total_published, 1),
        "recall": total_right / max(gold, 1),
        "micro_f1": 2 * total_right / max(total_published + gold, 1),
        "macro_f1": float((2 * tags_right / np.maximum(tag_totals, 1))[concerned].mean())
        if concerned.any()
        else 0.0,
        "example_f1": float(per_row.mean()) if len(per_row) else 0.0,
    }


def coverage(judged: Judged, accepted: Bools) -> tuple[float, float | None, int]:
    """(share of gold pairs accepted, precision of the accepted or None, how many accepted)."""
    count = int(accepted.sum())
    right = int((judged.right & accepted).sum())
    return right / max(len(judged.gold_rows), 1), right / count if count else None, count


def expected_calibration_error(probability: Floats, right: Bools, bins: int = 15) -> float:
    """Mean |share right - mean probability| over equal-mass bins, weighted by size."""
    return float(
        sum(size * abs(p - share) for p, share, size in reliability(probability, right, bins))
        / max(len(probability), 1)
    )


def reliability(
    probability: Floats, right: Bools, bins: int = 15
) -> list[tuple[float, float, int]]:
    """(mean probability, share right, pairs) of each equal-mass bin, ascending."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [
        (float(probability[part].mean()), float(right[part].mean()), len(part)) for part in parts
    ]


def brier_score(probability: Floats, right: Bools) -> float:
    """Mean squared difference of probability and outcome."""
    return float(np.mean((probability - right) ** 2)) if len(right) else 0.0


def risk_coverage(judged: Judged, points: int = 50) -> list[tuple[float, float]]:
    """(share of gold found, precision) when the most probable pairs are accepted first."""
    order = np.argsort(-judged.probability, kind="stable")
    if not len(order):
        return []
    right = np.cumsum(judged.right[order])
    ends = np.unique(np.geomspace(1, len(order), points).astype(np.int64))
    gold = max(len(judged.gold_rows), 1)
    return [(float(right[end - 1] / gold), float(right[end - 1] / end)) for end in ends]
