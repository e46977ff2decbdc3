"""Runs of tagging: which products need one, and whether one that was cut off goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType

from tagmill.library.stored import load_library
from tagmill.store import Run, Store
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection
from tagmill.tagging.touched import Touched

__all__ = ["OPEN", "outdated_products", "run_signature", "start_if_needed", "start_run"]

OPEN = {"open": "spans"}  # in the signature of a run that also looks for new names


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


def start_if_needed(
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
    """A new run, or the one that was cut off; others that were cut off are given up.

    Not for a change of the library: that may come while another process tags.
    """
    signature, version = run_signature(model, selection, more), model.library.version
    for unfinished in store.runs.list("tag") if library_change is None else ():
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
