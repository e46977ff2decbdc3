"""What search reads of the store, from a cursor on, and the log of what was searched."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa

from tagmill.store.connection import Database, Found, now
from tagmill.store.current import CurrentTags
from tagmill.store.given import GivenTags
from tagmill.store.names import TagNames
from tagmill.store.tables import (
    LONGEST_QUERY,
    assignments,
    counters,
    descriptions,
    library_changes,
    products,
    searches,
    verdicts,
)
from tagmill.store.verdicts import latest_verdicts

__all__ = ["LoggedSearch", "SearchState", "Searches", "StoredDocument"]

_PAGE = 4096
_COLUMNS = (
    products.c.id, products.c.gone, products.c.snapshot, products.c.title,
    products.c.description, products.c.category, products.c.attributes, products.c.language,
    products.c.tags, products.c.first_seen, products.c.numbers,
)  # fmt: skip
# Asked before every search.
_STATE = sa.select(
    sa.select(counters.c.value).where(counters.c.name == sa.bindparam("counter")).scalar_subquery(),
    sa.select(sa.func.max(library_changes.c.version)).scalar_subquery(),
)


@dataclass(frozen=True)
class SearchState:
    """How far the store has come: what search reads changes only when one of these does."""

    cursor: int  # the newest change of a product
    library: int  # the library's version


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What search reads of a product; a gone one has only its id.

    `tags` are (tag id, probability) as they count now, best first; `labelled` says that a person
    gave all it has, `refused` are the tags a verdict rejected; `generated` is the text of its
    descriptions.
    """

    id: str
    gone: bool
    title: str = ""
    description: str = ""
    category: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    generated: str = ""
    tags: tuple[tuple[str, float], ...] = ()
    labelled: bool = False
    refused: frozenset[str] = frozenset()  # tag ids
    first_seen: str = ""
    language: str | None = None
    numbers: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class LoggedSearch:
    """One search: `tags` are ids of the tags it named, `words` the rest of it."""

    id: int
    query: str
    tags: tuple[str, ...]
    words: tuple[str, ...]
    results: int | None  # None: not known
    at: str


class Searches:
    """The store as search sees it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> str:
        """Which database this is, without secrets."""
        return self._database.name

    def state(self) -> SearchState:
        """The present state; one short query."""
        ((cursor, version),) = self._database.rows(_STATE, {"counter": "seq"})
        return SearchState(int(cursor), int(version or 0))

    def documents(self, since: int | None, until: int) -> Iterator[builtins.list[StoredDocument]]:
        """The products changed after a cursor and up to another, by id; without one, all there are.

        Gone ones come only after a cursor. A product changed while this reads comes as it is by
        then, and again after `until`.
        """
        if since is not None:
            yield from self.documents_of(self._changed(since, until))
            return
        wanted = sa.select(*_COLUMNS).where(sa.not_(products.c.gone))
        wanted = wanted.order_by(products.c.id).limit(_PAGE)
        after = ""
        names = TagNames(self._database)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(wanted.where(products.c.id > after)).all()
                found = self._documents(connection, rows, names)
            if not rows:
                return
            after = rows[-1].id
            yield found

    def _changed(self, since: int, until: int) -> builtins.list[str]:
        """Ids of the products changed after a cursor and up to another."""
        changed = (
            sa.select(products.c.id).where(column.between(since + 1, until))
            for column in (products.c.last_change, products.c.text_change)
        )
        with self._database.read() as connection:
            return sorted(connection.execute(sa.union(*changed)).scalars())

    def documents_of(self, product_ids: Iterable[str]) -> Iterator[builtins.list[StoredDocument]]:
        """These products, as they are."""
        ids, names = iter(product_ids), TagNames(self._database)
        while page := list(islice(ids, _PAGE)):
            wanted = sa.select(*_COLUMNS).where(self._database.among(products.c.id, page))
            with self._database.read() as connection:
                rows = connection.execute(wanted.order_by(products.c.id)).all()
                yield self._documents(connection, rows, names)

    def numbers(self, product_ids: Iterable[str]) -> dict[str, builtins.list[tuple[str, float]]]:
        """(name, value) of the numbers of products; of those that have some."""
        wanted = sa.select(products.c.id, products.c.numbers).where(
            self._database.among(products.c.id, product_ids), products.c.numbers.is_not(sa.null())
        )
        with self._database.read() as connection:
            return {row.id: list(map(tuple, row.numbers)) for row in connection.execute(wanted)}

    def sample(self, count: int) -> builtins.list[StoredDocument]:
        """So many living products, chosen by the hashes of their contents."""
        wanted = sa.select(products.c.id).where(sa.not_(products.c.gone))
        with self._database.read() as connection:
            chosen = wanted.order_by(products.c.content_hash, products.c.id).limit(count)
            ids = list(connection.execute(chosen).scalars())
        return [document for page in self.documents_of(ids) for document in page]

    def products_with(self, tag_ids: Iterable[str]) -> builtins.list[str]:
        """Ids of the products that a tag of these was given, or judged of, living or not."""
        tag_ids = set(tag_ids)
        stored = (
            sa.select(products.c.id)
            .join(assignments, assignments.c.seq == products.c.snapshot)
            .where(self._database.among(assignments.c.tag_id, tag_ids))
        )
        judged = sa.select(verdicts.c.product_id).where(
            self._database.among(verdicts.c.tag_id, tag_ids)
        )
        with self._database.read() as connection:
            given = GivenTags(self._database, connection).products_with(tag_ids)
            return sorted({*connection.execute(sa.union(stored, judged)).scalars(), *given})

    def log(self, found: Iterable[LoggedSearch]) -> int:
        """Keep searches; how many are new. Their ids are given here, and a time of "" is now.

        One whose results are not known was made elsewhere: the same again is the same one.
        """
        rows = [
            {
                "query": one.query.replace("\0", "")[:LONGEST_QUERY], "tags": list(one.tags),
                "words": [word.replace("\0", "") for word in one.words], "results": one.results,
                "at": one.at or now(),
            }
            for one in found
        ]  # fmt: skip
        times = {str(row["at"]) for row in rows if row["results"] is None}
        same = self._database.among(searches.c.at, times)
        wanted = sa.select(searches.c.query, searches.c.at).where(
            searches.c.results.is_(None), same
        )
        with self._database.write() as connection:
            known = {tuple(row) for row in connection.execute(wanted)} if times else set()
            new = [
                r for r in rows if r["results"] is not None or (r["query"], r["at"]) not in known
            ]
            if new:
                connection.execute(sa.insert(searches), new)
        return len(new)

    def pages(self) -> Iterator[builtins.list[LoggedSearch]]:
        """All logged searches, oldest first."""
        after = 0
        while page := self._page(searches.c.id > after, searches.c.id, _PAGE):
            after = page[-1].id
            yield page

    def list(self, limit: int | None = None) -> builtins.list[LoggedSearch]:
        """The logged searches, newest first."""
        return self._page(sa.true(), searches.c.id.desc(), limit)

    def _page(
        self, where: sa.ColumnElement[bool], order: sa.ColumnElement[int], limit: int | None
    ) -> builtins.list[LoggedSearch]:
        wanted = sa.select(searches).where(where).order_by(order).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
        return [
            LoggedSearch(row.id, row.query, tuple(row.tags), tuple(row.words), row.results, row.at)
            for row in rows
        ]

    def _documents(
        self, connection: sa.Connection, rows: Iterable[Found], names: TagNames
    ) -> builtins.list[StoredDocument]:
        rows = list(rows)
        living = [row for row in rows if not row.gone]
        reader = CurrentTags(self._database, connection, names, "")
        tags = dict(zip((row.id for row in living), reader.read(living).to_pylist(), strict=True))
        texts = self._generated(connection, [row.id for row in living])
        refused = self._refused(connection, [row.id for row in living if row.tags])
        return [
            StoredDocument(row.id, True)
            if row.gone
            else StoredDocument(
                row.id, False, row.title, row.description or "", row.category or "",
                tuple((name, value or "") for name, value in row.attributes or ()),
                texts.get(row.id, ""),
                tuple((tag["id"], tag["probability"]) for tag in tags[row.id]),
                bool(row.tags), frozenset(refused.get(row.id, ())), row.first_seen,
                row.language, tuple(map(tuple, row.numbers or ())),
            )
            for row in rows
        ]  # fmt: skip

    def _generated(
        self, connection: sa.Connection, product_ids: builtins.list[str]
    ) -> dict[str, str]:
        wanted = sa.select(descriptions.c.product_id, descriptions.c.text).where(
            self._database.among(descriptions.c.product_id, product_ids)
        )
        texts: dict[str, builtins.list[str]] = {}
        for row in connection.execute(wanted.order_by(descriptions.c.language)):
            texts.setdefault(row.product_id, []).append(row.text)
        return {product_id: "\n".join(parts) for product_id, parts in texts.items()}

    def _refused(
        self, connection: sa.Connection, product_ids: builtins.list[str]
    ) -> dict[str, set[str]]:
        wanted = latest_verdicts().where(self._database.among(verdicts.c.product_id, product_ids))
        refused: dict[str, set[str]] = {}
        for row in connection.execute(wanted):
            if not row.accepted:
                refused.setdefault(row.product_id, set()).add(row.tag_id)
        return refused
