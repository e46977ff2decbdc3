"""Taxonomies as text files: Shopify's product taxonomy and Google's.

Shopify's is a folder of `categories`, `attributes` and `attribute_values`, each `.<language>.txt`
with lines `gid : name`; a category is written with its path, a value with its attribute. Google's
is one file a language, `taxonomy-with-ids.en-US.txt` … or without ids, of paths. A path makes
`broader`; an entry is the same in all languages by its id, which stays in `matches`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tagmill.errors import LibraryError
from tagmill.library.importing import name_mark
from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag, tag_id
from tagmill.text import normal_form

__all__ = ["read_google", "read_shopify", "write_google", "write_shopify"]

_GID = "gid://shopify/Taxonomy"
_GOOGLE = "google_product_category:"
_PATH = " > "
_LANGUAGE = re.compile(r"\.([a-z]{2,3}(?:-[A-Za-z]+)?)\.txt$")
_SHOPIFY = re.compile(r"(gid://shopify/Taxonomy\w+/\S+)\s*:\s(.+)")
_VALUE = re.compile(r"(.+) \[(.+)\]")
_WITH_ID = re.compile(r"(\d+) - (.+)")
# What others call a language → what we do.
_OURS = {"zh-CN": "zh", "zh-Hans": "zh", "zh-TW": "zh-Hant"}

Names = dict[str, dict[str, str]]  # entry → language → name
_Reader = Callable[[str], tuple[str, str] | None]


def read_shopify(folder: Path, language: str, category: str) -> tuple[list[Tag], list[Facet]]:
    """Tags and facets of the folder's files; canonical names in `language` where there are any.

    Attributes are facets, categories tags of the facet `category`. Raises LibraryError for a
    folder without such files, or a line that is none of them.
    """
    parts: dict[str, Names] = {}
    for kind in ("categories", "attributes", "attribute_values"):
        parts[kind] = _by_language(sorted(folder.glob(f"{kind}.*.txt")), _read_line)
    if not any(parts.values()):
        raise LibraryError(
            f"{folder} holds no Shopify taxonomy: files such as categories.en.txt, "
            "attribute_values.en.txt"
        )
    facets, keys = _attributes(parts["attributes"], language)
    tags = _paths(parts["categories"], language, category)
    for gid, names in parts["attribute_values"].items():
        split = {code: match for code, text in names.items() if (match := _VALUE.fullmatch(text))}
        if not split:
            raise LibraryError(
                f"{folder}: the value {gid} names no attribute: write name [attribute]"
            )
        own = {code: match[1] for code, match in split.items()}
        code = _first(own, language)
        attribute = split[code][2]
        facet = keys.get((code, attribute), attribute)
        tags.append(_tag(facet, own, language, gid))
    return tags, facets


def read_google(path: Path, language: str, category: str) -> tuple[list[Tag], list[Facet]]:
    """Tags of the facet `category`, of one file or all of a folder."""
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    entries = _by_language(files, _read_google_line)
    if not entries:
        raise LibraryError(f"{path} holds no Google product taxonomy: lines such as 'A > B'")
    return _paths(entries, language, category), []


def write_shopify(folder: Path, library: Library, language: str) -> Counter[str]:
    """Write what has a Shopify id; what cannot be written, by kind.

    The canonical name is in `language` where there is no name in any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lost = Counter[str]()
    lines: dict[tuple[str, str], list[str]] = {}
    for facet in library.facets.values():
        gid = _gid(facet.matches)
        for code, name in (facet.names or {language: facet.key}).items() if gid else ():
            if "-x-" in code:  # a former name
                lost["aliases"] += 1
                continue
            text = _unmarked(name, facet.matches)
            lines.setdefault(("attributes", code), []).append(f"{gid} : {text}")
    for tag in library.active():
        gid = _gid(tag.matches)
        if gid is None:
            lost["without_id"] += 1
            continue
        is_category = gid.startswith(f"{_GID}Category/")
        lost["aliases"] += len(tag.aliases)
        lost["descriptions"] += bool(tag.description)
        for code in tag.names or (language,):
            kind = "categories" if is_category else "attribute_values"
            text = _path_of(library, tag, code) if is_category else _value_of(library, tag, code)
            lines.setdefault((kind, code), []).append(f"{gid} : {text}")
    for (kind, code), own in lines.items():
        title = kind.replace("_", " ").capitalize()
        head = f"# Shopify Product Taxonomy - {title}\n\n"
        _write(folder / f"{kind}.{_theirs(code)}.txt", head + "\n".join(own) + "\n")
    return lost


def write_google(path: Path, library: Library, language: str, category: str) -> Counter[str]:
    """Write the categories that have a Google id, with it, in one language; what cannot be
    written, by kind."""
    facet = library.facet_named(category)
    lost, lines = Counter[str](), list[str]()
    for tag in library.active():
        number = next((m.removeprefix(_GOOGLE) for m in tag.matches if m.startswith(_GOOGLE)), None)
        if facet is None or tag.facet != facet.key or number is None:
            lost["without_id"] += 1
            continue
        lost["aliases"] += len(tag.aliases)
        lines.append(f"{number} - {_path_of(library, tag, language)}")
    _write(path, "# Google_Product_Taxonomy\n" + "\n".join(lines) + "\n")
    return lost


def _by_language(files: Iterable[Path], read: _Reader) -> Names:
    """Names of entries by id, out of one file a language."""
    entries: Names = {}
    for file in files:
        match = _LANGUAGE.search(file.name)
        code = _OURS.get(match[1], match[1].split("-")[0]) if match else "en"
        for identifier, name in _lines(file, read):
            entries.setdefault(identifier, {})[code] = name
    return entries


def _lines(file: Path, read: _Reader) -> Iterator[tuple[str, str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LibraryError(f"{file} cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            entry = read(line.strip())
            if entry is None:
                raise LibraryError(f"{file} line {number}: '{line.strip()[:80]}' is no entry of it")
            yield entry


def _read_line(line: str) -> tuple[str, str] | None:
    match = _SHOPIFY.fullmatch(line)
    return None if match is None else (match[1], match[2].strip())


def _read_google_line(line: str) -> tuple[str, str] | None:
    if line.startswith(_GID):
        return None
    match = _WITH_ID.fullmatch(line)
    return (match[1], match[2]) if match else (line, line)


def _attributes(names: Names, language: str) -> tuple[list[Facet], dict[tuple[str, str], str]]:
    """Facets, and their keys by language and name."""
    facets, keys = [], dict[tuple[str, str], str]()
    taken: dict[str, str] = {}
    for gid, own in names.items():
        key = own[_first(own, language)]
        marked = {
            code: name if taken.setdefault(normal_form(name), key) == key else name + name_mark(gid)
            for code, name in own.items()
        }
        facets.append(Facet(key, marked, matches=(gid,)))
        for written in own.items():
            keys.setdefault(written, key)
    return facets, keys


def _paths(entries: Names, language: str, facet: str) -> list[Tag]:
    """Tags of entries that are paths; where another has its name, in a language, one is named with
    its parents."""
    ids = {
        path: (identifier, code)
        for identifier, own in entries.items()
        for code, path in own.items()
        if code == _first(own, language)
    }
    used, wider = _used(entries, 1), _used(entries, 2)

    def short(path: str) -> str:
        parts, depth = path.split(_PATH), 1
        if used[_end(path, 1)] > 1:
            depth = 2 if wider[_end(path, 2)] == 1 else len(parts)
        return _PATH.join(parts[-depth:])

    tags, made = list[Tag](), dict[str, str]()
    for path, (identifier, code) in ids.items():
        names = {other: short(text) for other, text in entries[identifier].items()}
        match = identifier if identifier.startswith(_GID) else f"{_GOOGLE}{identifier}"
        matches = (match,) if identifier != path else ()
        made[path] = tag_id(facet, names[code])
        tags.append(Tag(made[path], facet, names[code], names, matches=matches))
    parents = (made.get(path.rpartition(_PATH)[0]) for path in ids)  # in any order
    return [
        replace(tag, broader=(parent,)) if parent else tag
        for tag, parent in zip(tags, parents, strict=True)
    ]


def _used(entries: Names, levels: int) -> Counter[str]:
    """How many entries have each ending of a path, of so many levels, in any language."""
    return Counter(
        form for own in entries.values() for form in {_end(path, levels) for path in own.values()}
    )


def _end(path: str, levels: int) -> str:
    return normal_form(_PATH.join(path.split(_PATH)[-levels:]))


def _tag(facet: str, names: Mapping[str, str], language: str, gid: str) -> Tag:
    name = names[_first(names, language)]
    return Tag(tag_id(facet, f"{name}#{gid}"), facet, name, names, matches=(gid,))


def _path_of(library: Library, tag: Tag, code: str) -> str:
    parts: list[str] = []
    seen: set[str] = set()
    current: Tag | None = tag
    while current is not None and current.id not in seen:
        seen.add(current.id)
        parts.append(_own_name(current, code).split(_PATH)[-1])
        current = library.by_id(current.broader[0]) if current.broader else None
    return _PATH.join(reversed(parts))


def _value_of(library: Library, tag: Tag, code: str) -> str:
    facet = library.facets[tag.facet]
    attribute = _unmarked(facet.names.get(code, facet.key), facet.matches)
    return f"{_own_name(tag, code)} [{attribute}]"


def _own_name(tag: Tag, code: str) -> str:
    return _unmarked(tag.names.get(code) or tag.name, tag.matches)


def _unmarked(name: str, matches: Iterable[str]) -> str:
    """A name as the taxonomy has it: without the mark by which an import tells it from another."""
    for match in matches:
        name = name.removesuffix(name_mark(match))
    return name


def _first(names: Mapping[str, str], language: str) -> str:
    """The language of the canonical name: as asked, else English, else any."""
    return next(
        (code for code in (_OURS.get(language, language), "en") if code in names), next(iter(names))
    )


def _gid(matches: Iterable[str]) -> str | None:
    return next((match for match in matches if match.startswith(_GID)), None)


def _theirs(code: str) -> str:
    return {"zh": "zh-CN", "zh-Hant": "zh-TW"}.get(code, code)


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LibraryError(f"Cannot write '{path}': {error.strerror}") from error
    unfinished.replace(path)
