"""What answers requests: the search and the recommendation of one workspace, kept open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Event, Lock, Thread

from tagmill.catalog.events import posted_events
from tagmill.catalog.rows import Reject
from tagmill.discover import open_search
from tagmill.discover.recommend import open_recommender
from tagmill.errors import TagmillError
from tagmill.people import forget_user
from tagmill.settings import Settings
from tagmill.store import Store
from tagmill.store.connection import now
from tagmill.store.searches import LoggedSearch
from tagmill.workspace import unpublished

__all__ = ["SearchLog", "Shop"]

_PATIENCE = 0.2  # seconds a search waits for what changed
_LOG_EVERY = 1.0  # seconds
_LOG_MOST = 100_000  # searches that wait where the database cannot be written: the oldest go


class SearchLog:
    """Searches on their way to the store: written together, every second.

    A search then never waits for who is writing to the database; a killed process loses a second.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[LoggedSearch] = []
        self._lock, self._closing = Lock(), Event()
        self._thread = Thread(target=self._write, name="tagmill-search-log", daemon=True)
        self._thread.start()

    def keep(self, search: LoggedSearch) -> None:
        """Have a search written soon."""
        with self._lock:
            self._waiting.append(replace(search, at=now()))

    def close(self) -> None:
        """Write what waits."""
        self._closing.set()
        self._thread.join()

    def _write(self) -> None:
        last = False
        while not last:
            last = self._closing.wait(_LOG_EVERY)
            with self._lock:
                taken, self._waiting = self._waiting, []
            try:
                self._store.searches.log(taken)
            except TagmillError:  # somebody writes for long, or the database is away: later
                with self._lock:
                    self._waiting = (taken + self._waiting)[-_LOG_MOST:]


class Shop:
    """A workspace that is open for requests. Safe with several threads; close it at the end."""

    def __init__(self, settings: Settings, store: Store) -> None:
        rules = settings.recommend
        self.store = store
        language = settings.tagging.language
        self.language = "" if language == "product" else language  # of names of tags
        self._log = SearchLog(store)
        self.search = open_search(
            store, settings.search_dir, unpublished(store, settings.models_dir), rules.half_life,
            _PATIENCE, self._log.keep,
        )  # fmt: skip
        self.recommender = open_recommender(
            store, settings.recommend_dir, exclude=rules.exclude, half_life=rules.half_life,
            fit_aside=True,
        )  # fmt: skip

    def prepare(self) -> int:
        """Build or read what the first requests need; how many products can be found."""
        products = self.search.index.view().products
        self.search.search("", limit=1)
        self.search.complete("a")
        self.recommender.prepare()
        return products

    def post(self, rows: Sequence[object]) -> tuple[int, int, list[Reject]]:
        """Store events and searches; how many were new of each, and what is none.

        A time that is not given is now.
        """
        read = posted_events(rows, now())
        new = self.store.events.add(read.events)
        searches = self.search.log(read.searches) if read.searches else 0
        return new, searches, read.rejects

    def forget(self, user: str) -> int:
        """Delete everything of a user; how many events there were."""
        return forget_user(self.store, self.recommender, user)

    def close(self) -> None:
        """Write what is still to be written."""
        self._log.close()
