"""New names without a large language model: values in the text that no tag is named like.

Boosted trees weigh what is known of such a value (how sure the extractor is, how new the facet's
values tend to be, what the library's own tags say of the facet); an isotonic curve makes their
score a probability. Both are fitted on products whose tags were hidden from the extractor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tagmill.probability import Curve
from tagmill.tagging.crf import Crf
from tagmill.tagging.extraction import Values, log_odds
from tagmill.tagging.fusion import Trees

__all__ = ["NEW_FEATURES", "Extraction", "NewNames", "best_known", "new_features"]

NEW_FEATURES: tuple[str, ...] = (
    "span",  # log-odds of the value
    "span_rival",  # of the facet's likeliest other value
    "rank",  # among the facet's values in the product
    "known",  # log-odds by the fusion of the facet's likeliest tag in the product
    "tokens",
    "characters",
    "spans",  # times it stands in the product
    "alike",  # 1 if a tag has the same normal form: another spelling of it
    "in_title",
    "novelty",  # share of the facet's given tags that were given once: what comes is likely new
    "facet_share",  # share of the training products that have the facet
)
_NO_TAG = np.float32(-20)


@dataclass(frozen=True)
class NewNames:
    """How probable it is that a value which no tag is named like is a right one."""

    trees: Trees
    curve: Curve  # log-odds of the trees → probability
    novelty: npt.NDArray[np.float32]  # (F,) by facet
    facet_share: npt.NDArray[np.float32]  # (F,)
    start: npt.NDArray[np.float64]  # (1,) probability from which names are proposed: best micro-F1
    least: npt.NDArray[np.float64]  # (1,) posterior below which hardly any right name was seen

    def probability(
        self, values: Values, known: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """Of each value (k,), `known` as of `best_known`."""
        features = new_features(values, known, self.novelty, self.facet_share)
        probability = self.curve(self.trees.log_odds(features))
        unseen = values.posterior < self.least[0]
        return np.where(unseen, np.minimum(probability, values.posterior), probability)


@dataclass(frozen=True)
class Extraction:
    """What a model knows of values in texts."""

    crf: Crf
    facets: npt.NDArray[np.str_]  # (F,) keys
    fused: bool  # whether it is a source of the fusion
    new: NewNames


def new_features(
    values: Values,
    known: npt.NDArray[np.float32],
    novelty: npt.NDArray[np.float32],
    facet_share: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """`NEW_FEATURES` of values, (k, len(NEW_FEATURES))."""
    columns = (
        log_odds(values.posterior), log_odds(values.rivals), values.ranks, known, values.tokens,
        values.ends - values.starts, values.spans,
        values.alike >= 0, values.fields == 0, novelty[values.facets],
        facet_share[values.facets],
    )  # fmt: skip
    return np.stack(columns, axis=1).astype(np.float32)


def best_known(
    values: Values,
    rows: npt.NDArray[np.integer],
    tags: npt.NDArray[np.integer],
    scores: npt.NDArray[np.floating],
) -> npt.NDArray[np.float32]:
    """Of each value (k,) the highest of the `scores` that the fusion gives tags of its facet in its
    product; pairs are (rows, tags)."""
    facets = values.tag_facets[tags]
    wide = int(values.tag_facets.max(initial=0)) + 1
    size = int(max(values.rows.max(initial=0), rows.max(initial=0))) + 1
    best = np.full(size * wide, _NO_TAG, np.float32)
    kept = facets >= 0
    keys = rows[kept].astype(np.int64) * wide + facets[kept]
    np.maximum.at(best, keys, scores[kept].astype(np.float32))
    known: npt.NDArray[np.float32] = best[values.rows.astype(np.int64) * wide + values.facets]
    return known
