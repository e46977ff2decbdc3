"""Recommendation: products for a user or beside a product, by events and tags together.

store → catalogue (products and their tags) → item_model → a user's profile × weights → the list

What is fitted lies in a folder and is fitted anew when much has changed. What changed since is
taken as it is: a user's events at every call, the tags of new and changed products as well, so
that a product is recommended by its tags from its first minute.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.discover.item_model import fit_items, matrix_of, tag_rows
from tagmill.discover.shelf import Shelf, read_shelf
from tagmill.errors import SearchError
from tagmill.records import Tag, tag_text
from tagmill.store import Store
from tagmill.store.events import Event, EventState

__all__ = ["PersonalTag", "Recommendation", "Recommender", "Why", "open_recommender"]

_WEIGHTS = {"view": 1.0, "cart": 2.0, "like": 3.0, "purchase": 3.0, "dislike": -3.0}
_HALF_LIFE = 60.0  # days after which an event counts half
_MOST = 4.0  # of one product in a profile, however often it was viewed
_STALE = 0.1  # share of events or products that changed, from which all is fitted anew
_POOL = 5  # times the wanted products are looked at for variety
_VARIETY = 0.3  # of the best score that being just like a product above costs
_DAY = 86_400.0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Why:
    """Why a product is in the list: `because` of which product ("": many people's), by which
    event, and the `tags` (facet:name) that both have."""

    because: str
    title: str
    kind: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Recommendation:
    """A product for somebody; scores compare within one list."""

    id: str
    title: str
    score: float
    why: Why


@dataclass(frozen=True)
class PersonalTag:
    """A tag of a product, and how much it speaks to a user (0: nothing is known)."""

    tag: str
    probability: float
    affinity: float


class Recommender:
    """Recommends products of a store; see `open_recommender`."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._fitted: _Fitted | None = None
        self._shelf: Shelf | None = None

    def for_user(
        self,
        user: str,
        *,
        limit: int = 20,
        exclude: Sequence[str] = (),
        language: str = "",
        now: datetime | None = None,
    ) -> list[Recommendation]:
        """Products for a user, best first: not what was bought or disliked, nor what has one of
        the `exclude`d tags (facet:name). Somebody of whom nothing is known to be liked gets
        what people like most.

        Raises UnknownTag.
        """
        shelf, fitted = self._ready()
        events = self._store.events.of_user(user)
        weights = _profile(events, shelf, now or datetime.now(UTC))
        banned = self._banned(shelf, self._store.events.settled(user), exclude)
        if not any(weight > 0 for weight in weights.values()):
            return self._listed(shelf, fitted.popularity(shelf), banned, limit, {}, {}, language)
        scores = _scores(shelf, fitted, weights)
        for place in weights:  # what was only viewed may come again, behind what is new
            scores[place] *= 0.5 if scores[place] > 0 else 1.0
        kinds = {shelf.places[e.product]: e.kind for e in events[::-1] if e.product in shelf.places}
        return self._listed(shelf, scores, banned, limit, weights, kinds, language)

    def beside(
        self, product: str, *, limit: int = 20, exclude: Sequence[str] = (), language: str = ""
    ) -> list[Recommendation]:
        """Products like a product, best first. Raises SearchError for one there is not."""
        shelf, fitted = self._ready()
        place = shelf.places.get(product)
        if place is None:
            raise SearchError(f"No product has the id '{product}'. See: tagmill products list")
        scores = _scores(shelf, fitted, {place: 1.0})
        banned = self._banned(shelf, {product}, exclude)
        return self._listed(shelf, scores, banned, limit, {place: 1.0}, {place: ""}, language)

    def personal_tags(
        self, user: str, product: str, *, language: str = "", now: datetime | None = None
    ) -> list[PersonalTag]:
        """A product's tags in the order in which they speak to a user."""
        shelf, _ = self._ready()
        place = shelf.places.get(product)
        if place is None:
            raise SearchError(f"No product has the id '{product}'. See: tagmill products list")
        weights = _profile(self._store.events.of_user(user), shelf, now or datetime.now(UTC))
        liked = np.zeros(shelf.tags.shape[1], np.float32)
        for other, weight in weights.items():
            row = shelf.tags[[other]]
            liked[row.indices] += weight * row.data
        counts = np.asarray((shelf.tags > 0).sum(axis=0)).ravel()
        affinity = liked / np.sqrt(counts + 10)
        top = float(np.abs(affinity).max(initial=0)) or 1.0
        row = shelf.tags[[place]]
        found = [
            PersonalTag(
                self._written(shelf, tag, language), round(float(p), 4),
                round(float(affinity[tag]) / top, 4),
            )
            for tag, p in zip(row.indices.tolist(), row.data.tolist(), strict=True)
        ]  # fmt: skip
        return sorted(found, key=lambda one: (-one.probability * (1 + one.affinity), one.tag))

    def rebuild(self) -> None:
        """Fit everything anew."""
        self._shelf = read_shelf(self._store)
        self._shelf.save(self._folder)
        self._fitted = _Fitted.fit(self._store, self._shelf)
        self._fitted.save(self._folder)

    def forget(self) -> None:
        """Delete what was fitted: nothing in it comes from a user who is gone."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._fitted = None

    def _ready(self) -> tuple[Shelf, _Fitted]:
        """What there is now, and what was fitted to it or to what was there not long ago."""
        if self._fitted is None:
            self._fitted = _Fitted.load(self._folder, self._store.searches.database)
        known = self._shelf
        if known is None and self._fitted is not None:
            known = Shelf.load(self._folder, self._store)
        shelf = read_shelf(self._store) if known is None else known.brought_up_to_date(self._store)
        if shelf is not known:
            shelf.save(self._folder)
        self._shelf = shelf
        if self._fitted is None or self._fitted.is_stale(self._store.events.state(), shelf):
            self._fitted = _Fitted.fit(self._store, shelf)
            self._fitted.save(self._folder)
        return shelf, self._fitted

    def _banned(
        self, shelf: Shelf, products: Iterable[str], exclude: Sequence[str]
    ) -> npt.NDArray[np.bool_]:
        banned = shelf.gone.copy()
        banned[[shelf.places[i] for i in products if i in shelf.places]] = True
        for text in exclude:
            number = shelf.tag_numbers.get(shelf.library.resolve(text).id)
            if number is not None:
                column = shelf.tags[:, [number]].tocoo()
                banned[column.row[column.data >= 0.5]] = True
        return banned

    def _listed(
        self,
        shelf: Shelf,
        scores: Floats,
        banned: npt.NDArray[np.bool_],
        limit: int,
        weights: Mapping[int, float],
        kinds: Mapping[int, str],
        language: str,
    ) -> list[Recommendation]:
        scores = np.where(banned, -np.inf, scores)
        count = min(limit * _POOL, int((scores > 0).sum()))
        pool = np.argsort(-scores, kind="stable")[:count]
        chosen = _varied(shelf, scores, pool, limit)
        return [
            Recommendation(
                shelf.ids[place], shelf.titles[place], round(float(scores[place]), 4),
                self._why(shelf, place, weights, kinds, language),
            )
            for place in chosen
        ]  # fmt: skip

    def _why(
        self,
        shelf: Shelf,
        place: int,
        weights: Mapping[int, float],
        kinds: Mapping[int, str],
        language: str,
    ) -> Why:
        assert self._fitted is not None
        best, source = 0.0, -1
        for other, weight in weights.items():
            given = weight * self._fitted.weight(shelf, other, place)
            if given > best:
                best, source = given, other
        if source < 0:
            return Why("", "", "", self._tags(shelf, shelf.tags[[place]], language))
        both = shelf.tags[[place]].multiply(shelf.tags[[source]]).tocsr()
        shared = self._tags(shelf, sparse.csr_array(both), language)
        return Why(shelf.ids[source], shelf.titles[source], kinds.get(source, ""), shared)

    def _tags(self, shelf: Shelf, row: sparse.csr_array, language: str) -> tuple[str, ...]:
        """The two most telling tags of a row."""
        counts = np.asarray((shelf.tags[:, row.indices] > 0).sum(axis=0)).ravel()
        rarity = np.log((len(shelf.ids) + 1) / (counts + 1))
        best = np.argsort(-row.data * rarity, kind="stable")[:2]
        return tuple(self._written(shelf, int(row.indices[i]), language) for i in best)

    def _written(self, shelf: Shelf, number: int, language: str) -> str:
        tag = shelf.library.by_id(shelf.tag_ids[number])
        return "" if tag is None else _named(shelf, tag, language)


@dataclass
class _Fitted:
    """Weights between the products there were; `per_cosine` turns the likeness of tags into one.

    `degrees` is how many people's events each had.
    """

    database: str
    state: EventState
    cursor: int
    ids: list[str]
    weights: sparse.csr_array
    degrees: Floats
    per_cosine: float

    def __post_init__(self) -> None:
        self.places = {product: place for place, product in enumerate(self.ids)}

    @classmethod
    def fit(cls, store: Store, shelf: Shelf) -> _Fitted:
        state = store.events.state()
        matrix = _people(store, shelf)
        model = fit_items(np.array(shelf.ids, object), matrix, shelf.tags)
        unit = tag_rows(shelf.tags)
        sample = np.random.default_rng(0).permutation(len(shelf.ids))[:500]
        near = (unit[:, sample].T @ unit).toarray() if len(sample) else np.zeros((0, 0))
        given = model.weights[sample].toarray()
        alike = (near > 0.3) & (given > 0)
        ratio = float(given[alike].sum() / near[alike].sum()) if alike.any() else 1.0
        degrees = np.asarray(matrix.sum(axis=0), np.float32).ravel()
        return cls(
            store.searches.database, state, shelf.cursor, shelf.ids, model.weights, degrees, ratio
        )

    def is_stale(self, state: EventState, shelf: Shelf) -> bool:
        """Whether so much changed since that it should be fitted anew; always once somebody was
        forgotten, and while there is little."""
        fewer = state.count < self.state.count
        more = state.count > (1 + _STALE) * self.state.count
        unknown = sum(product not in self.places for product in shelf.ids)
        return fewer or more or unknown > _STALE * len(self.ids)

    def popularity(self, shelf: Shelf) -> Floats:
        """Of each product of a shelf, by the people it had."""
        scores = np.full(len(shelf.ids), 1e-6, np.float32)
        for place, product in enumerate(shelf.ids):
            if product in self.places:
                scores[place] += self.degrees[self.places[product]]
        return scores

    def weight(self, shelf: Shelf, source: int, target: int) -> float:
        """How much one product of a shelf speaks for another."""
        i, j = self.places.get(shelf.ids[source]), self.places.get(shelf.ids[target])
        if i is not None and j is not None:
            return float(self.weights[i, j])
        return self.per_cosine * float((shelf.unit[[source]] @ shelf.unit[[target]].T).sum())

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / "fitted.tmp.npz"
        np.savez(
            temporary, database=self.database, state=[self.state.count, self.state.newest],
            cursor=self.cursor, ids=np.array(self.ids, np.str_), indptr=self.weights.indptr,
            indices=self.weights.indices, data=self.weights.data, degrees=self.degrees,
            per_cosine=self.per_cosine,
        )  # fmt: skip
        temporary.replace(folder / "fitted.npz")

    @classmethod
    def load(cls, folder: Path, database: str) -> _Fitted | None:
        """What the folder holds; None where there is none of this database."""
        try:
            with np.load(folder / "fitted.npz") as kept:
                if str(kept["database"]) != database:
                    return None
                ids = kept["ids"].tolist()
                weights = sparse.csr_array(
                    (kept["data"], kept["indices"], kept["indptr"]), (len(ids), len(ids))
                )
                return cls(
                    database, EventState(*kept["state"].tolist()), int(kept["cursor"]), ids,
                    weights, kept["degrees"], float(kept["per_cosine"]),
                )  # fmt: skip
        except (OSError, ValueError, KeyError):  # none yet, or damaged: it is fitted again
            return None


def open_recommender(store: Store, folder: Path) -> Recommender:
    """Recommendation over a store; what is fitted lies in a folder, made at the first call."""
    return Recommender(store, folder)


def _people(store: Store, shelf: Shelf) -> sparse.csr_array:
    """Events as (people, products); a product somebody disliked is not theirs."""
    people: dict[str, int] = {}
    cells: dict[tuple[int, int], float] = {}
    for page in store.events.pages():
        for event in page:
            place = shelf.places.get(event.product)
            if place is not None:
                key = (people.setdefault(event.user, len(people)), place)
                cells[key] = max(cells.get(key, 0.0), float(event.kind != "dislike"))
    values = np.array(list(cells.values()), np.float32)
    where = np.array(list(cells), np.int64).reshape(-1, 2).T
    return matrix_of(values, where, (len(people), len(shelf.ids)))


def _profile(events: Sequence[Event], shelf: Shelf, now: datetime) -> dict[int, float]:
    """Place of a product → what it weighs for a user."""
    weights: dict[int, float] = {}
    for event in events:
        place = shelf.places.get(event.product)
        if place is not None:
            days = max((now - datetime.fromisoformat(event.at)).total_seconds() / _DAY, 0.0)
            value = _WEIGHTS[event.kind] * math.pow(0.5, days / _HALF_LIFE)
            weights[place] = min(weights.get(place, 0.0) + value, _MOST)
    return weights


def _scores(shelf: Shelf, fitted: _Fitted, weights: Mapping[int, float]) -> Floats:
    """Of every product on the shelf: by what was fitted, and by tags where it was not there."""
    places = np.array([fitted.places.get(i, -1) for i in shelf.ids], np.int64)
    known = {int(places[place]): w for place, w in weights.items() if places[place] >= 0}
    by_people = _sum_of_rows(fitted.weights, known)
    scores = np.where(places >= 0, by_people[places] if len(by_people) else 0.0, 0.0)
    fresh = np.flatnonzero(places < 0)
    new_source = any(places[place] < 0 for place in weights)
    if len(fresh) or new_source:
        alike = fitted.per_cosine * (shelf.unit @ _sum_of_rows(shelf.unit, weights))
        scores = np.where((places < 0) | new_source, np.maximum(scores, alike), scores)
    return scores.astype(np.float32)


def _sum_of_rows(matrix: sparse.csr_array, weights: Mapping[int, float]) -> Floats:
    """Σ weight · row, dense."""
    total = np.zeros(matrix.shape[1], np.float32)
    for row, weight in weights.items():
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        total[matrix.indices[part]] += np.float32(weight) * matrix.data[part]
    return total


def _varied(shelf: Shelf, scores: Floats, pool: npt.NDArray[np.int64], limit: int) -> list[int]:
    """The best of a pool, each less so the more its tags are those of one above it (MMR)."""
    if not len(pool):
        return []
    unit = shelf.unit[pool]
    alike = (unit @ unit.T).toarray()
    value = scores[pool] / max(float(scores[pool].max()), 1e-9)
    nearest = np.zeros(len(pool), np.float32)
    chosen: list[int] = []
    left = np.ones(len(pool), np.bool_)
    while len(chosen) < min(limit, len(pool)):
        gain = np.where(left, value - _VARIETY * nearest, -np.inf)
        best = int(gain.argmax())
        left[best] = False
        chosen.append(int(pool[best]))
        nearest = np.maximum(nearest, alike[best])
    return chosen


def _named(shelf: Shelf, tag: Tag, language: str) -> str:
    facet = shelf.library.facets.get(tag.facet)
    names = facet.names if facet else {}
    return tag_text(names.get(language, tag.facet), tag.name_in(language))
