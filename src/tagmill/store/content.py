"""Products between Arrow and rows, and the hash that says whether their text changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from tagmill.records import PRODUCT_SCHEMA
from tagmill.store.connection import to_json
from tagmill.store.tables import products

__all__ = [
    "PRODUCT_COLUMNS",
    "ProductRow",
    "content_hashes",
    "list_slices",
    "product_batch",
    "product_rows",
]

PRODUCT_COLUMNS: tuple[sa.Column[Any], ...] = tuple(
    products.c[name] for name in PRODUCT_SCHEMA.names
)


class ProductRow(NamedTuple):
    """A product as it is stored; `attributes`, `numbers` and `tags` are JSON."""

    id: str
    title: str
    description: str | None
    category: str | None
    attributes: str | None
    numbers: str | None
    image: str | None
    language: str | None
    tags: str | None
    content_hash: str


def product_rows(batch: pa.RecordBatch) -> list[ProductRow]:
    """The rows of a batch of `PRODUCT_SCHEMA`, in its order."""
    ids, titles, descriptions, categories, images, languages = (
        _texts(batch, name)
        for name in ("id", "title", "description", "category", "image", "language")
    )
    attributes = _pairs(batch, "attributes")
    hashes = _hashes(titles, descriptions, categories, languages, attributes)
    return [
        ProductRow(*fields)
        for fields in zip(
            ids,
            titles,
            descriptions,
            categories,
            [None if pairs is None else to_json(pairs) for pairs in attributes],
            [None if pairs is None else to_json(pairs) for pairs in _pairs(batch, "numbers")],
            images,
            languages,
            [None if tags is None else to_json(tags) for tags in _tags(batch)],
            hashes,
            strict=True,
        )
    ]


def content_hashes(batch: pa.RecordBatch) -> list[str]:
    """The content hash of each product: 32 hex digits over title, description, category,
    attributes and language; the order of attributes does not count.
    """
    titles, descriptions, categories, languages = (
        _texts(batch, name) for name in ("title", "description", "category", "language")
    )
    return _hashes(titles, descriptions, categories, languages, _pairs(batch, "attributes"))


def product_batch(rows: Iterable[Sequence[Any]]) -> pa.RecordBatch:
    """A batch of `PRODUCT_SCHEMA` of rows of `PRODUCT_COLUMNS`."""
    columns = list(zip(*rows, strict=True)) or [()] * len(PRODUCT_SCHEMA)
    arrays = []
    for field, values in zip(PRODUCT_SCHEMA, columns, strict=True):
        if pa.types.is_map(field.type):
            values = tuple(pairs and [tuple(pair) for pair in pairs] for pairs in values)
        arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=PRODUCT_SCHEMA)


def list_slices(lists: pa.ListArray) -> list[tuple[int, int] | None]:
    """Where each list begins and ends in `lists.flatten()`; None for a null."""
    slices: list[tuple[int, int] | None] = []
    start = 0
    for length in lists.value_lengths().to_pylist():
        if length is None:
            slices.append(None)
        else:
            slices.append((start, start + length))
            start += length
    return slices


def _hashes(
    titles: Sequence[str | None],
    descriptions: Sequence[str | None],
    categories: Sequence[str | None],
    languages: Sequence[str | None],
    attributes: Sequence[list[tuple[str, Any]] | None],
) -> list[str]:
    hashes = []
    for *texts, pairs in zip(titles, descriptions, categories, languages, attributes, strict=True):
        for name, value in sorted(pairs or (), key=lambda pair: (pair[0], pair[1] or "")):
            texts += (name, value)
        # NUL stands in no stored text, so it separates.
        content = "\0".join([text or "" for text in texts])
        hashes.append(blake2b(content.encode(), digest_size=16).hexdigest())
    return hashes


def _texts(batch: pa.RecordBatch, name: str) -> list[Any]:
    return _clean(batch.column(name).to_pylist())


def _clean(texts: list[Any]) -> list[Any]:
    """Texts without NUL, which PostgreSQL cannot hold."""
    return [
        text.replace("\0", "") if isinstance(text, str) and "\0" in text else text for text in texts
    ]


def _pairs(batch: pa.RecordBatch, name: str) -> list[list[tuple[str, Any]] | None]:
    """Pairs of name and value: a name may occur again (材质: 棉, 涤纶)."""
    column = batch.column(name)
    pair = pa.struct([("key", column.type.key_type), ("value", column.type.item_type)])
    column = column.cast(pa.list_(pair))  # a map cannot be flattened
    entries = column.flatten()
    names = _clean(entries.field(0).to_pylist())
    values = _clean(entries.field(1).to_pylist())
    return [
        None if part is None else list(zip(names[slice(*part)], values[slice(*part)], strict=True))
        for part in list_slices(column)
    ]


def _tags(batch: pa.RecordBatch) -> list[list[str] | None]:
    column = batch.column("tags")
    tags = _clean(column.flatten().to_pylist())
    return [None if part is None else tags[slice(*part)] for part in list_slices(column)]
