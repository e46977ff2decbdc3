"""A trained model, or none: everything between a batch of products and its tags.

`Model.tag_batch` is the whole hot path: features, margins, hits, candidates, log-odds,
probability, lane, Arrow. Without a linear part (the starter library, before any training) the
lexicon's score goes through the prior calibration instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tagmill.errors import NotTrained, TaggerError
from tagmill.library.vocabulary import Library
from tagmill.probability import Calibration, Curve, half_best_f1, lane_threshold
from tagmill.records import LANES, Lane, Scores, Tagger
from tagmill.tagging.candidates import (
    FEATURES,
    Candidates,
    TagStatistics,
    build_candidates,
    entries_at,
)
from tagmill.tagging.diversity import Diversity
from tagmill.tagging.extraction import Values, read_values
from tagmill.tagging.features import Idf, Rows, extract, fit_idf
from tagmill.tagging.fusion import Fusion
from tagmill.tagging.hits import Hits
from tagmill.tagging.lexicon import LexiconTagger
from tagmill.tagging.linear import LinearModel, best_margins
from tagmill.tagging.new_names import Extraction
from tagmill.tagging.output import ScoredPairs, Selection, TagNames, tagged_batch
from tagmill.tagging.similarity import features_of_texts, index_of_texts, similar_pairs
from tagmill.tagging.spellings import Spellings
from tagmill.tagging.structure import Structure

if TYPE_CHECKING:
    import pandas
    import polars

__all__ = ["HeldOut", "Memory", "Model", "Trained", "aligned_scores", "facet_numbers"]

# A facet with this many held-out gold pairs gets a threshold of its own; the rest share one.
_FACET_PAIRS = 500
# Without any trained model, what the lexicon says is shown from this probability on.
_PRIOR_REVIEW = 0.5


class Sources(TypedDict):
    """What sources beside the linear model and the lexicon say of a batch."""

    others: Sequence[sparse.csr_array]
    values: Values | None


@dataclass(frozen=True)
class HeldOut:
    """Cross-fitted pairs of the training products: what thresholds are chosen from."""

    log_odds: npt.NDArray[np.float32]  # (p,) of the fusion
    probability: npt.NDArray[np.float32]  # (p,) by a calibration that did not see the pair
    right: npt.NDArray[np.bool_]  # (p,)
    tags: npt.NDArray[np.int32]  # (p,)
    counts: npt.NDArray[np.int32]  # (p,) training examples the tag had then
    sampled: int  # pairs of training products, the first ones; the others are verdicts
    gold_total: int  # gold pairs of these products, those never suggested included


@dataclass(frozen=True)
class Memory:
    """A sample of the training products, so that what is learned later does not undo them."""

    counts: Rows  # features of k products
    tag_indptr: npt.NDArray[np.int64]  # (k + 1,) product i was said tags[tag_indptr[i]:…]
    tags: npt.NDArray[np.int32]
    accepted: npt.NDArray[np.bool_]
    complete: npt.NDArray[np.bool_]  # (k,) whether all its tags are known
    ids: npt.NDArray[np.str_]  # (k,) of the products

    def holds(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Which products of a batch (n,) are among the sample, by id and text."""
        known = set(zip(self.ids.tolist(), _said(self.counts), strict=True))
        asked = zip(batch.column("id").to_pylist(), _said(extract(batch)), strict=True)
        return np.array([one in known for one in asked], np.bool_)


def _said(rows: Rows) -> Iterator[bytes]:
    """What tells the texts of products apart: their features."""
    for start, end in pairwise(rows.indptr.tolist()):
        yield rows.indices[start:end].tobytes() + rows.values[start:end].tobytes()


@dataclass(frozen=True)
class Trained:
    """What training adds to a library."""

    idf: Idf
    linear: LinearModel
    statistics: TagStatistics
    fusion: Fusion
    calibration: Calibration
    held_out: HeldOut
    memory: Memory
    similarity: Curve  # cosine with the text of a tag without examples → probability
    extraction: Extraction | None  # None: too few tags stand in the texts
    candidates: int  # highest margins of a product that become candidates


@dataclass
class Model:
    """A library with, where trained, the model of it. Make one with `tagmill.load` or `train`."""

    library: Library
    prior: Curve
    trained: Trained | None = None
    card: dict[str, Any] = field(default_factory=dict)
    others: Sequence[Tagger] = ()  # further sources the trees were fitted with, in their order
    lexicon: LexiconTagger = field(init=False)

    def __post_init__(self) -> None:
        self.lexicon = LexiconTagger(self.library)
        self.names = TagNames(self.library, self.lexicon.tag_ids)
        self._lane_starts: dict[tuple[float, bool], npt.NDArray[np.float64]] = {}

    @property
    def tag_ids(self) -> npt.NDArray[np.object_]:
        """The ids of the tags it knows, (m,), in the order of all its arrays."""
        return self.lexicon.tag_ids

    def tag(
        self,
        products: Iterable[dict[str, Any]] | pa.Table | pandas.DataFrame | polars.DataFrame,
        *,
        top_k: int = 10,
        lane: Lane | str = "review",
        precision: float = 0.95,
        per_facet: bool = False,
        diverse: bool = False,
        broader: bool = False,
        language: str = "product",
    ) -> list[dict[str, Any]]:
        """One `{"id", "tags": [...]}` a product, in order: what a line of `tag -o` holds."""
        from tagmill.catalog import as_batches
        from tagmill.catalog.writers import tag_lines

        selection = Selection(top_k, lane, precision, per_facet, diverse, broader, language)
        return [
            line
            for batch in as_batches(products)
            for line in tag_lines(self.tag_batch(batch, selection))
        ]

    def save(self, folder: str | Path) -> None:
        """Write a trained model to a folder, replacing the model that stands there."""
        from tagmill.tagging.folder import save_model

        save_model(self, Path(folder))

    def score(self, batch: pa.RecordBatch, candidates: int = 0) -> Scores:
        """Calibrated probabilities of all candidate pairs, at least so many of the linear model a
        product: a `Tagger` like its sources."""
        pairs = self._scored(batch, self.lexicon.find(batch), candidates)
        shape = (batch.num_rows, len(self.tag_ids))
        values = sparse.csr_array(
            (pairs.probability.astype(np.float32), (pairs.rows, pairs.tags)), shape=shape
        )
        ids = np.array(batch.column("id").to_pylist(), object)
        return Scores(ids, self.tag_ids, values, calibrated=True)

    def tag_batch(self, batch: pa.RecordBatch, selection: Selection) -> pa.RecordBatch:
        """The tags of a batch of `PRODUCT_SCHEMA`, a batch of `TAGGED_SCHEMA` in its order."""
        hits = self.lexicon.find(batch)
        scored = self.score_pairs(batch, hits, selection.top_k)
        lanes = self.lanes(scored, selection.precision, selection.per_facet)
        return self.publish(batch, hits, scored, lanes, selection)

    def publish(
        self,
        batch: pa.RecordBatch,
        hits: Hits,
        scored: ScoredPairs,
        lanes: npt.NDArray[np.int8],
        selection: Selection,
    ) -> pa.RecordBatch:
        """Scored pairs as a batch of `TAGGED_SCHEMA`: chosen, consistent, named, with evidence."""
        diversity = self.diversity if selection.diverse else None
        return tagged_batch(
            self.names, batch, hits, scored, lanes, selection, self.structure, diversity
        )

    def score_pairs(
        self, batch: pa.RecordBatch, hits: Hits, top_k: int, values: Values | None = None
    ) -> ScoredPairs:
        """Every candidate pair of the batch with its probability; `values` where they are known.

        Where more than the model's own candidates are wanted, for `top_k` tags a product, these
        keep what they have among themselves: the others follow.
        """
        pairs = self._scored(batch, hits, 0, values)
        if self.trained is None or top_k <= self.trained.candidates:
            return pairs
        more = self._scored(batch, hits, top_k, values)
        size = len(self.tag_ids)
        own, all_ = (one.rows.astype(np.int64) * size + one.tags for one in (pairs, more))
        both = ScoredPairs.concatenate([pairs, more.take(np.flatnonzero(~np.isin(all_, own)))])
        return both.take(np.argsort(both.rows, kind="stable"))

    def _scored(
        self, batch: pa.RecordBatch, hits: Hits, limit: int, values: Values | None = None
    ) -> ScoredPairs:
        """Pairs of the `limit` highest margins of a product, at least of the model's own number."""
        if self.trained is None:
            return self.score_by_prior(batch, hits)
        trained = self.trained
        rows = trained.idf.apply(extract(batch))
        limit = max(trained.candidates, limit)
        similar = similar_pairs(rows, self._texts) if self._texts is not None else None
        sources = self.sources(batch, values)
        candidates = build_candidates(
            rows, trained.linear, limit, hits, trained.statistics,
            asked=None if similar is None else similar[0], **sources,
        )  # fmt: skip
        log_odds = trained.fusion.log_odds(candidates, trained.statistics.facets)
        counts = trained.statistics.counts[candidates.tags]
        probability = trained.calibration(log_odds, counts)
        fitted = counts > 0
        if not fitted.all():
            probability[~fitted] = self._prior_of(batch, hits, candidates)[~fitted]
            if similar is not None:
                self._raise_similar(probability, candidates, *similar)
        # Trees give many pairs the same log-odds: among these the margin decides the order.
        margin = candidates.features[:, FEATURES.index("linear")]
        score = log_odds + 1e-6 * margin
        return ScoredPairs(candidates.rows, candidates.tags, probability, score, fitted)

    def sources(self, batch: pa.RecordBatch, values: Values | None = None) -> Sources:
        """What the further sources of the fusion say of a batch."""
        others = [aligned_scores(tagger, batch, self.tag_ids) for tagger in self.others]
        if self.trained is None or self.trained.extraction is None:
            return {"others": others, "values": None}
        if values is None and self.trained.extraction.fused:
            values = self.read_values(batch)
        return {"others": others, "values": values if self.trained.extraction.fused else None}

    @property
    def extraction(self) -> Extraction:
        """What it knows of values in texts. Raises NotTrained where that is nothing."""
        if self.trained is None or self.trained.extraction is None:
            raise NotTrained(
                "The model finds no new names: too few of the tags it learned from stand in the "
                "texts of their products. Train it on products whose tags do"
            )
        return self.trained.extraction

    def read_values(self, batch: pa.RecordBatch) -> Values:
        """The values in the texts of a batch, of the library or not. Raises NotTrained."""
        return read_values(self.extraction.crf, self._spellings, batch)

    @cached_property
    def _spellings(self) -> Spellings:
        return Spellings(self.library, self.tag_ids, self.extraction.facets)

    @cached_property
    def _texts(self) -> LinearModel | None:
        """Cosines with the texts of tags without examples; None where all have some."""
        if self.trained is None:
            return None
        tags = [self.library.tags[tag_id] for tag_id in self.tag_ids]
        return index_of_texts(tags, self.trained.statistics.counts == 0, self.trained.idf)

    def _raise_similar(
        self,
        probability: npt.NDArray[np.float64],
        candidates: Candidates,
        keys: npt.NDArray[np.int64],
        cosines: npt.NDArray[np.float32],
    ) -> None:
        """A tag without examples is at least as probable as the likeness of its text says."""
        assert self.trained is not None
        own = candidates.rows.astype(np.int64) * len(self.tag_ids) + candidates.tags
        order = np.argsort(own)
        places = order[np.searchsorted(own, keys, sorter=order)]
        probability[places] = np.maximum(probability[places], self.trained.similarity(cosines))

    def like(self, batch: pa.RecordBatch, tag_ids: Set[str]) -> npt.NDArray[np.bool_]:
        """Which products (n,) the text of one of these tags is like enough to be shown to people;
        only tags without examples are tried."""
        found = np.zeros(batch.num_rows, np.bool_)
        if self.trained is None or self._texts is None or not tag_ids:
            return found
        keys, cosines = similar_pairs(self.trained.idf.apply(extract(batch)), self._texts)
        wanted = np.array([tag_id in tag_ids for tag_id in self.tag_ids], np.bool_)
        shown = self.trained.similarity(cosines) >= self.review_start
        rows, tags = np.divmod(keys, len(self.tag_ids))
        found[rows[shown & wanted[tags]]] = True
        return found

    def score_by_prior(self, batch: pa.RecordBatch, hits: Hits) -> ScoredPairs:
        """The pairs the lexicon alone names, with their prior probability."""
        rows = Rows.empty(batch.num_rows)
        candidates = build_candidates(rows, self._no_linear, 0, hits, self._no_statistics)
        probability = self._prior_of(batch, hits, candidates)
        fitted = np.zeros(len(candidates), np.bool_)
        return ScoredPairs(candidates.rows, candidates.tags, probability, probability, fitted)

    def _prior_of(
        self, batch: pa.RecordBatch, hits: Hits, candidates: Candidates
    ) -> npt.NDArray[np.float64]:
        """The shipped prior probability of each candidate's lexicon score; 0 without a hit."""
        scores = self.lexicon.score_hits(hits, batch.num_rows)
        values = entries_at(scores, candidates.rows, candidates.tags)
        return np.where(values > 0, self.prior(values), 0.0)

    def lanes(
        self, pairs: ScoredPairs, precision: float, per_facet: bool = False
    ) -> npt.NDArray[np.int8]:
        """The lane of each pair, an index into `LANES`; a prior probability is never auto."""
        auto = pairs.probability >= self.auto_starts(precision, per_facet)[pairs.tags]
        lanes = np.where(pairs.probability >= self.review_start, 1, 2).astype(np.int8)
        lanes[auto & pairs.fitted] = LANES.index("auto")
        return lanes

    def auto_starts(self, precision: float, per_facet: bool = False) -> npt.NDArray[np.float64]:
        """Of each tag (m,) the probability from which the lane auto holds `precision`; never below
        `review_start`: of many sure pairs a few doubtful ones would else come along.

        With `per_facet` it holds it within each facet that has enough held-out pairs to show it,
        and within all others together; else over all tags together.
        """
        key = precision, per_facet
        if key not in self._lane_starts:
            starts = self._find_auto_starts(precision, per_facet)
            self._lane_starts[key] = np.maximum(starts, self.review_start)
        return self._lane_starts[key]

    def _find_auto_starts(self, precision: float, per_facet: bool) -> npt.NDArray[np.float64]:
        if self.trained is None:
            return np.full(len(self.tag_ids), np.inf)
        held_out, facets = self.trained.held_out, self.trained.statistics.facets
        if not per_facet:
            start = lane_threshold(held_out.probability, held_out.right, precision)
            return np.full(len(self.tag_ids), start)
        facet_of_pair = facets[held_out.tags]
        gold = np.bincount(facet_of_pair, held_out.right, minlength=int(facets.max(initial=0)) + 1)
        own = np.flatnonzero(gold >= _FACET_PAIRS)
        starts = np.empty(len(gold))
        rest = ~np.isin(facet_of_pair, own)
        starts[:] = lane_threshold(held_out.probability[rest], held_out.right[rest], precision)
        for facet in own:
            members = facet_of_pair == facet
            starts[facet] = lane_threshold(
                held_out.probability[members], held_out.right[members], precision
            )
        return starts[facets]

    @cached_property
    def review_start(self) -> float:
        """The probability from which pairs are shown to people, for the best micro-F1."""
        if self.trained is None:
            return _PRIOR_REVIEW
        held_out = self.trained.held_out
        sample = slice(held_out.sampled)
        return half_best_f1(
            held_out.probability[sample], held_out.right[sample], held_out.gold_total
        )

    def retrieve(
        self, batch: pa.RecordBatch, limit: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Row and tag of the `limit` tags whose names and descriptions a product is most like."""
        idf, texts = self._all_texts
        if texts is None:
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        rows = idf.apply(extract(batch))
        found, tags, cosines = best_margins(rows, texts, limit, 0, batch.num_rows)
        return found[cosines > 0], tags[cosines > 0]

    @cached_property
    def _all_texts(self) -> tuple[Idf, LinearModel | None]:
        """Cosines with the texts of all tags, and the idf they are taken with."""
        tags = [self.library.tags[tag_id] for tag_id in self.tag_ids]
        idf = self.trained.idf if self.trained else fit_idf(features_of_texts(tags))
        return idf, index_of_texts(tags, np.ones(len(tags), np.bool_), idf)

    @cached_property
    def facets(self) -> npt.NDArray[np.int32]:
        """The number of each tag's facet, (m,)."""
        return self._no_statistics.facets

    @cached_property
    def structure(self) -> Structure | None:
        """What the library lets a product have; None where it says nothing."""
        return Structure.of(self.library, self.tag_ids, self.facets)

    @cached_property
    def diversity(self) -> Diversity:
        """What may stand beside what in a product's list, by names and by the training products."""
        facets = self.facets
        if self.trained is None:
            none = np.zeros(0, np.int32)
            return Diversity.of(self.library, facets, None, np.zeros(1, np.int64), none)
        memory = self.trained.memory
        kept = np.asarray(memory.accepted, np.bool_)
        before = np.concatenate([[0], np.cumsum(kept)])
        return Diversity.of(
            self.library, facets, self.trained.fusion.together, before[memory.tag_indptr],
            memory.tags[kept],
        )  # fmt: skip

    @cached_property
    def _no_linear(self) -> LinearModel:
        return LinearModel.untrained(len(self.tag_ids))

    @cached_property
    def _no_statistics(self) -> TagStatistics:
        none = np.zeros(len(self.tag_ids), np.int64)
        return TagStatistics(facet_numbers(self.library, self.tag_ids), none, none, none)


def facet_numbers(library: Library, tag_ids: npt.NDArray[np.object_]) -> npt.NDArray[np.int32]:
    """A number for the facet of each tag, (m,), counted in order of appearance."""
    numbers: dict[str, int] = {}
    return np.array(
        [numbers.setdefault(library.tags[tag_id].facet, len(numbers)) for tag_id in tag_ids],
        dtype=np.int32,
    )


def aligned_scores(
    tagger: Tagger, batch: pa.RecordBatch, tag_ids: npt.NDArray[np.object_]
) -> sparse.csr_array:
    """A tagger's scores with columns in the order of `tag_ids`, csr (n, m) float32.

    Tags outside `tag_ids` are dropped. Raises TaggerError where it answers other products.
    """
    scores = tagger.score(batch)
    if scores.product_ids.tolist() != batch.column("id").to_pylist():
        raise TaggerError(
            f"{type(tagger).__name__} answered {len(scores.product_ids)} products in another order "
            f"than the {batch.num_rows} it was given. A row of scores belongs to a row of the batch"
        )
    place = {tag_id: index for index, tag_id in enumerate(tag_ids)}
    columns = np.array([place.get(tag_id, -1) for tag_id in scores.tag_ids], np.int64)
    entries = scores.values.tocoo()
    known = columns[entries.col] >= 0
    shape = (batch.num_rows, len(tag_ids))
    aligned = sparse.csr_array(
        (entries.data[known].astype(np.float32), (entries.row[known], columns[entries.col[known]])),
        shape=shape,
    )
    aligned.sort_indices()
    return aligned
