"""Names in running text: all occurrences, then only those that mean the tag.

One kernel takes texts from UTF-8 to hits. Where a rule asks for Chinese words, it leaves the text
for a second turn, when these are known. No marker (不含, faux, -free, 味) may take the meaning of a
name away; what else makes a name one stands in `spans.py`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from tagmill.kernels import kernel
from tagmill.library.vocabulary import Library
from tagmill.tagging.folding import Characters, characters, edge, fold_text, glued
from tagmill.tagging.markers import bars
from tagmill.tagging.names import CATEGORY, Names, compile_names, harmless_tail
from tagmill.tagging.spans import find_spans, grown, longest, own_names, settle_overlaps
from tagmill.tagging.strings import Texts
from tagmill.tagging.trie import hash_points
from tagmill.tagging.words import (
    GUESSED,
    PLAIN,
    append_runs,
    cut_runs,
    read_words,
    wanted_runs,
    weigh_names,
)

__all__ = ["ANY_FACET", "FOREIGN", "Patterns"]

Ints = npt.NDArray[np.int32]

# What a text may name: tags of one facet, by its number, of any, of any but categories.
ANY_FACET, FOREIGN = -1, -2
_HIT = 8  # text, tag, start, end, folded length, before, after, verbatim
_NONE = np.zeros(0, np.int32)


class Patterns:
    """The trie of a library's names and of the words that look like or change them."""

    def __init__(self, library: Library) -> None:
        self._names = tuple(compile_names(library))
        self._characters = tuple(characters())

    def find(self, texts: Texts, facets: Ints) -> Ints:
        """Hits (k, 8) in texts: text, tag, start, end in the text, length of the folded match, what
        stands before and after it, whether it is spelled like the tag; `facets` (len(texts),) says
        what each text may name."""
        hits, waiting, runs, guessed = self._search(texts, facets, _NONE, _NONE, False)
        if not len(waiting):
            return hits
        words, guessed_words = cut_runs(runs, guess=False), cut_runs(guessed, guess=True)
        rest = Texts(texts.data, texts.starts[waiting], texts.ends[waiting])
        more, *_ = self._search(rest, facets[waiting], words, guessed_words, True)
        more[:, 0] = waiting[more[:, 0]]
        return np.concatenate([hits, more])

    def _search(
        self, texts: Texts, facets: Ints, words: Ints, guessed_words: Ints, segmented: bool
    ) -> tuple[Ints, Ints, Ints, Ints]:
        hits, waiting, runs, guessed_runs = _search(
            texts.data, texts.starts, texts.ends, facets, self._characters, self._names,
            words, guessed_words, segmented,
        )  # fmt: skip
        return hits.reshape(-1, _HIT), waiting, runs, guessed_runs


@kernel
def _search(data, starts, ends, facets, tables, library, lengths, guessed_lengths, segmented):  # type: ignore[no-untyped-def]
    """Hits in texts; if not `segmented`, also texts that wait for words, and runs to cut."""
    characters, names = Characters(*tables), Names(*library)
    hits = np.empty(_HIT * len(starts), np.int32)
    found, waiting = np.int64(0), np.int64(0)
    waiters = np.empty(len(starts), np.int32)
    runs, guessed_runs = np.empty(0, np.int32), np.empty(0, np.int32)
    size, guessed_size = np.int64(0), np.int64(0)  # of the runs; then places in the lengths
    for text in range(len(starts)):
        if starts[text] == ends[text]:
            continue
        passage, codes = fold_text(data, starts[text], ends[text], characters)
        spans = find_spans(passage, codes, names.trie, names.patterns, characters.cases)
        if not len(spans):
            continue
        seams = weigh_names(passage, spans)
        wanted = wanted_runs(passage, spans)
        if len(wanted) and not segmented:
            waiters[waiting] = text
            waiting += 1
            runs, size = append_runs(passage, wanted, PLAIN, runs, size)
            guessed_runs, guessed_size = append_runs(
                passage, wanted, GUESSED, guessed_runs, guessed_size
            )
            continue
        words, size, guessed_size = read_words(
            passage, wanted, lengths, size, guessed_lengths, guessed_size
        )
        own_names(spans, seams, passage, words, names)
        kept = settle_overlaps(longest(spans, passage, names), names.patterns)
        masks = bars(spans, kept, passage, words, names)
        hits, found = _append_hits(
            text, facets[text], kept, masks, passage, codes, words, characters, names, hits, found
        )
    return hits[: _HIT * found], waiters[:waiting], runs[:size], guessed_runs[:guessed_size]


@numba.njit(nogil=True)
def _append_hits(  # type: ignore[no-untyped-def]
    text, facet, kept, masks, passage, codes, words, characters, names, hits, found
):
    """Put the tags of kept names behind the `found` that `hits` has; returns both."""
    for i in range(len(kept)):
        start, end, pattern = kept[i].start, kept[i].end, names.patterns[kept[i].pattern]
        first, last = passage[start].start, passage[end - 1].end
        before = edge(codes, first - 1, -1, characters)
        after = edge(codes, last, 1, characters)
        spelling = hash_points(codes, first, last)
        barred = np.int32(0)
        if masks.shape[1]:
            outer = end  # with a harmless tail: 液晶电视机 of 液晶电视
            if glued(passage, end):
                word_end = words[end].end
                if harmless_tail(names.tails, passage, start, end, word_end):
                    outer = word_end
            barred = masks[0, start] | masks[1, outer]
        for j in range(pattern.first_tag, pattern.last_tag):
            tag = names.tags[j]
            if barred & tag.kind or (facet >= 0 and facet != tag.facet):
                continue
            if facet == FOREIGN and tag.kind & CATEGORY:
                continue
            hits = grown(hits, _HIT * found + _HIT)
            hits[_HIT * found] = text
            hits[_HIT * found + 1] = tag.tag
            hits[_HIT * found + 2] = first
            hits[_HIT * found + 3] = last
            hits[_HIT * found + 4] = end - start
            hits[_HIT * found + 5] = before
            hits[_HIT * found + 6] = after
            hits[_HIT * found + 7] = spelling == tag.spelling
            found += 1
    return hits, found
