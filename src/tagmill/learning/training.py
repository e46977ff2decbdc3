"""A model out of tagged products, cross-fitted so that its probabilities are honest.

1. Of the products a sample is split into folds. For each fold a linear model of all other products
   scores it: every pair gets the score it would have had as a new product. Of few products this is
   done in several rounds, as how a product looks depends on what it happens to be held out with.
2. On those pairs the fusion trees are fitted, again without the fold they are then applied to;
   their log-odds are calibrated, and the calibrated pairs of the first round are what lane
   thresholds are chosen from.
3. The linear model and the trees that ship are fitted on everything.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tagmill import __version__
from tagmill.errors import NotTrained
from tagmill.learning.dataset import Dataset, LabelMatrix, Verdicts, load_dataset
from tagmill.learning.one_vs_rest import OneVsRest
from tagmill.learning.span_fit import CrossFitted, NewJudge, cross_fit_spans
from tagmill.library.vocabulary import Library
from tagmill.probability import Curve, best_f1_threshold, fit_calibration
from tagmill.records import Tagger
from tagmill.tagging import make_tagger
from tagmill.tagging.candidates import (
    FEATURES,
    MISSING,
    Candidates,
    TagStatistics,
    build_candidates,
    entries_at,
)
from tagmill.tagging.context import Together
from tagmill.tagging.extraction import SPAN_FEATURES, Values
from tagmill.tagging.features import Idf, Rows, count_rows, fit_idf
from tagmill.tagging.folder import shipped_prior
from tagmill.tagging.fusion import NO_TREES, Fusion, fit_first, fit_second, with_context
from tagmill.tagging.hits import Hits
from tagmill.tagging.lexicon import LexiconTagger
from tagmill.tagging.model import (
    HeldOut,
    Memory,
    Model,
    Trained,
    aligned_scores,
    facet_numbers,
)
from tagmill.tagging.new_names import Extraction, NewNames
from tagmill.tagging.options import TrainingOptions
from tagmill.tagging.similarity import (
    NOTHING_SIMILAR,
    fit_similarity,
    index_of_texts,
    similar_pairs,
)

__all__ = ["train"]

# Fusion and calibration learn from so many products: more change nothing. They are held out in
# folds, each from a model of all other products.
_HELD_OUT, _FOLDS = 20_000, 5
_LARGE, _LARGE_FOLDS = 200_000, 2  # where a fold is too few of the products to be missed
_FEW, _ROUNDS = 5_000, 3  # of so few products all are held out several times
_CANDIDATES_PER_TAG, _FEWEST_CANDIDATES, _MOST_CANDIDATES = 2.5, 10, 25
_HELPS = 0.005  # of micro-F1, for which tagging may take several times as long
_LIKENED = 5_000  # products that tell what the likeness of a tag's text means
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
    card = _card(dataset, taggers, seed, options)
    others = [make_tagger(name, dataset.library) for name in taggers]
    evidence = _Evidence.gather(dataset, others, options)
    progress("linear models", 0, 1)
    solution = OneVsRest.solve(
        evidence.rows, dataset.labels, regularisation=options.regularisation, seed=seed
    )
    progress("linear models", 1, 1)
    options = replace(options, candidates=options.candidates or _candidates_for(dataset.labels))
    rounds = _split(len(dataset), seed)
    spans = cross_fit_spans(dataset, rounds[0], seed) if options.spans else None
    pairs, together, values = _cross_fit_pairs(
        dataset, evidence, spans, solution, rounds, options, progress
    )
    progress("fusion", 0, 1)
    fused = spans is not None and _spans_help(pairs.first_round(), dataset, seed, options)
    if spans is not None and not fused:
        pairs = pairs.without_spans(options.candidates)
    fusion, held_out_odds = _fit_fusion(dataset, evidence, pairs, together, seed, options)
    pairs, held_out_odds = pairs.first_round(), held_out_odds[: pairs.once]
    held_out = _held_out(pairs, held_out_odds, dataset)
    extraction = None
    if spans is not None:
        new = _fit_new_names(NewJudge(spans), values, pairs, held_out_odds, held_out, seed, options)
        extraction = Extraction(spans.of_all, spans.facets, fused, new)
    progress("fusion", 1, 1)
    progress("final model", 0, 1)
    everywhere = np.ones(len(dataset), np.bool_)
    trained = Trained(
        idf=evidence.idf,
        linear=solution.index(),
        statistics=_statistics(evidence.hits, dataset.labels, evidence.facets, everywhere),
        fusion=fusion,
        calibration=fit_calibration(held_out_odds, pairs.right, pairs.counts),
        held_out=held_out,
        memory=_remember(evidence.counts, dataset, seed),
        similarity=_fit_similarity(dataset, evidence, rounds[0] >= 0),
        extraction=extraction,
        candidates=options.candidates,
    )
    progress("final model", 1, 1)
    return Model(dataset.library, shipped_prior(), trained, card, others)


@dataclass(frozen=True)
class _Evidence:
    """What the texts of all products hold: features, and where tags' names stand."""

    counts: Rows
    idf: Idf
    rows: Rows  # the counts weighted by the idf
    hits: Hits
    others: list[sparse.csr_array]  # scores of further taggers, each (n, m)
    facets: npt.NDArray[np.int32]

    @staticmethod
    def gather(dataset: Dataset, others: Sequence[Tagger], options: TrainingOptions) -> _Evidence:
        counts = count_rows(dataset.batches)
        idf = fit_idf(counts, options.minimum_products)
        scores = [
            sparse.csr_array(
                sparse.vstack([aligned_scores(tagger, b, dataset.tag_ids) for b in dataset.batches])
            )
            for tagger in others
        ]
        hits = _find_hits(dataset, np.ones(len(dataset.tag_ids), np.bool_))
        facets = facet_numbers(dataset.library, dataset.tag_ids)
        return _Evidence(counts, idf, idf.apply(counts), hits, scores, facets)

    def rows_without(self, held_out: npt.NDArray[np.bool_]) -> Rows:
        """The rows of the `held_out` products (n,) as they look to a model of the others: what
        only these products say it has never seen."""
        inside = self.counts.take(np.flatnonzero(held_out))
        own = np.bincount(inside.indices, minlength=len(self.idf.weights))
        everywhere = np.bincount(self.counts.indices, minlength=len(self.idf.weights))
        return Idf(np.where(own < everywhere, self.idf.weights, 0).astype(np.float32)).apply(inside)


@dataclass(frozen=True)
class _Pairs:
    """Candidates of all held-out products, as they would look to a model without them.

    In several rounds a product stands once in each.
    """

    rows: npt.NDArray[np.int64]  # product
    tags: npt.NDArray[np.int32]
    features: npt.NDArray[np.float32]
    right: npt.NDArray[np.float32]  # 1 right, 0 wrong, a teacher's probability in between
    counts: npt.NDArray[np.int64]  # training examples the tag had without the product's fold
    folds: npt.NDArray[np.int8]  # of the product in the first round
    models: npt.NDArray[np.int8]  # number of the round and fold, in order

    @property
    def once(self) -> int:
        """How many pairs the first round has."""
        return int(np.searchsorted(self.models, self.folds.max(initial=0) + 1))

    def first_round(self) -> _Pairs:
        return self._of(slice(self.once))

    def without_spans(self, limit: int) -> _Pairs:
        """The same as they look without the source of spans, each product's highest margins."""
        features = self.features[:, : -len(SPAN_FEATURES)]
        named = (features[:, FEATURES.index("hits")] > 0) | (
            features[:, len(FEATURES) :: 2] > MISSING
        ).any(axis=1)
        kept = named | (features[:, FEATURES.index("linear_rank")] < limit)
        return replace(self, features=features)._of(kept)

    def _of(self, chosen: slice | npt.NDArray[np.bool_]) -> _Pairs:
        return _Pairs(*(getattr(self, field.name)[chosen] for field in fields(self)))


def _candidates_for(labels: LabelMatrix) -> int:
    """How many margins of a product are worth a look: some for each tag that one has on average."""
    complete = np.flatnonzero(labels.complete)  # of the others only verdicts are known
    tags = labels.subset(complete).counts().sum() / max(len(complete), 1)
    return int(np.clip(np.ceil(_CANDIDATES_PER_TAG * tags), _FEWEST_CANDIDATES, _MOST_CANDIDATES))


def _split(size: int, seed: int) -> list[npt.NDArray[np.int8]]:
    """The fold in which each product is held out, round by round; -1 for those that are not in
    the sample."""
    random = np.random.default_rng(seed)
    folds = min(_LARGE_FOLDS if size > _LARGE else _FOLDS, size)
    rounds = []
    for _ in range(_ROUNDS if size <= _FEW else 1):
        order = random.permutation(size)[:_HELD_OUT]
        fold = np.full(size, -1, np.int8)
        fold[order] = np.arange(len(order)) % folds
        rounds.append(fold)
    return rounds


def _cross_fit_pairs(
    dataset: Dataset,
    evidence: _Evidence,
    spans: CrossFitted | None,
    solution: OneVsRest,
    rounds: Sequence[npt.NDArray[np.int8]],
    options: TrainingOptions,
    progress: Progress,
) -> tuple[_Pairs, list[Together], dict[int, Values]]:
    """Candidates of each round and fold by models of all other products, what goes together there,
    and the values in the texts of the first round's folds by extractors of the others.

    Extractors take the longest to fit: what those of the first round say holds for all.
    """
    first = rounds[0]
    count = int(first.max()) + 1
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    together: list[Together] = []
    values = {} if spans is None else {fold: spans.values(fold) for fold in range(count)}
    own_rows = [np.flatnonzero(first == fold) for fold in range(count)]
    whole = Values.concatenate(list(values.values()), own_rows) if values else None
    for folds in rounds:
        for fold in range(count):
            progress("cross-fitting", len(parts), count * len(rounds))
            held_out = folds == fold
            found = None if whole is None else whole.take(np.flatnonzero(held_out))
            part = _pairs_of_fold(dataset, evidence, solution, held_out, options, found)
            model = np.full(len(part[0]), len(parts), np.int8)
            parts.append((*part, first[part[0]], model))
            others = dataset.labels.subset(np.flatnonzero(~held_out))
            together.append(Together.count(others.values))
    progress("cross-fitting", len(parts), len(parts))
    pairs = _Pairs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return pairs, together, values


def _pairs_of_fold(
    dataset: Dataset,
    evidence: _Evidence,
    solution: OneVsRest,
    held_out: npt.NDArray[np.bool_],
    options: TrainingOptions,
    values: Values | None,
) -> tuple[npt.NDArray[Any], ...]:
    """The first arrays of `_Pairs` for the products that are `held_out`, from a model of the
    others."""
    inside = np.flatnonzero(held_out)
    labels = dataset.labels.subset(inside)
    known = dataset.labels.counts() - labels.counts() > 0
    hits = evidence.hits
    if dataset.is_open and not known.all():
        # A name only the held-out products use would hide a shorter one that stands inside it,
        # as it never does for a new product: find the names the other folds know.
        hits = _find_hits(dataset, known)
    statistics = _statistics(hits, dataset.labels, evidence.facets, ~held_out)
    candidates = build_candidates(
        evidence.rows_without(held_out), solution.without(held_out).index(), options.candidates,
        hits.take(inside), statistics, [sparse.csr_array(s[inside]) for s in evidence.others],
        values=values,
    )  # fmt: skip
    outcome = _outcomes(candidates, labels)
    # A tag the other folds do not have would, as a new tag, go by the prior calibration.
    keep = ~np.isnan(outcome) & (statistics.counts[candidates.tags] > 0)
    rows, tags = candidates.rows[keep], candidates.tags[keep]
    return (
        inside[rows],
        tags,
        candidates.features[keep],
        outcome[keep],
        statistics.counts[tags],
    )


def _find_hits(dataset: Dataset, known: npt.NDArray[np.bool_]) -> Hits:
    """Where names of the `known` tags (m,) stand in the products."""
    tags = [dataset.library.tags[tag_id] for tag_id in dataset.tag_ids[known]]
    facets = dataset.library.facets.values()
    lexicon = LexiconTagger(Library(tags, facets, verbatim=dataset.library.verbatim))
    hits = Hits.concatenate([(lexicon.find(b), b.num_rows) for b in dataset.batches])
    numbers = np.flatnonzero(known).astype(np.int32)
    return replace(hits, tags=numbers[hits.tags], tag_ids=dataset.tag_ids)


def _outcomes(candidates: Candidates, labels: LabelMatrix) -> npt.NDArray[np.float32]:
    """1 right, 0 wrong, between them what a teacher says, nan unknown, of each candidate."""
    said = entries_at(labels.values, candidates.rows, candidates.tags)
    outcome = np.where(said != 0, (1 + said) / 2, np.nan)
    outcome[(said == 0) & labels.complete[candidates.rows]] = 0
    return outcome.astype(np.float32)


def _statistics(
    hits: Hits,
    labels: LabelMatrix,
    facets: npt.NDArray[np.int32],
    among: npt.NDArray[np.bool_],
) -> TagStatistics:
    """Counts of tags and of their names over the products `among` (n,) all."""
    m = labels.values.shape[1]
    keys = hits.rows.astype(np.int64) * m + hits.tags
    pairs = np.unique(keys[among[hits.rows]])
    rows, tags = pairs // m, pairs % m
    said = entries_at(labels.values, rows, tags)
    judged = labels.complete[rows] | (said != 0)
    named = np.bincount(tags[judged], minlength=m)
    named_right = np.bincount(tags[said > 0], minlength=m)
    counts = labels.subset(np.flatnonzero(among)).counts()
    return TagStatistics(facets, counts, named, named_right)


def _fit_fusion(
    dataset: Dataset,
    evidence: _Evidence,
    pairs: _Pairs,
    together: list[Together],
    seed: int,
    options: TrainingOptions,
) -> tuple[Fusion, npt.NDArray[np.float64]]:
    """The trees of both looks, and log-odds of every pair by trees that never saw its fold."""
    log_odds = _by_fold(
        pairs.folds,
        lambda inside, outside: fit_first(
            pairs.features[outside], pairs.right[outside], seed=seed, options=options
        ).log_odds(pairs.features[inside]),
    )
    final = Fusion(
        fit_first(pairs.features, pairs.right, seed=seed, options=options),
        NO_TREES,
        Together.count(dataset.labels.values),
    )
    wanted = np.zeros(len(log_odds), np.bool_)
    contexts = []
    for model, partners in enumerate(together):
        (members,) = np.nonzero(pairs.models == model)
        candidates = Candidates(
            pairs.rows[members].astype(np.int32), pairs.tags[members], pairs.features[members]
        )
        wanted[members], context = replace(final, together=partners).context(
            candidates, log_odds[members], evidence.facets
        )
        contexts.append(context)
    chosen = np.flatnonzero(wanted)  # of one model after the other, as the pairs are
    rows = with_context(pairs.features[chosen], log_odds[chosen], np.concatenate(contexts))
    right = pairs.right[chosen]
    log_odds[chosen] = _by_fold(
        pairs.folds[chosen],
        lambda inside, outside: fit_second(
            rows[outside], right[outside], seed=seed, options=options
        ).log_odds(rows[inside]),
    )
    return replace(final, second=fit_second(rows, right, seed=seed, options=options)), log_odds


def _spans_help(pairs: _Pairs, dataset: Dataset, seed: int, options: TrainingOptions) -> bool:
    """Whether the source of spans is worth its time: by how much it raises the best micro-F1 of a
    first look at held-out pairs."""
    gold = int((dataset.labels.subset(np.unique(pairs.rows)).values.data == 1).sum())

    def best_f1(judged: _Pairs) -> float:
        odds = _by_fold(
            judged.folds,
            lambda inside, outside: fit_first(
                judged.features[outside], judged.right[outside], seed=seed, options=options
            ).log_odds(judged.features[inside]),
        )
        right = judged.right == 1
        published = odds >= best_f1_threshold(odds, right, gold)
        return 2 * int((right & published).sum()) / (int(published.sum()) + gold)

    return best_f1(pairs) - best_f1(pairs.without_spans(options.candidates)) >= _HELPS


def _fit_new_names(
    judge: NewJudge,
    values: dict[int, Values],
    pairs: _Pairs,
    log_odds: npt.NDArray[np.float64],
    held_out: HeldOut,
    seed: int,
    options: TrainingOptions,
) -> NewNames:
    """What tells new names that are right from others, by the values of all folds."""
    parts = []
    for fold, found in values.items():
        own = pairs.folds == fold
        parts.append(judge.pairs(fold, found, pairs.rows[own], pairs.tags[own], log_odds[own]))
    return judge.fit(parts, held_out, options, seed)


def _by_fold(
    folds: npt.NDArray[np.int8],
    judge: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.float64]],
) -> npt.NDArray[np.float64]:
    """What `judge` says of the members of some folds, out of those of the others."""
    out = np.zeros(len(folds))
    for fold in np.unique(folds):
        inside = np.flatnonzero(folds == fold)
        out[inside] = judge(inside, np.flatnonzero(folds != fold))
    return out


def _held_out(pairs: _Pairs, log_odds: npt.NDArray[np.float64], dataset: Dataset) -> HeldOut:
    """The pairs that people judged, with probabilities by a calibration without their fold."""
    probability = np.zeros(len(log_odds))
    for fold in np.unique(pairs.folds):
        inside = pairs.folds == fold
        calibration = fit_calibration(
            log_odds[~inside], pairs.right[~inside], pairs.counts[~inside]
        )
        probability[inside] = calibration(log_odds[inside], pairs.counts[inside])
    judged = (pairs.right == 0) | (pairs.right == 1)
    gold = (dataset.labels.subset(np.unique(pairs.rows[judged])).values.data == 1).sum()
    return HeldOut(
        log_odds[judged].astype(np.float32), probability[judged].astype(np.float32),
        pairs.right[judged] == 1, pairs.tags[judged], pairs.counts[judged].astype(np.int32),
        int(judged.sum()), int(gold),
    )  # fmt: skip


def _fit_similarity(dataset: Dataset, evidence: _Evidence, sampled: npt.NDArray[np.bool_]) -> Curve:
    """What the likeness of a tag's text tells where no name of it stands."""
    tags = [dataset.library.tags[tag_id] for tag_id in dataset.tag_ids]
    texts = index_of_texts(tags, dataset.labels.counts() > 0, evidence.idf)
    chosen = np.flatnonzero(sampled & dataset.labels.complete)[:_LIKENED]
    if texts is None or not len(chosen):
        return NOTHING_SIMILAR
    keys, cosines = similar_pairs(evidence.rows.take(chosen), texts)
    rows, columns = chosen[keys // len(tags)], keys % len(tags)
    named = np.isin(
        rows * len(tags) + columns, evidence.hits.rows.astype(np.int64) * len(tags)
        + evidence.hits.tags,
    )  # fmt: skip
    right = entries_at(dataset.labels.values, rows, columns) > 0
    return fit_similarity(keys[~named], cosines[~named], right[~named])


def _remember(counts: Rows, dataset: Dataset, seed: int) -> Memory:
    """A sample of the products, up to `_REMEMBERED`."""
    order = np.random.default_rng(seed + 2).permutation(len(counts))
    rows = np.sort(order[:_REMEMBERED])
    labels = dataset.labels.subset(rows)
    said = labels.values
    said.data[np.abs(said.data) < 1] = 0  # a teacher's opinion is not what people said
    said.eliminate_zeros()
    ids = pa.chunked_array([batch.column("id") for batch in dataset.batches])
    return Memory(
        counts.take(rows),
        said.indptr.astype(np.int64),
        said.indices.astype(np.int32),
        said.data > 0,
        labels.complete,
        np.array(ids.take(pa.array(rows)).to_pylist(), np.str_),
    )


def _card(
    dataset: Dataset, taggers: Sequence[str], seed: int, options: TrainingOptions
) -> dict[str, object]:
    """What identifies the model: its data by hash, its library, its seed, its options."""
    digest = hashlib.sha256()
    products = pa.Table.from_batches(dataset.batches).combine_chunks()
    with pa.ipc.new_stream(_Hashed(digest), products.schema) as stream:
        stream.write_table(products)
    labels = dataset.labels.values
    for array in (labels.indptr.astype(np.int64), labels.indices.astype(np.int64), labels.data):
        digest.update(array.tobytes())
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


class _Hashed(io.RawIOBase):
    """A file that only feeds a hash."""

    def __init__(self, digest: hashlib._Hash) -> None:
        self._digest = digest

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401
        self._digest.update(data)
        return memoryview(data).nbytes
