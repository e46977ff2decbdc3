"""What people did with products: views, carts, purchases, likes, dislikes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tagmill.store.connection import Database
from tagmill.store.tables import LONGEST_QUERY, counters, events

__all__ = ["KINDS", "Event", "EventState", "Events", "Kind"]

Kind = Literal["view", "cart", "purchase", "like", "dislike"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_PAGE = 50_000
_COLUMNS = (events.c.user_id, events.c.product_id, events.c.kind, events.c.at, events.c.query)
_CLICKS = 200_000  # pairs of a query and a product: the most frequent ones


@dataclass(frozen=True, slots=True)
class Event:
    """`at` is the time in UTC, ISO 8601 to the second; `query` the search that it came from.

    Raises ValueError for another kind, or a time that is written otherwise.
    """

    user: str
    product: str
    kind: Kind
    at: str
    query: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind '{self.kind}' is not one of {', '.join(KINDS)}")
        if not _TIME.fullmatch(self.at):
            raise ValueError(f"at '{self.at}' is not written like 2026-11-26T12:00:00Z")


@dataclass(frozen=True)
class EventState:
    """How many events ever came, and how often somebody was forgotten."""

    added: int
    forgotten: int


class Events:
    """The events of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, found: Sequence[Event]) -> int:
        """Store events, of products there are or not yet; how many were not there before."""
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        rows = [
            {
                "user_id": one.user, "product_id": one.product, "kind": one.kind, "at": one.at,
                "query": one.query and one.query[:LONGEST_QUERY],
            }
            for one in found
        ]  # fmt: skip
        if not rows:
            return 0
        with self._database.write() as connection:
            add = insert(events).on_conflict_do_nothing().returning(events.c.id)
            new = len(connection.execute(add, rows).all())
            self._database.count_up(connection, "events", new)
        return new

    def state(self) -> EventState:
        """The present state."""
        wanted = sa.select(counters.c.name, counters.c.value)
        named = counters.c.name.in_(("events", "forgotten"))
        with self._database.read() as connection:
            values = {row.name: int(row.value) for row in connection.execute(wanted.where(named))}
        return EventState(values["events"], values["forgotten"])

    def of_user(self, user: str, limit: int = 500) -> list[Event]:
        """A user's newest events, newest first."""
        wanted = (
            sa.select(*_COLUMNS)
            .where(events.c.user_id == user)
            .order_by(events.c.at.desc(), events.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Event(*row) for row in connection.execute(wanted)]

    def people_a_day(self) -> tuple[list[str], list[str], list[int]]:
        """Products, days (2026-12-01), and how many people had an event of it then, no dislike."""
        day = sa.func.substr(events.c.at, 1, 10)
        wanted = (
            sa.select(events.c.product_id, day, sa.func.count(sa.distinct(events.c.user_id)))
            .where(events.c.kind != "dislike")
            .group_by(events.c.product_id, day)
        )
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
        return [row[0] for row in rows], [row[1] for row in rows], [int(row[2]) for row in rows]

    def settled(self, user: str) -> set[str]:
        """The products that a user ever bought or disliked."""
        wanted = sa.select(events.c.product_id).where(
            events.c.user_id == user, events.c.kind.in_(("purchase", "dislike"))
        )
        with self._database.read() as connection:
            return set(connection.execute(wanted).scalars())

    def pages(self) -> Iterator[list[Event]]:
        """All events, in the order they came in."""
        after = 0
        while True:
            wanted = sa.select(events.c.id, *_COLUMNS).where(events.c.id > after)
            with self._database.read() as connection:
                rows = connection.execute(wanted.order_by(events.c.id).limit(_PAGE)).all()
            if not rows:
                return
            after = rows[-1].id
            yield [Event(*row[1:]) for row in rows]

    def clicks(self) -> list[tuple[str, str, int]]:
        """(query, product, how often) of what people met by searching and did not dislike, the
        most frequent first."""
        count = sa.func.count()
        wanted = (
            sa.select(events.c.query, events.c.product_id, count)
            .where(events.c.query.is_not(None), events.c.kind != "dislike")
            .group_by(events.c.query, events.c.product_id)
            .order_by(count.desc(), events.c.query, events.c.product_id)
            .limit(_CLICKS)
        )
        with self._database.read() as connection:
            return [(row[0], row[1], int(row[2])) for row in connection.execute(wanted)]

    def forget(self, users: Iterable[str]) -> int:
        """Delete all events of users; how many they were."""
        with self._database.write() as connection:
            gone = sa.delete(events).where(self._database.among(events.c.user_id, list(users)))
            count = int(connection.execute(gone).rowcount)
            if count:
                self._database.count_up(connection, "forgotten", 1)
        return count
