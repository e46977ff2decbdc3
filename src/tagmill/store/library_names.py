"""Whose the names of a stored library are: all at once, or of a large one as they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import sqlalchemy as sa

from tagmill.records import Tag
from tagmill.store.connection import Database
from tagmill.store.tables import tag_names

__all__ = ["Owned", "StoredNames", "names_of", "streamed"]

# The facet and tag id that have a form, or where several facets have it facet → tag id.
Owned = tuple[str, str] | dict[str, str]

_PAGE = 20_000
_FEW = 4  # forms that are asked of the driver itself
# Made once: putting it together takes longer than asking it.
_OWNERS_OF_NAME = sa.select(tag_names.c.facet, tag_names.c.tag_id).where(
    tag_names.c.normal_form == sa.bindparam("form")
)


class StoredNames:
    """The names of the living `tags` of a stored library, read when they are asked for.

    What somebody changed since the tags were read may show, but no tag that is not among them:
    whoever stores a change by it is told of the conflict then.
    """

    def __init__(self, database: Database, tags: Sequence[Tag]) -> None:
        self._database = database
        self._tags = tags

    def of(self, forms: Sequence[str]) -> dict[str, Owned]:
        """The owners of these forms, those there are."""
        owners: dict[str, dict[str, str]] = {}
        for form, facet, tag_id in self._rows(forms):
            owners.setdefault(form, {})[facet] = tag_id
        return {f: next(iter(own.items())) if len(own) == 1 else own for f, own in owners.items()}

    def all(self) -> dict[str, Owned]:
        """The owners of every form."""
        with self._database.read() as connection:
            return names_of(connection, self._tags)

    def _rows(self, forms: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        if len(forms) <= _FEW:
            for form in forms:
                for facet, tag_id in self._database.rows(_OWNERS_OF_NAME, {"form": form}):
                    yield form, facet, tag_id
            return
        wanted = sa.select(tag_names.c.normal_form, tag_names.c.facet, tag_names.c.tag_id)
        chosen = wanted.where(self._database.among(tag_names.c.normal_form, forms))
        with self._database.read() as connection:
            yield from map(tuple, connection.execute(chosen))


def names_of(connection: sa.Connection, present: Iterable[Tag]) -> dict[str, Owned]:
    """Form → owner of all names of the living among these tags."""
    own = {tag.id: (tag.facet, tag.id) for tag in present}
    names: dict[str, Owned] = {}
    wanted = sa.select(tag_names.c.normal_form, tag_names.c.tag_id)
    rows = iter(streamed(connection, wanted))
    while page := list(islice(rows, _PAGE)):
        forms, tag_ids = zip(*page, strict=True)
        owners = [own.get(tag_id) for tag_id in tag_ids]
        if None in owners:  # of tags that somebody added since these were read
            forms = tuple(f for f, owner in zip(forms, owners, strict=True) if owner is not None)
        _add(names, forms, [owner for owner in owners if owner is not None])
    return names


def _add(names: dict[str, Owned], forms: Sequence[str], owners: Sequence[tuple[str, str]]) -> None:
    # One step a form, out of Python's sight: a million tags have three million.
    first = list(map(names.setdefault, forms, owners))
    if first == owners:
        return
    for form, owner, met in zip(forms, owners, first, strict=True):
        if met is not owner:  # a form of another facet too
            known = names[form]
            others: Mapping[str, str] = {known[0]: known[1]} if isinstance(known, tuple) else known
            names[form] = {**others, owner[0]: owner[1]}


def streamed(connection: sa.Connection, wanted: sa.Select[Any]) -> Iterable[Any]:
    """Rows of a query without parameters, whose values need no conversion; of millions."""
    if connection.dialect.name != "sqlite":
        return connection.execution_options(yield_per=_PAGE).execute(wanted)
    # The driver's own tuples: SQLAlchemy's rows take longer than SQLite.
    cursor = connection.connection.cursor()
    return cast("Iterable[Any]", cursor.execute(str(wanted.compile(dialect=connection.dialect))))
