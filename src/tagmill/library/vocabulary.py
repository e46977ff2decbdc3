"""The library in memory: which tag a written name means.

Names are compared in normal form and, where a facet's names are quantities, by what they measure.
Within a facet they are unique over canonical names, names per language and aliases. A retired tag
gives its names free; they lead to it (or to the tag it was merged into) only as long as no living
tag takes them.
"""

from __future__ import annotations

import difflib
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Protocol, TypedDict, Unpack

from tagmill.errors import LibraryError, SettingsError, TagConflict, UnknownTag
from tagmill.forms import MEASURE, facet_conflict, name_conflict, name_forms, plain_forms
from tagmill.library.names import clean_facet, clean_name, clean_tag
from tagmill.pinyin import pinyin
from tagmill.quantities import writings
from tagmill.records import Facet, Tag, TagStatus, parse_tag, tag_id
from tagmill.text import normal_form

__all__ = ["Library", "NameStore", "TagChanges"]


# The facet and tag id that have a form, or where several facets have it facet → tag id.
Owned = tuple[str, str] | dict[str, str]

_PATIENCE = 2.0  # seconds of asking a store for names one by one, before all are read


class TagChanges(TypedDict, total=False):
    """What `Library.update` can change of a tag."""

    name: str
    names: Mapping[str, str]
    aliases: Iterable[str]
    description: str
    status: TagStatus
    merged_into: str | None
    facet: str
    broader: Iterable[str]
    matches: Iterable[str]
    split_into: Iterable[str]


class NameStore(Protocol):
    """Who tells whose the names of a large stored library are, when they are asked for."""

    def of(self, forms: Sequence[str]) -> Mapping[str, Owned]:
        """The owners of these forms, those there are."""
        ...

    def all(self) -> Mapping[str, Owned]:
        """The owners of every form."""
        ...


@dataclass
class _Names:
    """form → the facets and tags that have it, (facet, tag id) each.

    Hardly any form has more than one, so a form that has one holds just that: of a million tags
    everything else would take gigabytes. What is not here yet may be in a store; {}: nobody's.
    """

    owners: dict[str, Owned] = field(default_factory=dict)
    store: NameStore | None = None
    tags: Mapping[str, Tag] = field(default_factory=dict)  # that a store may name
    waited: float = 0.0  # for names that were asked for one by one

    def facets(self, form: str) -> Mapping[str, str]:
        """Facet → tag id."""
        owned = self._owned(form) or {}
        return dict((owned,)) if isinstance(owned, tuple) else owned

    def owner(self, facet: str, form: str) -> str | None:
        owned = self._owned(form)
        if isinstance(owned, tuple):
            return owned[1] if owned[0] == facet else None
        return None if owned is None else owned.get(facet)

    def give(self, facet: str, forms: Iterable[str], owner: str) -> None:
        own = (facet, owner)
        for form in forms:
            others = self._owned(form)
            if not others or (isinstance(others, tuple) and others[0] == facet):
                self.owners[form] = own
            else:
                self.owners[form] = {**self.facets(form), facet: owner}

    def take(self, facet: str, forms: Iterable[str], owner: str) -> None:
        for form in forms:
            if self.owner(facet, form) == owner:
                left = {f: i for f, i in self.facets(form).items() if f != facet}
                if left or self.store is not None:
                    self.owners[form] = next(iter(left.items())) if len(left) == 1 else left
                else:
                    del self.owners[form]

    def fetch(self, forms: Iterable[str]) -> None:
        """Ask the store for many forms at once."""
        if self.store is not None:
            missing = [form for form in dict.fromkeys(forms) if form not in self.owners]
            found = self.store.of(missing)
            for form in missing:
                self.owners[form] = self._known(found.get(form, {}))

    def complete(self) -> dict[str, Owned]:
        """All forms; the store is asked no more."""
        if self.store is not None:
            for form, owned in self.store.all().items():
                if form not in self.owners:
                    self.owners[form] = self._known(owned)
            self.store = None
        return self.owners

    def _owned(self, form: str) -> Owned | None:
        owned = self.owners.get(form)
        if owned is None and self.store is not None:
            start = time.perf_counter()
            self.fetch((form,))
            self.waited += time.perf_counter() - start
            if self.waited > _PATIENCE:
                self.complete()
            owned = self.owners.get(form)
        return owned

    def _known(self, owned: Owned) -> Owned:
        """Without tags that are not of this library."""
        if isinstance(owned, tuple):
            return owned if owned[1] in self.tags else {}
        return {facet: owner for facet, owner in owned.items() if owner in self.tags}


class Library:
    """Tags and facets, found by id or by any of their names.

    With `verbatim` names compare exactly: two spellings are two tags. `version` is the store's
    library version the content was loaded from (0: none). Where `names` says whose each form is, or
    who tells that (as `StoredLibrary.names`), tags are not looked at one by one. Raises TagConflict
    where two tags of a facet, or two facets, share a name.
    """

    def __init__(
        self,
        tags: Iterable[Tag],
        facets: Iterable[Facet] = (),
        *,
        version: int = 0,
        verbatim: bool = False,
        names: dict[str, Owned] | NameStore | None = None,
    ) -> None:
        self.version = version
        self.verbatim = verbatim
        self.tags: dict[str, Tag] = {}
        self.facets: dict[str, Facet] = {}
        self._facet_keys: dict[str, str] = {}  # form → key
        if names is None or isinstance(names, dict):
            self._living = _Names({} if names is None else names)
        else:
            self._living = _Names({}, names, self.tags)
        self._former = _Names()
        self._pairs: dict[str, list[str]] | None = None  # letter pair → forms, for nearest()
        self._sounds: dict[str, list[str]] | None = None  # pinyin → forms, for sounding()
        for facet in facets:
            self._put_facet(facet)
        self._first_facets = dict(self.facets)
        for tag in tags:
            if tag.id in self.tags:
                raise TagConflict(
                    f"Two tags have the id {tag.id}: '{self.tags[tag.id].text}' and '{tag.text}'. "
                    "Give one of them another id, or none"
                )
            if names is None or tag.status == "retired":
                self._put(tag)
            else:
                self._have_facet(tag.facet)
                self.tags[tag.id] = tag

    def changed_facets(self) -> list[Facet]:
        """The facets that were not given like this when the library was made."""
        first = self._first_facets
        return [facet for key, facet in self.facets.items() if first.get(key) != facet]

    def active(self) -> list[Tag]:
        """The tags of status active, in the order they came into the library."""
        return [tag for tag in self.tags.values() if tag.status == "active"]

    def by_id(self, tag_id: str) -> Tag | None:
        """The tag of an id, or the one it was merged into; it may be retired."""
        tag = self.tags.get(tag_id)
        seen: set[str] = set()
        while tag and tag.merged_into and tag.id not in seen:
            seen.add(tag.id)
            tag = self.tags.get(tag.merged_into, tag)
        return tag

    def ancestors(self, tag: Tag) -> list[str]:
        """The ids of the living tags that a tag implies, the nearest first; merges are followed."""
        found: dict[str, None] = {}
        waiting = list(tag.broader)
        while waiting:
            wider = self.by_id(waiting.pop(0))
            if wider is None or wider.id == tag.id or wider.id in found:
                continue
            if wider.status != "retired":
                found[wider.id] = None
            waiting += wider.broader
        return list(found)

    def find(self, text: str) -> Tag | None:
        """The tag that `facet:name`, an unambiguous plain name or an id means.

        Facet and name in any language or alias. Follows merges; a tag that is retired and was
        not merged is returned as such.
        """
        try:
            facet_text, name = parse_tag(text)
        except ValueError:
            return None
        if ":" not in text:
            return self._find_plain(name) or self.by_id(text.strip())
        facet = self.facet_named(facet_text)
        if facet is None and facet_text:
            return self._find_plain(text)  # a plain name that has a colon: 4:3屏幕
        key = facet.key if facet else ""
        owner = self.owner(key, name) or self._owner(self._former, key, name)
        return self.by_id(owner) if owner else None

    def resolve(self, text: str) -> Tag:
        """`find(text)`, or UnknownTag with the nearest written forms."""
        tag = self.find(text)
        if tag is None:
            raise UnknownTag(text, self.nearest(text))
        return tag

    def nearest(self, text: str, limit: int = 3) -> tuple[str, ...]:
        """The written forms of the living tags spelled most like `text`, best first; of equals
        those that begin so, 红色 before 口红 for 红."""
        facet_text, _, name = text.rpartition(":")
        facet = self.facet_named(facet_text)
        form = self.form(name).casefold()
        pairs = self._letter_pairs()
        asked = _pairs_of(form)
        asked |= {pair[::-1] for pair in asked}  # mne is men
        shared = Counter(other for pair in asked for other in pairs.get(pair, ()))
        best: dict[str, tuple[float, bool]] = {}
        for other, _ in shared.most_common(200):
            ratio = difflib.SequenceMatcher(None, form, other.casefold()).ratio()
            for key, owner in self._living.facets(other).items():
                likeness = ratio + (0.2 if facet and facet.key == key else 0.0)
                found = -likeness, not other.casefold().startswith(form)
                best[owner] = min(best.get(owner, found), found)
        ranked = sorted((*found, self.tags[owner].text) for owner, found in best.items())
        return tuple(written for value, _, written in ranked[:limit] if -value > 0.4)

    def sounding(self, letters: str) -> Sequence[str]:
        """The forms of names of living tags whose pinyin these letters are: 连衣裙 of lianyiqun."""
        if self._sounds is None:
            self._sounds = {}
            for form, owned in self._living.complete().items():
                sound = pinyin(form) if owned and not form.isascii() else None
                if sound:
                    self._sounds.setdefault(sound, []).append(form)
        return self._sounds.get(letters, ())

    def facet_named(self, text: str) -> Facet | None:
        """The facet of a key or of a name in any language."""
        key = self._facet_keys.get(self.form(text)) if text else None
        return None if key is None else self.facets[key]

    def check_language(self, language: str) -> None:
        """SettingsError where tags have names in languages, but not in this; `product` is none."""
        if language in ("", "product"):
            return
        known = dict.fromkeys(code for tag in self.tags.values() for code in tag.names)
        if known and language not in known and language.split("-")[0] not in known:
            raise SettingsError(
                f"No tag has a name in '{language}'. There are names in: "
                f"{', '.join(known)}; 'product' stands for each product's own language"
            )

    def names_of(self, tag: Tag) -> list[str]:
        """Every spelling of a tag, the canonical name first, none twice."""
        return list(dict.fromkeys([tag.name, *tag.names.values(), *tag.aliases]))

    def writings_of(self, tag: Tag) -> list[str]:
        """What to look for in texts: every spelling of a tag, of quantities in other units too."""
        return writings(self.names_of(tag), self.facets.get(tag.facet))

    def owner(self, facet: str, name: str) -> str | None:
        """The id of the living tag of a facet (by key) that has a name."""
        return self._owner(self._living, facet, name)

    def forms_of(self, tag_ids: Set[str]) -> Iterator[tuple[str, str, str]]:
        """(facet, form, tag id) of every name of the living tags of these ids, which were put here,
        without working forms out again: for many tags, as it looks through all names."""
        for form in list(self._living.owners):
            for facet, owner in self._living.facets(form).items():
                if owner in tag_ids:
                    yield facet, form, owner

    def expect(self, tags: Iterable[Tag]) -> None:
        """Read at once what is known of the names of tags that will be met: faster than one by
        one, where they are in a store."""
        if self._living.store is not None:
            near = [one for tag in tags for one in (tag, self.tags.get(tag.id)) if one is not None]
            self._living.fetch(form for tag in near for form in self._forms(tag))

    def form(self, name: str) -> str:
        """The form in which two names of this library are equal."""
        return name if self.verbatim else normal_form(name)

    def forms(self, facet: str, name: str) -> tuple[str, ...]:
        """All forms by which a name is compared in a facet (by key), `form(name)` first."""
        return (name,) if self.verbatim else name_forms(name, self.facets.get(facet))

    def add_facet(self, facet: Facet) -> Facet:
        """The facet, now in the library, or changed there; TagConflict where its names clash,
        LibraryError where they cannot be names."""
        if not self.verbatim:
            facet = clean_facet(facet, self.facets.get(facet.key))
        return self._put_facet(facet)

    def _put_facet(self, facet: Facet) -> Facet:
        for name in (facet.key, *facet.names.values()):
            owner = self._facet_keys.get(self.form(name)) if name else None
            if owner is not None and owner != facet.key:
                raise facet_conflict(owner, facet.key, name)
        self._measure_by(facet)
        for form in [form for form, key in self._facet_keys.items() if key == facet.key]:
            del self._facet_keys[form]
        self.facets[facet.key] = facet
        for name in (facet.key, *facet.names.values()):
            if name:
                self._facet_keys[self.form(name)] = facet.key
        return facet

    def add(
        self,
        facet: str,
        name: str,
        *,
        names: Mapping[str, str] | None = None,
        aliases: Iterable[str] = (),
        description: str = "",
        status: TagStatus = "active",
    ) -> Tag:
        """A new tag; `facet` in any language, made where unknown.

        Raises TagConflict where a tag of that facet has one of the names.
        """
        known = self.facet_named(facet)
        key = known.key if known else facet
        self._have_facet(key)
        if not self.verbatim:
            name = clean_name(name)
        number, identifier = 1, tag_id(key, name)
        while identifier in self.tags:  # ids of former tags are never given again
            number += 1
            identifier = tag_id(key, f"{name}#{number}")
        tag = Tag(
            identifier,
            key,
            name,
            dict(names or {}),
            tuple(aliases),
            description,
            status=status,
        )
        return self.put(tag)

    def update(self, tag: Tag | str, **changes: Unpack[TagChanges]) -> Tag:
        """The tag (or the tag of an id) with these fields changed; a former name stays an alias.

        Raises UnknownTag, and TagConflict where a new name, or one that comes back to life, is
        another tag's; LibraryError for a merge that leads nowhere.
        """
        before = self._own(tag)
        aliases = tuple(changes.get("aliases", before.aliases))
        if "aliases" not in changes and changes.get("name", before.name) != before.name:
            aliases = (*aliases, before.name)
        if {"name", "names", "aliases"} & changes.keys():  # each spelling is one name, once
            shown = {changes.get("name", before.name)}
            shown.update(changes.get("names", before.names).values())
            aliases = tuple(one for one in dict.fromkeys(aliases) if one not in shown)
        after = replace(
            before,
            facet=changes.get("facet", before.facet),
            name=changes.get("name", before.name),
            names=dict(changes.get("names", before.names)),
            aliases=aliases,
            description=changes.get("description", before.description),
            status=changes.get("status", before.status),
            merged_into=changes.get("merged_into", before.merged_into),
            broader=tuple(changes.get("broader", before.broader)),
            matches=tuple(changes.get("matches", before.matches)),
            split_into=tuple(changes.get("split_into", before.split_into)),
        )
        target = self.by_id(after.merged_into) if after.merged_into else None
        if after.merged_into and (target is None or target.id == after.id):
            raise LibraryError(
                f"'{after.text}' cannot be merged into {after.merged_into!r}: "
                "name the id of another tag of the library"
            )
        return self.put(after)

    def add_alias(self, tag: Tag | str, alias: str) -> Tag:
        """The tag with one more name; TagConflict where another tag of the facet has it."""
        before, alias = self._own(tag), clean_name(alias)
        if self.form(alias) in map(self.form, self.names_of(before)):
            return before
        return self.update(before, aliases=(*before.aliases, alias))

    def retire(self, tag: Tag | str) -> Tag:
        """The tag, no longer given to products; its names become free, its id never does."""
        return self.update(tag, status="retired")

    @classmethod
    def from_written(cls, tags: Iterable[str], *, merge_variants: bool = False) -> Library:
        """The library that written tags (`facet:name`, repeated as they occur) name.

        Verbatim, or with `merge_variants` one tag for all spellings of a normal form: the most
        frequent becomes its name (the first of equals), the others aliases.
        """
        written = Counter(parse_tag(text) for text in tags)
        if not merge_variants:
            spelled = [Tag(tag_id(facet, name), facet, name) for facet, name in written]
            return cls(spelled, verbatim=True)
        facet_counts: dict[str, Counter[str]] = {}
        for (facet, _), count in written.items():
            facet_counts.setdefault(normal_form(facet), Counter())[facet] += count
        name_counts: dict[tuple[str, str], Counter[str]] = {}
        for (facet, name), count in written.items():
            key = facet_counts[normal_form(facet)].most_common(1)[0][0]
            name_counts.setdefault((key, normal_form(name)), Counter())[name] += count
        merged = []
        for (facet, _), counts in name_counts.items():
            name, *aliases = (spelling for spelling, _ in counts.most_common())
            merged.append(Tag(tag_id(facet, name), facet, name, aliases=tuple(aliases)))
        return cls(merged)

    def spelled_alike(self) -> list[list[Tag]]:
        """Tags of one facet whose names differ by their spelling only; none unless `verbatim`."""
        groups = defaultdict[tuple[str, str], list[Tag]](list)
        for tag in self.active() if self.verbatim else ():
            groups[normal_form(tag.facet), normal_form(tag.name)].append(tag)
        return [group for group in groups.values() if len(group) > 1]

    def _find_plain(self, name: str) -> Tag | None:
        forms = (name,) if self.verbatim else plain_forms(name)
        for names in (self._living, self._former):
            for form in forms:
                facets = names.facets(form)
                found = {tag.id: tag for owner in facets.values() if (tag := self.by_id(owner))}
                if "" in facets:
                    return self.by_id(facets[""])
                if found:
                    return next(iter(found.values())) if len(found) == 1 else None
        return None

    def _owner(self, names: _Names, facet: str, name: str) -> str | None:
        owners = (names.owner(facet, form) for form in self.forms(facet, name))
        return next(filter(None, owners), None)

    def _own(self, tag: Tag | str) -> Tag:
        identifier = tag.id if isinstance(tag, Tag) else tag
        if identifier not in self.tags:
            written = tag.text if isinstance(tag, Tag) else tag
            raise UnknownTag(written, self.nearest(written))
        return self.tags[identifier]

    def _forms(self, tag: Tag) -> set[str]:
        return {form for name in self.names_of(tag) for form in self.forms(tag.facet, name)}

    def _measure_by(self, facet: Facet) -> None:
        """Compare the names of a facet as it will be: as text or as quantities; TagConflict."""
        before = self.facets.get(facet.key)
        measure = (facet.value_kind == "text", facet.unit)
        if before is None or measure == (before.value_kind == "text", before.unit):
            return
        own = [tag for tag in self.tags.values() if tag.facet == facet.key]
        self.expect(own)
        living = [tag for tag in own if tag.status != "retired"]
        forms: dict[str, Tag] = {}
        for tag in living:
            for name in self.names_of(tag):
                for form in name_forms(name, facet):
                    other = forms.setdefault(form, tag)
                    if other.id != tag.id:
                        raise name_conflict(tag, name, form, other.text, other.id)
        for tag in own:
            self._names_for(tag).take(tag.facet, self._forms(tag), tag.id)
        self.facets[facet.key] = facet
        for tag in own:
            self._names_for(tag).give(tag.facet, self._forms(tag), tag.id)

    def _names_for(self, tag: Tag) -> _Names:
        return self._former if tag.status == "retired" else self._living

    def put(self, tag: Tag) -> Tag:
        """The tag, now in the library under its id, all of its names or none; TagConflict, and
        LibraryError where they cannot be names."""
        return self._put(tag if self.verbatim else clean_tag(tag, self.tags.get(tag.id)))

    def _put(self, tag: Tag) -> Tag:
        if not tag.name.strip():
            raise LibraryError(f"A tag of the facet '{tag.facet}' has no name. Write facet:name")
        forms = self._forms(tag)
        if tag.status != "retired":
            self._refuse_clash(tag)
        before = self.tags.get(tag.id)
        if before:
            for names in (self._living, self._former):
                names.take(before.facet, self._forms(before), before.id)
        self._have_facet(tag.facet)
        self.tags[tag.id] = tag
        self._names_for(tag).give(tag.facet, forms, tag.id)
        self._pairs = self._sounds = None
        return tag

    def give_up(self, tag: Tag) -> None:
        """Free the names that the tag of this id has and `tag`, which is put later, has not."""
        before = self.tags[tag.id]
        gone = self._forms(before) - self._forms(tag)
        self._names_for(before).take(before.facet, gone, before.id)

    def _have_facet(self, key: str) -> None:
        if key not in self.facets:
            self.add_facet(Facet(key))

    def _refuse_clash(self, tag: Tag) -> None:
        for name in self.names_of(tag):
            for form in self.forms(tag.facet, name):
                owner = self._living.owner(tag.facet, form)
                if owner is not None and owner != tag.id:
                    other = self.tags[owner]
                    raise name_conflict(tag, name, form, other.text, other.id)

    def _letter_pairs(self) -> dict[str, list[str]]:
        if self._pairs is None:
            self._pairs = {}
            for form, owned in self._living.complete().items():
                if owned and not form.startswith(MEASURE):
                    for pair in _pairs_of(form.casefold()):
                        self._pairs.setdefault(pair, []).append(form)
        return self._pairs


def _pairs_of(form: str) -> set[str]:
    """Letters and letter pairs of a form; single ones only of CJK, where they mean something."""
    pairs = {form[i : i + 2] for i in range(len(form) - 1)}
    return pairs | {letter for letter in form if letter > "\u3000"} or {form}
