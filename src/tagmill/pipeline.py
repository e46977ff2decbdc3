"""Catalogue to stored tags, stage after stage: read this first.

    catalog.open_catalog → batches of products
        → Model.tag_batch: features, lexicon, linear, fusion, probability, lane
            → a file (`tag_file`), or the store as a run (`tag_workspace`)
            → or first a large language model, about all or some (`consult_file`)

Batches are tagged on every core and come out in order; nothing is held but what is in flight.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from tagmill.catalog import Catalog
from tagmill.catalog.writers import TagWriter
from tagmill.errors import LanguageModelError
from tagmill.naming import NameKeeper, NewNames, named_by
from tagmill.plan import Sample, request_prices
from tagmill.records import LANES, Candidate, Proposer
from tagmill.store import Run, Store
from tagmill.tag_runs import OPEN, outdated_products, run_signature, start_if_needed
from tagmill.tagging.cascade import Portions, consult_batch, doubtful_cells
from tagmill.tagging.llm import Consultant, Opinions
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection
from tagmill.tagging.routing import Cells, Prices, choose_cells

__all__ = [
    "ConsultReport",
    "TagSummary",
    "choose_to_ask",
    "consult_file",
    "consult_workspace",
    "tag_batches",
    "tag_file",
    "tag_into",
    "tag_workspace",
]

_PAGE = 2048  # products
_CONSULTED_AT_ONCE = 1024  # products in both rounds of questions
_OF_BUDGET = 0.95  # is given out by the forecast; the rest is for what that is wrong by
Result = TypeVar("Result")
Progress = Callable[[int], None]  # how many more products are done


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
    catalog: Iterable[pa.RecordBatch],
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
    reused: int = 0  # answers taken over from a near-duplicate product
    undecided: int = 0  # questions of yes or no that were answered with neither
    failed: list[dict[str, str]] = field(default_factory=list)  # {"id", "reason"}
    waiting: int = 0  # products whose requests stand in the batch file
    new_names: NewNames = field(default_factory=NewNames)
    stopped: LanguageModelError | None = None  # why the catalogue was not gone through to its end

    def count(self, batch: pa.RecordBatch, opinions: Opinions) -> None:
        """Add the answers about a batch."""
        ids = batch.column("id").to_pylist()
        self.asked += len({row for row, _ in opinions.pairs})
        self.reused += opinions.reused
        self.undecided += opinions.undecided
        self.waiting += len(opinions.waiting)
        for row, reason in opinions.failed.items():
            self.failed.append({"id": ids[row], "reason": reason})
        self.new_names.count(batch, opinions.candidates())


def consult_file(
    model: Model,
    catalog: Catalog | list[pa.RecordBatch],
    consultant: Consultant,
    writer: TagWriter,
    selection: Selection,
    *,
    share: float | None = None,
    progress: Progress = lambda done: None,
) -> tuple[TagSummary, ConsultReport]:
    """`tag_file` with a large language model asked about every product, or about a `share`.

    With a share the catalogue is gone through twice: the engine judges all products first, and
    what should gain most is asked, as far as the settings' budget goes. Where the budget ends, or
    nobody can be asked any more, what is done is written and the report says why it `stopped`;
    LanguageModelError is raised where that is nothing.
    """
    summary, report = TagSummary(), ConsultReport()
    chosen = None if share is None else choose_to_ask(model, consultant, catalog, share)
    portions = Portions(consultant, _CONSULTED_AT_ONCE, fits=chosen is not None)
    done = 0
    try:
        for batch in chain.from_iterable(map(portions.of, catalog)):
            wanted = None if chosen is None else chosen[done : done + batch.num_rows].toarray()
            consulted = consult_batch(model, consultant, batch, selection, wanted)
            report.count(batch, consulted.opinions)
            writer.write(consulted.products, consulted.tagged)
            summary.count(consulted.tagged)
            progress(batch.num_rows)
            done += batch.num_rows
    except LanguageModelError as error:
        if not done:
            raise
        report.stopped = error
    return summary, report


def choose_to_ask(
    model: Model, consultant: Consultant, batches: Iterable[pa.RecordBatch], share: float
) -> sparse.csr_array:
    """Which cells (n, facets) of a catalogue are asked about: of at most a `share` of the products,
    and no more than the settings' budget should pay for."""
    budget = consultant.propose.settings.budget
    parts: list[Cells] = []
    sample = Sample()
    for batch in batches:
        cells = doubtful_cells(model, batch)
        parts.append(cells)
        if budget is not None:  # priced by those that will cost something
            gains = np.bincount(cells.rows, cells.gains, batch.num_rows).astype(np.float64)
            sample.add(batch, gains)
    if not parts:
        return sparse.csr_array((0, 1), dtype=np.bool_)
    prices = Prices()
    if budget is not None and sample.rows is not None:
        prices, budget = request_prices(model, consultant, sample.rows), _OF_BUDGET * budget
    return choose_cells(Cells.concatenate(parts), prices, share=share, budget=budget)


@dataclass(frozen=True)
class _AskedById:
    """Which cells of stored products are asked about, whatever order these come in."""

    cells: sparse.csr_array  # (n, facets)
    place: Mapping[str, int]  # of each product id
    whole: Set[str]  # products asked about in all facets

    @staticmethod
    def choose(
        model: Model,
        consultant: Consultant,
        batches: Iterable[pa.RecordBatch],
        share: float,
        failed: Set[str],
    ) -> _AskedById:
        """`choose_to_ask`, and those that `failed`: they were chosen before."""
        place: dict[str, int] = {}

        def noted() -> Iterator[pa.RecordBatch]:
            size = 0
            for batch in batches:
                for number, product_id in enumerate(batch.column("id").to_pylist()):
                    place[product_id] = size + number
                size += batch.num_rows
                yield batch

        return _AskedById(choose_to_ask(model, consultant, noted(), share), place, failed)

    def cells_of(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Those of a batch's products, (n, facets); none of one that was stored meanwhile."""
        ids = batch.column("id").to_pylist()
        chosen = np.zeros((len(ids), self.cells.shape[1]), np.bool_)
        known = [row for row, product_id in enumerate(ids) if product_id in self.place]
        chosen[known] = self.cells[[self.place[ids[row]] for row in known]].toarray()
        chosen[[product_id in self.whole for product_id in ids]] = True
        return chosen


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
    run = start_if_needed(store, model, selection, labelled, fixed, outdated)
    if run is not None:
        pending = store.products.pending(signature, _PAGE, labelled=None if labelled else False)
        again = store.products.of_ids(outdated, _PAGE)
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
        keeper.keep(named_by(products, names, "spans"))
        summary.count(tagged)
        summary.new_names.count(products, names)
        progress(products.num_rows)


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
    With a share no more is asked than the budget should pay for. Where it ends all the same,
    nobody can be asked, or answers are waited for, the run stays open: the same call goes on.
    """
    selection = replace(selection, lane="review")
    summary, report = TagSummary(), ConsultReport()
    wanted = Wanted.by(store, model, consultant, selection, labelled, share, fixed)
    run = start_if_needed(store, model, selection, labelled, wanted.asked_with, wanted.outdated)
    if run is None:
        store.runs.confirm(model.library.version, {wanted.signature})
        return None, summary, report
    asked = None
    if share is not None:
        failed = store.replies.failed()
        asked = _AskedById.choose(model, consultant, wanted.batches(_PAGE), share, failed)
    keeper = NameKeeper(store, model.library)
    portions = Portions(consultant, _CONSULTED_AT_ONCE, fits=asked is not None)
    for batch in chain.from_iterable(map(portions.of, wanted.batches(_CONSULTED_AT_ONCE))):
        chosen = None if asked is None else asked.cells_of(batch)
        consulted = consult_batch(model, consultant, batch, selection, chosen)
        store.assignments.write(run, consulted.products, consulted.tagged, "llm")
        report.count(batch, consulted.opinions)
        keeper.keep(named_by(batch, consulted.opinions.candidates(), "llm"))
        summary.count(consulted.tagged)
        progress(batch.num_rows)
    if report.waiting:
        return run, summary, report
    run = store.runs.finish(run)
    if not report.failed:
        store.runs.confirm(model.library.version, {wanted.signature})
    return run, summary, report


@dataclass(frozen=True)
class Wanted:
    """The products of a workspace about which a run with a large language model would ask."""

    store: Store
    asked_with: dict[str, str]  # what signs the run, beside model and selection
    signature: str
    labelled: bool | None  # None: also products that people tagged
    outdated: list[str]  # ids of products whose tags a change of the library touches

    @staticmethod
    def by(
        store: Store,
        model: Model,
        consultant: Consultant,
        selection: Selection,
        labelled: bool,
        share: float | None,
        fixed: Mapping[str, str] = MappingProxyType({}),
    ) -> Wanted:
        """Of what `consult_workspace` is told."""
        asked_with = {**fixed, "llm": consultant.propose.model.name, "prompts": consultant.prompts}
        if consultant.closed:
            asked_with["closed"] = "yes"  # later without: its proposals are wanted
        if share is not None:
            asked_with["share"] = f"{share:g}"
            if (budget := consultant.propose.settings.budget) is not None:
                asked_with["budget"] = f"{budget:g}"
        signature = run_signature(model, selection, asked_with)
        outdated = outdated_products(store, model, {signature})
        return Wanted(store, asked_with, signature, None if labelled else False, outdated)

    def batches(self, size: int) -> Iterator[pa.RecordBatch]:
        """The products as they are stored now, without those that were tagged so."""
        yield from self.store.products.pending(self.signature, size, labelled=self.labelled)
        yield from self.store.products.of_ids(self.outdated, size)
