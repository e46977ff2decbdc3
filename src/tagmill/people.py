"""What is known of a user, and forgetting it."""

from __future__ import annotations

from tagmill.discover.recommend import Recommender
from tagmill.library.stored import load_library
from tagmill.proposing import note_searches
from tagmill.store import Store

__all__ = ["forget_user"]


def forget_user(store: Store, recommender: Recommender, user: str) -> int:
    """Delete a user's events, all that was fitted with them, and the words that only these had
    proposed for the library; how many events there were. Logged searches name nobody."""
    gone = store.events.forget([user])
    if gone:
        recommender.forget()
        note_searches(store, load_library(store))
    return gone
