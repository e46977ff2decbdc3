"""What the library's structure lets a product have: consistent lists, whatever the scores say.

A facet of one value gives its most probable tag. A facet that is only for some tags is left out
where the product has other tags of their facets and none of these, nor a narrower one. A narrower
tag stands for what it implies: the broader one is left out beside it, unless it is the surer of
the two by its lane.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagmill.kernels import kernel
from tagmill.library.vocabulary import Library
from tagmill.tagging.output import ScoredPairs

__all__ = ["Structure"]

_NO_GATE = -1


class Structure(NamedTuple):
    """The rules of a library as arrays over its active tags (m,) and their facets."""

    facets: npt.NDArray[np.int32]  # (m,) number of each tag's facet
    single: npt.NDArray[np.bool_]  # (facets,) one value a product
    wider_indptr: npt.NDArray[np.int64]  # (m + 1,)
    wider: npt.NDArray[np.int32]  # tags that tag t implies: wider_indptr[t]:wider_indptr[t + 1]
    gates: npt.NDArray[np.int32]  # (facets,) number of the facet's gate; −1: for all products
    opens: npt.NDArray[np.bool_]  # (gates, m) whether a tag opens the gate
    asks: npt.NDArray[np.bool_]  # (gates, facets) whether the gate asks for a tag of the facet

    @staticmethod
    def of(
        library: Library, tag_ids: npt.NDArray[np.object_], facets: npt.NDArray[np.int32]
    ) -> Structure | None:
        """The rules of a library; None where it has none."""
        tags = [library.tags[tag_id] for tag_id in tag_ids]
        place = {tag_id: i for i, tag_id in enumerate(tag_ids)}
        number = {tag.facet: int(facets[i]) for i, tag in enumerate(tags)}
        wider = [[place[w] for w in library.ancestors(t) if w in place] for t in tags]
        single = np.zeros(len(number), np.bool_)
        gates = np.full(len(number), _NO_GATE, np.int32)
        gated: list[set[int]] = []
        for key, index in number.items():
            facet = library.facets[key]
            single[index] = facet.single
            wanted = {t.id for i in facet.only_for if (t := library.by_id(i))} & place.keys()
            if wanted:
                gates[index] = len(gated)
                gated.append({place[tag_id] for tag_id in wanted})
        if not (single.any() or gated or any(wider)):
            return None
        opens = np.zeros((len(gated), len(tags)), np.bool_)
        asks = np.zeros((len(gated), len(number)), np.bool_)
        for gate, wanted_places in enumerate(gated):
            opens[gate] = [i in wanted_places or bool(wanted_places & {*w}) for i, w in
                           enumerate(wider)]  # fmt: skip
            asks[gate, facets[list(wanted_places)]] = True
        indptr = np.concatenate([[0], np.cumsum([len(w) for w in wider])]).astype(np.int64)
        flat = np.array([i for w in wider for i in w], np.int32)
        return Structure(facets, single, indptr, flat, gates, opens, asks)

    def enforce(
        self,
        tags: npt.NDArray[np.int32],
        lanes: npt.NDArray[np.int8],
        chosen: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int32],
        top_k: int,
        *,
        broader: bool,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """What stays of the chosen pairs, product i's chosen[offsets[i]:offsets[i + 1]], and
        where; with `broader` also what narrower tags imply."""
        kept, bounds = _enforce(self, tags, lanes, chosen, offsets, top_k, broader)
        return kept, bounds

    def imply(
        self, pairs: ScoredPairs, lanes: npt.NDArray[np.int8]
    ) -> tuple[ScoredPairs, npt.NDArray[np.int8]]:
        """Pairs and lanes with the broader tags too, each at least as probable as what implies
        it."""
        counts = np.diff(self.wider_indptr)[pairs.tags]
        sources = np.repeat(np.arange(len(pairs.tags)), counts)
        starts = np.repeat(self.wider_indptr[pairs.tags] - (np.cumsum(counts) - counts), counts)
        implied = pairs.take(sources)
        implied.tags[:] = self.wider[starts + np.arange(len(sources))]
        both = ScoredPairs.concatenate([pairs, implied])
        ranks = np.concatenate([lanes, lanes[sources]])
        order = np.lexsort((-both.probability, ranks, both.tags, both.rows))
        keys = both.rows[order].astype(np.int64) * len(self.facets) + both.tags[order]
        first = order[np.flatnonzero(np.diff(keys, prepend=-1))]
        return both.take(first), ranks[first]


@kernel
def _enforce(rules, tags, lanes, chosen, offsets, top_k, broader):  # type: ignore[no-untyped-def]
    kept = np.empty(len(chosen), np.int64)
    bounds = np.zeros(len(offsets), np.int32)
    alive = np.ones(len(chosen), np.bool_)
    used = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        own, own_lanes, stays = tags[chosen[start:end]], lanes[chosen[start:end]], alive[start:end]
        _one_value(rules, own, stays)
        _through_gates(rules, own, own_lanes, stays)
        first = used
        for i in range(end - start):
            implied = not broader and _is_implied(rules, own, own_lanes, stays, i)
            if stays[i] and not implied and used - first < top_k:
                kept[used] = chosen[start + i]
                used += 1
        bounds[row + 1] = used
    return kept[:used].copy(), bounds


@kernel
def _one_value(rules, tags, stays):  # type: ignore[no-untyped-def]
    """Only the first tag of a facet of one value stays."""
    for i in range(len(tags)):
        facet = rules.facets[tags[i]]
        if rules.single[facet]:
            for j in range(i):
                if stays[j] and rules.facets[tags[j]] == facet:
                    stays[i] = False


@kernel
def _through_gates(rules, tags, lanes, stays):  # type: ignore[no-untyped-def]
    """Only tags stay whose facet's gate is open, or asks for what nobody knows of the product."""
    for i in range(len(tags)):
        gate = rules.gates[rules.facets[tags[i]]]
        if gate < 0 or not stays[i]:
            continue
        is_open, is_asked = False, False
        for j in range(len(tags)):
            if stays[j] and lanes[j] <= 1:
                is_open |= rules.opens[gate, tags[j]]
                is_asked |= rules.asks[gate, rules.facets[tags[j]]]
        stays[i] = is_open or not is_asked


@kernel
def _is_implied(rules, tags, lanes, stays, i):  # type: ignore[no-untyped-def]
    """Whether a narrower tag of no worse lane stands beside tag i."""
    for j in range(len(tags)):
        if i != j and stays[j] and lanes[j] <= lanes[i]:
            for k in range(rules.wider_indptr[tags[j]], rules.wider_indptr[tags[j] + 1]):
                if rules.wider[k] == tags[i]:
                    return True
    return False
