"""The tag library: its tags and facets as they are, and everything that ever changed."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from tagmill.errors import TagConflict
from tagmill.records import Facet, Tag
from tagmill.store.connection import Database, Found, now, to_json
from tagmill.store.tables import facets, library_changes, tag_names, tags
from tagmill.text import normal_form

__all__ = ["LibraryChange", "LibraryStore"]

_FIELDS = ("facet", "name", "names", "aliases", "description", "status", "merged_into")
_CHANGE_FIELDS = ("version", "kind", "tag_id", "before", "after", "who", "why", "at")


@dataclass(frozen=True)
class LibraryChange:
    """One entry of the library's history; `tag_id` is None where a facet changed."""

    version: int
    kind: str
    tag_id: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    who: str
    why: str
    at: str


class LibraryStore:
    """The stored library; its version is the number of changes it has seen."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> tuple[builtins.list[Tag], builtins.list[Facet], int]:
        """All tags, retired ones too, and facets, in the order they came in, and the version."""
        with self._database.read() as connection:
            loaded = [_tag(row) for row in connection.execute(_all_tags())]
            rows = connection.execute(sa.select(facets).order_by(facets.c.position))
            return loaded, [Facet(row.key, row.names) for row in rows], _version(connection)

    def save(
        self,
        changed: Sequence[Tag],
        changed_facets: Sequence[Facet] = (),
        *,
        kind: str = "update",
        who: str = "",
        why: str = "",
    ) -> int:
        """Add tags and facets, or change those there are; the library's new version.

        All or nothing; what is stored already makes no new version. Raises TagConflict where two
        living tags of a facet would share a name, and names both.
        """
        with self._database.write() as connection:
            history = self._save_facets(connection, changed_facets)
            before = self._stored(connection, [tag.id for tag in changed])
            saved = {tag.id: tag for tag in changed if before.get(tag.id) != _plain(tag)}
            self._save_names(connection, list(saved.values()))
            self._save_tags(connection, saved, before)
            history += [
                (tag.id, _json(before.get(tag.id)), to_json(_plain(tag))) for tag in saved.values()
            ]
            version, at = _version(connection), now()
            rows = [
                (number, kind, *entry, who, why, at)
                for number, entry in enumerate(history, version + 1)
            ]
            self._database.insert(connection, library_changes, _CHANGE_FIELDS, rows)
        return version + len(rows)

    def history(self, tag_id: str | None = None) -> builtins.list[LibraryChange]:
        """Every change, oldest first, of one tag if asked."""
        wanted = sa.select(library_changes).order_by(library_changes.c.version)
        if tag_id is not None:
            wanted = wanted.where(library_changes.c.tag_id == tag_id)
        with self._database.read() as connection:
            return [LibraryChange(**row._mapping) for row in connection.execute(wanted)]

    def _save_facets(
        self, connection: sa.Connection, changed: Sequence[Facet]
    ) -> builtins.list[tuple[Any, ...]]:
        """Store new and changed facets; their history: tag id, before, after."""
        rows = connection.execute(sa.select(facets.c.key, facets.c.names))
        before = {row.key: row.names for row in rows}
        history: builtins.list[tuple[Any, ...]] = []
        position = len(before)
        for key, names in {facet.key: dict(facet.names) for facet in changed}.items():
            if before.get(key) == names:
                continue
            if key in before:
                update = sa.update(facets).where(facets.c.key == key)
                connection.execute(update.values(names=names))
                former = to_json({"key": key, "names": before[key]})
            else:
                new = sa.insert(facets).values(key=key, position=position, names=names)
                connection.execute(new)
                position, former = position + 1, None
            history.append((None, former, to_json({"key": key, "names": names})))
        return history

    def _stored(
        self, connection: sa.Connection, tag_ids: Iterable[str]
    ) -> dict[str, dict[str, Any]]:
        wanted = _all_tags().where(self._database.among(tags.c.id, tag_ids))
        return {row.id: _plain(_tag(row)) for row in connection.execute(wanted)}

    def _save_tags(
        self, connection: sa.Connection, saved: dict[str, Tag], before: dict[str, dict[str, Any]]
    ) -> None:
        last = connection.execute(sa.select(sa.func.max(tags.c.position))).scalar()
        first = 0 if last is None else last + 1
        new = [tag for tag in saved.values() if tag.id not in before]
        at = now()
        rows = [(tag.id, position, *_values(tag), at) for position, tag in enumerate(new, first)]
        self._database.insert(connection, tags, ("id", "position", *_FIELDS, "created"), rows)
        updates = [(*_values(tag), tag.id) for tag in saved.values() if tag.id in before]
        self._database.update(connection, tags, _FIELDS, updates)

    def _save_names(self, connection: sa.Connection, saved: builtins.list[Tag]) -> None:
        """Give living tags their names, free those of retired ones; TagConflict for a clash."""
        connection.execute(
            sa.delete(tag_names).where(
                self._database.among(tag_names.c.tag_id, [tag.id for tag in saved])
            )
        )
        claims: dict[tuple[str, str], tuple[Tag, str]] = {}
        for tag in saved:
            if tag.status == "retired":
                continue
            for name in (tag.name, *tag.names.values(), *tag.aliases):
                key = (tag.facet, normal_form(name))
                owner = claims.setdefault(key, (tag, name))[0]
                if owner.id != tag.id:
                    raise _conflict(tag, name, owner.text, owner.id)
        self._refuse_taken(connection, claims)
        rows = [(*key, tag.id) for key, (tag, _) in claims.items()]
        self._database.insert(connection, tag_names, ("facet", "normal_form", "tag_id"), rows)

    def _refuse_taken(
        self, connection: sa.Connection, claims: dict[tuple[str, str], tuple[Tag, str]]
    ) -> None:
        taken = (
            sa.select(tag_names.c.facet, tag_names.c.normal_form, tags)
            .join(tags, tags.c.id == tag_names.c.tag_id)
            .where(self._database.among(tag_names.c.normal_form, {form for _, form in claims}))
        )
        for row in connection.execute(taken):
            claim = claims.get((row[0], row[1]))
            if claim is not None:
                raise _conflict(*claim, _tag(row).text, row.id)


def _conflict(tag: Tag, name: str, other: str, other_id: str) -> TagConflict:
    return TagConflict(
        f"'{tag.text}' and '{other}' (id {other_id}) would both be called '{name}' in the facet "
        f"'{tag.facet}'. Rename one, or merge them"
    )


def _all_tags() -> sa.Select[Any]:
    return sa.select(tags).order_by(tags.c.position)


def _version(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.max(library_changes.c.version))).scalar() or 0


def _tag(row: Found) -> Tag:
    return Tag(
        row.id,
        row.facet,
        row.name,
        row.names,
        tuple(row.aliases),
        row.description,
        row.status,
        row.merged_into,
    )


def _plain(tag: Tag) -> dict[str, Any]:
    return {**asdict(tag), "names": dict(tag.names), "aliases": list(tag.aliases)}


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else to_json(value)


def _values(tag: Tag) -> tuple[Any, ...]:
    return (
        tag.facet,
        tag.name,
        to_json(dict(tag.names)),
        to_json(list(tag.aliases)),
        tag.description,
        tag.status,
        tag.merged_into,
    )
