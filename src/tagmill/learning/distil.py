"""Small models taught by a large one: which products to ask it about, and training on its answers.

Labels cost money, so they go where they teach most: products whose tags are in doubt or missing, of
every kind, rare tags before frequent ones. The answers become soft labels, a probability each; what
people said weighs more, and of the pairs nobody asked about nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.errors import LanguageModelError, NotTrained
from tagmill.learning.training import train
from tagmill.tagging.cascade import ask_about
from tagmill.tagging.llm import Consultant
from tagmill.tagging.llm_fusion import LlmFusion
from tagmill.tagging.model import Model
from tagmill.tagging.routing import expected_gains

__all__ = ["Distilled", "choose_to_label", "distil"]

_AT_ONCE = 64  # products in one round of questions: what an unfinished one was told is lost
# What a teacher's certainty counts beside a person's: 2p − 1 shrinks by it.
_TEACHER = 0.8
_RARE = 0.5  # a tag with c examples counts 1 + (1 + c)^-_RARE


@dataclass
class Distilled:
    """The student, and what it was taught with."""

    model: Model
    asked: int  # products
    labels: int  # pairs with a soft label
    failed: list[dict[str, str]] = field(default_factory=list)  # {"id", "reason"}
    waiting: int = 0  # products whose requests stand in a batch file; then nothing was trained
    stopped: str = ""  # why not all that were chosen were asked about


def choose_to_label(
    model: Model, products: Iterable[pa.RecordBatch], count: int, *, seed: int = 0
) -> list[npt.NDArray[np.bool_]]:
    """Of each batch, which products (n,) to ask about: `count` in all, or all there are.

    A product's worth is the gain expected of knowing it, those on rare tags counting
    more, and of tags that it lacks beside what products have on average. It falls with the root of
    how many worthier ones have the same most probable tag: so no kind crowds out another.
    """
    worths, kinds, sizes = [], [], []
    counts = np.zeros(len(model.tag_ids))
    if model.trained is not None:
        counts = model.trained.statistics.counts.astype(float)
    usual = counts.sum() / max(int(model.card.get("products", 0)), 1)
    rare = 1 + (1 + counts) ** -_RARE
    for batch in products:
        scored = model.score_pairs(batch, model.lexicon.find(batch), top_k=0)
        doubt = expected_gains(model, scored) * rare[scored.tags]
        expected = np.bincount(scored.rows, scored.probability, minlength=batch.num_rows)
        doubts = np.bincount(scored.rows, doubt, minlength=batch.num_rows)
        worths.append(doubts + np.maximum(usual - expected, 0))
        kind = np.full(batch.num_rows, -1)
        order = np.argsort(scored.probability, kind="stable")
        kind[scored.rows[order]] = scored.tags[order]  # the last, most probable, stays
        kinds.append(kind)
        sizes.append(batch.num_rows)
    if not sizes:
        return []
    worth, kind = np.concatenate(worths), np.concatenate(kinds)
    # Products of equal worth, such as those nothing is known of, come in any order.
    shuffled = np.random.default_rng(seed).permutation(len(worth))
    order = shuffled[np.argsort(-worth[shuffled], kind="stable")]
    worth_then = worth[order] / np.sqrt(1 + _turns(kind[order]))
    chosen = np.zeros(len(worth), np.bool_)
    chosen[order[np.argsort(-worth_then, kind="stable")[:count]]] = True
    return np.split(chosen, np.cumsum(sizes)[:-1])


def _turns(kinds: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """How many of its kind stand before each entry."""
    order = np.argsort(kinds, kind="stable")
    first = np.searchsorted(kinds[order], kinds[order])
    turn = np.empty(len(kinds), np.int64)
    turn[order] = np.arange(len(kinds)) - first
    return turn


def distil(
    model: Model,
    consultant: Consultant,
    pool: Callable[[], Iterable[pa.RecordBatch]],
    labelled: Callable[[], Iterable[pa.RecordBatch]],
    *,
    count: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Distilled:
    """A student of the same library, from `count` products of the pool and the labelled ones.

    Both are gone through more than once. Where the budget ends early, or the model cannot be asked
    further, the student learns from what was answered. Raises NotTrained where nothing was.
    """
    chosen = choose_to_label(model, pool(), count, seed=seed)
    fusion = consultant.fusion(model.card)
    taught: list[pa.RecordBatch] = []
    said: dict[str, dict[str, float]] = {}
    result = Distilled(model, 0, 0)
    try:
        for batch in _picked(pool(), chosen):
            verdicts = _ask(model, consultant, fusion, batch, result)
            said |= verdicts
            taught.append(batch)
            progress(batch.num_rows)
    except LanguageModelError as error:
        result.stopped = str(error)
    if result.waiting:
        return result
    people = [batch for batch in labelled() if batch.num_rows]
    if not said and not people:
        why = f": {result.stopped}" if result.stopped else ""
        raise NotTrained(f"The model answered nothing, and no product has tags to learn from{why}")
    known = {i for batch in people for i in batch.column("id").to_pylist()}
    result.asked, result.labels = len(said), sum(len(tags) for tags in said.values())
    said = {i: tags for i, tags in said.items() if i not in known}  # people's word stands
    new = [_without(batch, known) for batch in taught]
    result.model = train([*people, *new], model.library, verdicts=said, seed=seed)
    return result


def _picked(
    batches: Iterable[pa.RecordBatch], chosen: list[npt.NDArray[np.bool_]]
) -> Iterator[pa.RecordBatch]:
    for batch, mask in zip(batches, chosen, strict=True):
        picked = batch.filter(pa.array(mask))
        for start in range(0, picked.num_rows, _AT_ONCE):
            yield picked.slice(start, _AT_ONCE)


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
    probability = 0.5 + _TEACHER * (fusion(features) - 0.5)
    said: dict[str, dict[str, float]] = {}
    for i in np.flatnonzero(asked).tolist():
        said.setdefault(ids[scored.rows[i]], {})[tags[i]] = float(probability[i])
    return said


def _without(batch: pa.RecordBatch, known: set[str]) -> pa.RecordBatch:
    """The products that people did not label, without tags."""
    mask = [product_id not in known for product_id in batch.column("id").to_pylist()]
    rest = batch.filter(pa.array(mask, pa.bool_()))
    empty = pa.nulls(rest.num_rows, batch.schema.field("tags").type)
    return rest.set_column(batch.schema.get_field_index("tags"), batch.schema.field("tags"), empty)
