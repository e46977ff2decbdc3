"""Tags and facets of elsewhere into a library, whatever format they came in.

A tag is met again by its id, by what it is called elsewhere (`matches`), or by `facet:name`. What
was merged stays so: its names go to the tag that took its place, as aliases; what was retired stays
retired. No name is lost: one that another replaces becomes an alias, where no other tag takes it.
The order of the tags is of no account: who has a name in the end is looked at when all are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from tagmill.errors import LibraryError, TagConflict, UnknownTag
from tagmill.library.changes import facet_names
from tagmill.library.names import without_colon
from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag, tag_id

__all__ = ["Imported", "import_tags", "name_mark"]

_SOME = 2_000  # tags whose names are looked up at once
_SHOWN = 5  # refused tags in a message


@dataclass
class Imported:
    """What came of an import: the tags that it added or changed, those it left retired, and how
    often something had to give way, by kind: `renamed`, `name_taken` …

    `places` are the ids of the library by those of the file; `rows` the digests of rows, by tag
    id, that would change nothing if they came again; those of tags that are `incomplete` (ids of
    the file) would.
    """

    changed: list[Tag] = field(default_factory=list)
    retired: list[Tag] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)
    incomplete: set[str] = field(default_factory=set)
    rows: dict[str, int] = field(default_factory=dict)


def import_tags(
    library: Library,
    tags: Iterable[Tag],
    facets: Iterable[Facet],
    *,
    give_way: bool = False,
    passed_over: Collection[str] = (),
    place: Callable[[str], str] = "id {}".format,
    says: Collection[str] = (),
) -> Imported:
    """Add tags and facets to a library, or change those it has.

    Names, aliases, matches and description are added to what a tag has; a name given with the
    id renames it. `passed_over` are the ids of tags that the file has too, with nothing new; it
    may fill while the tags are read. Raises TagConflict where two tags would share a name, and
    LibraryError for tags that point to none, or to themselves, by `broader`, `merged_into` or
    `split_into`: it says where each is found by `place(id)`. With `give_way` nothing is raised: the
    later one is renamed, or does without that name, and such pointers are left out. `says` are the
    fields that the file has: where it says another `facet` with an id, or nothing where the tag has
    something, that is noted, as an import does not change it.
    """
    work = _Import(library, facets, give_way, passed_over, says)
    late = [tag for tag in _expected(library, tags) if not work.take(tag)]
    for tag in late:
        work.give_up(tag)
    for tag in late:
        work.take(tag, last=True)
    work.refer()
    work.raise_refused(place)
    work.keep_names()
    return work.report()


class _Import:
    """An import at work: what was taken so far, and what waits for the last tag."""

    def __init__(
        self,
        library: Library,
        facets: Iterable[Facet],
        give_way: bool,
        passed_over: Collection[str],
        says: Collection[str],
    ) -> None:
        self._library, self._give_way, self._passed_over = library, give_way, passed_over
        self._says = says
        self._keys = {facet.key: _add_facet(library, facet, give_way) for facet in facets}
        self._by_match = _by_match(library)
        self._report = Imported()
        self._changed: dict[str, None] = {}
        self._referring: list[Tag] = []
        self._left: list[tuple[str, Iterable[str]]] = []  # tag id, names it should keep if it can
        self._refused: list[tuple[str, str]] = []  # id in the file, why
        self._waiting: set[str] = set()  # ids in the file of tags that are taken last

    def take(self, tag: Tag, *, last: bool = False) -> bool:
        """Put a tag into the library; False where that hangs on those that are still to come."""
        try:
            taken = self._take(tag, last)
        except TagConflict:
            raise
        except LibraryError as error:  # what cannot be a name
            self._refuse(tag, "unreadable", str(error))
            return True
        if not taken:
            self._waiting.add(tag.id)
        return taken

    def _take(self, tag: Tag, last: bool) -> bool:
        own = self._in_its_facet(tag)
        before = self._before(tag, own, last)
        if before is _UNSURE:
            return False
        if before is not None and before.status == "retired" and tag.status != "retired":
            self._take_former(own, before)
            return True
        after = self._after(tag, own, before)
        if after is not before:
            try:
                self._library.put(after)
            except TagConflict:
                if not last:
                    return False
                if not self._give_way:
                    raise
                after = _yielding(self._library, after, own, self._report.notes)
                self._library.put(after)
            if after != before:
                self._note_change(before, after)
        if before is not None and before.id == tag.id:
            self._note_kept(own, before, after)
        self._report.places[tag.id] = after.id
        if _points(own):
            self._referring.append(own)
        return True

    def _after(self, tag: Tag, own: Tag, before: Tag | None) -> Tag:
        """The tag as it will be but for what it points to; the very same where nothing is new."""
        if before is not None:
            return _combined(self._library, before, own, _is_minted(tag))
        return replace(own, broader=(), merged_into=None, split_into=()) if _points(own) else own

    def give_up(self, tag: Tag) -> None:
        """Free the names that a tag will have no more."""
        own = self._in_its_facet(tag)
        before = self._before(tag, own, last=True)
        if before is not None and before.status != "retired":
            self._library.give_up(self._after(tag, own, before))

    def refer(self) -> None:
        """Set what tags of the file, and all facets, point to; what is none, or the tag itself, is
        refused."""
        for tag in self._referring:
            self._point(tag)
        for tag in self._referring:
            self._refuse_loops(tag)
        for facet in list(self._library.facets.values()):
            found = [self._resolved(text) for text in facet.only_for]
            if None in found and not self._give_way:
                self._library.resolve(facet.only_for[found.index(None)])
            only_for = tuple(dict.fromkeys(one for one in found if one is not None))
            if len(only_for) < len(found):
                self._report.notes["unknown_references"] += found.count(None)
            self._library.add_facet(replace(facet, only_for=only_for))

    def raise_refused(self, place: Callable[[str], str]) -> None:
        """LibraryError for what was refused."""
        if self._refused:
            shown = "; ".join(f"{place(i)}: {why}" for i, why in self._refused[:_SHOWN])
            more = len(self._refused) - _SHOWN
            rest = f"; and {more} more" if more > 0 else ""
            raise LibraryError(f"{shown}{rest}. Nothing was imported")

    def keep_names(self) -> None:
        """Give tags the names as aliases that they had, or that were merged into them, and that
        nobody has taken."""
        for identifier, names in self._left:
            tag = self._library.tags[identifier]
            free: dict[str, str] = {}
            for name in names:
                if self._library.owner(tag.facet, name) is None:
                    free.setdefault(self._library.form(name), name)
            if free:
                self._library.put(replace(tag, aliases=(*tag.aliases, *free.values())))
                self._changed[tag.id] = None

    def report(self) -> Imported:
        self._report.notes = +self._report.notes  # without those that are 0
        self._report.changed = [self._library.tags[identifier] for identifier in self._changed]
        return self._report

    def _point(self, tag: Tag) -> None:
        """Set what a tag of the file points to."""
        before = self._library.tags[self._report.places[tag.id]]
        into = () if tag.merged_into is None else (tag.merged_into,)
        merged_into = self._known(tag, "merged_into", into)
        after = replace(
            before,
            broader=self._known(tag, "broader", tag.broader) or before.broader,
            split_into=self._known(tag, "split_into", tag.split_into) or before.split_into,
            merged_into=merged_into[0] if merged_into else before.merged_into,
        )
        if after != before:
            self._library.put(after)
            self._changed[after.id] = None

    def _known(self, tag: Tag, field_: str, references: Iterable[str]) -> tuple[str, ...]:
        """The ids of the tags that a field of a tag of the file names; others are refused."""
        found: dict[str, None] = {}
        for text in references:
            identifier = self._resolved(text)
            if identifier is not None:
                found[identifier] = None
                continue
            told = self._give_way or len(self._refused) >= _SHOWN
            error = UnknownTag(text, () if told else self._library.nearest(text))
            self._refuse(tag, "unknown_references", f"{field_}: {error}")
        return tuple(found)

    def _refuse_loops(self, tag: Tag) -> None:
        """Refuse that a tag is below itself, or merged into itself, also by others between."""
        library = self._library
        after = library.tags[self._report.places[tag.id]]
        target = library.by_id(after.id)
        if after.merged_into and (target is None or target.merged_into):
            into = library.tags[after.merged_into]
            self._refuse(tag, "loops", f"'{after.text}' is merged into itself by '{into.text}'")
            after = library.put(replace(after, merged_into=None))
        for wider in map(library.by_id, after.broader):
            if wider is not None and (wider.id == after.id or after.id in library.ancestors(wider)):
                why = f"'{after.text}' is below '{wider.text}', which is below it or the same"
                self._refuse(tag, "loops", why)
                broader = tuple(one for one in after.broader if library.by_id(one) != wider)
                after = library.put(replace(after, broader=broader))

    def _refuse(self, tag: Tag, kind: str, why: str) -> None:
        if self._give_way:
            self._report.notes[kind] += 1
            self._report.incomplete.add(tag.id)
        else:
            self._refused.append((tag.id, why))

    def _resolved(self, text: str) -> str | None:
        """The id of a tag given by id, in the file or the library, or as written."""
        if text in self._report.places:
            return self._report.places[text]
        tag = self._library.tags.get(text) or self._library.find(text)
        return None if tag is None else tag.id

    def _in_its_facet(self, tag: Tag) -> Tag:
        known = self._keys.get(tag.facet) or self._library.facet_named(tag.facet)
        return tag if known is None or known.key == tag.facet else replace(tag, facet=known.key)

    def _before(self, tag: Tag, own: Tag, last: bool) -> Tag | None:
        """The tag of the library that a file's tag is, `own` in the library's facet; `_UNSURE`
        where the rest may tell."""
        library = self._library
        matched = next((self._by_match[m] for m in tag.matches if m in self._by_match), None)
        known = library.tags.get(tag.id) or library.tags.get(matched or "")
        if known is not None or tag.status == "retired":  # a former name may be another's by now
            return known
        named = library.find(own.text)
        sources = {_source(match) for match in tag.matches}
        if named is None or any(_source(match) in sources for match in named.matches):
            return None  # that vocabulary tells the two apart
        if not _is_minted(tag):  # as a file does that has both their ids
            if any(
                named.id in ids for ids in (self._report.places, self._passed_over, self._waiting)
            ):
                return None
            return named if last else _UNSURE
        return named

    def _take_former(self, tag: Tag, before: Tag) -> None:
        """A tag that is retired here: if it was merged, its names are aliases of its successor."""
        target = self._library.by_id(before.id)
        if target is None or target.status == "retired":
            self._report.places[tag.id] = before.id
            self._report.retired.append(before)
            return
        self._report.places[tag.id] = target.id
        self._left.append((target.id, self._library.names_of(tag)))
        matches = tuple(dict.fromkeys((*target.matches, *tag.matches)))
        if matches != target.matches:
            self._library.put(replace(target, matches=matches))
            self._changed[target.id] = None

    def _note_kept(self, read: Tag, before: Tag, after: Tag) -> None:
        """Count what a row says otherwise than its tag, in vain."""
        if "facet" in self._says and read.facet != before.facet:
            self._report.notes["facet_kept"] += 1
        if after == before:  # else it said something else
            gone = {*before.aliases} - {*read.aliases, read.name, *read.names.values()}
            left_out = {
                "aliases": gone,
                "description": before.description and not read.description,
                "broader": before.broader and not read.broader,
            }
            kept = any(left_out[name] for name in left_out if name in self._says)
            self._report.notes["not_taken_away"] += kept

    def _note_change(self, before: Tag | None, after: Tag) -> None:
        self._changed[after.id] = None
        former = [] if before is None else self._library.names_of(before)
        lost = {*former} - {*self._library.names_of(after)}
        if lost:
            self._left.append((after.id, [name for name in former if name in lost]))


_UNSURE = Tag("", "", "")


def _points(tag: Tag) -> bool:
    return bool(tag.broader or tag.merged_into or tag.split_into)


def _expected(library: Library, tags: Iterable[Tag]) -> Iterator[Tag]:
    """The same tags; the library looks up their names some at a time."""
    rest = iter(tags)
    while some := list(islice(rest, _SOME)):
        library.expect(some)
        yield from some


def _by_match(library: Library) -> dict[str, str]:
    """Match → id of the tag that has it; a merged one before its successor, which has it too."""
    matched = [tag for tag in library.tags.values() if tag.matches]
    matched.sort(key=lambda tag: (tag.merged_into is not None, tag.status != "retired"))
    return {match: tag.id for tag in matched for match in tag.matches}


def _add_facet(library: Library, facet: Facet, give_way: bool) -> Facet:
    """The facet in the library: a new one, or the one of its key or a name, with what is new."""
    known = library.facets.get(facet.key) or library.facet_named(without_colon(facet.key))
    if give_way:  # without colons, and the names of other facets
        plain = {code: without_colon(name) for code, name in facet.names.items()}
        facet = replace(facet, key=without_colon(facet.key), names=plain)
        owners = {name: library.facet_named(name) for name in facet.names.values()}
        free = {c: n for c, n in facet.names.items() if owners[n] is None or owners[n] == known}
        facet = replace(facet, names=free)
    if known is None:
        return library.add_facet(facet)
    new = {c: n for c, n in facet.names.items() if not _is_former(known, c, n)}
    names = {**new, **known.names} if known.key != facet.key else new
    return library.add_facet(
        replace(
            known,
            names=facet_names(known, names),
            single=facet.single or known.single,
            only_for=facet.only_for or known.only_for,
            value_kind=facet.value_kind if facet.value_kind != "text" else known.value_kind,
            unit=facet.unit or known.unit,
            matches=tuple(dict.fromkeys((*known.matches, *facet.matches))),
        )
    )


def _is_former(facet: Facet, code: str, name: str) -> bool:
    """Whether a facet was called so in a language, before somebody gave it another name."""
    return any(
        known == name and other.startswith(f"{code}-x-former")
        for other, known in facet.names.items()
    )


def _is_minted(tag: Tag) -> bool:
    """Whether a file's tag has an id that is only made of its name (and match), as where the file
    has none: nobody says by it that a tag is called so now, or is another one."""
    ours = (tag.name, *(f"{tag.name}#{match}" for match in tag.matches))
    return any(tag.id == tag_id(tag.facet, name) for name in ours)


def _source(match: str) -> str:
    return match.rpartition("/")[0] or match.partition(":")[0]


def name_mark(address: str) -> str:
    """What an import puts behind a name that another tag has: the last part of an id or match."""
    return f" ({address.rpartition('/')[2]})"


def _yielding(library: Library, tag: Tag, read: Tag, notes: Counter[str]) -> Tag:
    """A tag, as it was `read` and combined, with marked names where other tags of its facet have
    them, and without such aliases."""

    def is_free(name: str) -> bool:
        return library.owner(tag.facet, name) in (None, tag.id)

    mark = name_mark(read.matches[0] if read.matches else read.id)
    taken = {name for name in library.names_of(tag) if not is_free(name)}
    names = {code: f"{n}{mark}" if n in taken else n for code, n in tag.names.items()}
    after = replace(
        tag,
        name=f"{tag.name}{mark}" if tag.name in taken else tag.name,
        names=names,
        aliases=tuple(alias for alias in tag.aliases if alias not in taken),
    )
    notes["renamed"] += (after.name, after.names) != (tag.name, tag.names)
    notes["name_taken"] += len(tag.aliases) - len(after.aliases)
    return after


def _combined(library: Library, before: Tag, tag: Tag, minted: bool) -> Tag:
    """A tag of the library with what a file adds to it; the very same where it adds nothing.

    A minted id does not take a rename back, of the name and of names in languages that went along.
    """
    renames = before.id == tag.id and not minted
    former = set() if renames else set(map(library.form, before.aliases))
    given = {
        code: text
        for code, text in tag.names.items()
        if before.names.get(code) != before.name or library.form(text) not in former
    }
    name, names = tag.name if renames else before.name, {**before.names, **given}
    known = {library.form(one) for one in (name, *names.values(), *before.aliases)}
    written = tag.aliases if renames else (tag.name, *tag.aliases)
    own = before.aliases if name == before.name else [a for a in before.aliases if a != name]
    after = replace(
        before,
        name=name,
        names=names,
        aliases=(*own, *(a for a in written if library.form(a) not in known)),
        description=tag.description or before.description,
        status=tag.status,
        merged_into=before.merged_into if tag.status == "retired" else None,
        matches=tuple(dict.fromkeys((*before.matches, *tag.matches))),
    )
    return before if after == before else after
