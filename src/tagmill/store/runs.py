"""Runs: what was done when, by which versions, and taking it back as a whole."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from tagmill.errors import StoreError, TagConflict
from tagmill.store.changes import Change, record_changes
from tagmill.store.connection import Database, Found, now
from tagmill.store.tables import changes, products, runs

__all__ = ["Run", "RunStatus", "Runs", "UndoReport", "add_counts"]

RunStatus = Literal["running", "finished", "undone", "failed"]

_PAGE = 4096


@dataclass(frozen=True)
class Run:
    """One pass over the products; `signature` is what its result depends on besides them and
    the library.

    `library_change` is the change of the library that it was made for, `valid_to` the version up
    to which nothing changed for the products whose tags are its. `counts` holds `products`,
    `tags`, `auto` and `review` of a tagging run. Times are UTC, ISO 8601; `finished` is None
    while it runs, or after it was killed.
    """

    id: int
    kind: str
    status: RunStatus
    signature: str
    model: str
    library_version: int
    library_change: int | None
    valid_to: int
    settings: Mapping[str, Any]
    counts: Mapping[str, int]
    started: str
    finished: str | None


@dataclass(frozen=True)
class UndoReport:
    """The run that was undone, and how many products have their former tags again."""

    run: int
    products: int


class Runs:
    """The runs of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self,
        kind: str,
        signature: str,
        *,
        model: str = "",
        library_version: int = 0,
        library_change: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Run:
        """A new run, or the unfinished one of the same kind, signature and library, taken up."""
        unfinished = (
            sa.select(runs)
            .where(
                runs.c.kind == kind,
                runs.c.signature == signature,
                runs.c.status == "running",
                runs.c.library_version == library_version,
                runs.c.library_change.is_not_distinct_from(library_change),
            )
            .order_by(runs.c.id.desc())
            .limit(1)
        )
        with self._database.write() as connection:
            row = connection.execute(unfinished).one_or_none()
            if row is not None:
                return _run(row)
            new = sa.insert(runs).values(
                kind=kind, status="running", signature=signature, model=model,
                library_version=library_version, library_change=library_change,
                valid_to=library_version, settings=dict(settings or {}), counts={},
                started=now(),
            )  # fmt: skip
            return _run(connection.execute(new.returning(*runs.c)).one())

    def finish(self, run: Run, counts: Mapping[str, int] | None = None) -> Run:
        """The run, finished; `counts` are added to what it has counted so far."""
        return self._end(run, "finished", counts)

    def fail(self, run: Run) -> Run:
        """The run, given up; what it stored stays until it is undone."""
        return self._end(run, "failed", None)

    def list(self, kind: str | None = None) -> builtins.list[Run]:
        """The runs, newest first; of one kind if asked."""
        wanted = sa.select(runs).order_by(runs.c.id.desc())
        if kind is not None:
            wanted = wanted.where(runs.c.kind == kind)
        with self._database.read() as connection:
            return [_run(row) for row in connection.execute(wanted)]

    def get(self, run_id: int) -> Run:
        """The run of a number; StoreError if there is none."""
        with self._database.read() as connection:
            return _find(connection, run_id)

    def undo(self, run_id: int) -> UndoReport:
        """Give every product of a run the tags it had before it; verdicts stay.

        Nothing is deleted: a change is added that points back. Raises TagConflict where later
        runs changed the same products, and names them; StoreError for an unknown run or one
        that was undone already.
        """
        with self._database.write() as connection:
            return self.undo_within(connection, run_id)

    def undo_within(
        self, connection: sa.Connection, run_id: int, *, keep_later: bool = False
    ) -> UndoReport:
        """`undo` as a part of the writer's transaction; with `keep_later` products that later
        runs tagged keep those tags, and do not stop it."""
        run = _find(connection, run_id)
        if run.status == "undone":
            raise StoreError(f"Run {run_id} was undone already. See: tagmill runs list")
        if not keep_later:
            _refuse_later(connection, run_id)
        total, after = 0, ""
        while rows := _products_of(connection, run_id, after):
            before = self._before(connection, run_id, [row.previous for row in rows])
            self._point_back(connection, run_id, rows, before)
            total, after = total + len(rows), rows[-1].id
        connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id)
            .values(status="undone", finished=run.finished or now())
        )
        # Earlier runs have products again that changes of the library had moved on from.
        connection.execute(sa.update(runs).values(valid_to=runs.c.library_version))
        return UndoReport(run_id, total)

    def of_change(self, connection: sa.Connection, version: int) -> builtins.list[int]:
        """The runs made for a change of the library and not undone, newest first."""
        wanted = sa.select(runs.c.id).where(
            runs.c.library_change == version, runs.c.status != "undone"
        )
        return list(connection.execute(wanted.order_by(runs.c.id.desc())).scalars())

    def confirm(self, version: int, signatures: Iterable[str]) -> None:
        """Say that the products of all runs of these signatures have the tags that this library
        version gives them; not of runs that go on, with the library they began with."""
        older = sa.update(runs).where(
            runs.c.valid_to < version,
            runs.c.status != "running",
            self._database.among(runs.c.signature, signatures),
        )
        with self._database.write() as connection:
            connection.execute(older.values(valid_to=version))

    def _end(self, run: Run, status: RunStatus, counts: Mapping[str, int] | None) -> Run:
        with self._database.write() as connection:
            stored = _find(connection, run.id)
            if stored.status != "running":
                raise StoreError(f"Run {run.id} is {stored.status}; start a new one")
            ended = sa.update(runs).where(runs.c.id == run.id)
            ended = ended.values(
                status=status, finished=now(), counts=add_counts(stored.counts, counts or {})
            )
            return _run(connection.execute(ended.returning(*runs.c)).one())

    def _before(
        self, connection: sa.Connection, run_id: int, previous: builtins.list[int | None]
    ) -> builtins.list[int | None]:
        """The snapshots before the run, where it tagged a product several times running."""
        own = sa.select(changes.c.seq, changes.c.previous).where(changes.c.run_id == run_id)
        steps: dict[int | None, int | None] = {}
        seqs = {seq for seq in previous if seq is not None}
        while seqs:
            found = own.where(self._database.among(changes.c.seq, seqs))
            step = {row.seq: row.previous for row in connection.execute(found)}
            steps |= step
            seqs = {seq for seq in step.values() if seq is not None and seq not in steps}
        before = []
        for seq in previous:
            while seq in steps:
                seq = steps[seq]
            before.append(seq)
        return before

    def _point_back(
        self,
        connection: sa.Connection,
        run_id: int,
        rows: builtins.list[Found],
        before: builtins.list[int | None],
    ) -> None:
        entries = [
            Change(row.id, row.snapshot, snapshot)
            for row, snapshot in zip(rows, before, strict=True)
        ]
        first = record_changes(self._database, connection, "undone", entries, run_id)
        updates = [
            (entry.snapshot, seq, entry.product_id) for seq, entry in enumerate(entries, first)
        ]
        self._database.update(connection, products, ("snapshot", "last_change"), updates)


def add_counts(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The sums of two counts."""
    return {key: counts.get(key, 0) + more.get(key, 0) for key in {**counts, **more}}


def _run(row: Found) -> Run:
    return Run(**row._mapping)


def _find(connection: sa.Connection, run_id: int) -> Run:
    row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).one_or_none()
    if row is None:
        raise StoreError(f"There is no run {run_id}. See: tagmill runs list")
    return _run(row)


def _products_of(connection: sa.Connection, run_id: int, after: str) -> builtins.list[Found]:
    """The next page of products whose current tags are of a run: id, snapshot, previous."""
    wanted = (
        sa.select(products.c.id, products.c.snapshot, changes.c.previous)
        .join(changes, changes.c.seq == products.c.snapshot)
        .where(changes.c.run_id == run_id, products.c.id > after)
        .order_by(products.c.id)
        .limit(_PAGE)
    )
    return list(connection.execute(wanted).all())


def _refuse_later(connection: sa.Connection, run_id: int) -> None:
    """TagConflict where products of a run have tags of later runs now."""
    own, later = changes.alias("own"), changes.alias("later")
    shared = (
        sa.select(later.c.run_id, sa.func.count(products.c.id.distinct()).label("products"))
        .select_from(own)
        .join(products, products.c.id == own.c.product_id)
        .join(later, later.c.seq == products.c.snapshot)
        .where(
            own.c.run_id == run_id, own.c.kind == "tagged",
            later.c.run_id != run_id, later.c.seq > own.c.seq,
        )
        .group_by(later.c.run_id)
        .order_by(later.c.run_id.desc())
    )  # fmt: skip
    rows = connection.execute(shared).all()
    if rows:
        listed = ", ".join(f"run {row.run_id} ({row.products} products)" for row in rows)
        raise TagConflict(
            f"Run {run_id} cannot be undone: later runs tagged the same products: {listed}. "
            f"Undo the newest first: tagmill runs undo {rows[0].run_id}"
        )
