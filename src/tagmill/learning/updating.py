"""Verdicts into a trained model in seconds, without training it anew.

Each verdict is a product, a tag and yes or no. First the model says what it thinks, which makes the
verdict an honest held-out pair for the calibration. Then the weights of the tag move as little as
they must for its verdicts to lie on the right side, and a sample of the training products not to
leave theirs: the squared hinge again, but regularised towards the present weights (Crammer et al.
2006, "Online Passive-Aggressive Algorithms", in its batch form, with rehearsal).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.catalog.memory import products_to_batch
from tagmill.errors import CatalogError, NotTrained, UnknownTag
from tagmill.kernels import kernel
from tagmill.learning.one_vs_rest import in_blocks, on_all_cores
from tagmill.library.vocabulary import Library
from tagmill.probability import fit_calibration
from tagmill.records import parse_tag
from tagmill.tagging.candidates import FEATURES, TagStatistics, build_candidates
from tagmill.tagging.features import FEATURE_BITS, Idf, Rows, extract
from tagmill.tagging.folder import moved_to
from tagmill.tagging.linear import LinearModel
from tagmill.tagging.model import HeldOut, Memory, Model, Trained
from tagmill.tagging.spans import grown

__all__ = ["Verdict", "read_verdicts", "update"]

_EPOCHS = 30
_SETTLED = 0.02  # change of a dual variable below which a tag's training ends
_CLEAR = 0.5  # gradient from which a product is left out
_FAR = 1.0  # that by the weights before from which it is not even looked at
# C of the squared hinge. The fusion knows margins of products that were not learned: with 1, as in
# training, those of the verdicts' like grow out of what it knows, and F1 falls.
_WEIGHT = 0.1
_HEAVIEST = 5.0  # what a remembered product weighs beside a verdict, at most
_ROWS_AT_ONCE = 256
_NEW_WORD_PRODUCTS = 3
_UNTRAINED_BIAS = -1.0  # where a tag without examples begins: wrong, by the margin of the hinge


@dataclass(frozen=True)
class Verdict:
    """What a person said of one tag of one product."""

    product: Mapping[str, Any]  # a row of products: id, title and its other fields
    tag: str  # facet:name in any language, or an id
    accepted: bool


def read_verdicts(path: Path, library: Library) -> tuple[list[Verdict], list[dict[str, Any]]]:
    """The verdicts of a JSON Lines file, and its rejected lines as {"line", "reason", "row"}.

    A tag that a governed `library` does not have is a reason too. A line is
    `{"id", "title", …the product's fields, "tag", "accepted"}`. Raises CatalogError where the file
    cannot be read.
    """
    verdicts: list[Verdict] = []
    rejects: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"Cannot read verdicts from {path}: {error}", file=str(path)) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            verdict = _verdict(_parsed(line))
            if not library.verbatim and library.find(verdict.tag) is None:
                raise UnknownTag(verdict.tag, library.nearest(verdict.tag))
            verdicts.append(verdict)
        except (ValueError, CatalogError, UnknownTag) as error:
            rejects.append({"file": str(path), "line": number, "reason": str(error), "row": line})
    return verdicts, rejects


def _parsed(line: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"it is no JSON ({error}): {line[:40]}") from None


def _verdict(row: Any) -> Verdict:  # noqa: ANN401
    """Raises ValueError or CatalogError where the row is none."""
    if not isinstance(row, dict):
        raise ValueError(f"it is {json.dumps(row)[:80]}, not an object")
    product = {key: value for key, value in row.items() if key not in ("tag", "accepted")}
    if not isinstance(row.get("tag"), str):
        raise ValueError("it has no 'tag' such as \"Colour:red\"")
    if not isinstance(row.get("accepted"), bool):
        raise ValueError(f"'accepted' is {json.dumps(row.get('accepted'))}; write true or false")
    parse_tag(row["tag"])
    products_to_batch([product])
    return Verdict(product, row["tag"], row["accepted"])


def update(model: Model, verdicts: Sequence[Verdict]) -> Model:
    """The model with the verdicts learned; the given one stays as it is.

    Of two verdicts on a pair the later counts. An accepted tag that a model trained from a file
    does not know is new to its library; a governed library refuses it. The same verdicts give the
    same model. Raises NotTrained for an untrained model, UnknownTag, CatalogError for a product
    that is none.
    """
    if model.trained is None:
        raise NotTrained("There is no trained model to learn on. Make one with: tagmill train")
    if not verdicts:
        return model
    model = _with_new_tags(model, verdicts)
    assert model.trained is not None
    judged = _judge(model, verdicts)
    products = int(model.card["products"])
    before = _with_new_words(model.trained, judged.counts, products)
    pairs = _score(model, before, judged)
    statistics = _counted(before.statistics, judged, pairs)
    held_out = _extended(before, pairs, judged, model.review_start)
    trained = replace(
        before,
        linear=_moved_weights(before, judged, products),
        statistics=statistics,
        calibration=fit_calibration(held_out.log_odds, held_out.right, held_out.counts),
        held_out=held_out,
    )
    return Model(model.library, model.prior, trained, _card(model, verdicts), model.others)


@dataclass(frozen=True)
class _Judged:
    """The products of the verdicts, and the pairs judged, ordered by row then tag."""

    batch: pa.RecordBatch
    counts: Rows  # features of the products
    rows: npt.NDArray[np.int64]  # (v,)
    tags: npt.NDArray[np.int64]  # (v,)
    accepted: npt.NDArray[np.bool_]  # (v,)


def _with_new_tags(model: Model, verdicts: Sequence[Verdict]) -> Model:
    """The model over a library that has every accepted tag."""
    own = model.library
    library = Library(
        own.tags.values(), own.facets.values(), version=own.version, verbatim=own.verbatim
    )
    for verdict in verdicts:
        if library.find(verdict.tag) is None and verdict.accepted:
            if not own.verbatim:
                raise UnknownTag(verdict.tag, own.nearest(verdict.tag))
            library.add(*parse_tag(verdict.tag))
    if len(library.tags) == len(own.tags):
        return model
    assert model.trained is not None
    trained = moved_to(model.trained, model.tag_ids.tolist(), own, library)
    return Model(library, model.prior, trained, model.card, model.others)


def _judge(model: Model, verdicts: Sequence[Verdict]) -> _Judged:
    place = {tag_id: index for index, tag_id in enumerate(model.tag_ids)}
    products: dict[str, Mapping[str, Any]] = {}
    said: dict[tuple[str, int], bool] = {}
    for verdict in verdicts:
        tag = model.library.find(verdict.tag)
        if tag is None or tag.id not in place:
            continue  # rejected, and unknown: nothing would have suggested it
        product_id = str(verdict.product["id"])
        products[product_id] = verdict.product
        said[product_id, place[tag.id]] = verdict.accepted
    batch = products_to_batch(list(products.values()))
    row_of = {product_id: row for row, product_id in enumerate(products)}
    pairs = sorted((row_of[product], tag, yes) for (product, tag), yes in said.items())
    table = np.array(pairs, np.int64).reshape(-1, 3)
    return _Judged(batch, extract(batch), table[:, 0], table[:, 1], table[:, 2].astype(np.bool_))


def _with_new_words(trained: Trained, counts: Rows, products: int) -> Trained:
    """Also features that no training product had and several judged ones have.

    Those of a single one would only make its like shorter in all other features.
    """
    weights = np.array(trained.idf.weights)
    features, frequency = np.unique(counts.indices, return_counts=True)
    new = (weights[features] == 0) & (frequency >= _NEW_WORD_PRODUCTS)
    weights[features[new]] = np.log((1 + products) / (1 + frequency[new])) + 1
    return replace(trained, idf=Idf(weights))


@dataclass(frozen=True)
class _Scored:
    """What the model said of each judged pair before it learned, all (v,)."""

    log_odds: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    named: npt.NDArray[np.bool_]  # a name of the tag stands in the product


def _score(model: Model, trained: Trained, judged: _Judged) -> _Scored:
    m = len(model.tag_ids)
    keys = judged.rows * m + judged.tags
    hits = model.lexicon.find(judged.batch)
    found = build_candidates(
        trained.idf.apply(judged.counts), trained.linear, trained.candidates, hits,
        trained.statistics, asked=keys, **model.sources(judged.batch),
    )  # fmt: skip
    place = found.rows.astype(np.int64) * m + found.tags
    order = np.argsort(place)
    chosen = order[np.searchsorted(place, keys, sorter=order)]
    log_odds = trained.fusion.log_odds(found, trained.statistics.facets)[chosen]
    counts = trained.statistics.counts[judged.tags]
    named = found.features[chosen, FEATURES.index("hits")] > 0
    return _Scored(log_odds, trained.calibration(log_odds, counts), named)


def _counted(statistics: TagStatistics, judged: _Judged, pairs: _Scored) -> TagStatistics:
    """The statistics with the judged pairs in them."""

    def more(values: npt.NDArray[np.int64], which: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return values + np.bincount(judged.tags[which], minlength=len(values))

    return TagStatistics(
        statistics.facets,
        more(statistics.counts, judged.accepted),
        more(statistics.named, pairs.named),
        more(statistics.named_right, pairs.named & judged.accepted),
    )


def _extended(trained: Trained, pairs: _Scored, judged: _Judged, review_start: float) -> HeldOut:
    """The held-out pairs and those of the judged ones that the model would have shown.

    What it would not show a person adds only where it is right: such pairs would say that all the
    improbable is true. Those of untrained tags had prior probabilities.
    """
    held_out, counts = trained.held_out, trained.statistics.counts[judged.tags]
    fitted = (counts > 0) & (pairs.probability >= review_start)

    def joined(before: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([before, new[fitted].astype(before.dtype)])

    return HeldOut(
        joined(held_out.log_odds, pairs.log_odds),
        joined(held_out.probability, pairs.probability),
        joined(held_out.right, judged.accepted),
        joined(held_out.tags, judged.tags),
        joined(held_out.counts, counts),
        held_out.sampled,
        held_out.gold_total,
    )


def _moved_weights(trained: Trained, judged: _Judged, products: int) -> LinearModel:
    """The linear model after its verdicts; of the same tags, and of new ones with an accepted."""
    linear, memory = trained.linear, trained.memory
    rows = trained.idf.apply(Rows.concatenate([judged.counts, memory.counts]))
    known = np.isfinite(linear.bias)
    known[judged.tags[judged.accepted]] = True
    tags = np.unique(judged.tags[known[judged.tags]])
    if not len(tags):
        return linear
    said, weights = _said(judged, memory, tags, products)
    margins = np.zeros(said.shape, np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows.take(np.arange(start, min(start + _ROWS_AT_ONCE, len(rows))))
        margins[start : start + _ROWS_AT_ONCE] = linear.margins(part)[:, tags]
    margins[:, np.isnan(linear.bias[tags])] = _UNTRAINED_BIAS
    bias = linear.bias.copy()
    bias[tags[np.isnan(bias[tags])]] = _UNTRAINED_BIAS

    def work(block: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
        arrays: tuple[npt.NDArray[Any], ...] = _least_steps(
            rows.indptr, rows.indices, rows.values, said, margins, weights, block, 1 << FEATURE_BITS
        )
        return arrays

    blocks = on_all_cores(work, in_blocks(np.arange(len(tags))))
    features, columns, values, shifts = (np.concatenate(a) for a in zip(*blocks, strict=True))
    bias[tags] += shifts
    return linear.plus(features, tags[columns], values, bias)


def _said(
    judged: _Judged, memory: Memory, tags: npt.NDArray[np.int64], products: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """+1, -1 or 0 (unknown) of the judged and the remembered products and each of `tags`,
    and what each product weighs: a remembered one stands for those that are not."""
    place = np.full(int(max(tags.max(initial=0), memory.tags.max(initial=0))) + 1, -1)
    place[tags] = np.arange(len(tags))
    size = judged.batch.num_rows
    said = np.zeros((size + len(memory.complete), len(tags)), np.int8)
    said[size:][memory.complete] = -1
    owners = np.repeat(np.arange(len(memory.complete)), np.diff(memory.tag_indptr))
    columns = place[memory.tags]
    known = columns >= 0
    said[size + owners[known], columns[known]] = np.where(memory.accepted[known], 1, -1)
    wanted = np.isin(judged.tags, tags)
    signs = np.where(judged.accepted[wanted], 1, -1)
    said[judged.rows[wanted], place[judged.tags[wanted]]] = signs
    weights = np.full(len(said), _WEIGHT, np.float32)
    weights[size:] *= min(_HEAVIEST, products / max(len(memory.complete), 1))
    return said, weights


@kernel
def _least_steps(indptr, indices, values, said, margins, weights, columns, n_features):  # type: ignore[no-untyped-def]
    """Feature, column and size of every change of weights, and the change of each bias.

    Dual coordinate descent for each of `columns`, from the present weights on: `margins` (n, c)
    are theirs, `said` (n, c) what the margins should say, `weights` (n,) how much it matters.
    """
    features = np.empty(1024, np.int32)
    owners = np.empty(len(features), np.int64)
    changes = np.empty(len(features), np.float32)
    used = 0
    shifts = np.zeros(len(columns), np.float32)
    moved = np.zeros(n_features, np.float32)
    steps = np.zeros(len(said), np.float32)
    for k in range(len(columns)):
        column = columns[k]
        active = np.flatnonzero(said[:, column])
        shifts[k] = _descend(
            indptr, indices, values, said[:, column], margins[:, column], weights, active,
            steps, moved,
        )  # fmt: skip
        for row in np.flatnonzero(steps):
            room = used + indptr[row + 1] - indptr[row]
            features, owners = grown(features, room), grown(owners, room)
            changes = grown(changes, room)
            for j in range(indptr[row], indptr[row + 1]):
                if moved[indices[j]] != 0:
                    features[used], owners[used] = indices[j], column
                    changes[used] = moved[indices[j]]
                    moved[indices[j]] = 0
                    used += 1
            steps[row] = 0
    return features[:used].copy(), owners[:used].copy(), changes[:used].copy(), shifts


@kernel
def _descend(indptr, indices, values, said, margins, weights, active, steps, moved):  # type: ignore[no-untyped-def]
    """Dual coordinate descent of one tag over the rows `active`: fills `steps` (n,) and `moved`
    (features,); returns the change of the bias."""
    size = len(active)
    bias = np.float32(0)
    for _ in range(_EPOCHS):
        worst, kept = np.float32(0), 0
        for place in range(size):
            row = active[place]
            sign = np.float32(said[row])
            margin, length = margins[row] + bias, np.float32(1)
            if steps[row] == 0 and sign * margin - np.float32(1) > _FAR:
                continue  # nor could more: not worth reading its features
            for j in range(indptr[row], indptr[row + 1]):
                margin += moved[indices[j]] * values[j]
                length += values[j] * values[j]
            diagonal = np.float32(0.5) / weights[row]
            before = steps[row] * sign  # the dual variable, never negative
            gradient = sign * margin - np.float32(1) + before * diagonal
            if before == 0 and gradient > _CLEAR:
                continue  # nothing so small a change could turn round
            active[kept] = row
            kept += 1
            after = max(before - gradient / (length + diagonal), np.float32(0))
            worst = max(worst, abs(after - before))
            step = (after - before) * sign
            steps[row] += step
            bias += step
            for j in range(indptr[row], indptr[row + 1]):
                moved[indices[j]] += step * values[j]
        size = kept
        if worst < _SETTLED:
            break
    return bias


def _card(model: Model, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The model's card with what it learned."""
    digest = hashlib.sha256(str(model.card.get("model_id")).encode())
    for verdict in verdicts:
        row = [dict(verdict.product), verdict.tag, verdict.accepted]
        digest.update(json.dumps(row, sort_keys=True, default=str).encode())
    assert model.trained is not None
    return {
        **model.card,
        "tags": len(model.tag_ids),
        "learned_verdicts": int(model.card.get("learned_verdicts", 0)) + len(verdicts),
        "model_id": digest.hexdigest()[:16],
    }
