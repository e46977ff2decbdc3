"""What the tests of this folder share: reading a source whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagmill.catalog import Catalog, open_catalog
from tagmill.records import PRODUCT_SCHEMA


def products(catalog: Catalog) -> list[dict[str, Any]]:
    """All products as dicts; each batch is checked for its schema."""
    found: list[dict[str, Any]] = []
    for batch in catalog:
        assert isinstance(batch, pa.RecordBatch)
        assert batch.schema.equals(PRODUCT_SCHEMA)
        batch.validate(full=True)
        found.extend(batch.to_pylist())
    return found


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:  # noqa: ANN401
    """Products and rejects of a file."""
    rejects = path.parent / "out.rejects.jsonl"
    catalog = open_catalog(str(path), rejects=rejects, **options)
    found = products(catalog)
    bad = []
    if rejects.exists():
        bad = [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]
    assert catalog.counts.read == len(found) + len(bad)
    assert catalog.counts.rejected == len(bad)
    return found, bad
