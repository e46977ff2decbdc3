"""A catalogue into the store: what is new, what changed, what is gone."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING

from tagmill.catalog.completion import complete
from tagmill.catalog.source import Catalog

if TYPE_CHECKING:  # reading a file needs no database
    from tagmill.store import Store

__all__ = ["ImportReport", "SyncReport", "import_products", "sync_products"]


@dataclass(frozen=True)
class ImportReport:
    """How many products of a catalogue were what; `rejected` are rows that are no products."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    returned: int = 0  # discontinued before, and back
    rejected: int = 0


@dataclass(frozen=True)
class SyncReport(ImportReport):
    """The same, with the products that the catalogue no longer has."""

    gone: int = 0


def import_products(store: Store, catalog: Catalog) -> ImportReport:
    """Add a catalogue's products or bring them up to date; what it lacks stays as it is: other
    products, and fields that it has no column for.

    Where the source breaks off (CatalogError), the products before that are in the store.
    """
    return ImportReport(**_upsert(store, catalog, None))


def sync_products(store: Store, catalog: Catalog, *, many_gone: bool = False) -> SyncReport:
    """The same for a complete catalogue: products it does not have any more are marked gone.

    None is when the source breaks off or has no readable row, nor is a product whose row was
    rejected but still tells its id. Raises CatalogError where more than half of the products there
    were would be gone, and marks none, unless `many_gone` says that this is meant.
    """
    # In a file: the ids of a big catalogue need not fit in memory.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as seen:
        at_most = None if many_gone else store.products.count() // 2
        counts = _upsert(store, catalog, seen)
        readable = catalog.counts.read > catalog.counts.rejected
        gone = store.products.mark_gone(_ids(seen), at_most=at_most) if readable else 0
    return SyncReport(**counts, gone=gone)


def _upsert(store: Store, catalog: Catalog, seen: IO[str] | None) -> dict[str, int]:
    counts = {"new": 0, "changed": 0, "unchanged": 0, "returned": 0}
    for batch, rejects, given, _ in catalog.checked():
        if seen is not None:
            _note(seen, batch.column("id").to_pylist())
            _note(seen, (reject.id for reject in rejects if reject.id))
        if batch.num_rows:
            upserted = store.products.upsert(batch, partial(complete, batch, given))
            for name in counts:
                counts[name] += getattr(upserted, name)
    return {**counts, "rejected": catalog.counts.rejected}


def _note(seen: IO[str], ids: Iterable[str]) -> None:
    seen.writelines(json.dumps(product_id) + "\n" for product_id in ids)


def _ids(seen: IO[str]) -> Iterator[str]:
    seen.seek(0)
    return map(json.loads, seen)
