"""The lexicon tagger: names and aliases of tags found in the text of products.

`find` says where each stands, which is the evidence; `score` makes one number of a product's
hits. Names are looked for in folded text; the longest wins, and what only looks like the name
(不含酒精, leather-look, 棉花糖) is left out: see `patterns.py` and `lookalikes.toml`.

The score of a (product, tag) is `1 − Π (1 − w)` over its hits, `w = field × (0.7 + 0.3 ×
min(length, 6) / 6)`: `field` is 0.9 for a whole attribute value of the tag's facet, 0.75 in the
title, 0.65 in the category, 0.6 in another attribute, 0.5 in the description; `length` counts the
characters of the folded match. So it lies in [0, 1), and rises with more and longer hits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tagmill.kernels import kernel
from tagmill.library.vocabulary import Library
from tagmill.records import Scores
from tagmill.tagging.attributes import FULL_LENGTH, Attributes, Search
from tagmill.tagging.hits import Hits
from tagmill.tagging.patterns import ANY_FACET, Patterns
from tagmill.tagging.strings import Texts, attribute_fields

__all__ = ["Hits", "LexiconTagger"]

Ints = npt.NDArray[np.int32]

_TEXT_FIELDS = ("title", "description", "category")
_FIELD_WEIGHTS = {"title": 0.75, "description": 0.5, "category": 0.65}
_ATTRIBUTE_WEIGHT, _EXACT_WEIGHT = 0.6, 0.9


class LexiconTagger:
    """Finds the names of a library's active tags in products.

    Takes the library as it is now: make a new tagger when it has changed. Threads may share it.
    """

    def __init__(self, library: Library) -> None:
        self.tag_ids = np.array([tag.id for tag in library.active()], object)  # (m,)
        self._patterns = Patterns(library)
        self._attributes = Attributes(library)

    def score(self, batch: pa.RecordBatch) -> Scores:
        """Scores in [0, 1) of a batch of `PRODUCT_SCHEMA`; the formula stands in the module."""
        values = self.score_hits(self.find(batch), batch.num_rows)
        ids = np.array(batch.column("id").to_pylist(), object)
        return Scores(ids, self.tag_ids, values)

    def score_hits(self, hits: Hits, products: int) -> sparse.csr_array:
        """The same scores, csr (products, m) float32, of hits already found."""
        weights = np.array(
            [_FIELD_WEIGHTS.get(name, _ATTRIBUTE_WEIGHT) for name in hits.field_names]
        )
        base = np.where(hits.exact, _EXACT_WEIGHT, weights[hits.fields])
        weight = base * (0.7 + 0.3 * np.minimum(hits.lengths, FULL_LENGTH) / FULL_LENGTH)
        shape = (products, len(self.tag_ids))
        doubts = sparse.csr_array((np.log1p(-weight), (hits.rows, hits.tags)), shape=shape)
        doubts.sum_duplicates()
        scores = (-np.expm1(doubts.data)).astype(np.float32)
        return sparse.csr_array((scores, doubts.indices, doubts.indptr), shape=shape)

    def find(self, batch: pa.RecordBatch) -> Hits:
        """Every hit of a batch of `PRODUCT_SCHEMA`."""
        searches = [_text_search(batch)]
        field_names = list(_TEXT_FIELDS)
        whole = np.zeros((0, 9), np.int32)
        attributes = attribute_fields(batch.column("attributes"))
        if attributes:
            numbers = np.arange(len(attributes.labels), dtype=np.int32) + len(field_names)
            field_names += attributes.labels
            more, whole = self._attributes.read(attributes, numbers)
            searches += more
        found = [self._search(search) for search in searches]
        columns = np.concatenate([*found, whole.T], axis=1)
        exact = np.zeros(columns.shape[1], np.bool_)
        exact[columns.shape[1] - len(whole) :] = True
        if len(exact) > 1:
            order = np.lexsort((columns[3], columns[2], columns[0]))
            columns, exact = columns[:, order], exact[order]
        rows, tags, fields, starts, ends, lengths, before, after, verbatim = columns
        return Hits(
            rows, tags, fields, starts, ends, exact, lengths, before.astype(np.int8),
            after.astype(np.int8), verbatim.astype(np.bool_), self.tag_ids, field_names,
        )  # fmt: skip

    def _search(self, search: Search) -> npt.NDArray[np.int32]:
        """(9, k) hits in texts: row, tag, field, start, end, length, before, after, verbatim."""
        found = self._patterns.find(search.texts, search.facets)
        hits: npt.NDArray[np.int32] = _place(found, search.rows, search.fields, search.offsets)
        return hits


@kernel
def _place(found, rows, fields, offsets):  # type: ignore[no-untyped-def]
    """Hits (k, 8) in texts as (9, k) hits in fields of products."""
    out = np.empty((9, len(found)), np.int32)
    for i in range(len(found)):
        text = found[i, 0]
        out[0, i], out[1, i], out[2, i] = rows[text], found[i, 1], fields[text]
        out[3, i] = found[i, 2] + offsets[text]
        out[4, i] = found[i, 3] + offsets[text]
        out[5:, i] = found[i, 4:]
    return out


def _text_search(batch: pa.RecordBatch) -> Search:
    """The titles, descriptions and categories of a batch."""
    size = batch.num_rows
    columns = [batch.column(name) for name in _TEXT_FIELDS]
    present = tuple(i for i, column in enumerate(columns) if column.null_count < size)
    return Search(Texts.of([columns[i] for i in present]), *_layout(size, present))


@lru_cache(maxsize=16)
def _layout(size: int, present: tuple[int, ...]) -> tuple[Ints, ...]:
    """Row, field, offset in it and facet of each text: the same for all batches of a size."""
    count = size * len(present)
    return (
        np.tile(np.arange(size, dtype=np.int32), len(present)),
        np.repeat(np.array(present, np.int32), size),
        np.zeros(count, np.int32),
        np.full(count, ANY_FACET, np.int32),
    )
