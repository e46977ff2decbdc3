"""Tags that people gave products in the catalogue: what they wrote there, and what it means.

A written tag means the living tag of the library that has that name, as in `Library.find`; one that
no tag is called like means nothing yet, and counts from the day a tag has its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import sqlalchemy as sa

from tagmill.records import parse_tag
from tagmill.store.connection import Database
from tagmill.store.tables import facets, products, tag_names
from tagmill.text import normal_form

__all__ = ["GivenTags"]


class GivenTags:
    """What written tags mean, read on one connection and kept."""

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        self._database = database
        self._connection = connection
        self._facets: dict[str, str] | None = None  # form → key
        self._meaning: dict[str, str | None] = {}

    def mean(self, texts: Iterable[str]) -> Mapping[str, str | None]:
        """The id of the tag that each text means, or None; of all texts met so far."""
        new = {text: parts for text in {*texts} - self._meaning.keys() if (parts := _parts(text))}
        self._meaning.update(dict.fromkeys({*texts} - self._meaning.keys()))
        forms = {normal_form(name) for _, name in new.values()} | {normal_form(t) for t in new}
        if not new:
            return self._meaning
        wanted = sa.select(tag_names.c.normal_form, tag_names.c.facet, tag_names.c.tag_id).where(
            self._database.among(tag_names.c.normal_form, forms)
        )
        owners: dict[str, dict[str, str]] = {}
        for form, facet, tag_id in self._connection.execute(wanted):
            owners.setdefault(form, {})[facet] = tag_id
        for text, (facet, name) in new.items():
            key = self._facet_keys().get(normal_form(facet)) if facet else ""
            of_name = owners.get(normal_form(name), {})
            if ":" not in text:
                self._meaning[text] = _only(of_name)
            elif key is not None:
                self._meaning[text] = of_name.get(key)
            else:  # a plain name that has a colon: 4:3屏幕
                self._meaning[text] = _only(owners.get(normal_form(text), {}))
        return self._meaning

    def written(self) -> list[str]:
        """What stands on products of the catalogue, each text once."""
        each = self._each()
        wanted = sa.select(each.c.value).select_from(products.join(each, sa.true()))
        found = self._connection.execute(wanted.where(sa.not_(products.c.gone)).distinct())
        return list(found.scalars())

    def products_with(self, tag_ids: Set[str]) -> list[str]:
        """Ids of the catalogue's products that were given one of these tags."""
        meaning = self.mean(self.written())
        return self.products_of({text for text, tag_id in meaning.items() if tag_id in tag_ids})

    def products_of(self, texts: Iterable[str]) -> list[str]:
        """Ids of the catalogue's products on which one of these texts stands, in order."""
        texts = list(texts)
        if not texts:
            return []
        each = self._each()
        wanted = (
            sa.select(products.c.id)
            .select_from(products.join(each, sa.true()))
            .where(sa.not_(products.c.gone), self._database.among(each.c.value, texts))
        )
        return list(self._connection.execute(wanted.distinct().order_by(products.c.id)).scalars())

    def _each(self) -> sa.TableValuedAlias:
        """The texts of a product, one a row."""
        if self._database.is_sqlite:
            return sa.func.json_each(products.c.tags).table_valued("value")
        texts = sa.func.json_array_elements_text(products.c.tags)
        return texts.table_valued(sa.column("value", sa.Text)).render_derived()

    def _facet_keys(self) -> dict[str, str]:
        if self._facets is None:
            self._facets = {}
            for key, names in self._connection.execute(sa.select(facets.c.key, facets.c.names)):
                for name in (key, *names.values()):
                    self._facets.setdefault(normal_form(name), key)
        return self._facets


def _parts(text: str) -> tuple[str, str] | None:
    try:
        return parse_tag(text)
    except ValueError:
        return None


def _only(owners: Mapping[str, Any]) -> str | None:
    """The tag of a name without a facet: that of no facet, or the only one."""
    if "" in owners:
        return str(owners[""])
    return next(iter(owners.values())) if len(owners) == 1 else None
