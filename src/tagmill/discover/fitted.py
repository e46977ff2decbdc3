"""What recommendation fits to a store's events and tags, kept in a folder, and its scores.

What was fitted may be older than the shelf: products and tags that came since are scored by tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.discover.item_model import Floats, ItemModel, TagMap, fit_items, matrix_of
from tagmill.discover.shelf import Shelf, keep_arrays, pack_texts, unpack_texts
from tagmill.store import Store
from tagmill.store.events import EventState

__all__ = ["Fitted", "Joined"]

_STALE = 0.1  # share of events or products that changed, from which all is fitted anew
_FEW = 10_000  # a new event in so many products is worth a fit, however few there were
_MOST_PRODUCTS = 500  # of one person, the latest: beyond, a robot's views would weigh most


@dataclass(frozen=True)
class Fitted:
    """A model, the products (n,) and tags (m,) it was fitted to, and the people each had."""

    database: str
    state: EventState
    ids: list[str]
    tag_ids: list[str]
    degrees: Floats
    model: ItemModel

    @classmethod
    def fit(cls, store: Store, shelf: Shelf) -> Fitted:
        """Fit to all events there are."""
        state = store.events.state()
        events = _people(store, shelf)
        model = fit_items(events, shelf.unit)
        degrees = np.asarray(events.sum(axis=0), np.float32).ravel()
        return cls(store.searches.database, state, shelf.ids, shelf.tag_ids, degrees, model)

    def is_stale(self, state: EventState, fresh: int) -> bool:
        """Whether so much came since, events or `fresh` products, that it should be fitted anew;
        always once somebody was forgotten, and while there is little."""
        more = state.added - self.state.added
        enough = max(_STALE * self.state.added, len(self.ids) / _FEW)
        forgotten = state.forgotten != self.state.forgotten
        return forgotten or more > enough or fresh > _STALE * len(self.ids)

    def save(self, folder: Path) -> None:
        """Write it."""
        weights, tags = self.model.weights, self.model.tags
        keep_arrays(
            folder / "fitted.npz", database=self.database,
            state=[self.state.added, self.state.forgotten], ids=pack_texts(self.ids),
            tag_ids=pack_texts(self.tag_ids),
            degrees=self.degrees, closed=self.model.closed,
            indptr=weights.indptr, indices=weights.indices, data=weights.data,
            **vars(tags),
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path, database: str) -> Fitted | None:
        """What the folder holds; None where there is none of this database."""
        try:
            with np.load(folder / "fitted.npz") as kept:
                if str(kept["database"]) != database:
                    return None
                ids = unpack_texts(kept["ids"])
                weights = sparse.csr_array(
                    (kept["data"], kept["indices"], kept["indptr"]), (len(ids), len(ids))
                )
                tags = TagMap(
                    kept["damping"], kept["common"], kept["inverse"], kept["diagonal"],
                    float(kept["new_damping"]), float(kept["new_tag"]),
                )  # fmt: skip
                tag_ids = unpack_texts(kept["tag_ids"])
                return cls(
                    database, EventState(*kept["state"].tolist()), ids, tag_ids, kept["degrees"],
                    ItemModel(weights, tags, bool(kept["closed"])),
                )  # fmt: skip
        except (OSError, ValueError, KeyError):  # none yet, or damaged: it is fitted again
            return None


class Joined:
    """A shelf of n products beside what was fitted.

    `fitted_of` (n,) is each product's number there, -1 for the `fresh` ones.
    """

    def __init__(self, shelf: Shelf, fitted: Fitted, before: Joined | None = None) -> None:
        self.shelf, self.fitted = shelf, fitted
        known, self._numbers = np.zeros(0, np.int64), dict[str, int]()
        if before is not None and before.fitted is fitted and before.shelf.root is shelf.root:
            known, self._numbers = before.fitted_of, before._numbers
        else:
            self._numbers = {product: number for number, product in enumerate(fitted.ids)}
        late = [self._numbers.get(product, -1) for product in shelf.ids[len(known) :]]
        self.fitted_of: npt.NDArray[np.int64] = np.concatenate([known, np.array(late, np.int64)])
        self.fresh = np.flatnonzero((self.fitted_of < 0) & ~shelf.gone)
        living = np.flatnonzero((self.fitted_of >= 0) & ~shelf.gone)
        self._shelf_of = np.full(len(fitted.ids), -1, np.int64)
        self._shelf_of[self.fitted_of[living]] = living
        columns = {tag: number for number, tag in enumerate(fitted.tag_ids)}
        self._columns = np.array([columns.get(tag, -1) for tag in shelf.tag_ids], np.int64)
        self._fresh_unit = sparse.csr_array(shelf.unit[self.fresh])
        self.popular = np.full(len(shelf.ids), 1e-6, np.float32)  # people that each product had
        self.popular[living] += fitted.degrees[self.fitted_of[living]]

    def scores(self, weights: Mapping[int, float]) -> Floats:
        """(n,) what products of these weights speak for: by what was fitted to both, and by
        their tags."""
        places = np.array(list(weights), np.int64)
        values = np.array(list(weights.values()), np.float32)
        model, known = self.fitted.model, self.fitted_of[places]
        total = np.zeros(len(self.shelf.ids), np.float32)
        for number, value in zip(known.tolist(), values.tolist(), strict=True):
            if number >= 0:
                part = slice(*model.weights.indptr[number : number + 2].tolist())
                targets = self._shelf_of[model.weights.indices[part]]
                total[targets[targets >= 0]] += value * model.weights.data[part][targets >= 0]
        if not model.closed:
            total += np.float32(model.tag_share) * (self.shelf.unit @ self._sum(places, values))
            return total
        if (known < 0).any():
            new = known < 0
            total += self.shelf.unit @ self._sum(places[new], values[new])
        if len(self.fresh):
            total[self.fresh] = self._fresh_unit @ self._sum(places, values)
        return total

    def _sum(self, places: npt.NDArray[np.int64], values: Floats) -> Floats:
        """(m,) in the shelf's columns: its product with a unit row is what the tags of products
        of these values say together."""
        weighted = sparse.csr_array((values * self._damping(places))[None, :])
        vector: Floats = self._mapped((weighted @ self.shelf.unit[places]).toarray())[0]
        return vector

    def weights(self, sources: Sequence[int], targets: Sequence[int]) -> Floats:
        """(k, t) how much each source speaks for each target."""
        model, unit = self.fitted.model, self.shelf.unit
        damping = sparse.diags_array(self._damping(np.array(sources, np.int64)))
        # The targets are fewer than the sources, and S is symmetric.
        by_tags: Floats = (damping @ unit[sources]) @ self._mapped(unit[targets].toarray()).T
        of, to = self.fitted_of[list(sources)], self.fitted_of[list(targets)]
        known = model.weights[np.maximum(of, 0)][:, np.maximum(to, 0)].toarray()
        both = (of >= 0)[:, None] & (to >= 0)
        if model.closed:
            return np.where(both, known, by_tags).astype(np.float32)
        both_ways: Floats = np.where(both, known, 0) + np.float32(model.tag_share) * by_tags
        return both_ways

    def _damping(self, places: npt.NDArray[np.int64]) -> Floats:
        """(k,) `TagMap`'s d of products."""
        tags, known = self.fitted.model.tags, self.fitted_of[places]
        damping = np.full(len(places), tags.new_damping, np.float32)
        damping[known >= 0] = tags.damping[known[known >= 0]]
        return damping

    def _mapped(self, given: Floats) -> Floats:
        """`TagMap`'s S of vectors (k, m) in the shelf's columns."""
        tags = self.fitted.model.tags
        there = np.flatnonzero(self._columns >= 0)
        inner = np.zeros((len(given), len(tags.diagonal)), np.float32)
        inner[:, self._columns[there]] = given[:, there]
        mapped: Floats = given * np.float32(tags.new_tag)
        mapped[:, there] = tags.apply(inner)[:, self._columns[there]]
        return mapped


def _people(store: Store, shelf: Shelf) -> sparse.csr_array:
    """Events as (people, products): 1 where somebody met a product and did not dislike it."""
    numbers: dict[str, int] = {}
    people: list[int] = []
    places: list[int] = []
    disliked: list[bool] = []
    for page in store.events.pages():
        for event in page:
            place = shelf.place(event.product)
            if place is not None:
                people.append(numbers.setdefault(event.user, len(numbers)))
                places.append(place)
                disliked.append(event.kind == "dislike")
    n = len(shelf.ids)
    where = np.array([people, places], np.int64).reshape(2, -1)
    cells, latest = np.unique((where[0] * n + where[1])[::-1], return_index=True)
    refused = np.unique((where[0] * n + where[1])[np.array(disliked, np.bool_)])
    kept = ~np.isin(cells, refused)
    cells, latest = cells[kept], latest[kept]  # `latest` counts back from the newest event
    person = cells // n if n else cells
    order = np.lexsort((latest, person))
    first = np.searchsorted(person[order], person[order])  # where each one's products begin
    order = order[np.arange(len(order)) - first < _MOST_PRODUCTS]
    chosen = np.stack([person[order], cells[order] % max(n, 1)])
    return matrix_of(np.ones(len(order), np.float32), chosen, (len(numbers), n))
