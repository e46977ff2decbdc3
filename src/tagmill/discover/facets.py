"""Facet counts of what a search found, with some tags chosen, and how far its numbers reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tagmill.discover.index import View
from tagmill.discover.kernels import count_facets
from tagmill.discover.matching import Hits
from tagmill.discover.segment import LAST
from tagmill.errors import SearchError
from tagmill.records import tag_text

__all__ = ["FacetCount", "FacetCounter", "Reach", "reach_of_numbers"]

_SHOWN = 20  # tags of a facet
_GROUPS = 32  # facets in which something may be chosen


@dataclass(frozen=True)
class FacetCount:
    """A tag of a facet with the products it has, or would add, among those found."""

    name: str
    count: int
    chosen: bool = False


@dataclass(frozen=True)
class Reach:
    """The least and the most of a number among the products found: the ends of a slider."""

    least: float
    most: float


class FacetCounter:
    """Counts tags over the hits of each segment in turn, and keeps the hits that were chosen.

    Products must have one of the tags chosen in each facet. The tags of a facet in which something
    is chosen count what all other choices leave: what choosing them too would show. Raises
    UnknownTag for a choice that is no tag.
    """

    def __init__(self, view: View, chosen: Mapping[str, Sequence[str]]) -> None:
        self._view = view
        size = len(view.library.tags) + 1  # the last: tags that are there no more
        self._counts = np.zeros(size, np.int64)
        self._choice = np.full(size, -1, np.int8)  # group of a chosen tag
        self._group = np.full(size, -1, np.int8)  # group of a tag's facet
        self._groups: dict[str, int] = {}  # facet key → number of its group
        for facet, names in chosen.items():
            for name in names:
                tag = view.library.resolve(tag_text(facet, name))
                if tag.facet not in self._groups and len(self._groups) == _GROUPS:
                    raise SearchError(f"Tags are chosen in more than {_GROUPS} facets. Name fewer")
                number = view.numbers[tag.id]
                group = self._groups.setdefault(tag.facet, len(self._groups))
                self._choice[number] = group
                self._group[:-1][view.facet_of == view.facet_of[number]] = group

    def add(self, number: int, hits: Hits) -> Hits:
        """Count a segment's hits; those that have what was chosen."""
        segment, places = self._view.segments[number], self._view.tag_numbers[number]
        kept, counts = count_facets(
            hits.documents, segment.tag_starts, segment.tag_certain, segment.tag_of,
            self._choice[places], self._group[places], len(self._groups),
        )  # fmt: skip
        self._counts[places] += counts
        if not self._groups:
            return hits
        return Hits(hits.documents[kept], hits.scores[kept])

    def counts(self, language: str = "") -> dict[str, tuple[FacetCount, ...]]:
        """Facet → its tags, most products first, chosen ones always; facets in library order."""
        facet_of = self._view.facet_of
        chosen = self._choice[:-1] >= 0
        tags = np.flatnonzero((self._counts[:-1] > 0) | chosen)
        tags = tags[np.lexsort((tags, -self._counts[tags], facet_of[tags]))]
        rank = np.arange(len(tags)) - np.searchsorted(facet_of[tags], facet_of[tags])
        tags = tags[(rank < _SHOWN) | chosen[tags]]
        tag_names, facet_names = self._view.names_in(language)
        shown: dict[str, list[FacetCount]] = {}
        columns = (tags, self._counts[tags], chosen[tags], facet_of[tags])
        for number, count, is_chosen, facet in zip(*(c.tolist() for c in columns), strict=True):
            own = shown.setdefault(facet_names[facet], [])
            own.append(FacetCount(tag_names[number], count, is_chosen))
        return {facet: tuple(counts) for facet, counts in shown.items()}


def reach_of_numbers(view: View, found: Sequence[Hits]) -> dict[str, Reach]:
    """Number → its reach over the hits of all segments; numbers that none of them has are left
    out."""
    reaches: dict[str, Reach] = {}
    for name in view.number_names:
        ends = []
        for descending in (False, True):
            keys = (
                segment.ordered_by(name, descending=descending)[hits.documents]
                for segment, hits in zip(view.segments, found, strict=True)
            )
            ends.append(max((float(own.max(initial=LAST)) for own in keys), default=LAST))
        if ends[1] != LAST:
            reaches[name] = Reach(-ends[0], ends[1])
    return reaches
