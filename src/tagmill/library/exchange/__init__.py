"""Libraries as files: one row of the table for each format, one function for each direction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tagmill.errors import LibraryError
from tagmill.library.exchange.spreadsheet import (
    parse_csv,
    read_csv,
    row_digest,
    stream_csv,
    write_csv,
)
from tagmill.library.importing import Imported, import_tags
from tagmill.library.names import language_code
from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag

__all__ = [
    "EXPORTS",
    "IMPORTS",
    "export_library",
    "import_file",
    "parse_csv",
    "read_csv",
    "write_csv",
]

IMPORTS = ("csv", "skos", "shopify", "google")
EXPORTS = (*IMPORTS, "elasticsearch", "meilisearch", "typesense")
_BY_ENDING = {".ttl": "skos", ".rdf": "skos", ".xml": "skos", ".csv": "csv", ".tsv": "csv"}
_CATEGORY = "category"  # the facet of what is only a tree: known by any of its names


def import_file(
    library: Library,
    path: Path,
    format_: str | None = None,
    language: str = "en",
    *,
    known: Mapping[int, str] = MappingProxyType({}),
) -> Imported:
    """Add a file's tags to a library; `notes` count what a format says and a library cannot hold.

    Rows whose digest is `known`, with the id of its tag, are passed over: what somebody changed of
    the tag since stays. The format is guessed from the ending where none is given, else CSV.
    `language` is that of the canonical names, where a format has several. Raises LibraryError for a
    file that cannot be read.
    """
    chosen, language = _chosen(path, format_, IMPORTS), language_code(language)
    says: Collection[str]
    digests: dict[str, int] = {}
    lines: dict[str, int] = {}
    notes: Counter[str] = Counter()
    if chosen == "csv":
        new, facets, says = stream_csv(path, known, digests, lines)
    else:
        says = ("facet", "aliases", "description", "broader") if chosen == "skos" else ()
        tags, facets, notes = _read(chosen, path, language)
        new = _new(tags, known, digests, lines)
    report = import_tags(
        library, new, facets, give_way=chosen != "csv", passed_over=lines.keys(),
        place=lambda tag_id: f"{path} line {lines[tag_id]}", says=says,
    )  # fmt: skip
    report.notes.update({kind: count for kind, count in notes.items() if count})
    again = {tag.id for tag in report.retired} | report.incomplete
    report.rows = {
        tag_id: digests[tag_id]
        for tag_id, same in report.places.items()
        if tag_id == same and tag_id not in again
    }
    return report


def _read(chosen: str, path: Path, language: str) -> tuple[list[Tag], list[Facet], Counter[str]]:
    """Tags, facets, and what a library cannot hold of a file that is not CSV."""
    if chosen == "skos":
        from tagmill.library.exchange.skos import read_skos

        return read_skos(path, language, _CATEGORY)
    from tagmill.library.exchange import taxonomies

    read = taxonomies.read_shopify if chosen == "shopify" else taxonomies.read_google
    return *read(path, language, _CATEGORY), Counter()


def _new(
    tags: Iterable[Tag], known: Mapping[int, str], digests: dict[str, int], lines: dict[str, int]
) -> Iterator[Tag]:
    """The tags that no `known` digest has; `digests` takes theirs, `lines` the places of all."""
    for place, tag in enumerate(tags, 1):
        digest = row_digest(repr(tag))
        lines[tag.id] = place
        if known.get(digest) != tag.id:
            digests[tag.id] = digest
            yield tag


def export_library(
    library: Library, path: Path, format_: str | None = None, language: str = "en"
) -> Counter[str]:
    """Write a library; how much of it the format cannot hold, by kind."""
    chosen, language = _chosen(path, format_, EXPORTS), language_code(language)
    if chosen == "csv":
        write_csv(path, library)
        return Counter()
    if chosen == "skos":
        from tagmill.library.exchange.skos import write_skos

        return write_skos(path, library)
    if chosen in ("shopify", "google"):
        from tagmill.library.exchange.taxonomies import write_google, write_shopify

        if chosen == "shopify":
            return write_shopify(path, library, language)
        return write_google(path, library, language, _CATEGORY)
    from tagmill.library.exchange import synonyms

    write = {
        "elasticsearch": synonyms.write_elasticsearch,
        "meilisearch": synonyms.write_meilisearch,
        "typesense": synonyms.write_typesense,
    }[chosen]
    return write(path, library)


def _chosen(path: Path, format_: str | None, known: tuple[str, ...]) -> str:
    chosen = format_ or _BY_ENDING.get(path.suffix.lower(), "csv")
    if chosen not in known:
        raise LibraryError(f"Unknown format '{chosen}'. Known: {', '.join(known)}")
    return chosen
