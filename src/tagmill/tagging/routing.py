"""Which cells, a product and a facet each, a large language model is asked about.

The engine judges every product. What an answer is worth is what it should add to micro-F1, which
is 2 · right / (published + gold): a right tag more is worth 2 − F1, a wrong one less F1. The engine
publishes from the probability t that is best for F1, and there F1 is 2t (publishing a pair pays
from 2p > F1 on). So a pair at probability p that is published is worth t · (1 − p), one that is not
(1 − t) · p: `expected_gains`.

The first cell of a product pays for a request that the others share. So a product comes with the
cells that together gain most a cost, its other cells follow on their own, and all are taken in that
order: the greedy answer to a knapsack with set-up costs. One in a hundred of the products is any
other one, at random: what the engine is wrongly sure of shows only there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.tagging.llm import VERIFIED_FROM

if TYPE_CHECKING:
    from tagmill.tagging.model import Model
    from tagmill.tagging.output import ScoredPairs

__all__ = ["EXPLORED", "Cells", "Prices", "choose_cells", "expected_gains"]

EXPLORED = 0.01  # share of the asked products that are picked whatever the engine thinks
_IN_DOUBT = 0.01  # expected gain from which a cell may be asked about


@dataclass(frozen=True)
class Prices:
    """What asking about a product costs in any one unit, and what each likely candidate adds.

    The defaults are what they cost the sample catalogue's products, where a server keeps prefixes.
    """

    product: float = 1.0
    candidate: float = 0.1


@dataclass(frozen=True)
class Cells:
    """The cells of n products in which asking should gain something, by product."""

    rows: npt.NDArray[np.int64]  # (c,) product
    facets: npt.NDArray[np.int64]  # (c,)
    gains: npt.NDArray[np.float64]  # (c,) expected, of micro-F1 in units all cells share
    candidates: npt.NDArray[np.int64]  # (c,) how many would be verified
    all_candidates: npt.NDArray[np.int64]  # (n,) how many in all cells of a product
    width: int  # facets there are

    @property
    def counted(self) -> npt.NDArray[np.int64]:
        """The candidates a cell (c,) is priced by: to be offered costs something too."""
        return np.maximum(self.candidates, 1)

    @staticmethod
    def of(model: Model, scored: ScoredPairs, products: int) -> Cells:
        """Those of a batch's scored pairs."""
        width = int(model.facets.max(initial=0)) + 1
        keys = scored.rows.astype(np.int64) * width + model.facets[scored.tags]
        cells, cell = np.unique(keys, return_inverse=True)
        gains = np.bincount(cell, expected_gains(model, scored), len(cells)).astype(np.float64)
        likely = scored.probability >= VERIFIED_FROM
        candidates = np.bincount(cell, likely, len(cells)).astype(np.int64)
        doubtful = gains >= _IN_DOUBT
        return Cells(
            cells[doubtful] // width, cells[doubtful] % width, gains[doubtful],
            candidates[doubtful], np.bincount(scored.rows[likely], minlength=products), width,
        )  # fmt: skip

    @staticmethod
    def concatenate(parts: Sequence[Cells]) -> Cells:
        """The cells of batches that follow one another, at least one."""
        before = np.cumsum([0, *(len(part.all_candidates) for part in parts)])
        return Cells(
            np.concatenate([part.rows + n for part, n in zip(parts, before, strict=False)]),
            np.concatenate([part.facets for part in parts]),
            np.concatenate([part.gains for part in parts]),
            np.concatenate([part.candidates for part in parts]),
            np.concatenate([part.all_candidates for part in parts]),
            parts[0].width,
        )


def expected_gains(model: Model, scored: ScoredPairs) -> npt.NDArray[np.float64]:
    """What the truth about each pair (p,) should add to micro-F1, in units all pairs share.

    A wrong tag taken away is worth `review_start`, a right one found 1 − `review_start`.
    """
    start, probability = model.review_start, scored.probability
    published = probability >= start
    return np.where(published, start * (1 - probability), (1 - start) * probability)


def choose_cells(
    cells: Cells,
    prices: Prices = Prices(),
    *,
    share: float | None = None,
    budget: float | None = None,
    seed: int = 0,
) -> sparse.csr_array:
    """Which cells to ask about, True where: a sparse (products, facets).

    At most `share` of the products, and what costs at most `budget` in the unit of `prices`, the
    most gain a cost first. A hundredth of the products that can be asked about is picked at random
    among the others, all facets of each.
    """
    size = len(cells.all_candidates)
    chance = np.random.default_rng(seed)
    most = size if share is None else int(np.ceil(share * size))
    whole = prices.product + prices.candidate * cells.all_candidates  # of all facets of a product
    usual = float(whole.mean()) if size else 0.0
    asked = float(most)
    if budget is not None:
        asked = min(asked, budget / max(usual, 1e-12))
    explored = int(EXPLORED * asked + chance.random())  # so that few products also explore a little
    left = None if budget is None else max(budget - explored * usual, 0.0)
    best, spent = _best_cells(cells, prices, most - min(explored, most), left)
    opened = np.zeros(size, np.bool_)
    opened[cells.rows[best]] = True
    others = chance.permutation(np.flatnonzero(~opened))[:explored]
    if budget is not None:
        others = others[spent + np.cumsum(whole[others]) <= budget]
    rows = np.concatenate([cells.rows[best], np.repeat(others, cells.width)])
    facets = np.concatenate([cells.facets[best], np.tile(np.arange(cells.width), len(others))])
    shape = size, cells.width
    return sparse.csr_array((np.ones(len(rows), np.bool_), (rows, facets)), shape=shape)


def _best_cells(
    cells: Cells, prices: Prices, products: int, budget: float | None
) -> tuple[npt.NDArray[np.int64], float]:
    """The cells that gain most, of at most so many products, and what they cost."""
    costs = prices.candidate * cells.counted
    alone = cells.gains / np.maximum(costs, 1e-12)
    order = np.lexsort((-alone, cells.rows))
    rows, costs, alone = cells.rows[order], costs[order], alone[order]
    starts = np.flatnonzero(np.r_[True, np.diff(rows) != 0]) if len(rows) else np.zeros(0, np.intp)
    product = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(rows)]))
    together = _running(cells.gains[order], starts, product) / (
        prices.product + _running(costs, starts, product)
    )
    if not len(starts):
        return order, 0.0
    highest = np.maximum.reduceat(together, starts)
    # As the best cells come first, `together` rises to its highest value and then falls.
    last = np.maximum.reduceat(
        np.where(together == highest[product], np.arange(len(rows)), -1), starts
    )
    worth = np.where(np.arange(len(rows)) <= last[product], highest[product], alone)
    kept = np.zeros(len(starts), np.bool_)
    kept[np.argsort(-highest, kind="stable")[:products]] = True
    inside = np.flatnonzero(kept[product])
    # The best product first, its cells together and in their order.
    taken = inside[np.lexsort((inside, -worth[inside]))]
    paid = costs[taken]
    _, first = np.unique(product[taken], return_index=True)
    paid[first] += prices.product
    paid = np.cumsum(paid)
    if budget is not None:
        taken = taken[paid <= budget]
    return order[taken], float(paid[len(taken) - 1]) if len(taken) else 0.0


def _running(
    values: npt.NDArray[np.floating], starts: npt.NDArray[np.intp], group: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """The sum of each group's values up to each of them."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    running: npt.NDArray[np.float64] = sums[1:] - sums[starts][group]
    return running
