"""UTF-8 text folded by a kernel, exactly as `text.fold` does, with what matching looks at.

Beside the folded characters and where they came from: what stands in the gap before each, and
whether its script puts blanks between words.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from tagmill import text as _text
from tagmill.tagging.trie import Edges, build_trie, code_points, look_up

__all__ = [
    "BLANK",
    "COMMA",
    "END",
    "LIST",
    "MARK",
    "NO_GAP",
    "SOFT",
    "SPACED",
    "UNSPACED",
    "Characters",
    "characters",
    "edge",
    "fold_text",
    "glued",
    "is_upper",
]

Ints = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]

# What stands between two folded characters, by the strongest mark in it.
NO_GAP, SOFT, MARK, LIST, COMMA, END = range(6)
_GAPS = {
    SOFT: " \t\r\u00a0\u3000\u2002\u2003\u2009\u202f-\u2010\u2011\u2012\u2013_'’&＆·・‧\u00ad",
    MARK: ':："“”‘「」『』《》〈〉*＊#＃~～^',
    LIST: "、/／|｜\\+＋",
    COMMA: ",，",
}
# Scripts of folded characters.
BLANK, SPACED, UNSPACED = range(3)

_BASIC = 0x10000
_KNOWN = 0x40000  # no letters beyond
_RARE_HAN = 0x20000
# What a character is, as bits: part of a word, of an unspaced run, `\w` to a word boundary.
_WORD, _RUN, _INNER = 1, 2, 4
_UPPER, _LOWER = 1, 2

_SPACE, _STOP, _QUOTE, _CURLY_QUOTE, _UNDERSCORE = 0x20, 0x2E, 0x27, 0x2019, 0x5F
_HYPHEN = 0x2D
_ZERO, _NINE, _E, _H, _I, _S, _U, _C, _X, _Y = (ord(c) for c in "09ehisucxy")


class Characters(NamedTuple):
    """Tables by code point, and words with a singular of their own."""

    folded: Ints  # (65536,) code point, or −1 − k for one that folds into the k-th of `several`
    several: Ints
    several_places: Ints
    kinds: Bytes  # (_KNOWN,)
    cases: Bytes  # (_KNOWN,)
    gaps: Bytes  # (65536,)
    exceptions: Edges  # the value is a place in:
    singulars: Ints
    singular_places: Ints


# A folded character, the span of the text that it stands for, what stands in the gap before it
# and its script. The last one of a passage is none: there the text ends.
_FOLDED = np.dtype(
    [
        ("point", np.int32),
        ("start", np.int32),
        ("end", np.int32),
        ("gap", np.uint8),
        ("script", np.uint8),
    ],
    align=True,
)


@cache
def characters() -> Characters:
    """The tables, made once."""
    folded = np.arange(_BASIC, dtype=np.int32)
    several: list[str] = []
    for code, text in _text._fold_table().items():
        if len(text) == 1:
            folded[code] = ord(text)
        else:
            folded[code] = -1 - len(several)
            several.append(text)
    known = "".join(map(chr, range(_KNOWN)))
    kinds = np.zeros(_KNOWN, np.uint8)
    for pattern, bit in ((r"\w+", _WORD | _INNER), (_text._UNSPACED_RUN, _RUN)):
        for match in re.finditer(pattern, known):
            kinds[match.start() : match.end()] |= bit
    kinds[(kinds & _RUN) > 0] &= ~np.uint8(_WORD)
    kinds[_UNDERSCORE] &= ~np.uint8(_WORD)
    cases = np.zeros(_KNOWN, np.uint8)
    cases[[c.islower() or (c.istitle() and not c.isupper()) for c in known]] = _LOWER
    cases[[c.isupper() for c in known]] = _UPPER
    gaps = np.full(_BASIC, END, np.uint8)
    for gap, marks in _GAPS.items():
        gaps[[ord(mark) for mark in marks]] = gap
    singular = {word: word for word in sorted(_text._NOT_PLURAL)} | _text._IRREGULAR_PLURALS
    return Characters(
        folded,
        *code_points(several),
        kinds,
        cases,
        gaps,
        build_trie(list(singular), range(len(singular))),
        *code_points(list(singular.values())),
    )


@numba.njit(nogil=True)
def fold_text(data, start, end, characters):  # type: ignore[no-untyped-def]
    """The passage of one UTF-8 text, the bytes `start` to `end` of `data`, and its code points."""
    codes = _decode(data, start, end)
    points, origin = _translate(
        codes, characters.folded, characters.several, characters.several_places
    )
    kinds = characters.kinds
    passage = np.empty(2 * len(points) + 1, _FOLDED)  # a blank before each word
    size, i = np.int64(0), np.int64(0)
    after_word = False
    while i < len(points):
        kind = _kind(kinds, points[i])
        if not kind & (_WORD | _RUN):
            i += 1
            continue
        first = i
        if kind & _RUN:
            while i < len(points) and _kind(kinds, points[i]) & _RUN:
                i += 1
            last = i
        else:
            i = last = _decimal_end(points, first)
            if i == first:
                while i < len(points) and _kind(kinds, points[i]) & _WORD:
                    i += 1
                last, i = i, _possessive_end(points, i, kinds)
                if points[last - 1] in (_S, _E) or i > last:
                    last = _singular_end(
                        points,
                        first,
                        last,
                        characters.exceptions,
                        characters.singulars,
                        characters.singular_places,
                    )
            if after_word:
                passage[size].point = _SPACE
                passage[size].start = passage[size].end = passage[size - 1].end
                size += 1
        after_word = not kind & _RUN
        for j in range(first, last):
            passage[size].point = points[j]
            passage[size].start = origin[j]
            passage[size].end = origin[j] + 1
            size += 1
        passage[size - 1].end = origin[i - 1] + 1
    passage = passage[: size + 1]
    _look_around(passage, codes, kinds, characters.gaps)
    return passage, codes


@numba.njit(nogil=True)
def _decode(data, start, end):  # type: ignore[no-untyped-def]
    """Code points of a UTF-8 text."""
    codes = np.empty(end - start, np.int32)
    count = 0
    i = start
    while i < end:
        byte = np.int32(data[i])
        if byte < 0x80:
            codes[count] = byte
            i += 1
        else:
            more = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
            code = byte & (0x3F >> more)
            for j in range(i + 1, i + 1 + more):
                code = (code << 6) | (np.int32(data[j]) & 0x3F)
            codes[count] = code
            i += 1 + more
        count += 1
    return codes[:count]


@numba.njit(nogil=True)
def _translate(codes, folded, several, places):  # type: ignore[no-untyped-def]
    """Characters folded one by one, and the place that each came from."""
    size = 0
    for code in codes:
        place = folded[code] if code < _BASIC else code
        size += 1 if place >= 0 else places[-place] - places[-place - 1]
    points = np.empty(size, np.int32)
    origin = np.empty(size, np.int32)
    size = 0
    for i in range(len(codes)):
        code = codes[i]
        if code < _BASIC:
            code = folded[code]
        if code >= 0:
            points[size] = code
            origin[size] = i
            size += 1
            continue
        for j in range(places[-code - 1], places[-code]):
            points[size] = several[j]
            origin[size] = i
            size += 1
    return points, origin


@numba.njit(nogil=True)
def _kind(kinds, point):  # type: ignore[no-untyped-def]
    return np.int64(kinds[point]) if point < _KNOWN else np.int64(0)


@numba.njit(nogil=True)
def _decimal_end(points, first):  # type: ignore[no-untyped-def]
    """Where a number with a decimal point ends; `first` where none begins."""
    end = first
    i = _digits_end(points, first)
    while first < i < len(points) - 1 and points[i] == _STOP:
        after = _digits_end(points, i + 1)
        if after == i + 1:
            break
        end = i = after
    return end


@numba.njit(nogil=True)
def _digits_end(points, first):  # type: ignore[no-untyped-def]
    i = first
    while i < len(points) and _ZERO <= points[i] <= _NINE:
        i += 1
    return i


@numba.njit(nogil=True)
def _possessive_end(points, i, kinds):  # type: ignore[no-untyped-def]
    """Where the `'s` ends that begins at `i`; `i` where none does."""
    if i + 1 >= len(points) or points[i] not in (_QUOTE, _CURLY_QUOTE) or points[i + 1] != _S:
        return i
    whole = i + 2 == len(points) or not _kind(kinds, points[i + 2]) & _INNER
    return i + 2 if whole else i


@numba.njit(nogil=True)
def _singular_end(points, first, end, exceptions, singulars, places):  # type: ignore[no-untyped-def]
    """Take the plural ending off a word in place, as `text._singular`; returns its new end."""
    known = look_up(exceptions, points, first, end)
    if known >= 0:
        for j in range(places[known], places[known + 1]):
            points[first] = singulars[j]
            first += 1
        return first
    if end - first < 4:
        return end
    for i in range(first, end):
        if points[i] >= 0x80:
            return end
    last, second, third = points[end - 1], points[end - 2], points[end - 3]
    if end - first > 4:
        if last == _S and second == _E and third == _I:
            points[end - 3] = _Y
            return end - 2
        if last == _E and second == _I:
            points[end - 2] = _Y
            return end - 1
    if last != _S:
        return end
    if second == _E:
        fourth = points[end - 4]
        hissing = third == _S and fourth == _S
        hissing |= third == _H and fourth in (_S, _C)
        if hissing or third == _X:
            return end - 2
    if second in (_S, _U, _I) or _ZERO <= second <= _NINE:
        return end
    return end - 1


@numba.njit(nogil=True)
def _look_around(passage, codes, kinds, gaps):  # type: ignore[no-untyped-def]
    """Fill in gaps and scripts."""
    size = len(passage) - 1
    passage[size].point = -1
    passage[size].start = passage[size].end = len(codes)
    for i in range(size + 1):
        gap = NO_GAP if 0 < i < size else END
        if gap == NO_GAP:
            for j in range(passage[i - 1].end, passage[i].start):
                gap = max(gap, int(gaps[codes[j]]) if codes[j] < _BASIC else END)
        passage[i].gap = gap
        point = passage[i].point
        if point >= _RARE_HAN or _kind(kinds, max(point, 0)) & _RUN:
            passage[i].script = UNSPACED
        else:
            passage[i].script = BLANK if point == _SPACE or i == size else SPACED


@numba.njit(nogil=True)
def glued(passage, position):  # type: ignore[no-untyped-def]
    """Whether Chinese characters stand side by side around a position, nothing between them."""
    return (
        passage[position].gap == NO_GAP
        and passage[position].script == UNSPACED
        and passage[position - 1].script == UNSPACED
    )


@numba.njit(nogil=True)
def is_upper(codes, start, end, cases):  # type: ignore[no-untyped-def]
    """Whether a part of a text has capitals and no small letters, as `str.isupper`."""
    seen = 0
    for i in range(start, end):
        if codes[i] < _KNOWN:
            seen |= cases[codes[i]]
    return seen == _UPPER


@numba.njit(nogil=True)
def edge(codes, place, step, characters):  # type: ignore[no-untyped-def]
    """The strongest mark from a place on in a direction until a word, END where the text ends.

    A hyphen with blanks around it separates like a comma, one between letters joins.
    """
    strongest, hyphens, passed = NO_GAP, 0, 0
    while 0 <= place < len(codes):
        code = codes[place]
        if _kind(characters.kinds, code) & (_WORD | _RUN):
            return LIST if strongest == SOFT and hyphens and passed > 1 else strongest
        strongest = max(strongest, int(characters.gaps[code]) if code < _BASIC else END)
        hyphens += code == _HYPHEN or 0x2010 <= code <= 0x2015
        passed += 1
        place += step
    return END
