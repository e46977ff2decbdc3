"""The tag library: its tags and facets as they are, and everything that ever changed."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from tagmill.errors import LibraryError, TagConflict
from tagmill.forms import facet_conflict, name_conflict, name_forms
from tagmill.records import Facet, Tag, tag_text
from tagmill.store.changes import Change, log_changes
from tagmill.store.connection import Database, Found, now, to_json
from tagmill.store.given import GivenTags, products_having
from tagmill.store.library_names import Owned, StoredNames, names_of, streamed
from tagmill.store.library_rows import (
    FACET_FIELDS,
    TAG_FIELDS,
    Plain,
    facet_of,
    plain_facet,
    plain_tag,
    read_tags,
    select_tags,
    stored_facet,
    stored_tag,
    tag_of,
    tag_values,
)
from tagmill.store.tables import (
    facets,
    imported_rows,
    library_changes,
    library_entries,
    products,
    proposals,
    tag_names,
    tags,
)
from tagmill.text import normal_form

__all__ = ["LibraryChange", "LibraryEntry", "LibraryStore", "StoredLibrary"]

_CHANGE_FIELDS = ("version", "kind", "undoes", "who", "why", "at")
_NAME_FIELDS = ("normal_form", "facet", "tag_id")
_ENTRY_FIELDS = ("version", "entry", "tag_id", "before", "after")
# Made once: putting it together takes longer than asking it.
_TAG_OF_NAME = sa.select(tag_names.c.tag_id).where(
    tag_names.c.facet == sa.bindparam("facet"), tag_names.c.normal_form == sa.bindparam("form")
)
T = TypeVar("T")

# What the output of products depends on.
_SHOWN_FIELDS = ("facet", "name", "names", "status", "merged_into", "broader", "split_into")
_AT_ONCE = 20_000  # tags
_NAMES_AT_ONCE = 100_000  # tags whose names are all read; of more when they are asked for
_SHOWN = 5  # changes in a message

Record = tuple[str | None, Plain | None, Plain | None]  # tag id (None: a facet), before, after


class StoredLibrary(NamedTuple):
    """Tags, retired ones too, and facets, in the order they came in, and the version.

    `names` are those of the living tags, by normal form, or who tells them; None for an earlier
    version.
    """

    tags: builtins.list[Tag]
    facets: builtins.list[Facet]
    version: int
    names: dict[str, Owned] | StoredNames | None


@dataclass(frozen=True)
class LibraryEntry:
    """A tag, or where `tag_id` is None a facet, before and after; None: it was not there."""

    tag_id: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True)
class LibraryChange:
    """One change of the library, which is a version of it; `undoes` is one it took back.

    `size` counts the entries it has, `entries` may be the first of them.
    """

    version: int
    kind: str
    undoes: int | None
    who: str
    why: str
    at: str
    size: int = 0
    entries: tuple[LibraryEntry, ...] = ()


class LibraryStore:
    """The stored library; its version is the number of changes it has seen."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, version: int | None = None) -> StoredLibrary:
        """The library as it is, or as it was at a version; LibraryError where there was none."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(facets).order_by(facets.c.position, facets.c.key))
            known = [stored_facet(row) for row in rows]
            newest = _version(connection)
            if version is None or version == newest:
                present = read_tags(streamed(connection, select_tags()))
                if len(present) > _NAMES_AT_ONCE:
                    names: StoredNames | dict[str, Owned] = StoredNames(self._database, present)
                else:
                    names = names_of(connection, present)
                return StoredLibrary(present, [facet_of(one) for one in known], newest, names)
            if not 0 <= version < newest:
                raise LibraryError(
                    f"The library has no version {version}, the newest is {newest}. See: "
                    "tagmill library history"
                )
            wanted = sa.select(tags).order_by(tags.c.position, tags.c.id)
            found = [stored_tag(row) for row in connection.execute(wanted)]
            earlier = _rewound(found, known, self._entries(connection, version))
            return StoredLibrary(*earlier, version, None)

    def save(
        self,
        changed: Iterable[Tag],
        changed_facets: Sequence[Facet] = (),
        *,
        kind: str = "update",
        who: str = "",
        why: str = "",
        seen: int | None = None,
        names: Iterable[tuple[str, str, str]] | None = None,
        decides: int | None = None,
    ) -> int:
        """Add tags and facets, or change those there are; the library's new version.

        With the change goes the proposal that it `decides`: it is open again once it is undone.

        `names` are (facet, normal form, tag id) of all names of the living tags among them, where
        they are known already (`Library.forms_of`).

        All or nothing; what is stored already makes no new version. Of the kind `import` it makes
        rows of files that were imported before come again, where it changes their tags. Raises
        TagConflict where two living tags of a facet, or two facets, would share a name, and names
        both; or where after the version `seen` somebody changed one of the tags, or put it above
        one of them.
        """
        with self._database.write() as connection, self._noting(connection) as touched:
            version = _version(connection)
            records = self._facet_records(connection, changed_facets)
            if seen is not None and seen < version:
                forms = {form for _, _, after in records if after for form in _facet_forms(after)}
                self._refuse_stale_facets(connection, forms, seen)
            known = [before["key"] for _, before, _ in records if before]
            self._put_facets(connection, records)
            imports = kind == "import"
            if imports:
                self._forget_rows(connection, records)
            self._refuse_shared_names(connection, records)
            measured = _measured_otherwise(records)
            entries = len(records)
            named: builtins.list[Tag] = []
            moved: builtins.list[str] = []
            self._add_entries(connection, version + 1, 0, records)
            unique = {tag.id: tag for tag in changed}
            for chunk in _chunks(unique.values()):
                records = self._tag_records(connection, chunk)
                if seen is not None and seen < version:
                    self._refuse_stale(connection, [r[0] for r in records if r[0]], seen)
                self._free_names(connection, [r[0] for r in records if r[0] and r[1] is not None])
                self._add_entries(connection, version + 1, entries, records)
                entries += len(records)
                self._put_tags(connection, records)
                if imports:
                    self._forget_rows(connection, records)
                named += [unique[tag_id] for tag_id, _, _ in records if tag_id]
                moved += _moved(records)
                touched.update(tag_id for tag_id, *states in records if tag_id and _shows(*states))
            if not entries:
                return version
            self._take_names(connection, named, names, measured)
            if seen is not None and seen < version:
                self._refuse_stale(connection, self._circle(connection, moved), seen)
                gone = {tag.facet for tag in named} - {*self._present_facets(connection)}
                self._refuse_stale_facets(connection, {*map(normal_form, gone)}, seen)
            touched.update(self._in_facets(connection, known))
            row = (version + 1, kind, None, who, why, now())
            self._database.insert(connection, library_changes, _CHANGE_FIELDS, [row])
            if decides is not None:
                decided = sa.update(proposals).where(proposals.c.id == decides)
                connection.execute(decided.values(change=version + 1))
        return version + 1

    def imported(self) -> dict[int, str]:
        """Digest → tag id of the rows of files that would change nothing."""
        wanted = sa.select(imported_rows.c.digest, imported_rows.c.tag_id)
        with self._database.read() as connection:
            return dict(iter(streamed(connection, wanted)))

    def note_imported(self, rows: Mapping[str, int], version: int) -> None:
        """Keep the digests of rows, by tag id, that made the library this version; nothing where
        somebody has changed it since."""
        with self._database.write() as connection:
            if _version(connection) == version:
                columns = ("digest", "tag_id")
                for digests in _chunks((digest, tag_id) for tag_id, digest in rows.items()):
                    self._database.insert(connection, imported_rows, columns, digests)

    def undo(self, version: int, *, who: str = "", why: str = "") -> int:
        """Take a change back, exactly; the library's new version.

        Raises LibraryError for a change that is not there, TagConflict where later changes rest
        on it, and lists them. The tags that products got by it: see `Store.undo_change`.
        """
        with self._database.write() as connection:
            return self.undo_within(connection, version, who=who, why=why)

    def undo_within(
        self, connection: sa.Connection, version: int, *, who: str = "", why: str = ""
    ) -> int:
        """`undo` as a part of the writer's transaction."""
        with self._noting(connection) as touched:
            newest, change = self._taken_back(connection, version, who, why)
            touched.update(
                entry.tag_id
                for entry in change.entries
                if entry.tag_id and _shows(entry.before, entry.after)
            )
            keys = [_key_of(entry) for entry in change.entries if entry.tag_id is None]
            touched.update(self._in_facets(connection, keys))
        return newest

    def _taken_back(
        self, connection: sa.Connection, version: int, who: str, why: str
    ) -> tuple[int, LibraryChange]:
        """The library's version after an undo, and the change that was undone."""
        newest = _version(connection)
        change = self._change(connection, version)
        tag_ids = [entry.tag_id for entry in change.entries if entry.tag_id]
        present: dict[str, Plain] = {}
        for chunk in _chunks(tag_ids):
            present |= self._present(connection, chunk)
        known = self._present_facets(connection)
        records: builtins.list[Record] = []
        for entry in change.entries:
            if entry.tag_id is not None:
                current = present.get(entry.tag_id)
            else:
                current = known.get(_key_of(entry))
            if current != entry.after:
                raise self._depends(connection, change, tag_ids)
            records.append((entry.tag_id, current, _copied(entry.before)))
        self._refuse_needed(connection, records, change)
        of_facets = [record for record in records if record[0] is None]
        self._put_facets(connection, of_facets)
        self._refuse_shared_names(connection, of_facets)
        of_tags = [record for record in records if record[0] is not None]
        self._free_names(connection, tag_ids)
        self._put_tags(connection, of_tags)
        self._forget_rows(connection, records)
        circle = self._circle(connection, _moved(of_tags))
        if self._changes_of(connection, circle, version):
            raise self._depends(connection, change, circle)
        self._add_entries(connection, newest + 1, 0, records)
        back = [tag_of(record[2]) for record in of_tags if record[2]]
        self._take_names(connection, back, None, _measured_otherwise(records))
        row = (newest + 1, "undo", version, who, why, now())
        self._database.insert(connection, library_changes, _CHANGE_FIELDS, [row])
        return newest + 1, change

    def history(
        self, tag_id: str | None = None, *, after: int = 0, first: int | None = None
    ) -> builtins.list[LibraryChange]:
        """The changes after a version, oldest first; of one tag if asked.

        With their entries, or the `first` few of each.
        """
        wanted = sa.select(library_changes).where(library_changes.c.version > after)
        counted = (
            sa.select(library_entries.c.version, sa.func.count())
            .where(library_entries.c.version > after)
            .group_by(library_entries.c.version)
        )
        with self._database.read() as connection:
            entries: dict[int, builtins.list[LibraryEntry]] = {}
            for version, entry in self._entries(connection, after, tag_id, first):
                entries.setdefault(version, []).append(entry)
            rows = connection.execute(wanted.order_by(library_changes.c.version)).all()
            sizes = {version: size for version, size in connection.execute(counted)}
        return [
            LibraryChange(
                **row._mapping, size=sizes[row.version], entries=tuple(entries[row.version])
            )
            for row in rows
            if row.version in entries
        ]

    def latest(self) -> int:
        """The newest version; 0 for a library that never had anything."""
        with self._database.read() as connection:
            return _version(connection)

    def find(self, facet: str, name: str) -> str | None:
        """The id of the living tag of a facet (its key) that has a name, in any spelling of it."""
        (form,) = name_forms(name, None)
        found = self._database.value(_TAG_OF_NAME, {"facet": facet, "form": form})
        if found is None and any(map(str.isdigit, form)):  # a quantity, where the facet has such
            with self._database.read() as connection:
                plain = self._present_facets(connection).get(facet)
            for form in name_forms(name, facet_of(plain))[1:] if plain else ():
                found = self._database.value(_TAG_OF_NAME, {"facet": facet, "form": form})
        return None if found is None else str(found)

    @contextmanager
    def _noting(self, connection: sa.Connection) -> Iterator[set[str]]:
        """Log the products whose output what is done within may change; it says of which tags."""
        touched: set[str] = set()
        given = GivenTags(self._database, connection)
        before = dict(given.mean(given.written()))
        yield touched
        after = GivenTags(self._database, connection).mean(before)
        moved = [text for text in before if before[text] != after[text]]
        touched |= self._below(connection, touched)
        ids = {*given.products_of(moved), *products_having(self._database, connection, touched)}
        if not ids:
            return
        wanted = sa.select(products.c.id, products.c.snapshot)
        found = connection.execute(wanted.where(self._database.among(products.c.id, ids)))
        entries = [Change(row.id, row.snapshot, row.snapshot) for row in found]
        log_changes(self._database, connection, "library", entries)

    def _entries(
        self,
        connection: sa.Connection,
        after: int,
        tag_id: str | None = None,
        first: int | None = None,
    ) -> Iterator[tuple[int, LibraryEntry]]:
        """(version, entry) of the changes after a version, in order."""
        wanted = sa.select(library_entries).where(library_entries.c.version > after)
        if tag_id is not None:
            wanted = wanted.where(library_entries.c.tag_id == tag_id)
        elif first is not None:
            wanted = wanted.where(library_entries.c.entry < first)
        wanted = wanted.order_by(library_entries.c.version, library_entries.c.entry)
        for row in connection.execute(wanted):
            yield row.version, LibraryEntry(row.tag_id, row.before, row.after)

    def _change(self, connection: sa.Connection, version: int) -> LibraryChange:
        wanted = sa.select(library_changes).where(library_changes.c.version == version)
        row = connection.execute(wanted).one_or_none()
        if row is None:
            raise LibraryError(f"There is no change {version}. See: tagmill library history")
        own = library_entries.c.version == version
        listed = sa.select(library_entries).where(own).order_by(library_entries.c.entry)
        found = connection.execute(listed)
        entries = tuple(LibraryEntry(e.tag_id, e.before, e.after) for e in found)
        return LibraryChange(**row._mapping, size=len(entries), entries=entries)

    def _facet_records(
        self, connection: sa.Connection, changed: Sequence[Facet]
    ) -> builtins.list[Record]:
        before = self._present_facets(connection)
        position = max((plain["position"] for plain in before.values()), default=-1) + 1
        records: builtins.list[Record] = []
        for facet in {facet.key: facet for facet in changed}.values():
            known = before.get(facet.key)
            after = plain_facet(facet, position if known is None else known["position"])
            if after != known:
                records.append((None, known, after))
                position += known is None
        return records

    def _tag_records(
        self, connection: sa.Connection, chunk: builtins.list[Tag]
    ) -> builtins.list[Record]:
        before = self._present(connection, [tag.id for tag in chunk])
        position = _next_position(connection)
        records: builtins.list[Record] = []
        for tag in chunk:
            known = before.get(tag.id)
            after = plain_tag(tag, position if known is None else known["position"])
            if after != known:
                records.append((tag.id, known, after))
                position += known is None
        return records

    def _present(self, connection: sa.Connection, ids: Iterable[str]) -> dict[str, Plain]:
        wanted = sa.select(tags).where(self._database.among(tags.c.id, ids))
        return {row.id: stored_tag(row) for row in connection.execute(wanted)}

    def _present_facets(self, connection: sa.Connection) -> dict[str, Plain]:
        return {row.key: stored_facet(row) for row in connection.execute(sa.select(facets))}

    def _add_entries(
        self, connection: sa.Connection, version: int, first: int, records: builtins.list[Record]
    ) -> None:
        rows = [
            (version, number, tag_id, _json(before), _json(after))
            for number, (tag_id, before, after) in enumerate(records, first)
        ]
        self._database.insert(connection, library_entries, _ENTRY_FIELDS, rows)

    def _put_facets(self, connection: sa.Connection, records: builtins.list[Record]) -> None:
        for _, before, after in records:
            if after is None:
                assert before is not None
                connection.execute(sa.delete(facets).where(facets.c.key == before["key"]))
            elif before is None:
                connection.execute(sa.insert(facets).values(**after))
            else:
                changed = sa.update(facets).where(facets.c.key == after["key"])
                connection.execute(changed.values(**{k: after[k] for k in FACET_FIELDS}))

    def _put_tags(self, connection: sa.Connection, records: builtins.list[Record]) -> None:
        at = now()
        new, updates, gone = [], [], []
        for tag_id, before, after in records:
            if after is None:
                gone.append(str(tag_id))
            elif before is None:
                new.append((tag_id, after["position"], *tag_values(after), at))
            else:
                updates.append((*tag_values(after), tag_id))
        self._database.insert(connection, tags, ("id", "position", *TAG_FIELDS, "created"), new)
        self._database.update(connection, tags, TAG_FIELDS, updates)
        connection.execute(sa.delete(tags).where(self._database.among(tags.c.id, gone)))

    def _forget_rows(self, connection: sa.Connection, records: builtins.list[Record]) -> None:
        """Look again at rows that were imported before the tags, or any facet, that an import or an
        undo changes. What people change does not: a row that is as it was says nothing new."""
        if any(tag_id is None for tag_id, _, _ in records):  # rows of tags say how their facet is
            connection.execute(sa.delete(imported_rows))
        known = [tag_id for tag_id, was, _ in records if tag_id and was is not None]
        if known:
            own = self._database.among(imported_rows.c.tag_id, known)
            connection.execute(sa.delete(imported_rows).where(own))

    def _free_names(self, connection: sa.Connection, tag_ids: builtins.list[str]) -> None:
        if tag_ids:
            owned = self._database.among(tag_names.c.tag_id, tag_ids)
            connection.execute(sa.delete(tag_names).where(owned))

    def _take_names(
        self,
        connection: sa.Connection,
        changed: builtins.list[Tag],
        names: Iterable[tuple[str, str, str]] | None = None,
        measured: Set[str] = frozenset(),
    ) -> None:
        """Give the living of these tags their names (facet, form, tag id), worked out if need be,
        and all tags of the facets that are `measured` otherwise than before; TagConflict for a
        clash."""
        known = {key: facet_of(one) for key, one in self._present_facets(connection).items()}
        living = [tag for tag in changed if tag.status != "retired"]
        ids = {tag.id for tag in living}
        rows = _claimed(living, known) if names is None else (r for r in names if r[2] in ids)
        if measured:
            within = sa.select(tags).where(self._database.among(tags.c.facet, measured))
            own = [tag_of(stored_tag(row)) for row in connection.execute(within)]
            others = [tag for tag in own if tag.id not in ids and tag.status != "retired"]
            self._free_names(connection, [tag.id for tag in others])
            rows, living = chain(rows, _claimed(others, known)), living + others
        taking = connection.begin_nested()
        try:
            for chunk in _chunks((form, facet, tag_id) for facet, form, tag_id in rows):
                self._database.insert(connection, tag_names, _NAME_FIELDS, sorted(chunk))
        except Exception:  # of either driver: most probably a name is taken
            taking.rollback()
            self._refuse_clashes(connection, living, known)
            raise
        taking.commit()

    def _refuse_clashes(
        self, connection: sa.Connection, living: builtins.list[Tag], known: Mapping[str, Facet]
    ) -> None:
        """TagConflict where a name of these tags is that of another, of them or stored."""
        claims: dict[tuple[str, str], tuple[Tag, str]] = {}
        for tag in living:
            for name in (tag.name, *tag.names.values(), *tag.aliases):
                for form in name_forms(name, known.get(tag.facet)):
                    owner = claims.setdefault((tag.facet, form), (tag, name))[0]
                    if owner.id != tag.id:
                        raise name_conflict(tag, name, form, owner.text, owner.id)
        self._refuse_taken(connection, claims)

    def _refuse_taken(
        self, connection: sa.Connection, claims: dict[tuple[str, str], tuple[Tag, str]]
    ) -> None:
        taken = (
            sa.select(tag_names.c.facet, tag_names.c.normal_form, tags.c.id, tags.c.name)
            .join(tags, tags.c.id == tag_names.c.tag_id)
            .where(self._database.among(tag_names.c.normal_form, {form for _, form in claims}))
        )
        for facet, form, tag_id, name in connection.execute(taken):
            claim = claims.get((facet, form))
            if claim is not None:
                raise name_conflict(*claim, form, tag_text(facet, name), tag_id)

    def _refuse_stale(
        self, connection: sa.Connection, tag_ids: builtins.list[str], seen: int
    ) -> None:
        later = self._changes_of(connection, tag_ids, seen)
        if later:
            raise TagConflict(
                f"The library changed since you read it (version {seen}): {_listed(later)}. Look "
                "at what it is now, and make your change again"
            )

    def _refuse_stale_facets(self, connection: sa.Connection, forms: Set[str], seen: int) -> None:
        for version, entry in self._entries(connection, seen) if forms else ():
            plain = entry.after or entry.before
            if entry.tag_id is None and plain and not forms.isdisjoint(_facet_forms(plain)):
                raise TagConflict(
                    f"The facet '{_key_of(entry)}' changed since you read it (version {seen}), by "
                    f"change {version}. Look at what it is now, and make your change again"
                )

    def _refuse_shared_names(
        self, connection: sa.Connection, records: builtins.list[Record]
    ) -> None:
        """TagConflict where a facet of these records has a name of another."""
        changed = {after["key"] for _, _, after in records if after}
        owners: dict[str, str] = {}
        present = self._present_facets(connection) if changed else {}
        for key in sorted(present, key=lambda one: one in changed):
            for form, name in _facet_forms(present[key]).items():
                owner = owners.setdefault(form, key)
                if owner != key and key in changed:
                    raise facet_conflict(owner, key, name)

    def _broader(self, connection: sa.Connection) -> dict[str, builtins.list[str]]:
        """The ids of the tags directly above each tag that has such."""
        wanted = sa.select(tags.c.id, tags.c.broader)
        rows = connection.execute(wanted.where(sa.cast(tags.c.broader, sa.Text) != "[]"))
        return {tag_id: broader for tag_id, broader in rows}

    def _circle(self, connection: sa.Connection, tag_ids: builtins.list[str]) -> builtins.list[str]:
        """The ids of all tags above the first of these that lies below itself; [] if none does."""
        above = self._broader(connection) if tag_ids else {}
        for tag_id in tag_ids:
            found: set[str] = set()
            waiting = [tag_id]
            while waiting:
                wider = [one for one in above.get(waiting.pop(), ()) if one not in found]
                found.update(wider)
                waiting += wider
            if tag_id in found:
                return sorted(found)
        return []

    def _below(self, connection: sa.Connection, tag_ids: set[str]) -> set[str]:
        """The ids of all tags below these: what they imply may be another."""
        if not tag_ids:
            return set()
        children: dict[str, builtins.list[str]] = {}
        for tag_id, broader in self._broader(connection).items():
            for wider in broader:
                children.setdefault(wider, []).append(tag_id)
        found: set[str] = set()
        waiting = list(tag_ids)
        while waiting:
            below = [one for one in children.get(waiting.pop(), ()) if one not in found]
            found.update(below)
            waiting += below
        return found

    def _in_facets(self, connection: sa.Connection, keys: builtins.list[str]) -> builtins.list[str]:
        """The ids of the tags of facets."""
        if not keys:
            return []
        wanted = sa.select(tags.c.id).where(self._database.among(tags.c.facet, keys))
        return list(connection.execute(wanted).scalars())

    def _depends(
        self, connection: sa.Connection, change: LibraryChange, tag_ids: builtins.list[str]
    ) -> TagConflict:
        undone = sa.select(library_changes).where(library_changes.c.undoes == change.version)
        newest = connection.execute(undone.order_by(library_changes.c.version.desc())).first()
        later = self._changes_of(connection, tag_ids, change.version)
        if newest is not None and {row.version for row in later} <= {newest.version}:
            return TagConflict(
                f"Change {change.version} was undone already, by change {newest.version}. To have "
                f"it back: tagmill library undo {newest.version}"
            )
        return TagConflict(
            f"Change {change.version} cannot be undone: later changes rest on it: "
            f"{_listed(later) or 'of its facet'}. Undo the newest of them first"
        )

    def _refuse_needed(
        self, connection: sa.Connection, records: builtins.list[Record], change: LibraryChange
    ) -> None:
        """TagConflict where other tags or facets point to what would no longer be there."""
        gone = {tag_id for tag_id, _, after in records if tag_id and after is None}
        if gone:
            changed = {tag_id for tag_id, _, _ in records}
            related = sa.or_(
                self._database.among(tags.c.merged_into, gone),
                sa.cast(tags.c.broader, sa.Text) != "[]",
            )
            for row in connection.execute(sa.select(tags).where(related)):
                if row.id not in changed and gone & {row.merged_into, *row.broader}:
                    raise self._depends(connection, change, [*gone, row.id])
            for facet in self._present_facets(connection).values():
                if gone & {*facet["only_for"]}:
                    raise TagConflict(
                        f"Change {change.version} cannot be undone: the facet '{facet['key']}' is "
                        "only for a tag that it made. Free the facet first: tagmill library facet "
                        f"'{facet['key']}' --only-for ''"
                    )
        self._refuse_without_facet(connection, records, change)
        lost = {b["key"] for tag_id, b, after in records if tag_id is None and b and after is None}
        leaving = {i for i, _, after in records if i and (not after or after["facet"] not in lost)}
        for key in lost:
            inside = sa.select(tags.c.id).where(tags.c.facet == key)
            others = set(connection.execute(inside).scalars()) - leaving
            if others:
                raise self._depends(connection, change, sorted(others))

    def _refuse_without_facet(
        self, connection: sa.Connection, records: builtins.list[Record], change: LibraryChange
    ) -> None:
        """TagConflict where tags would come back whose facet was taken out since."""
        there = {*self._present_facets(connection)}
        there |= {after["key"] for tag_id, _, after in records if tag_id is None and after}
        back = {after["facet"] for tag_id, _, after in records if tag_id and after} - there
        if not back:
            return
        entries, changes = library_entries.c, library_changes.c
        wanted = (
            sa.select(entries.before, *library_changes.c)
            .join(library_changes, changes.version == entries.version)
            .where(entries.version > change.version, entries.tag_id.is_(None))
        )
        found = connection.execute(wanted.order_by(changes.version.desc()))
        later = [row for row in found if row.before and row.before["key"] in back]
        if later:
            raise TagConflict(
                f"Change {change.version} cannot be undone: the facet of its tags was taken out "
                f"since, by {_listed(later)}. Undo the newest of them first"
            )

    def _changes_of(
        self, connection: sa.Connection, tag_ids: builtins.list[str], after: int
    ) -> builtins.list[Found]:
        """The changes after a version that touched any of the tags, newest first."""
        touched = sa.select(library_entries.c.version).where(
            library_entries.c.version > after,
            self._database.among(library_entries.c.tag_id, tag_ids),
        )
        wanted = sa.select(library_changes).where(library_changes.c.version.in_(touched))
        return list(connection.execute(wanted.order_by(library_changes.c.version.desc())).all())


def _shows(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Whether products that have a tag show the difference between two states of it."""
    return before is not None and (
        after is None or any(before[name] != after[name] for name in _SHOWN_FIELDS)
    )


def _claimed(tags_: Iterable[Tag], known: Mapping[str, Facet]) -> Iterator[tuple[str, str, str]]:
    """(facet, form, tag id) of every name of tags, none twice."""
    for tag in tags_:
        names = (tag.name, *tag.names.values(), *tag.aliases)
        for form in {form for name in names for form in name_forms(name, known.get(tag.facet))}:
            yield tag.facet, form, tag.id


def _moved(records: Iterable[Record]) -> builtins.list[str]:
    """The tags that lie below others than before."""
    return [
        tag_id
        for tag_id, before, after in records
        if tag_id and after and after["broader"] != (before or {}).get("broader", [])
    ]


def _facet_forms(plain: Mapping[str, Any]) -> dict[str, str]:
    """Form → name of a facet, in all languages."""
    return {normal_form(name): name for name in (plain["key"], *plain["names"].values()) if name}


def _measured_otherwise(records: Iterable[Record]) -> set[str]:
    """The facets whose names were text and are quantities now, or the other way, or in a unit."""
    return {
        after["key"]
        for tag_id, before, after in records
        if tag_id is None and before and after
        and any(before[name] != after[name] for name in ("value_kind", "unit"))
    }  # fmt: skip


def _chunks(values: Iterable[T]) -> Iterator[builtins.list[T]]:
    rest = iter(values)
    while chunk := list(islice(rest, _AT_ONCE)):
        yield chunk


def _listed(rows: Sequence[Found]) -> str:
    shown = [
        f"change {row.version} ({row.kind}{f' by {row.who}' if row.who else ''}, {row.at})"
        for row in rows[:_SHOWN]
    ]
    return ", ".join(shown) + (f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")


def _rewound(
    found: builtins.list[Plain],
    known: builtins.list[Plain],
    entries: Iterable[tuple[int, LibraryEntry]],
) -> tuple[builtins.list[Tag], builtins.list[Facet]]:
    """Tags and facets before these entries."""
    plain = {entry["id"]: entry for entry in found}
    plain_facets = {entry["key"]: entry for entry in known}
    for _, entry in reversed(list(entries)):
        kept, key = (plain, entry.tag_id) if entry.tag_id else (plain_facets, _key_of(entry))
        if entry.before is None:
            kept.pop(str(key), None)
        else:
            kept[str(key)] = dict(entry.before)
    in_order = sorted(plain.values(), key=lambda one: (one["position"], one["id"]))
    facets_in_order = sorted(plain_facets.values(), key=lambda one: (one["position"], one["key"]))
    return [tag_of(one) for one in in_order], [facet_of(one) for one in facets_in_order]


def _version(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.max(library_changes.c.version))).scalar() or 0


def _next_position(connection: sa.Connection) -> int:
    last = connection.execute(sa.select(sa.func.max(tags.c.position))).scalar()
    return 0 if last is None else int(last) + 1


def _key_of(entry: LibraryEntry) -> str:
    plain = entry.after or entry.before
    assert plain is not None
    return str(plain["key"])


def _copied(plain: Mapping[str, Any] | None) -> Plain | None:
    return None if plain is None else dict(plain)


def _json(value: Plain | None) -> str | None:
    return None if value is None else to_json(value)
