"""Likeness by words: of products to the text of a tag, and of products to one another.

A tag nobody has used yet has no linear weights, but a name, aliases and perhaps a description.
Their cosine with a product says a little; how much, the tags that have been used tell: a curve
fitted on products in which their names do not stand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.probability import Curve, fit_curve
from tagmill.records import PRODUCT_SCHEMA, Tag
from tagmill.tagging.features import FEATURE_BITS, Idf, Rows, extract
from tagmill.tagging.linear import LinearModel, best_margins

__all__ = [
    "NOTHING_SIMILAR",
    "features_of_texts",
    "fit_similarity",
    "index_of_texts",
    "similar_pairs",
    "similarities",
]

_TAGS = 3  # of a product, the most similar
_LEAST = 0.05  # cosine below which texts have nothing in common
_FEWEST_PAIRS = 50  # that a curve is fitted on
_TAG_WEIGHT = 5.0  # pairs assumed wrong, at any cosine: a tag nobody used deserves doubt
NOTHING_SIMILAR = Curve(np.array([0.0]), np.array([0.0]))


def features_of_texts(tags: Sequence[Tag]) -> Rows:
    """Feature counts of names, aliases and description of each tag."""
    texts = [
        {
            "id": "",
            "title": " ".join([tag.name, *tag.names.values(), *tag.aliases]),
            "description": tag.description or None,
        }
        for tag in tags
    ]
    return extract(pa.RecordBatch.from_pylist(texts, PRODUCT_SCHEMA))


def index_of_texts(
    tags: Sequence[Tag], wanted: npt.NDArray[np.bool_], idf: Idf
) -> LinearModel | None:
    """A model whose margins are cosines with the texts of the `wanted` tags (m,); None without."""
    places = np.flatnonzero(wanted).tolist()
    if not len(places):
        return None
    rows = idf.apply(features_of_texts([tags[i] for i in places]))
    owners = np.repeat(places, np.diff(rows.indptr))
    bias = np.full(len(tags), np.nan, np.float32)
    bias[places] = 0
    return LinearModel.quantised(rows.indices, owners, rows.values, bias)


def similar_pairs(
    rows: Rows, texts: LinearModel
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """row · m + tag, ascending, and cosine of the most similar tags of each product."""
    found, tags, cosines = best_margins(rows, texts, _TAGS, 0, len(rows))
    keys = found.astype(np.int64) * len(texts.bias) + tags
    kept = np.flatnonzero(cosines >= _LEAST)
    order = kept[np.argsort(keys[kept])]
    return keys[order], cosines[order]


def fit_similarity(
    keys: npt.NDArray[np.int64], cosines: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]
) -> Curve:
    """Cosine → probability out of pairs (p,) of tags that do not stand in the product by name."""
    if len(keys) < _FEWEST_PAIRS or not right.any():
        return NOTHING_SIMILAR
    grid = np.linspace(_LEAST, 1, 20)
    scores = np.concatenate([cosines, grid])
    outcomes = np.concatenate([right, np.zeros(len(grid), np.bool_)])
    weights = np.concatenate([np.ones(len(keys)), np.full(len(grid), _TAG_WEIGHT)])
    return fit_curve(scores, outcomes, weights)


def similarities(row: Rows, others: Rows) -> npt.NDArray[np.float32]:
    """The cosine of one row with each of others (k,), all of length one."""
    dense = np.zeros(1 << FEATURE_BITS, np.float32)
    dense[row.indices] = row.values
    owners = np.repeat(np.arange(len(others)), np.diff(others.indptr))
    sums = np.bincount(owners, dense[others.indices] * others.values, minlength=len(others))
    return sums.astype(np.float32)
