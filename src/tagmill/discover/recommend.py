"""Recommendation: products for a user or beside a product, by events and tags together.

store → shelf (products and their tags) → fitted (item_model) → a user's profile × weights → list

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
from threading import Lock

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.discover.aside import Aside
from tagmill.discover.fitted import Fitted, Joined
from tagmill.discover.item_model import Floats
from tagmill.discover.quantities import Range, number_meant, read_range
from tagmill.discover.shelf import Shelf, read_shelf
from tagmill.errors import UnknownProduct
from tagmill.records import Tag, tag_text
from tagmill.store import Store
from tagmill.store.events import Event

__all__ = ["PersonalTag", "Recommendation", "Recommender", "Why", "open_recommender"]

_WEIGHTS = {"view": 1.0, "cart": 2.0, "like": 3.0, "purchase": 3.0, "dislike": -3.0}
_MOST = 4.0  # of one product in a profile, however often it was viewed
_LEAST = 1e-9  # of the largest weight: what all was done decades ago is no 0 yet
_REASONS = 50  # products of a profile, the weightiest, that may be a reason
_SAVED = 0.01  # share of rows that came since the shelf was saved, from which it is again
_POOL = 5  # times the wanted products are looked at for variety
_FAINT = 0.02  # of the best score: what is below is not beside a product
_VARIETY = 0.3  # of its score that being just like a product above costs one
_DAY = 86_400.0


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
class _Barred:
    """What must not come: a mask of places, and products with a number in one of some ranges."""

    places: npt.NDArray[np.bool_]
    ranges: list[Range]


@dataclass(frozen=True)
class PersonalTag:
    """A tag of a product, and how much it speaks to a user (0: nothing is known)."""

    tag: str
    probability: float
    affinity: float


class Recommender:
    """Recommends products of a store. Safe with several threads; see `open_recommender`."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        exclude: Sequence[str] = (),
        half_life: float = 60.0,
        patience: float = math.inf,
    ) -> None:
        self._store = store
        self._folder = folder
        self._exclude = tuple(exclude)
        self._half_life = half_life
        self._patience = patience
        self._lock = Lock()
        self._aside = Aside(self._present, patience)
        self._fitting = Aside(self._fit_meanwhile, 0.0)
        self._joined: Joined | None = None
        self._saved = 0  # rows of the shelf in the folder

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
        the `exclude`d tags (facet:name) or numbers (stock=..0). Somebody of whom nothing is known
        to be liked gets what people like most.

        Raises UnknownTag.
        """
        joined = self._ready()
        shelf = joined.shelf
        events = self._store.events.of_user(user)
        weights = self._profile(events, shelf, now)
        barred = self._barred(shelf, self._store.events.settled(user), exclude)
        if not any(weight > 0 for weight in weights.values()):
            return self._listed(joined, joined.popular, barred, limit, {}, {}, language)
        scores = joined.scores(weights)
        for place in weights:  # what was only viewed may come again, behind what is new
            scores[place] *= 0.5 if scores[place] > 0 else 1.0
        places = ((shelf.place(event.product), event.kind) for event in events[::-1])
        kinds = {place: kind for place, kind in places if place is not None}
        return self._listed(joined, scores, barred, limit, weights, kinds, language)

    def beside(
        self, product: str, *, limit: int = 20, exclude: Sequence[str] = (), language: str = ""
    ) -> list[Recommendation]:
        """Products that go with a product, best first, and none that hardly do. Raises
        UnknownProduct."""
        joined = self._ready()
        place = _place(joined.shelf, product)
        scores = joined.scores({place: 1.0})
        barred = self._barred(joined.shelf, {product}, exclude)
        best = float(np.where(barred.places, 0.0, scores).max(initial=0.0))
        scores[scores < _FAINT * best] = 0.0
        return self._listed(joined, scores, barred, limit, {place: 1.0}, {place: ""}, language)

    def personal_tags(
        self, user: str, product: str, *, language: str = "", now: datetime | None = None
    ) -> list[PersonalTag]:
        """A product's tags in the order in which they speak to a user."""
        shelf = self._ready().shelf
        place = _place(shelf, product)
        weights = self._profile(self._store.events.of_user(user), shelf, now)
        liked = np.zeros(shelf.tags.shape[1], np.float32)
        for other, weight in weights.items():
            row = shelf.tags[[other]]
            liked[row.indices] += weight * row.data
        affinity = liked / np.sqrt(shelf.counts + 10)
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
        with self._lock:
            self._fit(read_shelf(self._store))

    def forget(self) -> None:
        """Delete what was fitted: nothing in it comes from a user who is gone.

        With a patience what is in memory goes on to answer until it is fitted anew without them,
        which begins now.
        """
        with self._lock:
            shutil.rmtree(self._folder, ignore_errors=True)
            if self._patience == math.inf:
                self._joined = None
        if self._joined is not None:
            self._fitting.start()

    def prepare(self) -> None:
        """Read or fit what the first call needs."""
        self._ready()

    @property
    def problem(self) -> str | None:
        """Why what changed could not be taken in or fitted to, where it could not."""
        return self._aside.problem or self._fitting.problem

    def _ready(self) -> Joined:
        """What there is now, beside what was fitted to it or to what was there not long ago."""
        before = self._joined
        if before is None or self._patience == math.inf:
            return self._present()
        if before.fitted.is_stale(self._store.events.state(), len(before.fresh)):
            self._fitting.start()
        return self._aside.soon(before, lambda joined: joined.shelf.is_of(self._store))

    def _present(self) -> Joined:
        with self._lock:
            return self._brought_up_to_date()

    def _brought_up_to_date(self) -> Joined:
        before = self._joined
        known = before.shelf if before else Shelf.load(self._folder, self._store)
        if known is not None and before is None:
            self._saved = len(known.ids)
        shelf = read_shelf(self._store) if known is None else known.brought_up_to_date(self._store)
        database = self._store.searches.database
        fitted = before.fitted if before else Fitted.load(self._folder, database)
        if fitted is None:
            return self._fit(shelf)
        joined = before
        if joined is None or shelf is not joined.shelf:
            joined = Joined(shelf, fitted, before)
        events = self._store.events.state()
        if self._patience == math.inf and fitted.is_stale(events, len(joined.fresh)):
            return self._fit(shelf)
        if abs(len(shelf.ids) - self._saved) > _SAVED * self._saved:
            self._save(shelf)
        self._joined = joined
        return joined

    def _fit(self, shelf: Shelf) -> Joined:
        fitted = Fitted.fit(self._store, shelf)
        fitted.save(self._folder)
        self._save(shelf)
        self._joined = Joined(shelf, fitted)
        return self._joined

    def _fit_meanwhile(self) -> None:
        """`_fit` while others go on with what was fitted before."""
        before = self._joined
        if before is None:
            return
        fitted = Fitted.fit(self._store, before.shelf)
        with self._lock:
            if self._joined is None or self._is_forgotten_since(fitted):
                return
            fitted.save(self._folder)
            if self._is_forgotten_since(fitted):  # by another process, as it was written
                shutil.rmtree(self._folder, ignore_errors=True)
                return
            self._joined = Joined(self._joined.shelf, fitted)

    def _is_forgotten_since(self, fitted: Fitted) -> bool:
        """Whether somebody was forgotten who may be in what was fitted."""
        return self._store.events.state().forgotten != fitted.state.forgotten

    def _save(self, shelf: Shelf) -> None:
        shelf.save(self._folder)
        self._saved = len(shelf.ids)

    def _profile(
        self, events: Sequence[Event], shelf: Shelf, now: datetime | None
    ) -> dict[int, float]:
        """Place of a product → what it weighs for a user."""
        now = now or datetime.now(UTC)
        weights: dict[int, float] = {}
        for event in events:
            place = shelf.place(event.product)
            if place is not None:
                days = max((now - datetime.fromisoformat(event.at)).total_seconds() / _DAY, 0.0)
                value = _WEIGHTS[event.kind] * math.pow(0.5, days / self._half_life)
                weights[place] = min(weights.get(place, 0.0) + value, _MOST)
        most = max(map(abs, weights.values()), default=1.0) or 1.0
        return {place: weight * max(1.0, _LEAST / most) for place, weight in weights.items()}

    def _barred(self, shelf: Shelf, products: Iterable[str], exclude: Sequence[str]) -> _Barred:
        banned = shelf.gone.copy()
        banned[[place for one in products if (place := shelf.place(one)) is not None]] = True
        ranges: list[Range] = []
        for text in (*self._exclude, *exclude):
            asked = read_range(text)
            if asked is not None:
                ranges.append(asked)
                continue
            number = shelf.tag_numbers.get(shelf.library.resolve(text).id)
            if number is not None:
                having = np.flatnonzero((shelf.tags.indices == number) & (shelf.tags.data >= 0.5))
                banned[np.searchsorted(shelf.tags.indptr, having, side="right") - 1] = True
        return _Barred(banned, ranges)

    def _pool(
        self, shelf: Shelf, scores: Floats, barred: _Barred, count: int
    ) -> npt.NDArray[np.int64]:
        """The best places that may come. Numbers are read of those that would, as they are now."""
        able = np.where(barred.places, -np.inf, scores)
        if not barred.ranges:
            return _best(able, count)
        kept: list[int] = []
        seen, wanted = 0, count
        while len(kept) < count:
            best = _best(able, wanted).tolist()
            later = best[seen:]
            numbers = self._store.searches.numbers(shelf.ids[place] for place in later)
            kept += [p for p in later if not _is_within(numbers.get(shelf.ids[p]), barred.ranges)]
            if len(best) < wanted:
                break
            seen, wanted = len(best), wanted * 4
        return np.array(kept[:count], np.int64)

    def _listed(
        self,
        joined: Joined,
        scores: Floats,
        barred: _Barred,
        limit: int,
        weights: Mapping[int, float],
        kinds: Mapping[int, str],
        language: str,
    ) -> list[Recommendation]:
        shelf = joined.shelf
        pool = self._pool(shelf, scores, barred, limit * _POOL)
        chosen = _varied(shelf, scores, pool, limit)
        liked = sorted((p for p, w in weights.items() if w > 0), key=lambda p: -weights[p])
        sources = liked[:_REASONS]
        given = joined.weights(sources, chosen) * [[weights[p]] for p in sources] if sources else ()
        best = [
            sources[column.argmax()] if column.max() > 0 else None for column in np.transpose(given)
        ] or [None] * len(chosen)
        return [
            Recommendation(
                shelf.ids[place], shelf.titles[place], round(float(scores[place]), 4),
                self._why(shelf, place, source, kinds, language),
            )
            for place, source in zip(chosen, best, strict=True)
        ]  # fmt: skip

    def _why(
        self,
        shelf: Shelf,
        place: int,
        source: int | None,
        kinds: Mapping[int, str],
        language: str,
    ) -> Why:
        if source is None:
            return Why("", "", "", self._tags(shelf, shelf.tags[[place]], language))
        both = shelf.tags[[place]].multiply(shelf.tags[[source]]).tocsr()
        shared = self._tags(shelf, sparse.csr_array(both), language)
        return Why(shelf.ids[source], shelf.titles[source], kinds.get(source, ""), shared)

    def _tags(self, shelf: Shelf, row: sparse.csr_array, language: str) -> tuple[str, ...]:
        """The two most telling tags of a row."""
        rarity = np.log((len(shelf.ids) + 1) / (shelf.counts[row.indices] + 1))
        best = np.argsort(-row.data * rarity, kind="stable")[:2]
        return tuple(self._written(shelf, int(row.indices[i]), language) for i in best)

    def _written(self, shelf: Shelf, number: int, language: str) -> str:
        tag = shelf.library.by_id(shelf.tag_ids[number])
        return "" if tag is None else _named(shelf, tag, language)


def open_recommender(
    store: Store,
    folder: Path,
    *,
    exclude: Sequence[str] = (),
    half_life: float = 60.0,
    patience: float = math.inf,
) -> Recommender:
    """Recommendation over a store; what is fitted lies in a folder, made at the first call.

    Products of the `exclude`d tags (facet:name) or numbers (stock=..0) are recommended to nobody;
    an event counts half after `half_life` days. With a `patience` no call waits longer, in seconds,
    for what changed in the catalogue; and what is fitted anew is fitted beside the calls.
    """
    return Recommender(store, folder, exclude, half_life, patience)


def _place(shelf: Shelf, product: str) -> int:
    place = shelf.place(product)
    if place is None:
        raise UnknownProduct(product)
    return place


def _is_within(numbers: Sequence[tuple[str, float]] | None, ranges: Sequence[Range]) -> bool:
    """Whether all that a product has of some number is in its range; one without any is not."""
    for asked in ranges:
        name = number_meant(asked.dimension, [own for own, _ in numbers or ()])
        values = [value for own, value in numbers or () if own == name]
        if values and all(asked.low <= value <= asked.high for value in values):
            return True
    return False


def _best(scores: Floats, count: int) -> npt.NDArray[np.int64]:
    """The places of the largest scores above 0, the first of equals first."""
    able = np.flatnonzero(scores > 0)
    if len(able) > count:
        least = np.partition(scores[able], -count)[-count]
        above, equal = able[scores[able] > least], able[scores[able] == least]
        able = np.concatenate([above, equal[: count - len(above)]])
    return able[np.argsort(-scores[able], kind="stable")]


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
        gain = np.where(left, value * (1 - _VARIETY * nearest), -np.inf)
        best = int(gain.argmax())
        left[best] = False
        chosen.append(int(pool[best]))
        nearest = np.maximum(nearest, alike[best])
    return chosen


def _named(shelf: Shelf, tag: Tag, language: str) -> str:
    facet = shelf.library.facets.get(tag.facet)
    names = facet.names if facet else {}
    return tag_text(names.get(language, tag.facet), tag.name_in(language))
