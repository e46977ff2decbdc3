"""What lists that do not repeat themselves cost: `python benchmarks/bench.py diversity`.

The published lists of the test products as they are, and with `diverse`: facets and tags per
product, the share of tags that say nothing new, micro-F1.
"""

from __future__ import annotations

import results
from data import load_set

import tagmill


def run(sets: list[str], *, is_quick: bool) -> None:
    """Measure each set and store it under its name."""
    for name in sets:
        products = load_set(name)
        report = tagmill.evaluate(tagmill.train(products.train), products.test)
        usual = {**report["diversity"], "micro_f1": report["micro_f1"]}
        diverse = usual.pop("diverse")
        results.keep("diversity", name, {"usual": usual, "diverse": diverse}, is_quick=is_quick)
        print(f"  {name}: {usual} {diverse}", flush=True)
