"""Products that come with some of their fields, completed from those the store has.

A column that a source does not have, or a name that a line of JSON lacks, says nothing: what is
stored stays. An empty cell, or null, says that there is nothing.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tagmill.catalog.languages import languages_of
from tagmill.catalog.rows import Given
from tagmill.records import PRODUCT_SCHEMA

__all__ = ["complete"]

Mask: TypeAlias = npt.NDArray[np.bool_]
Places: TypeAlias = npt.NDArray[np.int64]
Pairs: TypeAlias = list[tuple[str, Any]]


def complete(batch: pa.RecordBatch, given: Given, stored: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of `PRODUCT_SCHEMA` with the fields its products did not come with, of the `stored`
    products of their ids. Tags are left to the store, which keeps them where there are none."""
    found = pc.index_in(batch.column("id"), stored.column("id"))
    known = np.asarray(found.is_valid())
    if not known.any():
        return batch
    places = np.asarray(found.fill_null(0), np.int64)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name in ("title", "description", "category", "image"):
        lacking = known & given.lacking(name)
        columns[name] = _filled(columns[name], stored.column(name), lacking, places)
    for kind in ("attributes", "numbers"):
        columns[kind] = _with_pairs(kind, columns[kind], stored.column(kind), given, known, places)
    lacking = known & given.lacking("language")
    columns["language"] = _languages(columns, stored, lacking, places)
    told = given.lacking("title") | given.lacking("description")
    columns["language"] = _told(batch, columns, known & told & ~lacking)
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=PRODUCT_SCHEMA)


def _filled(own: pa.Array, stored: pa.Array, lacking: Mask, places: Places) -> pa.Array:
    """The values, of a row that lacks its own the stored one at its place."""
    if not lacking.any():
        return own
    chosen = np.where(lacking, len(own) + places, np.arange(len(own)))
    return pa.concat_arrays([own, stored]).take(pa.array(chosen))


def _with_pairs(
    kind: str, own: pa.MapArray, stored: pa.MapArray, given: Given, known: Mask, places: Places
) -> pa.MapArray:
    """Attributes or numbers: all that are stored, or those without a column of their own."""
    lacking = known & given.lacking(kind)
    filled = _filled(own, stored, lacking, places)
    named = [
        {one.partition(".")[2] for one in s if one.startswith(f"{kind}.")} for s in given.shapes
    ]
    partly = lacking & np.array([bool(names) for names in named])[given.codes]
    if not partly.any():
        return filled
    rows = np.flatnonzero(partly)
    mine, before = (pairs.take(pa.array(rows)).to_pylist() for pairs in (own, filled))
    merged = [
        _merged(old or [], new or [], named[code]) or None
        for old, new, code in zip(before, mine, given.codes[rows].tolist(), strict=True)
    ]
    order = np.cumsum(partly) - 1
    return _filled(filled, pa.array(merged, own.type), partly, order)


def _merged(old: Pairs, new: Pairs, named: set[str]) -> Pairs:
    """The old pairs, where each name that is given anew has the new values, in its old place."""
    values = {name: [pair for pair in new if pair[0] == name] for name in named}
    merged: Pairs = []
    for pair in old:
        merged += values.pop(pair[0], []) if pair[0] in named else [pair]
    return merged + [pair for pair in new if pair[0] in values]


def _languages(
    columns: dict[str, pa.Array], stored: pa.RecordBatch, lacking: Mask, places: Places
) -> pa.StringArray:
    """The languages: a stored one stays where the texts did, or where it is not what they tell,
    so that somebody gave it; else the new texts tell it."""
    filled = _filled(columns["language"], stored.column("language"), lacking, places)
    before = stored.take(pa.array(places))
    changed = lacking & ~(
        _same(columns["title"], before.column("title"))
        & _same(columns["description"], before.column("description"))
    )
    if not changed.any():
        return filled
    rows = pa.array(np.flatnonzero(changed))
    nothing = pa.nulls(len(rows), pa.string())
    old, kept = before.take(rows), filled.take(rows)
    told = languages_of(nothing, old.column("title"), old.column("description"))
    new = languages_of(nothing, columns["title"].take(rows), columns["description"].take(rows))
    new = pc.if_else(pc.fill_null(pc.not_equal(kept, told), False), kept, new)
    return _filled(filled, new, changed, np.cumsum(changed) - 1)


def _told(own: pa.RecordBatch, columns: dict[str, pa.Array], partly: Mask) -> pa.StringArray:
    """The languages: of products with an empty one and part of their texts, what all texts tell."""
    if not partly.any():
        return columns["language"]
    rows = pa.array(np.flatnonzero(partly))
    nothing = pa.nulls(len(rows), pa.string())
    part = own.take(rows)
    before = languages_of(nothing, part.column("title"), part.column("description"))
    new = languages_of(nothing, columns["title"].take(rows), columns["description"].take(rows))
    new = pc.if_else(pc.equal(part.column("language"), before), new, part.column("language"))
    return _filled(columns["language"], new, partly, np.cumsum(partly) - 1)


def _same(one: pa.StringArray, other: pa.StringArray) -> Mask:
    return np.asarray(pc.equal(pc.fill_null(one, ""), pc.fill_null(other, "")))
