"""The library of a workspace's database, and one that is not stored yet as the store sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tagmill.errors import TagConflict
from tagmill.library.vocabulary import Library
from tagmill.records import Tag, name_in
from tagmill.store import Store

__all__ = ["UnstoredNames", "load_library"]


def load_library(store: Store, version: int | None = None) -> Library:
    """The workspace's library, as it is or as it was at a version."""
    stored = store.library.load(version)
    try:
        return Library(stored.tags, stored.facets, version=stored.version, names=stored.names)
    except TagConflict as error:  # of facets: an earlier tagmill stored such
        raise TagConflict(
            f"The library cannot be opened: {error}. Take back the change that made it so: "
            "tagmill library history, tagmill library undo CHANGE"
        ) from error


class UnstoredNames:
    """What tag ids and written tags stand for in a library as it may become: `store.Names`."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def load(self, connection: Any, tag_ids: Iterable[str]) -> None:  # noqa: ANN401
        """Nothing: all is here."""

    def mean(self, texts: Iterable[str]) -> Mapping[str, str | None]:
        """The id of the tag that each text means, also of one that is split; or None."""
        found = {text: self._library.find(text) for text in texts}
        return {text: None if tag is None else tag.id for text, tag in found.items()}

    def target(self, tag_id: str) -> str | None:
        """The id of the living tag that counts in its place."""
        tag = self._library.by_id(tag_id)
        return None if tag is None or tag.status == "retired" else tag.id

    def facet(self, tag_id: str) -> str:
        """The key of a tag's facet."""
        return self._library.tags[tag_id].facet

    def single_facet(self, tag_id: str) -> str | None:
        """A tag's facet where it has one value a product."""
        facet = self._library.facets[self.facet(tag_id)]
        return facet.key if facet.single else None

    def asked_by(self, tag_id: str) -> set[str]:
        """The living tags that the facet of a tag is only for."""
        wanted = self._library.facets[self.facet(tag_id)].only_for
        return {target for one in wanted if (target := self.target(one)) is not None}

    def ancestors(self, tag_id: str) -> set[str]:
        """The living tags that a tag implies."""
        return set(self._library.ancestors(self._library.tags[tag_id]))

    def parts(self, tag_id: str) -> Sequence[str]:
        """The living tags that a tag was split into."""
        tag: Tag | None = self._library.by_id(tag_id)
        targets = [self.target(part) for part in tag.split_into] if tag else []
        return [part for part in dict.fromkeys(targets) if part is not None]

    def written(self, tag_id: str, language: str) -> tuple[str, str]:
        """Facet and name of a tag, in a language where it has one; '' for canonical."""
        tag = self._library.tags[tag_id]
        facet = self._library.facets[tag.facet]
        return name_in(facet.names, facet.key, language), tag.name_in(language)
