"""Whom to ask a large model about: `python benchmarks/bench.py routing`.

No large model is asked: its answers are simulated, out of the gold tags with noise. Of each gold
tag it says yes with chance RECALL, of each wrong tag it is shown with chance FALSE_ALARMS; what it
says of a pair is decided by a hash of product and tag, so that routing cannot change it. A real
model errs more where the engine errs too; this one does not. Two such teachers:

* *shown*: judges the OFFERED most probable candidates of a product, which is all that `tag --llm`
  can publish (what else a model names is a proposal);
* *all gold*: names also gold tags nobody suggested, those of no training product included.

Who is asked about gets the teacher's tags in place of the engine's. A call is a product, or a
*cell*, the candidates of a product in one facet. Against share of calls: micro-F1 of our routing
(`choose_cells` by `expected_gains`, its random hundredth included), of the same by expected errors,
of random routing (mean of RANDOM_SEEDS) and of an oracle that knows gold and the teacher's slips:
with F1 = 2 · right / (published + gold) it asks where 2 · Δright − F1 · Δpublished is most.

*By cost* compares choosing cells, as `tag --llm cascade` does within a budget, with choosing whole
products by their gain a cost, at JUDGED of the cost of asking about everything.

What limits any routing by probability: *exact* is our share of the oracle's gain if gold itself is
drawn from the engine's probabilities, so that these are perfectly calibrated and all there is to
know. The engine is trained on train; nothing here was tuned on test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import results
from data import Product, load_set

import tagmill
from tagmill.catalog import as_batches
from tagmill.tagging.llm import VERIFIED_FROM
from tagmill.tagging.output import ScoredPairs
from tagmill.tagging.routing import Cells, Prices, choose_cells, expected_gains

if TYPE_CHECKING:
    from tagmill.tagging.model import Model

RECALL, FALSE_ALARMS = 0.95, 0.005
OFFERED = 24
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0)
JUDGED = 0.1  # the share at which routings are compared
NEAR = 0.99  # of the F1 with all calls: how many calls does it take
RANDOM_SEEDS, DRAWS, RESAMPLES = 20, 5, 1000

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def run(sets: list[str], *, is_quick: bool) -> None:
    """Measure each set and store it under its name."""
    for name in sets:
        products = load_set(name)
        pairs = Pairs.of(tagmill.train(products.train), products.test)
        answers = pairs.answers()
        entry: dict[str, Any] = {"products": pairs.size, "pairs": len(pairs.tags), "cases": {}}
        for case, units in {
            "products, shown": pairs.units(answers),
            "products, all gold": pairs.units(answers, all_gold=True),
            "cells, shown": pairs.units(answers, cells=True),
        }.items():
            found = measure(units)
            found["exact"] = None
            if not case.endswith("all gold"):
                cells = case.startswith("cells")
                found["exact"] = exact(pairs, cells=cells, draws=1 if is_quick else DRAWS)
            entry["cases"][case] = found
            brief = {k: v for k, v in found.items() if k != "curves"}
            print(f"  {name}, {case}: {brief}", flush=True)
        entry["cost"] = by_cost(pairs, answers)
        print(f"  {name}, by cost: {entry['cost']}", flush=True)
        results.keep("routing", name, entry, is_quick=is_quick)


@dataclass(frozen=True)
class Units:
    """What can be asked about, one call each; arrays (n,)."""

    product: Ints
    facet: Ints  # of a cell; 0 of a product
    engine: tuple[Floats, Floats]  # right, published
    teacher: tuple[Floats, Floats]
    gold: Floats
    gains: Floats  # expected, as our routing knows them
    errors: Floats

    def f1(self, asked: Bools) -> float:
        """Micro-F1 when these (n,) are asked about."""
        return float(self.resampled_f1(asked, np.ones((1, len(asked))))[0])

    def resampled_f1(self, asked: Bools, weights: Floats) -> Floats:
        """The same under each weighting (k, n) of the units, (k,)."""
        right, published = (
            np.where(asked, said, own) for said, own in zip(self.teacher, self.engine, strict=True)
        )
        f1: Floats = 2 * (weights @ right) / (weights @ (published + self.gold))
        return f1

    def count(self, share: float) -> int:
        return int(np.ceil(share * len(self.product)))

    def best(self, worth: Floats, share: float) -> Bools:
        """A share of the units, those worth most."""
        asked = np.zeros(len(worth), np.bool_)
        asked[np.argsort(-worth, kind="stable")[: self.count(share)]] = True
        return asked

    def routed(self, share: float) -> Bools:
        """Those our routing asks about."""
        return self.chosen(self.gains, share)

    def chosen(self, worth: Floats, share: float) -> Bools:
        """Those most promising, and the random hundredth."""
        rows = np.flatnonzero(worth > 0)
        none = np.zeros(len(worth), np.int64)
        cells = Cells(rows, none[rows], worth[rows], none[rows], none, 1)
        chosen: Bools = choose_cells(cells, Prices(1.0, 0.0), share=share).toarray()[:, 0]
        return chosen

    def random(self, share: float, seed: int) -> Bools:
        return self.best(np.random.default_rng(1000 + seed).random(len(self.product)), share)

    def random_f1(self, share: float) -> float:
        """Micro-F1 of random routing, the mean of its seeds."""
        return float(np.mean([self.f1(self.random(share, seed)) for seed in range(RANDOM_SEEDS)]))

    def oracle(self, share: float) -> Bools:
        """The best there are: F1 is a ratio, so what a change is worth is found by iteration."""
        right, published = (said - own for said, own in zip(self.teacher, self.engine, strict=True))
        asked = np.zeros(len(right), np.bool_)
        for _ in range(10):
            asked = self.best(2 * right - self.f1(asked) * published, share)
        return asked


@dataclass(frozen=True)
class Pairs:
    """The engine's candidate pairs of some products, and gold; arrays (p,) unless said."""

    rows: Ints
    tags: Ints
    facets: Ints
    probability: Floats
    published: Bools
    gains: Floats
    right: Bools
    offered: Bools
    ids: Sequence[str]  # of the n products
    names: Sequence[str]  # of the m tags
    absent: Sequence[Sequence[str]]  # of each product the gold tags that are no candidate

    @property
    def size(self) -> int:
        return len(self.ids)

    @staticmethod
    def of(model: Model, products: Sequence[Product]) -> Pairs:
        """What the engine says of products whose tags it is not shown."""
        inputs = [{k: v for k, v in product.items() if k != "tags"} for product in products]
        parts, done = [], 0
        for batch in as_batches(inputs):
            part = model.score_pairs(batch, model.lexicon.find(batch), 0)
            parts.append(part.shifted(done))
            done += batch.num_rows
        scored = ScoredPairs.concatenate(parts)
        order = np.lexsort((-scored.score, -scored.probability, scored.rows))
        scored = scored.take(order)
        rows, tags = scored.rows.astype(np.int64), scored.tags.astype(np.int64)
        names = [model.library.tags[tag_id].text for tag_id in model.tag_ids]
        place = {name: number for number, name in enumerate(names)}
        candidates: list[set[str]] = [set() for _ in products]
        for row, tag in zip(rows.tolist(), tags.tolist(), strict=True):
            candidates[row].add(names[tag])
        # Spellings of one tag are one tag.
        gold = [
            {found.text if (found := model.library.find(tag)) else tag for tag in product["tags"]}
            for product in products
        ]
        known = [
            row * len(names) + place[tag]
            for row, wanted in enumerate(gold)
            for tag in wanted & candidates[row]
        ]
        return Pairs(
            rows,
            tags,
            model.facets[tags].astype(np.int64),
            scored.probability,
            scored.probability >= model.review_start,
            expected_gains(model, scored),
            np.isin(rows * len(names) + tags, known),
            np.arange(len(rows)) - np.searchsorted(rows, rows) < OFFERED,
            [product["id"] for product in products],
            names,
            [sorted(gold[row] - candidates[row]) for row in range(len(products))],
        )

    def answers(self) -> Floats:
        """A number in [0, 1) for each pair, below which the teacher says yes."""
        return np.array(
            [
                _draw(self.ids[row], self.names[tag])
                for row, tag in zip(self.rows.tolist(), self.tags.tolist(), strict=True)
            ]
        )

    def units(
        self,
        answers: Floats,
        *,
        cells: bool = False,
        all_gold: bool = False,
        right: Bools | None = None,
    ) -> Units:
        """Products or cells as calls; `right` (p,) in place of gold, where gold is drawn."""
        width = int(self.facets.max(initial=0)) + 1
        key = self.rows * width + self.facets if cells else self.rows
        keys, unit = np.unique(key, return_inverse=True)
        if not cells:  # also products without candidates
            keys, unit = np.arange(self.size), self.rows

        def total(values: npt.NDArray[Any]) -> Floats:
            return np.bincount(unit, values, len(keys)).astype(np.float64)

        gold = self.right if right is None else right
        says = self.offered & (answers < np.where(gold, RECALL, FALSE_ALARMS))
        said, said_right, wanted = total(says), total(says & gold), total(gold)
        if right is None:
            missing = np.array([len(tags) for tags in self.absent], np.float64)
            if all_gold:
                more = [
                    sum(_draw(self.ids[row], tag) < RECALL for tag in tags)
                    for row, tags in enumerate(self.absent)
                ]
                said, said_right = said + more, said_right + more
            # No cell has the gold tags without a candidate; they count, with the product's first.
            first = np.searchsorted(keys, np.arange(self.size) * width) if cells else keys
            np.add.at(wanted, np.minimum(first, len(keys) - 1), missing)
        wrong = np.where(self.published, 1 - self.probability, self.probability)
        return Units(
            keys // width if cells else keys,
            keys % width if cells else 0 * keys,
            (total(self.published & gold), total(self.published)),
            (said_right, said),
            wanted,
            total(self.gains),
            total(wrong),
        )


def _draw(product: str, tag: str) -> float:
    digest = hashlib.blake2b(f"{product}\n{tag}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def measure(units: Units) -> dict[str, Any]:
    """Curves, the share of the oracle's gain over random at JUDGED, and calls for NEAR."""
    routings: dict[str, Callable[[float], float]] = {
        "routing": lambda share: units.f1(units.routed(share)),
        "errors": lambda share: units.f1(units.chosen(units.errors, share)),
        "random": units.random_f1,
        "oracle": lambda share: units.f1(units.oracle(share)),
    }
    engine = units.f1(np.zeros(len(units.gold), np.bool_))
    everywhere = units.f1(np.ones(len(units.gold), np.bool_))
    low, high = gain_interval(units)
    return {
        "calls": len(units.gold),
        "engine": engine,
        "llm": everywhere,
        "shares": SHARES,
        "curves": {name: [f1(share) for share in SHARES] for name, f1 in routings.items()},
        "of_oracle": float(gain_share(units, units.routed(JUDGED))[0]),
        "of_oracle_low": low,
        "of_oracle_high": high,
        "of_oracle_errors": float(gain_share(units, units.chosen(units.errors, JUDGED))[0]),
        "avoided": {name: _avoided(f1, everywhere) for name, f1 in routings.items()},
    }


def gain_share(units: Units, asked: Bools, weights: Floats | None = None) -> Floats:
    """What a routing gains over random at JUDGED, as a share of what the oracle gains over it.

    Under each weighting (k, n) of the units, (k,); without any, (1,).
    """
    if weights is None:
        weights = np.ones((1, len(asked)))
    chance = np.mean(
        [units.resampled_f1(units.random(JUDGED, seed), weights) for seed in range(RANDOM_SEEDS)],
        axis=0,
    )
    most = units.resampled_f1(units.oracle(JUDGED), weights)
    share: Floats = (units.resampled_f1(asked, weights) - chance) / (most - chance)
    return share


def gain_interval(units: Units) -> tuple[float, float]:
    """The 95% interval of our `gain_share` over resampled products, who is asked about kept."""
    size = int(units.product.max()) + 1
    chance = np.random.default_rng(0)
    shares = []
    for _ in range(RESAMPLES // 50):
        drawn = chance.multinomial(size, np.full(size, 1 / size), 50).astype(np.float64)
        shares.append(gain_share(units, units.routed(JUDGED), drawn[:, units.product]))
    low, high = np.percentile(np.concatenate(shares), [2.5, 97.5])
    return float(low), float(high)


def exact(pairs: Pairs, *, cells: bool, draws: int) -> float:
    """Our `gain_share` where gold is drawn from the engine's probabilities."""
    found = []
    for seed in range(draws):
        chance = np.random.default_rng(seed)
        right = chance.random(len(pairs.tags)) < pairs.probability
        units = pairs.units(chance.random(len(pairs.tags)), cells=cells, right=right)
        found.append(gain_share(units, units.routed(JUDGED))[0])
    return float(np.mean(found))


def by_cost(pairs: Pairs, answers: Floats) -> dict[str, float]:
    """Micro-F1 where JUDGED of what asking about every cell costs may be spent, by `Prices`: a
    product's first cell pays for a request, each likely candidate for another. The *shown* teacher.
    """
    units, prices = pairs.units(answers, cells=True), Prices()
    width, size = int(units.facet.max(initial=0)) + 1, pairs.size
    likely = np.bincount(
        np.unique(pairs.rows * width + pairs.facets, return_inverse=True)[1],
        pairs.probability >= VERIFIED_FROM,
    ).astype(np.int64)
    whole = np.bincount(units.product, likely, size).astype(np.int64)
    costs = prices.product + prices.candidate * whole
    budget = JUDGED * float(costs.sum())

    def cells(gains: Floats) -> Bools:
        some = gains > 0
        found = Cells(
            units.product[some], units.facet[some], gains[some], likely[some], whole, width
        )
        chosen = choose_cells(found, prices, budget=budget)
        return np.asarray(chosen[units.product, units.facet]).ravel().astype(np.bool_)

    def products(worth: Floats) -> Bools:
        order = np.argsort(-worth, kind="stable")
        asked = np.zeros(size, np.bool_)
        asked[order[np.cumsum(costs[order]) <= budget]] = True
        return asked[units.product]

    right, published = (said - own for said, own in zip(units.teacher, units.engine, strict=True))
    best = np.zeros(len(right), np.bool_)
    for _ in range(10):
        best = cells(2 * right - units.f1(best) * published)
    by_product = np.bincount(units.product, units.gains, size) / costs
    chance = [np.random.default_rng(seed).random(size) for seed in range(RANDOM_SEEDS)]
    return {
        "engine": units.f1(np.zeros(len(right), np.bool_)),
        "random": float(np.mean([units.f1(products(worth)) for worth in chance])),
        "products": units.f1(products(by_product)),
        "cells": units.f1(cells(units.gains)),
        "oracle": units.f1(best),
    }


def _avoided(f1_at: Callable[[float], float], everywhere: float) -> float:
    """The share of calls not needed for NEAR of the F1 with all of them, in hundredths."""
    enough = (n for n in range(101) if f1_at(n / 100) >= NEAR * everywhere)
    return round(1 - next(enough, 100) / 100, 2)
