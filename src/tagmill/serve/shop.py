"""What answers requests: the search and the recommendation of one workspace, kept open."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Event, Thread

from tagmill.catalog.events import posted_events
from tagmill.catalog.rows import Reject
from tagmill.discover import open_search
from tagmill.discover.recommend import open_recommender
from tagmill.people import forget_user
from tagmill.settings import Settings
from tagmill.store import Store
from tagmill.store.connection import now
from tagmill.store.searches import LoggedSearch
from tagmill.workspace import unpublished

__all__ = ["Posted", "SearchLog", "Shop"]

_log = logging.getLogger("tagmill")
_PATIENCE = 0.5  # seconds a request waits for what changed
_LOG_EVERY = 1.0  # seconds
_LOG_MOST = 100_000  # searches that wait where the database cannot be written: the oldest go


class SearchLog:
    """Searches on their way to the store: written together, every second.

    A search then never waits for who is writing to the database; a killed process loses a second.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[LoggedSearch] = deque(maxlen=_LOG_MOST)
        self._closing = Event()
        self._thread = Thread(target=self._run, name="tagmill-search-log", daemon=True)
        self._thread.start()

    def keep(self, search: LoggedSearch) -> None:
        """Have a search written soon."""
        self._waiting.append(replace(search, at=now()))

    def close(self) -> None:
        """Write what waits."""
        self._closing.set()
        self._thread.join()
        if self._waiting:
            _log.warning("%d searches could not be kept", len(self._waiting))

    def _run(self) -> None:
        last = False
        while not last:
            last = self._closing.wait(_LOG_EVERY)
            taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                if taken:
                    self._store.searches.log(taken)
            except Exception as error:  # later: somebody writes for long, or the database is away
                self._waiting.extendleft(reversed(taken))
                _log.warning("searches are kept later: %s", error)


@dataclass(frozen=True)
class Posted:
    """How many events and searches were new, products among them that there are not (yet), and
    the rows that were neither."""

    new: int
    searches: int
    unknown: list[str]
    rejects: list[Reject]


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
            patience=_PATIENCE,
        )  # fmt: skip

    def prepare(self) -> int:
        """Build or read what the first requests need; how many products can be found."""
        products = self.search.index.view().products
        self.search.search("", limit=1)
        self.search.complete("a")
        self.recommender.prepare()
        return products

    def post(self, rows: Sequence[object]) -> Posted:
        """Store events and searches. A time that is not given is now."""
        read = posted_events(rows, now())
        named = {event.product for event in read.events}
        unknown = named - self.store.products.known(named)
        return Posted(
            self.store.events.add(read.events),
            self.search.log(read.searches) if read.searches else 0,
            sorted(unknown),
            read.rejects,
        )

    @property
    def problem(self) -> str | None:
        """Why what changed in the catalogue is not taken in, where it is not."""
        return self.search.index.problem or self.recommender.problem

    def forget(self, user: str) -> int:
        """Delete everything of a user; how many events there were."""
        return forget_user(self.store, self.recommender, user)

    def close(self) -> None:
        """Write what is still to be written."""
        self._log.close()
