"""What stored tag ids stand for now: merged ones lead on, retired ones to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from tagmill.records import name_in
from tagmill.store.connection import Database
from tagmill.store.tables import facets, tags

__all__ = ["TagNames"]


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    facet: str
    name: str
    names: Mapping[str, str]
    status: str
    merged_into: str | None


class TagNames:
    """Names of the tags that were asked for, kept for one read of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: dict[str, _Entry] = {}
        self._facets: dict[str, Mapping[str, str]] | None = None
        self._targets: dict[str, str | None] = {}
        self._written: dict[tuple[str, str], tuple[str, str]] = {}

    def load(self, connection: sa.Connection, tag_ids: Iterable[str]) -> None:
        """Read the tags of these ids, and those they were merged into, where not yet known."""
        missing = set(tag_ids) - self._entries.keys()
        while missing:
            wanted = sa.select(
                tags.c.id, tags.c.facet, tags.c.name, tags.c.names, tags.c.status,
                tags.c.merged_into,
            ).where(self._database.among(tags.c.id, missing))  # fmt: skip
            found = [_Entry(*row) for row in connection.execute(wanted)]
            self._entries.update((entry.id, entry) for entry in found)
            missing = {e.merged_into for e in found if e.merged_into} - self._entries.keys()
        if self._facets is None:
            rows = connection.execute(sa.select(facets.c.key, facets.c.names))
            self._facets = {row.key: row.names for row in rows}

    def target(self, tag_id: str) -> str | None:
        """The id of the tag that counts in its place; None if it is retired or unknown."""
        if tag_id not in self._targets:
            entry = self._entries.get(tag_id)
            seen = {tag_id}
            while entry and entry.merged_into and entry.merged_into not in seen:
                seen.add(entry.merged_into)
                entry = self._entries.get(entry.merged_into)
            alive = entry is not None and entry.status != "retired"
            self._targets[tag_id] = entry.id if entry and alive else None
        return self._targets[tag_id]

    def written(self, tag_id: str, language: str) -> tuple[str, str]:
        """(facet, name) of a loaded tag, in a language where it has one; '' for canonical."""
        key = (tag_id, language)
        if key not in self._written:
            entry = self._entries[tag_id]
            facet_names = (self._facets or {}).get(entry.facet, {})
            self._written[key] = (
                name_in(facet_names, entry.facet, language),
                name_in(entry.names, entry.name, language),
            )
        return self._written[key]
