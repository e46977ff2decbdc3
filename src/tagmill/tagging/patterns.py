"""Names in running text: all occurrences, then only those that mean the tag.

A name counts where it stands on word boundaries, is not part of a longer name or of a phrase that
means something else, and no marker (不含, faux, -free, 味) takes its meaning away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
from ahocorasick_rs import AhoCorasick

from tagmill.library.vocabulary import Library
from tagmill.records import Facet
from tagmill.tagging.lookalikes import KINDS, kind_bit, lookalikes
from tagmill.tagging.markers import Bars
from tagmill.tagging.passages import SPACED, Passages
from tagmill.tagging.spans import Spans, cover_of, glued
from tagmill.text import fold, normal_form

__all__ = ["Found", "Patterns"]

Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

_CATEGORY = kind_bit("category") | kind_bit("accessory")
# What a category's name may say of it: 真皮沙发 is of 真皮.
_QUALITIES = sum(
    kind_bit(kind)
    for kind in KINDS
    if kind not in ("other", "category", "accessory", "flavour", "ingredient", "brand")
)
_MARKS = re.compile(r"\w[^\w\s'’&+·-]+\s*\w|\w\s[^\w\s'’&+·-]+\s*\w")
_NEIGHBOURS = 8  # names before one that may overlap it


@dataclass(frozen=True, slots=True)
class Found:
    """Hits in a list of texts: text, tag, span in the text, length of the folded match."""

    texts: Ints
    tags: Ints
    starts: Ints
    ends: Ints
    lengths: Ints


class Patterns:
    """The automaton of a library's names and of the words that look like or change them."""

    def __init__(self, library: Library) -> None:
        self._rules = lookalikes()
        self._index: dict[str, int] = {}  # folded text → pattern
        tags_of: dict[int, set[int]] = {}
        self._facet_of: Ints
        facets = {key: i for i, key in enumerate(library.facets)}
        tags = library.active()
        self._facet_of = np.array([facets[tag.facet] for tag in tags], np.int32)
        self._kind_of = np.zeros(len(tags), np.int32)
        self._capitals: set[int] = set()
        self._marked: set[int] = set()  # names with marks inside: Dr. Pepper, 100% Arabica
        for position, tag in enumerate(tags):
            kind = self.kind_of_facet(library.facets[tag.facet])
            names = library.names_of(tag)
            if kind == "category" and self._is_accessory(names):
                kind = "accessory"
            self._kind_of[position] = kind_bit(kind)
            for name in names:
                for form in _searchable(name):
                    pattern = self._pattern(form)
                    if _MARKS.search(name.strip()):
                        self._marked.add(pattern)
                    tags_of.setdefault(pattern, set()).add(position)
                    if form in self._rules.small:
                        self._capitals.add(pattern)
        rules = self._rules
        for word in chain(rules.markers, rules.opaque, rules.headed, rules.neutral):
            self._pattern(word)
        size = len(self._index)
        texts = list(self._index)
        self._tags_of = [np.array(sorted(tags_of.get(i, ())), np.int32) for i in range(size)]
        counts = [len(found) for found in self._tags_of]
        self._tag_counts = np.array(counts, np.int32)
        self._tag_table = np.concatenate([*self._tags_of, np.zeros(0, np.int32)])
        self._tag_places = np.cumsum(self._tag_counts) - self._tag_counts
        self._named = self._tag_counts > 0
        self._opaque = np.array([text in rules.opaque for text in texts], np.bool_)
        self._headed = np.array([text in rules.headed for text in texts], np.bool_)
        self._markers = [self._rules.markers.get(text, []) for text in texts]
        self._marking = np.array([bool(found) for found in self._markers], np.bool_)
        # Masks of the kinds of each pattern's tags; 0 for a pattern that names none.
        kinds = [np.bitwise_or.reduce(self._kind_of[found], initial=0) for found in self._tags_of]
        self._kinds: Ints = np.array(kinds, np.int32)
        self._texts = texts
        literal = self._capitals | self._marked
        self._literal = np.array([i in literal for i in range(size)], np.bool_)
        self._lone = np.array([len(t) == 1 for t in texts], np.bool_) & self._named
        self._automaton = AhoCorasick(texts) if texts else None

    def kind_of_facet(self, facet: Facet) -> str:
        """The kind of a facet by any of its names."""
        for name in (facet.key, *facet.names.values()):
            kind = self._rules.kinds.get(normal_form(name))
            if kind:
                return kind
        return "other"

    def find(self, texts: Sequence[str], facets: Ints, foreign: Bools) -> Found:
        """Hits in texts; `facets` (len(texts),) restricts to tags of one (-1: of any), and where
        `foreign`, categories do not name the product."""
        empty = np.zeros(0, np.int32)
        if not texts or self._automaton is None:
            return Found(empty, empty, empty, empty, empty)
        passages = Passages(texts)
        spans = self._all_spans(passages)
        kept = self._settle_overlaps(self._longest(spans, passages))
        bars = Bars(passages, kept, self._kinds[kept.patterns])
        markers = spans[self._marking[spans.patterns]]
        bars.put(markers[cover_of(spans, markers) < 0], self._markers)
        counts = self._tag_counts[kept.patterns]
        hit = np.repeat(np.arange(len(kept)), counts)
        within = np.arange(len(hit)) - np.repeat(np.cumsum(counts) - counts, counts)
        tags = self._tag_table[self._tag_places[kept.patterns][hit] + within]
        first, last = kept.starts[hit], kept.ends[hit]
        kinds = self._kind_of[tags]
        outer = self._outer_ends(kept, passages)[hit]
        barred = (bars.starts[first] | bars.ends[outer]) & kinds
        begin, finish = passages.starts[first], passages.ends[last - 1]
        text = passages.passage_of(begin)
        wanted = (facets[text] < 0) | (facets[text] == self._facet_of[tags])
        wanted &= (barred == 0) & ~(foreign[text] & (kinds & _CATEGORY > 0))
        offset = passages.offsets[text]
        columns = (text, tags, begin - offset, finish - offset, last - first)
        return Found(*(column[wanted].astype(np.int32) for column in columns))

    def _pattern(self, folded: str) -> int:
        return self._index.setdefault(folded, len(self._index))

    def _is_accessory(self, names: Iterable[str]) -> bool:
        return any(
            folded.endswith(tuple(f" {end}" if end.isascii() else end for end in ends))
            for folded in (fold(name).text for name in names)
            if (ends := self._rules.accessories)
        )

    def _all_spans(self, passages: Passages) -> Spans:
        """Every occurrence that is not cut out of a Latin word and has nothing strange inside."""
        assert self._automaton is not None
        matches = self._automaton.find_matches_as_indexes(passages.folded, overlapping=True)
        flat = np.fromiter(chain.from_iterable(matches), np.int32, 3 * len(matches))
        patterns, starts, ends = flat.reshape(-1, 3).T
        script = np.concatenate((passages.script, [0]))  # (n + 1,): also [-1] is no letter
        latin = (script[starts] == SPACED) & (script[starts - 1] == SPACED)
        latin |= (script[ends - 1] == SPACED) & (script[ends] == SPACED)
        broken = passages.broken(starts, ends) & ~self._literal[patterns]
        good = ~latin & ~broken
        for i in np.flatnonzero(self._literal[patterns] & good):
            text = passages.text[passages.starts[starts[i]] : passages.ends[ends[i] - 1]]
            good[i] = "\n" not in text and (patterns[i] in self._marked or text.isupper())
        starts, ends, patterns = starts[good], ends[good], patterns[good]
        order = np.lexsort((-ends, starts))
        return Spans(starts[order], ends[order], patterns[order])

    def _own_words(self, names: Spans, passages: Passages) -> Bools:
        """Whether each name is no part of a longer Chinese word, or the head of it (液晶|电视)."""
        starts, ends = names.starts, names.ends
        left, right = glued(passages, starts), glued(passages, ends)
        good = np.ones(len(names), np.bool_)
        if not (left | right).any():
            return good
        words = passages.words
        left_word = words.starts[np.minimum(starts, len(passages) - 1)]
        left_end = words.ends[np.minimum(starts, len(passages) - 1)]
        # Where one name ends and the next begins, no word straddles: 方领|收腰, not 领收.
        seams = np.intersect1d(ends[ends - starts > 1], starts[ends - starts > 1])
        left, right = left & ~np.isin(starts, seams), right & ~np.isin(ends, seams)
        cut_left = left & (left_word < starts)
        # The word that the name cuts into may end with it; a long name may also go on.
        head = (left_end == ends) | ((left_end < ends) & (ends - starts >= 4))
        good &= ~cut_left | (head & (ends - starts >= 2))
        cut_right = right & (words.ends[ends - 1] > ends)
        for i in np.flatnonzero(cut_right & good):
            word_end = int(words.ends[ends[i] - 1])
            good[i] = self._harmless_tail(names, int(i), word_end, passages) or (
                words.starts[ends[i] - 1] == starts[i]
                and self._is_quality(int(names.patterns[i]), int(starts[i]), word_end, passages)
            )
        lone = self._lone[names.patterns] & (glued(passages, starts) | glued(passages, ends))
        if lone.any():
            guessed = passages.guessed_words
            alone = (guessed.starts[starts] == starts) & (guessed.ends[starts] == ends)
            alone &= (words.starts[starts] == starts) & (words.ends[starts] == ends)
            good &= ~lone | alone
        return good

    def _harmless_tail(self, names: Spans, i: int, word_end: int, passages: Passages) -> bool:
        start, end = int(names.starts[i]), int(names.ends[i])
        ends = self._rules.tails.get(passages.folded[end:word_end])
        if ends is None:
            return False
        return not ends or passages.folded[start:end].endswith(ends)

    def _outer_ends(self, kept: Spans, passages: Passages) -> Ints:
        """Ends of names together with a harmless tail: 液晶电视机 of 液晶电视."""
        outer = kept.ends.copy()
        tail = np.minimum(outer, len(passages) - 1)
        for i in np.flatnonzero(glued(passages, outer)):
            word_end = int(passages.words.ends[tail[i]])
            if self._harmless_tail(kept, int(i), word_end, passages):
                outer[i] = word_end
        return outer

    def _longest(self, spans: Spans, passages: Passages) -> Spans:
        """Names in no longer name or phrase, and parts of a category that say what it is."""
        names = spans[self._named[spans.patterns]]
        own = self._own_words(names, passages)
        cover = cover_of(names[own], names)
        free = cover_of(spans[self._opaque[spans.patterns]], names) < 0
        phrases = spans[self._headed[spans.patterns]]
        headed = cover_of(phrases, names)
        free &= (headed < 0) | (names.ends == _at(phrases.ends, headed))
        kept = own & free & (cover < 0)
        longer = np.flatnonzero(own)
        # Also the end of a name that begins earlier is no name of its own: imitation silk|scarf.
        reach = np.concatenate(([0], np.maximum.accumulate(names.ends[own])))
        before = np.searchsorted(names.starts[own], names.starts, side="left")
        for i in np.flatnonzero(free & (cover >= 0) & (reach[before] < names.ends)):
            outer = longer[cover[i]]
            kinds = int(self._kinds[names.patterns[outer]])
            kept[i] = (
                names.starts[i] == names.starts[outer]
                and bool(kinds & _CATEGORY)
                and self._is_quality(
                    int(names.patterns[i]), int(names.starts[i]), int(names.ends[outer]), passages
                )
            )
        return names[kept]

    def _is_quality(self, pattern: int, start: int, outer_end: int, passages: Passages) -> bool:
        """Whether a name begins something longer that is a category by its rest: 真皮|沙发."""
        name = self._texts[pattern]
        kinds = int(self._kinds[pattern])
        if len(name) < 2 or not kinds & _QUALITIES or kinds & _CATEGORY:
            return False
        rest = passages.folded[start + len(name) : outer_end].strip()
        thing = self._index.get(rest, -1)
        if len(rest) < 2 or thing < 0 or self._marking[thing]:
            return False
        if passages.folded[start:outer_end] in self._rules.opaque:
            return False
        return bool(self._kinds[thing] & _CATEGORY)

    def _settle_overlaps(self, names: Spans) -> Spans:
        """Of two names that share a part (真丝|巾), the longer, of two categories the later."""
        kept = np.ones(len(names), np.bool_)
        touching = np.flatnonzero(names.starts[1:] < np.maximum.accumulate(names.ends)[:-1]) + 1
        for i in touching:
            for last in range(max(0, int(i) - _NEIGHBOURS), int(i)):
                if not kept[last] or names.ends[last] <= names.starts[i] or not kept[i]:
                    continue
                if names.starts[last] == names.starts[i] or names.ends[last] >= names.ends[i]:
                    continue  # the same span, or a quality within a category
                later = names.ends[i] - names.starts[i] > names.ends[last] - names.starts[last]
                if self._all_category(names, int(i)) and self._all_category(names, last):
                    later = np.True_
                kept[last if later else i] = False
        return names[kept]

    def _all_category(self, names: Spans, i: int) -> bool:
        return not int(self._kinds[names.patterns[i]]) & ~_CATEGORY


def _at(values: Ints, places: npt.NDArray[np.intp]) -> Ints:
    """`values[places]`, 0 where the place is −1."""
    return np.append(values, np.int32(0))[places]


def _searchable(name: str) -> list[str]:
    """Folded forms of a name to look for in running text; none for one letter or a bare number."""
    folded = fold(name).text
    bare = folded.replace(" ", "")
    if not bare or (len(bare) < 2 and bare.isascii()) or (bare.isdigit() and len(bare) < 4):
        return []
    two_words = folded.count(" ") == 1 and bare.isascii() and len(bare) > 4
    return [folded, bare] if two_words else [folded]
