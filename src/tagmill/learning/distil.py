"""Small models taught by a large one: which products to ask it about, and training on its answers.

Labels cost money, so they go where they teach most: products whose tags are in doubt or missing,
rare tags before frequent ones, drawn and in rounds, so that all kinds are among them and each round
asks what the last one left open. The answers become soft labels, a probability each; what people
said weighs more, and of the pairs nobody asked about nothing is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.errors import LanguageModelError, NotTrained
from tagmill.learning.training import train
from tagmill.tagging.cascade import Portions, ask_about
from tagmill.tagging.llm import Consultant
from tagmill.tagging.llm_fusion import FEATURES, LlmFusion
from tagmill.tagging.model import Model
from tagmill.tagging.routing import expected_gains

__all__ = ["ROUNDS", "Distilled", "choose_to_label", "distil"]

_AT_ONCE = 64  # products asked about at once, at most
_RARE = 0.5  # a tag with c examples counts 1 + (1 + c)^-_RARE
_POWER = 3  # of a product's worth, to which it is chosen in proportion
_LEAST = 1e-3  # the worth of a product the engine is sure of
_CARD = "distilled"  # in the card: by product id the digest of its text, and its soft labels
ROUNDS = 6


@dataclass
class Distilled:
    """The student, and what it was taught with."""

    model: Model
    asked: int  # products
    labels: int  # pairs with a soft label
    before: int = 0  # products that the model given was taught, learned again
    failed: list[dict[str, str]] = field(default_factory=list)  # {"id", "reason"}
    waiting: int = 0  # products whose requests stand in a batch file; then nothing was trained
    stopped: str = ""  # why not all that were chosen were asked about


def choose_to_label(
    model: Model,
    products: Iterable[pa.RecordBatch],
    count: int,
    *,
    seed: int = 0,
    without: Set[str] = frozenset(),
) -> list[npt.NDArray[np.bool_]]:
    """Of each batch, which products (n,) to ask about: `count` in all, or all there are but those
    `without`, by id.

    A product's worth is the gain expected of knowing it, those on rare tags counting more, and of
    tags that it lacks beside what products have on average. They are drawn, each as likely as its
    worth to the power of `_POWER`: the worthiest ones alone are all of a kind, and a student of
    these does not know what usual products are like.
    """
    keys: list[npt.NDArray[np.float64]] = []
    counts = np.zeros(len(model.tag_ids))
    if model.trained is not None:
        counts = model.trained.statistics.counts.astype(float)
    usual = counts.sum() / max(int(model.card.get("products", 0)), 1)
    rare = 1 + (1 + counts) ** -_RARE
    chance = np.random.default_rng(seed)
    for batch in products:
        scored = model.score_pairs(batch, model.lexicon.find(batch), top_k=0)
        doubt = expected_gains(model, scored) * rare[scored.tags]
        expected = np.bincount(scored.rows, scored.probability, minlength=batch.num_rows)
        doubts = np.bincount(scored.rows, doubt, minlength=batch.num_rows)
        worth = doubts + np.maximum(usual - expected, 0)
        # The lowest of exponential times of these rates are a weighted sample.
        key = chance.exponential(size=batch.num_rows) / np.maximum(worth, _LEAST) ** _POWER
        key[[i in without for i in batch.column("id").to_pylist()]] = np.inf
        keys.append(key)
    if not keys:
        return []
    key = np.concatenate(keys)
    chosen = np.zeros(len(key), np.bool_)
    chosen[np.argsort(key, kind="stable")[:count]] = True
    chosen &= np.isfinite(key)
    return np.split(chosen, np.cumsum([len(part) for part in keys])[:-1])


def distil(
    model: Model,
    consultant: Consultant,
    pool: Callable[[], Iterable[pa.RecordBatch]],
    labelled: Callable[[], Iterable[pa.RecordBatch]],
    *,
    count: int,
    rounds: int = ROUNDS,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Distilled:
    """A student of the same library, from `count` products of the pool and the labelled ones.

    The student of each round chooses what the next asks about. Its card has what it was taught: who
    distils it again learns that too, of the products of the pool that are as they were, beside
    `count` others. Pool and labelled products are gone through more than once. Where the budget
    ends early, or the model cannot be asked further, the student learns from what was answered.
    Raises NotTrained, before anything is asked, where people have tagged fewer than two products,
    and where nothing was answered; LanguageModelError, where the model cannot be asked at all.
    """
    fusion = consultant.fusion(model.card)
    people = [batch for batch in labelled() if batch.num_rows]
    known = {i for batch in people for i in batch.column("id").to_pylist()}  # their word stands
    if sum(len(b) - b.column("tags").null_count for b in people) < 2:  # before anything is paid
        raise NotTrained(
            "A student needs at least two products that people have tagged, to tell what products "
            "do not have. Give them with --from"
        )
    taught = _taught_before(pool(), model.card, known)
    before = {i: model.card[_CARD][i] for batch in taught for i in batch.column("id").to_pylist()}
    said: dict[str, dict[str, float]] = {}
    asked: set[str] = set()  # also those that failed: the next command asks about them again
    result = Distilled(model, 0, 0, len(before))
    portions = Portions(consultant, _AT_ONCE)
    for number in range(rounds):
        size = count * (number + 1) // rounds - count * number // rounds
        chosen = choose_to_label(
            result.model, pool(), size, seed=seed + number, without=known | asked | set(before)
        )
        try:
            for batch in chain.from_iterable(map(portions.of, _picked(pool(), chosen))):
                said |= _ask(result.model, consultant, fusion, batch, result)
                taught.append(batch)
                asked.update(batch.column("id").to_pylist())
                progress(batch.num_rows)
        except LanguageModelError as error:
            if not said:
                raise
            result.stopped = str(error)
        if result.waiting:
            return result
        if not said:
            continue
        labels = {i: one["labels"] for i, one in before.items()} | said
        result.asked, result.labels = len(said), sum(map(len, labels.values()))
        student = train(
            [*people, *map(_without_tags, taught)], model.library, verdicts=labels, seed=seed
        )
        texts = dict(chain.from_iterable(map(_texts, taught)))
        new = {i: {"text": texts[i], "labels": said[i]} for i in said}
        result.model = replace(student, card={**student.card, _CARD: before | new})
        if result.stopped or not any(mask.any() for mask in chosen):
            break
    if not said:
        raise _nothing_said(asked, result.failed)
    return result


def _nothing_said(asked: Set[str], failed: list[dict[str, str]]) -> NotTrained:
    if not asked:
        return NotTrained(
            "The pool has no product to ask about but those that people have tagged and those that "
            "the model was taught. Give another"
        )
    reason = failed[0]["reason"] if failed else "nothing was asked about it"
    return NotTrained(
        f"None of {len(asked)} products has a usable answer, the first because {reason}. There is "
        "nothing to learn: see to the server and the pool, and run the same command again"
    )


def _taught_before(
    pool: Iterable[pa.RecordBatch], card: Mapping[str, Any], without: Set[str]
) -> list[pa.RecordBatch]:
    """The products of the pool that a card has labels of and that are as they were then."""
    kept = card.get(_CARD, {})
    found = []
    for batch in pool if kept else ():
        ids = batch.column("id").to_pylist()
        some = batch.filter(pa.array([i in kept and i not in without for i in ids], pa.bool_()))
        same = [kept[i]["text"] == text for i, text in _texts(some)]
        found.append(some.filter(pa.array(same, pa.bool_())))
    return [batch for batch in found if batch.num_rows]


def _texts(batch: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    """Id of each product, and 16 hex digits of all that is said in it but its tags."""
    for product in batch.drop_columns(["tags"]).to_pylist():
        text = json.dumps(product, ensure_ascii=False)
        yield product["id"], hashlib.sha256(text.encode()).hexdigest()[:16]


def _picked(
    batches: Iterable[pa.RecordBatch], chosen: list[npt.NDArray[np.bool_]]
) -> Iterator[pa.RecordBatch]:
    for batch, mask in zip(batches, chosen, strict=True):
        yield batch.filter(pa.array(mask))


def _ask(
    model: Model,
    consultant: Consultant,
    fusion: LlmFusion,
    batch: pa.RecordBatch,
    result: Distilled,
) -> Mapping[str, dict[str, float]]:
    """Soft labels by product id and tag id."""
    scored, opinions = ask_about(model, consultant, batch, model.lexicon.find(batch), 0)
    ids = batch.column("id").to_pylist()
    result.failed += [{"id": ids[row], "reason": why} for row, why in opinions.failed.items()]
    result.waiting += len(opinions.waiting)
    tags = model.tag_ids[scored.tags].tolist()
    features, asked = opinions.features(scored.rows, tags, scored.probability)
    if not fusion.model:
        # Nothing says how far to trust the engine beside the teacher, and a student that is told
        # what it believes already learns nothing: the label is the teacher's word alone.
        features[:, FEATURES.index("engine")] = 0
    probability = fusion(features)
    said: dict[str, dict[str, float]] = {}
    for i in np.flatnonzero(asked).tolist():
        said.setdefault(ids[scored.rows[i]], {})[tags[i]] = round(float(probability[i]), 4)
    return said


def _without_tags(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch in which nothing was said of tags."""
    place = batch.schema.get_field_index("tags")
    empty = pa.nulls(batch.num_rows, batch.schema.field(place).type)
    return batch.set_column(place, batch.schema.field(place), empty)
