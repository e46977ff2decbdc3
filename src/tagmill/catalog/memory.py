"""Products that are already in memory: dicts, Arrow, pandas and polars frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import pyarrow as pa

from tagmill.catalog.columns import FIELDS, Columns, choose_columns
from tagmill.catalog.rows import Chunk, ProductChecker, Reject, chunk_of_batch
from tagmill.catalog.values import shown
from tagmill.errors import CatalogError
from tagmill.records import PRODUCT_SCHEMA

__all__ = ["Products", "as_batches", "products_to_batch"]

# Dicts, Arrow batches, and tables and frames of any library that speaks Arrow's PyCapsule protocol.
Products: TypeAlias = Iterable[Mapping[str, Any]] | Any

_WHERE = "The table of products"
_FIX = "Rename the column ", "'{column}' to '{field}'", ", "
_TAKEN = "dicts, Arrow tables or batches, pandas and polars frames"


def as_batches(products: Products, batch_size: int = 4096) -> Iterator[pa.RecordBatch]:
    """Batches of PRODUCT_SCHEMA of dicts, Arrow tables or batches, a pandas or polars frame.

    Raises CatalogError for the first row that is no product; its `row` counts from 1.
    """
    checker: ProductChecker | None = None
    for chunk, names in _chunks(products, batch_size):
        if checker is None:
            # Dicts may each have other keys: what one lacks is wrong with that row, not with all.
            named = {name: name for name in FIELDS}
            columns = choose_columns(_WHERE, names, {}, fix=_FIX) if names else Columns(named)
            checker = ProductChecker(columns)
        batch, rejects, _, unread = checker.check(chunk)
        if bad := [*rejects, *unread]:
            raise _error(bad[0])
        if batch.num_rows:
            yield batch


def products_to_batch(products: Products) -> pa.RecordBatch:
    """All products as one batch of PRODUCT_SCHEMA; CatalogError as `as_batches`."""
    batches = list(as_batches(products))
    if not batches:
        return pa.RecordBatch.from_pylist([], schema=PRODUCT_SCHEMA)
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _error(reject: Reject) -> CatalogError:
    return CatalogError(
        f"Product {reject.line} cannot be used: {reject.reason}. It is {shown(reject.row)}",
        row=reject.line,
    )


def _chunks(products: Products, size: int) -> Iterator[tuple[Chunk, list[str]]]:
    """(chunk, its column names); no names for dicts."""
    tables, rest = _tables_first(products)
    first = 1
    for table in tables:
        for start in range(0, table.num_rows, size):
            part = table.slice(start, size)
            yield chunk_of_batch(part, first), table.schema.names
            first += part.num_rows
    while rows := list(itertools.islice(rest, size)):
        yield _chunk_of_rows(rows, first), []
        first += len(rows)


def _tables_first(products: Products) -> tuple[Iterator[pa.RecordBatch], Iterator[object]]:
    """Arrow batches, or else rows: one of the two is empty."""
    if (batches := _arrow(products)) is not None:
        return batches, iter(())
    if isinstance(products, Mapping | str | bytes) or not isinstance(products, Iterable):
        raise CatalogError(
            f"Products cannot be read from a single {type(products).__name__}. Give {_TAKEN}"
        )
    rows = iter(products)
    first = list(itertools.islice(rows, 1))
    if first and _arrow(first[0]) is not None:
        every = itertools.chain(first, rows)
        return (batch for item in every for batch in _arrow(item) or ()), iter(())
    return iter(()), itertools.chain(first, rows)


def _arrow(value: object) -> Iterator[pa.RecordBatch] | None:
    """The Arrow batches of a table, batch or frame; None for anything else."""
    if isinstance(value, pa.RecordBatch):
        return iter((value,))
    if hasattr(value, "to_arrow") and not hasattr(value, "__arrow_c_stream__"):
        value = value.to_arrow()
    if not hasattr(value, "__arrow_c_stream__"):
        return None
    try:
        batches: Iterator[pa.RecordBatch] = iter(pa.RecordBatchReader.from_stream(value))
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = "; ".join(str(part) for part in error.args)
        raise CatalogError(
            f"The {type(value).__name__} cannot be turned into Arrow: {reason}. "
            "Give each column one type"
        ) from error
    return batches


def _chunk_of_rows(rows: list[object], first: int) -> Chunk:
    for number, row in enumerate(rows, start=first):
        if not isinstance(row, Mapping):
            raise CatalogError(
                f"Product {number} is {shown(row)}, not a dict. Give {_TAKEN}", row=number
            )
    dicts = [row for row in rows if isinstance(row, Mapping)]
    names = set().union(*dicts)
    return Chunk(
        {name: [row.get(name) for row in dicts] for name in FIELDS if name in names},
        range(first, first + len(rows)),
        dicts.__getitem__,
    )
