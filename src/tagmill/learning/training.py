"""A model out of tagged products, cross-fitted so that its probabilities are honest.

1. The products are split into folds. For each fold a linear model of the other folds scores it:
   every pair gets the score it would have had as a new product.
2. On those pairs the fusion trees are fitted, again without the fold they are then applied to;
   their log-odds are calibrated, and the calibrated pairs of all folds are what lane thresholds
   are chosen from.
3. The linear model and the trees that ship are fitted on everything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tagmill import __version__
from tagmill.errors import NotTrained
from tagmill.learning.dataset import Dataset, Verdicts, load_dataset
from tagmill.library.vocabulary import Library
from tagmill.probability import fit_calibration
from tagmill.records import Tagger
from tagmill.tagging import make_tagger
from tagmill.tagging.candidates import (
    Candidates,
    TagStatistics,
    build_candidates,
    entries_at,
)
from tagmill.tagging.features import Rows, count_rows, fit_idf
from tagmill.tagging.folder import shipped_prior
from tagmill.tagging.fusion import fit_trees
from tagmill.tagging.hits import Hits
from tagmill.tagging.lexicon import LexiconTagger
from tagmill.tagging.linear import LabelMatrix, train_linear
from tagmill.tagging.model import (
    HeldOut,
    Memory,
    Model,
    Trained,
    aligned_scores,
    facet_numbers,
)
from tagmill.tagging.options import TrainingOptions

__all__ = ["train"]

# With many products three folds estimate as well as five, in half the time.
_FOLDS, _FOLDS_LARGE, _LARGE = 5, 3, 20_000
# Fusion learns a few dozen numbers per pair: more products than this change nothing.
_FUSION_PRODUCTS = 20_000
_REMEMBERED = 2_000  # products a model keeps to learn verdicts beside

Progress = Callable[[str, int, int], None]


def train(
    products: Iterable[pa.RecordBatch],
    library: Library | None = None,
    *,
    merge_variants: bool = False,
    verdicts: Verdicts | None = None,
    taggers: Sequence[str] = (),
    seed: int = 0,
    options: TrainingOptions = TrainingOptions(),
    progress: Progress = lambda stage, done, total: None,
) -> Model:
    """A model of the judged products in batches of `PRODUCT_SCHEMA`.

    The library is the given one, or what the tags name. `verdicts` (by product and tag id) count
    like tags. `taggers` are further sources for the fusion, by name. The same products, library,
    seed and options give the same model. Raises NotTrained where fewer than two products have tags,
    UnknownTagger.
    """
    dataset = load_dataset(products, library, merge_variants=merge_variants, verdicts=verdicts)
    if len(dataset) < 2:
        raise NotTrained("Only one product has tags; a model needs at least two. Tag some more")
    if dataset.labels.complete.sum() < 2:
        # Of a product that has only verdicts all other tags are unknown: nothing tells what is
        # wrong, and every tag would look as likely as any other.
        raise NotTrained(
            "Verdicts alone are not enough to learn from: at least two products need all of "
            "their tags. Give some rows a 'tags' column and import them"
        )
    others = [make_tagger(name, dataset.library) for name in taggers]
    evidence = _Evidence.gather(dataset, others)
    folds = _split(len(dataset), seed)
    pairs = _cross_fit_pairs(dataset, evidence, folds, seed, options, progress)
    held_out_odds = _cross_fit_trees(pairs, seed, options)
    counts = pairs.counts
    held_out = _held_out(pairs, held_out_odds, counts, dataset)
    progress("final model", 0, 1)
    idf = fit_idf(evidence.counts, options.minimum_products)
    trained = Trained(
        idf=idf,
        linear=train_linear(
            idf.apply(evidence.counts),
            dataset.labels,
            regularisation=options.regularisation,
            seed=seed,
        ),
        statistics=_statistics(evidence, dataset.labels),
        trees=fit_trees(pairs.features, pairs.right, seed=seed, options=options),
        calibration=fit_calibration(held_out_odds, pairs.right, counts),
        held_out=held_out,
        memory=_remember(evidence.counts, dataset.labels, seed),
        candidates=options.candidates,
    )
    progress("final model", 1, 1)
    card = _card(dataset, taggers, seed, options)
    return Model(dataset.library, shipped_prior(), trained, card, others)


@dataclass(frozen=True)
class _Evidence:
    """What the texts of all products hold: feature counts, and where tags' names stand."""

    counts: Rows
    hits: Hits
    others: list[sparse.csr_array]  # scores of further taggers, each (n, m)
    facets: npt.NDArray[np.int32]

    def take(self, rows: npt.NDArray[np.int64]) -> _Evidence:
        """The same for some of the products."""
        others = [sparse.csr_array(scores[rows]) for scores in self.others]
        return _Evidence(self.counts.take(rows), self.hits.take(rows), others, self.facets)

    @staticmethod
    def gather(dataset: Dataset, others: Sequence[Tagger]) -> _Evidence:
        hits = _find_hits(dataset, np.ones(len(dataset.tag_ids), np.bool_))
        facets = facet_numbers(dataset.library, dataset.tag_ids)
        scores = [
            sparse.csr_array(
                sparse.vstack([aligned_scores(tagger, b, dataset.tag_ids) for b in dataset.batches])
            )
            for tagger in others
        ]
        return _Evidence(count_rows(dataset.batches), hits, scores, facets)


@dataclass(frozen=True)
class _Pairs:
    """Candidates of all held-out products, as they would look to a model without them."""

    rows: npt.NDArray[np.int64]  # product
    tags: npt.NDArray[np.int32]
    features: npt.NDArray[np.float32]
    right: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]  # training examples the tag had without the product's fold
    folds: npt.NDArray[np.int8]


def _split(size: int, seed: int) -> npt.NDArray[np.int8]:
    """The fold of each product, folds of equal size."""
    folds = min(_FOLDS_LARGE if size > _LARGE else _FOLDS, size)
    order = np.random.default_rng(seed).permutation(size)
    fold = np.empty(size, np.int8)
    fold[order] = np.arange(size) % folds
    return fold


def _cross_fit_pairs(
    dataset: Dataset,
    evidence: _Evidence,
    folds: npt.NDArray[np.int8],
    seed: int,
    options: TrainingOptions,
    progress: Progress,
) -> _Pairs:
    """Candidates of each fold by models of the others; of large sets, of a sample."""
    count = int(folds.max()) + 1
    sampled = np.zeros(len(folds), np.bool_)
    order = np.random.default_rng(seed + 1).permutation(len(folds))
    sampled[order[:_FUSION_PRODUCTS]] = True
    parts = []
    for fold in range(count):
        progress("cross-fitting", fold, count)
        outside = np.flatnonzero(folds != fold)
        inside = np.flatnonzero((folds == fold) & sampled)
        parts.append(_pairs_of_fold(dataset, evidence, outside, inside, fold, seed, options))
    progress("cross-fitting", count, count)
    return _Pairs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _pairs_of_fold(
    dataset: Dataset,
    evidence: _Evidence,
    outside: npt.NDArray[np.int64],
    inside: npt.NDArray[np.int64],
    fold: int,
    seed: int,
    options: TrainingOptions,
) -> tuple[npt.NDArray[np.generic], ...]:
    """The arrays of `_Pairs` for the products `inside`, from a model of those `outside`."""
    known = dataset.labels.subset(outside)
    if dataset.is_open:
        # A name only the held-out products use would hide a shorter one that stands inside it,
        # as it never does for a new product: find the names the other folds know.
        evidence = replace(evidence, hits=_find_hits(dataset, known.counts() > 0))
    seen, new = evidence.take(outside), evidence.take(inside)
    idf = fit_idf(seen.counts, options.minimum_products)
    linear = train_linear(
        idf.apply(seen.counts), known, regularisation=options.regularisation, seed=seed
    )
    statistics = _statistics(seen, known)
    rows = idf.apply(new.counts)
    candidates = build_candidates(
        rows, linear, options.candidates, new.hits, statistics, new.others
    )
    outcome = _outcomes(candidates, dataset.labels.subset(inside))
    # A tag the other folds do not have would, as a new tag, go by the prior calibration.
    keep = (outcome != 0) & (statistics.counts[candidates.tags] > 0)
    rows, tags = candidates.rows[keep], candidates.tags[keep]
    return (
        inside[rows],
        tags,
        candidates.features[keep],
        outcome[keep] > 0,
        statistics.counts[tags],
        np.full(len(tags), fold, np.int8),
    )


def _find_hits(dataset: Dataset, known: npt.NDArray[np.bool_]) -> Hits:
    """Where names of the `known` tags (m,) stand in the products."""
    tags = [dataset.library.tags[tag_id] for tag_id in dataset.tag_ids[known]]
    facets = dataset.library.facets.values()
    lexicon = LexiconTagger(Library(tags, facets, verbatim=dataset.library.verbatim))
    hits = Hits.concatenate([(lexicon.find(b), b.num_rows) for b in dataset.batches])
    numbers = np.flatnonzero(known).astype(np.int32)
    return replace(hits, tags=numbers[hits.tags], tag_ids=dataset.tag_ids)


def _outcomes(candidates: Candidates, labels: LabelMatrix) -> npt.NDArray[np.int8]:
    """+1 right, -1 wrong, 0 unknown, of each candidate."""
    said = entries_at(labels.values, candidates.rows, candidates.tags)
    return np.where((said == 0) & labels.complete[candidates.rows], -1, said).astype(np.int8)


def _statistics(evidence: _Evidence, labels: LabelMatrix) -> TagStatistics:
    """Counts of tags and of their names over the products of `labels`."""
    m = labels.values.shape[1]
    pairs = np.unique(evidence.hits.rows.astype(np.int64) * m + evidence.hits.tags)
    rows, tags = pairs // m, pairs % m
    said = entries_at(labels.values, rows, tags)
    judged = labels.complete[rows] | (said != 0)
    named = np.bincount(tags[judged], minlength=m)
    named_right = np.bincount(tags[said > 0], minlength=m)
    return TagStatistics(evidence.facets, labels.counts(), named, named_right)


def _cross_fit_trees(pairs: _Pairs, seed: int, options: TrainingOptions) -> npt.NDArray[np.float64]:
    """Log-odds of every pair by trees that never saw its fold."""
    log_odds = np.zeros(len(pairs.rows))
    for fold in np.unique(pairs.folds):
        inside = pairs.folds == fold
        trees = fit_trees(pairs.features[~inside], pairs.right[~inside], seed=seed, options=options)
        log_odds[inside] = trees.log_odds(pairs.features[inside])
    return log_odds


def _held_out(
    pairs: _Pairs,
    log_odds: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
    dataset: Dataset,
) -> HeldOut:
    """The pairs with probabilities by a calibration that never saw their fold."""
    probability = np.zeros(len(log_odds))
    for fold in np.unique(pairs.folds):
        inside = pairs.folds == fold
        calibration = fit_calibration(log_odds[~inside], pairs.right[~inside], counts[~inside])
        probability[inside] = calibration(log_odds[inside], counts[inside])
    gold = np.diff(dataset.labels.values.indptr)[np.unique(pairs.rows)].sum()
    return HeldOut(
        log_odds.astype(np.float32), probability.astype(np.float32), pairs.right, pairs.tags,
        pairs.counts.astype(np.int32), len(pairs.rows), int(gold),
    )  # fmt: skip


def _remember(counts: Rows, labels: LabelMatrix, seed: int) -> Memory:
    """A sample of the products, up to `_REMEMBERED`."""
    order = np.random.default_rng(seed + 2).permutation(len(counts))
    rows = np.sort(order[:_REMEMBERED])
    said = labels.subset(rows)
    return Memory(
        counts.take(rows),
        said.values.indptr.astype(np.int64),
        said.values.indices.astype(np.int32),
        said.values.data > 0,
        said.complete,
    )


def _card(
    dataset: Dataset, taggers: Sequence[str], seed: int, options: TrainingOptions
) -> dict[str, object]:
    """What identifies the model: its data by hash, its library, its seed, its options."""
    digest = hashlib.sha256()
    for batch in dataset.batches:
        for product in batch.to_pylist():
            digest.update(json.dumps(product, sort_keys=True).encode())
    labels = dataset.labels.values
    digest.update(labels.indptr.tobytes() + labels.indices.tobytes() + labels.data.tobytes())
    data_sha256 = digest.hexdigest()
    identity = [__version__, data_sha256, str(seed), *taggers, *map(str, dataset.tag_ids)]
    if options != TrainingOptions():  # a model of default options keeps the id it always had
        identity.append(json.dumps(asdict(options), sort_keys=True))
    return {
        "products": len(dataset),
        "tags": len(dataset.tag_ids),
        "trained_tags": int((dataset.labels.counts() > 0).sum()),
        "labels": int(dataset.labels.values.nnz),
        "unknown_tags": dict(dataset.unknown_tags.most_common(20)),
        "library_version": dataset.library.version,
        "data_sha256": data_sha256,
        "seed": seed,
        "taggers": list(taggers),
        "options": asdict(options),
        "model_id": hashlib.sha256("|".join(identity).encode()).hexdigest()[:16],
    }
