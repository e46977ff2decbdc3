"""How speed and size grow with tags and training rows: `python benchmarks/bench.py growth`.

Synthetic catalogues (`data.synthetic_products`). Products/s are those of `Model.tag_batch` in this
process after warming up, without reading and writing. Bytes touched are those of the postings of
the linear index that a product's features reach.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import results
from data import english_titles, perturbed, synthetic_products, tag_names, write_products
from processes import TAGMILL, all_cores, folder_mb, run_measured

import tagmill
from tagmill.catalog import as_batches
from tagmill.tagging.features import extract
from tagmill.tagging.output import Selection

if TYPE_CHECKING:
    from tagmill.tagging.model import Model

ROWS, ROWS_PER_TAG = 5_000, 0.5  # while the tags grow; 100,000 tags need more rows to occur at all
BY_TAGS = (100, 1_000, 10_000, 100_000)
BY_ROWS = (1_250, 20_000)  # beside the 5,000 above
QUICK_BY_TAGS, QUICK_BY_ROWS, QUICK_ROWS = (100, 1_000), (1_000,), 2_000
TAGS = 1_000  # while the rows grow


def run(sets: list[str], *, is_quick: bool) -> None:
    """Grow the tags, then the rows."""
    bandwidth = memory_bandwidth()
    results.keep("growth", "memory", {"bytes_per_second": bandwidth}, is_quick=is_quick)
    rows = QUICK_ROWS if is_quick else ROWS
    for tags in QUICK_BY_TAGS if is_quick else BY_TAGS:
        # The table says how many of the tags occur.
        entry = measure(max(rows, int(tags * ROWS_PER_TAG)), tags, bandwidth)
        results.keep("growth", f"tags {tags}", entry, is_quick=is_quick)
    for count in QUICK_BY_ROWS if is_quick else BY_ROWS:
        entry = measure(count, TAGS, bandwidth)
        results.keep("growth", f"rows {count}", entry, is_quick=is_quick)


def memory_bandwidth(size: int = 1 << 28, tries: int = 5) -> float:
    """Bytes/s of copying an array in one thread, reading and writing counted."""
    source, goal = np.ones(size, np.uint8), np.empty(size, np.uint8)
    best = 0.0
    for _ in range(tries):
        start = time.perf_counter()
        np.copyto(goal, source)
        best = max(best, 2 * size / (time.perf_counter() - start))
    return best


def measure(rows: int, tags: int, bandwidth: float) -> dict[str, Any]:
    """One catalogue trained, and 20,000 other titles tagged."""
    titles = perturbed(english_titles()[::-1], 20_000)
    inputs = [{"id": str(number), "title": title} for number, title in enumerate(titles)]
    batches = list(as_batches(inputs))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        products = synthetic_products(rows, tags)
        write_products(folder / "train.jsonl", products)
        command = [TAGMILL, "train", "--from", str(folder / "train.jsonl")]
        trained = run_measured([*command, "-o", str(folder / "model")])
        model = tagmill.load(folder / "model")
        touched = float(np.mean([bytes_touched(model, batch) for batch in batches]))
        rate = products_per_second(model, batches)
        size = folder_mb(folder / "model")
        del model
    entry = {
        "rows": rows,
        "tags": len(tag_names(products)),
        "asked_tags": tags,
        "train_seconds": trained.seconds,
        "train_peak_mb": trained.peak_mb,
        "model_mb": size,
        "products_per_second": rate,
        "bytes_per_product": touched,
        "bandwidth_share": touched * rate / bandwidth,
        "cores": all_cores(),
    }
    print(f"  {entry}", flush=True)
    return entry


def bytes_touched(model: Model, batch: pa.RecordBatch) -> float:
    """Bytes of postings a product of the batch reaches, on average."""
    assert model.trained is not None
    linear, rows = model.trained.linear, extract(batch)
    words = np.diff(linear.indptr)[rows.indices].sum()
    return float(words * linear.postings.itemsize / batch.num_rows)


def products_per_second(model: Model, batches: list[pa.RecordBatch]) -> float:
    """The whole hot path on batches already in memory."""
    selection = Selection()
    model.tag_batch(batches[0], selection)
    start = time.perf_counter()
    for batch in batches:
        model.tag_batch(batch, selection)
    seconds = time.perf_counter() - start
    return float(sum(batch.num_rows for batch in batches) / seconds)
