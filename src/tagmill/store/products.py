"""Products as the catalogue gives them, read back as Arrow batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from tagmill.errors import CatalogError
from tagmill.store.changes import Change, log_changes, record_changes
from tagmill.store.connection import Database, Found, now
from tagmill.store.content import PRODUCT_COLUMNS, ProductRow, product_batch, product_rows
from tagmill.store.tables import changes, products, runs

__all__ = ["Products", "UpsertCounts"]

_PAGE = 4096


@dataclass(frozen=True)
class UpsertCounts:
    """How many products of a batch were new, changed, unchanged, or gone before and back again."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    returned: int = 0


class Products:
    """The products of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def upsert(
        self,
        batch: pa.RecordBatch,
        complete: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None,
    ) -> UpsertCounts:
        """Add the products of a batch of `PRODUCT_SCHEMA`, or bring them up to date.

        Unchanged products are left alone. Null tags leave the tags a product has; of two
        products with one id the last counts. `complete` gives the batch with what it lacks, from
        the stored products among it, gone ones too, as a batch.
        """
        with self._database.write() as connection:
            if complete is not None:
                batch = complete(self._found(connection, batch.column("id").to_pylist()))
            incoming = {row.id: row for row in product_rows(batch)}
            stored = self._stored(connection, incoming)
            new = [row for row in incoming.values() if row.id not in stored]
            known = [(row, stored[row.id]) for row in incoming.values() if row.id in stored]
            back = [(row, before) for row, before in known if before.gone]
            changed = [
                (row, before)
                for row, before in known
                if not before.gone and (_differs(row, before) or _relabelled(row, before))
            ]
            self._insert(connection, new)
            self._replace(connection, "back", back)
            self._replace(connection, "updated", changed)
        unchanged = len(known) - len(back) - len(changed)
        return UpsertCounts(len(new), len(changed), unchanged, len(back))

    def mark_gone(self, seen: Iterable[str], *, at_most: int | None = None) -> int:
        """Mark every product gone whose id is not among `seen`; how many were not before.

        A gone product keeps its history and verdicts, and is no longer tagged or exported. Raises
        CatalogError, and marks none, where it would be more than `at_most`.
        """
        with self._database.write() as connection:
            temporary = _create_seen(connection)
            ids = iter(seen)
            while page := [(product_id,) for product_id in islice(ids, _PAGE)]:
                self._database.insert(connection, temporary, ["id"], page)
            sa.Index("seen_products_id", temporary.c.id).create(connection)
            absent = sa.select(products.c.id, products.c.snapshot).where(
                sa.not_(products.c.gone),
                ~sa.exists().where(temporary.c.id == products.c.id),
            )
            total, after = 0, ""
            while rows := connection.execute(_page(absent, after, _PAGE)).all():
                entries = [Change(row.id, row.snapshot, row.snapshot) for row in rows]
                first = record_changes(self._database, connection, "gone", entries)
                updates = [(True, seq, seq, row.id) for seq, row in enumerate(rows, first)]
                columns = ("gone", "last_change", "text_change")
                self._database.update(connection, products, columns, updates)
                total, after = total + len(rows), rows[-1].id
            if at_most is not None and total > at_most:
                raise CatalogError(
                    f"The source lacks {total:,} products of the workspace, more than half: is it "
                    "complete? What it has is stored, and nothing was taken out. If it is: "
                    "tagmill catalog sync … --many-gone"
                )
            connection.exec_driver_sql("DROP TABLE seen_products")
        return total

    def get(self, product_id: str) -> dict[str, Any] | None:
        """A product with `gone`, `first_seen` and `updated`; None if there is none of that id.

        `attributes` are pairs [name, value]: a name may occur again.
        """
        wanted = (*PRODUCT_COLUMNS, products.c.gone, products.c.first_seen, products.c.updated)
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(*wanted).where(products.c.id == product_id)
            ).one_or_none()
        return None if row is None else dict(row._mapping)

    def batch(self, product_id: str) -> pa.RecordBatch:
        """A product as a batch of one; an empty batch if there is none of that id."""
        wanted = sa.select(*PRODUCT_COLUMNS).where(products.c.id == product_id)
        with self._database.read() as connection:
            return product_batch(connection.execute(wanted).all())

    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that are of products, gone ones too."""
        wanted = sa.select(products.c.id).where(self._database.among(products.c.id, ids))
        with self._database.read() as connection:
            return set(connection.execute(wanted).scalars())

    def count(self, *, labelled: bool | None = None) -> int:
        """How many products the catalogue has; with or without tags a person gave, if asked."""
        counted = sa.select(sa.func.count()).where(sa.not_(products.c.gone), *_labels(labelled))
        with self._database.read() as connection:
            return int(connection.execute(counted).scalar_one())

    def unlabelled(self) -> list[tuple[str, bool]]:
        """(id, whether a run has seen it) of the catalogue's products that came without tags of a
        person, by id."""
        wanted = sa.select(products.c.id, products.c.snapshot.is_not(None))
        found = wanted.where(sa.not_(products.c.gone), *_labels(labelled=False))
        with self._database.read() as connection:
            rows = connection.execute(found.order_by(products.c.id))
            return [(product_id, bool(is_seen)) for product_id, is_seen in rows]

    def batches(
        self, batch_size: int = _PAGE, *, labelled: bool | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The catalogue's products by id; with or without tags a person gave, if asked."""
        wanted = sa.select(*PRODUCT_COLUMNS).where(sa.not_(products.c.gone), *_labels(labelled))
        return self._batches(wanted, batch_size)

    def pending(
        self, signature: str, batch_size: int = _PAGE, *, labelled: bool | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The products whose current tags are not of this signature and their present text.

        With or without tags a person gave, if asked. By id, so that what is written meanwhile is
        neither missed nor met twice.
        """
        wanted = _pending(signature, PRODUCT_COLUMNS).where(*_labels(labelled))
        return self._batches(wanted, batch_size)

    def pending_count(self, signature: str, *, labelled: bool | None = None) -> int:
        """How many products `pending` gives."""
        counted = _pending(signature, (sa.func.count(),)).where(*_labels(labelled))
        with self._database.read() as connection:
            return int(connection.execute(counted).scalar_one())

    def outdated(
        self, valid_to: int, signatures: Iterable[str], batch_size: int = _PAGE
    ) -> Iterator[pa.RecordBatch]:
        """Those of `tagged` whose tags hold up to this library version."""
        wanted = self._tagged(signatures).where(runs.c.valid_to == valid_to)
        return self._batches(wanted, batch_size)

    def tagged(
        self, signatures: Iterable[str], batch_size: int = _PAGE
    ) -> Iterator[pa.RecordBatch]:
        """The products whose present text was tagged, by runs of these signatures."""
        return self._batches(self._tagged(signatures), batch_size)

    def of_ids(self, ids: Iterable[str], batch_size: int = _PAGE) -> Iterator[pa.RecordBatch]:
        """The products of these ids, in batches; those that are gone are left out."""
        rest = iter(ids)
        while page := list(islice(rest, batch_size)):
            wanted = sa.select(*PRODUCT_COLUMNS).where(
                self._database.among(products.c.id, page), sa.not_(products.c.gone)
            )
            with self._database.read() as connection:
                rows = connection.execute(wanted.order_by(products.c.id)).all()
            if rows:
                yield product_batch(rows)

    def _tagged(self, signatures: Iterable[str]) -> sa.Select[Any]:
        return (
            sa.select(*PRODUCT_COLUMNS)
            .select_from(_with_runs())
            .where(
                sa.not_(products.c.gone),
                changes.c.content_hash == products.c.content_hash,
                self._database.among(runs.c.signature, signatures),
            )
        )

    def _batches(self, wanted: sa.Select[Any], batch_size: int) -> Iterator[pa.RecordBatch]:
        after = ""
        while True:
            with self._database.read() as connection:
                rows = connection.execute(_page(wanted, after, batch_size)).all()
            if not rows:
                return
            after = rows[-1].id
            yield product_batch(rows)

    def _found(self, connection: sa.Connection, ids: Iterable[str]) -> pa.RecordBatch:
        wanted = sa.select(*PRODUCT_COLUMNS).where(self._database.among(products.c.id, ids))
        return product_batch(connection.execute(wanted).all())

    def _stored(self, connection: sa.Connection, ids: Iterable[str]) -> dict[str, Found]:
        wanted = sa.select(
            products.c.id,
            products.c.content_hash,
            products.c.image,
            sa.cast(products.c.numbers, sa.Text).label("numbers"),
            sa.cast(products.c.tags, sa.Text).label("tags"),
            products.c.gone,
            products.c.snapshot,
        ).where(self._database.among(products.c.id, ids))
        return {row.id: row for row in connection.execute(wanted)}

    def _insert(self, connection: sa.Connection, rows: list[ProductRow]) -> None:
        at = now()
        seq = self._database.next_seq(connection, 1) if rows else 0
        labelled = [row for row in rows if row.tags is not None]  # these tags are output
        entries = [Change(row.id, None, None, row.content_hash) for row in labelled]
        first = record_changes(self._database, connection, "labelled", entries) if entries else 0
        logged = {row.id: number for number, row in enumerate(labelled, first)}
        columns = (*ProductRow._fields, "gone", "first_seen", "updated", "text_change",
                   "last_change")  # fmt: skip
        values = [(*row, False, at, at, seq, logged.get(row.id)) for row in rows]
        self._database.insert(connection, products, columns, values)

    def _replace(
        self, connection: sa.Connection, kind: str, pairs: list[tuple[ProductRow, Found]]
    ) -> None:
        """Overwrite known products, and log that."""
        at = now()
        entries = [Change(r.id, b.snapshot, b.snapshot, r.content_hash) for r, b in pairs]
        log_changes(self._database, connection, kind, entries)
        seq = self._database.next_seq(connection, 1) if pairs else 0
        columns = (*ProductRow._fields[1:], "gone", "updated", "text_change")
        rows = [
            (*row[1:8], before.tags if row.tags is None else row.tags, row[9], False, at, seq,
             row.id)
            for row, before in pairs
        ]  # fmt: skip
        self._database.update(connection, products, columns, rows)


def _differs(row: ProductRow, before: Found) -> bool:
    return bool(
        row.content_hash != before.content_hash
        or row.image != before.image
        or row.numbers != before.numbers
    )


def _relabelled(row: ProductRow, before: Found) -> bool:
    return row.tags is not None and row.tags != before.tags


def _labels(labelled: bool | None) -> list[sa.ColumnElement[bool]]:
    if labelled is None:
        return []
    return [products.c.tags.is_not(sa.null()) if labelled else products.c.tags.is_(sa.null())]


def _page(wanted: sa.Select[Any], after: str, size: int) -> sa.Select[Any]:
    return wanted.where(products.c.id > after).order_by(products.c.id).limit(size)


def _pending(signature: str, columns: tuple[Any, ...]) -> sa.Select[Any]:
    return (
        sa.select(*columns)
        .select_from(_with_runs())
        .where(
            sa.not_(products.c.gone),
            sa.or_(
                products.c.snapshot.is_(None),
                changes.c.content_hash != products.c.content_hash,
                runs.c.signature != signature,
            ),
        )
    )


def _with_runs() -> sa.Join:
    """Products beside the run that their current tags are of, where they have any."""
    return products.outerjoin(changes, changes.c.seq == products.c.snapshot).outerjoin(
        runs, runs.c.id == changes.c.run_id
    )


def _create_seen(connection: sa.Connection) -> sa.Table:
    """A temporary table of this connection for the ids that were seen."""
    connection.exec_driver_sql("DROP TABLE IF EXISTS seen_products")
    connection.exec_driver_sql("CREATE TEMPORARY TABLE seen_products (id TEXT)")
    return sa.Table("seen_products", sa.MetaData(), sa.Column("id", sa.Text))
