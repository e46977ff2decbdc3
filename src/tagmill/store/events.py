"""What people did with products: views, carts, purchases, likes, dislikes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tagmill.store.connection import Database
from tagmill.store.tables import events

__all__ = ["KINDS", "Event", "EventState", "Events", "Kind"]

Kind = Literal["view", "cart", "purchase", "like", "dislike"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_PAGE = 50_000
_COLUMNS = (events.c.user_id, events.c.product_id, events.c.kind, events.c.at)


@dataclass(frozen=True, slots=True)
class Event:
    """`at` is the time in UTC, ISO 8601 to the second."""

    user: str
    product: str
    kind: Kind
    at: str


@dataclass(frozen=True)
class EventState:
    """How many events there are, and the newest; a user who is forgotten makes them fewer."""

    count: int
    newest: int


class Events:
    """The events of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, found: Sequence[Event]) -> int:
        """Store events, of products there are or not yet; how many were not there before."""
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        rows = [
            {"user_id": one.user, "product_id": one.product, "kind": one.kind, "at": one.at}
            for one in found
        ]
        if not rows:
            return 0
        with self._database.write() as connection:
            before = _state(connection)
            connection.execute(insert(events).on_conflict_do_nothing(), rows)
            return _state(connection).count - before.count

    def state(self) -> EventState:
        """The present state."""
        with self._database.read() as connection:
            return _state(connection)

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

    def forget(self, users: Iterable[str]) -> int:
        """Delete all events of users; how many they were."""
        with self._database.write() as connection:
            gone = sa.delete(events).where(self._database.among(events.c.user_id, list(users)))
            return int(connection.execute(gone).rowcount)


def _state(connection: sa.Connection) -> EventState:
    row = connection.execute(sa.select(sa.func.count(), sa.func.max(events.c.id))).one()
    return EventState(int(row[0]), int(row[1] or 0))
