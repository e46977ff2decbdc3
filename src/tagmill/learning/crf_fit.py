"""Weights of the span extractor: the likelihood of labelled token sequences, by AdaGrad.

Gradients are exact, one sequence after the other (AdaGrad: Duchi et al. 2011); a feature has
weights only for the states it was seen with, as in CRFsuite (Okazaki 2007).
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from tagmill.kernels import kernel
from tagmill.tagging.crf import Crf, active_facets, forward_backward, local_scores, weight_table
from tagmill.tagging.sequences import Names, Sequences

__all__ = ["fit_crf"]

_EPOCHS, _RATE, _DECAY = 10, 0.07, 1e-3
_TOGETHER = 8  # sequences between two steps of the transitions
_START = 1e-4  # of the sums of squared gradients
_SMALLEST = 1e-5  # gradient that is not followed


def fit_crf(
    sequences: Sequences,
    states: npt.NDArray[np.int32],
    chosen: npt.NDArray[np.int64],
    names: Names,
    facets: int,
    seed: int,
) -> Crf:
    """The field of the `chosen` sequences, read with these `names`, whose tokens have these
    `states` (tokens,).

    The same sequences, states and seed give the same weights.
    """
    count = 1 + 2 * facets
    first, last = sequences.first[chosen], sequences.first[chosen + 1]
    keys, owners = _features_of(sequences, first, last)
    known, rows = np.unique(keys, return_inverse=True)
    pairs = np.unique(rows.astype(np.int64) * count + states[owners])
    indptr = np.searchsorted(pairs // count, np.arange(len(known) + 1))
    weights = np.zeros(len(pairs), np.float32)
    transition, inside = np.zeros((facets + 2, facets + 1)), np.zeros((2, facets))
    rng = np.random.default_rng(seed)
    orders = np.stack([rng.permutation(len(chosen)) for _ in range(_EPOCHS)])
    seen_states = (pairs % count).astype(np.int32)
    tokens = np.concatenate([np.zeros(1, np.int64), np.cumsum(last - first)])
    taken = np.repeat(first - tokens[:-1], last - first) + np.arange(tokens[-1])
    lengths = sequences.places[taken + 1] - sequences.places[taken]
    places = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    _descend(
        rows.astype(np.int32), places, tokens, states[taken], indptr, seen_states, weights,
        transition, inside, orders,
    )  # fmt: skip
    table, wide = weight_table(known, indptr, seen_states, weights, count)
    return Crf(names, table, wide, transition.astype(np.float32), inside.astype(np.float32))


def _features_of(
    sequences: Sequences, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Features of the tokens first:last of each sequence, and the token that each is of."""
    tokens = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    lengths = sequences.places[tokens + 1] - sequences.places[tokens]
    ends = np.cumsum(lengths)
    within = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    owners = np.repeat(tokens, lengths)
    return sequences.hashes[sequences.places[owners] + within], owners


@numba.njit(nogil=True)
def _state_scores(rows, places, first, last, indptr, states, weights, count):  # type: ignore[no-untyped-def]
    """Score of each state at each token, (tokens, count); `rows` are the features' rows."""
    scores = np.zeros((last - first, count), np.float32)
    for t in range(first, last):
        own = scores[t - first]
        for k in range(places[t], places[t + 1]):
            row = rows[k]
            for j in range(indptr[row], indptr[row + 1]):
                own[states[j]] += weights[j]
    return scores


@kernel
def _descend(  # type: ignore[no-untyped-def]
    rows, places, firsts, gold, indptr, states, weights, transition, inside, orders
):
    """All epochs, in place."""
    facets = inside.shape[1]
    count = 1 + 2 * facets
    squares = np.full(len(weights), _START, np.float32)
    between, within = np.exp(transition), np.exp(inside)
    between_gradient, within_gradient = np.zeros(transition.shape), np.zeros(inside.shape)
    between_squares = np.full(transition.shape, _START)
    within_squares = np.full(inside.shape, _START)
    gradient = np.zeros(count)
    for order in orders:
        for step in range(len(order)):
            first, last = firsts[order[step]], firsts[order[step] + 1]
            if first == last:
                continue
            own = gold[first:last]
            scores = _state_scores(rows, places, first, last, indptr, states, weights, count)
            active = active_facets(scores, np.unique((own[own > 0] - 1) % facets))
            emit, some_between, some_within = local_scores(scores, between, within, active)
            alpha, beta, scale, _ = forward_backward(emit, some_between, some_within)
            _add_transitions(
                own, active, facets, emit, some_between, some_within, alpha, beta, scale,
                between_gradient, within_gradient,
            )  # fmt: skip
            for t in range(last - first):
                _state_gradient(alpha[t], beta[t], active, facets, gradient)
                gradient[own[t]] -= 1
                _follow(
                    rows, places[first + t], places[first + t + 1], indptr, states, weights,
                    squares, gradient,
                )  # fmt: skip
            if step % _TOGETHER == _TOGETHER - 1 or step == len(order) - 1:
                _step(transition, between, between_gradient, between_squares)
                _step(inside, within, within_gradient, within_squares)


@kernel
def _state_gradient(alpha, beta, active, facets, gradient):  # type: ignore[no-untyped-def]
    """Posteriors of all states at a token; those of facets that are not active are 0."""
    gradient[:] = 0
    gradient[0] = alpha[0] * beta[0]
    size = len(active)
    for i in range(size):
        gradient[1 + active[i]] = alpha[1 + i] * beta[1 + i]
        gradient[1 + facets + active[i]] = alpha[1 + size + i] * beta[1 + size + i]


@kernel
def _follow(rows, first, last, indptr, states, weights, squares, gradient):  # type: ignore[no-untyped-def]
    """One step of the weights of a token's features."""
    for k in range(first, last):
        for j in range(indptr[rows[k]], indptr[rows[k] + 1]):
            slope = gradient[states[j]]
            if abs(slope) > _SMALLEST:
                slope += _DECAY * weights[j]
                squares[j] += slope * slope
                weights[j] -= _RATE * slope / np.sqrt(squares[j])


@kernel
def _step(weights, exponentials, gradient, squares):  # type: ignore[no-untyped-def]
    """One step of the weights (n, m) of transitions, and a gradient of zero again."""
    for a in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            if gradient[a, b] != 0:
                slope = gradient[a, b] + _DECAY * weights[a, b]
                squares[a, b] += slope * slope
                weights[a, b] -= _RATE * slope / np.sqrt(squares[a, b])
                exponentials[a, b] = np.exp(weights[a, b])
                gradient[a, b] = 0


@kernel
def _add_transitions(  # type: ignore[no-untyped-def]
    gold, active, facets, emit, between, within, alpha, beta, scale, between_gradient,
    within_gradient,
):  # fmt: skip
    """Add how often each transition is expected in a text, less how often it is there."""
    size = len(active)
    total = np.zeros(between.shape)
    coming = np.empty(size + 1)
    for t in range(len(gold)):
        for b in range(size + 1):
            coming[b] = emit[t, b] * beta[t, b] / scale[t]
        if t == 0:
            for b in range(size + 1):
                total[size + 1, b] += between[size + 1, b] * coming[b]
            between_gradient[facets + 1, gold[0]] -= 1
            continue
        last = alpha[t - 1]
        for a in range(size + 1):
            ended = last[a] + last[size + a] if a else last[0]
            if ended > 1e-9:
                for b in range(size + 1):
                    total[a, b] += ended * between[a, b] * coming[b]
        for i in range(size):
            goes_on = emit[t, 1 + size + i] * beta[t, 1 + size + i] / scale[t]
            within_gradient[0, active[i]] += last[1 + i] * within[0, i] * goes_on
            within_gradient[1, active[i]] += last[1 + size + i] * within[1, i] * goes_on
        before, state = gold[t - 1], gold[t]
        if state > facets:
            within_gradient[int(before > facets), state - facets - 1] -= 1
        else:
            between_gradient[before - facets if before > facets else before, state] -= 1
    for a in range(size + 2):
        source = 0 if a == 0 else facets + 1 if a == size + 1 else 1 + active[a - 1]
        between_gradient[source, 0] += total[a, 0]
        for j in range(size):
            between_gradient[source, 1 + active[j]] += total[a, 1 + j]
