"""What is derived from the store, brought up to date beside those who read it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock, Thread
from typing import Generic, TypeVar

from tagmill.errors import TagmillError

__all__ = ["Aside"]

_RETRY = 5.0  # seconds after a failure
_log = logging.getLogger("tagmill")
State = TypeVar("State")


class Aside(Generic[State]):
    """Work in a thread of its own, one at a time, whose failure stops nobody who has a state.

    What fails is logged, and tried again some seconds later.
    """

    def __init__(self, work: Callable[[], State], patience: float) -> None:
        self._work = work
        self._patience = patience
        self._lock = Lock()
        self._thread: Thread | None = None
        self._made: State | None = None
        self._not_made: str | None = None  # why, the last time
        self._not_asked: str | None = None  # why nobody knows whether a state is current
        self._began = self._retry_at = 0.0

    @property
    def problem(self) -> str | None:
        """Why it failed the last time, if it did."""
        return self._not_asked or self._not_made

    def soon(self, before: State, is_current: Callable[[State], bool]) -> State:
        """A state that is current; or the one before, where making it takes longer than the
        patience since it began, or fails."""
        given_up = time.monotonic() + self._patience
        while not self._waits() and not self._is(current=is_current, state=before):
            thread = self.start()
            left = min(given_up, self._began + self._patience) - time.monotonic()
            if thread is not None:
                thread.join(max(left, 0.0))
            if thread is None or thread.is_alive() or self._made is None or self._not_made:
                break
            before = self._made
        return before

    def start(self) -> Thread | None:
        """Begin, where nothing runs; the thread that does, None right after a failure."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                if self._waits():
                    return None
                self._began = time.monotonic()
                self._thread = Thread(target=self._run, name="tagmill-aside", daemon=True)
                self._thread.start()
            return self._thread

    def _waits(self) -> bool:
        return time.monotonic() < self._retry_at

    def _is(self, *, current: Callable[[State], bool], state: State) -> bool:
        """Whether a state is current, as far as the store can say."""
        try:
            is_current = current(state)
        except TagmillError as error:
            self._not_asked = self._said(error)
            return True
        self._not_asked = None
        return is_current

    def _run(self) -> None:
        try:
            self._made = self._work()
            self._not_made = None
        except Exception as error:  # whatever it is, what there was before is still there
            self._not_made = self._said(error)

    def _said(self, error: Exception) -> str:
        said = str(error) or type(error).__name__
        self._retry_at = time.monotonic() + _RETRY
        _log.warning("%s", said, exc_info=None if isinstance(error, TagmillError) else error)
        return said
