"""What the other candidates of a product say of a pair: a second look needs them judged once.

A product has about so many tags, a facet has mostly one, and some tags go together. `Together`
keeps which did in training; `look_around` reads it with the first log-odds of all candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.kernels import kernel

__all__ = ["CONTEXT", "Together", "context_of", "look_around"]

CONTEXT: tuple[str, ...] = (
    "product_others",  # sum of the probabilities of the product's other candidates
    "facet_others",  # the same within the facet
    "facet_rival",  # log-odds of the facet's best other candidate, _NO_RIVAL without one
    "together_lift",  # sum over the others of probability · ln(P(tag | other) / P(tag))
    "together_share",  # highest probability · P(tag | other) of the others
)
_NO_RIVAL = np.float32(-12)
_LIKELY = 0.02  # a candidate less probable says nothing of the others
_PAIRS, _FEWEST = 1_000_000, 64  # kept in all, and at least of each tag


@dataclass(frozen=True)
class Together:
    """How often tags were on the same product: tag s with tags[indptr[s]:indptr[s + 1]]."""

    indptr: npt.NDArray[np.int32]  # (m + 1,)
    tags: npt.NDArray[np.int32]  # ascending
    share: npt.NDArray[np.float32]  # P(tag | s), smoothed
    lift: npt.NDArray[np.float32]  # ln(P(tag | s) / P(tag))
    missing: npt.NDArray[np.float32]  # (m,) the lift of a tag that was never with s

    @staticmethod
    def count(labels: sparse.csr_array) -> Together:
        """Out of accepted tags (n, m), entries above 0."""
        accepted = sparse.csr_array((labels > 0).astype(np.float32))
        size, m = accepted.shape
        counts = np.bincount(accepted.indices, minlength=m)
        both = sparse.csr_array(accepted.T @ accepted)
        both.sort_indices()
        owner = np.repeat(np.arange(m), np.diff(both.indptr))
        kept = owner != both.indices
        limit = max(_FEWEST, _PAIRS // max(m, 1))
        sizes = np.bincount(owner[kept], minlength=m)
        if (sizes > limit).any():  # of a tag with many the most frequent
            order = np.lexsort((-both.data, owner))
            place = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order)) - both.indptr[owner]
            kept &= place <= limit
        owner, tags, common = owner[kept], both.indices[kept], both.data[kept]
        prior = counts / max(size, 1)
        share = (common + 2 * prior[tags]) / (counts[owner] + 2)
        # Of a tag whose partners are not all kept, one that is not says nothing.
        missing = np.where(sizes > limit, 0, np.log(2 / (counts + 2)))
        return Together(
            np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=m))]).astype(np.int32),
            tags.astype(np.int32),
            share.astype(np.float32),
            np.log(share / ((counts[tags] + 0.5) / max(size, 1))).astype(np.float32),
            missing.astype(np.float32),
        )

    def moved(self, places: npt.NDArray[np.int64], size: int) -> Together:
        """The same with tag i at places[i] (-1: dropped) of `size` tags."""
        owner = np.repeat(places, np.diff(self.indptr))
        tags = places[self.tags]
        kept = np.flatnonzero((owner >= 0) & (tags >= 0))
        order = kept[np.lexsort((tags[kept], owner[kept]))]
        missing = np.zeros(size, np.float32)
        missing[places[places >= 0]] = self.missing[places >= 0]
        sizes = np.bincount(owner[order], minlength=size)
        return Together(
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
            tags[order].astype(np.int32), self.share[order], self.lift[order], missing,
        )  # fmt: skip


def look_around(
    rows: npt.NDArray[np.int32],
    tags: npt.NDArray[np.int32],
    log_odds: npt.NDArray[np.float32],
    wanted: npt.NDArray[np.bool_],
    facets: npt.NDArray[np.int32],
    together: Together,
) -> npt.NDArray[np.float32]:
    """`CONTEXT` of each `wanted` pair, (wanted, 5): pairs (c,) are ordered by product, `facets`
    (m,) number the facets of tags."""
    found: npt.NDArray[np.float32] = _look_around(
        rows, tags, log_odds, wanted, facets,
        together.indptr, together.tags, together.share, together.lift, together.missing,
    )  # fmt: skip
    return found


@kernel
def _look_around(  # type: ignore[no-untyped-def]
    rows, tags, log_odds, wanted, facets, indptr, partners, share, lift, missing
):
    total = 0
    for i in range(len(rows)):
        total += wanted[i]
    out = np.empty((total, 5), np.float32)
    probability = 1 / (1 + np.exp(-log_odds))
    used = 0
    first = 0
    while first < len(rows):
        last = first
        while last < len(rows) and rows[last] == rows[first]:
            last += 1
        for i in range(first, last):
            if wanted[i]:
                context_of(
                    i, first, last, tags, log_odds, probability, facets,
                    indptr, partners, share, lift, missing, out[used],
                )  # fmt: skip
                used += 1
        first = last
    return out


@kernel
def context_of(  # type: ignore[no-untyped-def]
    i, first, last, tags, log_odds, probability, facets, indptr, partners, share, lift, missing, own
):
    """Fill `own` (5,) with the `CONTEXT` of pair i of the product that has the pairs first:last."""
    own[:] = 0
    own[2] = _NO_RIVAL
    facet = facets[tags[i]]
    for j in range(first, last):
        if j == i:
            continue
        own[0] += probability[j]
        if facets[tags[j]] == facet:
            own[1] += probability[j]
            own[2] = max(own[2], log_odds[j])
        if probability[j] > _LIKELY:
            place = _partner(indptr, partners, tags[j], tags[i])
            if place < 0:
                own[3] += probability[j] * missing[tags[j]]
            else:
                own[3] += probability[j] * lift[place]
                own[4] = max(own[4], probability[j] * share[place])


@kernel
def _partner(indptr, partners, tag, other):  # type: ignore[no-untyped-def]
    """Where `other` stands among the partners of a tag; -1 where it does not.

    Halves are chosen by arithmetic: which one it is cannot be predicted, and a wrong guess costs
    more than a step.
    """
    place, left = np.uint64(indptr[tag]), np.uint64(indptr[tag + 1] - indptr[tag])
    one = np.uint64(1)
    if left == np.uint64(0):
        return -1
    while left > one:
        half = left >> one
        place += half * np.uint64(partners[place + half - one] < other)
        left -= half
    return np.int64(place) if partners[place] == other else -1
