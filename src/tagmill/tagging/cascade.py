"""The tags of a batch when a large language model is asked about some or all of its cells.

The engine judges every product; the model judges the candidates of the cells (a product and a facet
each) that `routing` chose; what both said becomes a probability and a lane. A hundredth of the
products are asked about whatever the engine thinks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.tagging.families import family_texts
from tagmill.tagging.hits import Hits
from tagmill.tagging.llm import Consultant, Opinions
from tagmill.tagging.llm_fusion import LlmFusion
from tagmill.tagging.model import Model
from tagmill.tagging.output import ScoredPairs, Selection
from tagmill.tagging.routing import Cells

__all__ = [
    "Consulted",
    "Portions",
    "ask_about",
    "consult_batch",
    "doubtful_cells",
]

_SURE_NO = 0.01
# Tags whose text a product is like are offered beside the candidates; what is assumed of them.
_RETRIEVED = 8
_UNKNOWN, _UNLIKELY = 0.1, 0.01  # without a model of the tag, and with one that passed it over


@dataclass(frozen=True)
class Consulted:
    """The tags of a batch, and what the model was asked for them."""

    products: pa.RecordBatch  # `PRODUCT_SCHEMA`: those the model answered about, or was not asked
    tagged: pa.RecordBatch  # their tags, `TAGGED_SCHEMA`
    opinions: Opinions


class Portions:
    """Parts of batches that are asked about at once, at most so many products each.

    A product is done once it is proposed for and verified. Within a budget a portion is expected
    to cost no more than half of what is left, so that nearly all that is begun is finished; not
    where what is asked was chosen to fit (`fits`).
    """

    def __init__(self, consultant: Consultant, most: int, *, fits: bool = False) -> None:
        self._asker, self._most = consultant.propose, most
        self._is_open = fits or not consultant.propose.keeps_budget
        self._price = 0.0  # of a product, once any was paid for; the dearest portion's

    def of(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The portions of a batch, each to be asked about before the next is taken."""
        start = 0
        while start < batch.num_rows:
            portion = batch.slice(start, self._size())
            size, before = portion.num_rows, self._asker.spending.cost
            yield portion
            self._price = max(self._price, (self._asker.spending.cost - before) / size)
            start += size

    def _size(self) -> int:
        settings = self._asker.settings
        if settings.budget is None or self._is_open:
            return self._most
        if not self._price:
            return min(self._most, settings.max_concurrency)
        left = settings.budget - self._asker.spending.cost
        return max(1, min(self._most, int(left / self._price / 2)))


def doubtful_cells(model: Model, batch: pa.RecordBatch) -> Cells:
    """The cells of a batch in which asking should gain something."""
    scored = _with_retrieved(model, batch, model.score_pairs(batch, model.lexicon.find(batch), 0))
    return Cells.of(model, scored, batch.num_rows)


def consult_batch(
    model: Model,
    consultant: Consultant,
    batch: pa.RecordBatch,
    selection: Selection,
    chosen: npt.NDArray[np.bool_] | None = None,
) -> Consulted:
    """The tags of a batch, the model asked about the `chosen` cells (n, facets), or about all."""
    hits = model.lexicon.find(batch)
    scored, opinions = ask_about(
        model, consultant, batch, hits, selection.top_k, chosen, near_duplicates=True
    )
    fusion = consultant.fusion(model.card)
    scored, lanes = _with_opinions(model, scored, opinions, selection, fusion)
    hits = _with_evidence(hits, scored, opinions, model.tag_ids)
    tagged = model.publish(batch, hits, scored, lanes, selection)
    kept = np.ones(batch.num_rows, np.bool_)
    kept[[*opinions.failed, *opinions.waiting]] = False
    if not kept.all():
        batch, tagged = batch.filter(pa.array(kept)), tagged.filter(pa.array(kept))
    return Consulted(batch, tagged, opinions)


def ask_about(
    model: Model,
    consultant: Consultant,
    batch: pa.RecordBatch,
    hits: Hits,
    top_k: int,
    chosen: npt.NDArray[np.bool_] | None = None,
    *,
    near_duplicates: bool = False,
) -> tuple[ScoredPairs, Opinions]:
    """All pairs of a batch as the engine judges them, and what the language model says of them.

    With `near_duplicates` an answer may be taken over from another product of the family.
    """
    scored = _with_retrieved(model, batch, model.score_pairs(batch, hits, top_k))
    candidates = _candidates(model, scored, chosen)
    texts: dict[tuple[int, str], str] = {}
    if near_duplicates and consultant.propose.settings.near_duplicates:
        tags = consultant.library.tags
        wanted = {
            row: {tags[tag_id].facet for tag_id, _ in pairs} for row, pairs in candidates.items()
        }
        facets = [tags[tag_id].facet for tag_id in hits.tag_ids]
        texts = family_texts(batch, hits, facets, wanted, consultant.profile)
    return scored, consultant.consult(batch, candidates, texts)


def _with_retrieved(model: Model, batch: pa.RecordBatch, scored: ScoredPairs) -> ScoredPairs:
    """The pairs and those retrieved by likeness of text, ordered by product."""
    rows, tags = model.retrieve(batch, _RETRIEVED)
    size = len(model.tag_ids)
    known = scored.rows.astype(np.int64) * size + scored.tags
    new = ~np.isin(rows.astype(np.int64) * size + tags, known)
    rows, tags = rows[new], tags[new]
    counts = None if model.trained is None else model.trained.statistics.counts[tags]
    assumed = np.full(len(rows), _UNKNOWN)
    if counts is not None:
        assumed[counts > 0] = _UNLIKELY
    more = ScoredPairs(rows, tags, assumed, assumed - 1, np.zeros(len(rows), np.bool_))
    both = ScoredPairs.concatenate([scored, more])
    return both.take(np.argsort(both.rows, kind="stable"))


def _candidates(
    model: Model, scored: ScoredPairs, chosen: npt.NDArray[np.bool_] | None
) -> dict[int, list[tuple[str, float]]]:
    """By row the candidates to ask about, (tag id, probability), the most probable first."""
    wanted = np.ones(len(scored.rows), np.bool_)
    if chosen is not None:
        wanted = chosen[scored.rows, model.facets[scored.tags]]
    order = np.lexsort((-scored.score, -scored.probability, scored.rows))
    found: dict[int, list[tuple[str, float]]] = {}
    for i in order[wanted[order]].tolist():
        pair = str(model.tag_ids[scored.tags[i]]), float(scored.probability[i])
        found.setdefault(int(scored.rows[i]), []).append(pair)
    return found


def _with_opinions(
    model: Model,
    scored: ScoredPairs,
    opinions: Opinions,
    selection: Selection,
    fusion: LlmFusion,
) -> tuple[ScoredPairs, npt.NDArray[np.int8]]:
    """Probabilities with what the model said, and lanes.

    Where nothing was fitted with this language model they are a prior, and a prior is never auto;
    where it then agrees with an engine that is sure, the engine's own probability stands.
    """
    ids = model.tag_ids[scored.tags].tolist()
    features, asked = opinions.features(scored.rows, ids, scored.probability)
    said = fusion(features)
    if fusion.model:
        result = replace(
            scored,
            probability=np.where(asked, said, scored.probability),
            fitted=scored.fitted | asked,
        )
        lanes = model.lanes(result, selection.precision, selection.per_facet)
        own = np.where(result.probability >= fusion.review_start, 1, 2)
        own[result.probability >= fusion.auto_start(selection.precision)] = 0
        lanes[asked] = own[asked]
        return result, lanes
    starts = model.auto_starts(selection.precision, selection.per_facet)[scored.tags]
    chosen = (features[:, 1] + features[:, 2]) > 0
    agreed = np.where(chosen, scored.probability >= starts, scored.probability < _SURE_NO)
    changed = asked & ~(scored.fitted & agreed)
    probability = np.where(changed, said, scored.probability)
    result = replace(scored, probability=probability, fitted=scored.fitted & ~changed)
    return result, model.lanes(result, selection.precision, selection.per_facet)


def _with_evidence(
    hits: Hits, scored: ScoredPairs, opinions: Opinions, tag_ids: npt.NDArray[np.object_]
) -> Hits:
    """The hits and, of pairs without one, the words that the model quoted."""
    place = {tag_id: i for i, tag_id in enumerate(tag_ids.tolist())}
    known = set(zip(hits.rows.tolist(), hits.tags.tolist(), strict=True))
    names = {name: number for number, name in enumerate(hits.field_names)}
    more: list[tuple[int, int, int, int, int]] = []
    for (row, tag_id), answer in opinions.pairs.items():
        span, tag = answer.evidence, place[tag_id]
        if span is None or (row, tag) in known:
            continue
        number = names.setdefault(span.field, len(names))
        more.append((row, tag, number, span.start, span.end))
    return hits.plus(more, list(names)) if more else hits
