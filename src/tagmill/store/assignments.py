"""Assignments: stored chunk by chunk, read back with what people said laid over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from tagmill.errors import StoreError, UnknownTag
from tagmill.records import LANES, Scores
from tagmill.store.changes import Change, record_changes
from tagmill.store.connection import Database, Found
from tagmill.store.content import content_hashes, list_slices
from tagmill.store.current import CURRENT_SCHEMA, EXPORT_SCHEMA, CurrentTags, Names, Outlook
from tagmill.store.given import GivenTags, products_having
from tagmill.store.names import TagNames
from tagmill.store.runs import Run, add_counts
from tagmill.store.tables import assignments, counters, products, runs, tags, verdicts
from tagmill.store.verdicts import latest_verdicts

__all__ = ["Assignments", "Export"]

_COLUMNS = (
    "seq", "rank", "tag_id", "probability", "lane", "calibration", "origin", "evidence",
)  # fmt: skip
_PAGE = 4096


@dataclass(frozen=True)
class Export:
    """Products with their tags, as batches; `cursor` is where the next export goes on.

    Batches have the columns `id`, `tags` (with an `origin` each), `seq` and `gone`.
    """

    cursor: int
    products: int
    batches: Iterator[pa.RecordBatch]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches


class Assignments:
    """The tags of a store's products."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known_tags: set[str] = set()

    def write(self, run: Run, batch: pa.RecordBatch, tagged: pa.RecordBatch, origin: str) -> None:
        """Store the lanes auto and review of a chunk, all of it or nothing.

        `tagged` (of `TAGGED_SCHEMA`) says the tags of the products of `batch`, in its order.
        Raises StoreError for a run that is not running or a product that is not stored,
        UnknownTag for a tag that is not in the library.
        """
        ids = batch.column("id").to_pylist()
        if ids != tagged.column("id").to_pylist():
            raise ValueError("products and tagged must hold the same products in one order")
        hashes = content_hashes(batch)
        rows, counts = _assignment_rows(tagged, origin)
        with self._database.write() as connection:
            self._count_up(connection, run, counts)
            self._check_tags(connection, {row[2] for row in rows})
            snapshots = self._snapshots(connection, ids)
            entries = [
                Change(product_id, snapshots[product_id], content_hash=content, is_new=True)
                for product_id, content in zip(ids, hashes, strict=True)
            ]
            first = record_changes(self._database, connection, "tagged", entries, run.id)
            rows = [(first + row[0], *row[1:]) for row in rows]
            self._database.insert(connection, assignments, _COLUMNS, rows)
            updates = [(seq, seq, product_id) for seq, product_id in enumerate(ids, first)]
            self._database.update(connection, products, ("snapshot", "last_change"), updates)

    def current(
        self, product_ids: Sequence[str], *, language: str = "", outlook: Outlook | None = None
    ) -> pa.RecordBatch:
        """The tags of these products now, in their order; none for an unknown product.

        A batch of `TAGGED_SCHEMA` whose tags have an `origin` too: what a person rejected is
        out; what one accepted, or gave in the catalogue, is in the lane auto, with origin `person`
        and probability 1.
        Names are canonical, or in a `language` (`product`: the product's own). With an `outlook` as
        it would be then.
        """
        names: Names = TagNames(self._database) if outlook is None else outlook.names
        wanted = sa.select(
            products.c.id, products.c.language, products.c.snapshot, products.c.tags
        ).where(self._database.among(products.c.id, product_ids))
        with self._database.read() as connection:
            found = {row.id: row for row in connection.execute(wanted)}
            reader = CurrentTags(self._database, connection, names, language, outlook)
            lists = reader.read([found.get(product_id) for product_id in product_ids])
        return pa.RecordBatch.from_arrays(
            [pa.array(product_ids, pa.string()), lists], schema=CURRENT_SCHEMA
        )

    def export(
        self, since: int | None = None, batch_size: int = _PAGE, *, language: str = ""
    ) -> Export:
        """The products whose output changed after a cursor, each once, oldest change first.

        Without a cursor every product that has output. Discontinued products come only after a
        cursor, `gone` and without tags. What changes during the export comes with the next one.
        """
        conditions = [products.c.last_change > (since or 0)]
        if since is None:
            conditions.append(sa.not_(products.c.gone))
        with self._database.read() as connection:
            cursor = int(
                connection.execute(
                    sa.select(counters.c.value).where(counters.c.name == "seq")
                ).scalar_one()
            )
            total = connection.execute(sa.select(sa.func.count()).where(*conditions)).scalar_one()
        if since is not None and since > cursor:
            raise StoreError(
                f"The cursor {since} is ahead of {self._database.name}, which is at {cursor}. "
                "It belongs to another database; export without --since"
            )
        conditions.append(products.c.last_change <= cursor)
        return Export(cursor, int(total), self._exported(conditions, batch_size, language))

    def tagged_ids(self, limit: int) -> list[str]:
        """Ids of products that have tags of a run or a person, by id."""
        has_tags = sa.or_(products.c.snapshot.is_not(None), products.c.tags.is_not(sa.null()))
        wanted = (
            sa.select(products.c.id)
            .where(sa.not_(products.c.gone), has_tags)
            .order_by(products.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.execute(wanted).scalars())

    def products_with(self, tag_ids: Iterable[str]) -> set[str]:
        """The ids of the catalogue's products that have one of these tags, or a verdict on it."""
        with self._database.read() as connection:
            return products_having(self._database, connection, set(tag_ids))

    def written(self) -> list[str]:
        """The tags that people gave products of the catalogue, as they are written there."""
        with self._database.read() as connection:
            return GivenTags(self._database, connection).written()

    def products_of(self, texts: Iterable[str]) -> list[str]:
        """The ids of the catalogue's products on which one of these `written` tags stands."""
        with self._database.read() as connection:
            return GivenTags(self._database, connection).products_of(texts)

    def matrix(self) -> Scores:
        """Which products of the catalogue have which tags now, as 1.

        Of products with at least one tag or verdict, by the tags that count, with what people
        said laid over.
        """
        from scipy import sparse

        given = (
            sa.select(products.c.id, assignments.c.tag_id)
            .join(assignments, assignments.c.seq == products.c.snapshot)
            .where(sa.not_(products.c.gone))
        )
        names = TagNames(self._database)
        with self._database.read() as connection:
            found = connection.execute(given).all()
            judged = connection.execute(latest_verdicts().order_by(verdicts.c.id)).all()
            people = list(self._given(connection))
            said = {*(v.tag_id for v in judged), *(t for _, t in people)}
            names.load(connection, {*(t for _, t in found), *said})
            gone = set(
                connection.execute(sa.select(products.c.id).where(products.c.gone)).scalars()
            )
        rows: dict[str, int] = {}
        columns: dict[str, int] = {}
        pairs: dict[tuple[int, int], bool] = {}
        says = [(p, t, True) for p, t in [*found, *people]]
        says += [(v.product_id, v.tag_id, v.accepted) for v in judged if v.product_id not in gone]
        for product_id, tag_id, has in says:
            target = names.target(tag_id)
            if target is not None:
                row = rows.setdefault(product_id, len(rows))
                pairs[row, columns.setdefault(target, len(columns))] = has
        kept = np.array([pair for pair, has in pairs.items() if has], np.int64).reshape(-1, 2)
        ones = np.ones(len(kept), np.float32)
        shape = (len(rows), len(columns))
        values = sparse.csr_array((ones, (kept[:, 0], kept[:, 1])), shape=shape)
        return Scores(np.array(list(rows), object), np.array(list(columns), object), values)

    def tag_counts(self) -> dict[str, int]:
        """How many products of the catalogue have each tag, in the lanes auto and review."""
        judged = (
            latest_verdicts()
            .where(
                verdicts.c.product_id == products.c.id, verdicts.c.tag_id == assignments.c.tag_id
            )
            .exists()
        )
        unlabelled = sa.not_(products.c.gone), products.c.tags.is_(sa.null())
        given = (
            sa.select(assignments.c.tag_id, sa.func.count())
            .join(products, products.c.snapshot == assignments.c.seq)
            .where(*unlabelled, ~judged)
            .group_by(assignments.c.tag_id)
        )
        latest = latest_verdicts().subquery()
        accepted = (
            sa.select(latest.c.tag_id, sa.func.count())
            .join(products, products.c.id == latest.c.product_id)
            .where(*unlabelled, latest.c.accepted)
            .group_by(latest.c.tag_id)
        )
        counts: Counter[str] = Counter()
        names = TagNames(self._database)
        with self._database.read() as connection:
            pairs = [*connection.execute(given), *connection.execute(accepted)]
            names.load(connection, {tag_id for tag_id, _ in pairs})
            sources: dict[str | None, set[str]] = {}
            for tag_id, _ in pairs:
                sources.setdefault(names.target(tag_id), set()).add(tag_id)
            # A product may have several of the tags that are one now, or a verdict on that.
            merged = {target for target, of in sources.items() if target and of != {target}}
            having = products_having(
                self._database, connection, {one for target in merged for one in sources[target]}
            )
            reader = CurrentTags(self._database, connection, names, "")
            for rows in self._pages_of_labelled(connection):
                for tag_ids in reader.ids(rows):
                    counts.update(tag_ids)
            for rows in self._pages(connection, products.c.tags.is_(sa.null()), sorted(having)):
                for tag_ids in reader.ids(rows):
                    counts.update(tag_ids & merged)
        for tag_id, count in pairs:
            target = names.target(tag_id)
            if target is not None and target not in merged:
                counts[target] += count
        return dict(counts)

    def _given(self, connection: sa.Connection) -> Iterator[tuple[str, str]]:
        """(product, tag) of what the catalogue's products came with."""
        meanings = GivenTags(self._database, connection)
        for rows in self._pages_of_labelled(connection):
            meaning = meanings.mean({text for row in rows for text in row.tags})
            for row in rows:
                found = {meaning[text] for text in row.tags}
                yield from ((row.id, tag_id) for tag_id in found if tag_id is not None)

    def _pages_of_labelled(self, connection: sa.Connection) -> Iterator[Sequence[Found]]:
        """Rows of the catalogue's products that came with tags."""
        return self._pages(connection, products.c.tags.is_not(sa.null()))

    def _pages(
        self,
        connection: sa.Connection,
        condition: sa.ColumnElement[bool],
        ids: Sequence[str] | None = None,
    ) -> Iterator[Sequence[Found]]:
        """Rows of the catalogue's products of which a condition holds, or of those of these ids,
        which ascend."""
        wanted = sa.select(products.c.id, products.c.snapshot, products.c.tags)
        chosen = wanted.where(sa.not_(products.c.gone), condition).order_by(products.c.id)
        if ids is not None:
            for start in range(0, len(ids), _PAGE):
                own = self._database.among(products.c.id, ids[start : start + _PAGE])
                yield connection.execute(chosen.where(own)).all()
            return
        after = ""
        while rows := connection.execute(chosen.where(products.c.id > after).limit(_PAGE)).all():
            yield rows
            after = rows[-1].id

    def _exported(
        self, conditions: list[sa.ColumnElement[bool]], batch_size: int, language: str
    ) -> Iterator[pa.RecordBatch]:
        names = TagNames(self._database)
        wanted = (
            sa.select(
                products.c.id, products.c.language, products.c.snapshot, products.c.tags,
                products.c.gone, products.c.last_change,
            )
            .where(*conditions)
            .order_by(products.c.last_change)
            .limit(batch_size)
        )  # fmt: skip
        after = 0
        while True:
            with self._database.read() as connection:
                rows = connection.execute(wanted.where(products.c.last_change > after)).all()
                if not rows:
                    return
                reader = CurrentTags(self._database, connection, names, language)
                lists = reader.read([None if row.gone else row for row in rows])
            after = rows[-1].last_change
            columns = [
                pa.array([row.id for row in rows], pa.string()),
                lists,
                pa.array([row.last_change for row in rows], pa.int64()),
                pa.array([row.gone for row in rows], pa.bool_()),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=EXPORT_SCHEMA)

    def _count_up(self, connection: sa.Connection, run: Run, counts: dict[str, int]) -> None:
        stored = connection.execute(
            sa.select(runs.c.status, runs.c.counts).where(runs.c.id == run.id)
        ).one_or_none()
        if stored is None or stored.status != "running":
            status = "unknown" if stored is None else stored.status
            raise StoreError(f"Run {run.id} is {status}, it takes no more tags. Start a new one")
        connection.execute(
            sa.update(runs)
            .where(runs.c.id == run.id)
            .values(counts=add_counts(stored.counts, counts))
        )

    def _check_tags(self, connection: sa.Connection, tag_ids: set[str]) -> None:
        new = tag_ids - self._known_tags  # ids are never deleted, so what was seen is there
        if new:
            found = sa.select(tags.c.id).where(self._database.among(tags.c.id, new))
            self._known_tags.update(connection.execute(found).scalars())
            unknown = sorted(new - self._known_tags)
            if unknown:
                raise UnknownTag(unknown[0])

    def _snapshots(self, connection: sa.Connection, ids: list[str]) -> dict[str, int | None]:
        wanted = sa.select(products.c.id, products.c.snapshot).where(
            self._database.among(products.c.id, ids)
        )
        snapshots = {row.id: row.snapshot for row in connection.execute(wanted)}
        missing = [product_id for product_id in ids if product_id not in snapshots]
        if missing:
            raise StoreError(
                f"No product has the id '{missing[0]}'. Bring products in with: "
                "tagmill catalog import"
            )
        return snapshots


def _assignment_rows(
    tagged: pa.RecordBatch, origin: str
) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """Rows of `_COLUMNS` with the product's number in place of `seq`, and the run's counts."""
    lists = tagged.column("tags")
    entries = lists.flatten()
    lanes = np.asarray(entries.field("lane").to_pylist(), object)
    numbers = np.repeat(np.arange(len(lists)), np.asarray(lists.value_lengths().fill_null(0)))
    stored = np.flatnonzero(lanes != LANES[2])
    numbers, lanes, entries = numbers[stored], lanes[stored], entries.take(pa.array(stored))
    ranks = np.arange(len(numbers)) - np.searchsorted(numbers, numbers)
    columns = (
        numbers.tolist(),
        ranks.tolist(),
        entries.field("id").to_pylist(),
        entries.field("probability").to_pylist(),
        lanes.tolist(),
        entries.field("calibration").to_pylist(),
        [origin] * len(numbers),
        _evidence_json(entries.field("evidence")),
    )
    counts = {
        "products": len(lists),
        "tags": len(numbers),
        "auto": int((lanes == LANES[0]).sum()),
        "review": int((lanes == LANES[1]).sum()),
    }
    return list(zip(*columns, strict=True)), counts


def _evidence_json(lists: pa.ListArray) -> list[str | None]:
    """Each tag's evidence as JSON: by hand, a dict for each span would take most of the time."""
    spans = lists.flatten()
    texts = [
        f'{{"field":{encode_basestring(field)},"start":{start},"end":{end},'
        f'"text":{encode_basestring(text)}}}'
        for field, start, end, text in zip(
            *(spans.field(name).to_pylist() for name in ("field", "start", "end", "text")),
            strict=True,
        )
    ]
    return [
        None if part is None else f"[{','.join(texts[slice(*part)])}]"
        for part in list_slices(lists)
    ]
