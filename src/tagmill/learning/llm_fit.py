"""What a large language model's answers are worth, fitted on products whose tags are known.

The products must be ones the engine was not trained on: its probabilities of those are honest.
Boosted trees over `FEATURES` weigh the engine and the answers, an isotonic curve calibrates the
result; held-out pairs, by folds of products, are what it and the lane auto are chosen from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.errors import NotTrained
from tagmill.learning.dataset import label_matrix
from tagmill.probability import fit_curve, half_best_f1
from tagmill.tagging.cascade import ask_about
from tagmill.tagging.fusion import Trees, fit_trees
from tagmill.tagging.llm import Consultant, Opinions
from tagmill.tagging.llm_fusion import LlmFusion
from tagmill.tagging.model import Model
from tagmill.tagging.options import TrainingOptions

__all__ = ["fit_llm"]

_FOLDS = 5
_FEWEST = 50  # pairs that were asked about
_AT_ONCE = 512  # products in one round of questions
_OPTIONS = TrainingOptions(trees=60, leaf_pairs=20)


def fit_llm(
    model: Model,
    consultant: Consultant,
    products: Iterable[pa.RecordBatch],
    *,
    sample: int = 500,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[LlmFusion, list[dict[str, str]]]:
    """The fit on at most `sample` tagged products, picked at random, and those of them that have no
    usable answer, {"id", "reason"}.

    Raises NotTrained where there is too little to learn from, BudgetExceeded, LanguageModelError.
    """
    judged = _sample(model, products, sample, seed)
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    failed: list[dict[str, str]] = []
    for start in range(0, judged.num_rows, _AT_ONCE):
        batch = judged.slice(start, _AT_ONCE)
        pairs, opinions = _pairs(model, consultant, batch, start)
        parts.append(pairs)
        ids = batch.column("id").to_pylist()
        failed += [{"id": ids[row], "reason": why} for row, why in opinions.failed.items()]
        progress(batch.num_rows)
    features, right, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
    is_little = len(right) < _FEWEST or right.all() or not right.any()
    if is_little and failed:
        raise NotTrained(
            f"{len(failed)} of {judged.num_rows} products have no usable answer, the first because "
            f"{failed[0]['reason']}. What is left is too little to learn from: see to the server, "
            "and run the same command again"
        )
    if is_little:
        raise NotTrained(
            f"The model was asked about {len(right)} pairs, {int(right.sum())} of them right: too "
            "few to learn from. Give more tagged products, or a larger --sample"
        )
    folds = rows % _FOLDS
    log_odds, held_out = np.zeros(len(right)), np.zeros(len(right))
    for fold in range(_FOLDS):
        inside = folds == fold
        trees = _fit(features[~inside], right[~inside], seed)
        log_odds[inside] = trees.log_odds(features[inside].astype(np.float32))
    for fold in range(_FOLDS):
        inside = folds == fold
        held_out[inside] = fit_curve(log_odds[~inside], right[~inside])(log_odds[inside])
    gold, _ = label_matrix([judged], model.library, model.tag_ids)
    fusion = LlmFusion(
        _fit(features, right, seed), fit_curve(log_odds, right), consultant.propose.model.name,
        consultant.prompts, held_out, right, half_best_f1(held_out, right, gold.nnz),
    )  # fmt: skip
    return fusion, failed


def _sample(
    model: Model, products: Iterable[pa.RecordBatch], size: int, seed: int
) -> pa.RecordBatch:
    """At most `size` tagged products, every one as likely; those of its training that the model
    remembers are left out, of which its own word is too good."""
    tagged = [batch.filter(batch.column("tags").is_valid()) for batch in products]
    if not sum(batch.num_rows for batch in tagged):
        raise NotTrained("No product has tags to learn from. Give some rows a 'tags' column")
    if model.trained is not None:
        memory = model.trained.memory
        tagged = [batch.filter(pa.array(~memory.holds(batch))) for batch in tagged]
    whole = pa.concat_batches(tagged)
    if not whole.num_rows:
        raise NotTrained(
            "The model was trained on all of these products. Give tagged ones that it has not seen"
        )
    chosen = np.random.default_rng(seed).permutation(whole.num_rows)[:size]
    return whole.take(pa.array(np.sort(chosen)))


def _pairs(
    model: Model, consultant: Consultant, batch: pa.RecordBatch, first: int
) -> tuple[tuple[npt.NDArray[Any], ...], Opinions]:
    """Features of the pairs that were asked about, whether they are right, and their products."""
    scored, opinions = ask_about(model, consultant, batch, model.lexicon.find(batch), 0)
    ids = model.tag_ids[scored.tags].tolist()
    features, asked = opinions.features(scored.rows, ids, scored.probability)
    gold, _ = label_matrix([batch], model.library, model.tag_ids)
    right = np.zeros(0, np.bool_)
    if asked.any():  # SciPy has no array of no entries
        right = np.asarray(gold[scored.rows[asked], scored.tags[asked]]).ravel() > 0
    return (features[asked], right, first + scored.rows[asked].astype(np.int64)), opinions


def _fit(features: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], seed: int) -> Trees:
    return fit_trees(
        features.astype(np.float32), right.astype(np.float32), seed=seed, options=_OPTIONS,
        skips_hopeless=False,
    )  # fmt: skip
