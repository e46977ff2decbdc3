"""Why a product has a tag, or has it not: which source and which words gave how much.

The fusion's log-odds are shared out among its sources by their Shapley values (Shapley 1953, "A
Value for n-Person Games"), exactly, over all coalitions. A source outside a coalition is as it is
for the product's other candidates, so the baseline is the mean log-odds of these: the
interventional value function (Lundberg & Lee 2017, "A Unified Approach to Interpreting Model
Predictions"; Janzing et al. 2020, "Feature Relevance Quantification in Explainable AI"), with
groups of features as players (Jullum et al. 2021, "groupShapley"). Five players are 32 coalitions,
so nothing is sampled, and nothing need be known of the trees, such as how many training pairs
reached a node, which path-dependent TreeSHAP asks for and a model does not keep.

The linear margin is a sum already: weight times value of each feature, given to the words the
feature is made of.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.errors import LibraryError
from tagmill.records import LANES, Lane, Tag
from tagmill.tagging.candidates import FEATURES, NO_MARGIN, Candidates, build_candidates
from tagmill.tagging.context import CONTEXT, look_around
from tagmill.tagging.extraction import SPAN_FEATURES
from tagmill.tagging.feature_spans import feature_spans, field_texts, word_spans
from tagmill.tagging.features import Rows, extract
from tagmill.tagging.fusion import Fusion
from tagmill.tagging.hits import Hits
from tagmill.tagging.linear import LinearModel, add_postings, sums_of
from tagmill.tagging.model import Model, Trained
from tagmill.tagging.output import check_precision
from tagmill.tagging.similarity import similarities

__all__ = ["SOURCES", "Explanation", "Reasons", "Word", "explain"]

# The sources of the fusion and their features; what further taggers say is `taggers`.
SOURCES: dict[str, tuple[str, ...]] = {
    "linear": ("linear",),
    "rank": ("linear_rank", "linear_lead", "facet_rank"),
    "names": (
        "hits", "hit_exact", "hit_title", "hit_start", "hit_length", "hit_order", "facet_hits",
        "hit_verbatim", "hit_before", "hit_after",
        "name_precision", "facet_precision", "product_hits",
    ),
    "frequency": ("tag_count",),
    "spans": SPAN_FEATURES,
    "others": CONTEXT,
    "taggers": (),
}  # fmt: skip


_SIMILAR = 5  # training products shown


@dataclass(frozen=True)
class Word:
    """A word of the product and what it adds to the linear margin of the tag."""

    field: str  # title, description, attributes.颜色 …
    start: int  # character offsets into that field's text
    end: int
    text: str
    weight: float  # above 0: speaks for the tag


@dataclass(frozen=True)
class Reasons:
    """Where a fitted probability comes from: baseline + Σ sources = log_odds."""

    log_odds: float  # before calibration
    baseline: float  # mean log-odds of the product's candidates
    sources: dict[str, float]  # by the names of SOURCES, the weightiest first
    margin: float  # of the linear model: bias + Σ words
    bias: float
    words: list[Word]  # the weightiest first, for or against


@dataclass(frozen=True)
class Explanation:
    """Everything the model has to say of one (product, tag) pair; `as_dict` is JSON."""

    product_id: str
    tag_id: str
    tag: str  # facet:name
    probability: float  # in [0, 1]; 0 where it is no candidate
    calibration: str  # fitted, or prior
    lane: Lane
    candidate: bool  # tagging judges the pair; else other tags' margins leave it behind
    share: float | None  # of the training products that have the tag; None without training
    evidence: list[dict[str, Any]]  # where names of the tag stand: field, start, end, text
    # None where the probability is a prior, which comes of the names alone, and where no word of
    # the product has to do with the tag.
    fusion: Reasons | None
    similar: list[dict[str, Any]]  # most similar training products kept: id, similarity, has_tag

    def as_dict(self) -> dict[str, Any]:
        """The same in plain dicts and lists."""
        return asdict(self)


def explain(
    model: Model,
    batch: pa.RecordBatch,
    tag: str,
    *,
    precision: float = 0.95,
    per_facet: bool = False,
) -> Explanation:
    """Why the one product of a batch of `PRODUCT_SCHEMA` has a tag, or has it not.

    `tag` is any name or id of it; `precision` and `per_facet` are the promise of the lane auto. Of
    a tag that is no candidate `fusion` says what it would get if it were one. Raises UnknownTag
    with the nearest, LibraryError for a tag that no product gets, SettingsError for an impossible
    `precision`.
    """
    check_precision(precision)
    found, column = _column_of(model, tag)
    hits = model.lexicon.find(batch)
    limit = 0
    pairs = model.score_pairs(batch, hits, limit)
    at = np.flatnonzero(pairs.tags == column)
    candidate = len(at) > 0
    if not candidate:
        limit = len(model.tag_ids)
        pairs = model.score_pairs(batch, hits, limit)
        at = np.flatnonzero(pairs.tags == column)
    trained = model.trained
    count = 0 if trained is None else int(trained.statistics.counts[column])
    # Where even then it is none, nothing in the product has to do with it.
    judged = count > 0 and len(at) > 0
    return Explanation(
        product_id=batch.column("id")[0].as_py(),
        tag_id=found.id,
        tag=found.text,
        probability=float(pairs.probability[at[0]]) if candidate else 0.0,
        calibration="fitted" if count else "prior",
        lane=LANES[model.lanes(pairs, precision, per_facet)[at[0]]] if candidate else "rejected",
        candidate=candidate,
        share=None if trained is None else count / int(model.card["products"]),
        evidence=hits.evidence(batch, np.flatnonzero(hits.tags == column)).to_pylist(),
        fusion=_fusion(model, trained, batch, hits, column, limit) if trained and judged else None,
        similar=_similar(trained, batch, column) if trained else [],
    )


def _similar(trained: Trained, batch: pa.RecordBatch, column: int) -> list[dict[str, Any]]:
    """The remembered training products most like this one, and whether each has the tag (null:
    nobody said)."""
    memory = trained.memory
    likeness = similarities(trained.idf.apply(extract(batch)), trained.idf.apply(memory.counts))
    found = []
    for place in np.argsort(-likeness, kind="stable")[:_SIMILAR]:
        if likeness[place] <= 0:
            break
        own = slice(memory.tag_indptr[place], memory.tag_indptr[place + 1])
        said = memory.accepted[own][memory.tags[own] == column]
        has = bool(said[0]) if len(said) else (False if memory.complete[place] else None)
        similarity = float(likeness[place])
        found.append({"id": str(memory.ids[place]), "similarity": similarity, "has_tag": has})
    return found


def _column_of(model: Model, text: str) -> tuple[Tag, int]:
    """The tag of a written name, and its place among the model's."""
    tag = model.library.resolve(text)
    (place,) = np.nonzero(model.tag_ids == tag.id)
    if not len(place):
        raise LibraryError(
            f"'{tag.text}' is {tag.status}: no product gets it. See: tagmill library show "
            f"'{tag.text}'"
        )
    return tag, int(place[0])


def _fusion(
    model: Model,
    trained: Trained,
    batch: pa.RecordBatch,
    hits: Hits,
    column: int,
    limit: int,
) -> Reasons:
    """The sums behind a pair that is among the `limit` highest margins, or named."""
    rows = trained.idf.apply(extract(batch))
    sources = model.sources(batch)
    usual, wide = (
        build_candidates(rows, trained.linear, most, hits, trained.statistics, **sources)
        for most in (trained.candidates, max(trained.candidates, limit))
    )
    (place,) = np.flatnonzero(wide.tags == column)
    fusion, facets = trained.fusion, trained.statistics.facets
    background = _in_context(fusion, usual, facets)
    rows_of_all = _in_context(fusion, wide, facets)
    fused = sources["values"] is not None
    baseline, added = _shapley(fusion, rows_of_all[place], background, fused=fused)
    words = _words(batch, rows, _weights(trained.linear, column, rows.indices))
    bias = float(max(trained.linear.lowest_bias[column], NO_MARGIN))
    return Reasons(
        log_odds=float(fusion.log_odds(wide, facets)[place]),
        baseline=baseline,
        sources=added,
        margin=bias + sum(word.weight for word in words),
        bias=bias,
        words=words,
    )


def _in_context(
    fusion: Fusion, candidates: Candidates, facets: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """The features of candidates with their `CONTEXT` behind, that of unlikely ones included."""
    first = fusion.first.log_odds(candidates.features).astype(np.float32)
    everyone = np.ones(len(candidates), np.bool_)
    context = look_around(
        candidates.rows, candidates.tags, first, everyone, facets, fusion.together
    )
    return np.concatenate([candidates.features, context], axis=1)


def _shapley(
    fusion: Fusion,
    row: npt.NDArray[np.float32],
    background: npt.NDArray[np.float32],
    *,
    fused: bool,
) -> tuple[float, dict[str, float]]:
    """The mean log-odds of the background (b, features), and what each source adds for `row`."""
    width = len(row) - len(CONTEXT)
    of_spans = SPAN_FEATURES if fused else ()
    further = width - len(FEATURES) - len(of_spans)
    names = [*FEATURES, *[""] * further, *of_spans, *CONTEXT]
    columns = {
        name: [names.index(part) for part in parts if part in names]
        for name, parts in SOURCES.items()
    }
    columns["taggers"] = list(range(len(FEATURES), len(FEATURES) + further))
    players = [name for name in columns if columns[name]]
    worth: dict[frozenset[str], float] = {}
    for size in range(len(players) + 1):
        for coalition in combinations(players, size):
            mixed = background.copy()
            own = [column for name in coalition for column in columns[name]]
            mixed[:, own] = row[own]
            odds = fusion.in_context(mixed[:, :width], mixed[:, width:])
            worth[frozenset(coalition)] = float(odds.mean())
    values = {
        name: sum(
            (worth[others | {name}] - value) / (len(players) * comb(len(players) - 1, len(others)))
            for others, value in worth.items()
            if name not in others
        )
        for name in players
    }
    ranked = sorted(values.items(), key=lambda item: -abs(item[1]))
    return worth[frozenset()], dict(ranked)


def _weights(
    linear: LinearModel, column: int, features: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """The weight of each feature for one tag."""
    levels = np.empty(len(features), np.float32)
    sums = np.empty(sums_of(len(linear.bias)), np.float32)
    alone, one = np.array([0, 1]), np.ones(1, np.float32)
    for i in range(len(features)):
        sums[:] = 0
        add_postings(0, alone, features[i : i + 1], one, linear.indptr, linear.postings, sums)
        levels[i] = sums[column]
    weights: npt.NDArray[np.float32] = levels * linear.scale[column]
    return weights


def _words(batch: pa.RecordBatch, rows: Rows, weights: npt.NDArray[np.float32]) -> list[Word]:
    """What the words of the product add to the margin, those that add nothing left out.

    A feature counts in equal parts wherever it occurs, and there in equal parts for each of its
    characters that stand in words.
    """
    given = dict(zip(rows.indices.tolist(), (rows.values * weights).tolist(), strict=True))
    texts = [(part, word_spans(part.text)) for part in field_texts(batch)]
    places: dict[int, list[tuple[int, int, int]]] = {}  # feature → text, start, end
    for number, (part, _) in enumerate(texts):
        for seed in part.seeds:
            for feature, start, end in feature_spans(part.text, seed):
                if given.get(feature):
                    places.setdefault(feature, []).append((number, start, end))
    shares = [np.zeros(len(part.text)) for part, _ in texts]
    letters = [np.zeros(len(part.text), np.bool_) for part, _ in texts]
    for inside, (_, spans) in zip(letters, texts, strict=True):
        for start, end in spans:
            inside[start:end] = True
    for feature, found in places.items():
        for number, start, end in found:
            inside = letters[number][start:end]
            shares[number][start:end] += inside * given[feature] / len(found) / inside.sum()
    words = [
        Word(part.field, start, end, part.text[start:end], weight)
        for share, (part, spans) in zip(shares, texts, strict=True)
        for start, end in spans
        if (weight := float(share[start:end].sum()))
    ]
    return sorted(words, key=lambda word: -abs(word.weight))
