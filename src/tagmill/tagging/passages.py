"""Many short texts folded as one, with the gaps, scripts and words that matching looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from tagmill.text import fold, is_unspaced, segment

__all__ = ["COMMA", "END", "LIST", "NO_GAP", "SOFT", "SPACED", "UNSPACED", "Passages"]

Ints = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]

# What stands between two folded characters, by the strongest mark in it.
NO_GAP, SOFT, MARK, LIST, COMMA, END = range(6)
_GAPS = {
    SOFT: " \t\r\u00a0\u3000\u2002\u2003\u2009\u202f-\u2010\u2011\u2012\u2013_'’&＆+＋·・‧\u00ad",
    MARK: ':："“”‘「」『』《》〈〉*＊#＃~～^',
    LIST: "、/／|｜\\",
    COMMA: ",，",
}
# Scripts of folded characters.
BLANK, SPACED, UNSPACED = range(3)


@cache
def _gap_table() -> Bytes:
    table = np.full(0x10000, END, np.uint8)
    for gap, characters in _GAPS.items():
        table[[ord(character) for character in characters]] = gap
    return table


@cache
def _script_table() -> Bytes:
    table = np.full(0x10000, SPACED, np.uint8)
    table[[code for code in range(0x3000, 0xA000) if is_unspaced(chr(code))]] = UNSPACED
    table[ord(" ")] = BLANK
    return table


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


class Passages:
    """Texts joined by line breaks and folded.

    `folded` has n characters. `starts`, `ends` (n,) lead to the joined original text, `gap`
    (n + 1,) says what stands before a folded character, `script` (n,) what it is.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
        self.offsets = np.cumsum(lengths) - lengths  # of each text in the joined one
        self.text = "\n".join(texts)
        folded = fold(self.text)
        self.folded = folded.text
        self.starts: Ints = np.asarray(folded.starts, np.int32)
        self.ends: Ints = np.asarray(folded.ends, np.int32)
        codes = _code_points(self.folded)
        basic = _script_table()[np.minimum(codes, 0xFFFF)]
        self.script: Bytes = np.where(codes >= 0x20000, np.uint8(UNSPACED), basic)
        self.gap = self._gaps()
        # Inside a name a blank or hyphen may stand between words, nothing between Han characters.
        hard = self.gap > SOFT
        hard[1:-1] |= (self.gap[1:-1] != NO_GAP) & self._han_beside()
        self._hard = np.concatenate(([0], np.cumsum(hard)))
        self._clause_ends = np.flatnonzero(self.gap >= COMMA)
        self._sentence_ends = np.flatnonzero(self.gap == END)

    def __len__(self) -> int:
        return len(self.folded)

    def broken(self, starts: Ints, ends: Ints) -> npt.NDArray[np.bool_]:
        """Whether something that no name contains stands inside each span."""
        inside: npt.NDArray[np.bool_] = self._hard[ends] > self._hard[starts + 1]
        return inside

    def clause_end(self, position: int) -> int:
        """Where the clause of a folded position ends."""
        return int(self._clause_ends[np.searchsorted(self._clause_ends, position)])

    def sentence_end(self, position: int) -> int:
        """Where the sentence of a folded position ends."""
        return int(self._sentence_ends[np.searchsorted(self._sentence_ends, position)])

    def passage_of(self, starts: Ints) -> npt.NDArray[np.intp]:
        """The index of the text that holds each original position."""
        return np.searchsorted(self.offsets, starts, side="right") - 1

    @cached_property
    def words(self) -> Words:
        """Words of the dictionary alone: an unknown word falls into characters."""
        return self._words(guess=False)

    @cached_property
    def guessed_words(self) -> Words:
        """Words of the dictionary, and those that look like one."""
        return self._words(guess=True)

    def _gaps(self) -> Bytes:
        gap = np.zeros(len(self.folded) + 1, np.uint8)
        gap[0] = gap[-1] = END
        places = np.flatnonzero(self.starts[1:] > self.ends[:-1])
        if len(places):
            classes = _gap_table()[np.minimum(_code_points(self.text), 0xFFFF)]
            spans = np.stack((self.ends[places], self.starts[places + 1]), axis=1)  # (k, 2)
            gap[places + 1] = np.maximum.reduceat(classes, spans.ravel())[::2]
        return gap

    def _han_beside(self) -> npt.NDArray[np.bool_]:
        han: npt.NDArray[np.bool_] = self.script == UNSPACED
        beside: npt.NDArray[np.bool_] = han[1:] & han[:-1]
        return beside

    def _words(self, guess: bool) -> Words:
        size = len(self.folded)
        starts = np.arange(size, dtype=np.int32)
        ends = starts + 1
        han = np.concatenate(([False], self.script == UNSPACED, [False]))
        glued = np.concatenate(([False], self._han_beside() & (self.gap[1:-1] == NO_GAP), [False]))
        glued = glued[: size + 1]  # (n + 1,): the character and the one before it are of one run
        run_starts = np.flatnonzero(han[1:-1] & ~glued[:-1])
        run_ends = np.flatnonzero(han[1:-1] & ~glued[1:]) + 1
        if not len(run_starts):
            return Words(starts, ends)
        text = self.folded
        runs = "\n".join([text[a:b] for a, b in zip(run_starts, run_ends, strict=True)])
        tokens = segment(runs, guess=guess)
        lengths = np.fromiter(map(len, tokens), np.int32, len(tokens))
        places = np.cumsum(lengths) - lengths  # of tokens in `runs`
        run_places = np.concatenate(([0], np.cumsum(run_ends - run_starts + 1)[:-1]))
        run = np.searchsorted(run_places, places, side="right") - 1
        begins = (run_starts[run] + places - run_places[run]).astype(np.int32)
        inside = begins + lengths <= run_ends[run]  # not the line breaks between runs
        begins, lengths = begins[inside], lengths[inside]
        total = int(lengths.sum())
        within = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        characters = np.repeat(begins, lengths) + within
        starts[characters] = np.repeat(begins, lengths)
        ends[characters] = np.repeat(begins + lengths, lengths)
        return Words(starts, ends)


@dataclass(frozen=True, slots=True)
class Words:
    """For each folded character the span `[start, end)` of its word."""

    starts: Ints
    ends: Ints

    def boundary(self, positions: Ints) -> npt.NDArray[np.bool_]:
        """Whether no word straddles the place before each position."""
        inner = np.clip(positions, 0, len(self.starts) - 1)
        unbroken: npt.NDArray[np.bool_] = self.starts[inner] == positions
        past: npt.NDArray[np.bool_] = positions >= len(self.starts)
        whole: npt.NDArray[np.bool_] = unbroken | past
        return whole
