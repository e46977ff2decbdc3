"""What large language models wrote of products, apart from the merchants' own texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tagmill.store.connection import Database, now, to_json
from tagmill.store.tables import descriptions, products

__all__ = ["Descriptions"]

_COLUMNS = ("product_id", "language", "text", "sentences", "model", "prompt", "at")


class Descriptions:
    """The newest description of each product in each language."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, written: Sequence[dict[str, Any]]) -> None:
        """Store descriptions in place of those there are: id, language, text, sentences …"""
        at = now()
        rows = [
            (one["id"], one["language"], one["text"], to_json(one["sentences"]), one["model"],
             one["prompt"], at)
            for one in written
        ]  # fmt: skip
        with self._database.write() as connection:
            for language in {one["language"] for one in written}:
                ids = [one["id"] for one in written if one["language"] == language]
                connection.execute(
                    descriptions.delete().where(
                        descriptions.c.language == language,
                        self._database.among(descriptions.c.product_id, ids),
                    )
                )
            self._database.insert(connection, descriptions, _COLUMNS, rows)
            seq = self._database.next_seq(connection, 1)
            updates = [(seq, one["id"]) for one in written]
            self._database.update(connection, products, ("text_change",), updates)

    def of(self, product_id: str) -> list[dict[str, Any]]:
        """The descriptions of a product, by language."""
        wanted = sa.select(descriptions).where(descriptions.c.product_id == product_id)
        with self._database.read() as connection:
            found = connection.execute(wanted.order_by(descriptions.c.language)).mappings()
            return [dict(row) for row in found]
