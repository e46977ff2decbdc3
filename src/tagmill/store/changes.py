"""The log of changes: one row for everything that happens to a product's output."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from tagmill.store.connection import Database, now
from tagmill.store.tables import changes, products

__all__ = ["Change", "log_changes", "record_changes"]

_COLUMNS = ("seq", "product_id", "kind", "run_id", "content_hash", "snapshot", "previous", "at")


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a product: its snapshot before, and after; `is_new` makes one here."""

    product_id: str
    previous: int | None
    snapshot: int | None = None
    content_hash: str | None = None
    is_new: bool = False


def record_changes(
    database: Database,
    connection: sa.Connection,
    kind: str,
    entries: list[Change],
    run_id: int | None = None,
) -> int:
    """Log changes of one kind in consecutive sequence numbers; returns the first."""
    first = database.next_seq(connection, len(entries))
    at = now()
    rows = [
        (
            seq, entry.product_id, kind, run_id, entry.content_hash,
            seq if entry.is_new else entry.snapshot, entry.previous, at,
        )
        for seq, entry in enumerate(entries, first)
    ]  # fmt: skip
    database.insert(connection, changes, _COLUMNS, rows)
    return first


def log_changes(
    database: Database, connection: sa.Connection, kind: str, entries: list[Change]
) -> None:
    """Log changes of products that stay as they are, so that their output comes again."""
    if entries:
        first = record_changes(database, connection, kind, entries)
        updates = [(seq, entry.product_id) for seq, entry in enumerate(entries, first)]
        database.update(connection, products, ("last_change",), updates)
