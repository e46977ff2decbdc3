"""What waits for a person's verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from tagmill.store.connection import Database, Found
from tagmill.store.current import CurrentTags
from tagmill.store.given import GivenTags
from tagmill.store.names import TagNames
from tagmill.store.tables import assignments, products, tags, verdicts
from tagmill.store.verdicts import PERSON, UNDECIDED, latest_verdicts
from tagmill.text import caption

__all__ = ["Review"]

_PAGE = 200  # assignments that are looked at together, at least

# What `caption` needs of a product.
_CALLED = products.c.title, sa.func.substr(products.c.description, 1, 240).label("beginning")


class Review:
    """The tags of a store's output that nobody has decided about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(
        self, limit: int, facet: str | None = None, *, language: str = ""
    ) -> list[dict[str, Any]]:
        """What waits for a verdict: tags in the lane review, nearest to 0.5 first.

        Each with `product_id`, `title` (or how its text begins), `tag_id`, `facet`, `name`,
        `probability`, `calibration`, `origin` and `evidence`; of one facet (by key) if asked.
        Before all others come the parts of tags that people gave or accepted before they were
        split.
        """
        names = TagNames(self._database)
        with self._database.read() as connection:
            rows = self._parts(connection, names, facet)[:limit]
            asked = {(row["product_id"], row["tag_id"]) for row in rows}
            for row in self._waiting(connection, names, facet, max(limit, _PAGE)):
                if len(rows) == limit:
                    break
                pair = row["product_id"], row["tag_id"]
                if pair not in asked:
                    asked.add(pair)
                    rows.append(row)
            names.load(connection, {row["tag_id"] for row in rows})
        for row in rows:
            own = row.pop("language") or ""
            chosen = own if language == "product" else language
            row["facet"], row["name"] = names.written(row["tag_id"], chosen)
        return rows

    def _waiting(
        self, connection: sa.Connection, names: TagNames, facet: str | None, page: int
    ) -> Iterator[dict[str, Any]]:
        """Assignments in the lane review that are so in the output, by the tag that counts."""
        wanted = (
            sa.select(
                products.c.id, *_CALLED, products.c.language, products.c.snapshot, products.c.tags,
                assignments.c.tag_id, assignments.c.probability,
                assignments.c.calibration, assignments.c.origin, assignments.c.evidence,
            )
            .join(assignments, assignments.c.seq == products.c.snapshot)
            .join(tags, tags.c.id == assignments.c.tag_id)
            .where(sa.not_(products.c.gone), assignments.c.lane == "review")
            .order_by(
                sa.func.abs(assignments.c.probability - 0.5), products.c.id, assignments.c.rank
            )
        )  # fmt: skip
        if facet is not None:
            wanted = wanted.where(sa.or_(tags.c.facet == facet, tags.c.merged_into.is_not(None)))
        start = 0
        while found := connection.execute(wanted.limit(page).offset(start)).all():
            start += len(found)
            open_pairs = self._open_pairs(connection, names, found)
            for row in found:
                target = names.target(row.tag_id)
                if target is None or (row.id, target) not in open_pairs:
                    continue
                if facet is None or names.facet(target) == facet:
                    yield {
                        "product_id": row.id, "title": caption(row.title, row.beginning),
                        "language": row.language, "tag_id": target, "probability": row.probability,
                        "calibration": row.calibration, "origin": row.origin,
                        "evidence": row.evidence,
                    }  # fmt: skip

    def _open_pairs(
        self, connection: sa.Connection, names: TagNames, found: Sequence[Found]
    ) -> set[tuple[str, str]]:
        """(product, tag) of the output of these products that no person decided about."""
        own = list({row.id: row for row in found}.values())
        lists = CurrentTags(self._database, connection, names, "").read(own).to_pylist()
        return {
            (row.id, tag["id"])
            for row, has in zip(own, lists, strict=True)
            for tag in has
            if tag["lane"] == "review" and tag["origin"] != PERSON
        }

    def _parts(
        self, connection: sa.Connection, names: TagNames, facet: str | None
    ) -> list[dict[str, Any]]:
        """The parts of split tags that people gave or accepted, where nobody judged the part."""
        split = sa.select(tags.c.id).where(sa.cast(tags.c.split_into, sa.Text) != "[]")
        if facet is not None:
            split = split.where(tags.c.facet == facet)
        split_ids = set(connection.execute(split).scalars())
        if not split_ids:
            return []
        accepted = latest_verdicts().where(
            verdicts.c.accepted, self._database.among(verdicts.c.tag_id, split_ids)
        )
        pairs = {(row.product_id, row.tag_id) for row in connection.execute(accepted)}
        given = GivenTags(self._database, connection)
        meaning = given.mean(given.written())
        texts = {text for text, tag_id in meaning.items() if tag_id in split_ids}
        ids = {product_id for product_id, _ in pairs} | {*given.products_of(texts)}
        about = sa.select(products.c.id, *_CALLED, products.c.language, products.c.tags)
        living = about.where(sa.not_(products.c.gone), self._database.among(products.c.id, ids))
        found = {row.id: row for row in connection.execute(living)}
        pairs |= {
            (row.id, meaning[text] or "")
            for row in found.values()
            for text in row.tags or ()
            if text in texts
        }
        names.load(connection, split_ids)
        judged = latest_verdicts().where(self._database.among(verdicts.c.product_id, ids))
        decided = {(row.product_id, row.tag_id) for row in connection.execute(judged)}
        return [
            {
                "product_id": product_id,
                "title": caption(found[product_id].title, found[product_id].beginning),
                "language": found[product_id].language, "tag_id": part,
                "probability": UNDECIDED, "calibration": "prior", "origin": PERSON,
                "evidence": None,
            }
            for product_id, tag_id in sorted(pairs)
            if product_id in found
            for part in names.parts(tag_id)
            if (product_id, part) not in decided
        ]  # fmt: skip
