"""Tags and facets of elsewhere into a library, whatever format they came in.

A tag is met again by its id, by what it is called elsewhere (`matches`), or by `facet:name`. What
was merged stays so: its names go to the tag that took its place; what was retired stays retired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag, tag_id

__all__ = ["Imported", "import_tags"]

_SOME = 2_000  # tags whose names are looked up at once


@dataclass
class Imported:
    """What came of an import: the tags that it added or changed, those it left retired, and how
    often something had to give way, by kind: `renamed`, `name_taken` …

    `places` are the ids of the library by those of the file; `rows` the digests of rows, by tag
    id, that would change nothing if they came again.
    """

    changed: list[Tag] = field(default_factory=list)
    retired: list[Tag] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


def import_tags(
    library: Library, tags: Iterable[Tag], facets: Iterable[Facet], *, give_way: bool = False
) -> Imported:
    """Add tags and facets to a library, or change those it has.

    Names, aliases, matches and description are added to what a tag has; a name given with the
    id renames it. Raises TagConflict where two tags would share a name, unless with `give_way`:
    then the later one is renamed, or does without that name; UnknownTag for a broader tag that is
    none.
    """
    keys = {facet.key: _add_facet(library, facet, give_way) for facet in facets}
    by_match = {match: tag.id for tag in library.tags.values() for match in tag.matches}
    report = Imported()
    changed: dict[str, None] = {}
    places = report.places
    referring: list[Tag] = []
    for tag in _expected(library, tags):
        known = keys.get(tag.facet) or library.facet_named(tag.facet)
        if known is not None and known.key != tag.facet:
            tag = replace(tag, facet=known.key)
        before = _before(library, tag, by_match)
        if before is not None and before.status == "retired" and tag.status != "retired":
            target = library.by_id(before.id)
            places[tag.id] = before.id
            if target is None or target.status == "retired":
                report.retired.append(before)
                continue
            before = target
        if give_way and tag.status != "retired":  # a retired tag's names are anybody's
            tag = _yielding(library, tag, before, report.notes)
        after = library.put(tag) if before is None else _combine(library, before, tag)
        if after is not before:
            changed[after.id] = None
        places[tag.id] = after.id
        if tag.broader or tag.split_into:
            referring.append(tag)
    changed |= dict.fromkeys(_refer(library, referring, places))
    report.changed = [library.tags[identifier] for identifier in changed]
    return report


def _expected(library: Library, tags: Iterable[Tag]) -> Iterator[Tag]:
    """The same tags; the library looks up their names some at a time."""
    rest = iter(tags)
    while some := list(islice(rest, _SOME)):
        library.expect(some)
        yield from some


def _refer(library: Library, tags: Iterable[Tag], places: dict[str, str]) -> list[str]:
    """Set what tags of a file, and all facets, point to; the ids of the tags it changes."""
    changed = []
    for tag in tags:
        after = library.tags[places[tag.id]]
        broader = _resolved(library, tag.broader, places) or list(after.broader)
        split_into = _resolved(library, tag.split_into, places) or list(after.split_into)
        if (tuple(broader), tuple(split_into)) != (after.broader, after.split_into):
            library.update(after, broader=broader, split_into=split_into)
            changed.append(after.id)
    for facet in list(library.facets.values()):
        if facet.only_for:
            only_for = _resolved(library, facet.only_for, places)
            library.add_facet(replace(facet, only_for=tuple(only_for)))
    return changed


def _add_facet(library: Library, facet: Facet, give_way: bool) -> Facet:
    """The facet in the library: a new one, or the one of its key or a name, with what is new."""
    known = library.facets.get(facet.key) or library.facet_named(facet.key)
    if give_way:  # without the names of other facets
        owners = {name: library.facet_named(name) for name in facet.names.values()}
        free = {c: n for c, n in facet.names.items() if owners[n] is None or owners[n] == known}
        facet = replace(facet, names=free)
    if known is None:
        return library.add_facet(facet)
    names = {**facet.names, **known.names} if known.key != facet.key else facet.names
    return library.add_facet(
        replace(
            known,
            names={**known.names, **names},
            single=facet.single or known.single,
            only_for=facet.only_for or known.only_for,
            value_kind=facet.value_kind if facet.value_kind != "text" else known.value_kind,
            unit=facet.unit or known.unit,
            matches=tuple(dict.fromkeys((*known.matches, *facet.matches))),
        )
    )


def _before(library: Library, tag: Tag, by_match: dict[str, str]) -> Tag | None:
    """The tag of the library that a file's tag is."""
    matched = next((by_match[match] for match in tag.matches if match in by_match), None)
    known = library.tags.get(tag.id) or library.tags.get(matched or "")
    if known is not None or tag.status == "retired":  # a former name may be another's by now
        return known
    named = library.find(tag.text)
    sources = {_source(match) for match in tag.matches}
    if named is not None and any(_source(match) in sources for match in named.matches):
        return None  # that vocabulary tells the two apart
    return named


def _source(match: str) -> str:
    return match.rpartition("/")[0] or match.partition(":")[0]


def _yielding(library: Library, tag: Tag, before: Tag | None, notes: Counter[str]) -> Tag:
    """A tag without the names that other tags of its facet have."""
    own = None if before is None else before.id

    def is_free(name: str) -> bool:
        owner = library.owner(tag.facet, name)
        return owner is None or owner == own

    name = tag.name
    if not is_free(name):
        mark = (tag.matches[0] if tag.matches else tag.id).rpartition("/")[2]
        name = f"{name} ({mark})"
        notes["renamed"] += 1
    names = {language: text for language, text in tag.names.items() if is_free(text)}
    aliases = tuple(alias for alias in tag.aliases if is_free(alias))
    taken = len(tag.names) - len(names) + len(tag.aliases) - len(aliases)
    notes.update({"name_taken": taken} if taken else {})
    return replace(tag, name=name, names=names, aliases=aliases)


def _combine(library: Library, before: Tag, tag: Tag) -> Tag:
    """A tag of the library with what a file adds to it; the very same where it adds nothing.

    An id that is only made of the name, as where a file has none, does not take a rename back.
    """
    names = {**before.names, **tag.names}
    by_id = before.id == tag.id and tag.id != tag_id(tag.facet, tag.name)
    if not by_id and library.form(tag.name) in map(library.form, library.names_of(before)):
        tag = replace(tag, name=before.name)
    if (
        (tag.name, tag.status) == (before.name, before.status)
        and names == before.names
        and {*tag.aliases} <= {*before.aliases}
        and (tag.merged_into, tag.description or before.description)
        == (before.merged_into, before.description)
        and {*tag.matches} <= {*before.matches}
    ):
        return before
    known = {library.form(name) for name in (*library.names_of(before), *names.values())}
    written = tag.aliases if by_id else (tag.name, *tag.aliases)
    new = [alias for alias in written if library.form(alias) not in known]
    return library.update(
        before,
        name=tag.name if by_id else before.name,
        names=names,
        aliases=(*before.aliases, *new),
        description=tag.description or before.description,
        status=tag.status,
        merged_into=tag.merged_into,
        matches=dict.fromkeys((*before.matches, *tag.matches)),
    )


def _resolved(library: Library, references: Iterable[str], places: dict[str, str]) -> list[str]:
    """The ids of tags given by id, in the file or the library, or as written."""
    return [
        places.get(text) or (text if text in library.tags else library.resolve(text).id)
        for text in dict.fromkeys(references)
    ]
