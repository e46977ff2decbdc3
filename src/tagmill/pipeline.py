"""Catalogue to stored tags, stage after stage: read this first.

    catalog.open_catalog → batches of products
        → Model.tag_batch: features, lexicon, linear, fusion, probability, lane
            → a file (`tag_file`), or the store as a run (`tag_workspace`)
            → or first a large language model, about all or some (`consult_file`)

Batches are tagged on every core and come out in order; nothing is held but what is in flight.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tagmill.catalog import Catalog
from tagmill.catalog.writers import TagWriter
from tagmill.errors import CatalogError, NotTrained
from tagmill.learning import evaluate, train, tune
from tagmill.learning.dataset import held_out_fifth
from tagmill.learning.tuning import Tuned
from tagmill.learning.updating import Verdict, update
from tagmill.library import Library
from tagmill.library.matching import Matcher
from tagmill.library.stored import load_library
from tagmill.records import LANES, Candidate, Proposer, parse_tag, tag_text
from tagmill.store import NewName, Run, Store
from tagmill.tagging.cascade import choose_products, consult_batch, expected_gains
from tagmill.tagging.explain import Explanation, explain
from tagmill.tagging.folder import load_model, save_model, shipped_prior
from tagmill.tagging.llm import Consultant, Opinions
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection, check_precision
from tagmill.tagging.touched import Touched
from tagmill.text import normal_form

__all__ = [
    "OPEN",
    "ConsultReport",
    "ExportReport",
    "NameKeeper",
    "NewNames",
    "TagSummary",
    "choose_to_ask",
    "consult_file",
    "consult_workspace",
    "current_model",
    "evaluate_workspace",
    "explain_workspace",
    "export_tags",
    "outdated_products",
    "run_signature",
    "start_run",
    "tag_batches",
    "tag_file",
    "tag_into",
    "tag_workspace",
    "train_workspace",
    "tune_workspace",
]

_CONSULTED_AT_ONCE = 1024  # products in both rounds of questions
_EXAMPLES = 3  # of products, for each new name

OPEN = {"open": "spans"}  # in the signature of a run that also looks for new names

Result = TypeVar("Result")
Progress = Callable[[int], None]  # how many more products are done
Stages = Callable[[str, int, int], None]  # stage, steps done, steps in all


def tag_batches(
    model: Model, batches: Iterable[pa.RecordBatch], selection: Selection
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """(products, tagged) for each batch, in order; the work runs on every core."""
    return _on_every_core(batches, lambda batch: model.tag_batch(batch, selection))


def _tag_and_propose(
    model: Model,
    batches: Iterable[pa.RecordBatch],
    selection: Selection,
    proposer: Proposer | None,
) -> Iterator[tuple[pa.RecordBatch, tuple[pa.RecordBatch, list[Candidate]]]]:
    """`tag_batches`, with the new names that a proposer finds."""

    def work(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Candidate]]:
        names = [] if proposer is None else proposer.propose(batch)
        return model.tag_batch(batch, selection), names

    return _on_every_core(batches, work)


def _on_every_core(
    batches: Iterable[pa.RecordBatch], work: Callable[[pa.RecordBatch], Result]
) -> Iterator[tuple[pa.RecordBatch, Result]]:
    """Each batch and what `work` makes of it, in order."""
    workers = os.cpu_count() or 1
    waiting: deque[tuple[pa.RecordBatch, Future[Result]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for batch in batches:
            waiting.append((batch, pool.submit(work, batch)))
            if len(waiting) > workers + 1:
                products, future = waiting.popleft()
                yield products, future.result()
        while waiting:
            products, future = waiting.popleft()
            yield products, future.result()


@dataclass
class NewNames:
    """Names that are not in the library, by any proposer."""

    entries: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.entries)

    def count(self, products: pa.RecordBatch, candidates: Iterable[Candidate]) -> None:
        """Add the names that a batch's products gave."""
        ids = products.column("id")
        for one in candidates:
            entry = self.entries.setdefault(
                (one.facet, normal_form(one.name)),
                {"facet": one.facet, "name": one.name, "products": 0, "examples": []},
            )
            entry["products"] += 1
            if len(entry["examples"]) < _EXAMPLES and one.evidence is not None:
                example = {"id": ids[one.row].as_py(), **asdict(one.evidence)}
                entry["examples"].append(example)

    def proposals(self) -> list[dict[str, Any]]:
        """`{"facet", "name", "products", "examples"}` of each, the most frequent first."""
        return sorted(self.entries.values(), key=lambda entry: -entry["products"])


@dataclass
class TagSummary:
    """What a tagging pass did."""

    products: int = 0
    tags: int = 0
    auto: int = 0
    review: int = 0
    untagged: int = 0  # products without any tag
    new_names: NewNames = field(default_factory=NewNames)

    def numbers(self) -> dict[str, int]:
        """The counts by name."""
        return {key: value for key, value in vars(self).items() if key != "new_names"}

    def count(self, tagged: pa.RecordBatch) -> None:
        """Add a batch of `TAGGED_SCHEMA`."""
        lists = tagged.column("tags")
        lanes = lists.flatten().field("lane")
        self.products += tagged.num_rows
        self.tags += len(lanes)
        self.auto += pc.sum(pc.equal(lanes, LANES[0])).as_py() or 0
        self.review += pc.sum(pc.equal(lanes, LANES[1])).as_py() or 0
        self.untagged += pc.sum(pc.equal(pc.list_value_length(lists), 0)).as_py() or 0


def tag_file(
    model: Model,
    catalog: Catalog,
    writer: TagWriter,
    selection: Selection,
    progress: Progress = lambda done: None,
    proposer: Proposer | None = None,
) -> TagSummary:
    """Tag a catalogue into a file (or the terminal); the database is not touched.

    With a `proposer` the summary also has the new names that it finds.
    """
    summary = TagSummary()
    for products, (tagged, names) in _tag_and_propose(model, catalog, selection, proposer):
        writer.write(products, tagged)
        summary.count(tagged)
        summary.new_names.count(products, names)
        progress(products.num_rows)
    return summary


@dataclass
class ConsultReport:
    """What came of asking a large language model about a catalogue."""

    asked: int = 0  # products
    failed: list[dict[str, str]] = field(default_factory=list)  # {"id", "reason"}
    waiting: int = 0  # products whose requests stand in the batch file
    new_names: NewNames = field(default_factory=NewNames)

    def count(self, batch: pa.RecordBatch, opinions: Opinions) -> None:
        """Add the answers about a batch."""
        ids = batch.column("id").to_pylist()
        self.asked += len({row for row, _ in opinions.pairs})
        self.waiting += len(opinions.waiting)
        for row, reason in opinions.failed.items():
            self.failed.append({"id": ids[row], "reason": reason})
        self.new_names.count(batch, opinions.candidates())


def consult_file(
    model: Model,
    catalog: Catalog,
    consultant: Consultant,
    writer: TagWriter,
    selection: Selection,
    *,
    share: float | None = None,
    progress: Progress = lambda done: None,
) -> tuple[TagSummary, ConsultReport]:
    """`tag_file` with a large language model asked about every product, or about a `share`.

    With a share the catalogue is gone through twice: the engine judges all products first, and
    those where asking should gain most are asked about.
    """
    summary, report = TagSummary(), ConsultReport()
    chosen = None if share is None else choose_to_ask(model, catalog, share)
    done = 0
    for whole in catalog:
        for start in range(0, whole.num_rows, _CONSULTED_AT_ONCE):
            batch = whole.slice(start, _CONSULTED_AT_ONCE)
            wanted = None if chosen is None else chosen[done : done + batch.num_rows]
            consulted = consult_batch(model, consultant, batch, selection, wanted)
            report.count(batch, consulted.opinions)
            writer.write(consulted.products, consulted.tagged)
            summary.count(consulted.tagged)
            progress(batch.num_rows)
            done += batch.num_rows
    return summary, report


def choose_to_ask(
    model: Model, batches: Iterable[pa.RecordBatch], share: float
) -> npt.NDArray[np.bool_]:
    """Which products (n,) of a catalogue are asked about."""
    gains, costs = [], []
    for batch in batches:
        scored = model.score_pairs(batch, model.lexicon.find(batch), top_k=0)
        gain = expected_gains(model, scored)
        gains.append(np.bincount(scored.rows, gain, minlength=batch.num_rows))
        costs.append(np.ones(batch.num_rows))
    if not gains:
        return np.zeros(0, np.bool_)
    return choose_products(np.concatenate(gains), np.concatenate(costs), share=share)


def tag_workspace(
    store: Store,
    model: Model,
    selection: Selection,
    *,
    labelled: bool = False,
    fixed: Mapping[str, str] = MappingProxyType({}),
    progress: Progress = lambda done: None,
    proposer: Proposer | None = None,
) -> tuple[Run | None, TagSummary]:
    """Tag the products that need it and store the lanes auto and review, as one run.

    A product needs it when it is new, changed, was tagged by another model or selection, or when
    a change of the library touched it; those a person has tagged only with `labelled`. A run that
    was killed is taken up where its last stored chunk ended. Without anything to do there is no
    run. `fixed` is what else the tags depend on, such as a library that is not the newest. New
    names that a `proposer` finds are kept as proposals.
    """
    fixed = {**fixed, **(OPEN if proposer is not None else {})}
    selection = replace(selection, lane="review")  # whatever is asked for, both lanes are stored
    signature, summary = run_signature(model, selection, fixed), TagSummary()
    outdated = outdated_products(store, model, {signature})
    run = _start_run(store, model, selection, labelled, fixed, outdated)
    if run is not None:
        pending = store.products.pending(signature, 2048, labelled=None if labelled else False)
        again = store.products.of_ids(outdated, 2048)
        tag_into(store, run, model, chain(pending, again), selection, summary, progress, proposer)
        run = store.runs.finish(run)
    store.runs.confirm(model.library.version, {signature})
    return run, summary


def tag_into(
    store: Store,
    run: Run,
    model: Model,
    batches: Iterable[pa.RecordBatch],
    selection: Selection,
    summary: TagSummary,
    progress: Progress = lambda done: None,
    proposer: Proposer | None = None,
) -> None:
    """Tag products into a run that was started; `summary` counts them."""
    origin = "lexicon" if model.trained is None else "model"
    keeper = NameKeeper(store, model.library)
    for products, (tagged, names) in _tag_and_propose(model, batches, selection, proposer):
        store.assignments.write(run, products, tagged, origin)
        keeper.keep(_named_by(products, names, "spans"))
        summary.count(tagged)
        summary.new_names.count(products, names)
        progress(products.num_rows)


class NameKeeper:
    """Keeps names that a library lacks as the workspace's proposals.

    A name that differs from a tag's only in how it is written is no proposal. A facet is noted
    under its key, whatever language it is named in.
    """

    def __init__(self, store: Store, library: Library) -> None:
        self._store, self._library = store, library
        self._matcher: Matcher | None = None

    def keep(self, names: Iterable[NewName]) -> int:
        """How many of the names are new."""
        new = []
        for one in names:
            facet = self._library.facet_named(one.facet)
            known = one if facet is None else replace(one, facet=facet.key)
            if self._library.find(tag_text(known.facet, known.name)) is None:
                self._matcher = self._matcher or Matcher(self._library)
                match = self._matcher.match(known.name, known.facet)
                if match is None or not match.certain:
                    new.append(known)
        return self._store.proposals.add(new) if new else 0


def _named_by(
    products: pa.RecordBatch, candidates: Iterable[Candidate], source: str
) -> Iterator[NewName]:
    ids = products.column("id")
    for one in candidates:
        evidence = None if one.evidence is None else asdict(one.evidence)
        yield NewName(ids[one.row].as_py(), one.facet, one.name, source, evidence)


def outdated_products(store: Store, model: Model, signatures: Set[str]) -> list[str]:
    """The ids of the products, of runs of these signatures, that the library's changes since
    touched."""
    bases = {run.valid_to for run in store.runs.list("tag") if run.signature in signatures}
    found: list[str] = []
    for base in sorted(version for version in bases if version < model.library.version):
        touched = Touched(load_library(store, base), model)
        if not touched:
            continue
        having = store.assignments.products_with(touched.tag_ids)
        for batch in store.products.outdated(base, signatures):
            named = touched.in_text(batch)
            ids = batch.column("id").to_pylist()
            found += [i for i, hit in zip(ids, named, strict=True) if hit or i in having]
    return found


def consult_workspace(
    store: Store,
    model: Model,
    consultant: Consultant,
    selection: Selection,
    *,
    labelled: bool = False,
    share: float | None = None,
    fixed: Mapping[str, str] = MappingProxyType({}),
    progress: Progress = lambda done: None,
) -> tuple[Run | None, TagSummary, ConsultReport]:
    """`tag_workspace` with a large language model asked about every product, or about a `share`.

    Products that failed stay without tags of this run, and the next one asks about them again.
    Where the budget ends, or nobody can be asked, the run stays open: the same call goes on.
    """
    selection = replace(selection, lane="review")
    asked_with = {**fixed, "llm": consultant.propose.model.name, "prompts": consultant.prompts}
    if share is not None:
        asked_with["share"] = f"{share:g}"
    summary, report = TagSummary(), ConsultReport()
    signature = run_signature(model, selection, asked_with)
    outdated = outdated_products(store, model, {signature})
    run = _start_run(store, model, selection, labelled, asked_with, outdated)
    if run is None:
        store.runs.confirm(model.library.version, {signature})
        return None, summary, report
    which = None if labelled else False

    def wanting(size: int) -> Iterator[pa.RecordBatch]:
        yield from store.products.pending(signature, size, labelled=which)
        yield from store.products.of_ids(outdated, size)

    wanted: set[str] | None = None
    if share is not None:
        ids: list[str] = []

        def noted() -> Iterator[pa.RecordBatch]:
            for batch in wanting(2048):
                ids.extend(batch.column("id").to_pylist())
                yield batch

        mask = choose_to_ask(model, noted(), share)
        wanted = {product_id for product_id, asked in zip(ids, mask, strict=True) if asked}
        wanted |= store.replies.failed()  # they were chosen before
    keeper = NameKeeper(store, model.library)
    for batch in wanting(_CONSULTED_AT_ONCE):
        chosen = None
        if wanted is not None:
            chosen = np.array([i in wanted for i in batch.column("id").to_pylist()], np.bool_)
        consulted = consult_batch(model, consultant, batch, selection, chosen)
        store.assignments.write(run, consulted.products, consulted.tagged, "llm")
        report.count(batch, consulted.opinions)
        keeper.keep(_named_by(batch, consulted.opinions.candidates(), "llm"))
        summary.count(consulted.tagged)
        progress(batch.num_rows)
    run = store.runs.finish(run)
    if not report.failed:
        store.runs.confirm(model.library.version, {signature})
    return run, summary, report


def _start_run(
    store: Store,
    model: Model,
    selection: Selection,
    labelled: bool,
    more: Mapping[str, str],
    outdated: Sequence[str],
) -> Run | None:
    """The run that tags what needs it, perhaps one that was cut off; None: nothing needs it."""
    signature = run_signature(model, selection, more)
    which = None if labelled else False
    if not outdated and not store.products.pending_count(signature, labelled=which):
        return None
    return start_run(store, model, selection, more)


def start_run(
    store: Store,
    model: Model,
    selection: Selection,
    more: Mapping[str, str] = MappingProxyType({}),
    *,
    library_change: int | None = None,
) -> Run:
    """A new run, or the one that was cut off; others that were cut off are given up."""
    signature, version = run_signature(model, selection, more), model.library.version
    for unfinished in store.runs.list("tag"):
        same = (signature, version, library_change) == (
            unfinished.signature, unfinished.library_version, unfinished.library_change,
        )  # fmt: skip
        if unfinished.status == "running" and not same:
            store.runs.fail(unfinished)  # nothing will take it up again
    return store.runs.start(
        "tag",
        signature,
        model=str(model.card.get("name", "starter")),
        library_version=version,
        library_change=library_change,
        settings={
            "top_k": selection.top_k,
            "precision": selection.precision,
            "per_facet": selection.per_facet,
            "diverse": selection.diverse,
            "broader": selection.broader,
            **more,
        },
    )


def run_signature(
    model: Model, selection: Selection, more: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What a product's tags depend on besides the product and the library: 16 hex digits."""
    parts = {
        "model": model.card.get("model_id", "starter"),
        "selection": [
            selection.top_k,
            selection.precision,
            selection.per_facet,
            selection.diverse,
            selection.broader,
        ],
        **more,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def train_workspace(
    store: Store,
    models: Path,
    *,
    taggers: Sequence[str] = (),
    seed: int = 0,
    progress: Stages = lambda stage, done, total: None,
) -> tuple[Model, Path]:
    """Train on the workspace's tagged products and verdicts; keep the model as its newest.

    What people called products and the library lacks becomes proposals.
    """
    last, library = _last_verdict(store), load_library(store)
    model = train(
        _noting_labels(store, library),
        library,
        verdicts=store.verdicts.labels(),
        taggers=taggers,
        seed=seed,
        progress=progress,
    )
    model.card["last_verdict"] = last
    return model, _keep(model, models)


def _noting_labels(store: Store, library: Library) -> Iterator[pa.RecordBatch]:
    """The workspace's products; tags that people gave and the library lacks are noted."""
    keeper = NameKeeper(store, library)
    for batch in store.products.batches():
        labelled = zip(
            batch.column("id").to_pylist(), batch.column("tags").to_pylist(), strict=True
        )
        written = [(i, *parse_tag(text)) for i, tags in labelled for text in tags or ()]
        keeper.keep(NewName(i, facet, name, "person") for i, facet, name in written)
        yield batch


def tune_workspace(
    store: Store,
    models: Path,
    *,
    minutes: float = 10.0,
    trials: int | None = None,
    metric: str = "micro_f1",
    taggers: Sequence[str] = (),
    seed: int = 0,
    progress: Stages = lambda stage, done, total: None,
) -> tuple[Tuned, Path]:
    """`train_workspace` with the best training options found in so many minutes."""
    last, library = _last_verdict(store), load_library(store)
    tuned = tune(
        _noting_labels(store, library),
        library,
        minutes=minutes,
        trials=trials,
        metric=metric,
        verdicts=store.verdicts.labels(),
        taggers=taggers,
        seed=seed,
        progress=progress,
    )
    tuned.model.card["last_verdict"] = last
    return tuned, _keep(tuned.model, models)


def learn_workspace(store: Store, models: Path) -> tuple[Model, Path, int]:
    """Teach the newest model the verdicts given since it was made; the new one, and how many.

    Raises NotTrained where there is no model yet.
    """
    model = current_model(store, models)
    if model.trained is None:
        raise NotTrained("This workspace has no trained model yet. Make one with: tagmill train")
    library = load_library(store)
    last, since = _last_verdict(store), int(model.card.get("last_verdict", 0))
    learned: list[Verdict] = []
    for verdict in store.verdicts.list():
        tag = library.by_id(verdict.tag_id)
        if verdict.id <= since or tag is None or tag.status != "active":
            continue
        batch = store.products.batch(verdict.product_id)
        (product,) = batch.drop_columns(["tags"]).to_pylist(maps_as_pydicts="lossy")
        learned.append(Verdict(product, tag.text, verdict.accepted))
    if not learned:
        return model, models / model.card["name"], 0
    updated = update(model, learned)
    updated.card["last_verdict"] = last
    return updated, _keep(updated, models), len(learned)


def _last_verdict(store: Store) -> int:
    """The number of the newest verdict; 0 where there is none."""
    return max((verdict.id for verdict in store.verdicts.list()), default=0)


def _keep(model: Model, models: Path) -> Path:
    """Save a model as the newest of a workspace; its folder."""
    number = max((int(p.name) for p in models.glob("[0-9]*") if p.name.isdigit()), default=0) + 1
    folder = models / f"{number:04d}"
    save_model(model, folder)
    return folder


def current_model(store: Store, models: Path, library: Library | None = None) -> Model:
    """The workspace's newest model over its library (or another state of it), or the library
    alone before any training."""
    library = library or load_library(store)
    folders = sorted(p for p in models.glob("[0-9]*") if p.name.isdigit())
    return load_model(folders[-1], library) if folders else Model(library, shipped_prior())


def evaluate_workspace(
    store: Store,
    *,
    precision: float = 0.95,
    per_facet: bool = False,
    seed: int = 0,
    progress: Stages = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Measure what training on the workspace gives: train on four fifths, measure on the rest."""
    check_precision(precision)

    def half(held_out: bool) -> Iterator[pa.RecordBatch]:
        for batch in store.products.batches(labelled=True):
            yield batch.filter(pa.array(held_out_fifth(batch, seed) == held_out))

    model = train(half(False), load_library(store), seed=seed, progress=progress)
    return evaluate(model, half(True), precision=precision, per_facet=per_facet)


def explain_workspace(
    store: Store,
    models: Path,
    product_id: str,
    tag: str,
    *,
    model: Path | None = None,
    precision: float = 0.95,
    per_facet: bool = False,
) -> tuple[pa.RecordBatch, Explanation]:
    """A product of the workspace, and why it has a tag or has it not.

    By the workspace's newest model, or the one of a folder. Raises CatalogError for an unknown
    product, UnknownTag.
    """
    product = store.products.batch(product_id)
    if not product.num_rows:
        raise CatalogError(f"No product has the id '{product_id}'. See: tagmill products list")
    used = load_model(model, load_library(store)) if model else current_model(store, models)
    return product, explain(used, product, tag, precision=precision, per_facet=per_facet)


@dataclass(frozen=True)
class ExportReport:
    """How many products went out, and the cursor from which the next export goes on."""

    products: int
    cursor: int


def export_tags(
    store: Store,
    writer: TagWriter,
    *,
    since: int | None = None,
    lane: str = "review",
    language: str = "product",
    progress: Progress = lambda done: None,
) -> ExportReport:
    """Write the stored tags: of all products, or of those whose tags changed after a cursor."""
    export = store.assignments.export(since, language=language)
    for batch in export:
        writer.write(batch, _only_auto(batch) if lane == LANES[0] else batch)
        progress(batch.num_rows)
    return ExportReport(export.products, export.cursor)


def _only_auto(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same products with only the tags of the lane auto."""
    lists = batch.column("tags")
    entries = lists.flatten()
    keep = np.asarray(entries.field("lane").to_pylist(), object) == LANES[0]
    ends = np.cumsum(np.asarray(lists.value_lengths()))
    kept = np.concatenate([[0], np.cumsum(keep)])
    offsets = kept[np.concatenate([[0], ends])]
    auto = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), entries.filter(pa.array(keep)))
    return batch.set_column(batch.schema.get_field_index("tags"), batch.schema.field("tags"), auto)
