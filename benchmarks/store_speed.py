"""How fast products and their tags are stored: products/s of upsert, of assignments, of reading.

    python benchmarks/store_speed.py                      # SQLite in a temporary folder
    python benchmarks/store_speed.py --url postgresql+psycopg://user@host/empty_database

The goal is 5,000 products/s into SQLite for both upsert and assignments together.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from tagmill.records import PRODUCT_SCHEMA, TAGGED_SCHEMA, Tag, tag_id
from tagmill.store import Store, open_store

GOAL = 5_000
WORDS = (
    "高清", "液晶", "电视", "真丝", "连衣裙", "waterproof", "夏季", "不锈钢", "水壶", "智能",
    "cotton", "收纳", "儿童", "户外", "折叠", "轻薄",
)  # fmt: skip


def make_tags(count: int) -> list[Tag]:
    names = [(f"维度{number % 12}", f"标签{number}") for number in range(count)]
    return [Tag(tag_id(facet, name), facet, name) for facet, name in names]


def make_chunks(
    products: int, chunk: int, tags: list[Tag], per_product: int
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Products of about 300 characters, tags with probability and one span of evidence."""
    rng = random.Random(7)
    for start in range(0, products, chunk):
        numbers = range(start, min(start + chunk, products))
        rows = []
        tagged = []
        for number in numbers:
            title = " ".join(rng.choices(WORDS, k=10))
            rows.append(
                {
                    "id": f"sku-{number * 7919 % 1_000_003:07}",
                    "title": title,
                    "description": " ".join(rng.choices(WORDS, k=60)),
                    "category": "家电/电视",
                    "attributes": [("材质", "不锈钢"), ("Color", "red"), ("规格", "1.7 L")],
                    "language": "zh-Hans",
                }
            )
            tagged.append(
                {"id": rows[-1]["id"], "tags": make_entries(rng, tags, per_product, title)}
            )
        yield (
            pa.RecordBatch.from_pylist(rows, schema=PRODUCT_SCHEMA),
            pa.RecordBatch.from_pylist(tagged, schema=TAGGED_SCHEMA),
        )


def make_entries(
    rng: random.Random, tags: list[Tag], count: int, title: str
) -> list[dict[str, object]]:
    probabilities = sorted((rng.random() for _ in range(count)), reverse=True)
    return [
        {
            "id": tag.id,
            "facet": tag.facet,
            "name": tag.name,
            "probability": probability,
            "calibration": "fitted",
            "lane": "auto" if probability > 0.8 else "review",
            "evidence": [{"field": "title", "start": 0, "end": 2, "text": title[:2]}],
        }
        for tag, probability in zip(rng.sample(tags, count), probabilities, strict=True)
    ]


def measure(store: Store, products: int, chunk: int, per_product: int) -> None:
    tags = make_tags(1000)
    store.library.save(tags)
    run = store.runs.start("tag", "benchmark")
    upsert_seconds = write_seconds = 0.0
    for batch, tagged in make_chunks(products, chunk, tags, per_product):
        start = time.perf_counter()
        store.products.upsert(batch)
        middle = time.perf_counter()
        store.assignments.write(run, batch, tagged, "model")
        upsert_seconds += middle - start
        write_seconds += time.perf_counter() - middle
    store.runs.finish(run)
    both = products / (upsert_seconds + write_seconds)
    print(f"{products:,} products, {per_product} tags each, in chunks of {chunk:,}")
    print(f"upsert                {products / upsert_seconds:>10,.0f} products/s")
    print(f"assignments           {products / write_seconds:>10,.0f} products/s")
    print(f"upsert + assignments  {both:>10,.0f} products/s  (goal {GOAL:,})")
    report("pending", products, lambda: sum(1 for _ in store.products.pending("other")))
    report("export", products, lambda: sum(1 for _ in store.assignments.export()))
    report("review queue", products, lambda: store.review.queue(20))
    report("undo", products, lambda: store.runs.undo(run.id))


def report(name: str, products: int, work: Callable[[], object]) -> None:
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    print(f"{name:<22}{products / seconds:>10,.0f} products/s  ({seconds:.2f} s)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="an empty database; default: SQLite in a temporary folder")
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--tags", type=int, default=6)
    parser.add_argument("--chunk", type=int, default=2048)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{Path(folder) / 'store.db'}"
        with open_store(url, create=True) as store:
            measure(store, options.products, options.chunk, options.tags)
        if options.url is None:
            size = (Path(folder) / "store.db").stat().st_size
            print(f"database              {size / options.products:>10,.0f} bytes a product")


if __name__ == "__main__":
    main()
