"""A change of the library and the products it touches: forecast, change, tag again, take back.

upkeep.forecast    what would change, without changing it
upkeep.govern      the change, and the run that tags the touched products again
upkeep.take_back   both undone, exactly
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagmill.library import Library
from tagmill.library.stored import UnstoredNames, load_library
from tagmill.pipeline import Progress, TagSummary, tag_batches, tag_into
from tagmill.records import Tag, tag_text
from tagmill.store import Run, Store, UndoReport
from tagmill.store.current import Entry, Outlook
from tagmill.tag_runs import outdated_products, run_signature, start_run
from tagmill.tagging.output import Selection
from tagmill.tagging.touched import Touched
from tagmill.text import caption
from tagmill.workspace import current_model

__all__ = ["Forecast", "Governed", "TakenBack", "forecast", "govern", "retag", "take_back"]

_EXAMPLES = 5
_PAGE = 2048


@dataclass
class Forecast:
    """What a change of the library would do.

    `products` it touches; of these `changed` would have other tags or lanes: so many pairs of
    product and tag `gained`, `lost` or in another lane (`moved`). `examples` show the first of
    them: `{"id", "title", "gained", "lost", "moved"}`, tags as written. `searches` are the logged
    ones that named one of the changed tags, or would.
    """

    products: int = 0
    changed: int = 0
    gained: int = 0
    lost: int = 0
    moved: int = 0
    searches: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Governed:
    """The library's version after a change, and the run that tagged touched products again.

    `run` is None where there was none to tag. `llm` counts touched products whose tags are a
    large language model's: they wait for the next `tag --llm`.
    """

    version: int
    run: Run | None
    summary: TagSummary
    llm: int = 0


@dataclass(frozen=True)
class TakenBack:
    """The library's version after an undo, the runs undone with the change, and what followed."""

    version: int
    undone: list[UndoReport]
    governed: Governed


def forecast(
    store: Store,
    models: Path,
    library: Library,
    selection: Selection,
    progress: Progress = lambda done: None,
) -> Forecast:
    """What the library as changed in memory would do to the stored tags; nothing is stored."""
    model = current_model(store, models, library)
    selection = replace(selection, lane="review")
    before = load_library(store)
    touched = Touched(before, model)
    report = Forecast()
    if not touched:
        return report
    for page in store.searches.pages():
        named = touched.in_queries([one.query for one in page])
        asked = zip(page, named.tolist(), strict=True)
        report.searches += sum(hit or not touched.tag_ids.isdisjoint(s.tags) for s, hit in asked)
    names = UnstoredNames(library)
    having = {
        *store.assignments.products_with(touched.tag_ids),
        *_meant_otherwise(store, before, names),
    }
    signatures = {run.signature for run in store.runs.list("tag")}
    for batch in store.products.tagged(signatures, _PAGE):
        named = touched.in_text(batch)
        ids = batch.column("id").to_pylist()
        chosen = [hit or i in having for i, hit in zip(ids, named, strict=True)]
        kept = batch.filter(pa.array(chosen, pa.bool_()))
        if kept.num_rows:
            ((_, tagged),) = tag_batches(model, [kept], selection)
            _compare(store, names, kept, tagged, report)
        having.difference_update(ids)
        progress(batch.num_rows)
    for batch in store.products.of_ids(sorted(having), _PAGE):  # that no run has tagged
        _compare(store, names, batch, None, report)
    return report


def govern(
    store: Store,
    models: Path,
    library: Library,
    changed: Sequence[Tag],
    selection: Selection,
    *,
    kind: str,
    who: str = "",
    why: str = "",
    decides: int | None = None,
    again: bool = True,
    progress: Progress = lambda done: None,
) -> Governed:
    """Store what was changed in a library, and tag the products again that it touches.

    `decides` is the proposal that the change is about.

    With `again` False they wait for the next `tag`. Raises TagConflict where somebody else
    changed one of the tags after the library was loaded.
    """
    most = len(changed) * 4 > len(library.tags)
    version = store.library.save(
        changed, library.changed_facets(), kind=kind, who=who, why=why, seen=library.version,
        names=library.forms_of({tag.id for tag in changed}) if most else None, decides=decides,
    )  # fmt: skip
    if not again or version == library.version:
        return Governed(version, None, TagSummary())
    return retag(store, models, selection, library_change=version, progress=progress)


def retag(
    store: Store,
    models: Path,
    selection: Selection,
    *,
    library_change: int | None = None,
    progress: Progress = lambda done: None,
) -> Governed:
    """Tag again what changes of the library touched since it was tagged, as a run of its own.

    Whatever model and selection it was tagged with; a large language model is not asked: products
    tagged by one are only counted.
    """
    runs, summary = store.runs.list("tag"), TagSummary()
    if not runs:
        return Governed(store.library.latest(), None, summary)
    model = current_model(store, models)
    version = model.library.version
    selection = replace(selection, lane="review")
    asked = {run.signature for run in runs if "llm" in run.settings}
    others = {run.signature for run in runs} - asked
    outdated = outdated_products(store, model, others)
    llm = len(outdated_products(store, model, asked))
    run = None
    if outdated:
        run = start_run(store, model, selection, library_change=library_change)
        batches = store.products.of_ids(outdated, _PAGE)
        tag_into(store, run, model, batches, selection, summary, progress)
        run = store.runs.finish(run)
    store.runs.confirm(version, {*others, run_signature(model, selection)})
    return Governed(version, run, summary, llm)


def take_back(
    store: Store,
    models: Path,
    version: int,
    selection: Selection,
    *,
    who: str = "",
    why: str = "",
    progress: Progress = lambda done: None,
) -> TakenBack:
    """Undo a change of the library and the runs made for it; products tagged since that it
    touches are tagged again.

    Raises LibraryError for a change that is not there, TagConflict where later changes rest on it.
    """
    undone = store.undo_change(version, who=who, why=why)
    governed = retag(
        store, models, selection, library_change=store.library.latest(), progress=progress
    )
    return TakenBack(governed.version, undone, governed)


def _meant_otherwise(store: Store, before: Library, names: UnstoredNames) -> list[str]:
    """The products on which people wrote a tag that would mean another."""
    texts = store.assignments.written()
    old, new = UnstoredNames(before).mean(texts), names.mean(texts)
    return store.assignments.products_of([text for text in texts if old[text] != new[text]])


def _add(report: Forecast, product_id: str, title: str, tags: dict[str, list[str]]) -> None:
    """Count the tags of one product, and show them where it is one of the first."""
    report.gained += len(tags["gained"])
    report.lost += len(tags["lost"])
    report.moved += len(tags["moved"])
    if any(tags.values()) and len(report.examples) < _EXAMPLES:
        shown = {key: sorted(names) for key, names in tags.items()}
        report.examples.append({"id": product_id, "title": title, **shown})


def _compare(
    store: Store,
    names: UnstoredNames,
    products: pa.RecordBatch,
    tagged: pa.RecordBatch | None,
    report: Forecast,
) -> None:
    """Count how the tags of touched products would change under the names of a library, and where
    they are `tagged` again, of `TAGGED_SCHEMA`, by that."""
    ids = products.column("id").to_pylist()
    rows = [] if tagged is None else tagged.to_pylist()
    entries = {row["id"]: list(map(_entry, row["tags"])) for row in rows}
    outlook = Outlook(names, names.mean, entries)
    both = (store.assignments.current(ids), store.assignments.current(ids, outlook=outlook))
    lists = (batch.column("tags").to_pylist() for batch in both)
    texts = (products.column(name).to_pylist() for name in ("title", "description"))
    titles = map(caption, *texts)
    for product_id, title, before, after in zip(ids, titles, *lists, strict=True):
        old, new = ({tag["id"]: tag for tag in tags} for tags in (before, after))
        gained = [new[i] for i in new.keys() - old.keys()]
        lost = [old[i] for i in old.keys() - new.keys()]
        moved = [new[i] for i in new.keys() & old.keys() if new[i]["lane"] != old[i]["lane"]]
        report.products += 1
        report.changed += bool(gained or lost or moved)
        pairs = (("gained", gained), ("lost", lost), ("moved", moved))
        written = {k: [tag_text(tag["facet"], tag["name"]) for tag in own] for k, own in pairs}
        _add(report, product_id, title, written)


def _entry(tag: dict[str, Any]) -> Entry:
    return Entry(
        tag["id"], tag["probability"], tag["calibration"], tag["lane"], tag["evidence"], ""
    )
