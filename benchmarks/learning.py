"""Learning from verdicts without training anew: `python benchmarks/bench.py learning`.

A model of half of the training products meets the other half as a stream. After each thousand
verdicts it is updated, and its micro-F1 on test stands beside that of a model trained anew on all
that was said so far.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import results
from data import Product, TextSet, load_set

import tagmill
from tagmill.catalog import as_batches
from tagmill.learning import train
from tagmill.learning.updating import Verdict, update

if TYPE_CHECKING:
    from tagmill.tagging.model import Model

STEP = 1_000  # verdicts between two updates
STEPS, QUICK_STEPS = 10, 2


def run(sets: list[str], *, is_quick: bool) -> None:
    """Simulate the stream of each set."""
    for name in sets:
        steps = simulate(load_set(name), QUICK_STEPS if is_quick else STEPS)
        results.keep("learning", name, {"step": STEP, "steps": steps}, is_quick=is_quick)


def simulate(products: TextSet, steps: int) -> list[dict[str, Any]]:
    """After each step: verdicts so far, seconds and micro-F1 of updating and of training anew."""
    half = len(products.train) // 2
    start, stream = products.train[:half], products.train[half:]
    model = tagmill.train(start)
    report = [{"verdicts": 0, "updated_micro_f1": micro_f1(model, products.test)}]
    said: list[Verdict] = []
    for batch in _in_steps(verdicts_of(model, stream), steps):
        said += batch
        began = time.perf_counter()
        model = update(model, batch)
        updated = time.perf_counter()
        anew = train_anew(model, start, said)
        report.append(
            {
                "verdicts": len(said),
                "update_seconds": updated - began,
                "updated_micro_f1": micro_f1(model, products.test),
                "train_seconds": time.perf_counter() - updated,
                "trained_micro_f1": micro_f1(anew, products.test),
            }
        )
        print(f"  {report[-1]}", flush=True)
    return report


def verdicts_of(model: Model, stream: Sequence[Product]) -> Iterator[Verdict]:
    """What a reviewer says: each shown tag right or wrong, and each missing one added."""
    for product in stream:
        shown = {k: v for k, v in product.items() if k != "tags"}
        found = [model.library.find(tag) for tag in product["tags"]]
        gold = {tag.id for tag in found if tag}
        suggested = {tag["id"] for tag in model.tag([shown])[0]["tags"]}
        for tag_id in sorted(suggested | gold):
            yield Verdict(shown, tag_id, tag_id in gold)


def train_anew(model: Model, start: Sequence[Product], said: Sequence[Verdict]) -> Model:
    """A model of the first products and of all verdicts."""
    judged: dict[str, dict[str, bool]] = {}
    seen: dict[str, Product] = {}
    for verdict in said:
        identifier = verdict.product["id"]
        seen[identifier] = dict(verdict.product)
        judged.setdefault(identifier, {})[verdict.tag] = verdict.accepted
    return train(as_batches([*start, *seen.values()]), model.library, verdicts=judged)


def micro_f1(model: Model, test: Sequence[Product]) -> float:
    """Of the published sets of the test products."""
    return float(tagmill.evaluate(model, test)["micro_f1"])


def _in_steps(verdicts: Iterator[Verdict], steps: int) -> Iterator[list[Verdict]]:
    for _ in range(steps):
        batch = [verdict for verdict, _ in zip(verdicts, range(STEP), strict=False)]
        if len(batch) < STEP:
            return
        yield batch
