"""Whom to ask for labels: `python benchmarks/bench.py distil`.

People have tagged a thousand products; the others are a pool. A simulated teacher labels the pairs
that `tagmill distil` would ask about, out of gold with noise (yes to a gold tag with chance RECALL,
to a wrong one with chance FALSE_ALARMS, decided by a hash of product and tag). The same student
learns from people's products and from so many that `distil` chose, in its rounds, or from as many
picked at random, or from the teacher's labels for the whole pool; micro-F1 is on test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import results
from data import Product, load_set, random_rows
from routing import FALSE_ALARMS, RECALL

import tagmill
from tagmill.catalog import as_batches
from tagmill.learning import evaluate
from tagmill.learning.distil import ROUNDS, distil
from tagmill.learning.training import train as train_on
from tagmill.tagging.llm import Opinions, PairAnswer
from tagmill.tagging.llm_fusion import LlmFusion

if TYPE_CHECKING:
    from tagmill.tagging.llm import Consultant
    from tagmill.tagging.model import Model

PEOPLE, QUICK_PEOPLE = 1000, 300
CHOSEN, QUICK_CHOSEN = 5000, 300


class Teacher:
    """Stands in for a `Consultant`: its answers about pairs are gold with noise."""

    propose = SimpleNamespace(model=SimpleNamespace(name="simulated"))
    prompts = ""

    def __init__(self, gold: Mapping[str, set[str]]) -> None:
        self._gold = gold  # tag ids by product id
        self.asked: set[str] = set()

    def fusion(self, card: Mapping[str, Any]) -> LlmFusion:
        """The prior: nothing was fitted with it."""
        return LlmFusion.of_card(card, self.propose.model.name, self.prompts)

    def consult(
        self,
        batch: pa.RecordBatch,
        candidates: Mapping[int, Sequence[tuple[str, float]]],
        families: Mapping[tuple[int, str], str],
    ) -> Opinions:
        """Answers about all candidates."""
        assert not families
        ids = batch.column("id").to_pylist()
        opinions = Opinions()
        for row, found in candidates.items():
            self.asked.add(ids[row])
            for tag_id, _ in found:
                right = tag_id in self._gold[ids[row]]
                chance = RECALL if right else FALSE_ALARMS
                digest = hashlib.sha256(f"{ids[row]} {tag_id}".encode()).digest()
                says = int.from_bytes(digest[:4], "big") / 2**32 < chance
                yes = 0.97 if says else 0.03
                opinions.pairs[row, tag_id] = PairAnswer(says, None, yes, measured=True)
        return opinions


def run(sets: list[str], *, is_quick: bool) -> None:
    """Measure each set and store it under its name."""
    for name in sets:
        products = load_set(name)
        people, count = (QUICK_PEOPLE, QUICK_CHOSEN) if is_quick else (PEOPLE, CHOSEN)
        results.keep("distil", name, measure(products.train, products.test, people, count),
                     is_quick=is_quick)  # fmt: skip


def measure(
    train: Sequence[Product], test: Sequence[Product], people: int, count: int
) -> dict[str, Any]:
    """micro-F1 by how the labels were come by."""
    tagged = random_rows(train, people)
    known = {product["id"] for product in tagged}
    pool = [product for product in train if product["id"] not in known]
    whole = tagmill.train(train)  # only for its library: every tag has a name
    library = whole.library
    start = train_on(as_batches(tagged), library)
    gold = {p["id"]: {tag.id for t in p["tags"] if (tag := library.find(t))} for p in train}
    entry: dict[str, Any] = {
        "people": people, "pool": len(pool), "gold": f1(whole, test), "start": f1(start, test),
        "arms": [],
    }  # fmt: skip
    print(f"  {entry}", flush=True)
    unlabelled = [{k: v for k, v in product.items() if k != "tags"} for product in pool]
    for how, size in (
        ("chosen", count), ("random", count), ("random", 2 * count), ("all", len(pool)),
    ):  # fmt: skip
        if size > len(pool):
            continue
        some = unlabelled if how == "chosen" else random_rows(unlabelled, size)
        rounds = ROUNDS if how == "chosen" else 1
        student = taught(start, tagged, some, gold, size, rounds)
        entry["arms"].append({"how": how, "labels": size, "micro_f1": f1(student, test)})
        print(f"  {entry['arms'][-1]}", flush=True)
    return entry


def f1(model: Model, test: Sequence[Product]) -> float:
    """micro-F1 on test."""
    return float(evaluate(model, as_batches(test))["micro_f1"])


def taught(
    model: Model,
    tagged: Sequence[Product],
    pool: Sequence[Product],
    gold: Mapping[str, set[str]],
    count: int,
    rounds: int = 1,
) -> Model:
    """The student of people's products and `count` of the pool, chosen in so many rounds."""
    teacher: Any = Teacher(gold)
    consultant: Consultant = teacher
    found = distil(
        model, consultant, lambda: as_batches(pool), lambda: as_batches(tagged), count=count,
        rounds=rounds,
    )  # fmt: skip
    return found.model
