"""The library of a workspace's database."""

from __future__ import annotations

from tagmill.library.vocabulary import Library
from tagmill.store import Store

__all__ = ["load_library"]


def load_library(store: Store, version: int | None = None) -> Library:
    """The workspace's library, as it is or as it was at a version."""
    stored = store.library.load(version)
    return Library(stored.tags, stored.facets, version=stored.version, names=stored.names)
