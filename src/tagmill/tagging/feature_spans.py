"""Which characters of a product each of its hashed features comes from.

The kernel of `features.py` once more in plain Python, a text at a time and with places: what
explains a margin. Tests hold both to the same features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tagmill.tagging import features as _kernel
from tagmill.text import segment

__all__ = ["FieldText", "feature_spans", "field_texts", "word_spans"]

_WHOLE = (1 << 64) - 1
_SHIFT, _PRIME, _OFFSET, _MULTIPLY, _MULTIPLY_2, _MASK = (
    int(number)
    for number in (
        _kernel._SHIFT, _kernel._PRIME, _kernel._OFFSET, _kernel._MULTIPLY, _kernel._MULTIPLY_2,
        _kernel._MASK,
    )
)  # fmt: skip
_LONGEST = 4  # characters of the longest n-gram of unspaced text


@dataclass(frozen=True)
class FieldText:
    """A text of a product: `field` as evidence names it, and the seeds it is hashed with."""

    field: str  # title, description, category, attributes.颜色 …
    text: str
    seeds: tuple[int, ...]


def field_texts(batch: pa.RecordBatch) -> list[FieldText]:
    """The texts of a batch of one product that become features, in the kernel's order."""
    (product,) = batch.to_pylist()
    texts = [
        FieldText(name, product[name], (int(seed),))
        for name, seed in _kernel._TEXT_COLUMNS
        if product[name]
    ]
    folded, _ = _kernel._character_tables()
    for name, value in product["attributes"] or ():
        if value:
            data = np.frombuffer(name.encode() or b"\0", np.uint8)
            ends = np.array([len(name.encode())])
            (crossed,) = _kernel._hash_whole(
                data, np.zeros(1, np.int64), ends, folded, _kernel._ATTRIBUTE_SEED
            )
            seeds = int(_kernel._TEXT_SEED), int(crossed)
            texts.append(FieldText(f"attributes.{name}", value, seeds))
    return texts


def feature_spans(text: str, seed: int) -> Iterator[tuple[int, int, int]]:
    """(feature, start, end) of every feature of a text, in the kernel's order, repeats included."""
    points, kinds = _decode(text)
    previous, previous_start = 0, 0
    i = 0
    while i < len(points):
        if kinds[i] == _kernel._SEPARATOR:
            i += 1
            continue
        start = i
        if kinds[i] == _kernel._WORD:
            value = _OFFSET ^ seed
            while i < len(points) and kinds[i] == _kernel._WORD:
                value = _step(value, points[i])
                i += 1
            token = _mix(value)
            yield token & _MASK, start, i
            yield from _ngrams(points, start, i, seed)
        else:
            value, token = _OFFSET ^ seed, 0
            for n, point in enumerate(points[start : start + _LONGEST]):
                if kinds[start + n] != _kernel._UNSPACED:
                    break
                value = _step(value, point)
                gram = _mix((value + n) & _WHOLE)
                if n == 0:
                    token = gram
                yield gram & _MASK, start, start + n + 1
            i += 1
        inside = kinds[start] == _kernel._UNSPACED and kinds[start - 1] == _kernel._UNSPACED
        if previous and not inside:
            yield _mix((previous * _PRIME + token) & _WHOLE) & _MASK, previous_start, i
        previous, previous_start = token, start


def word_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of the words of a text, as features see it; Chinese by the dictionary."""
    _, kinds = _decode(text)
    spans: list[tuple[int, int]] = []
    i = 0
    while i < len(kinds):
        start, kind = i, kinds[i]
        while i < len(kinds) and kinds[i] == kind:
            i += 1
        if kind == _kernel._WORD:
            spans.append((start, i))
        elif kind == _kernel._UNSPACED:
            for word in segment(text[start:i]):
                spans.append((start, start + len(word)))
                start += len(word)
    return spans


def _decode(text: str) -> tuple[list[int], list[int]]:
    """Folded code points and kinds of a text's characters."""
    folded, kinds = _kernel._character_tables()
    points, types = [], []
    for code in map(ord, text):
        basic = code < len(folded)  # rare Han and emoji: each a character of its own
        points.append(int(folded[code]) if basic else code)
        types.append(int(kinds[code]) if basic else _kernel._UNSPACED)
    return points, types


def _ngrams(points: list[int], start: int, end: int, seed: int) -> Iterator[tuple[int, int, int]]:
    """The 3- to 5-grams of one word between its boundary marks."""
    marked = [1, *points[start:end], 2]
    if len(marked) <= 3:  # of one letter the word itself says all
        return
    for first in range(len(marked)):
        value = ((_OFFSET + 7) & _WHOLE) ^ seed
        for n, point in enumerate(marked[first : first + 5]):
            value = _step(value, point)
            if n >= 2:
                last = start + first + n  # a mark is no character of the text
                yield _mix(value) & _MASK, max(start + first - 1, start), min(last, end)


def _step(value: int, point: int) -> int:
    return ((value ^ point) * _PRIME) & _WHOLE


def _mix(value: int) -> int:
    value ^= value >> _SHIFT
    value = (value * _MULTIPLY) & _WHOLE
    value ^= value >> _SHIFT
    value = (value * _MULTIPLY_2) & _WHOLE
    return value ^ (value >> _SHIFT)
