"""End-to-end speed and memory of `tagmill tag`: Parquet and JSON Lines in and out.

    python benchmarks/tag_speed.py [--set en_fashion_styles] [--rows 100000]

Titles of the set are repeated, two words of each swapped, up to the number of rows.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from data import bench_data


def perturbed(titles: list[str], rows: int) -> list[str]:
    rng = random.Random(0)
    out = []
    for number in range(rows):
        words = titles[number % len(titles)].split()
        if len(words) > 1:
            i, j = rng.randrange(len(words)), rng.randrange(len(words))
            words[i], words[j] = words[j], words[i]
        out.append(" ".join(words))
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", default="en_fashion_styles")
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    train = bench_data() / options.set / "train.jsonl"
    titles = [json.loads(line)["title"] for line in train.read_text("utf-8").splitlines()]
    tagmill = str(Path(sys.executable).with_name("tagmill"))
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/model"
        subprocess.run([tagmill, "train", "--from", str(train), "-o", model], check=True)
        ids = [str(number) for number in range(options.rows)]
        table = pa.table({"id": ids, "title": perturbed(titles, options.rows)})
        pq.write_table(table, f"{folder}/in.parquet")
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
        Path(f"{folder}/in.jsonl").write_text("".join(lines), "utf-8")
        subprocess.run([tagmill, "tag", "--text", "warm", "--model", model], check=True)
        for ending in ("parquet", "jsonl"):
            files = [f"{folder}/in.{ending}", "--model", model, "-o", f"{folder}/out.{ending}"]
            started = time.perf_counter()
            subprocess.run([tagmill, "tag", *files], check=True)
            seconds = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(
                f"{options.set} {ending}: {options.rows:,} products in {seconds:.1f} s, "
                f"{options.rows / seconds:,.0f}/s, peak memory so far {peak:,.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
