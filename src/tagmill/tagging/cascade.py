"""Which products a large language model is asked about, and the tags that come of its answers.

The engine judges every product. What an answer is worth is what it should add to micro-F1, which
is 2 · right / (published + gold): a right tag more is worth 2 − F1, a wrong one less F1. The engine
publishes from the probability t that is best for F1, and there F1 is 2t (publishing a pair pays
from 2p > F1 on). So a pair at probability p that is published is worth t · (1 − p), one that is not
(1 − t) · p: `expected_gains`. The products with the most of it a unit of cost are asked about
first, and only in facets that are in doubt. One in a hundred of the asked is any other product, at
random: what the engine is wrongly sure of shows only there.
"""

from __future__ import annotations

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

__all__ = [
    "EXPLORED",
    "Consulted",
    "ask_about",
    "choose_products",
    "consult_batch",
    "expected_gains",
]

EXPLORED = 0.01  # share of the asked products that are picked whatever the engine thinks
_IN_DOUBT = 0.01  # expected gain from which a facet of a product is asked about
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


def expected_gains(model: Model, scored: ScoredPairs) -> npt.NDArray[np.float64]:
    """What the truth about each pair (p,) should add to micro-F1, in units all pairs share.

    A wrong tag taken away is worth `review_start`, a right one found 1 − `review_start`.
    """
    start, probability = model.review_start, scored.probability
    published = probability >= start
    return np.where(published, start * (1 - probability), (1 - start) * probability)


def choose_products(
    gains: npt.NDArray[np.floating],
    costs: npt.NDArray[np.floating],
    *,
    share: float | None = None,
    budget: float | None = None,
    seed: int = 0,
) -> npt.NDArray[np.bool_]:
    """Which of n products to ask about: `gains` (n,) expected, `costs` (n,) of asking.

    At most `share` of the products and `budget` of the costs, the most gain a cost first; a
    hundredth of what can be asked about is picked at random among the rest.
    """
    size = len(gains)
    chosen = np.zeros(size, np.bool_)
    most = size if share is None else int(np.ceil(share * size))
    asked = float(most)
    if budget is not None and costs.sum() > 0:
        asked = min(asked, budget / float(costs.mean()))
    chance = np.random.default_rng(seed)
    explored = int(EXPLORED * asked + chance.random())  # so that few products also explore a little
    order = np.argsort(-gains / np.maximum(costs, 1e-12), kind="stable")
    order = order[gains[order] > 0]
    best = order[: most - min(explored, most)]
    rest = np.setdiff1d(np.arange(size), best)
    wanted = np.concatenate([chance.permutation(rest)[:explored], best])
    if budget is not None:
        wanted = wanted[np.cumsum(costs[wanted]) <= budget]
    chosen[wanted] = True
    return chosen


def consult_batch(
    model: Model,
    consultant: Consultant,
    batch: pa.RecordBatch,
    selection: Selection,
    chosen: npt.NDArray[np.bool_] | None = None,
) -> Consulted:
    """The tags of a batch, the model asked about the `chosen` rows (n,), or about all.

    Of chosen rows only facets in doubt are asked about, of one where none is, all of them.
    """
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
        doubt = _in_doubt(model, scored)
        sure = np.bincount(scored.rows, doubt, minlength=len(chosen)) == 0  # explored, all of it
        wanted = chosen[scored.rows] & (doubt | sure[scored.rows])
    order = np.lexsort((-scored.score, -scored.probability, scored.rows))
    found: dict[int, list[tuple[str, float]]] = {}
    for i in order[wanted[order]].tolist():
        pair = str(model.tag_ids[scored.tags[i]]), float(scored.probability[i])
        found.setdefault(int(scored.rows[i]), []).append(pair)
    return found


def _in_doubt(model: Model, scored: ScoredPairs) -> npt.NDArray[np.bool_]:
    """Whether each pair (p,) belongs to a facet of its product where asking should pay."""
    facets = model.facets[scored.tags]
    cells = scored.rows.astype(np.int64) * (int(model.facets.max(initial=0)) + 1) + facets
    _, cell = np.unique(cells, return_inverse=True)
    doubt: npt.NDArray[np.bool_] = (
        np.bincount(cell, expected_gains(model, scored))[cell] >= _IN_DOUBT
    )
    return doubt


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
