"""The loops of search over posting lists: matching, scoring, filtering and counting facets."""

from __future__ import annotations

import numpy as np

from tagmill.kernels import kernel

__all__ = [
    "add_postings",
    "add_tags",
    "ban_postings",
    "collect",
    "count_facets",
    "count_living",
    "intersect",
    "living_mass",
    "release",
    "unite",
]

_BITS_OF_ONE = int(np.float32(1).view(np.int32))
_LN_OF_BIT = np.log(2) / (1 << 23)


@kernel
def count_living(documents, dead):  # type: ignore[no-untyped-def]
    """How many of a posting list's products are not deleted."""
    living = 0
    for i in range(len(documents)):
        living += not dead[documents[i]]
    return living


@kernel
def living_mass(documents, values, dead):  # type: ignore[no-untyped-def]
    """The sum of a posting list's values over the products that are not deleted.

    In 64 bits sums of a few million 32-bit probabilities are exact, so their order is all one.
    """
    mass = 0.0
    for i in range(len(documents)):
        if not dead[documents[i]]:
            mass += np.float64(values[i])
    return mass


@kernel
def intersect(documents, weights, places, others, other_weights, other_places):  # type: ignore[no-untyped-def]
    """(documents, weights, places) of the products of both lists: weights summed, places in both.

    Where two words stand in different fields, the places of the first.
    """
    size = min(len(documents), len(others))
    both = np.empty(size, np.int32)
    weight = np.empty(size, np.float32)
    place = np.empty(size, np.uint8)
    count = i = j = 0
    while i < len(documents) and j < len(others):
        if documents[i] < others[j]:
            i += 1
        elif documents[i] > others[j]:
            j += 1
        else:
            both[count] = documents[i]
            weight[count] = weights[i] + other_weights[j]
            common = places[i] & other_places[j]
            place[count] = common if common else places[i]
            count += 1
            i += 1
            j += 1
    return both[:count], weight[:count], place[:count]


@kernel
def unite(words, factors, starts, documents, weights, places, weight_of, place_of):  # type: ignore[no-untyped-def]
    """The most that any of some words weighs in each product, times its factor, and all places.

    `weight_of` and `place_of` are filled, zero before, one for each product.
    """
    for k in range(len(words)):
        for i in range(starts[words[k]], starts[words[k] + 1]):
            document = documents[i]
            weight_of[document] = max(weight_of[document], factors[k] * weights[i])
            place_of[document] |= places[i]


@kernel
def add_postings(documents, values, factor, bit, scores, matched, touched, count):  # type: ignore[no-untyped-def]
    """Add factor · value to the scores of a posting list's products, and mark them with a bit.

    Products met for the first time come behind the `count` that `touched` has; the new count.
    """
    for i in range(len(documents)):
        document = documents[i]
        if not matched[document]:
            touched[count] = document
            count += 1
        matched[document] |= bit
        scores[document] += factor * values[i]
    return count


@kernel
def add_tags(  # type: ignore[no-untyped-def]
    documents, probability_bits, least, factor, surplus, bit, scores, matched, touched, count
):
    """The same for a tag of which products have probabilities, given as the bits of their floats:
    factor · (ln p + surplus), where that is above 0, but for those whose p has bits below `least`.

    The bits of a float are its logarithm, but for at most 0.06 (the exponent, and the mantissa as
    a line between two powers of two), and in the same order.
    """
    to_ln = np.float32(_LN_OF_BIT)
    for i in range(len(documents)):
        if probability_bits[i] < least:
            continue
        document = documents[i]
        evidence = np.float32(probability_bits[i] - _BITS_OF_ONE) * to_ln + surplus
        if not matched[document]:
            touched[count] = document
            count += 1
        matched[document] |= bit
        scores[document] += factor * max(np.float32(0), evidence)
    return count


@kernel
def ban_postings(documents, values, least, banned):  # type: ignore[no-untyped-def]
    """Mark the products of a posting list whose value is at least `least` as unwanted."""
    for i in range(len(documents)):
        if values[i] >= least:
            banned[documents[i]] = True


@kernel
def collect(touched, scores, matched, banned, required, wanted, of_all, concepts):  # type: ignore[no-untyped-def]
    """(documents, scores) of the products that match.

    All bits of `required` must be set; of the bits of `wanted`, one for each of `concepts`, all,
    or with not `of_all` one; the score is then scaled by the share of concepts that match.
    """
    hits = np.empty(len(touched), np.int32)
    values = np.empty(len(touched), np.float32)
    count = 0
    for i in range(len(touched)):
        document = touched[i]
        bits = matched[document]
        if banned[document] or bits & required != required:
            continue
        found = bits & wanted
        share = np.float32(1.0)
        if of_all:
            if found != wanted:
                continue
        elif wanted:
            if not found:
                continue
            number = 0
            while found:
                found &= found - np.uint32(1)
                number += 1
            share = np.float32(number / concepts)
        hits[count] = document
        values[count] = scores[document] * share
        count += 1
    return hits[:count], values[:count]


@kernel
def release(touched, scores, matched):  # type: ignore[no-untyped-def]
    """Make the scratch arrays zero again where they were touched."""
    for i in range(len(touched)):
        scores[touched[i]] = 0.0
        matched[touched[i]] = 0


@kernel
def count_facets(hits, starts, sizes, tags, choice_of, group_of, groups):  # type: ignore[no-untyped-def]
    """(kept, counts): which hits satisfy every chosen facet, and the products of each tag.

    Of a product's tags the first `sizes` count. `choice_of` says for a tag that was chosen in which
    group, `group_of` in which group of chosen facets its facet is; both -1 otherwise. A tag of a
    chosen facet counts the products that satisfy all other groups: what would come by choosing it
    as well.
    """
    kept = np.ones(len(hits), np.bool_)
    counts = np.zeros(len(choice_of), np.int32)
    if groups == 0:
        for i in range(len(hits)):
            document = np.uint32(hits[i])
            first = starts[document]
            for j in range(first, first + sizes[document]):
                counts[np.uint32(tags[j])] += 1
        return kept, counts
    everything = np.uint64((1 << groups) - 1)
    for i in range(len(hits)):
        document = np.uint32(hits[i])
        first = starts[document]
        last = first + sizes[document]
        missing = everything
        for j in range(first, last):
            group = choice_of[np.uint32(tags[j])]
            if group >= 0:
                missing &= ~(np.uint64(1) << np.uint64(group))
        kept[i] = missing == 0
        if missing == 0:
            for j in range(first, last):
                counts[np.uint32(tags[j])] += 1
        elif missing & (missing - np.uint64(1)) == 0:  # one group fails: it is counted in that
            for j in range(first, last):
                group = group_of[np.uint32(tags[j])]
                if group >= 0 and missing == np.uint64(1) << np.uint64(group):
                    counts[np.uint32(tags[j])] += 1
    return kept, counts
