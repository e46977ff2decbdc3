"""How many people lately had to do with each product: what search sorts by as `popular`."""

from __future__ import annotations

import time
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from tagmill.discover.index import View
from tagmill.discover.segment import Segment, hash_texts
from tagmill.store import Store
from tagmill.store.events import EventState

__all__ = ["Popularity"]

_QUICK = 0.1  # seconds: counting that takes no longer is done whenever events came
_PATIENCE = 20.0  # else after so many times as long as it took


class Popularity:
    """People a day with an event of a product, but for dislikes; a day of `half_life` days ago
    counts half. Safe to be used by several threads.

    Counted anew once events came: at once where that is quick, else after a while, so that it takes
    no more than a twentieth of the time. Whoever was forgotten counts no more at once.
    """

    def __init__(self, store: Store, half_life: float) -> None:
        self._store = store
        self._half_life = half_life
        self._lock = Lock()
        self._state: EventState | None = None
        self._again = 0.0  # when to count anew
        self._hashes = np.zeros(0, np.uint64)  # of product ids, ascending
        self._people: npt.NDArray[Any] = np.zeros(0)
        self._known: list[tuple[Segment, npt.NDArray[Any]]] = []

    def of(self, view: View) -> list[npt.NDArray[Any]]:
        """For each segment (n,) float64."""
        with self._lock:
            self._bring_up_to_date()
            known = self._known
            self._known = []
            for segment in view.segments:
                found = next((people for one, people in known if one is segment), None)
                self._known.append((segment, self._spread(segment) if found is None else found))
            return [people for _, people in self._known]

    def _spread(self, segment: Segment) -> npt.NDArray[Any]:
        people = np.zeros(segment.size)
        if len(self._hashes):
            places = np.searchsorted(self._hashes, segment.id_hashes)
            places = np.minimum(places, len(self._hashes) - 1)
            there = self._hashes[places] == segment.id_hashes
            people[segment.id_documents[there]] = self._people[places[there]]
        return people

    def _bring_up_to_date(self) -> None:
        state, began = self._store.events.state(), time.monotonic()
        forgotten = self._state is None or state.forgotten != self._state.forgotten
        if state == self._state or (began < self._again and not forgotten):
            return
        products, days, people = self._store.events.people_a_day()
        ages = np.datetime64("today", "D") - np.array(days, "datetime64[D]")
        weights = np.array(people) * np.exp2(-np.maximum(ages.astype(float), 0) / self._half_life)
        self._hashes, owners = np.unique(hash_texts(products), return_inverse=True)
        self._people = np.bincount(owners, weights, minlength=len(self._hashes))
        self._state, self._known = state, []
        took = time.monotonic() - began
        self._again = time.monotonic() + (_PATIENCE * took if took > _QUICK else 0)
