"""Texts cut into tokens, each with hashes of how it is spelled and what it looks like.

A token is a run of letters and digits (a number keeps its decimal point: `4.5g`), one character
of a script without spaces, or one mark. So every name of a tag begins and ends with tokens.
"""

from __future__ import annotations

import numba
import numpy as np

from tagmill.tagging.features import _decode, _mix

__all__ = ["LETTERS", "MARK", "TOKEN", "UNSPACED", "tokenize"]

LETTERS, UNSPACED, MARK = range(3)  # kinds of tokens

TOKEN = np.dtype(
    [
        ("start", np.int32),  # characters of the text
        ("end", np.int32),
        ("word", np.uint64),  # folded: width, case, Traditional to Simplified
        ("shape", np.uint64),  # 9 for a digit, X for a capital …: iPhone15 is xXxxxx99
        ("form", np.uint64),  # the shape, what repeats once: xXx9
        ("prefix2", np.uint64),
        ("prefix3", np.uint64),
        ("suffix2", np.uint64),
        ("suffix3", np.uint64),
        ("kind", np.uint8),
    ],
    align=True,
)

_SEPARATES, _JOINS, _ALONE = range(3)  # kinds of characters, as `features` has them
_BLANKS = (0x09, 0x0A, 0x0D, 0x20, 0xA0, 0x3000)
_POINT, _COMMA, _ZERO, _NINE = 0x2E, 0x2C, 0x30, 0x39
_DIGIT, _CAPITAL, _SMALL, _INNER, _FIRST_MARK = 1, 2, 3, 4, 8
_PRIME = np.uint64(0x100000001B3)
_OFFSET = np.uint64(0xCBF29CE484222325)


@numba.njit(nogil=True)
def tokenize(data, start, end, folded, kinds, limit):  # type: ignore[no-untyped-def]
    """The first `limit` tokens of the UTF-8 text that the bytes `start` to `end` are."""
    points = np.empty(end - start, np.uint32)
    types = np.empty(end - start, np.uint8)
    count = _decode(data, start, end, folded, kinds, points, types)
    written = _code_points(data, start, end, count)
    tokens = np.zeros(min(count, limit), TOKEN)
    used, i = 0, 0
    while i < count and used < limit:
        first = i
        i += 1
        token = tokens[used]
        if types[first] == _JOINS:
            while i < count and (types[i] == _JOINS or _is_inner_point(points, i, count)):
                i += 1
            token.kind = LETTERS
            token.prefix2 = _hash(points, first, min(first + 2, i))
            token.prefix3 = _hash(points, first, min(first + 3, i))
            token.suffix2 = _hash(points, max(i - 2, first), i)
            token.suffix3 = _hash(points, max(i - 3, first), i)
        elif types[first] == _ALONE:
            token.kind = UNSPACED
        elif points[first] in _BLANKS:
            continue
        else:
            token.kind = MARK
        token.start, token.end = first, i
        token.word = _hash(points, first, i)
        token.shape, token.form = _look_of(points, written, types, first, i)
        used += 1
    return tokens[:used]


@numba.njit(nogil=True)
def _is_inner_point(points, i, count):  # type: ignore[no-untyped-def]
    """Whether a point or comma stands between two digits."""
    if points[i] not in (_POINT, _COMMA) or i + 1 >= count:
        return False
    return _is_digit(points[i - 1]) and _is_digit(points[i + 1])


@numba.njit(nogil=True)
def _is_digit(point):  # type: ignore[no-untyped-def]
    return _ZERO <= point <= _NINE


@numba.njit(nogil=True)
def _look_of(points, written, types, first, end):  # type: ignore[no-untyped-def]
    """Hashes of the shape of a token and of its form."""
    shape, form = _OFFSET, _OFFSET
    last = np.uint64(0)
    for j in range(first, end):
        if types[j] == _SEPARATES:
            look = np.uint64(_FIRST_MARK) + points[j]
        elif types[j] == _ALONE:
            look = np.uint64(_INNER)
        elif _is_digit(points[j]):
            look = np.uint64(_DIGIT)
        else:
            look = np.uint64(_CAPITAL if written[j] != points[j] else _SMALL)
        shape = (shape ^ look) * _PRIME
        if look != last:
            form = (form ^ look) * _PRIME
        last = look
    return _mix(shape), _mix(form)


@numba.njit(nogil=True)
def _hash(points, first, end):  # type: ignore[no-untyped-def]
    value = _OFFSET + np.uint64(end - first)
    for j in range(first, end):
        value = (value ^ np.uint64(points[j])) * _PRIME
    return _mix(value)


@numba.njit(nogil=True)
def _code_points(data, start, end, count):  # type: ignore[no-untyped-def]
    """The characters of a UTF-8 text as they are written."""
    codes = np.empty(count, np.uint32)
    i = start
    for place in range(count):
        byte = np.uint32(data[i])
        more = 0 if byte < 0x80 else 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
        code = byte if more == 0 else byte & np.uint32(0x3F >> more)
        for j in range(i + 1, i + 1 + more):
            code = (code << np.uint32(6)) | (np.uint32(data[j]) & np.uint32(0x3F))
        codes[place] = code
        i += 1 + more
    return codes
