"""Which products of a segment match a query, and how well."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import local
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tagmill.discover.index import View
from tagmill.discover.kernels import (
    add_postings,
    add_tags,
    ban_postings,
    collect,
    count_living,
    intersect,
    living_mass,
    release,
    unite,
)
from tagmill.discover.quantities import DIMENSIONS, Range
from tagmill.discover.query import LACKING, Concept, Query, is_lack
from tagmill.discover.segment import CERTAIN, JOINED, LIKELY, PARTED, Segment, hash_texts
from tagmill.text import is_doubtful, is_unspaced, search_words

__all__ = ["Hits", "How", "Matcher", "Part"]

# Of a tag's weight of evidence: ln of its probability over how common it is, and _MISSED more, as
# a product of which nobody says it may have it all the same, one in e^2 of how common it is.
_TAG_WEIGHT, _MISSED = 60.0, 2.0
_LEAST_BITS = LIKELY.view(np.int32)
_SYNONYM = 0.7  # weight of a tag's other names, where the query used one
_MEASURED = 2.0  # as much as a word of a title, in whatever unit it is written
_PARTED = 0.5  # weight of two characters side by side that may be no word
_HEADS = 64  # whose postings are remembered
_HEAD = 0.4  # weight of words that end with the character asked for
# Characters that are a thing's name by themselves within words, and with 子 alone: 杯子, 玻璃杯.
_WITH_ENDING = frozenset(
    "杯鞋裙裤帽袜靴褂袍桌椅凳柜架箱盒袋瓶罐盆盘碟篮筐勺叉筷刀锅镜扇梳刷钳锤被毯垫席帘带绳链珠"
)
_NAMES = 8  # of a tag that are searched as words
_DENYING = tuple(
    "不 无 非 免 零 0 没 没有 不含 不带 不是 不加 no not non without free".split()
)  # of titles that may say they lack something
_scratch = local()

# All concepts; one of them (a part); or one, be it by a tag that is improbable (any).
How = Literal["all", "part", "any"]
Array = npt.NDArray[Any]
Postings = tuple[Array, Array, Array]  # documents, weights, places


@dataclass(frozen=True)
class Part:
    """One way to match a concept: words that must all stand there, a tag, or what is measured; with
    `is_head` the last is a Chinese character, and a word must end with it; with `is_more` it is a
    number and the word beside it, of what matches already."""

    words: tuple[str, ...] = ()
    tag_id: str = ""
    measure: Range | None = None
    factor: float = 1.0
    is_head: bool = False
    is_more: bool = False


@dataclass(frozen=True)
class Hits:
    """The products of one segment that match: (k,) documents int32 and scores float32."""

    documents: Array
    scores: Array


class Matcher:
    """A query against one view; what is asked of several segments is worked out once."""

    def __init__(self, view: View, query: Query, ranges: Sequence[Range] = ()) -> None:
        """`ranges` are asked for beside those of the query."""
        self._view = view
        self.query = query
        self.ranges = (*query.ranges, *ranges)
        self._found: dict[tuple[int, Part], Postings] = {}
        self._measured: dict[tuple[int, Range], Postings] = {}
        self._denial: dict[int, Array] = {}
        self.parts = [self._parts(concept) for concept in query.wanted]
        self._idf = [[self._inverse_frequency(part) for part in parts] for parts in self.parts]

    def unknown(self, *, heads: bool) -> list[Concept]:
        """The concepts nothing matches, or (`heads`: it counts) only a word that ends with one; of
        choices each."""
        return [
            one
            for concept, parts, idfs in zip(self.query.wanted, self.parts, self._idf, strict=True)
            if not any(
                idf
                for part, idf in zip(parts, idfs, strict=True)
                if not (part.is_more or part.is_head) or (heads and len(part.words) == 1)
            )
            for one in concept.choices or (concept,)
        ]

    def hits(self, number: int, how: How) -> Hits:
        """The living products of a segment that match."""
        segment, dead = self._view.segments[number], self._view.dead[number]
        banned = self._banned(number)
        if self.query.is_meaningless:
            return Hits(np.zeros(0, np.int32), np.zeros(0, np.float32))
        if not self.query.wanted and not self.ranges:
            found = np.flatnonzero(~(dead if banned is None else banned)).astype(np.int32)
            return Hits(found, np.zeros(len(found), np.float32))
        lists = [
            (1 << bit, part, idf, *self.postings(number, part)[:2])
            for bit, (parts, idfs) in enumerate(zip(self.parts, self._idf, strict=True))
            for part, idf in zip(parts, idfs, strict=True)
            if idf
        ]
        required = 0
        if self.ranges:  # one bit for all of them, however many
            required = 1 << len(self.parts)
            inside = np.ones(segment.size, np.bool_)
            for asked in self.ranges:
                having = np.zeros(segment.size, np.bool_)
                having[self._within(number, asked)[0]] = True
                inside &= having
            documents = np.flatnonzero(inside).astype(np.int32)
            lists.append((required, Part(), 0.0, documents, np.zeros(len(documents), np.float32)))
        scores, matched = _zeros(segment.size)
        touched = np.empty(min(segment.size, sum(len(one[3]) for one in lists)), np.int32)
        count = 0
        for bit_mask, part, idf, documents, values in lists:
            factor, sums = np.float32(part.factor), (scores, matched, touched, count)
            if part.tag_id:
                count = add_tags(
                    documents, values.view(np.int32), np.int32(0) if how == "any" else _LEAST_BITS,
                    factor, np.float32(idf + _MISSED), np.uint32(bit_mask), *sums,
                )  # fmt: skip
            else:
                factor *= np.float32(idf)
                count = add_postings(documents, values, factor, np.uint32(bit_mask), *sums)
        touched = touched[:count]
        found, values = collect(
            touched, scores, matched, dead if banned is None else banned, np.uint32(required),
            np.uint32((1 << len(self.parts)) - 1), how == "all", max(len(self.parts), 1),
        )  # fmt: skip
        release(touched, scores, matched)
        return Hits(found, values)

    def postings(self, number: int, part: Part) -> Postings:
        """The products of a segment that a part matches; worked out once."""
        found = self._found.get((number, part))
        if found is None:
            found = self._found[number, part] = self._postings(number, part)
        return found

    def quantities(self, number: int, document: int) -> list[tuple[Range, float, float]]:
        """The ranges and quantities asked for, each with that of the product's values, or ranges,
        in it which is nearest to its ends: from, to."""
        found = []
        measures = (one.measure for one in self.query.wanted)
        for asked in (*self.ranges, *filter(None, measures)):
            documents, lows, highs = self._within(number, asked)
            own = np.flatnonzero(documents == document)
            values = [(float(lows[place]), float(highs[place])) for place in own]
            if values:
                found.append((asked, *min(values, key=lambda ends: asked.off(*ends))))
        return found

    def _within(self, number: int, asked: Range) -> Postings:
        """What a segment has in a range; worked out once, as each product of a page looks there."""
        found = self._measured.get((number, asked))
        if found is None:
            found = _within(self._view.segments[number], asked)
            self._measured[number, asked] = found
        return found

    def _postings(self, number: int, part: Part) -> Postings:
        segment = self._view.segments[number]
        if part.tag_id:
            place = self._view.tag_places[number].get(part.tag_id)
            if place is None:
                return _NO_POSTINGS
            here = slice(*segment.by_tag_starts[place : place + 2].tolist())
            documents = segment.by_tag_documents[here]
            return documents, segment.by_tag_probability[here], np.zeros(len(documents), np.uint8)
        if part.measure is not None:
            documents = np.unique(self._within(number, part.measure)[0])
            ones = np.ones(len(documents), np.float32)
            return documents, ones, np.zeros(len(documents), np.uint8)
        found: Postings | None = None
        words = part.words
        if part.is_head:
            found = self._with_head(number, part.words[-1])
            words = part.words[:-1]
        for word_hash in _hashes(words):
            here = segment.postings(word_hash)
            listed = segment.documents[here], segment.weights[here], segment.places[here]
            found = listed if found is None else intersect(*found, *listed)
        return found or _NO_POSTINGS

    def _with_head(self, number: int, head: str) -> Postings:
        key, heads = (number, head), self._view.heads
        found: Postings | None = heads.get(key)
        if found is None:
            if len(heads) >= _HEADS:
                heads.clear()
            found = heads[key] = _with_head(self._view.segments[number], head)
        return found

    def _parts(self, concept: Concept) -> list[Part]:
        if concept.choices:
            return list(dict.fromkeys(p for one in concept.choices for p in self._parts(one)))
        library = self._view.library
        parts = [Part(tag_id=tag_id, factor=_TAG_WEIGHT) for tag_id in concept.tag_ids]
        if concept.words:
            parts.append(Part(concept.words, factor=1 / len(concept.words)))
        names = [
            name for tag_id in concept.tag_ids for name in library.names_of(library.tags[tag_id])
        ]
        if concept.measure is not None:
            parts.append(Part(measure=concept.measure, factor=_MEASURED))
        parts += [Part(words, factor=1 / len(words)) for words in concept.others]
        known = {concept.words, *concept.others}
        for words in _words_of(tuple(names[: _NAMES * len(concept.tag_ids)])):
            if words and words not in known:
                known.add(words)
                parts.append(Part(words, factor=_SYNONYM / len(words)))
        parts += [Part((JOINED + pair,), is_more=True) for pair in concept.joined]
        (*others, word) = concept.words or ("",)
        if others or not word or not is_unspaced(word[0]):
            return parts
        if len(word) == 2:
            parts.append(Part((PARTED + word,), factor=_PARTED))
        return parts if concept.tag_ids else [*parts, *self._parts_within(word)]

    def _parts_within(self, word: str) -> Iterator[Part]:
        """What a Chinese word that names no tag is made of: 男朋友, of what no product has; 男裤,
        of which they have 裤 at the end of others; 鞋子, the one character that it is."""
        head = _head_of(word)
        if head:
            yield Part((head,), factor=_HEAD, is_head=True)
        if len(word) > 1 and not self._frequency(Part((word,))):
            within = _pieces(word)
            if within:
                yield Part(within, factor=_SYNONYM / len(within))
            elif len(word) == 2 and not head and word[-1] in _WITH_ENDING:
                yield Part(tuple(word), factor=_HEAD, is_head=True)

    def frequency(self, words: tuple[str, ...]) -> float:
        """How many living products have all of some words."""
        return self._frequency(Part(words))

    def _frequency(self, part: Part) -> float:
        """How many living products a part matches; of a tag the sum of its probabilities.

        So a tag that is unlikely for many products is as rare as one that few have.
        """
        total = 0.0
        for number, (dead, any_dead) in enumerate(
            zip(self._view.dead, self._view.has_dead, strict=True)
        ):
            documents, values, _ = self.postings(number, part)
            if part.tag_id:
                key = (number, part.tag_id)
                mass = self._view.masses.get(key)
                if mass is None:
                    mass = self._view.masses[key] = living_mass(documents, values, dead)
                total += mass
                continue
            total += count_living(documents, dead) if any_dead else len(documents)
        return total

    def _inverse_frequency(self, part: Part) -> float:
        """BM25's ln(1 + (N − n + ½) / (n + ½)); 0 where no product matches."""
        frequency = self._frequency(part)
        if not frequency:
            return 0.0
        if part.words and part.words[0].startswith(PARTED):  # no rarer than the word itself
            frequency += self._frequency(Part((part.words[0].removeprefix(PARTED),)))
        return math.log(1 + (self._view.products - frequency + 0.5) / (frequency + 0.5))

    def _banned(self, number: int) -> Array | None:
        """The mask of what must not come; None where that is only what is dead."""
        if not self.query.unwanted:
            return None
        segment, banned = self._view.segments[number], self._view.dead[number].copy()
        for concept in self.query.unwanted:
            for part in self._parts(concept):
                if part.is_head or part.is_more:
                    continue  # below, word by word; banned by its words
                documents, weights, places = self.postings(number, part)
                if part.tag_id or part.measure is not None:
                    ban_postings(documents, weights, np.float32(CERTAIN), banned)
                else:
                    self._ban(number, part.words, documents, places, banned)
            for word in concept.words if len(concept.words) == 1 else ():
                for place, kind in _kinds(segment, word) if is_unspaced(word[0]) else ():
                    here = slice(int(segment.starts[place]), int(segment.starts[place + 1]))
                    self._ban(
                        number, (kind,), segment.documents[here], segment.places[here], banned
                    )
        return banned

    def _ban(
        self, number: int, words: tuple[str, ...], documents: Array, places: Array, banned: Array
    ) -> None:
        """Mark the products with words as unwanted, but those whose title says it lacks them.

        A description may say so in many ways: it does not count.
        """
        in_title = documents[(places & 3) == 1]
        maybe = in_title[self._denying(number)[in_title] & ~banned[in_title]]
        ban_postings(documents, places & 3, np.uint8(1), banned)
        if len(maybe):
            titles = self._view.segments[number].shown.column("title").take(pa.array(maybe))
            banned[maybe[_lack(titles, words)]] = False

    def _denying(self, number: int) -> Array:
        """The products of a segment whose title has a word that denies something."""
        mask = self._denial.get(number)
        if mask is None:
            segment = self._view.segments[number]
            mask = self._denial[number] = np.zeros(segment.size, np.bool_)
            for word_hash in _hashes(_DENYING):
                here = segment.postings(word_hash)
                ban_postings(segment.documents[here], segment.places[here] & 1, np.uint8(1), mask)
        return mask


_NO_POSTINGS: Postings = (
    np.zeros(0, np.int32),
    np.zeros(0, np.float32),
    np.zeros(0, np.uint8),
)


@cache
def _hashes(words: tuple[str, ...]) -> tuple[np.uint64, ...]:
    return tuple(hash_texts(words))


@cache
def _words_of(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [tuple(words) for words in search_words(names, whole=True)]


@lru_cache(maxsize=4096)
def _pieces(word: str) -> tuple[str, ...]:
    """The words in a Chinese word, and the characters that are in none: 朋友 and 男 of 男朋友."""
    within = tuple(piece for piece in search_words([word])[0] if piece != word)
    left = [sign for sign in word if all(sign not in piece for piece in within)]
    return (*within, *dict.fromkeys(left)) if within else ()


def _kinds(segment: Segment, word: str) -> Iterator[tuple[int, str]]:
    """(place, word) of the words that a Chinese word is the head of: of 皮 真皮, 牛皮.

    A lone character is meant too where it begins what no dictionary has (皮女), not in 皮蛋.
    """
    for place, kind in segment.words_with(word, at_end=True):
        if not kind.startswith(PARTED) and not is_lack(kind, word):
            yield place, kind
    for place, kind in segment.words_with(word, at_end=False) if len(word) == 1 else ():
        if not kind.endswith(word) and is_doubtful(kind):
            yield place, kind


def _head_of(word: str) -> str:
    """The one character that a Chinese word is, but for 子: 鞋 of 鞋, 鞋子; "" of others."""
    head = word.removesuffix("子")
    known = word == head or head in _WITH_ENDING
    return head if len(head) == 1 and known and is_unspaced(head) else ""


def _with_head(segment: Segment, head: str) -> Postings:
    """The products with a word that ends with a character: of 鞋 运动鞋, 帆布鞋, 鞋子."""
    words = segment.words_with(head, at_end=True)
    if head in _WITH_ENDING:
        words = words + segment.words_with(f"{head}子", at_end=True)
    words = [(place, word) for place, word in words if not is_lack(word, head)]
    factors = [_PARTED if word.startswith(PARTED) else 1.0 for _, word in words]
    weights, places = np.zeros(segment.size, np.float32), np.zeros(segment.size, np.uint8)
    unite(
        np.array([place for place, _ in words], np.int64), np.array(factors, np.float32),
        segment.starts, segment.documents, segment.weights, segment.places, weights, places,
    )  # fmt: skip
    documents = np.flatnonzero(places).astype(np.int32)
    return documents, weights[documents], places[documents]


def _lack(titles: pa.ChunkedArray, words: tuple[str, ...]) -> Array:
    """Which titles deny the words wherever they name them: no leather, leather-free, 无糖."""
    text = " ".join(re.escape(word.removeprefix(PARTED)) for word in words)
    if text.isascii():
        text = rf"\b{text}(?:e?s)?\b"
    named, denied = (
        np.asarray(pc.count_substring_regex(titles, pattern, ignore_case=True))
        for pattern in (text, rf"{LACKING}{text}|{text}[ -]free\b")
    )
    lacking: Array = (named > 0) & (named == denied)
    return lacking


def _within(segment: Segment, asked: Range) -> Postings:
    """(documents, lows, highs) of the quantities in a range: values ascending, then ranges."""
    if asked.is_number:
        documents, values = segment.numbers(asked.dimension)
        low, high = asked.for_values
        here = slice(np.searchsorted(values, low), np.searchsorted(values, high, "right"))
        return documents[here], values[here], values[here]
    kind = 2 * DIMENSIONS.index(asked.dimension)
    start, middle, end = segment.quantity_starts[kind : kind + 3].tolist()
    low, high = asked.for_values
    values = segment.quantity_lows[start:middle]
    inside = np.arange(
        start + np.searchsorted(values, low), start + np.searchsorted(values, high, "right")
    )
    low, high = asked.for_ranges
    ranges = slice(middle, end)
    overlap = (segment.quantity_lows[ranges] < high) & (segment.quantity_highs[ranges] > low)
    found = np.concatenate([inside, middle + np.flatnonzero(overlap)])
    arrays = segment.quantity_documents, segment.quantity_lows, segment.quantity_highs
    return arrays[0][found], arrays[1][found], arrays[2][found]


def _zeros(size: int) -> tuple[Array, Array]:
    """Scores and matched bits of this thread, zero; `release` leaves them so."""
    arrays: tuple[Array, Array] | None = getattr(_scratch, "arrays", None)
    if arrays is None or len(arrays[0]) < size:
        arrays = np.zeros(size, np.float32), np.zeros(size, np.uint32)
        _scratch.arrays = arrays
    return arrays
