"""What a query asks: tags named in any language, other words, what must not be, quantities.

    红色 连衣裙 不要 真丝   →  颜色:红色 + 品类:连衣裙 − 材质:真丝
    tv 4k under 60寸       →  品类:4K电视, length ≤ 1,524 mm

A query is words, not a language: what looks like syntax of a search engine separates words.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from tagmill.discover.quantities import (
    IN_TEXTS,
    Range,
    find_measures,
    find_numbers,
    find_ranges,
    plainly_said,
)
from tagmill.library import Library
from tagmill.quantities import quantity_of
from tagmill.text import Folded, fold, is_unspaced, normal_form, search_words, segment, unaccented

__all__ = ["LACKING", "Concept", "Query", "QueryParser", "is_lack"]

# What stands before a word in a text that says it lacks it; for re and RE2.
LACKING = (
    r"(?:不[含带是加]?|[无無非免零0]|[没沒]有?"
    r"|\b(?:no|not|non|without|free of|free from)[ -]+(?:any |real )?)"
)

_Key = TypeVar("_Key")

_LONGEST = 400  # characters of a query that are read
_MOST, _MOST_RANGES = 24, 8  # concepts, of which each has a bit of a mask, and ranges that are read
_WIDEST = 24  # characters or words of a name
_ANY_ORDER = 4  # words of a name that may stand in any order: tv 4k
# What says how words belong together, or that something is wanted: 给妈妈买的, 推荐一款.
_STOP_WORDS = frozenset(
    (
        "a an the of for with and or in on to by at from is are be it that this these those my me "
        "i we you some any something do have has need want looking look find show buy get "
        "please which what who best suitable 的 了 和 与 或 或者 及 款 种 个 适合 适用 用 给 送 买 "
        "想 想要 我 我要 求 求购 推荐 找 看看 有 有没有 哪 哪些 哪种 哪个 哪款 什么 什么样 怎么 请 "
        "请问 能 可以 是 在 吗 呢 吧 啊 呀 一个 一款 一种 这个 这种 这款 那个 那种 那款 穿 "
        "最 便宜 实惠 cheap affordable"
    ).split()
)
# Whom people buy for, each with other words for the same.
_SAME_PEOPLE = {
    word: tuple((other,) for other in words.split() if other != word)
    for words in (
        "男朋友 男友 boyfriend", "女朋友 女友 girlfriend", "妈妈 母亲 老妈 mom mum mother",
        "爸爸 父亲 老爸 dad father", "老公 丈夫 husband", "老婆 妻子 wife", "爸妈 父母 parent",
        "爷爷 grandpa grandfather", "奶奶 grandma grandmother",
    )
    for word in words.split()
}  # fmt: skip
_WITHOUT = re.compile(
    r"(?:(?<!\S)[-－−!！](?=[^\s\W]|[\"“「『])|(?:不[要含带加是]|没有|除了|排除|(?<!\S)(?:无|非)(?=\s))\s*"
    r"|(?<![a-z])(?:without|excluding|except|not|no)\s+|(?P<tight>(?<!\S)[不无]|非(?!遗))(?=[^\s\W]))",
    re.I,
)
_QUOTED = re.compile(r"[\"“「『]([^\"”」』]+)[\"”」』]")
_OR = {("or",), ("或",), ("或者",)}
_LISTED = re.compile(r"\s*[,，、]\s*")
_MODIFIERS = frozenset("太很纯带有含用是")  # before what is not wanted: 不要带拉链的
_PART = re.compile(r"[^\s,，、;；。|]+")
_DIGITS_MEET_LETTERS = re.compile(r"(?<=[a-z])(?=[0-9])|(?<=[0-9])(?=[a-z])")
_UNIT_OF_TEXT = re.compile(r"[a-z0-9.]+|\S", re.I)


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing asked for: any of these tags, or its words; either list may be empty.

    `others` are lists of words that may stand for them: 16 oz or 16oz. `joined` are its numbers
    with the words beside them, iphone15 of iphone 15: side by side they tell more than apart.
    `measure` is what it measures: 500ml is 0.5升, and 6-8岁 holds 7岁.
    `choices` are the things of which any is asked for, red or blue, whose tags are all its own.
    """

    text: str
    tag_ids: tuple[str, ...]
    words: tuple[str, ...]
    others: tuple[tuple[str, ...], ...] = ()
    joined: tuple[str, ...] = ()
    measure: Range | None = None
    choices: tuple[Concept, ...] = ()


@dataclass(frozen=True)
class Query:
    """A query as it was understood."""

    text: str
    wanted: tuple[Concept, ...]
    unwanted: tuple[Concept, ...]
    ranges: tuple[Range, ...]

    @property
    def tag_ids(self) -> list[str]:
        """Of the tags that are asked for."""
        return [tag_id for concept in self.wanted for tag_id in concept.tag_ids]

    @property
    def loose_words(self) -> list[str]:
        """The words asked for that name no tag and measure nothing."""
        loose = (one for one in self.wanted if not (one.tag_ids or one.measure))
        return [word for concept in loose for word in concept.words]

    @property
    def is_meaningless(self) -> bool:
        """Whether something was asked, but nothing that can be found; an empty query asks all."""
        return bool(self.text.strip()) and not (self.wanted or self.unwanted or self.ranges)


class QueryParser:
    """Finds a library's names in queries."""

    def __init__(self, library: Library) -> None:
        self._names: dict[str, list[str]] = {}  # normal form → tag ids
        self._any_order: dict[tuple[str, ...], list[str]] = {}
        self._facet_of: dict[str, str] = {}
        self._measured = set(IN_TEXTS)  # what a range may be asked of
        self._facets = {
            fold(name).text for facet in library.facets.values() for name in facet.names.values()
        } | {fold(key).text for key in library.facets}
        for tag in library.active():
            self._facet_of[tag.id] = tag.facet
            quantity = quantity_of(tag.name, library.facets.get(tag.facet))
            self._measured |= {quantity.unit} if quantity else set()
            for name in library.writings_of(tag):
                folded = unaccented(fold(name).text)
                _append(self._names, folded.replace(" ", "") or normal_form(name), tag.id)
                words = tuple(sorted(_units(folded)))
                if 1 < len(words) <= _ANY_ORDER:
                    _append(self._any_order, words, tag.id)

    def parse(self, text: str, numbers: Sequence[str] = ()) -> Query:
        """The query that a text means; any text means one. `numbers` are those products have."""
        text = text[:_LONGEST]
        ranges, rest = find_numbers(unaccented(plainly_said(text)), numbers)
        quantities, rest = find_ranges(rest, self._measured, self._names)
        ranges += quantities
        wanted: list[Concept] = []
        unwanted: list[Concept] = []
        position = 0
        for match in _WITHOUT.finditer(rest):
            if match.start() < position or (match["tight"] and not self._negates(rest, match)):
                continue
            named, end = self._negated(rest, match.end())
            if not named:
                continue
            wanted += self._concepts(rest[position : match.start()], choices=True)
            unwanted += [self._with_kinds(concept) for concept in _telling(named) or named]
            position = end
        wanted += self._concepts(rest[position:], choices=True)
        telling = _telling(wanted)
        if ranges or any(c.measure for c in wanted):  # 容量 500ml以下
            telling = [c for c in telling if c.tag_ids or c.text not in self._facets]
        if telling or unwanted or ranges:
            wanted = telling
        return Query(
            text,
            tuple(wanted[:_MOST]),
            tuple(unwanted[:_MOST]),
            tuple(ranges[:_MOST_RANGES]),
        )

    def _negates(self, text: str, match: re.Match[str]) -> bool:
        """Whether 不, 无 or 非 stands before the name of a tag, and is no part of one: 不防水, but
        无糖, 不锈钢. Before another word only 非 denies it, where it is a word: 非苹果, but 非洲.
        """
        start = match.start()
        end, own = self._longest_name(text, match.end()), self._longest_name(text, start)
        if end > match.end() and own < end and not text[start - 1 : start].strip():
            return True
        part = _PART.match(text, text.rfind(" ", 0, start) + 1)
        if match["tight"] != "非" or own > start or part is None:
            return False
        return {start, start + 1} <= {part.start() + edge for edge in _word_edges(part[0])}

    def _negated(self, text: str, start: int) -> tuple[list[Concept], int]:
        """What a negation before `start` is of, none if nothing follows; and where that ends.

        That is what is quoted, as a whole; as many words as are a name (faux fur), or the next
        one; of Chinese what stands before 的, or the first name or word.
        """
        quoted = _QUOTED.match(text, start)
        if quoted:
            concepts = self._concepts(quoted[1])
            if len(concepts) > 1:
                words = tuple(word for concept in concepts for word in concept.words)
                concepts = _with_other_spellings([Concept(quoted[1], (), words)])
            return concepts, quoted.end()
        part = _PART.match(text, start)
        if part is None:
            return [], start
        end = rest = max(part.end(), self._longest_name(text, start))
        if is_unspaced(text[start]):
            while (
                text[start] in _MODIFIERS and start + 1 == self._first_end(text[:end], start) < end
            ):
                start += 1
            end = text.find("的", start + 1, end)
            rest = end + 1
            if end < 0:
                end = rest = self._first_end(text[: part.end()], start)
        return self._concepts(text[start:end]), rest

    def _first_end(self, text: str, start: int) -> int:
        """Where the name or word that Chinese text begins with at `start` ends."""
        folded = fold(text[start:])
        units = [(m.start(), m.end()) for m in _UNIT_OF_TEXT.finditer(folded.text)]
        edges = _word_edges(folded.text)
        count, _ = self._match(folded.text, units, 0, edges)
        length = units[count - 1][1] if count else len(segment(folded.text)[0])
        for place in range(1, length if not count else 0):  # 皮女|包 is 皮 and the name 女包
            count, _ = self._match(folded.text, units, place, edges)
            if count and units[place + count - 1][1] > length:
                length = units[place][0]
                break
        return start + folded.span(0, length)[1]

    def _with_kinds(self, concept: Concept) -> Concept:
        """A Chinese word that names no tag stands for those it is the head of: 皮, 真皮."""
        (*_, word) = concept.words or ("",)
        if concept.tag_ids or not word or not is_unspaced(word[0]):
            return concept
        kinds = {
            tag: None
            for form, tags in self._names.items()
            if form.endswith(word) and not is_lack(form, word)
            for tag in tags
        }
        return replace(concept, tag_ids=tuple(kinds))

    def _longest_name(self, text: str, start: int) -> int:
        """Where the longest name that begins here ends; `start` if none does."""
        ends = [match.end() for match in _PART.finditer(text, start)][:_ANY_ORDER]
        for end in reversed(ends):
            if fold(text[start:end]).text.replace(" ", "") in self._names:
                return end
        return start

    def _concepts(self, text: str, *, choices: bool = False) -> list[Concept]:
        """Names, longest first from the left, and the words between them; with `choices` some are
        one of several."""
        folded = fold(text)
        units = [(m.start(), m.end()) for m in _UNIT_OF_TEXT.finditer(folded.text)]
        words = _word_edges(folded.text)
        measures = self._measures(text, folded)
        found: list[Concept] = []
        spans: dict[int, tuple[int, int]] = {}
        loose: list[str] = []

        def flush() -> None:
            if loose:
                found.extend(
                    Concept(word, (), (word,))
                    for word in search_words([" ".join(loose)], whole=True)[0]
                )
                loose.clear()

        place = 0
        while place < len(units):
            count, tags = self._match(folded.text, units, place, words)
            start, end = units[place][0], units[place + max(count, 1) - 1][1]
            measured, measure = measures.get(start, (0, None))
            if measured > end or (measured == end and not count):
                end, tags = measured, ()
                count = sum(start <= unit < end for unit, _ in units[place:])
            piece = folded.text[start:end]
            if count:
                flush()
                whole = tuple(search_words([piece], whole=True)[0])
                called = spans[len(found)] = folded.span(start, end)
                measure = measure if measured == end else None
                found.append(Concept(text[slice(*called)], tags, whole, measure=measure))
            elif loose and is_unspaced(piece) and folded.starts[start] == folded.ends[start - 1]:
                loose[-1] += piece
            else:
                loose.append(piece)
            place += max(count, 1)
        flush()
        found = _with_other_spellings(found)
        if choices:
            found = self._with_choices(found, text, spans)
        return list({concept.tag_ids or concept.words: concept for concept in found}.values())

    def _with_choices(
        self, concepts: list[Concept], text: str, spans: Mapping[int, tuple[int, int]]
    ) -> list[Concept]:
        """Tags of one facet as one thing asked for where `or` stands between them: red or blue,
        red, blue or green. `spans` are of the names among the concepts, by their places."""
        runs: list[list[int]] = []
        for left, right in pairwise(spans):
            gap = spans[left][1], spans[right][0]
            if not self._are_choices(concepts[left : right + 1], text, gap):
                continue
            if runs and runs[-1][-1] == left:
                runs[-1].append(right)
            else:
                runs.append([left, right])
        for first, *_, last in reversed(runs):
            within = concepts[first : last + 1]
            if any(one.words in _OR for one in within if not one.tag_ids):
                concepts[first : last + 1] = [_any(within, text[spans[first][0] : spans[last][1]])]
        return concepts

    def _are_choices(self, within: Sequence[Concept], text: str, gap: tuple[int, int]) -> bool:
        """Whether the first and the last of some concepts are different tags of one facet, with
        `or` and stop words between them, or a comma; not within quotes."""
        one, *between, other = within
        if one.measure or other.measure or one.tag_ids == other.tag_ids:
            return False
        if _telling(between) or any(
            match.start() < gap[0] and gap[1] < match.end() for match in _QUOTED.finditer(text)
        ):
            return False
        if not (any(c.words in _OR for c in between) or _LISTED.fullmatch(text, *gap)):
            return False
        facets = ({self._facet_of[tag_id] for tag_id in own.tag_ids} for own in (one, other))
        return bool(set.intersection(*facets))

    def _measures(self, text: str, folded: Folded) -> dict[int, tuple[int, Range]]:
        """Start → end, both in the folded text, and what is measured there."""
        found = find_measures(text, self._measured)
        return {
            bisect_left(folded.starts, start): (bisect_left(folded.starts, end), measure)
            for start, end, measure in found
        }

    def _match(
        self, text: str, units: Sequence[tuple[int, int]], place: int, words: frozenset[int]
    ) -> tuple[int, tuple[str, ...]]:
        """How many units from `place` on are a name, the most there are, and of which tags."""
        for count in range(min(len(units) - place, _WIDEST), 0, -1):
            start, end = units[place][0], units[place + count - 1][1]
            piece = text[start:end]
            if len(piece) == 1 and not (start in words and end in words):
                continue  # 皮 in 调皮
            tags = self._names.get(piece.replace(" ", ""))
            if tags is None and 1 < count <= 2 * _WIDEST:
                parts = tuple(sorted(_units(piece)))
                tags = self._any_order.get(parts) if len(parts) <= _ANY_ORDER else None
            if tags:
                return count, tuple(tags)
        return 0, ()


def _telling(concepts: Sequence[Concept]) -> list[Concept]:
    """Those that say what a product is."""
    return [c for c in concepts if c.tag_ids or not set(c.words) <= _STOP_WORDS]


def _any(concepts: Sequence[Concept], text: str) -> Concept:
    """One of several things asked for, those that name tags."""
    choices = tuple(concept for concept in concepts if concept.tag_ids)
    tags = dict.fromkeys(tag_id for choice in choices for tag_id in choice.tag_ids)
    return Concept(text, tuple(tags), (), choices=choices)


def is_lack(form: str, word: str) -> bool:
    """Whether a Chinese word names that something is lacking: 无糖 of 糖."""
    return re.fullmatch(f"{LACKING}{re.escape(word)}", form) is not None


def _with_other_spellings(concepts: Sequence[Concept]) -> list[Concept]:
    """Words with those they may be written as: taken apart, or as one with the word beside them.

    Each half stands for the whole by itself, so that products with both halves and products with
    the whole match alike, and those with one half only do not.
    """
    others = [
        [*_taken_apart(one.words), *_SAME_PEOPLE.get(" ".join(one.words), ())] for one in concepts
    ]
    joined = [_with_numbers(concept.words) for concept in concepts]
    for left, right in pairwise(range(len(concepts))):
        joined[left] += _with_numbers(
            concepts[left].words[-1:] + concepts[right].words[:1], once=True
        )
        whole = _as_one(concepts[left].words[-1:] + concepts[right].words[:1])
        if not (concepts[left].tag_ids or concepts[right].tag_ids) and whole:
            others[left].append(whole)
            others[right].append(whole)
    return [
        replace(concept, others=tuple(ways), joined=tuple(pairs))
        for concept, ways, pairs in zip(concepts, others, joined, strict=True)
    ]


def _with_numbers(words: Sequence[str], *, once: bool = False) -> list[str]:
    """Numbers with the words beside them; `once` where the words meet, not within them."""
    pieces = [_DIGITS_MEET_LETTERS.split(word) for word in words]
    if once:
        pieces = [pieces[0][-1:], pieces[1][:1]] if len(pieces) == 2 else []
    pairs = pairwise([piece for parts in pieces for piece in parts])
    return [left + right for left, right in pairs if left.isdecimal() != right.isdecimal()]


def _taken_apart(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """A word in two where digits and letters meet; the two words of a name as one."""
    if len(words) == 2 and (whole := _as_one(words)):
        yield whole
    for match in _DIGITS_MEET_LETTERS.finditer(words[0]) if len(words) == 1 else ():
        yield words[0][: match.start()], words[0][match.start() :]


def _as_one(words: Sequence[str]) -> tuple[str, ...]:
    return ("".join(words),) if len(words) == 2 and all(map(str.isalnum, words)) else ()


def _units(folded: str) -> list[str]:
    """Words of folded text; a run of Chinese characters is one."""
    return re.findall(r"[a-z0-9.]+|[^\sa-z0-9.]+", folded)


def _word_edges(folded: str) -> frozenset[int]:
    """Where words of folded text begin and end."""
    edges, place = {0}, 0
    for word in segment(folded):
        place += len(word)
        edges.add(place)
    return frozenset(edges)


def _append(names: dict[_Key, list[str]], key: _Key, tag: str) -> None:
    tags = names.setdefault(key, [])
    if tag not in tags:
        tags.append(tag)
