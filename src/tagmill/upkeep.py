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
from tagmill.library.stored import load_library
from tagmill.pipeline import Progress, TagSummary, tag_batches, tag_into
from tagmill.records import Tag
from tagmill.store import PERSON, Run, Store, UndoReport
from tagmill.tag_runs import outdated_products, run_signature, start_run
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection
from tagmill.tagging.touched import Touched
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
    given = _forecast_given(store, before, library, touched, report)
    for page in store.searches.pages():
        named = touched.in_queries([one.query for one in page])
        asked = zip(page, named.tolist(), strict=True)
        report.searches += sum(hit or not touched.tag_ids.isdisjoint(s.tags) for s, hit in asked)
    having = store.assignments.products_with(touched.tag_ids)
    signatures = {run.signature for run in store.runs.list("tag")}
    for batch in store.products.tagged(signatures, _PAGE):
        named = touched.in_text(batch)
        ids = batch.column("id").to_pylist()
        chosen = [hit or i in having for i, hit in zip(ids, named, strict=True)]
        kept = batch.filter(pa.array(chosen, pa.bool_()))
        if kept.num_rows:
            _compare(store, model, kept, selection, report, given)
        progress(batch.num_rows)
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
    again: bool = True,
    progress: Progress = lambda done: None,
) -> Governed:
    """Store what was changed in a library, and tag the products again that it touches.

    With `again` False they wait for the next `tag`. Raises TagConflict where somebody else
    changed one of the tags after the library was loaded.
    """
    most = len(changed) * 4 > len(library.tags)
    version = store.library.save(
        changed, library.changed_facets(), kind=kind, who=who, why=why, seen=library.version,
        names=library.forms_of({tag.id for tag in changed}) if most else None,
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


def _forecast_given(
    store: Store, before: Library, after: Library, touched: Touched, report: Forecast
) -> dict[str, bool]:
    """Count what becomes of the tags that people gave; of touched products whether they change."""
    meaning = {
        text: (_living(before, text), _living(after, text)) for text in store.assignments.written()
    }
    moved = [t for t, pair in meaning.items() if not touched.tag_ids.isdisjoint(filter(None, pair))]
    found: dict[str, bool] = {}
    for batch in store.products.of_ids(store.assignments.products_of(moved), _PAGE):
        columns = (batch.column(name).to_pylist() for name in ("id", "title", "tags"))
        for product_id, title, texts in zip(*columns, strict=True):
            old, new = ({meaning[text][side] for text in texts} - {None} for side in (0, 1))
            gained = [after.tags[i].text for i in new - old if i]
            lost = [before.tags[i].text for i in old - new if i]
            found[product_id] = bool(gained or lost)
            _add(report, product_id, title, {"gained": gained, "lost": lost, "moved": []})
    report.products, report.changed = len(found), sum(found.values())
    return found


def _living(library: Library, text: str) -> str | None:
    """The id of the tag that counts where a person wrote this one."""
    tag = library.find(text)
    return tag.id if tag is not None and tag.status != "retired" else None


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
    model: Model,
    batch: pa.RecordBatch,
    selection: Selection,
    report: Forecast,
    given: dict[str, bool],
) -> None:
    """Count how the tags of touched products would change; what people said does not.

    `given` are the products that are counted already, and whether as changed.
    """
    ids = batch.column("id").to_pylist()
    verdicts = store.verdicts.labels(ids)
    current = store.assignments.current(ids)
    library = model.library
    ((_, tagged),) = tag_batches(model, [batch], selection)
    for before, after, title in zip(
        current.to_pylist(), tagged.to_pylist(), batch.column("title").to_pylist(), strict=True
    ):
        judged = set(verdicts.get(before["id"], ()))
        judged |= {tag["id"] for tag in before["tags"] if tag["origin"] == PERSON}
        judged |= {target.id for i in judged if (target := library.by_id(i)) is not None}
        old = {t["id"]: t for t in before["tags"] if t["id"] not in judged}
        new = {t["id"]: t for t in after["tags"] if t["id"] not in judged}
        gained = [new[i] for i in new.keys() - old.keys()]
        lost = [old[i] for i in old.keys() - new.keys()]
        moved = [new[i] for i in new.keys() & old.keys() if new[i]["lane"] != old[i]["lane"]]
        report.products += before["id"] not in given
        report.changed += bool(gained or lost or moved) and not given.get(before["id"], False)
        pairs = (("gained", gained), ("lost", lost), ("moved", moved))
        written = {key: [_written(library, tag) for tag in tags] for key, tags in pairs}
        _add(report, before["id"], title, written)


def _written(library: Library, tag: dict[str, Any]) -> str:
    known = library.tags.get(tag["id"])
    return known.text if known else f"{tag['facet']}:{tag['name']}"
