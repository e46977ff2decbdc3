"""Matches of patterns in folded text, and which hold which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tagmill.tagging.passages import NO_GAP, UNSPACED, Passages

__all__ = ["Spans", "cover_of", "glued"]

Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spans:
    """Matches of patterns in folded text, ordered by start, longer first."""

    starts: Ints
    ends: Ints
    patterns: Ints

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Spans:
        return Spans(self.starts[chosen], self.ends[chosen], self.patterns[chosen])

    def __len__(self) -> int:
        return len(self.starts)


def glued(passages: Passages, positions: Ints) -> Bools:
    """Whether Chinese characters stand side by side around each position, nothing between them."""
    script = np.concatenate((passages.script, [0]))
    glued: Bools = (
        (script[positions] == UNSPACED)
        & (script[positions - 1] == UNSPACED)
        & (passages.gap[positions] == NO_GAP)
    )
    return glued


def cover_of(outer: Spans, inner: Spans) -> npt.NDArray[np.intp]:
    """For each inner span the index of an outer one that is longer and holds it; -1: none.

    Both are ordered by start, longer first.
    """
    none = np.full(len(inner), -1, np.intp)
    if not len(outer) or not len(inner):
        return none
    reach = np.maximum.accumulate(outer.ends)
    holder = np.searchsorted(reach, reach, side="left")  # the first span that reaches so far
    place = np.searchsorted(outer.starts, inner.starts, side="right") - 1
    found = holder[np.maximum(place, 0)]
    longer = outer.ends[found] - outer.starts[found] > inner.ends - inner.starts
    holds = (place >= 0) & (outer.ends[found] >= inner.ends) & longer
    return np.where(holds, found, none)
