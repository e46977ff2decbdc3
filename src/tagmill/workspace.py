"""A workspace's models and stored tags: train, tune, learn, measure, explain, export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from tagmill.catalog.writers import TagWriter
from tagmill.errors import CatalogError, NotTrained
from tagmill.learning import evaluate, train, tune
from tagmill.learning.dataset import held_out_fifth
from tagmill.learning.tuning import Tuned
from tagmill.learning.updating import Verdict, update
from tagmill.library import Library
from tagmill.library.stored import load_library
from tagmill.naming import keep_given
from tagmill.records import LANES, Scores
from tagmill.store import Store
from tagmill.tagging.explain import Explanation, explain
from tagmill.tagging.folder import load_model, save_model, shipped_prior
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection, check_precision

__all__ = [
    "ExportReport",
    "current_model",
    "evaluate_workspace",
    "explain_workspace",
    "export_tags",
    "learn_workspace",
    "train_workspace",
    "tune_workspace",
    "unpublished",
]

Progress = Callable[[int], None]  # how many more products are done
Stages = Callable[[str, int, int], None]  # stage, steps done, steps in all


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
    keep_given(store)
    last, library = _last_verdict(store), load_library(store)
    model = train(
        store.products.batches(),
        library,
        verdicts=store.verdicts.labels(),
        taggers=taggers,
        seed=seed,
        progress=progress,
    )
    model.card["last_verdict"] = last
    return model, _keep(store, model, models)


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
    keep_given(store)
    last, library = _last_verdict(store), load_library(store)
    tuned = tune(
        store.products.batches(),
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
    return tuned, _keep(store, tuned.model, models)


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
    return updated, _keep(store, updated, models), len(learned)


def _last_verdict(store: Store) -> int:
    """The number of the newest verdict; 0 where there is none."""
    return max((verdict.id for verdict in store.verdicts.list()), default=0)


def _keep(store: Store, model: Model, models: Path) -> Path:
    """Save a model as the newest of a workspace; its folder."""
    number = max([0, *_numbered(models), *(number for number, _ in _used(store))]) + 1
    folder = models / f"{number:04d}"
    save_model(model, folder)
    return folder


def current_model(store: Store, models: Path, library: Library | None = None) -> Model:
    """The workspace's newest model over its library (or another state of it), or the library
    alone before any training.

    Raises NotTrained where a run that stands used a newer one: a database that was moved or
    restored alone would else have its tags replaced by what the names alone give.
    """
    library = library or load_library(store)
    folders = _numbered(models)
    newest = max(folders, default=0)
    used, run_id = max(_used(store), default=(0, 0))
    if used > newest:
        raise NotTrained(
            f"Run {run_id} tagged with model {used:04d}, which {models} lacks. Models are not in "
            "the database: copy the folder from where that was, or make a new one with: tagmill "
            "train"
        )
    return load_model(folders[newest], library) if folders else Model(library, shipped_prior())


def unpublished(store: Store, models: Path) -> Callable[[pa.RecordBatch, int], Scores]:
    """What the newest model of a workspace says of products, for a `discover.Search`: nothing
    before any training. A model is loaded once it is asked, and again when it or the library is
    newer.
    """
    loaded: dict[tuple[int, int], Model] = {}

    def score(batch: pa.RecordBatch, candidates: int) -> Scores:
        newest = max(_numbered(models), default=0)
        if not newest:
            nothing = sparse.csr_array((batch.num_rows, 0), dtype=np.float32)
            ids = np.asarray(batch.column("id").to_pylist(), object)
            return Scores(ids, np.zeros(0, object), nothing, calibrated=True)
        key = newest, store.searches.state().library
        if key not in loaded:
            loaded.clear()
            loaded[key] = current_model(store, models)
        return loaded[key].score(batch, candidates)

    return score


def _numbered(models: Path) -> dict[int, Path]:
    """The folders of a workspace's models by number."""
    return {int(path.name): path for path in models.glob("[0-9]*") if path.name.isdecimal()}


def _used(store: Store) -> list[tuple[int, int]]:
    """(model, run) of the runs of tagging that stand and were made with a model of a number."""
    runs = (run for run in store.runs.list("tag") if run.status != "undone")
    return [(int(run.model), run.id) for run in runs if run.model.isdecimal()]


def evaluate_workspace(
    store: Store,
    *,
    precision: float = 0.95,
    per_facet: bool = False,
    top_k: int = Selection.top_k,
    seed: int = 0,
    progress: Stages = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Measure what training on the workspace gives: train on four fifths, measure on the rest."""
    check_precision(precision)

    def half(held_out: bool) -> Iterator[pa.RecordBatch]:
        for batch in store.products.batches(labelled=True):
            yield batch.filter(pa.array(held_out_fifth(batch, seed) == held_out))

    model = train(half(False), load_library(store), seed=seed, progress=progress)
    return evaluate(model, half(True), precision=precision, per_facet=per_facet, top_k=top_k)


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
