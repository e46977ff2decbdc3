"""What people do to a library: each function changes it and returns the tags that it changed.

Adding, aliases and retiring are methods of `Library`; here is what touches several tags at once.
Whatever is changed keeps its id; a name that a tag loses goes to the tag that takes its place.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tagmill.errors import LibraryError, TagConflict
from tagmill.library.names import language_code
from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag, parse_tag

__all__ = [
    "alias", "check_facet", "describe", "facet_names", "meant", "merge", "move",
    "remove_name", "rename", "restore", "split",
]  # fmt: skip

_SLIP = 0.75  # likeness (difflib) of two names of facets from which one may be a slip


def alias(library: Library, tag: Tag, name: str) -> list[Tag]:
    """One more name; TagConflict where another tag of the facet has it, LibraryError for a retired
    tag."""
    _refuse_retired(tag)
    return [library.add_alias(tag, name)]


def remove_name(library: Library, tag: Tag, name: str) -> list[Tag]:
    """The tag without an alias, or without a name in languages; in whatever spelling, where none is
    spelled just so.

    Raises LibraryError for a name it does not have, its canonical one, or a retired tag.
    """
    _refuse_retired(tag)
    others = dict.fromkeys((*tag.aliases, *tag.names.values()))
    form = library.form(name)
    gone = {name} & others.keys() or {own for own in others if library.form(own) == form}
    if not gone and form == library.form(tag.name):
        raise LibraryError(
            f"'{name}' is the canonical name of '{tag.text}', which it needs. Give it another "
            "with: tagmill library rename"
        )
    if not gone:
        raise LibraryError(
            f"'{tag.text}' is not called '{name}'. Its other names: {', '.join(others) or 'none'}"
        )
    names = {code: own for code, own in tag.names.items() if own not in gone}
    aliases = [own for own in tag.aliases if own not in gone]
    return [library.update(tag, names=names, aliases=aliases)]


def describe(library: Library, tag: Tag, description: str) -> list[Tag]:
    """What a tag covers, in other words; LibraryError for a retired tag."""
    _refuse_retired(tag)
    return [library.update(tag, description=description)]


def rename(library: Library, tag: Tag, name: str, language: str | None = None) -> list[Tag]:
    """Another canonical name, or name in a language; the former one stays an alias.

    With the canonical name go the names in languages that are the same, as these are what is shown.
    The tag's own facet before the name is left out. Raises TagConflict where another tag of the
    facet has the name, LibraryError for a retired tag.
    """
    _refuse_retired(tag)
    facet, colon, rest = name.partition(":")
    own = library.facet_named(facet) if colon else None
    if own is not None and own.key == tag.facet:
        name = rest.strip()
    if language is None:
        form = library.form(tag.name)
        same = [code for code, own in tag.names.items() if library.form(own) == form]
        return [library.update(tag, name=name, names={**tag.names, **dict.fromkeys(same, name)})]
    language = language_code(language)
    former = tag.names.get(language)
    aliases = tag.aliases if former is None else (*tag.aliases, former)
    return [library.update(tag, names={**tag.names, language: name}, aliases=aliases)]


def check_facet(library: Library, facet: str, name: str) -> None:
    """LibraryError where the facet for a tag looks like a slip: none though all other tags have
    one, or nearly the name of one there is."""
    facets = [key for key in library.facets if key]
    if not facet:
        if facets and not any(tag.facet == "" for tag in library.active()):
            raise LibraryError(
                f"'{name}' is named without a facet. Write facet:name; there are: "
                f"{', '.join(facets)}"
            )
        return
    if library.facet_named(facet) is None:
        named = {
            library.form(one): one
            for key in facets
            for one in (key, *library.facets[key].names.values())
        }
        near = difflib.get_close_matches(library.form(facet), named, 1, _SLIP)
        if near:
            raise LibraryError(
                f"There is no facet '{facet}', but '{named[near[0]]}'. Write that, or make a new "
                "facet with: --new-facet"
            )


def facet_names(facet: Facet, new: Mapping[str, str]) -> dict[str, str]:
    """The names of a facet with other ones in some languages; it is still found by the former.

    These are kept under a private subtag of their language (RFC 5646): en-x-former.
    """
    names = dict(facet.names)
    for language, name in new.items():
        former, number = names.get(language), 1
        if former and former != name and former not in new.values():
            while (kept := f"{language}-x-former{number if number > 1 else ''}") in names:
                number += 1
            names[kept] = former
        names[language] = name
    return names


def meant(library: Library, text: str) -> Tag:
    """The tag that a text means, to be changed.

    Raises UnknownTag; LibraryError for a tag that was merged: the one that its name leads to would
    be changed in its place.
    """
    tag = library.resolve(text)
    if _is_called(library, tag, text):
        return tag
    gone = (one for one in library.tags.values() if one.merged_into)
    for one in gone:
        if library.by_id(one.id) is tag and _is_called(library, one, text):
            raise LibraryError(
                f"'{one.text}' was merged into '{tag.text}'. If you mean that one, write "
                f"'{tag.text}'"
            )
    return tag


def merge(library: Library, source: Tag, target: Tag) -> list[Tag]:
    """Make `source` the same as `target`: its names become aliases there, its id leads there.

    What was below the source is below the target now. Raises LibraryError for a tag merged into
    itself, into a retired one, or into one far below it.
    """
    if source.id == target.id:
        raise LibraryError(f"'{source.text}' and '{target.text}' are one tag. Name two")
    for tag in (source, target):
        _refuse_retired(tag)
    between = source.id in library.ancestors(target) and source.id not in target.broader
    if between:
        raise LibraryError(
            f"'{target.text}' is below '{source.text}' with tags between them, which would be "
            f"below themselves. Move it up first: tagmill library move '{target.text}' --broader …"
        )
    changed = [library.update(source, status="retired", merged_into=target.id)]
    known = {library.form(name) for name in library.names_of(target)}
    names = {**source.names, **target.names}
    known |= {library.form(name) for name in names.values()}
    aliases = [name for name in library.names_of(source) if library.form(name) not in known]
    own = [w for w in target.broader if w != source.id]
    broader = own or [w for w in source.broader if w != target.id]
    matches = dict.fromkeys((*target.matches, *source.matches))
    changed.append(
        library.update(
            target, names=names, aliases=(*target.aliases, *aliases), broader=broader,
            matches=matches,
        )
    )  # fmt: skip
    changed += _replace_broader(library, source.id, [target.id])
    for facet in list(library.facets.values()):
        if source.id in facet.only_for:
            only_for = dict.fromkeys(target.id if i == source.id else i for i in facet.only_for)
            library.add_facet(replace(facet, only_for=tuple(only_for)))
    return changed


def split(library: Library, tag: Tag, parts: Sequence[str]) -> list[Tag]:
    """Retire a tag in favour of several, written `facet:name` (a plain name: of its facet).

    Parts that the library lacks are added. What people decided about the tag goes to review, for
    each of its parts. Raises LibraryError for fewer than two parts.
    """
    if tag.status == "retired":
        raise LibraryError(f"'{tag.text}' is retired already. See: tagmill library show {tag.id}")
    changed = [library.retire(tag)]
    ids: list[str] = []
    for text in parts:
        written = text if ":" in text else f"{tag.facet}:{text}"
        part = library.find(written)
        if part is not None and part.id == tag.id:
            part = None  # only its former name
        if part is None:
            try:
                facet, name = parse_tag(written)
            except ValueError as error:
                raise LibraryError(str(error)) from error
            part = library.add(facet, name)
            part = library.update(part, broader=tag.broader)
            changed.append(part)
        _refuse_retired(part)
        ids.append(part.id)
    ids = list(dict.fromkeys(ids))
    if len(ids) < 2:
        raise LibraryError(f"'{tag.text}' is split into {len(ids)} tag. Name two or more")
    changed[0] = library.update(tag.id, split_into=ids)
    changed += _replace_broader(library, tag.id, tag.broader)
    return changed


def restore(library: Library, tag: Tag) -> list[Tag]:
    """Bring a retired tag back; TagConflict where another tag has its name by now."""
    if tag.status != "retired":
        raise LibraryError(f"'{tag.text}' is not retired, it is {tag.status}")
    try:
        return [library.update(tag, status="active", merged_into=None, split_into=())]
    except TagConflict as error:
        hint = "To take a merge back, undo it: tagmill library history, tagmill library undo"
        raise TagConflict(f"{error}. {hint}") from error


def move(
    library: Library, tag: Tag, facet: str | None = None, broader: Sequence[Tag] | None = None
) -> list[Tag]:
    """Put a tag into another facet, below other tags, or (with none) below none.

    Raises LibraryError for a retired tag, or where it would come to lie below itself.
    """
    for one in (tag, *(broader or ())):
        _refuse_retired(one)
    key = tag.facet
    if facet is not None:
        known = library.facet_named(facet)
        key = known.key if known else facet
    if broader is None:
        return [library.update(tag, facet=key)]
    for wider in broader:
        if wider.id == tag.id or tag.id in library.ancestors(wider):
            raise LibraryError(
                f"'{tag.text}' cannot be below '{wider.text}', which is below it or the same. "
                "Move that one first"
            )
    return [library.update(tag, facet=key, broader=[wider.id for wider in broader])]


def _is_called(library: Library, tag: Tag, text: str) -> bool:
    """Whether a written tag is the id or a name of a tag, not an alias."""
    written = {library.form(text), library.form(text.partition(":")[2])}
    return not written.isdisjoint(map(library.form, (tag.id, tag.name, *tag.names.values())))


def _refuse_retired(tag: Tag) -> None:
    """LibraryError for a tag that is out of use: nobody would see what is changed of it."""
    if tag.status == "retired":
        raise LibraryError(
            f"'{tag.text}' is retired. Bring it back first: tagmill library restore {tag.id}"
        )


def _replace_broader(library: Library, gone: str, instead: Sequence[str]) -> list[Tag]:
    """Put the tags below one that is gone below others."""
    below = [tag for tag in library.tags.values() if gone in tag.broader]
    changed = []
    for tag in below:
        wider = [new for old in tag.broader for new in (instead if old == gone else [old])]
        wider = [identifier for identifier in dict.fromkeys(wider) if identifier != tag.id]
        changed.append(library.update(tag.id, broader=wider))
    return changed
