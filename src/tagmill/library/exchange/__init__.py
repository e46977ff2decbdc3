"""Libraries as files: one row of the table for each format, one function for each direction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tagmill.errors import LibraryError
from tagmill.library.exchange.spreadsheet import (
    parse_csv,
    read_csv,
    stream_csv,
    write_csv,
)
from tagmill.library.importing import Imported, import_tags
from tagmill.library.vocabulary import Library

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

    Rows of CSV whose digest is `known`, with the id of its tag, are passed over. The format is
    guessed from the ending where none is given, else CSV. `language` is that of the canonical
    names, where a format has several. Raises LibraryError for a file that cannot be read.
    """
    chosen = _chosen(path, format_, IMPORTS)
    if chosen == "csv":
        digests: dict[str, int] = {}
        report = import_tags(library, *stream_csv(path, known, digests))
        retired = {tag.id for tag in report.retired}
        report.rows = {
            tag_id: digests[tag_id]
            for tag_id, same in report.places.items()
            if tag_id == same and tag_id not in retired
        }
        return report
    notes: Counter[str] = Counter()
    if chosen == "skos":
        from tagmill.library.exchange.skos import read_skos

        tags, facets, notes = read_skos(path, language, _CATEGORY)
    else:
        from tagmill.library.exchange import taxonomies

        read = taxonomies.read_shopify if chosen == "shopify" else taxonomies.read_google
        tags, facets = read(path, language, _CATEGORY)
    report = import_tags(library, tags, facets, give_way=True)
    report.notes.update({kind: count for kind, count in notes.items() if count})
    return report


def export_library(
    library: Library, path: Path, format_: str | None = None, language: str = "en"
) -> Counter[str]:
    """Write a library; how much of it the format cannot hold, by kind."""
    chosen = _chosen(path, format_, EXPORTS)
    if chosen == "csv":
        write_csv(path, library)
        return Counter()
    if chosen == "skos":
        from tagmill.library.exchange.skos import write_skos

        return write_skos(path, library)
    if chosen in ("shopify", "google"):
        from tagmill.library.exchange.taxonomies import write_google, write_shopify

        if chosen == "shopify":
            return write_shopify(path, library)
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
