"""Does the lane auto hold what it promises? `python benchmarks/bench.py lanes`.

Train and test are thrown together and split anew, at random and at the same sizes, twenty times;
peers take the lowest threshold that holds the promise on a tenth of train.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import results
from accuracy import Task, ask, ask_tagmill
from data import TextSet, dev_split, load_set
from environments import Unavailable
from measures import Thresholds, accepted_pairs, choose_thresholds, judge
from peers import Matrix

from tagmill.learning.metrics import coverage

SPLITS, QUICK_SPLITS = 20, 2
CHEAP = ("lexicon", "omikuji Parabel", "k-NN (TF-IDF)")


def run(sets: list[str], *, is_quick: bool) -> None:
    """Resplit each set and store it under its name."""
    for name in sets:
        products = load_set(name)
        found: dict[str, list[dict[str, Any]]] = {}
        for seed in range(QUICK_SPLITS if is_quick else SPLITS):
            task = Task.of(resplit(products, seed))
            answer, thresholds = ask_tagmill(task, seed)
            found.setdefault("tagmill", []).append(lane(answer.test, task, thresholds))
            dev_gold = Matrix(task.train_gold[dev_split(len(task.texts))[1]])
            for peer in CHEAP:
                try:
                    said = ask(peer, task)
                except (Unavailable, ImportError):
                    continue
                chosen = choose_thresholds(said.dev, dev_gold)
                found.setdefault(peer, []).append(lane(said.test, task, chosen))
            print(f"{name}, split {seed}: {found['tagmill'][-1]}", flush=True)
            results.keep("lanes", name, {"methods": found}, is_quick=is_quick)


def resplit(products: TextSet, seed: int) -> TextSet:
    """The same products in another split of the same sizes."""
    every = [*products.train, *products.test]
    order = np.random.default_rng(1000 + seed).permutation(len(every))
    cut = len(products.train)
    train, test = ([every[row] for row in part] for part in (order[:cut], order[cut:]))
    return TextSet(products.name, train, test)


def lane(scores: Matrix, task: Task, thresholds: Thresholds) -> dict[str, Any]:
    """Share of gold accepted, precision reached, and how many pairs were accepted."""
    judged = judge(scores, task.gold)
    share, achieved, accepted = coverage(judged, accepted_pairs(judged, thresholds))
    return {"coverage": share, "achieved": achieved, "accepted": accepted}
