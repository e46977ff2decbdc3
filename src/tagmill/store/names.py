"""What stored tag ids stand for now: merged ones lead on, retired ones to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

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
    split_into: list[str]
    broader: list[str]


class TagNames:
    """Names of the tags that were asked for, kept for one read of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: dict[str, _Entry] = {}
        self._facets: dict[str, Mapping[str, str]] | None = None
        self._single: set[str] = set()
        self._only_for: dict[str, list[str]] = {}  # facet → tags whose products alone have it
        self._targets: dict[str, str | None] = {}
        self._written: dict[tuple[str, str], tuple[str, str]] = {}

    def load(self, connection: sa.Connection, tag_ids: Iterable[str]) -> None:
        """Read the tags of these ids, and those they were merged or split into, or imply, where
        not yet known."""
        if self._facets is None:
            wanted = sa.select(facets.c.key, facets.c.names, facets.c.single, facets.c.only_for)
            rows = connection.execute(wanted).all()
            self._facets = {row.key: row.names for row in rows}
            self._single = {row.key for row in rows if row.single}
            self._only_for = {row.key: row.only_for for row in rows if row.only_for}
        missing = {*tag_ids, *chain.from_iterable(self._only_for.values())} - self._entries.keys()
        while missing:
            wanted = sa.select(
                tags.c.id, tags.c.facet, tags.c.name, tags.c.names, tags.c.status,
                tags.c.merged_into, tags.c.split_into, tags.c.broader,
            ).where(self._database.among(tags.c.id, missing))  # fmt: skip
            found = [_Entry(*row) for row in connection.execute(wanted)]
            self._entries.update((entry.id, entry) for entry in found)
            related = {e.merged_into for e in found if e.merged_into}
            related.update(i for e in found for i in (*e.split_into, *e.broader))
            missing = related - self._entries.keys()

    def target(self, tag_id: str) -> str | None:
        """The id of the tag that counts in its place; None if it is retired or unknown."""
        if tag_id not in self._targets:
            entry = self._last(tag_id)
            alive = entry is not None and entry.status != "retired"
            self._targets[tag_id] = entry.id if entry and alive else None
        return self._targets[tag_id]

    def _last(self, tag_id: str) -> _Entry | None:
        """The tag itself, or the last one it was merged into."""
        entry = self._entries.get(tag_id)
        seen = {tag_id}
        while entry and entry.merged_into and entry.merged_into not in seen:
            seen.add(entry.merged_into)
            entry = self._entries.get(entry.merged_into)
        return entry

    def facet(self, tag_id: str) -> str:
        """The key of the facet of a loaded tag."""
        return self._entries[tag_id].facet

    def single_facet(self, tag_id: str) -> str | None:
        """The facet of a loaded tag where it has one value a product; None where many."""
        facet = self._entries[tag_id].facet
        return facet if facet in self._single else None

    def asked_by(self, tag_id: str) -> set[str]:
        """The living tags of which a product must have one, or a narrower one, to have this: those
        that its facet is only for; none where it is for all."""
        wanted = self._only_for.get(self._entries[tag_id].facet, ()) if self._only_for else ()
        return {target for one in wanted if (target := self.target(one)) is not None}

    def ancestors(self, tag_id: str) -> set[str]:
        """The living tags that a loaded tag implies."""
        found: set[str] = set()
        waiting = list(self._entries[tag_id].broader)
        while waiting:
            target = self.target(waiting.pop())
            if target is not None and target != tag_id and target not in found:
                found.add(target)
                waiting += self._entries[target].broader
        return found

    def parts(self, tag_id: str) -> list[str]:
        """The living tags that a tag was split into, itself or the one it was merged into."""
        entry = self._last(tag_id)
        targets = [self.target(part) for part in entry.split_into] if entry else []
        return [part for part in dict.fromkeys(targets) if part is not None]

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
