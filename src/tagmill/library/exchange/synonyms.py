"""The names of tags as synonyms for search engines: Elasticsearch, Meilisearch, Typesense."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tagmill.errors import LibraryError
from tagmill.library.vocabulary import Library
from tagmill.records import Tag

__all__ = ["write_elasticsearch", "write_meilisearch", "write_typesense"]


def write_elasticsearch(path: Path, library: Library) -> Counter[str]:
    """Solr's format, one line a tag: names that mean the same, commas and arrows escaped.

    For `synonyms_path` of a synonym_graph filter. Tags of one name are not written.
    """
    lines = [
        ", ".join(name.replace("\\", "\\\\").replace(",", "\\,").replace("=>", "=\\>")
                  for name in names)
        for _, names in _groups(library)
    ]  # fmt: skip
    lines = [f"\\{line}" if line.startswith("#") else line for line in lines]  # no comment
    return _write(path, "".join(f"{line}\n" for line in lines), library)


def write_meilisearch(path: Path, library: Library) -> Counter[str]:
    """The JSON object of its `synonyms` setting: every name with the others of its tag."""
    synonyms: dict[str, list[str]] = {}
    for _, names in _groups(library):
        for name in names:
            others = synonyms.setdefault(name, [])
            others += [other for other in names if other != name and other not in others]
    return _write(path, json.dumps(synonyms, ensure_ascii=False, indent=1) + "\n", library)


def write_typesense(path: Path, library: Library) -> Counter[str]:
    """JSON Lines for its synonyms import: `{"id", "synonyms"}`."""
    lines = [
        json.dumps({"id": tag.id, "synonyms": names}, ensure_ascii=False) + "\n"
        for tag, names in _groups(library)
    ]
    return _write(path, "".join(lines), library)


def _groups(library: Library) -> Iterator[tuple[Tag, list[str]]]:
    """Active tags of several names, lower-cased and each once."""
    for tag in library.active():
        names = list(dict.fromkeys(" ".join(n.lower().split()) for n in library.names_of(tag)))
        if len(names) > 1:
            yield tag, names


def _write(path: Path, text: str, library: Library) -> Counter[str]:
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LibraryError(f"Cannot write '{path}': {error.strerror}") from error
    unfinished.replace(path)
    written = sum(1 for _ in _groups(library))
    return Counter(one_name=len(library.active()) - written)
