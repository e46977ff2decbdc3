"""How soon search finds what was just stored, in a real SQLite store of a million products.

    python benchmarks/freshness.py [--products 1000000]

The products are those of recommendation_speed.py. A product is stored, or one there is gets another
title, and the next search must find it: seconds of storing and of that search, which brings the
index up to date. Goal: found within a second. The first search after that has nothing to do.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from recommendation_speed import filled_store
from results import keep, machine
from search_speed import percentiles

from tagmill.discover import open_search
from tagmill.records import PRODUCT_SCHEMA
from tagmill.store import Store

_CHANGES = 60


def measure(store: Store, folder: Path, ids: list[str]) -> dict[str, Any]:
    started = time.perf_counter()
    search = open_search(store, folder)
    search.search("4K")
    report: dict[str, Any] = {"build_seconds": round(time.perf_counter() - started, 1)}
    stored, found, again = [], [], []
    for number in range(_CHANGES):
        known = ids[number * len(ids) // _CHANGES]
        product = known if number % 2 else f"new-{number}"
        word = f"quixotic{number}"
        row = {"id": product, "title": f"{word} dress", "tags": ["品类:连衣裙"]}
        before = time.perf_counter()
        store.products.upsert(pa.RecordBatch.from_pylist([row], schema=PRODUCT_SCHEMA))
        between = time.perf_counter()
        hits = search.search(word).hits
        after = time.perf_counter()
        if [hit.id for hit in hits] != [product]:
            raise RuntimeError(f"{product} was not found: {hits}")
        search.search(word)
        stored.append(between - before)
        found.append(after - between)
        again.append(time.perf_counter() - after)
    report["stored"] = percentiles(stored)
    report["found"] = percentiles(found)
    report["next_search"] = percentiles(again)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1_000_000)
    count = parser.parse_args().products
    with filled_store(count) as (store, folder, ids, _):
        report = {"products": count, **measure(store, folder / "search", ids)}
    print(json.dumps(report, indent=1), machine())
    keep("freshness", str(count), report, is_quick=count < 1_000_000)


if __name__ == "__main__":
    main()
