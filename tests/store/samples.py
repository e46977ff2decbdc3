"""Products, tags and tagged batches for the tests of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tagmill.records import PRODUCT_SCHEMA, TAGGED_SCHEMA, Facet, Tag, TagStatus, tag_id
from tagmill.store import Run, Store

FACETS = [
    Facet("颜色", {"zh": "颜色", "en": "Color"}),
    Facet("材质", {"zh": "材质", "en": "Material"}),
]


def make_tag(
    facet: str,
    name: str,
    english: str = "",
    *,
    aliases: tuple[str, ...] = (),
    status: TagStatus = "active",
    merged_into: str | None = None,
) -> Tag:
    names = {"zh": name, "en": english} if english else {}
    return Tag(
        tag_id(facet, name),
        facet,
        name,
        names,
        aliases,
        status=status,
        merged_into=merged_into,
    )


RED = make_tag("颜色", "红色", "Red", aliases=("正红",))
BLUE = make_tag("颜色", "蓝色", "Blue")
SILK = make_tag("材质", "真丝", "Silk")
TAGS = [RED, BLUE, SILK]


def product(product_id: str, title: str = "红色真丝连衣裙", **fields: object) -> dict[str, Any]:
    return {"id": product_id, "title": title, "language": "zh-Hans", **fields}


def product_batch(*rows: Mapping[str, Any]) -> pa.RecordBatch:
    filled = [
        {
            **row,
            **{
                name: list(row[name].items()) if row.get(name) else None
                for name in ("attributes", "numbers")
            },
        }
        for row in rows
    ]
    return pa.RecordBatch.from_pylist(filled, schema=PRODUCT_SCHEMA)


def entry(
    tag: Tag, probability: float, lane: str = "review", evidence: list[Any] | None = None
) -> dict[str, Any]:
    return {
        "id": tag.id,
        "facet": tag.facet,
        "name": tag.name,
        "probability": probability,
        "calibration": "fitted",
        "lane": lane,
        "evidence": evidence,
    }


def tagged_batch(tags: Mapping[str, Sequence[dict[str, Any]]]) -> pa.RecordBatch:
    rows = [{"id": product_id, "tags": list(entries)} for product_id, entries in tags.items()]
    return pa.RecordBatch.from_pylist(rows, schema=TAGGED_SCHEMA)


def fill(store: Store, *product_ids: str) -> None:
    """Save the library and these products."""
    store.library.save(TAGS, FACETS, kind="import")
    store.products.upsert(product_batch(*(product(product_id) for product_id in product_ids)))


def write(
    store: Store, run: Run, tags: Mapping[str, Sequence[dict[str, Any]]], origin: str = "model"
) -> None:
    """Store the tags of products as they are in the store."""
    rows = []
    for product_id in tags:
        row = store.products.get(product_id)
        assert row is not None
        rows.append({name: row[name] for name in PRODUCT_SCHEMA.names})
    store.assignments.write(run, product_batch(*rows), tagged_batch(tags), origin)


def tag_run(
    store: Store,
    tags: Mapping[str, Sequence[dict[str, Any]]],
    signature: str = "first",
) -> Run:
    """A finished run that gave these tags."""
    run = store.runs.start("tag", signature)
    write(store, run, tags)
    return store.runs.finish(run)


def names(store: Store, product_id: str) -> list[str]:
    """The current tag names of a product."""
    (row,) = store.assignments.current([product_id]).to_pylist()
    return [tag["name"] for tag in row["tags"]]


def pending_ids(store: Store, signature: str) -> list[str]:
    return [
        product_id
        for batch in store.products.pending(signature, batch_size=2)
        for product_id in batch.column("id").to_pylist()
    ]
