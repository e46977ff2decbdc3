"""Products with weighted tags for engines that people have: Elasticsearch and OpenSearch,
Meilisearch, Typesense; items and feedback for Gorse.

Every format is lines of JSON, whole or what changed after a cursor. What left the catalogue is a
`delete` in Elasticsearch's bulk format, hidden for Gorse, and for the others a list of keys beside
the file. An id that an engine would refuse has a key made of it; `product` is the id as it is.

Elasticsearch has a field for each name in an object, a thousand at most, and takes a dot in it for
a path. So what has many names is a list there, and the mapping, beside the file, says how it is
searched; a field of its own have facets, which are counted, and numbers, which are sorted by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TextIO

from tagmill.discover.index import tags_of
from tagmill.errors import SearchError
from tagmill.library import Library
from tagmill.library.stored import load_library
from tagmill.records import tag_text
from tagmill.store import Store
from tagmill.store.searches import StoredDocument

__all__ = ["ENGINES", "Written", "write_documents"]

ENGINES = ("elasticsearch", "meilisearch", "typesense", "gorse")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,511}")  # what Meilisearch and Typesense take
_KEY_BYTES = 512  # that Elasticsearch takes
_WORDS = {"type": "text", "analyzer": "cjk"}  # Chinese by pairs of characters, English by words
_WHOLE = {"type": "keyword", "ignore_above": 1000}
_MAPPING: dict[str, Any] = {
    "dynamic_templates": [
        {"facets": {"path_match": "facets.*", "mapping": _WHOLE}},
        {"numbers": {"path_match": "numbers.*", "mapping": {"type": "double"}}},
    ],
    "properties": {
        "product": {"type": "keyword"},
        **{name: _WORDS for name in ("title", "description", "generated")},
        **{name: {**_WORDS, "fields": {"whole": _WHOLE}} for name in ("category", "tags")},
        "attributes": {
            "type": "nested", "include_in_root": True,
            "properties": {"name": _WHOLE, "value": {**_WORDS, "fields": {"whole": _WHOLE}}},
        },
        "tag_weights": {
            "type": "nested", "properties": {"tag": _WHOLE, "weight": {"type": "float"}},
        },
        "facets": {"type": "object"},
        "numbers": {"type": "object"},
    },
}  # fmt: skip
_PUBLISHED = 0.5  # probability from which a tag is one of a facet; all have their weight


@dataclass(frozen=True)
class Written:
    """What was written, and the cursor to go on from."""

    products: int
    gone: int
    events: int
    cursor: int


def write_documents(
    store: Store,
    path: Path,
    engine: str,
    *,
    since: int | None = None,
    language: str = "",
    progress: Callable[[int], None] = lambda done: None,
) -> Written:
    """Write the products, or those changed after a cursor, for an engine.

    Facet and tag names are canonical or in a `language`. For Gorse all events stand in
    `PATH.feedback.jsonl`, for Elasticsearch the index's mapping in `PATH.mapping.json`. Raises
    SearchError for an unknown engine, or a file that cannot be written.
    """
    if engine not in ENGINES:
        raise SearchError(f"Unknown engine '{engine}'. Known: {', '.join(ENGINES)}")
    until = store.searches.state().cursor
    library = load_library(store)
    gone: list[str] = []
    products = events = 0
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            for page in store.searches.documents(since, until):
                for document in page:
                    if document.gone:
                        gone.append(_key(document.id, engine))
                    products += not document.gone
                    _write_lines(file, engine, document, library, language)
                progress(len(page))
        unfinished.replace(path)
        if gone and engine in ("meilisearch", "typesense"):
            text = json.dumps(gone, ensure_ascii=False)
            path.with_name(f"{path.name}.deleted.json").write_text(text + "\n", "utf-8")
        if engine == "elasticsearch":
            fields = 1000 + 2 * len(library.facets)  # Elasticsearch's own limit, and all facets
            settings = {"index.mapping.total_fields.limit": fields}
            text = json.dumps({"settings": settings, "mappings": _MAPPING}, indent=2)
            path.with_name(f"{path.name}.mapping.json").write_text(text + "\n", "utf-8")
        if engine == "gorse":
            events = _write_feedback(store, path.with_name(f"{path.name}.feedback.jsonl"))
    except OSError as error:
        raise SearchError(f"Cannot write '{path}': {error.strerror}") from error
    return Written(products, len(gone), events, until)


def _write_lines(
    file: TextIO, engine: str, document: StoredDocument, library: Library, language: str
) -> None:
    for line in _lines(engine, document, library, language):
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _lines(
    engine: str, document: StoredDocument, library: Library, language: str
) -> Iterator[dict[str, Any]]:
    if document.gone:
        if engine == "elasticsearch":
            yield {"delete": {"_id": _key(document.id, engine)}}
        elif engine == "gorse":
            yield {"ItemId": document.id, "IsHidden": True}
        return
    weights, facets = _tags(document, library, language)
    if engine == "gorse":
        yield {
            "ItemId": document.id, "IsHidden": False,
            "Categories": [document.category] if document.category else [],
            "Labels": {facet: names for facet, names in facets.items() if names},
            "Timestamp": document.first_seen, "Comment": document.title,
        }  # fmt: skip
        return
    key = _key(document.id, engine)
    body: dict[str, Any] = {
        "product": document.id, "title": document.title, "description": document.description,
        "generated": document.generated, "category": document.category,
        "attributes": dict(document.attributes), "numbers": _numbers(document), "facets": facets,
        "tags": [name for names in facets.values() for name in names], "tag_weights": weights,
    }  # fmt: skip
    if engine != "elasticsearch":
        yield {"id": key, **body}
        return
    yield {"index": {"_id": key}}
    body["attributes"] = [{"name": name, "value": value} for name, value in document.attributes]
    body["tag_weights"] = [{"tag": tag, "weight": weight} for tag, weight in weights.items()]
    for kind in ("facets", "numbers"):
        body[kind] = {name.replace(".", "_") or "_": value for name, value in body[kind].items()}
    yield body


def _key(product_id: str, engine: str) -> str:
    """The id of a product's document: its own, or one made of it where the engine would refuse
    that."""
    if engine == "elasticsearch":
        is_fit = len(product_id.encode()) <= _KEY_BYTES
    else:
        is_fit = engine == "gorse" or _PLAIN_KEY.fullmatch(product_id) is not None
    if is_fit:
        return product_id
    return f"key-{blake2b(product_id.encode(), digest_size=16).hexdigest()}"


def _numbers(document: StoredDocument) -> dict[str, float | list[float]]:
    """Each number as engines filter and sort by it; a list where a product has several."""
    found: dict[str, list[float]] = {}
    for name, value in document.numbers:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _tags(
    document: StoredDocument, library: Library, language: str
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """`facet:name` → probability, and facet → names of the tags that count."""
    weights: dict[str, float] = {}
    facets: dict[str, list[str]] = {}
    for tag_id, probability in sorted(tags_of(document, library), key=lambda pair: -pair[1]):
        tag = library.by_id(tag_id)
        if tag is None:
            continue
        known = library.facets.get(tag.facet)
        facet = known.names.get(language, tag.facet) if known else tag.facet
        weights[tag_text(facet, tag.name_in(language))] = round(probability, 4)
        if probability >= _PUBLISHED:
            facets.setdefault(facet, []).append(tag.name_in(language))
    return weights, facets


def _write_feedback(store: Store, path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for page in store.events.pages():
            for event in page:
                line = {
                    "FeedbackType": event.kind, "UserId": event.user, "ItemId": event.product,
                    "Timestamp": event.at,
                }  # fmt: skip
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += len(page)
    return count
