"""Tags that people gave products in the catalogue: what they wrote there, and what it means.

A written tag means the living tag of the library that has that name or id, as in `Library.find`, or
one that was split; what no tag is called like means nothing yet, and counts from the day one is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import sqlalchemy as sa

from tagmill.forms import name_forms, plain_forms
from tagmill.records import Facet, parse_tag
from tagmill.store.connection import Database
from tagmill.store.library_rows import facet_of, stored_facet
from tagmill.store.tables import assignments, facets, products, tag_names, tags, verdicts
from tagmill.text import normal_form

__all__ = ["GivenTags", "products_having"]


class GivenTags:
    """What written tags mean, read on one connection and kept."""

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        self._database = database
        self._connection = connection
        self._facets: dict[str, Facet] | None = None  # by the form of a name
        self._meaning: dict[str, str | None] = {}
        self._split: dict[str, dict[str, str]] | None = None

    def mean(self, texts: Iterable[str]) -> Mapping[str, str | None]:
        """The id of the tag that each text means, or None; of all texts met so far."""
        new = {text: parts for text in {*texts} - self._meaning.keys() if (parts := _parts(text))}
        self._meaning.update(dict.fromkeys({*texts} - self._meaning.keys()))
        if not new:
            return self._meaning
        forms = {form for text in new for form in self._forms(text, new[text])}
        wanted = sa.select(tag_names.c.normal_form, tag_names.c.facet, tag_names.c.tag_id).where(
            self._database.among(tag_names.c.normal_form, forms)
        )
        owners: dict[str, dict[str, str]] = {}
        for form, facet, tag_id in self._connection.execute(wanted):
            owners.setdefault(form, {})[facet] = tag_id
        for text, parts in new.items():
            self._meaning[text] = self._meant(text, parts, owners)
        lost = [text for text in new if self._meaning[text] is None]
        if lost:
            split = self._split_names()
            own = sa.select(tags.c.id).where(self._database.among(tags.c.id, lost))
            ids = set(self._connection.execute(own).scalars())
            for text in lost:
                self._meaning[text] = self._meant(text, new[text], split)
                if text in ids:
                    self._meaning[text] = text
        return self._meaning

    def _meant(
        self, text: str, parts: tuple[str, str], owners: Mapping[str, Mapping[str, str]]
    ) -> str | None:
        """The tag that a text means, of the owners of forms."""
        facet = self._facet(text, parts[0])
        found = (owners.get(form, {}) for form in self._forms(text, parts))
        if facet is None:
            return next(filter(None, map(_only, found)), None)
        return next(filter(None, (owner.get(facet.key) for owner in found)), None)

    def _forms(self, text: str, parts: tuple[str, str]) -> tuple[str, ...]:
        """The forms of the name in a text, or of all of it where it names no facet."""
        facet = self._facet(text, parts[0])
        if facet is not None:
            return name_forms(parts[1], facet)
        return plain_forms(text)  # also one that has a colon: 4:3屏幕

    def _facet(self, text: str, written: str) -> Facet | None:
        """The facet that a text says, in any language; None where it says none there is."""
        if written:
            return self._known_facets().get(normal_form(written))
        return Facet("") if ":" in text else None

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

    def _split_names(self) -> Mapping[str, Mapping[str, str]]:
        """Form → facet → tag id of the names of tags that were split: what was given as one of
        them goes to people, who say which part it is."""
        if self._split is None:
            self._split = {}
            wanted = sa.select(tags.c.id, tags.c.facet, tags.c.name, tags.c.names, tags.c.aliases)
            split = wanted.where(sa.cast(tags.c.split_into, sa.Text) != "[]")
            for tag_id, facet, name, names, aliases in self._connection.execute(split):
                known = self._known_facets().get(normal_form(facet))
                for one in (name, *names.values(), *aliases):
                    for form in name_forms(one, known):
                        self._split.setdefault(form, {})[facet] = tag_id
        return self._split

    def _known_facets(self) -> dict[str, Facet]:
        if self._facets is None:
            self._facets = {}
            for row in self._connection.execute(sa.select(facets)):
                facet = facet_of(stored_facet(row))
                for name in (facet.key, *facet.names.values()):
                    self._facets.setdefault(normal_form(name), facet)
        return self._facets


def products_having(database: Database, connection: sa.Connection, tag_ids: Set[str]) -> set[str]:
    """The ids of the catalogue's products that have one of these tags, by a run or a person, or a
    verdict on it."""
    if not tag_ids:
        return set()
    stored = (
        sa.select(products.c.id)
        .join(assignments, assignments.c.seq == products.c.snapshot)
        .where(sa.not_(products.c.gone), database.among(assignments.c.tag_id, tag_ids))
    )
    judged = (
        sa.select(products.c.id)
        .join(verdicts, verdicts.c.product_id == products.c.id)
        .where(sa.not_(products.c.gone), database.among(verdicts.c.tag_id, tag_ids))
    )
    return {
        *connection.execute(stored).scalars(),
        *connection.execute(judged).scalars(),
        *GivenTags(database, connection).products_with(tag_ids),
    }


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
