"""(product, tag) pairs worth judging, each with what all sources say of it.

Candidates of a product are its highest linear margins, the tags whose names stand in its text, and
what further sources name. One kernel goes from feature rows and hits to a row of `FEATURES` a
pair: every source's score, its rank, how the pair stands against its facet's other candidates, how
far the tag's name was right where it stood in training texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.kernels import kernel
from tagmill.tagging.features import Rows
from tagmill.tagging.linear import DENSE_TAGS, LinearModel, find_highest, sums_of

if TYPE_CHECKING:
    from tagmill.tagging.extraction import Values
    from tagmill.tagging.hits import Hits

__all__ = [
    "FEATURES",
    "MISSING",
    "Candidates",
    "TagStatistics",
    "build_candidates",
    "entries_at",
]

FEATURES: tuple[str, ...] = (
    "linear",  # margin, NO_MARGIN without a linear model of the tag
    "linear_rank",  # 0 is the product's highest margin
    "linear_lead",  # margin less the best other margin of the facet
    "facet_rank",  # rank of the margin within the facet
    "tag_count",  # ln(1 + training examples)
    "hits",  # times a name of the tag stands in the product; 0 if never
    "hit_exact",  # 1 if it is the whole value of the facet's attribute
    "hit_title",  # 1 if it stands in the title
    "hit_start",  # first character of the first hit, FAR without one
    "hit_length",  # characters of the longest hit
    "hit_order",  # among the facet's hits in the product, by place in the text; FAR without one
    "facet_hits",  # tags of the facet with a hit in the product
    "name_precision",  # share of training products with the name that had the tag, smoothed
    "facet_precision",  # the same over all tags of the facet
    "product_hits",  # tags with a hit in the product
    "hit_verbatim",  # 1 if a hit is spelled just like the tag's name
    "hit_before",  # strongest mark between a hit and the word before it, 0 none to 5 the end
    "hit_after",  # the same behind it
)
MISSING = np.float32(-1e9)  # score of a further source that says nothing of a pair
NO_MARGIN = np.float32(-10)
FAR = np.float32(1e6)
_NO_KEYS = np.zeros(0, np.int64)


@dataclass(frozen=True)
class TagStatistics:
    """What the training products tell of each tag, all (m,)."""

    facets: npt.NDArray[np.int32]  # number of the tag's facet
    counts: npt.NDArray[np.int64]  # products it was accepted for
    named: npt.NDArray[np.int64]  # judged products in which a name of it stands
    named_right: npt.NDArray[np.int64]  # of these, products it was accepted for

    @cached_property
    def per_tag(self) -> npt.NDArray[np.float32]:
        """tag_count, name_precision and facet_precision of each tag, (m, 3).

        Precisions are smoothed: a facet's by Laplace towards all, a tag's towards its facet.
        """
        size = int(self.facets.max(initial=-1)) + 1
        right = np.bincount(self.facets, self.named_right, minlength=size)
        named = np.bincount(self.facets, self.named, minlength=size)
        overall = (right.sum() + 1) / (named.sum() + 2)
        by_facet = ((right + 5 * overall) / (named + 5))[self.facets]
        by_tag = (self.named_right + 2 * by_facet) / (self.named + 2)
        return np.stack([np.log1p(self.counts), by_tag, by_facet], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Candidates:
    """(product, tag) pairs ordered by product, with their features."""

    rows: npt.NDArray[np.int32]  # (c,)
    tags: npt.NDArray[np.int32]  # (c,)
    features: npt.NDArray[np.float32]  # (c, len(FEATURES) and two for each further source)

    def __len__(self) -> int:
        return len(self.rows)


def build_candidates(
    rows: Rows,
    linear: LinearModel,
    limit: int,
    hits: Hits,
    statistics: TagStatistics,
    others: Sequence[sparse.csr_array] = (),
    asked: npt.NDArray[np.int64] | None = None,
    values: Values | None = None,
) -> Candidates:
    """The `limit` highest margins of each of n products, and every pair that a hit or another
    source (n, m) names or that is `asked` for (row · m + tag, by row), with their features.

    Each of `others` adds two features behind `FEATURES`: its score (MISSING where it says
    nothing) and the score's rank in the product; `values` add `SPAN_FEATURES` behind these.
    """
    m = len(statistics.counts)
    other_keys = [_pair_keys(other) for other in others]
    wanted = [*other_keys, _NO_KEYS if asked is None else asked]
    wanted += [] if values is None else [values.keys()]
    wanted = [keys for keys in wanted if len(keys)]
    forced = wanted[0] if len(wanted) == 1 else np.unique(np.concatenate([_NO_KEYS, *wanted]))
    title = hits.field_names.index("title") if "title" in hits.field_names else -1
    numbers, tags, features = _find_candidates(
        rows.indptr, rows.indices, rows.values,
        linear.indptr, linear.postings, linear.scale, linear.lowest_bias, limit,
        hits.rows, hits.tags, hits.fields, hits.starts, hits.lengths, hits.exact,
        hits.verbatim, hits.before, hits.after, title, forced,
        statistics.facets, statistics.per_tag,
    )  # fmt: skip
    if not others and values is None:
        return Candidates(numbers, tags, features)
    columns = [features]
    for other, found in zip(others, other_keys, strict=True):
        keys = numbers.astype(np.int64) * m + tags
        order = np.argsort(keys)
        scores = np.full(len(keys), MISSING, np.float32)
        scores[order[np.searchsorted(keys, found, sorter=order)]] = other.data
        columns.append(np.stack([scores, _rank_within(numbers, -scores)], axis=1))
    if values is not None:
        columns.append(values.columns(numbers, tags))
    return Candidates(numbers, tags, np.concatenate(columns, axis=1, dtype=np.float32))


def _pair_keys(scores: sparse.csr_array) -> npt.NDArray[np.int64]:
    """row · m + tag of every entry."""
    rows = np.repeat(np.arange(scores.shape[0], dtype=np.int64), np.diff(scores.indptr))
    return rows * scores.shape[1] + scores.indices


def entries_at(
    matrix: sparse.csr_array, rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]
) -> npt.NDArray[Any]:
    """The entries of a matrix with sorted columns at (rows, columns), 0 where it has none."""
    keys = _pair_keys(matrix)
    wanted = rows.astype(np.int64) * matrix.shape[1] + columns
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    if not len(keys):
        return np.zeros(len(wanted), matrix.dtype)
    return np.where(keys[place] == wanted, matrix.data[place], matrix.dtype.type(0))


def _rank_within(
    groups: npt.NDArray[np.integer], values: npt.NDArray[np.floating]
) -> npt.NDArray[np.int64]:
    """Rank of each value, ascending from 0, among those of its group."""
    order = np.lexsort((values, groups))
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0]) if len(order) else order
    lengths = np.diff(np.r_[starts, len(order)])
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(starts, lengths)
    return rank


@kernel
def _find_candidates(  # type: ignore[no-untyped-def]
    row_indptr, row_indices, row_values, indptr, postings, scale, bias, limit,
    hit_rows, hit_tags, hit_fields, hit_starts, hit_lengths, hit_exact, hit_verbatim, hit_before,
    hit_after, title, forced, facets, per_tag,
):  # fmt: skip
    """Product, tag and features (c, len(FEATURES)) of each candidate, by product.

    `title` is the number of that field, `forced` are row · m + tag, by row.
    """
    size, m = len(row_indptr) - 1, len(bias)
    capacity = size * min(limit, m) + len(hit_tags) + len(forced)
    rows = np.empty(capacity, np.int32)
    tags = np.empty(capacity, np.int32)
    features = np.empty((capacity, 18), np.float32)
    sums = np.zeros(sums_of(m), np.float32)
    sparse = m > DENSE_TAGS
    seen = np.full(m if sparse else 0, -1, np.int64)  # row in which a tag's sum was last begun
    touched = np.empty(len(seen), np.int32)
    best = np.empty(limit, np.int32)
    highest = np.empty(limit, np.float32)
    of_facet = np.empty((facets.max() + 1 if m else 0, 4), np.float32)
    place = np.full(m, -1, np.int64)  # of the tag's pair; of this product if not before `first`
    used, next_hit, next_forced = 0, 0, 0
    for row in range(size):
        first, first_hit = used, next_hit
        found = find_highest(
            row, row_indptr, row_indices, row_values, indptr, postings, scale, bias,
            sums, seen, touched, best, highest,
        )  # fmt: skip
        for i in range(found):
            used = _add(best[i], tags, place, first, used)
        while next_hit < len(hit_rows) and hit_rows[next_hit] == row:
            used = _add(hit_tags[next_hit], tags, place, first, used)
            next_hit += 1
        while next_forced < len(forced) and forced[next_forced] // m == row:
            used = _add(forced[next_forced] % m, tags, place, first, used)
            next_forced += 1
        for i in range(first, used):
            tag = tags[i]
            margin = sums[tag] if not sparse or seen[tag] == row else bias[tag]
            margin = max(margin, NO_MARGIN)
            # Margins of the highest come in order; the few others are put where they belong.
            k = i
            while k > first and features[k - 1, 0] < margin:
                features[k, 0] = features[k - 1, 0]
                tags[k] = tags[k - 1]
                place[tags[k]] = k
                k -= 1
            features[k, 0] = margin
            tags[k] = tag
            place[tag] = k
        own = features[first:used]
        rows[first:used] = row
        for i in range(used - first):
            tag = tags[first + i]
            own[i, 1:] = 0
            own[i, 1] = i
            own[i, 4] = per_tag[tag, 0]
            own[i, 8] = own[i, 10] = FAR
            own[i, 12] = per_tag[tag, 1]
            own[i, 13] = per_tag[tag, 2]
        for j in range(first_hit, next_hit):
            # Fields follow one another: one in the description is behind every one in the title.
            position = hit_starts[j] + 1000 * min(hit_fields[j], 3)
            pair = features[place[hit_tags[j]]]
            pair[5] += 1
            pair[6] = max(pair[6], np.float32(hit_exact[j]))
            pair[7] = max(pair[7], np.float32(hit_fields[j] == title))
            pair[8] = min(pair[8], np.float32(position))
            pair[9] = max(pair[9], np.float32(hit_lengths[j]))
            pair[15] = max(pair[15], np.float32(hit_verbatim[j]))
            pair[16] = max(pair[16], np.float32(hit_before[j]))
            pair[17] = max(pair[17], np.float32(hit_after[j]))
        _compare(own, tags[first:used], facets, of_facet)
    return rows[:used].copy(), tags[:used].copy(), features[:used].copy()


@kernel
def _add(tag, tags, place, first, used):  # type: ignore[no-untyped-def]
    """Make the tag a candidate of the product whose pairs begin at `first`, once."""
    if place[tag] >= first:
        return used
    place[tag] = used
    tags[used] = tag
    return used + 1


@kernel
def _compare(pairs, tags, facets, of_facet):  # type: ignore[no-untyped-def]
    """How each pair of a product, by descending margin, stands against the others of its facet.

    `of_facet` (facets, 4) is scratch: pairs, hits, and the highest two margins of each.
    """
    for tag in tags:
        of_facet[facets[tag]] = 0
    named = 0
    for i in range(len(pairs)):
        facet = of_facet[facets[tags[i]]]
        rank = facet[0]
        pairs[i, 3] = rank
        if rank < 2:
            facet[2 + int(rank)] = pairs[i, 0]
        facet[0] += 1
        if pairs[i, 5] > 0:
            facet[1] += 1
            named += 1
    for i in range(len(pairs)):
        facet = of_facet[facets[tags[i]]]
        rival = NO_MARGIN
        if pairs[i, 3] > 0:
            rival = facet[2]
        elif facet[0] > 1:
            rival = facet[3]
        pairs[i, 2] = pairs[i, 0] - rival
        pairs[i, 11] = facet[1]
        pairs[i, 14] = named
        if pairs[i, 5] == 0:
            continue
        pairs[i, 10] = 0
        for k in range(len(pairs)):
            if pairs[k, 5] > 0 and facets[tags[k]] == facets[tags[i]]:
                before = pairs[k, 8] < pairs[i, 8]
                pairs[i, 10] += before or (pairs[k, 8] == pairs[i, 8] and k < i)
