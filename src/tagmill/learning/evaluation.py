"""How good a model is on products whose tags are known, beside the lexicon alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.errors import CatalogError
from tagmill.learning.metrics import (
    Judged,
    brier_score,
    coverage,
    expected_calibration_error,
    ranking_metrics,
    reliability,
    risk_coverage,
    set_metrics,
)
from tagmill.probability import FREQUENCY_BUCKETS, bucket_of
from tagmill.records import parse_tag, tag_text
from tagmill.tagging.diversity import Diversity
from tagmill.tagging.model import Model
from tagmill.tagging.output import ScoredPairs, Selection, check_precision, spread_out
from tagmill.tagging.proposer import SpanProposer

__all__ = ["evaluate"]

_SHOWN_CONFUSIONS = 30


def evaluate(
    model: Model,
    products: Iterable[pa.RecordBatch],
    *,
    precision: float = 0.95,
    per_facet: bool = False,
    new_names: bool = False,
    top_k: int = Selection.top_k,
) -> dict[str, Any]:
    """Metrics of a model on the judged products in batches of `PRODUCT_SCHEMA`, of which at most
    `top_k` tags each are published, as by `tag`.

    Keys as in the design's measures; `per_facet` and `per_tag` break them down, `baseline` holds
    the lexicon's own, `promise` what the lane auto of this `precision` (with `per_facet`: promised
    of each facet by itself) really held. `coverage_at_095` is the share of gold tags in the lane
    auto promised 0.95, `achieved_precision_at_095` what precision that lane really had (None: it
    is empty). `seen_in_training` counts products that the model remembers from its training (of
    2,000 at most), of which it knows more than of new ones. With `new_names`, `open` counts names
    that the model proposes as tags: precision, recall and micro-F1 of both together, and the recall
    of gold tags that it does not know.
    Raises CatalogError where no product has tags, SettingsError for an impossible `precision`,
    NotTrained for `new_names` of a model without an extractor.
    """
    check_precision(precision)
    judged_batches = [
        chosen
        for batch in products
        if (chosen := batch.filter(batch.column("tags").is_valid())).num_rows
    ]
    if not judged_batches:
        raise CatalogError("No product has tags to compare with. Give some rows a 'tags' column")
    universe = _Universe(model)
    gold_rows, gold_tags = universe.gold(judged_batches)
    pairs, baseline_pairs = _predict(model, judged_batches)
    size = sum(batch.num_rows for batch in judged_batches)
    judged, order = _judge(pairs, gold_rows, gold_tags, size, len(universe))
    frequency = np.zeros(len(universe), np.int64)
    if model.trained is not None:
        frequency[: len(model.tag_ids)] = model.trained.statistics.counts
    train_size = int(model.card.get("products", 0))
    published = (judged.probability >= model.review_start) & (judged.ranks < top_k)
    fitted = pairs.fitted[order]
    auto = _auto(model, judged, fitted, precision, per_facet) & published
    report: dict[str, Any] = {
        "products": size,
        "products_with_tags": int((judged.gold_sizes() > 0).sum()),
        "gold_tags": len(gold_rows),
        "unknown_gold_tags": int((gold_tags >= len(model.tag_ids)).sum()),
        "seen_in_training": _seen(model, judged_batches),
        **ranking_metrics(judged, frequency, train_size),
        **set_metrics(judged, published),
        "review_threshold": float(model.review_start),
        **_probability_metrics(model, judged, fitted),
        "promise": {"precision": precision, **_lane(judged, auto)},
        "diversity": {
            **_diversity(judged, published, universe.facets, model.diversity),
            "diverse": _when_diverse(model, judged, published, universe.facets),
        },
    }
    if new_names:
        report["open"] = _open(model, judged_batches, judged, published, universe)
    report["per_facet"] = _per_facet(judged, published, auto, universe)
    report["per_frequency"] = _per_frequency(judged, published, auto, frequency)
    report["per_tag"] = _per_tag(judged, published, frequency, universe)
    report["confusions"] = _confusions(judged, published, universe)
    report["baseline"] = _baseline(
        model, baseline_pairs, gold_rows, gold_tags, size, universe, frequency, train_size
    )
    return report


def _seen(model: Model, batches: Iterable[pa.RecordBatch]) -> int:
    """How many products are among those that the model remembers of its training."""
    if model.trained is None:
        return 0
    return sum(int(model.trained.memory.holds(batch).sum()) for batch in batches)


class _Universe:
    """Numbers for all tags concerned: the model's in their order, then unknown gold tags."""

    def __init__(self, model: Model) -> None:
        self.model = model
        tags = [model.library.tags[tag_id] for tag_id in model.tag_ids]
        self.written: list[str] = [tag.text for tag in tags]
        self.facet_of: list[str] = [tag.facet for tag in tags]
        self._by_id = {tag.id: i for i, tag in enumerate(tags)}
        self._by_text: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.written)

    @property
    def facets(self) -> npt.NDArray[np.object_]:
        return np.array(self.facet_of, dtype=object)

    def number(self, text: str) -> int:
        if text not in self._by_text:
            tag = self.model.library.find(text)
            known = self._by_id.get(tag.id) if tag else None
            if known is None:
                facet, name = parse_tag(text)
                known = len(self.written)
                self.written.append(tag_text(facet, name))
                self.facet_of.append(facet)
            self._by_text[text] = known
        return self._by_text[text]

    def gold(
        self, batches: list[pa.RecordBatch]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(rows, tags) of all gold pairs, none twice."""
        rows: list[int] = []
        tags: list[int] = []
        row = 0
        for batch in batches:
            for written in batch.column("tags").to_pylist():
                numbers = sorted({self.number(text) for text in written})
                rows.extend([row] * len(numbers))
                tags.extend(numbers)
                row += 1
        return np.array(rows, np.int64), np.array(tags, np.int64)


def _predict(model: Model, batches: list[pa.RecordBatch]) -> tuple[ScoredPairs, ScoredPairs]:
    """All pairs of the model and of the lexicon alone, rows counted over all batches."""
    parts: list[ScoredPairs] = []
    lexicon_parts: list[ScoredPairs] = []
    offset = 0
    for batch in batches:
        hits = model.lexicon.find(batch)
        parts.append(model.score_pairs(batch, hits, 0).shifted(offset))
        lexicon_parts.append(model.score_by_prior(batch, hits).shifted(offset))
        offset += batch.num_rows
    return ScoredPairs.concatenate(parts), ScoredPairs.concatenate(lexicon_parts)


def _open(
    model: Model,
    batches: list[pa.RecordBatch],
    judged: Judged,
    published: npt.NDArray[np.bool_],
    universe: _Universe,
) -> dict[str, Any]:
    """Sets with the proposed names in them; a name counts as the tag that is written so."""
    proposer = SpanProposer(model)
    size = len(universe)  # a name beyond these is no product's gold
    found: set[tuple[int, int]] = set()
    wrong, offset = 0, 0
    for batch in batches:
        for one in proposer.propose(batch):
            number = universe.number(tag_text(one.facet, one.name))
            if number < size:
                found.add((offset + one.row, number))
            else:
                wrong += 1
        offset += batch.num_rows
    gold = set(zip(judged.gold_rows.tolist(), judged.gold_tags.tolist(), strict=True))
    shown = set(zip(judged.rows[published].tolist(), judged.tags[published].tolist(), strict=True))
    total = len(shown | found) + wrong
    right = len((shown | found) & gold)
    unknown = {pair for pair in gold if pair[1] >= len(model.tag_ids)}
    return {
        "proposed": len(found - shown) + wrong,
        "proposed_right": len((found - shown) & gold),
        "precision": right / max(total, 1),
        "recall": right / max(len(gold), 1),
        "micro_f1": 2 * right / max(total + len(gold), 1),
        "unknown_gold": len(unknown),
        "unknown_recall": len(unknown & found) / max(len(unknown), 1),
    }


def _judge(
    pairs: ScoredPairs,
    gold_rows: npt.NDArray[np.int64],
    gold_tags: npt.NDArray[np.int64],
    products: int,
    tag_count: int,
) -> tuple[Judged, npt.NDArray[np.int64]]:
    """The pairs beside gold, best first, and the order they were put in."""
    order = np.lexsort((-pairs.score, -pairs.probability, pairs.rows))
    rows, tags = pairs.rows[order].astype(np.int64), pairs.tags[order].astype(np.int64)
    right = np.isin(rows * tag_count + tags, gold_rows * tag_count + gold_tags)
    ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
    judged = Judged(
        rows, tags, ranks, pairs.probability[order], right,
        gold_rows, gold_tags, products, tag_count,
    )  # fmt: skip
    return judged, order


def _auto(
    model: Model,
    judged: Judged,
    fitted: npt.NDArray[np.bool_],
    precision: float,
    per_facet: bool = False,
) -> npt.NDArray[np.bool_]:
    starts = model.auto_starts(precision, per_facet)
    return fitted & (judged.probability >= starts[judged.tags])


def _probability_metrics(
    model: Model, judged: Judged, fitted: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Calibration of each product's ten best, and the lanes promised 0.95 and 0.90."""
    top = judged.ranks < 10
    probability, right = judged.probability[top], judged.right[top]
    results: dict[str, Any] = {
        "ece": expected_calibration_error(probability, right),
        "brier": brier_score(probability, right),
    }
    for name, precision in (("095", 0.95), ("090", 0.90)):
        lane = _lane(judged, _auto(model, judged, fitted, precision))
        results[f"coverage_at_{name}"] = lane["coverage"]
        results[f"achieved_precision_at_{name}"] = lane["achieved_precision"]
        results[f"accepted_at_{name}"] = lane["accepted"]
    results["reliability"] = reliability(probability, right)
    results["risk_coverage"] = risk_coverage(judged)
    return results


def _lane(judged: Judged, accepted: npt.NDArray[np.bool_]) -> dict[str, Any]:
    share, achieved, count = coverage(judged, accepted)
    return {"coverage": share, "achieved_precision": achieved, "accepted": count}


def _when_diverse(
    model: Model,
    judged: Judged,
    published: npt.NDArray[np.bool_],
    facets: npt.NDArray[np.object_],
) -> dict[str, float]:
    """The same measures and micro-F1 of the lists that `diverse` leaves."""
    kept = np.zeros(len(published), np.bool_)
    kept[_spread(judged, published, model.diversity)] = True
    micro_f1 = set_metrics(judged, kept)["micro_f1"]
    return {"micro_f1": micro_f1, **_diversity(judged, kept, facets, model.diversity)}


def _spread(
    judged: Judged, published: npt.NDArray[np.bool_], diversity: Diversity
) -> npt.NDArray[np.int64]:
    """The published pairs that have room beside the more probable ones of their product."""
    chosen = np.flatnonzero(published)
    offsets = np.searchsorted(judged.rows[chosen], np.arange(judged.products + 1))
    tags = judged.tags.astype(np.int32)
    kept, _ = spread_out(tags, chosen, offsets.astype(np.int32), diversity, len(tags))
    return kept


def _diversity(
    judged: Judged,
    published: npt.NDArray[np.bool_],
    facets: npt.NDArray[np.object_],
    diversity: Diversity,
) -> dict[str, float]:
    """Facets and tags per product's published list, and the share of tags that say nothing new."""
    _, numbers = np.unique(facets.astype(str), return_inverse=True)
    pairs = np.unique(np.stack([judged.rows, numbers[judged.tags]])[:, published], axis=1)
    kept = len(_spread(judged, published, diversity))
    return {
        "tags_per_product": float(published.sum() / max(judged.products, 1)),
        "facets_per_product": pairs.shape[1] / max(judged.products, 1),
        "redundant_share": 1 - kept / max(int(published.sum()), 1),
    }


def _part(
    judged: Judged,
    published: npt.NDArray[np.bool_],
    auto: npt.NDArray[np.bool_],
    members: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    """Counts and F1 of the tags chosen by `members` (tags,)."""
    inside = members[judged.tags]
    gold = int(members[judged.gold_tags].sum())
    shown = inside & published
    right = int((judged.right & shown).sum())
    accepted = inside & auto
    accepted_right = int((judged.right & accepted).sum())
    accepted_count = int(accepted.sum())
    return {
        "gold": gold,
        "published": int(shown.sum()),
        "precision": right / max(int(shown.sum()), 1),
        "recall": right / max(gold, 1),
        "f1": 2 * right / max(int(shown.sum()) + gold, 1),
        "auto": accepted_count,
        "auto_coverage": accepted_right / max(gold, 1),
        "auto_precision": accepted_right / accepted_count if accepted_count else None,
    }


def _per_facet(
    judged: Judged,
    published: npt.NDArray[np.bool_],
    auto: npt.NDArray[np.bool_],
    universe: _Universe,
) -> dict[str, Any]:
    facets = universe.facets
    return {
        facet: _part(judged, published, auto, facets == facet)
        for facet in dict.fromkeys(universe.facet_of)
    }


def _per_frequency(
    judged: Judged,
    published: npt.NDArray[np.bool_],
    auto: npt.NDArray[np.bool_],
    frequency: npt.NDArray[np.int64],
) -> dict[str, Any]:
    bucket = np.where(frequency == 0, -1, bucket_of(frequency))
    names = {-1: "0"}
    bounds = [*FREQUENCY_BUCKETS, None]
    for index, (low, high) in enumerate(pairwise(bounds)):
        low = max(low or 0, 1)
        names[index] = f"{low}+" if high is None else f"{low}-{high - 1}"
    return {name: _part(judged, published, auto, bucket == index) for index, name in names.items()}


def _per_tag(
    judged: Judged,
    published: npt.NDArray[np.bool_],
    frequency: npt.NDArray[np.int64],
    universe: _Universe,
) -> dict[str, Any]:
    """Of each tag that is gold or published: examples, gold, published, precision, recall, f1."""
    size = len(universe)
    gold = np.bincount(judged.gold_tags, minlength=size)
    shown = np.bincount(judged.tags[published], minlength=size)
    right = np.bincount(judged.tags[published & judged.right], minlength=size)
    return {
        universe.written[tag]: {
            "examples": int(frequency[tag]),
            "gold": int(gold[tag]),
            "published": int(shown[tag]),
            "precision": float(right[tag] / max(shown[tag], 1)),
            "recall": float(right[tag] / max(gold[tag], 1)),
            "f1": float(2 * right[tag] / (shown[tag] + gold[tag])),
        }
        for tag in np.flatnonzero(gold + shown)
    }


def _confusions(
    judged: Judged, published: npt.NDArray[np.bool_], universe: _Universe
) -> list[dict[str, Any]]:
    """The commonest pairs (tag missed, tag published instead in the same facet)."""
    shown = published & judged.right
    found = set(zip(judged.rows[shown].tolist(), judged.tags[shown].tolist(), strict=True))
    missed: dict[tuple[int, str], list[int]] = {}
    for row, tag in zip(judged.gold_rows.tolist(), judged.gold_tags.tolist(), strict=True):
        if (row, tag) not in found:
            missed.setdefault((row, universe.facet_of[tag]), []).append(tag)
    counts: Counter[tuple[int, int]] = Counter()
    wrong = published & ~judged.right
    for row, tag in zip(judged.rows[wrong].tolist(), judged.tags[wrong].tolist(), strict=True):
        for gold in missed.get((row, universe.facet_of[tag]), ()):
            counts[gold, tag] += 1
    return [
        {"missed": universe.written[gold], "published": universe.written[tag], "products": count}
        for (gold, tag), count in counts.most_common(_SHOWN_CONFUSIONS)
    ]


def _baseline(
    model: Model,
    pairs: ScoredPairs,
    gold_rows: npt.NDArray[np.int64],
    gold_tags: npt.NDArray[np.int64],
    size: int,
    universe: _Universe,
    frequency: npt.NDArray[np.int64],
    train_size: int,
) -> dict[str, Any]:
    """The lexicon alone: every tag whose name stands in the product is published."""
    judged, _ = _judge(pairs, gold_rows, gold_tags, size, len(universe))
    return {
        "name": "lexicon",
        **ranking_metrics(judged, frequency, train_size),
        **set_metrics(judged, np.ones(len(judged.rows), np.bool_)),
        "ece": expected_calibration_error(judged.probability, judged.right),
    }
