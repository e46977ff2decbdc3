"""Where markers take the meaning of names away: kinds of tags barred by place.

What a marker says of a name depends on what stands between: nothing (非棉), a few words
(适用于小米的电视), a list (不含酒精、香精和蔗糖).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tagmill.tagging.lookalikes import Marker, kind_bit
from tagmill.tagging.passages import COMMA, LIST, NO_GAP, SOFT, SPACED, Passages
from tagmill.tagging.spans import Spans, glued

__all__ = ["Bars"]

Ints = npt.NDArray[np.int32]

_THINGS = kind_bit("category") | kind_bit("accessory") | kind_bit("brand")
_LIST_CHARACTERS = "和或及与"
_ITEM_WORDS = 3  # blanks in an item of an English list, at most
_LAST_ITEM = 16  # characters from its joint word to its last item, at most


class Bars:
    """Masks of kinds by folded position, (n + 1,): `starts` for tags whose name starts there,
    `ends` for those whose name ends there.

    `names` are the names found, `kinds` (len(names),) the masks of their tags' kinds.
    """

    def __init__(self, passages: Passages, names: Spans, kinds: Ints) -> None:
        self._passages = passages
        self._names = names
        self._kinds = kinds
        self.starts: Ints = np.zeros(len(passages) + 1, np.int32)
        self.ends: Ints = np.zeros(len(passages) + 1, np.int32)

    def put(self, spans: Spans, markers: Sequence[Sequence[Marker]]) -> None:
        """Bars what the markers at `spans` concern; `markers` by pattern."""
        passages = self._passages
        before, after = ~glued(passages, spans.starts), ~glued(passages, spans.ends)
        if not (before & after).all():  # no part of a longer word: 南非|牛排, 牛仔|风衣
            before |= passages.words.boundary(spans.starts)
            after |= passages.words.boundary(spans.ends)
        places = zip(
            spans.starts.tolist(), spans.ends.tolist(), spans.patterns.tolist(), strict=True
        )
        for i, (start, end, pattern) in enumerate(places):
            rules = markers[pattern]
            follows = False
            for marker in rules:
                if marker.side == "after" and after[i]:
                    first = self._first_in_reach(marker, start)
                    self.ends[first : start + 1] |= marker.kinds
                    follows |= len(rules) > 1 and self._name_ends(first, start)
            for marker in rules:
                if marker.side == "before" and before[i] and not follows:  # silk-like pillow
                    last = self._last_in_reach(marker, end)
                    self.starts[end : last + 1] |= marker.kinds

    def _last_in_reach(self, marker: Marker, end: int) -> int:
        """The last folded position at which a name is in reach of a marker; < end: none."""
        passages, names = self._passages, self._names
        gap = passages.gap
        if not marker.reach:
            allowed = SOFT if _is_latin(passages, end - 1) else NO_GAP
            if passages.folded[end : end + 1] == " ":
                return end + 1 if gap[end + 1] <= SOFT else end - 1
            return end if gap[end] <= allowed else end - 1
        last = min(passages.clause_end(end) - 1, end + marker.reach)
        place = int(np.searchsorted(names.starts, end))
        first = int(names.starts[place]) if place < len(names) else len(passages)
        found = first <= last
        if found and marker.object and not self._kinds[place] & _THINGS:
            return end - 1
        listed = _list_end(end, passages) if marker.lists else -1
        if listed >= 0 and (found or not marker.object):
            return listed
        return first if found else end - 1

    def _first_in_reach(self, marker: Marker, start: int) -> int:
        """The first folded position at which a name that ends there is in reach of a marker."""
        passages, gap = self._passages, self._passages.gap
        allowed = SOFT if _is_latin(passages, start) or marker.reach else NO_GAP
        if gap[start] > allowed:
            return start + 1
        first = start - 1 if passages.folded[start - 1] == " " else start
        for _ in range(marker.reach):
            if gap[first - 1] > SOFT:
                break
            first -= 1
        return first

    def _name_ends(self, first: int, last: int) -> bool:
        ends = self._names.ends
        return bool(np.any((ends >= first) & (ends <= last)))


def _list_end(end: int, passages: Passages) -> int:
    """The last folded position of the list that begins at `end`; -1 where there is none."""
    text, gap = passages.folded, passages.gap
    clause = passages.clause_end(end)
    if _is_latin(passages, end - 1):
        sentence = passages.sentence_end(end)
        joint = max(text.rfind(word, end, sentence) for word in (" or ", " nor ", " and "))
        items = np.flatnonzero(gap[end:joint] >= COMMA) if joint >= 0 else ()
        edges = [end, *(end + int(item) for item in items), joint]
        if joint < 0 or any(
            text.count(" ", a, b) > _ITEM_WORDS for a, b in itertools.pairwise(edges)
        ):
            return -1
        return min(sentence - 1, joint + _LAST_ITEM)
    stop = text.find("的", end, clause)
    clause = stop if stop >= 0 else clause
    joints = [i for i in range(end + 1, clause) if gap[i] == LIST or text[i] in _LIST_CHARACTERS]
    if not joints:
        return -1
    # In a title a blank ends the list: 搭配半身裙、牛仔裤 白色毛衣.
    blanks = np.flatnonzero(gap[joints[-1] + 1 : clause] == SOFT)
    return joints[-1] + int(blanks[0]) if len(blanks) else clause - 1


def _is_latin(passages: Passages, position: int) -> bool:
    return bool(passages.script[position] == SPACED)
