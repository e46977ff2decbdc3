"""A catalogue of a million rows read in bounded memory: rows a second and peak RSS.

    python benchmarks/catalog_memory.py [--rows 1000000]

Writes a CSV, a JSON Lines and a Parquet file into a temporary folder and reads each through
`open_catalog` in a process of its own. Beside them stands a file of a tenth of the rows: what the
big one needs more than that is what grows with the rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_COLOURS = {"红色": "red", "黑色": "black", "米白色": "off-white", "雾霾蓝": "haze blue"}
_MATERIALS = {"纯棉": "cotton", "羊毛": "wool", "真丝": "silk", "亚麻": "linen"}
_THINGS = {"连衣裙": "dress", "衬衫": "shirt", "风衣": "trench coat", "半身裙": "skirt"}
_ENDINGS = ("csv", "jsonl", "parquet")
_PART = 10_000


def rows(count: int) -> Iterator[dict[str, object]]:
    """Products as a shop might have them, two thirds Chinese, one in five with HTML."""
    chance = random.Random(0)
    for number in range(count):
        colour, material, thing = (
            chance.choice(list(words.items())) for words in (_COLOURS, _MATERIALS, _THINGS)
        )
        chinese = chance.random() < 2 / 3
        side = 0 if chinese else 1
        words = (colour[side], material[side], thing[side])
        joined = "".join(words) if chinese else " ".join(words)
        description = f"{joined}，第{number}款" if chinese else f"A {joined}, model {number}"
        if number % 5 == 0:
            description = f"<p>{description}</p><ul><li>{words[0]}</li></ul>"
        yield {
            "id": f"sku-{number}",
            "title": f"{joined} {number % 997}",
            "description": description,
            "category": words[2],
            "attributes": f"颜色：{words[0]}" if chinese else f"Color: {words[0]}",
            "tags": [f"颜色:{colour[0]}", f"材质:{material[0]}"] if number % 2 else None,
        }


def write(folder: Path, count: int) -> None:
    """The same rows as `count.csv`, `count.jsonl` and `count.parquet`."""
    text = pa.string()
    schema = pa.schema(
        [(name, text) for name in ("id", "title", "description", "category", "attributes")]
        + [("tags", pa.list_(text))]
    )
    with (
        (folder / f"{count}.csv").open("w", encoding="utf-8", newline="") as csv_file,
        (folder / f"{count}.jsonl").open("w", encoding="utf-8") as lines,
        pq.ParquetWriter(folder / f"{count}.parquet", schema) as parquet,
    ):
        table = csv.writer(csv_file)
        table.writerow(schema.names)
        waiting = []
        for row in rows(count):
            cells = list(row.values())
            tags = cells.pop()
            table.writerow([*cells, "|".join(tags) if isinstance(tags, list) else ""])
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            waiting.append(row)
            if len(waiting) == _PART:
                parquet.write_batch(pa.RecordBatch.from_pylist(waiting, schema))
                waiting = []
        parquet.write_batch(pa.RecordBatch.from_pylist(waiting, schema))


def read(path: str) -> tuple[int, float, float]:
    """(products, seconds, peak RSS in MB) of one reading; for a process of its own."""
    from tagmill.catalog import open_catalog

    start = time.perf_counter()
    count = sum(batch.num_rows for batch in open_catalog(path))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return count, seconds, peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in (count // 10, count):
            write(folder, size)
        print(f"{'file':<10} {'rows':>10} {'MB':>7} {'rows/s':>9} {'peak RSS MB':>12}")
        for ending in _ENDINGS:
            for size in (count // 10, count):
                path = folder / f"{size}.{ending}"
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    found, seconds, peak = pool.apply(read, (str(path),))
                assert found == size, (found, size)
                megabytes = path.stat().st_size / 1e6
                rate = found / seconds
                print(f"{ending:<10} {found:>10,} {megabytes:>7.0f} {rate:>9,.0f} {peak:>12.0f}")


if __name__ == "__main__":
    main()
