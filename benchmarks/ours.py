"""tagmill as its users have it, answering in the numbering of the benchmark's labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from data import Product
from measures import PROMISE, Thresholds
from peers import Matrix

import tagmill
from tagmill.catalog import as_batches

if TYPE_CHECKING:
    from tagmill.tagging.model import Model


class Tagmill:
    """`tagmill.train` with its defaults; review threshold and lane auto are the model's own."""

    def __init__(self, names: Sequence[str], *, seed: int = 0) -> None:
        self._names, self._seed = names, seed

    def fit(self, products: Sequence[Product]) -> None:
        """Train on tagged products."""
        self.model: Model = tagmill.train(products, seed=self._seed)
        place = {tag_id: number for number, tag_id in enumerate(self.model.tag_ids)}
        tags = [self.model.library.find(name) for name in self._names]
        self._own = np.array([place.get(tag.id, -1) if tag else -1 for tag in tags])
        self._columns = np.full(len(place), -1)
        # Two spellings of one tag are one tag for tagmill: the first answers, the other is a miss.
        known = np.flatnonzero(self._own >= 0)[::-1]
        self._columns[self._own[known]] = known

    def scores(self, products: Sequence[Product]) -> Matrix:
        """The candidate pairs with their probability, csr (n, m)."""
        inputs = [{k: v for k, v in product.items() if k != "tags"} for product in products]
        parts = []
        for batch in as_batches(inputs):
            pairs = self.model.score_pairs(batch, self.model.lexicon.find(batch), 0)
            columns = self._columns[pairs.tags]
            keep = columns >= 0
            # Pairs of equal probability are ordered by their score, as in the output.
            values = pairs.probability + 1e-9 * np.tanh(pairs.score / 30) + 1e-9
            shape = (batch.num_rows, len(self._names))
            parts.append(Matrix((values[keep], (pairs.rows[keep], columns[keep])), shape=shape))
        return parts[0] if len(parts) == 1 else _stacked(parts)

    def thresholds(self) -> Thresholds:
        """Where the model's own lanes begin; both come from cross-fitting on the training data."""
        starts = np.full(len(self._names), np.inf)
        known = self._own >= 0
        starts[known] = self.model.auto_starts(PROMISE)[self._own[known]]
        return Thresholds(self.model.review_start, starts)


def _stacked(parts: Sequence[Matrix]) -> Matrix:
    from scipy import sparse

    return Matrix(sparse.vstack(parts))
