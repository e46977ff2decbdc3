"""Where markers take the meaning of names away: kinds of tags barred by place.

What a marker says of a name depends on what stands between: nothing (非棉), a few words
(适用于小米的电视), a list (不含酒精、香精和蔗糖).
"""

from __future__ import annotations

import numba
import numpy as np

from tagmill.tagging.folding import COMMA, END, LIST, NO_GAP, SOFT, SPACED, glued
from tagmill.tagging.lookalikes import kind_bit
from tagmill.tagging.names import MARKING, SPAN
from tagmill.tagging.spans import cover_of
from tagmill.tagging.trie import code_points

__all__ = ["bars"]

_THINGS = kind_bit("category") | kind_bit("accessory") | kind_bit("brand")
_SPACE = 0x20
_OF = ord("的")
_LIST_CHARACTERS = tuple(map(ord, "和或及与"))
_JOINTS, _JOINT_PLACES = code_points([" or ", " nor ", " and "])
_ITEM_WORDS = 3  # blanks in an item of an English list, at most
_LAST_ITEM = 16  # characters from its joint word to its last item, at most


@numba.njit(nogil=True)
def bars(spans, kept, passage, words, names):  # type: ignore[no-untyped-def]
    """Masks of barred kinds by folded position, (2, len(passage)): of tags whose name (one of
    `kept`) starts there, and of those whose name ends there. Empty where no marker stands."""
    masks = np.zeros((2, 0), np.int32)
    cover = np.empty(0, np.int64)
    for i in range(len(spans)):
        if not spans[i].role & MARKING:
            continue
        if not len(cover):
            cover = cover_of(spans, SPAN)
            masks = np.zeros((2, len(passage)), np.int32)
        if cover[i] < 0:
            _put(spans[i], kept, masks, passage, words, names)
    return masks


@numba.njit(nogil=True)
def _put(span, kept, masks, passage, words, names):  # type: ignore[no-untyped-def]
    """Bars what the marker at `span` concerns."""
    start, end = np.int64(span.start), np.int64(span.end)
    # Not where it is part of a longer word: 南非|牛排, 牛仔|风衣.
    before = not glued(passage, start) or words[start].start == start
    after = not glued(passage, end) or words[end].start == end
    first_rule = names.patterns[span.pattern].first_marker
    last_rule = names.patterns[span.pattern].last_marker
    follows = False
    for rule in range(first_rule, last_rule if after else first_rule):
        marker = names.markers[rule]
        if not marker.before:
            first = _first_in_reach(marker, start, passage)
            for i in range(first, start + 1):
                masks[1, i] |= marker.kinds
            for i in range(len(kept)):
                if last_rule - first_rule > 1 and first <= kept[i].end <= start:
                    follows = True
    if before and not follows:  # silk-like pillow
        for rule in range(first_rule, last_rule):
            marker = names.markers[rule]
            if marker.before:
                last = _last_in_reach(marker, end, kept, passage, names.patterns)
                # A name may begin inside: not real leather, 仿真丝.
                for i in range(start + 1, max(last + 1, end)):
                    masks[0, i] |= marker.kinds


@numba.njit(nogil=True)
def _last_in_reach(marker, end, kept, passage, patterns):  # type: ignore[no-untyped-def]
    """The last folded position at which a name is in reach of a marker; < end: none."""
    spaced = passage[end - 1].script == SPACED
    if not marker.reach:
        if passage[end].point == _SPACE:
            return end + 1 if passage[end + 1].gap <= SOFT else end - 1
        return end if passage[end].gap <= (SOFT if spaced else NO_GAP) else end - 1
    last = min(_gap_after(passage, end, COMMA) - 1, end + marker.reach)
    place = 0
    while place < len(kept) and kept[place].start < end:
        place += 1
    found = place < len(kept) and kept[place].start <= last
    if found and marker.object and not patterns[kept[place].pattern].kinds & _THINGS:
        return end - 1
    if marker.lists and (found or not marker.object):
        listed = _english_list_end(end, passage) if spaced else _chinese_list_end(end, passage)
        if listed >= 0:
            return listed
    return np.int64(kept[place].start) if found else end - 1


@numba.njit(nogil=True)
def _first_in_reach(marker, start, passage):  # type: ignore[no-untyped-def]
    """The first folded position at which a name that ends there is in reach of a marker."""
    spaced = passage[start].script == SPACED
    if passage[start].gap > (SOFT if spaced or marker.reach else NO_GAP):
        return start + 1
    first = start - 1 if passage[start - 1].point == _SPACE else start
    for _ in range(marker.reach):
        if passage[first - 1].gap > SOFT:
            break
        first -= 1
    return first


@numba.njit(nogil=True)
def _gap_after(passage, position, gap):  # type: ignore[no-untyped-def]
    """The first folded position from this one with such a gap or a stronger one before it."""
    while passage[position].gap < gap:
        position += 1
    return position


@numba.njit(nogil=True)
def _chinese_list_end(end, passage):  # type: ignore[no-untyped-def]
    """The last folded position of the list that begins at `end`; -1 where there is none."""
    clause = _gap_after(passage, end, COMMA)
    joint = -1
    for i in range(end, clause):
        point = passage[i].point
        if point == _OF:
            clause = i
            break
        if i > end and (passage[i].gap == LIST or point in _LIST_CHARACTERS):
            joint = i
    if joint < 0:
        return -1
    # In a title a blank ends the list: 搭配半身裙、牛仔裤 白色毛衣.
    for i in range(joint + 1, clause):
        if passage[i].gap == SOFT:
            return i - 1
    return clause - 1


@numba.njit(nogil=True)
def _english_list_end(end, passage):  # type: ignore[no-untyped-def]
    """The same of an English list."""
    sentence = _gap_after(passage, end, END)
    joint = sentence
    while joint >= end and not _is_joint(passage, joint, sentence):
        joint -= 1
    if joint < end:
        return -1
    blanks = 0
    for i in range(end, joint):
        if passage[i].gap >= COMMA:
            blanks = 0
        if passage[i].point == _SPACE:
            blanks += 1
            if blanks > _ITEM_WORDS:
                return -1
    return min(sentence - 1, joint + _LAST_ITEM)


@numba.njit(nogil=True)
def _is_joint(passage, start, end):  # type: ignore[no-untyped-def]
    """Whether a word that joins the last item of a list to it stands at `start`, before `end`."""
    for word in range(len(_JOINT_PLACES) - 1):
        first, last = _JOINT_PLACES[word], _JOINT_PLACES[word + 1]
        if start + last - first > end:
            continue
        same = True
        for j in range(first, last):
            same = same and passage[start + j - first].point == _JOINTS[j]
        if same:
            return True
    return False
