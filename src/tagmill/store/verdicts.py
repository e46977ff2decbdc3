"""Verdicts: what people decided about a product and a tag; no run touches them."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tagmill.errors import StoreError, UnknownTag
from tagmill.store.changes import Change, record_changes
from tagmill.store.connection import Database, now
from tagmill.store.names import TagNames
from tagmill.store.tables import products, tags, verdicts

__all__ = ["PERSON", "UNDECIDED", "Verdict", "Verdicts", "latest_verdicts"]

PERSON = "person"  # the origin of what people decided
UNDECIDED = 0.5  # probability of the parts of a tag that a person accepted before it was split


@dataclass(frozen=True)
class Verdict:
    """A person's accept or reject; `stale` when the product's text changed since."""

    id: int
    product_id: str
    tag_id: str
    accepted: bool
    who: str
    note: str
    at: str
    stale: bool


class Verdicts:
    """The verdicts of a store: never changed or deleted, the latest of a pair counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, product_id: str, tag_id: str, accepted: bool, who: str = "", note: str = ""
    ) -> Verdict:
        """The verdict, stored. Raises StoreError for an unknown product, UnknownTag."""
        product = sa.select(products.c.snapshot, products.c.content_hash).where(
            products.c.id == product_id
        )
        with self._database.write() as connection:
            row = connection.execute(product).one_or_none()
            if row is None:
                raise StoreError(
                    f"No product has the id '{product_id}'. Bring products in with: "
                    "tagmill catalog import"
                )
            if not connection.execute(sa.select(tags.c.id).where(tags.c.id == tag_id)).all():
                raise UnknownTag(tag_id)
            values: dict[str, Any] = {
                "product_id": product_id, "tag_id": tag_id, "accepted": accepted, "who": who,
                "note": note, "at": now(),
            }  # fmt: skip
            new = sa.insert(verdicts).values(**values, content_hash=row.content_hash)
            number = connection.execute(new.returning(verdicts.c.id)).scalar_one()
            entry = Change(product_id, row.snapshot, row.snapshot, row.content_hash)
            seq = record_changes(self._database, connection, "verdict", [entry])
            self._database.update(connection, products, ("last_change",), [(seq, product_id)])
        return Verdict(id=int(number), stale=False, **values)

    def list(
        self,
        product_id: str | None = None,
        tag_id: str | None = None,
        *,
        superseded: bool = False,
    ) -> builtins.list[Verdict]:
        """The verdicts that count, oldest first, of a product or a tag; or also superseded ones."""
        wanted = sa.select(verdicts) if superseded else latest_verdicts()
        if product_id is not None:
            wanted = wanted.where(verdicts.c.product_id == product_id)
        if tag_id is not None:
            wanted = wanted.where(verdicts.c.tag_id == tag_id)
        given = wanted.subquery()
        listed = (
            sa.select(
                given.c.id, given.c.product_id, given.c.tag_id, given.c.accepted, given.c.who,
                given.c.note, given.c.at,
                (given.c.content_hash != products.c.content_hash).label("stale"),
            )
            .join(products, products.c.id == given.c.product_id)
            .order_by(given.c.id)
        )  # fmt: skip
        with self._database.read() as connection:
            return [Verdict(**row._mapping) for row in connection.execute(listed)]

    def labels(self, product_ids: Iterable[str] | None = None) -> dict[str, dict[str, bool]]:
        """For training: {product id: {tag id: accepted}}, by the tags that count now."""
        wanted = latest_verdicts().order_by(verdicts.c.id)
        if product_ids is not None:
            wanted = wanted.where(self._database.among(verdicts.c.product_id, product_ids))
        names = TagNames(self._database)
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
            names.load(connection, {row.tag_id for row in rows})
        labels: dict[str, dict[str, bool]] = {}
        for row in rows:
            target = names.target(row.tag_id)
            if target is not None:
                labels.setdefault(row.product_id, {})[target] = row.accepted
        return labels


def latest_verdicts() -> sa.Select[Any]:
    """The verdict that counts of each product and tag."""
    newer = verdicts.alias("newer")
    superseded = sa.exists().where(
        newer.c.product_id == verdicts.c.product_id,
        newer.c.tag_id == verdicts.c.tag_id,
        newer.c.id > verdicts.c.id,
    )
    return sa.select(verdicts).where(~superseded)
