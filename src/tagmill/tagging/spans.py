"""Kernels on the occurrences of patterns in a passage: which of them are names of tags.

A name counts where it stands on word boundaries and is not part of a longer name or of a phrase
that means something else.
"""

from __future__ import annotations

import numba
import numpy as np

from tagmill.tagging.folding import BLANK, NO_GAP, SOFT, SPACED, UNSPACED, glued, is_upper
from tagmill.tagging.names import (
    CATEGORY,
    HEADED,
    LITERAL,
    LONE,
    MARKED,
    NAMED,
    OPAQUE,
    OPEN,
    OWN,
    SPAN,
    harmless_tail,
    is_quality,
)
from tagmill.tagging.trie import follow

__all__ = ["cover_of", "find_spans", "grown", "longest", "own_names", "settle_overlaps"]

# Folded characters from start to end, a pattern, and its roles. In arrays of them ordered by
# start, longer first.
_SPAN = np.dtype(
    [("start", np.int32), ("end", np.int32), ("pattern", np.int32), ("role", np.int32)]
)
_NEIGHBOURS = 8  # names before one that may overlap it
_LINE_BREAK = 0x0A


@numba.njit(nogil=True)
def grown(array, size):  # type: ignore[no-untyped-def]
    """The array, or a longer copy of it where it has no room for `size` entries."""
    if size <= len(array):
        return array
    longer = np.empty(2 * size, array.dtype)
    for i in range(len(array)):
        longer[i] = array[i]
    return longer


@numba.njit(nogil=True)
def find_spans(passage, codes, trie, patterns, cases):  # type: ignore[no-untyped-def]
    """Occurrences not cut out of a Latin word and with nothing strange inside; none where no name
    is among them."""
    spans = np.empty(16, _SPAN)
    count = 0
    roles = 0
    for start in range(len(passage) - 1):
        script = passage[start].script
        if script == BLANK or (
            script == SPACED and start > 0 and passage[start - 1].script == SPACED
        ):
            continue
        first = count
        node = np.int32(0)
        broken = False
        for i in range(start, len(passage) - 1):
            place = follow(trie, node, passage[i].point)
            if trie[place].key == -1:
                break
            node, pattern = trie[place].node, trie[place].value
            broken = broken or (i > start and _is_break(passage, i))
            latin = passage[i].script == SPACED and passage[i + 1].script == SPACED
            if pattern < 0 or latin:
                continue
            role = patterns[pattern].role
            if role & LITERAL:
                if not _is_literal(passage, start, i, codes, role, cases):
                    continue
            elif broken:
                continue
            spans = grown(spans, count + 1)
            spans[count].start = start
            spans[count].end = i + 1
            spans[count].pattern = pattern
            spans[count].role = role | SPAN
            roles |= role
            count += 1
        _reverse(spans, first, count - 1)
    return spans[: count if roles & NAMED else 0]


@numba.njit(nogil=True)
def _is_break(passage, i):  # type: ignore[no-untyped-def]
    """Inside a name a blank or hyphen may stand between words, nothing between Han characters."""
    gap = passage[i].gap
    if gap > SOFT:
        return True
    han = passage[i].script == UNSPACED and passage[i - 1].script == UNSPACED
    return han and gap != NO_GAP


@numba.njit(nogil=True)
def _is_literal(passage, first, last, codes, role, cases):  # type: ignore[no-untyped-def]
    """Whether a literal pattern is written as one: on one line, small words in capitals."""
    start, end = passage[first].start, passage[last].end
    for i in range(start, end):
        if codes[i] == _LINE_BREAK:
            return False
    return role & MARKED > 0 or is_upper(codes, start, end, cases)


@numba.njit(nogil=True)
def _reverse(spans, first, last):  # type: ignore[no-untyped-def]
    while first < last:
        start, end, pattern, role = (
            spans[first].start,
            spans[first].end,
            spans[first].pattern,
            spans[first].role,
        )
        spans[first] = spans[last]
        spans[last].start = start
        spans[last].end = end
        spans[last].pattern = pattern
        spans[last].role = role
        first += 1
        last -= 1


@numba.njit(nogil=True)
def cover_of(spans, role):  # type: ignore[no-untyped-def]
    """For each span the index of a longer one of a role that holds it; -1: none."""
    cover = np.full(len(spans), -1, np.int64)
    best = -1  # the first of those that begin so far and reach furthest
    j = 0
    for i in range(len(spans)):
        while j < len(spans) and spans[j].start <= spans[i].start:
            if spans[j].role & role and (best < 0 or spans[j].end > spans[best].end):
                best = j
            j += 1
        holds = best >= 0 and spans[best].end >= spans[i].end
        if holds and spans[best].end - spans[best].start > spans[i].end - spans[i].start:
            cover[i] = best
    return cover


@numba.njit(nogil=True)
def own_names(spans, seams, passage, words, names):  # type: ignore[no-untyped-def]
    """Gives open names that are no part of a longer Chinese word, or its head, the role OWN."""
    for i in range(len(spans)):
        if spans[i].role & OPEN and _is_own(spans[i], seams, passage, words, names):
            spans[i].role |= OWN


@numba.njit(nogil=True)
def _is_own(span, seams, passage, words, names):  # type: ignore[no-untyped-def]
    start, end = span.start, span.end
    if glued(passage, start) and not seams[start] and words[start].start < start:
        # The word that the name cuts into may end with it (液晶|电视); a long name may also go on.
        word_end = words[start].end
        head = word_end == end or (word_end < end and end - start >= 4)
        if not head or end - start < 2:
            return False
    if glued(passage, end) and not seams[end] and words[end - 1].end > end:
        word_end = words[end - 1].end
        whole = words[end - 1].start == start
        if not harmless_tail(names.tails, passage, start, end, word_end) and not (
            whole and is_quality(names, passage, span.pattern, start, word_end)
        ):
            return False
    if span.role & LONE and (glued(passage, start) or glued(passage, end)):
        word = words[start]
        plain = word.start == start and word.end == end
        return plain and word.guessed_start == start and word.guessed_end == end
    return True


@numba.njit(nogil=True)
def longest(spans, passage, names):  # type: ignore[no-untyped-def]
    """Names in no longer name or phrase, and parts of a category that say what it is."""
    cover = cover_of(spans, OWN)
    opaque = cover_of(spans, OPAQUE)
    headed = cover_of(spans, HEADED)
    kept = np.zeros(len(spans), np.bool_)
    before, reach, last = 0, 0, -1  # furthest end of own names: that begin earlier, or so far
    for i in range(len(spans)):
        start, end = spans[i].start, spans[i].end
        if start != last:
            before, last = reach, start
        if spans[i].role & OWN:
            reach = max(reach, end)
        free = opaque[i] < 0 and (headed[i] < 0 or spans[headed[i]].end == end)
        if not spans[i].role & NAMED or not free:
            continue
        if cover[i] < 0:
            kept[i] = spans[i].role & OWN > 0
        elif before < end:
            # The end of a name that begins earlier is no name of its own: imitation silk|scarf.
            outer = spans[cover[i]]
            if start == outer.start and names.patterns[outer.pattern].kinds & CATEGORY:
                kept[i] = is_quality(names, passage, spans[i].pattern, start, outer.end)
    return _choose(spans, kept)


@numba.njit(nogil=True)
def _choose(spans, kept):  # type: ignore[no-untyped-def]
    chosen = np.empty(len(spans), _SPAN)
    count = 0
    for i in range(len(spans)):
        if kept[i]:
            chosen[count] = spans[i]
            count += 1
    return chosen[:count]


@numba.njit(nogil=True)
def settle_overlaps(spans, patterns):  # type: ignore[no-untyped-def]
    """Of two names that share a part (真丝|巾), the longer, of two categories the later."""
    kept = np.ones(len(spans), np.bool_)
    reach = 0
    for i in range(len(spans)):
        start, end = spans[i].start, spans[i].end
        touches = start < reach
        reach = max(reach, end)
        if not touches:
            continue
        for j in range(max(0, i - _NEIGHBOURS), i):
            other = spans[j]
            if not kept[j] or other.end <= start or not kept[i]:
                continue
            if other.start == start or other.end >= end:
                continue  # the same span, or a quality within a category
            later = end - start > other.end - other.start
            kinds = patterns[spans[i].pattern].kinds | patterns[other.pattern].kinds
            if not kinds & ~CATEGORY:
                later = True
            kept[j if later else i] = False
    return _choose(spans, kept)
