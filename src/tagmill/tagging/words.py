"""Chinese words in a passage, as far as rules ask for them.

Only the dictionary knows where words end, and it is no kernel: the runs of Chinese characters in
which a rule wants to know go out, each with a line break, and come back as the lengths of words.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from tagmill.tagging.folding import glued
from tagmill.tagging.names import LONE, MARKING, NAMED, OPAQUE, OPEN, OWN, SPAN
from tagmill.tagging.spans import cover_of, grown
from tagmill.text import segment

__all__ = [
    "GUESSED",
    "PLAIN",
    "append_runs",
    "cut_runs",
    "read_words",
    "wanted_runs",
    "weigh_names",
]

Ints = npt.NDArray[np.int32]

PLAIN, GUESSED = np.int64(1), np.int64(2)
_LINE_BREAK = 0x0A
_RUN = np.dtype([("start", np.int32), ("end", np.int32), ("wanted", np.int32)])
# For a folded character the span of its word: of the dictionary alone, where an unknown word falls
# into characters, and with guesses, which may also be words that only look like one.
_WORD = np.dtype(
    [
        ("start", np.int32),
        ("end", np.int32),
        ("guessed_start", np.int32),
        ("guessed_end", np.int32),
    ]
)


def cut_runs(runs: Ints, *, guess: bool) -> Ints:
    """The lengths of the words of runs that end in line breaks, which are words too."""
    words = segment(runs.tobytes().decode("utf-32-le"), guess=guess) if len(runs) else []
    return np.fromiter(map(len, words), np.int32, len(words))


@numba.njit(nogil=True)
def weigh_names(passage, spans):  # type: ignore[no-untyped-def]
    """Gives names the role OWN where no word can cut into them, or OPEN where words decide it.

    Returns the seams, where one name ends and the next begins: there no word straddles
    (方领|收腰, not 领收).
    """
    edges = np.zeros(len(passage), np.uint8)
    for i in range(len(spans)):
        if spans[i].role & NAMED and not spans[i].role & LONE:
            edges[spans[i].start] |= 1
            edges[spans[i].end] |= 2
    seams = edges == 3
    for i in range(len(spans)):
        start, end, role = spans[i].start, spans[i].end, spans[i].role
        open_ = glued(passage, start) and (not seams[start] or role & LONE)
        open_ = open_ or (glued(passage, end) and (not seams[end] or role & LONE))
        if role & NAMED:
            spans[i].role |= OPEN if open_ else OWN
    cover = cover_of(spans, OWN | OPAQUE)
    for i in range(len(spans)):
        if cover[i] >= 0:  # then it says nothing, own name or not
            spans[i].role &= ~OPEN
    return seams


@numba.njit(nogil=True)
def wanted_runs(passage, spans):  # type: ignore[no-untyped-def]
    """Runs of Chinese characters that a rule wants the words of."""
    edges = np.zeros(len(passage), np.uint8)
    cover = cover_of(spans, SPAN)
    marked = False
    for i in range(len(spans)):
        if spans[i].role & MARKING and cover[i] < 0:
            marked = True
            edges[spans[i].start] |= PLAIN
            edges[spans[i].end] |= PLAIN
    for i in range(len(spans)):
        role = spans[i].role
        if role & OPEN:
            wanted = PLAIN | GUESSED if role & LONE else PLAIN
            edges[spans[i].start] |= wanted
            edges[spans[i].end] |= wanted
        elif marked and role & NAMED:
            edges[spans[i].end] |= PLAIN
    runs = np.empty(0, _RUN)
    count = 0
    for i in range(1, len(passage) - 1):
        if not edges[i] or not glued(passage, i):
            continue
        if count and i < runs[count - 1].end:
            runs[count - 1].wanted |= edges[i]
            continue
        runs = grown(runs, count + 1)
        start, end = i - 1, i + 1
        while glued(passage, start):
            start -= 1
        while glued(passage, end):
            end += 1
        runs[count].start = start
        runs[count].end = end
        runs[count].wanted = edges[i]
        count += 1
    return runs[:count]


@numba.njit(nogil=True)
def append_runs(passage, runs, wanted, out, size):  # type: ignore[no-untyped-def]
    """Put the characters of wanted runs behind the `size` that `out` has; returns both."""
    for i in range(len(runs)):
        if runs[i].wanted & wanted:
            start, end = runs[i].start, runs[i].end
            out = grown(out, size + end - start + 1)
            for j in range(start, end):
                out[size] = passage[j].point
                size += 1
            out[size] = _LINE_BREAK
            size += 1
    return out, size


@numba.njit(nogil=True)
def read_words(passage, runs, lengths, place, guessed_lengths, guessed_place):  # type: ignore[no-untyped-def]
    """The words of the runs from the lengths at two places; and where the next lengths stand."""
    words = np.zeros(len(passage), _WORD)
    for i in range(len(runs)):
        start = runs[i].start
        while start < runs[i].end:
            end = start + lengths[place]
            for j in range(start, end):
                words[j].start = start
                words[j].end = end
            start = end
            place += 1
        place += 1  # the line break
        if runs[i].wanted & GUESSED:
            start = runs[i].start
            while start < runs[i].end:
                end = start + guessed_lengths[guessed_place]
                for j in range(start, end):
                    words[j].guessed_start = start
                    words[j].guessed_end = end
                start = end
                guessed_place += 1
            guessed_place += 1
    return words, place, guessed_place
