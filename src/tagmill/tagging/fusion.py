"""What all sources say of one (product, tag) pair, weighed into one score.

Candidates are the pairs any source names. Each gets a row of features (`FEATURES`: every source's
score, its rank, how the pair stands against its facet's other candidates, how far the tag's name
was right where it stood in training texts), and boosted trees turn the row into log-odds. Trees
are fitted by scikit-learn on cross-fitted rows and kept as plain arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

if TYPE_CHECKING:
    from tagmill.tagging.hits import Hits

__all__ = [
    "FEATURES",
    "Candidates",
    "TagStatistics",
    "Trees",
    "build_candidates",
    "entries_at",
    "fit_trees",
]

_THREADED_PAIRS = 100_000
_LEAF_PAIRS = 20  # a leaf of a tree holds at least so many

FEATURES: tuple[str, ...] = (
    "linear",  # margin, nan without a linear model
    "linear_rank",  # 0 is the product's highest margin
    "linear_lead",  # margin less the best other margin of the facet
    "facet_rank",  # rank of the margin within the facet
    "tag_count",  # ln(1 + training examples)
    "hits",  # times a name of the tag stands in the product; 0 if never
    "hit_exact",  # 1 if it is the whole value of the facet's attribute
    "hit_title",  # 1 if it stands in the title
    "hit_start",  # first character of the first hit
    "hit_length",  # characters of the longest hit
    "hit_order",  # among the facet's hits in the product, by place in the text
    "facet_hits",  # tags of the facet with a hit in the product
    "name_precision",  # share of training products with the name that had the tag, smoothed
    "facet_precision",  # the same over all tags of the facet
    "product_hits",  # tags with a hit in the product
)


@dataclass(frozen=True)
class TagStatistics:
    """What the training products tell of each tag, all (m,)."""

    facets: npt.NDArray[np.int32]  # number of the tag's facet
    counts: npt.NDArray[np.int64]  # products it was accepted for
    named: npt.NDArray[np.int64]  # judged products in which a name of it stands
    named_right: npt.NDArray[np.int64]  # of these, products it was accepted for

    def name_precision(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Share of hits that were right, per tag and per tag's facet (Laplace, to the parent)."""
        size = int(self.facets.max(initial=-1)) + 1
        right = np.bincount(self.facets, self.named_right, minlength=size)
        named = np.bincount(self.facets, self.named, minlength=size)
        overall = (right.sum() + 1) / (named.sum() + 2)
        by_facet = ((right + 5 * overall) / (named + 5))[self.facets]
        by_tag = (self.named_right + 2 * by_facet) / (self.named + 2)
        return by_tag.astype(np.float32), by_facet.astype(np.float32)


@dataclass(frozen=True)
class Candidates:
    """(product, tag) pairs ordered by product then tag, with their features."""

    rows: npt.NDArray[np.int32]  # (c,)
    tags: npt.NDArray[np.int32]  # (c,)
    features: npt.NDArray[np.float32]  # (c, len(FEATURES) and two for each other source)

    def __len__(self) -> int:
        return len(self.rows)


def build_candidates(
    linear: sparse.csr_array | None,
    hits: Hits,
    statistics: TagStatistics,
    others: Sequence[sparse.csr_array] = (),
) -> Candidates:
    """Every pair that `linear` (n, m), a hit or another source (n, m) names, with its features.

    Each of `others` adds two features behind `FEATURES`: its score (nan where it says nothing)
    and the score's rank in the product.
    """
    m = len(statistics.counts)
    hit_keys = hits.rows.astype(np.int64) * m + hits.tags
    if linear is None:
        linear_keys, margins = np.zeros(0, np.int64), np.zeros(0, np.float32)
    else:
        linear_keys, margins = _pair_keys(linear), linear.data
    other_keys = [_pair_keys(other) for other in others]
    keys = np.unique(np.concatenate([linear_keys, hit_keys, *other_keys]))
    rows, tags = (keys // m).astype(np.int32), (keys % m).astype(np.int32)
    features = np.zeros((len(keys), len(FEATURES) + 2 * len(others)), np.float32)
    margin = np.full(len(keys), np.nan, np.float32)
    margin[np.searchsorted(keys, linear_keys)] = margins
    for index, (other, found) in enumerate(zip(others, other_keys, strict=True)):
        scores = np.full(len(keys), np.nan, np.float32)
        scores[np.searchsorted(keys, found)] = other.data
        features[:, len(FEATURES) + 2 * index] = scores
        rank = _rank_within(rows, np.where(np.isnan(scores), np.inf, -scores))
        features[:, len(FEATURES) + 2 * index + 1] = rank
    _describe_margins(features, rows, statistics.facets[tags], margin)
    _describe_hits(features, keys, rows, statistics.facets[tags], hits, hit_keys)
    by_tag, by_facet = statistics.name_precision()
    features[:, FEATURES.index("tag_count")] = np.log1p(statistics.counts[tags])
    features[:, FEATURES.index("name_precision")] = by_tag[tags]
    features[:, FEATURES.index("facet_precision")] = by_facet[tags]
    return Candidates(rows, tags, features)


def _pair_keys(scores: sparse.csr_array) -> npt.NDArray[np.int64]:
    """row · m + tag of every entry."""
    rows = np.repeat(np.arange(scores.shape[0], dtype=np.int64), np.diff(scores.indptr))
    return rows * scores.shape[1] + scores.indices


def entries_at(
    matrix: sparse.csr_array, rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]
) -> npt.NDArray[Any]:
    """The entries of a matrix with sorted columns at (rows, columns), 0 where it has none."""
    keys = _pair_keys(matrix)
    wanted = rows.astype(np.int64) * matrix.shape[1] + columns
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    if not len(keys):
        return np.zeros(len(wanted), matrix.dtype)
    return np.where(keys[place] == wanted, matrix.data[place], matrix.dtype.type(0))


def _describe_margins(
    features: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int32],
    facets: npt.NDArray[np.int32],
    margin: npt.NDArray[np.float32],
) -> None:
    filled = np.where(np.isnan(margin), -10.0, margin)
    features[:, FEATURES.index("linear")] = margin
    features[:, FEATURES.index("linear_rank")] = _rank_within(rows, -filled)
    groups = rows.astype(np.int64) * (int(facets.max(initial=0)) + 1) + facets
    rank = _rank_within(groups, -filled)
    features[:, FEATURES.index("facet_rank")] = rank
    order = np.lexsort((rank, groups))
    first = np.r_[True, np.diff(groups[order]) != 0] if len(order) else np.zeros(0, np.bool_)
    starts = np.flatnonzero(first)
    lengths = np.diff(np.r_[starts, len(order)])
    best = np.repeat(filled[order][starts], lengths)
    second_place = np.minimum(starts + 1, len(order) - 1)
    second = np.where(lengths > 1, filled[order][second_place], -10.0)
    rival = np.where(first, np.repeat(second, lengths), best)
    lead = np.empty(len(order), np.float32)
    lead[order] = filled[order] - rival
    features[:, FEATURES.index("linear_lead")] = lead


def _describe_hits(
    features: npt.NDArray[np.float32],
    keys: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int32],
    facets: npt.NDArray[np.int32],
    hits: Hits,
    hit_keys: npt.NDArray[np.int64],
) -> None:
    place = np.searchsorted(keys, hit_keys)
    size = len(keys)
    count = np.bincount(place, minlength=size)
    start = np.full(size, np.inf, np.float32)
    # Fields follow one another: a hit in the description stands behind every one in the title.
    position = hits.starts.astype(np.float32) + 1000.0 * np.minimum(hits.fields, 3)
    np.minimum.at(start, place, position)
    length = np.zeros(size, np.float32)
    np.maximum.at(length, place, hits.lengths.astype(np.float32))
    exact = np.zeros(size, np.float32)
    np.maximum.at(exact, place, hits.exact.astype(np.float32))
    title = np.zeros(size, np.float32)
    titles = [i for i, name in enumerate(hits.field_names) if name == "title"]
    np.maximum.at(title, place, np.isin(hits.fields, titles).astype(np.float32))
    named = count > 0
    groups = rows.astype(np.int64) * (int(facets.max(initial=0)) + 1) + facets
    order = np.full(size, np.nan, np.float32)
    order[named] = _rank_within(groups[named], start[named])
    columns: dict[str, npt.NDArray[np.generic]] = {
        "hits": count,
        "hit_exact": exact,
        "hit_title": title,
        "hit_start": np.where(named, start, np.nan),
        "hit_length": length,
        "hit_order": order,
        "facet_hits": _count_within(groups, named),
        "product_hits": _count_within(rows, named),
    }
    for name, values in columns.items():
        features[:, FEATURES.index(name)] = values.astype(np.float32)


def _rank_within(
    groups: npt.NDArray[np.integer], values: npt.NDArray[np.floating]
) -> npt.NDArray[np.int64]:
    """Rank of each value, ascending from 0, among those of its group."""
    order = np.lexsort((values, groups))
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0]) if len(order) else order
    lengths = np.diff(np.r_[starts, len(order)])
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(starts, lengths)
    return rank


def _count_within(
    groups: npt.NDArray[np.integer], chosen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """How many of each entry's group are chosen."""
    _, inverse = np.unique(groups, return_inverse=True)
    return np.bincount(inverse, chosen, minlength=1).astype(np.int64)[inverse]


@dataclass(frozen=True)
class Trees:
    """Boosted binary trees as arrays over all nodes; a leaf has left = -1."""

    roots: npt.NDArray[np.int32]  # (trees,)
    feature: npt.NDArray[np.int32]  # (nodes,)
    threshold: npt.NDArray[np.float64]  # (nodes,) goes left where value <= threshold
    missing_left: npt.NDArray[np.bool_]  # (nodes,) where nan goes
    left: npt.NDArray[np.int32]  # (nodes,)
    right: npt.NDArray[np.int32]  # (nodes,)
    value: npt.NDArray[np.float64]  # (nodes,) of leaves
    baseline: npt.NDArray[np.float64]  # (1,)

    def log_odds(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Log-odds (c,) of feature rows (c, features)."""
        total: npt.NDArray[np.float64] = _walk(
            features, self.roots, self.feature, self.threshold, self.missing_left,
            self.left, self.right, self.value, self.baseline[0],
        )  # fmt: skip
        return total


def fit_trees(
    features: npt.NDArray[np.float32], outcomes: npt.NDArray[np.bool_], *, seed: int
) -> Trees:
    """Boosted trees for whether a pair is right; a constant where nothing can be told apart."""
    rate = (outcomes.sum() + 1) / (len(outcomes) + 2)
    if outcomes.all() or not outcomes.any() or len(outcomes) < 2 * _LEAF_PAIRS:
        constant = np.array([np.log(rate / (1 - rate))])
        none, flags = np.zeros(0, np.int32), np.zeros(0, np.bool_)
        return Trees(none, none, np.zeros(0), flags, none, none, np.zeros(0), constant)
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(
        max_iter=100,
        learning_rate=0.1,
        max_leaf_nodes=16,
        min_samples_leaf=_LEAF_PAIRS,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    # On few pairs threads only wait for one another, spinning, and starve what else runs.
    threads = 1 if len(features) < _THREADED_PAIRS else None
    with threadpool_limits(threads, user_api="openmp"):
        model.fit(features, outcomes)
    nodes = [predictors[0].nodes for predictors in model._predictors]
    starts = np.concatenate([[0], np.cumsum([len(tree) for tree in nodes])])
    joined = np.concatenate(nodes)
    offset = np.repeat(starts[:-1], [len(tree) for tree in nodes])
    leaf = joined["is_leaf"].astype(np.bool_)
    return Trees(
        roots=starts[:-1].astype(np.int32),
        feature=joined["feature_idx"].astype(np.int32),
        threshold=joined["num_threshold"].astype(np.float64),
        missing_left=joined["missing_go_to_left"].astype(np.bool_),
        left=np.where(leaf, -1, joined["left"] + offset).astype(np.int32),
        right=np.where(leaf, -1, joined["right"] + offset).astype(np.int32),
        value=joined["value"].astype(np.float64),
        baseline=np.asarray(model._baseline_prediction, np.float64).reshape(1),
    )


@numba.njit(nogil=True, cache=True)
def _walk(  # type: ignore[no-untyped-def]
    features, roots, feature, threshold, missing_left, left, right, value, baseline
):
    """Sum of the leaves each row falls into."""
    out = np.full(len(features), baseline, np.float64)
    for row in range(len(features)):
        for tree in range(len(roots)):
            node = roots[tree]
            while left[node] >= 0:
                x = features[row, feature[node]]
                goes_left = missing_left[node] if np.isnan(x) else x <= threshold[node]
                node = left[node] if goes_left else right[node]
            out[row] += value[node]
    return out
