"""A library's names and the language rules as the flat arrays that kernels read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from tagmill.library.vocabulary import Library
from tagmill.records import Facet
from tagmill.tagging.lookalikes import KINDS, Lookalikes, kind_bit, lookalikes
from tagmill.tagging.trie import Edges, build_trie, follow, hash_texts
from tagmill.text import fold, normal_form

__all__ = [
    "CATEGORY",
    "HEADED",
    "LITERAL",
    "LONE",
    "MARKED",
    "MARKING",
    "NAMED",
    "OPAQUE",
    "OPEN",
    "OWN",
    "SPAN",
    "Names",
    "compile_names",
    "harmless_tail",
    "is_quality",
    "kind_of_facet",
]

Records = npt.NDArray[np.void]

# What a pattern is, as bits. A name with marks inside (Dr. Pepper, 100% Arabica), or one that is
# also a small word (IT, US), is literal: it counts only where it is written as such.
NAMED, OPAQUE, HEADED, MARKING, LONE, LITERAL, MARKED = (np.int64(1 << i) for i in range(7))
# What an occurrence is besides: any, a name that is no part of a longer word, one that may be.
SPAN, OWN, OPEN = (np.int64(1 << i) for i in range(7, 10))

CATEGORY = kind_bit("category") | kind_bit("accessory")
# What a category's name may say of it: 真皮沙发 is of 真皮.
_QUALITIES = sum(
    kind_bit(kind)
    for kind in KINDS
    if kind not in ("other", "category", "accessory", "flavour", "ingredient", "brand")
)
_MARKS = re.compile(r"\w[^\w\s'’&·-]+\s*\w|\w\s[^\w\s'’&·-]+\s*\w")


_PATTERN = np.dtype(
    [
        ("role", np.int32),
        ("kinds", np.int32),  # mask of the kinds of its tags; 0: it names none
        ("size", np.int32),  # characters
        ("first_tag", np.int32),
        ("last_tag", np.int32),
        ("first_marker", np.int32),
        ("last_marker", np.int32),
    ]
)
_TAG = np.dtype(
    [("tag", np.int32), ("kind", np.int32), ("facet", np.int32), ("spelling", np.uint64)]
)
_MARKER = np.dtype(
    [
        ("kinds", np.int32),
        ("reach", np.int32),
        ("before", np.bool_),
        ("lists", np.bool_),
        ("object", np.bool_),
        ("blanks", np.bool_),
    ]
)


class Names(NamedTuple):
    """Patterns: folded names of tags and words that look like or change them."""

    trie: Edges  # of the patterns, by number
    patterns: Records  # of _PATTERN
    tags: Records  # of _TAG, of one pattern after the other
    markers: Records  # of _MARKER, of one pattern after the other, its `after` ones first
    tails: Edges  # of ends of names with a harmless tail (手机); bits: how long the ends are


def compile_names(library: Library) -> Names:
    """The names of the library's active tags and the shipped rules."""
    rules = lookalikes()
    tags = library.active()
    numbers: dict[str, int] = {}  # pattern → number
    tags_of: dict[int, set[int]] = {}
    roles: dict[int, int] = {}
    kinds: list[int] = []  # by tag, its bit
    kind_of = {key: kind_of_facet(facet) for key, facet in library.facets.items()}
    for position, tag in enumerate(tags):
        names = library.names_of(tag)
        kind = kind_of[tag.facet]
        if kind == "category" and _is_accessory(names, rules):
            kind = "accessory"
        kinds.append(kind_bit(kind))
        for name in library.writings_of(tag):
            literal = int(LITERAL | MARKED) if _MARKS.search(name.strip()) else 0
            for form in _searchable(name):
                number = numbers.setdefault(form, len(numbers))
                tags_of.setdefault(number, set()).add(position)
                role = literal | int(NAMED)
                role |= int(LITERAL) if form in rules.small else 0
                role |= int(LONE) if len(form) == 1 else 0
                roles[number] = roles.get(number, 0) | role
    words: list[tuple[int, Iterable[str]]] = [
        (int(MARKING), rules.markers),
        (int(OPAQUE), rules.opaque),
        (int(HEADED), rules.headed),
        (0, rules.neutral),
    ]
    for role, found in words:
        for word in found:
            number = numbers.setdefault(word, len(numbers))
            roles[number] = roles.get(number, 0) | role
    facets = {key: i for i, key in enumerate(library.facets)}
    patterns = np.zeros(len(numbers), _PATTERN)
    spellings = hash_texts([tag.name for tag in tags])
    named: list[tuple[int, int, int, int]] = []
    markers: list[tuple[int, int, bool, bool, bool, bool]] = []
    for number, text in enumerate(numbers):
        first_tag, first_marker, mask = len(named), len(markers), 0
        for position in sorted(tags_of.get(number, ())):
            facet = facets[tags[position].facet]
            named.append((position, kinds[position], facet, int(spellings[position])))
            mask |= kinds[position]
        for rule in sorted(rules.markers.get(text, ()), key=lambda rule: rule.side):
            options = (rule.lists, rule.object, rule.blanks)
            markers.append((rule.kinds, rule.reach, rule.side == "before", *options))
        spans = (first_tag, len(named), first_marker, len(markers))
        patterns[number] = (roles[number], mask, len(text), *spans)
    tails = _tails(rules)
    return Names(
        build_trie(list(numbers), range(len(numbers))),
        patterns,
        np.array(named, _TAG),
        np.array(markers, _MARKER),
        build_trie(list(tails), list(tails.values())),
    )


def kind_of_facet(facet: Facet) -> str:
    """The kind of a facet by any of its names."""
    kinds = lookalikes().kinds
    for name in (facet.key, *facet.names.values()):
        kind = kinds.get(normal_form(name))
        if kind:
            return kind
    return "other"


def _tails(rules: Lookalikes) -> dict[str, int]:
    tails: dict[str, int] = {}
    for tail, names in rules.tails.items():
        for name in names or ("",):
            tails[name + tail] = tails.get(name + tail, 0) | 1 << len(name)
    return tails


def _is_accessory(names: Iterable[str], rules: Lookalikes) -> bool:
    return any(
        folded.endswith(tuple(f" {end}" if end.isascii() else end for end in ends))
        for folded in (fold(name).text for name in names)
        if (ends := rules.accessories)
    )


def _searchable(name: str) -> list[str]:
    """Folded forms of a name to look for in running text; none for one letter or a bare number."""
    folded = fold(name).text
    bare = folded.replace(" ", "")
    if not bare or (len(bare) < 2 and bare.isascii()) or (bare.isdigit() and len(bare) < 4):
        return []
    two_words = folded.count(" ") == 1 and bare.isascii() and len(bare) > 4
    return [folded, bare] if two_words else [folded]


@numba.njit(nogil=True)
def is_quality(names, passage, pattern, start, end):  # type: ignore[no-untyped-def]
    """Whether a name begins something longer that is a category by its rest: 真皮|沙发."""
    patterns = names.patterns
    size, kinds = patterns[pattern].size, patterns[pattern].kinds
    if size < 2 or not kinds & _QUALITIES or kinds & CATEGORY:
        return False
    first, last = start + size, end
    while first < last and passage[first].point == 0x20:
        first += 1
    while first < last and passage[last - 1].point == 0x20:
        last -= 1
    thing = _look_up(names.trie, passage, first, last)
    if last - first < 2 or thing < 0 or patterns[thing].role & MARKING:
        return False
    whole = _look_up(names.trie, passage, start, end)
    if whole >= 0 and patterns[whole].role & OPAQUE:
        return False
    return (patterns[thing].kinds & CATEGORY) > 0


@numba.njit(nogil=True)
def harmless_tail(tails, passage, start, end, word_end):  # type: ignore[no-untyped-def]
    """Whether a name and the rest of the word that it ends in mean no more: 液晶电视|机."""
    for before in range(end - start + 1):
        known = _look_up(tails, passage, end - before, word_end)
        if known >= 0 and known >> before & 1:
            return True
    return False


@numba.njit(nogil=True)
def _look_up(edges, passage, start, end):  # type: ignore[no-untyped-def]
    """The value of the folded text that `passage[start:end]` is; -1: of none."""
    node, value = np.int32(0), np.int32(-1)
    for i in range(start, end):
        place = follow(edges, node, passage[i].point)
        node, value = edges[place].node, edges[place].value
        if edges[place].key == -1:
            return np.int32(-1)
    return value
