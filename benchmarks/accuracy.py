"""Quality of tagmill and its peers on the text sets: `python benchmarks/bench.py accuracy`.

Everybody sees the same split and is measured by the same code. Peers choose their thresholds on a
tenth of train and are then fitted again on all of it; tagmill brings its own.
"""

from __future__ import annotations

import hashlib
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import peers
import results
from data import TextSet, dev_split, label_matrix, load_set, tag_names, text_of
from environments import Unavailable
from measures import (
    COMPARED,
    PerProduct,
    Thresholds,
    bootstrap_weights,
    choose_thresholds,
    difference,
    measure,
)
from ours import Tagmill
from peers import ENSEMBLES, PEERS, QUICK_PEERS, Matrix

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Task:
    """A set as matrices; gold may have tags that training has not."""

    products: TextSet
    names: list[str]  # tags of train
    texts: list[str]
    test_texts: list[str]
    labels: Matrix  # (n train, m)
    train_gold: Matrix  # (n train, m gold)
    gold: Matrix  # (n test, m gold)
    frequency: npt.NDArray[np.int64]  # (m gold,)

    @staticmethod
    def of(products: TextSet) -> Task:
        """The task of a set."""
        names = tag_names(products.train)
        every = tag_names([*products.train, *products.test])
        train_gold = label_matrix(products.train, every)
        return Task(
            products,
            names,
            [text_of(product) for product in products.train],
            [text_of(product) for product in products.test],
            label_matrix(products.train, names),
            train_gold,
            label_matrix(products.test, every),
            np.bincount(train_gold.indices, minlength=len(every)),
        )


@dataclass(frozen=True)
class Answer:
    """What one method said of dev and test, and what it cost."""

    dev: Matrix
    test: Matrix
    train_seconds: float
    test_seconds: float


def run(sets: list[str], *, is_quick: bool) -> None:
    """Measure each set and store it under its name."""
    warm_up()
    for name in sets:
        task = Task.of(load_set(name))
        print(f"{name}: {len(task.texts):,} products, {len(task.names):,} tags", flush=True)
        entry = run_set(task, QUICK_PEERS if is_quick else tuple(PEERS), SEEDS)
        results.keep("accuracy", name, entry, is_quick=is_quick)


def warm_up() -> None:
    """Train once on little: tagmill's kernels compile once in the life of an installation."""
    products = load_set("en_ae110k").train[:100]
    Tagmill(tag_names(products)).fit(products)


def run_set(task: Task, names: tuple[str, ...], seeds: tuple[int, ...]) -> dict[str, Any]:
    """The table of one set and the differences from each metric's best peer."""
    rows: dict[str, dict[str, Any]] = {}
    parts: dict[str, PerProduct] = {}
    answers: dict[str, Answer] = {}
    for name in names:
        try:
            answers[name] = ask(name, task)
        except (Unavailable, ImportError) as reason:
            rows[name] = {"skipped": str(reason)}
    for name, members in ENSEMBLES.items():
        found = [answers[member] for member in members if member in answers]
        if len(found) > 1:
            answers[name] = mean_of(found)
    dev_gold = Matrix(task.train_gold[dev_split(len(task.texts))[1]])
    for name, answer in answers.items():
        thresholds = choose_thresholds(answer.dev, dev_gold)
        rows[name], parts[name] = row_of(task, answer, thresholds)
        show(name, rows[name])
    ours, own_parts = [], []
    for seed in seeds:
        row, part = row_of(task, *ask_tagmill(task, seed))
        ours.append(row)
        own_parts.append(part)
        show(f"tagmill, seed {seed}", row)
    weights = bootstrap_weights(len(task.test_texts))
    compared = {}
    for metric in COMPARED:
        best = max(parts, key=lambda name: rows[name][metric])
        compared[metric] = {
            "peer": best,
            "value": rows[best][metric],
            **difference(own_parts, parts[best], metric, weights),
        }
    size = {"train": len(task.texts), "test": len(task.test_texts), "tags": len(task.names)}
    return {**size, "peers": rows, "tagmill": ours, "compared": compared}


def ask(name: str, task: Task) -> Answer:
    """A peer's scores of the dev tenth by a fit without it, of test by a fit on all of train.

    Peers do not change from run to run, so an answer is kept under the hash of what it was asked.
    """
    digest = hashlib.sha256(Path(peers.__file__).read_bytes())
    for text in [name, *task.texts, "", *task.test_texts]:
        digest.update(text.encode() + b"\0")
    digest.update(task.labels.indptr.tobytes() + task.labels.indices.tobytes())
    path = results.FOLDER / "answers" / f"{digest.hexdigest()[:16]}.pickle"
    if path.is_file():
        kept: Answer = pickle.loads(path.read_bytes())
        return kept
    answer = _ask(name, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(answer))
    return answer


def _ask(name: str, task: Task) -> Answer:
    rest, dev = dev_split(len(task.texts))
    peer = PEERS[name](task.names)
    peer.fit([task.texts[row] for row in rest], Matrix(task.labels[rest]))
    dev_scores = peer.scores([task.texts[row] for row in dev])
    peer = PEERS[name](task.names)
    start = time.perf_counter()
    peer.fit(task.texts, task.labels)
    fitted = time.perf_counter()
    scores = peer.scores(task.test_texts)
    return Answer(dev_scores, scores, fitted - start, time.perf_counter() - fitted)


def mean_of(answers: list[Answer]) -> Answer:
    """The ensemble that averages scores; it costs what all its members cost."""

    def mean(parts: list[Matrix]) -> Matrix:
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return Matrix(total / len(parts))

    return Answer(
        mean([answer.dev for answer in answers]),
        mean([answer.test for answer in answers]),
        sum(answer.train_seconds for answer in answers),
        sum(answer.test_seconds for answer in answers),
    )


def ask_tagmill(task: Task, seed: int) -> tuple[Answer, Thresholds]:
    """tagmill's scores of test, and its own thresholds."""
    model = Tagmill(task.names, seed=seed)
    start = time.perf_counter()
    model.fit(task.products.train)
    fitted = time.perf_counter()
    model.scores(task.products.test[:1])
    warm = time.perf_counter()
    scores = model.scores(task.products.test)
    seconds = time.perf_counter() - warm
    return Answer(Matrix((0, len(task.names))), scores, fitted - start, seconds), model.thresholds()


def row_of(task: Task, answer: Answer, thresholds: Thresholds) -> tuple[dict[str, Any], PerProduct]:
    """One line of the table, and what the bootstrap needs of it."""
    metrics = measure(answer.test, task.gold, thresholds, task.frequency, len(task.texts))
    rate = len(task.test_texts) / answer.test_seconds
    row = {**metrics, "train_seconds": answer.train_seconds, "docs_per_second": rate}
    return row, PerProduct.of(answer.test, task.gold, thresholds)


def show(name: str, row: dict[str, Any]) -> None:
    print(
        f"  {name:<28} P@1 {row['p_at_1']:.3f}  nDCG@5 {row['ndcg_at_5']:.3f}  "
        f"micro-F1 {row['micro_f1']:.3f}  coverage {row['coverage']:.3f}  "
        f"ECE {row['ece']:.3f}  train {row['train_seconds']:.1f} s",
        flush=True,
    )
