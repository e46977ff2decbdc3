"""Verdicts: what people decided about a product and a tag; no run touches them."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tagmill.errors import StoreError, UnknownTag
from tagmill.records import tag_text
from tagmill.store.changes import Change, log_changes
from tagmill.store.connection import Database, Found, now
from tagmill.store.names import TagNames
from tagmill.store.tables import products, tags, verdicts

__all__ = ["PERSON", "UNDECIDED", "Verdict", "Verdicts", "latest_verdicts"]

PERSON = "person"  # the origin of what people decided
UNDECIDED = 0.5  # probability of the parts of a tag that a person accepted before it was split

# Of a row what a `Verdict` has.
_GIVEN = (
    verdicts.c.id, verdicts.c.product_id, verdicts.c.tag_id, verdicts.c.accepted, verdicts.c.who,
    verdicts.c.note, verdicts.c.at,
)  # fmt: skip


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
    """The verdicts of a store: never changed or deleted, the latest of a pair counts.

    One that is neither accept nor reject takes back what was said.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, product_id: str, tag_id: str, accepted: bool, who: str = "", note: str = ""
    ) -> Verdict:
        """The verdict, stored. Raises StoreError for an unknown product, UnknownTag."""
        with self._database.write() as connection:
            product = _judged_product(connection, product_id)
            if not connection.execute(sa.select(tags.c.id).where(tags.c.id == tag_id)).all():
                raise UnknownTag(tag_id)
            row = self._store(connection, product, tag_id, accepted, who, note)
        return Verdict(**row._mapping, stale=False)

    def reopen(self, product_id: str, tag_id: str, who: str = "", note: str = "") -> None:
        """Leave a product and a tag undecided again, also what was said of tags that were merged
        into it: what is stored by runs, or came with the catalogue, counts.

        Raises StoreError for an unknown product, or where no verdict counts.
        """
        names = TagNames(self._database)
        with self._database.write() as connection:
            product = _judged_product(connection, product_id)
            given = latest_verdicts().where(verdicts.c.product_id == product_id)
            said = {row.tag_id for row in connection.execute(given)}
            names.load(connection, {*said, tag_id})
            of_tag = [one for one in said if tag_id in (one, names.target(one))]
            if not of_tag:
                raise StoreError(
                    f"No verdict on '{tag_text(*names.written(tag_id, ''))}' of the product "
                    f"'{product_id}' could be taken back. See: tagmill products show {product_id}"
                )
            for one in sorted(of_tag):
                self._store(connection, product, one, None, who, note)

    def _store(
        self,
        connection: sa.Connection,
        product: Found,
        tag_id: str,
        accepted: bool | None,
        who: str,
        note: str,
    ) -> Found:
        """Append a verdict, and log that the product's output changed; what is stored of it."""
        new = sa.insert(verdicts).values(
            product_id=product.id, tag_id=tag_id, accepted=accepted, who=who, note=note, at=now(),
            content_hash=product.content_hash,
        )  # fmt: skip
        row = connection.execute(new.returning(*_GIVEN)).one()
        entry = Change(product.id, product.snapshot, product.snapshot, product.content_hash)
        log_changes(self._database, connection, "verdict", [entry])
        return row

    def list(
        self,
        product_id: str | None = None,
        tag_id: str | None = None,
        *,
        superseded: bool = False,
    ) -> builtins.list[Verdict]:
        """The verdicts that count, oldest first, of a product or a tag; or also superseded ones."""
        decided = verdicts.c.accepted.is_not(None)
        wanted = sa.select(verdicts).where(decided) if superseded else latest_verdicts()
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


def _judged_product(connection: sa.Connection, product_id: str) -> Found:
    """The product's `id`, `snapshot` and `content_hash`; StoreError if there is none."""
    wanted = sa.select(products.c.id, products.c.snapshot, products.c.content_hash)
    row = connection.execute(wanted.where(products.c.id == product_id)).one_or_none()
    if row is None:
        raise StoreError(
            f"No product has the id '{product_id}'. Bring products in with: tagmill catalog import"
        )
    return row


def latest_verdicts() -> sa.Select[Any]:
    """The verdict that counts of each product and tag; none where it was taken back."""
    newer = verdicts.alias("newer")
    superseded = sa.exists().where(
        newer.c.product_id == verdicts.c.product_id,
        newer.c.tag_id == verdicts.c.tag_id,
        newer.c.id > verdicts.c.id,
    )
    return sa.select(verdicts).where(~superseded, verdicts.c.accepted.is_not(None))
