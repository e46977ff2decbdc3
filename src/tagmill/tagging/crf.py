"""A linear-chain conditional random field (Lafferty et al. 2001) that finds spans of facets.

A token is outside, or begins a span of a facet, or continues it. Scores of states are sums over
hashed features, kept only for states a feature was seen with; between spans there is a weight for
each pair of facets, within one a weight for going on. So a step costs (facets + 1)², and only the
`ACTIVE` facets that a text speaks for most take part. Posteriors come of the scaled forward-
backward algorithm (Rabiner 1989); of a whole span they are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from tagmill.kernels import kernel
from tagmill.tagging.sequences import Names, Sequences
from tagmill.tagging.spans import grown

__all__ = [
    "ACTIVE", "Crf", "FoundSpans", "active_facets", "forward_backward", "local_scores",
    "weight_table",
]  # fmt: skip

ACTIVE = 64  # facets that can have a span in one text

# A weight of a feature (0: a free place) in a hash table with open addressing: the state above 16
# bits of steps. A feature of few states has a place for each; one of many has one place, with the
# row of its weights of all states, r as -1 - r.
WEIGHT = np.dtype([("key", np.uint32), ("told", np.int32)])
_STEP = np.float32(2.0**-12)
_MOST_STEPS = 2**15 - 1
_MANY = 0.15  # of the states, at least three
_FOUND = np.dtype(
    [("sequence", np.int32), ("facet", np.int32), ("first", np.int32), ("end", np.int32),
     ("posterior", np.float64)]
)  # fmt: skip


@dataclass(frozen=True)
class FoundSpans:
    """Spans of tokens and how probable each is, all (k,), by sequence and then by first token."""

    sequences: npt.NDArray[np.int32]
    facets: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]  # token of the batch
    end: npt.NDArray[np.int32]
    posterior: npt.NDArray[np.float64]  # of just this span, in [0, 1]


@dataclass(frozen=True)
class Crf:
    """Its weights as arrays. Of F facets, state 0 is outside, 1 + f begins, 1 + F + f goes on."""

    names: Names  # that help to find spans
    weights: npt.NDArray[np.void]  # of WEIGHT, a power of two
    rows: npt.NDArray[np.float32]  # (r, 1 + 2F) of the features with many states
    # (F + 2, F + 1): from outside, a facet's end or the start of the text, to outside or a facet
    transition: npt.NDArray[np.float32]
    inside: npt.NDArray[np.float32]  # (2, F): from its first token on, from a later one on

    @property
    def facets(self) -> int:
        """How many facets it knows."""
        return len(self.inside[0])

    def find(self, sequences: Sequences, least: float) -> FoundSpans:
        """The spans whose posterior is at least `least`."""
        found = _find(
            sequences.hashes, sequences.places, sequences.first, self.weights, self.rows,
            np.exp(self.transition.astype(np.float64)), np.exp(self.inside.astype(np.float64)),
            least,
        )  # fmt: skip
        return FoundSpans(*(np.ascontiguousarray(found[name]) for name in _FOUND.names or ()))


def weight_table(
    keys: npt.NDArray[np.uint32],
    indptr: npt.NDArray[np.int64],
    states: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
    count: int,
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.float32]]:
    """`Crf.weights` and `Crf.rows`: feature i has the weights indptr[i]:indptr[i + 1] of `count`
    states."""
    sizes = np.diff(indptr)
    many = sizes >= max(3, _MANY * count)
    owners = np.repeat(np.arange(len(keys)), sizes)
    rows = np.zeros((int(many.sum()), count), np.float32)
    row_of = np.cumsum(many) - 1
    wide = many[owners]
    rows[row_of[owners[wide]], states[wide]] = weights[wide]
    steps = np.clip(np.rint(weights / _STEP), -_MOST_STEPS, _MOST_STEPS).astype(np.int32)
    lone = ~wide & (steps != 0)
    told = (states[lone] << 16) | (steps[lone] & 0xFFFF)
    all_keys = np.concatenate([keys[many], keys[owners[lone]]])
    all_told = np.concatenate([-1 - row_of[many], told]).astype(np.int32)
    table = np.zeros(1 << (2 * len(all_keys)).bit_length(), WEIGHT)
    _insert(table, all_keys, all_told)
    return table, rows


@numba.njit(nogil=True)
def _place(key, size):  # type: ignore[no-untyped-def]
    """Where in the table a feature's weights begin; its lowest bit is always 1.

    Unsigned, as every place is: no check for indices from the end.
    """
    return np.uint64(key >> np.uint32(1)) & np.uint64(size - 1)


@kernel
def _insert(table, keys, told):  # type: ignore[no-untyped-def]
    for i in range(len(keys)):
        place = _place(keys[i], len(table))
        while table[place].key != 0:
            place = (place + np.uint64(1)) & np.uint64(len(table) - 1)
        table[place].key, table[place].told = keys[i], told[i]


@numba.njit(nogil=True)
def _state_scores(hashes, places, first, last, table, rows, count):  # type: ignore[no-untyped-def]
    """Score of each state at each token, (tokens, count)."""
    scores = np.zeros((last - first, count), np.float32)
    one, mask = np.uint64(1), np.uint64(len(table) - 1)
    wide = np.empty(places[last] - places[first] + 1, np.int64)  # features of many states
    for t in range(first, last):
        own, found = scores[t - first], 0
        for k in range(places[t], places[t + 1]):
            key = hashes[k]
            place = _place(key, len(table))
            while table[place].key != 0:
                if table[place].key == key:
                    told = table[place].told
                    if told < 0:
                        wide[found] = -1 - told
                        found += 1
                        break
                    own[told >> 16] += np.int16(told & 0xFFFF) * _STEP
                place = (place + one) & mask
        for i in range(0, found - 3, 4):  # four at once: the scores are read and written less
            a, b, c, d = rows[wide[i]], rows[wide[i + 1]], rows[wide[i + 2]], rows[wide[i + 3]]
            for state in range(count):
                own[state] += (a[state] + b[state]) + (c[state] + d[state])
        for i in range(found - found % 4, found):
            row = rows[wide[i]]
            for state in range(count):
                own[state] += row[state]
    return scores


@numba.njit(nogil=True)
def active_facets(scores, wanted):  # type: ignore[no-untyped-def]
    """At most ACTIVE facets: `wanted` ones, then those that some token speaks for most."""
    facets = (scores.shape[1] - 1) // 2
    if facets <= ACTIVE:
        return np.arange(facets)
    best = np.full(facets, -np.inf, np.float32)
    for t in range(len(scores)):
        for f in range(facets):
            best[f] = max(best[f], scores[t, 1 + f] - scores[t, 0])
    for f in wanted:
        best[f] = np.inf
    return np.sort(np.argsort(-best, kind="mergesort")[:ACTIVE])


@numba.njit(nogil=True)
def local_scores(scores, transition, inside, active):  # type: ignore[no-untyped-def]
    """What the forward-backward algorithm reads, all not logarithms, of the active facets only:
    scores of states (tokens, 1 + 2 · active), transitions, weights for going on."""
    tokens, facets, size = len(scores), (scores.shape[1] - 1) // 2, len(active)
    emit = np.empty((tokens, 1 + 2 * size), np.float64)
    for t in range(tokens):
        highest = scores[t].max()
        emit[t, 0] = np.exp(scores[t, 0] - highest)
        for i in range(size):
            emit[t, 1 + i] = np.exp(scores[t, 1 + active[i]] - highest)
            emit[t, 1 + size + i] = np.exp(scores[t, 1 + facets + active[i]] - highest)
    between = np.empty((size + 2, size + 1), np.float64)
    within = np.empty((2, size), np.float64)
    for i in range(size + 2):
        source = 0 if i == 0 else facets + 1 if i == size + 1 else 1 + active[i - 1]
        between[i, 0] = transition[source, 0]
        for j in range(size):
            between[i, 1 + j] = transition[source, 1 + active[j]]
    for i in range(size):
        within[0, i], within[1, i] = inside[0, active[i]], inside[1, active[i]]
    return emit, between, within


@numba.njit(nogil=True)
def forward_backward(emit, between, within):  # type: ignore[no-untyped-def]
    """Scaled alpha and beta (tokens, states), whose product is a state's posterior; the scales
    (tokens,); and what leaves a span of each facet, or none, at a token (tokens, facets + 1)."""
    tokens, states = emit.shape
    size = (states - 1) // 2
    alpha, beta = np.zeros((tokens, states)), np.ones((tokens, states))
    scale, leave = np.empty(tokens), np.ones((tokens, size + 1))
    for t in range(tokens):
        own = alpha[t]
        if t == 0:
            for b in range(size + 1):
                own[b] = between[size + 1, b] * emit[0, b]
        else:
            last = alpha[t - 1]
            for a in range(size + 1):
                ended = last[a] + last[size + a] if a else last[0]
                if ended > 1e-12:
                    for b in range(size + 1):
                        own[b] += ended * between[a, b]
            for b in range(size + 1):
                own[b] *= emit[t, b]
            for f in range(1, size + 1):
                goes_on = last[f] * within[0, f - 1] + last[size + f] * within[1, f - 1]
                own[size + f] = goes_on * emit[t, size + f]
        scale[t] = own.sum()
        own /= scale[t]
    coming = np.empty(size + 1)
    for t in range(tokens - 2, -1, -1):
        for b in range(size + 1):
            coming[b] = emit[t + 1, b] * beta[t + 1, b] / scale[t + 1]
        for a in range(size + 1):
            total = 0.0
            for b in range(size + 1):
                total += between[a, b] * coming[b]
            leave[t, a] = total
        beta[t, 0] = leave[t, 0]
        for f in range(1, size + 1):
            goes_on = emit[t + 1, size + f] * beta[t + 1, size + f] / scale[t + 1]
            beta[t, f] = leave[t, f] + within[0, f - 1] * goes_on
            beta[t, size + f] = leave[t, f] + within[1, f - 1] * goes_on
    return alpha, beta, scale, leave


@kernel
def _find(  # type: ignore[no-untyped-def]
    hashes, places, firsts, table, rows, transition, inside, least
):
    """The spans, as an array of _FOUND."""
    found = np.empty(len(places) + 16, _FOUND)
    used = 0
    nothing = np.zeros(0, np.int64)
    count = 1 + 2 * inside.shape[1]
    for sequence in range(len(firsts) - 1):
        first, last = firsts[sequence], firsts[sequence + 1]
        if first == last:
            continue
        scores = _state_scores(hashes, places, first, last, table, rows, count)
        active = active_facets(scores, nothing)
        emit, between, within = local_scores(scores, transition, inside, active)
        alpha, beta, scale, leave = forward_backward(emit, between, within)
        size = len(active)
        for t in range(last - first):
            for f in range(1, size + 1):
                if alpha[t, f] * beta[t, f] < least:
                    continue
                reach = alpha[t, f]
                for end in range(t + 1, last - first + 1):
                    posterior = reach * leave[end - 1, f]
                    if posterior >= least:
                        found = grown(found, used + 1)
                        span = found[used]
                        span.sequence, span.facet = sequence, active[f - 1]
                        span.first, span.end = first + t, first + end
                        span.posterior = min(posterior, 1.0)
                        used += 1
                    if end == last - first:
                        break
                    weight = within[0, f - 1] if end == t + 1 else within[1, f - 1]
                    reach *= weight * emit[end, size + f] / scale[end]
                    if reach * beta[end, size + f] < least:
                        break
    return found[:used].copy()
