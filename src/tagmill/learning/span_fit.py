"""The span extractor of a model, and what it says of products it was not fitted on.

Fitted on a sample of the products: one extractor for each fold, without it, and one of all for the
model. Where too few of the given tags stand in the texts there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.learning.crf_fit import fit_crf
from tagmill.learning.dataset import Dataset, LabelMatrix
from tagmill.learning.span_labels import SpanLabels, label_spans
from tagmill.probability import Curve, best_f1_threshold, fit_curve
from tagmill.records import parse_tag
from tagmill.tagging.crf import Crf
from tagmill.tagging.extraction import Values, read_values, texts_of_values
from tagmill.tagging.fusion import Trees, fit_trees
from tagmill.tagging.model import HeldOut
from tagmill.tagging.new_names import NewNames, best_known, new_features
from tagmill.tagging.options import TrainingOptions
from tagmill.tagging.sequences import NO_NAMES, Names, OwnNames, Sequences, names_table
from tagmill.tagging.spellings import Spellings, facet_places

__all__ = ["CrossFitted", "NewJudge", "NewPairs", "cross_fit_spans"]

_PRODUCTS, _TOKENS = 8_000, 80_000  # the extractors learn from, at most
_GLANCED = 1_000  # products that tell whether tags stand in the texts
_STANDING = 0.25  # share of the given tags that must
_FEWEST_SPANS = 50
_GIVEN = np.dtype([("row", np.int64), ("facet", np.int32), ("key", np.uint64)])


@dataclass(frozen=True)
class CrossFitted:
    """Extractors of all folds but one each, and of everything."""

    dataset: Dataset
    products: pa.Table
    facets: npt.NDArray[np.str_]
    folds: npt.NDArray[np.int8]
    of_fold: list[Crf]
    of_all: Crf

    def values(self, fold: int) -> Values:
        """The values in the products of a fold, as they look to an extractor without it and a
        library without the tags that only this fold has."""
        data, inside = self.dataset, np.flatnonzero(self.folds == fold)
        known = data.labels.counts() - data.labels.subset(inside).counts() > 0
        spellings = Spellings(data.library, data.tag_ids, self.facets, known)
        return read_values(self.of_fold[fold], spellings, _batch_of(self.products, inside))


def cross_fit_spans(dataset: Dataset, folds: npt.NDArray[np.int8], seed: int) -> CrossFitted | None:
    """Extractors for the tags of a data set, or None where too few of them stand in the texts.

    `folds` (n,) is in which each product is held out; -1: in none.
    """
    products = pa.Table.from_batches(dataset.batches)
    complete = np.flatnonzero(dataset.labels.complete)
    order = np.random.default_rng(seed + 3).permutation(complete)[:_PRODUCTS]
    glance = _Sample.of(dataset, products, order[:_GLANCED])
    if glance.labels.named < _STANDING * glance.labels.pairs:
        return None
    sample = _Sample.of(dataset, products, order)
    facet_of = np.array([dataset.library.tags[tag_id].facet for tag_id in dataset.tag_ids])
    facets = sample.labels.facets(facet_of)
    if not len(facets) or len(sample.labels.spans) < _FEWEST_SPANS:
        return None
    places = facet_places(dataset.library, dataset.tag_ids, facets)
    size = int(folds.max()) + 1

    def fit(fold: int) -> Crf:
        return sample.fit(places, len(facets), folds[sample.rows] != fold, seed)

    with ThreadPoolExecutor(cpu_count()) as pool:
        fitted = list(pool.map(fit, range(size + 1)))
    return CrossFitted(dataset, products, facets, folds, fitted[:-1], fitted[-1])


@dataclass(frozen=True)
class _Sample:
    """Products that extractors learn from."""

    rows: npt.NDArray[np.int64]  # of the data set
    batch: pa.RecordBatch
    sequences: Sequences
    labels: SpanLabels

    @staticmethod
    def of(dataset: Dataset, products: pa.Table, rows: npt.NDArray[np.int64]) -> _Sample:
        """The first of these products that have no more than `_TOKENS` together."""
        batch = _batch_of(products, rows)
        sequences = Sequences.of(batch, NO_NAMES)
        tokens = np.bincount(sequences.rows, np.diff(sequences.first), minlength=len(rows))
        kept = max(int(np.searchsorted(np.cumsum(tokens), _TOKENS, side="right")), 1)
        if kept < len(rows):
            return _Sample.of(dataset, products, rows[:kept])
        labels = dataset.labels.subset(rows)
        spans = label_spans(sequences, labels, dataset.library, dataset.tag_ids)
        return _Sample(rows, batch, sequences, spans)

    def fit(
        self, places: npt.NDArray[np.int32], facets: int, inside: npt.NDArray[np.bool_], seed: int
    ) -> Crf:
        """The extractor of the products `inside` (rows,); `places` (m,) are the tags' facets."""
        names, own = self._names(places, inside)
        sequences = Sequences.of(self.batch, names, own)
        states = self.labels.states(len(sequences.starts), places, facets)
        chosen = np.flatnonzero(inside[sequences.rows])
        return fit_crf(sequences, states, chosen, names, facets, seed)

    def _names(
        self, places: npt.NDArray[np.int32], inside: npt.NDArray[np.bool_]
    ) -> tuple[Names, OwnNames]:
        """The names that products `inside` were given, and those that each was given itself."""
        numbers, tags, first, end = self.labels.spans.T
        rows, facets = self.sequences.rows[numbers].astype(np.int64), places[tags]
        keys = self.sequences.name_keys(first, end)
        kept = inside[rows] & (facets >= 0) & (keys > 0)
        given = np.zeros(int(kept.sum()), _GIVEN)
        given["row"], given["facet"], given["key"] = rows[kept], facets[kept], keys[kept]
        given = np.unique(given)
        names, products = np.unique(given[["facet", "key"]], return_counts=True)
        indptr = np.searchsorted(given["row"], np.arange(len(inside) + 1))
        own = OwnNames(indptr, given["key"].copy(), given["facet"].copy())
        words, standing = self._words(inside)
        table = names_table(
            np.concatenate([names["key"], words]),
            np.concatenate([names["facet"], np.full(len(words), -1, np.int32)]),
            np.concatenate([products, standing]),
        )
        return table, own

    def _words(
        self, inside: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """The tokens of products `inside`, hashed like names, and in how many each stands."""
        sequences = self.sequences
        rows = np.repeat(sequences.rows, np.diff(sequences.first))
        tokens = np.flatnonzero(inside[rows])
        standing = np.zeros(len(tokens), _GIVEN)
        standing["row"], standing["key"] = rows[tokens], sequences.name_keys(tokens, tokens + 1)
        return np.unique(np.unique(standing)["key"], return_counts=True)


@dataclass(frozen=True)
class NewPairs:
    """Values of held-out products that no tag which other folds know is named like."""

    features: npt.NDArray[np.float32]  # (k, len(NEW_FEATURES))
    right: npt.NDArray[np.bool_]  # the product was given just this tag
    folds: npt.NDArray[np.int8]


class NewJudge:
    """Which new names of a data set are right, and how new a facet's names are."""

    def __init__(self, spans: CrossFitted) -> None:
        self._spans, self._dataset = spans, spans.dataset
        labels, size = self._dataset.labels, len(spans.facets)
        facets = facet_places(self._dataset.library, self._dataset.tag_ids, spans.facets)
        known, counts = facets >= 0, labels.counts()
        given = np.bincount(facets[known], counts[known], minlength=size)
        once = np.bincount(facets[known], counts[known] == 1, minlength=size)
        self.novelty = ((once + 1) / (given + 2)).astype(np.float32)
        self.facet_share = _facet_shares(labels, facets, size)

    def pairs(
        self,
        fold: int,
        values: Values,
        rows: npt.NDArray[np.int64],
        tags: npt.NDArray[np.int32],
        scores: npt.NDArray[np.float64],
    ) -> NewPairs:
        """The new names among the values of a fold, whose held-out pairs have these scores."""
        inside = np.flatnonzero(self._spans.folds == fold)
        known = best_known(values, np.searchsorted(inside, rows), tags, scores)
        features = new_features(values, known, self.novelty, self.facet_share)
        complete = self._dataset.labels.complete[inside[values.rows]]
        new = np.flatnonzero(complete & (values.tags < 0))
        written = self._spans.products.column("tags").take(pa.array(inside)).to_pylist()
        given = [self._as_given(tags_of_product or ()) for tags_of_product in written]
        form, facets = self._dataset.library.form, self._spans.facets.tolist()
        texts = texts_of_values(values, _batch_of(self._spans.products, inside))
        right = [
            (facets[values.facets[i]], form(texts[i])) in given[values.rows[i]]
            for i in new.tolist()
        ]
        return NewPairs(features[new], np.array(right, np.bool_), np.full(len(new), fold, np.int8))

    def _as_given(self, tags: Sequence[str]) -> set[tuple[str, str]]:
        """The tags of a product as facet and form of the name."""
        library, given = self._dataset.library, set()
        for text in tags:
            written, name = parse_tag(text)
            facet = library.facet_named(written)
            given.add((facet.key if facet else written, library.form(name)))
        return given

    def fit(
        self, parts: Sequence[NewPairs], held_out: HeldOut, options: TrainingOptions, seed: int
    ) -> NewNames:
        """Trees and curve of the pairs of all folds; with the `held_out` pairs of known tags, the
        probability from which proposing names is best for micro-F1."""
        features, right, folds = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("features", "right", "folds")
        )

        def trees_of(members: npt.NDArray[np.bool_]) -> Trees:
            chosen = features[members], right[members].astype(np.float32)
            return fit_trees(*chosen, seed=seed, options=options, skips_hopeless=False)

        odds = np.zeros(len(right))
        probability = np.zeros(len(right))
        for fold in np.unique(folds):
            odds[folds == fold] = trees_of(folds != fold).log_odds(features[folds == fold])
        for fold in np.unique(folds):
            curve = _curve(odds[folds != fold], right[folds != fold])
            probability[folds == fold] = curve(odds[folds == fold])
        everything = np.ones(len(right), np.bool_)
        start = _best_start(probability, right, held_out)
        return NewNames(
            trees_of(everything), _curve(odds, right), self.novelty, self.facet_share,
            np.array([start]), np.array([_least(features[right, 0])]),
        )  # fmt: skip


def _curve(odds: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> Curve:
    return fit_curve(odds, right, np.ones(len(odds)))


def _least(log_odds_of_right: npt.NDArray[np.float32]) -> float:
    """The posterior that 99% of the right names reach."""
    if not len(log_odds_of_right):
        return 1.0
    return float(1 / (1 + np.exp(-np.quantile(log_odds_of_right, 0.01))))


def _best_start(
    probability: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], held_out: HeldOut
) -> float:
    """The probability from which to propose, beside what is published of known tags."""
    sample = slice(held_out.sampled)
    known, correct = held_out.probability[sample], held_out.right[sample]
    published = known >= best_f1_threshold(known, correct, held_out.gold_total)
    return best_f1_threshold(
        probability, right, held_out.gold_total, published=int(published.sum()),
        published_right=int((published & correct).sum()),
    )  # fmt: skip


def _facet_shares(
    labels: LabelMatrix, facets: npt.NDArray[np.int32], size: int
) -> npt.NDArray[np.float32]:
    """Share of the products that have a tag of each facet, (size,)."""
    values = labels.values
    rows = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
    kept = (values.data > 0) & (facets[values.indices] >= 0)
    cells = np.unique(rows[kept] * size + facets[values.indices[kept]])
    return (np.bincount(cells % size, minlength=size) / max(values.shape[0], 1)).astype(np.float32)


def _batch_of(products: pa.Table, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Some of the products as one batch."""
    taken = products.take(pa.array(rows)).combine_chunks().to_batches()
    return taken[0] if taken else pa.RecordBatch.from_pylist([], schema=products.schema)
