"""Where markers take the meaning of names away: kinds of tags barred by place.

What a marker says of a name depends on what stands between: nothing (非棉), a few words
(适用于小米的电视), a list (不含酒精、香精和蔗糖; 孕妇、儿童慎用), what the thing looks like
(送黑色真皮钱包).
"""

from __future__ import annotations

import numba
import numpy as np

from tagmill.tagging.folding import COMMA, END, LIST, MARK, NO_GAP, SOFT, SPACED, glued
from tagmill.tagging.lookalikes import kind_bit
from tagmill.tagging.names import MARKING, SPAN
from tagmill.tagging.spans import cover_of
from tagmill.tagging.trie import code_points

__all__ = ["bars"]

_THINGS = kind_bit("category") | kind_bit("accessory") | kind_bit("brand")
_MATERIAL = kind_bit("material")
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
        elif spans[cover[i]].start == spans[i].start:
            _put_within(spans[i], spans[cover[i]], masks, names)
    return masks


@numba.njit(nogil=True)
def _put_within(span, outer, masks, names):  # type: ignore[no-untyped-def]
    """Bars names that begin inside that of a material which is not what it looks like: faux
    leather|sofa, 仿丝|绸围巾."""
    if not names.patterns[outer.pattern].kinds & _MATERIAL:
        return
    pattern = names.patterns[span.pattern]
    for rule in range(pattern.first_marker, pattern.last_marker):
        marker = names.markers[rule]
        if marker.before and not marker.reach and not marker.object:
            for i in range(outer.start + 1, outer.end):
                masks[0, i] = -1


@numba.njit(nogil=True)
def _put(span, kept, masks, passage, words, names):  # type: ignore[no-untyped-def]
    """Bars what the marker at `span` concerns."""
    start, end = np.int64(span.start), np.int64(span.end)
    # Not where it is part of a longer word: 南非|牛排, 牛仔|风衣.
    before = not glued(passage, start) or words[start].start == start
    after = not glued(passage, end) or words[end].start == end
    first_rule = names.patterns[span.pattern].first_marker
    last_rule = names.patterns[span.pattern].last_marker
    both = names.markers[first_rule].before != names.markers[last_rule - 1].before
    follows = False
    for rule in range(first_rule, last_rule if after else first_rule):
        marker = names.markers[rule]
        if marker.before or (both and _leads(marker, end, kept, passage, names.patterns)):
            continue
        first = _first_in_reach(marker, start, passage)
        if marker.lists and first <= start:
            first = _list_start(marker, first, start, kept, passage, names.patterns)
        for i in range(first, start + 1):
            masks[1, i] |= marker.kinds
        for i in range(len(kept)):
            concerns = names.patterns[kept[i].pattern].kinds & marker.kinds > 0
            if both and concerns and first <= kept[i].end <= start:
                follows = True
    if before and not follows:  # silk-like pillow
        for rule in range(first_rule, last_rule):
            if names.markers[rule].before:
                _put_before(names.markers[rule], start, end, kept, masks, passage, names)


@numba.njit(nogil=True)
def _leads(marker, end, kept, passage, patterns):  # type: ignore[no-untyped-def]
    """Whether a Chinese marker of both sides concerns the name right behind it: 不适合|孕妇."""
    if passage[end].gap != NO_GAP or passage[end - 1].script == SPACED:
        return False
    for i in range(len(kept)):
        if kept[i].start == end and patterns[kept[i].pattern].kinds & marker.kinds:
            return True
    return False


@numba.njit(nogil=True)
def _put_before(marker, start, end, kept, masks, passage, names):  # type: ignore[no-untyped-def]
    """Bars what a marker concerns that stands before it."""
    last = _last_in_reach(marker, end, kept, passage, names.patterns)
    # A name may begin inside: not real leather, 仿真丝.
    for i in range(start + 1, max(last + 1, end)):
        masks[0, i] |= marker.kinds
    if not marker.lists or (marker.object and last < end):
        return
    if passage[end - 1].script == SPACED:
        listed = _english_list_end(end, passage)
    else:
        listed = max(_chinese_list_end(end, passage), _row_end(last, kept, passage, names.patterns))
    # What stands behind a list of things may be what the product looks like.
    kinds = marker.kinds & _THINGS if marker.object else marker.kinds
    for i in range(end, listed + 1):
        masks[0, i] |= kinds


@numba.njit(nogil=True)
def _row_end(first, kept, passage, patterns):  # type: ignore[no-untyped-def]
    """Where the last of the names of one kind begins that follow each other from `first` on:
    不适合|孕妇儿童, 慎用人群：|孕妇 儿童."""
    last, end, kinds = first, np.int64(-1), np.int32(0)
    for i in range(len(kept)):
        same = patterns[kept[i].pattern].kinds
        if kept[i].start == first:
            end, kinds = np.int64(kept[i].end), same
        elif kept[i].start == end and same & kinds and passage[end].gap <= passage[first].gap:
            last, end = np.int64(kept[i].start), np.int64(kept[i].end)
    return last


@numba.njit(nogil=True)
def _last_in_reach(marker, end, kept, passage, patterns):  # type: ignore[no-untyped-def]
    """The last folded position at which a name is in reach of a marker; < end: none."""
    last = _reach_end(marker, end, passage)
    if not marker.reach and not marker.object:
        return last
    place = 0
    while place < len(kept) and kept[place].start < end:
        place += 1
    if place == len(kept) or kept[place].start > last:
        return end - 1
    first = kept[place].start
    # What a thing looks like stands right before it: black leather|belt, 真皮|钱包. Behind other
    # words the product itself may look so: works with Alexa white plug, 搭配裙子都好看 白色板鞋.
    if marker.blanks or passage[end - 1].script == SPACED:
        last = _next_word(end, passage)
    while marker.object and not patterns[kept[place].pattern].kinds & _THINGS & marker.kinds:
        place += 1
        looks = patterns[kept[place - 1].pattern].kinds & marker.kinds
        if first > last or not looks or place == len(kept):
            return end - 1
        if kept[place].start > _next_word(kept[place - 1].end, passage):
            return end - 1
    return np.int64(kept[place].start)


@numba.njit(nogil=True)
def _reach_end(marker, end, passage):  # type: ignore[no-untyped-def]
    """The last folded position at which the first name in reach of a marker may begin."""
    spaced = passage[end - 1].script == SPACED
    if not marker.reach:
        if passage[end].point == _SPACE:
            return _next_word(end, passage) if passage[end + 1].gap <= SOFT else end - 1
        return end if passage[end].gap <= (SOFT if spaced else NO_GAP) else end - 1
    last = min(_gap_after(passage, end, COMMA) - 1, end + marker.reach)
    if not spaced and not marker.blanks:  # 送运费险 连衣裙
        for i in range(end + 1, last + 1):
            if passage[i].gap == SOFT:
                return i - 1
    return last


@numba.njit(nogil=True)
def _next_word(end, passage):  # type: ignore[no-untyped-def]
    """Where the word begins that stands right behind the one that ends there."""
    if passage[end].point == _SPACE and passage[end + 1].gap <= SOFT:
        return end + 1
    return end


@numba.njit(nogil=True)
def _first_in_reach(marker, start, passage):  # type: ignore[no-untyped-def]
    """The first folded position at which a name that ends there is in reach of a marker."""
    spaced = passage[start].script == SPACED
    gap = SOFT if spaced or (marker.reach and not marker.lists) else NO_GAP
    if passage[start].gap > (MARK if marker.blanks else gap):
        return start + 1
    first = start - 1 if passage[start - 1].point == _SPACE else start
    for _ in range(marker.reach):
        if passage[first - 1].gap > SOFT:
            break
        first -= 1
    return first


@numba.njit(nogil=True)
def _list_start(marker, reach, start, kept, passage, patterns):  # type: ignore[no-untyped-def]
    """The first folded position at which a name ends that is in the Chinese list before `start`:
    孕妇、三岁以下儿童及老人|慎用.

    Its last name ends from `reach` on, and names of the marker's kinds may also stand side by side:
    孕妇儿童|慎用.
    """
    listed = start
    i = start
    while i == start or passage[i].gap == NO_GAP or passage[i].gap == LIST:
        if passage[i].gap == LIST or passage[i].point in _LIST_CHARACTERS:
            listed = max(i - 1, 0)  # 以及
        if i == 0:
            break
        i -= 1
    first, left = listed, start  # where the leftmost of these names ends, and where it begins
    for j in range(len(kept) - 1, -1, -1):
        end = np.int64(kept[j].end)
        if end > start or not patterns[kept[j].pattern].kinds & marker.kinds:
            continue
        near = left == start and end >= reach
        if near or end >= listed or (end == left and passage[end].gap <= passage[start].gap):
            first, left = min(first, end), min(left, np.int64(kept[j].start))
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
