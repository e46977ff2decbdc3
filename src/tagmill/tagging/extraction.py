"""Values that stand in products' texts, whether the library has them or not.

The extractor finds spans of facets; spans of one product and facet that say the same are one value,
with the probability of its likeliest span. A value that a tag is named like is a source of the
fusion, others are what `proposer.py` makes new names of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.kernels import kernel
from tagmill.tagging.candidates import MISSING
from tagmill.tagging.crf import Crf
from tagmill.tagging.sequences import Sequences, texts_of
from tagmill.tagging.spellings import Spellings

__all__ = ["SPAN_FEATURES", "Values", "log_odds", "read_values", "texts_of_values"]

# What the fusion reads of the values of a product, behind all other sources.
SPAN_FEATURES: tuple[str, ...] = (
    "span",  # log-odds of the value that the tag is named like; MISSING without one
    "span_rival",  # log-odds of the facet's likeliest other value; MISSING without one
)
_LEAST = 0.05  # posterior of a span that is worth a look
_SUREST = 1e-4


@dataclass(frozen=True)
class Values:
    """Values in a batch: arrays with one entry each, by row and facet, the likeliest first."""

    rows: npt.NDArray[np.int32]
    facets: npt.NDArray[np.int32]  # as the extractor numbers them
    tags: npt.NDArray[np.int32]  # index into the model's tag ids; -1: the library has none
    alike: npt.NDArray[np.int32]  # without such a tag one with the same normal form; -1: none
    posterior: npt.NDArray[np.float64]  # of its likeliest span
    spans: npt.NDArray[np.int32]  # how many spans say it
    tokens: npt.NDArray[np.int32]  # of its likeliest span
    fields: npt.NDArray[np.int32]  # index into `field_names`, of that span
    starts: npt.NDArray[np.int32]  # characters of the field's text
    ends: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.int32]  # within row and facet
    rivals: npt.NDArray[np.float64]  # posterior of the facet's likeliest other value; 0: none
    field_names: list[str]
    tag_facets: npt.NDArray[np.int32]  # (m,) facet of each tag; -1: not extracted

    @staticmethod
    def concatenate(parts: Sequence[Values], rows: Sequence[npt.NDArray[np.int64]]) -> Values:
        """Those of several batches as of one, in which batch i has the `rows[i]`."""
        names = list(dict.fromkeys(name for part in parts for name in part.field_names))
        moved = [
            replace(
                part, rows=own[part.rows].astype(np.int32),
                fields=np.array([names.index(n) for n in part.field_names], np.int32)[part.fields],
            )
            for part, own in zip(parts, rows, strict=True)
        ]  # fmt: skip
        joined = {
            name: np.concatenate([getattr(part, name) for part in moved]) for name in _BY_VALUE
        }
        whole = Values(**joined, field_names=names, tag_facets=moved[0].tag_facets)
        return whole._of(np.argsort(whole.rows, kind="stable"))

    def take(self, rows: npt.NDArray[np.int64]) -> Values:
        """Those of some rows, ascending, as of a batch of these alone."""
        numbers = np.searchsorted(rows, self.rows)
        chosen = np.flatnonzero(np.isin(self.rows, rows))
        return replace(self, rows=numbers.astype(np.int32))._of(chosen)

    def _of(self, chosen: npt.NDArray[np.int64]) -> Values:
        return replace(self, **{name: getattr(self, name)[chosen] for name in _BY_VALUE})

    def keys(self) -> npt.NDArray[np.int64]:
        """row · m + tag of the values that a tag is named like or nearly, by row."""
        tags = np.maximum(self.tags, self.alike)
        known = tags >= 0
        return self.rows[known].astype(np.int64) * len(self.tag_facets) + tags[known]

    def columns(
        self, rows: npt.NDArray[np.int32], tags: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """`SPAN_FEATURES` of pairs, (c, 2)."""
        columns = np.full((len(rows), len(SPAN_FEATURES)), MISSING, np.float32)
        _fill_columns(
            columns, self.rows, np.maximum(self.tags, self.alike), self.facets,
            log_odds(self.posterior), np.where(self.rivals > 0, log_odds(self.rivals), MISSING),
            rows, tags, self.tag_facets,
        )  # fmt: skip
        return columns


_OF_BATCH = ("field_names", "tag_facets")
_BY_VALUE = [field.name for field in fields(Values) if field.name not in _OF_BATCH]


def log_odds(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of probabilities, kept within what can be told."""
    clipped = np.clip(probability, _SUREST, 1 - _SUREST)
    odds: npt.NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds


def read_values(crf: Crf, spellings: Spellings, batch: pa.RecordBatch) -> Values:
    """The values in a batch of `PRODUCT_SCHEMA`."""
    sequences = Sequences.of(batch, crf.names)
    found = crf.find(sequences, _LEAST)
    meanings = spellings.meanings(sequences, found)
    rows = sequences.rows[found.sequences]
    best, counts, ranks, rivals = _values_of(
        rows, found.facets, meanings["says"].copy(), found.posterior
    )
    first, end = found.first[best], found.end[best]
    return Values(
        rows[best], found.facets[best], meanings["tag"][best], meanings["alike"][best],
        found.posterior[best], counts, end - first, sequences.fields[found.sequences[best]],
        sequences.starts[first], sequences.ends[end - 1], ranks, rivals, sequences.field_names,
        spellings.facets,
    )  # fmt: skip


def texts_of_values(values: Values, batch: pa.RecordBatch) -> list[str]:
    """The words of values, as they stand in the batch that they were read from."""
    texts, rows, fields, names, _ = texts_of(batch)
    places = rows.astype(np.int64) * len(names) + fields  # ascending
    numbers = np.searchsorted(places, values.rows.astype(np.int64) * len(names) + values.fields)
    words: list[str] = texts.cut(numbers, values.starts, values.ends).to_pylist()
    return words


@kernel
def _values_of(rows, facets, says, posterior):  # type: ignore[no-untyped-def]
    """Of spans by row: the likeliest span of each value, by row, facet and falling posterior; how
    many spans say it; its rank within row and facet; the posterior of the likeliest other one."""
    size = len(rows)
    best, counts = np.empty(size, np.int64), np.zeros(size, np.int32)
    ranks, rivals = np.zeros(size, np.int32), np.zeros(size, np.float64)
    used, i = 0, 0
    while i < size:
        first, row = used, rows[i]
        while i < size and rows[i] == row:
            value = first
            while value < used and not (
                facets[best[value]] == facets[i] and says[best[value]] == says[i]
            ):
                value += 1
            if value == used:
                used += 1
                best[value] = i
            elif posterior[i] > posterior[best[value]]:
                best[value] = i
            counts[value] += 1
            i += 1
        for value in range(first + 1, used):
            span, count = best[value], counts[value]
            place = value
            while place > first and (
                facets[best[place - 1]] > facets[span]
                or (
                    facets[best[place - 1]] == facets[span]
                    and posterior[best[place - 1]] < posterior[span]
                )
            ):
                best[place], counts[place] = best[place - 1], counts[place - 1]
                place -= 1
            best[place], counts[place] = span, count
        for value in range(first, used):
            if value > first and facets[best[value]] == facets[best[value - 1]]:
                ranks[value] = ranks[value - 1] + 1
                likeliest = value - ranks[value]
                rivals[value] = posterior[best[likeliest]]
                if ranks[value] == 1:
                    rivals[likeliest] = posterior[best[value]]
    return best[:used].copy(), counts[:used].copy(), ranks[:used].copy(), rivals[:used].copy()


@kernel
def _fill_columns(  # type: ignore[no-untyped-def]
    columns, value_rows, value_tags, value_facets, odds, rivals, rows, tags, tag_facets
):
    """Fill in `SPAN_FEATURES` of pairs; values are ordered by row, facet and falling posterior."""
    for i in range(len(rows)):
        tag, facet, best = tags[i], tag_facets[tags[i]], True
        for value in range(np.searchsorted(value_rows, rows[i]), len(value_rows)):
            if value_rows[value] != rows[i]:
                break
            if value_facets[value] == facet and best:
                columns[i, 1], best = odds[value], False
            if value_tags[value] == tag:
                columns[i, 0], columns[i, 1] = odds[value], rivals[value]
                break
