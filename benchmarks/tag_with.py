"""A peer end to end, for a process of its own: train, read Parquet, tag, write Parquet.

    python benchmarks/tag_with.py PEER TRAIN.jsonl [IN.parquet OUT.parquet --cores 1 2]

Prints JSON: seconds of training, and products/s of tagging at each number of cores.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data import label_matrix, read_products, tag_names, text_of
from peers import PEERS, Matrix, Peer

_CHUNK = 4096
_TOP = 10


def tag_file(peer: Peer, names: Sequence[str], source: str, goal: str) -> int:
    """Tag a Parquet file with each product's ten best; how many products it held."""
    rows = 0
    written = np.array(names, object)
    schema = pa.schema([("id", pa.string()), ("tags", pa.list_(pa.string()))])
    with pq.ParquetWriter(goal, schema) as writer:
        for batch in pq.ParquetFile(source).iter_batches(_CHUNK):
            texts = [title.lower() for title in batch.column("title").to_pylist()]
            scores = peer.scores(texts)
            tags = [_best(scores, row, written) for row in range(len(texts))]
            writer.write_batch(
                pa.RecordBatch.from_arrays(
                    [batch.column("id"), pa.array(tags, pa.list_(pa.string()))], schema=schema
                )
            )
            rows += len(texts)
    return rows


def _best(scores: Matrix, row: int, names: np.ndarray) -> list[str]:
    part = slice(scores.indptr[row], scores.indptr[row + 1])
    best = np.argsort(-scores.data[part])[:_TOP]
    return list(names[scores.indices[part][best]])


def keep_to(cores: int) -> None:
    """Hold every thread of this process, those of native code too, to so many cores."""
    allowed = sorted(os.sched_getaffinity(os.getppid()))[:cores]
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), allowed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=list(PEERS))
    parser.add_argument("train", type=Path)
    parser.add_argument("files", nargs="*", help="IN.parquet OUT.parquet")
    parser.add_argument("--cores", type=int, nargs="*", default=[1])
    options = parser.parse_args()
    products = read_products(options.train)
    names = tag_names(products)
    start = time.perf_counter()
    peer = PEERS[options.peer](names)
    peer.fit([text_of(product) for product in products], label_matrix(products, names))
    report: dict[str, object] = {"train_seconds": time.perf_counter() - start}
    if options.files:
        rates = {}
        for cores in options.cores:
            keep_to(cores)
            start = time.perf_counter()
            rows = tag_file(peer, names, *options.files)
            rates[cores] = rows / (time.perf_counter() - start)
        report["products_per_second"] = rates
    print(json.dumps(report))


if __name__ == "__main__":
    main()
