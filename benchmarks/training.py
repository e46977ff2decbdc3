"""Seconds and memory of training: `python benchmarks/bench.py training`.

Whole commands on all cores, one after the other on the same file: reading, features, model.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import results
from data import Product, load_set, random_rows, synthetic_products, write_products
from processes import PYTHON, TAGMILL, folder_mb, run_measured

QUICK_ROWS = 3_000
LARGE_ROWS, LARGE_TAGS = 1_000_000, 5_000


def run(sets: list[str], *, is_quick: bool) -> None:
    """tagmill beside omikuji Parabel; in full, tagmill on a million rows too."""
    products = load_set("en_implicit_attributes").train
    products = random_rows(products, QUICK_ROWS) if is_quick else products
    entry = compare(products, peer=True)
    results.keep("training", "en_implicit_attributes", entry, is_quick=is_quick)
    if not is_quick:
        entry = compare(synthetic_products(LARGE_ROWS, LARGE_TAGS), peer=False)
        results.keep("training", "synthetic", entry, is_quick=is_quick)


def compare(products: list[Product], *, peer: bool) -> dict[str, Any]:
    """What training on these products costs."""
    tags = len({tag for product in products for tag in product["tags"]})
    entry: dict[str, Any] = {"rows": len(products), "tags": tags}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, model = folder / "train.jsonl", folder / "model"
        write_products(train, products)
        products.clear()  # the commands need the memory
        done = run_measured([TAGMILL, "train", "--from", str(train), "-o", str(model)])
        entry["tagmill"] = {"seconds": done.seconds, "peak_mb": done.peak_mb}
        entry["model_mb"] = folder_mb(model)
        print(f"  tagmill: {entry}", flush=True)
        if peer:
            script = str(Path(__file__).with_name("tag_with.py"))
            done = run_measured([PYTHON, script, "omikuji Parabel", str(train)])
            entry["omikuji Parabel"] = {"seconds": done.seconds, "peak_mb": done.peak_mb}
            print(f"  omikuji Parabel: {entry['omikuji Parabel']}", flush=True)
    return entry
