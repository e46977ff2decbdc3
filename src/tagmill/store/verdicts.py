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
from tagmill.store.tables import assignments, products, tags, verdicts

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

    def queue(
        self, limit: int, facet: str | None = None, *, language: str = ""
    ) -> builtins.list[dict[str, Any]]:
        """What waits for a verdict: assignments in the lane review, nearest to 0.5 first.

        Each with `product_id`, `title`, `tag_id`, `facet`, `name`, `probability`, `calibration`,
        `origin` and `evidence`; of one facet (by key) if asked. Before all others come the parts
        of tags that were accepted before they were split.
        """
        judged = sa.exists().where(
            verdicts.c.product_id == products.c.id, verdicts.c.tag_id == assignments.c.tag_id
        )
        wanted = (
            sa.select(
                products.c.id.label("product_id"), products.c.title, products.c.language,
                assignments.c.tag_id, assignments.c.probability, assignments.c.calibration,
                assignments.c.origin, assignments.c.evidence,
            )
            .join(assignments, assignments.c.seq == products.c.snapshot)
            .join(tags, tags.c.id == assignments.c.tag_id)
            .where(
                sa.not_(products.c.gone), assignments.c.lane == "review", ~judged,
                tags.c.status != "retired",
            )
            .order_by(
                sa.func.abs(assignments.c.probability - 0.5), products.c.id, assignments.c.rank
            )
            .limit(limit)
        )  # fmt: skip
        if facet is not None:
            wanted = wanted.where(tags.c.facet == facet)
        names = TagNames(self._database)
        with self._database.read() as connection:
            rows = self._split(connection, names, facet)[:limit]
            asked = {(row["product_id"], row["tag_id"]) for row in rows}
            found = [dict(row._mapping) for row in connection.execute(wanted)]
            rows += [row for row in found if (row["product_id"], row["tag_id"]) not in asked]
            rows = rows[:limit]
            names.load(connection, {row["tag_id"] for row in rows})
        for row in rows:
            own = row.pop("language") or ""
            chosen = own if language == "product" else language
            row["facet"], row["name"] = names.written(row["tag_id"], chosen)
        return rows

    def _split(
        self, connection: sa.Connection, names: TagNames, facet: str | None
    ) -> builtins.list[dict[str, Any]]:
        """The parts of accepted tags that were split, where nobody judged the part yet."""
        split = sa.select(tags.c.id).where(sa.cast(tags.c.split_into, sa.Text) != "[]")
        if facet is not None:
            split = split.where(tags.c.facet == facet)
        given = (
            latest_verdicts().where(verdicts.c.accepted, verdicts.c.tag_id.in_(split)).subquery()
        )
        wanted = (
            sa.select(products.c.id, products.c.title, products.c.language, given.c.tag_id)
            .join(given, given.c.product_id == products.c.id)
            .where(sa.not_(products.c.gone))
            .order_by(products.c.id, given.c.tag_id)
        )
        found = connection.execute(wanted).all()
        names.load(connection, {row.tag_id for row in found})
        judged = sa.select(verdicts.c.product_id, verdicts.c.tag_id).where(
            self._database.among(verdicts.c.product_id, {row.id for row in found})
        )
        pairs = {(row.product_id, row.tag_id) for row in connection.execute(judged)}
        return [
            {
                "product_id": row.id, "title": row.title, "language": row.language, "tag_id": part,
                "probability": UNDECIDED, "calibration": "prior", "origin": PERSON,
                "evidence": None,
            }
            for row in found
            for part in names.parts(row.tag_id)
            if (row.id, part) not in pairs
        ]  # fmt: skip


def latest_verdicts() -> sa.Select[Any]:
    """The verdict that counts of each product and tag."""
    newer = verdicts.alias("newer")
    superseded = sa.exists().where(
        newer.c.product_id == verdicts.c.product_id,
        newer.c.tag_id == verdicts.c.tag_id,
        newer.c.id > verdicts.c.id,
    )
    return sa.select(verdicts).where(~superseded)
