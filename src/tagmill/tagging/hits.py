"""Where names of tags stand in a batch of products, and the evidence that makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.records import EVIDENCE_TYPE
from tagmill.tagging.strings import Texts, attribute_fields

__all__ = ["Hits"]


@dataclass(frozen=True)
class Hits:
    """Where names of tags stand in a batch: arrays with one entry a hit, ordered by row.

    `rows` product in the batch, `tags` index into `tag_ids`, `fields` index into `field_names`
    (`title`, `attributes.颜色` …), `starts`, `ends` character span in that field's original text,
    `exact` the hit is a whole value of the attribute named like the tag's facet (or of one named
    like the tag, whose value says yes), `lengths` characters of the folded match, `before` and
    `after` the strongest mark between it and the next word (`folding.NO_GAP` … `END`), `verbatim`
    it is spelled just like the tag's name.
    """

    rows: npt.NDArray[np.int32]
    tags: npt.NDArray[np.int32]
    fields: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    exact: npt.NDArray[np.bool_]
    lengths: npt.NDArray[np.int32]
    before: npt.NDArray[np.int8]
    after: npt.NDArray[np.int8]
    verbatim: npt.NDArray[np.bool_]
    tag_ids: npt.NDArray[np.object_]
    field_names: list[str]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: npt.NDArray[np.int64]) -> Hits:
        """The hits of some products, which become the rows 0, 1, … in the order given."""
        first = np.searchsorted(self.rows, rows, side="left")
        counts = np.searchsorted(self.rows, rows, side="right") - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        chosen = self._choose(np.repeat(first, counts) + within)
        return replace(chosen, rows=np.repeat(np.arange(len(rows), dtype=np.int32), counts))

    def plus(self, spans: Sequence[tuple[int, int, int, int, int]], field_names: list[str]) -> Hits:
        """The same and further spans (row, tag, field, start, end) that no name stands in.

        `field_names` continue those of these hits.
        """
        rows, tags, numbers, starts, ends = np.array(spans, np.int32).T
        zeros = np.zeros(len(rows), np.int32)
        more = Hits(
            rows, tags, numbers, starts, ends, zeros.astype(np.bool_), ends - starts,
            zeros.astype(np.int8), zeros.astype(np.int8), zeros.astype(np.bool_), self.tag_ids,
            field_names,
        )  # fmt: skip
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in _ARRAYS
        }
        order = np.lexsort((columns["starts"], columns["fields"], columns["rows"]))
        return replace(more, **{name: column[order] for name, column in columns.items()})

    @staticmethod
    def concatenate(parts: Sequence[tuple[Hits, int]]) -> Hits:
        """All hits of several (hits, products) of one tagger, rows counted over all batches."""
        names: dict[str, int] = {}
        shifted: list[Hits] = []
        offset = 0
        for hits, products in parts:
            numbers = [names.setdefault(name, len(names)) for name in hits.field_names]
            shifted.append(
                replace(
                    hits,
                    rows=hits.rows + np.int32(offset),
                    fields=np.array(numbers, np.int32)[hits.fields],
                )
            )
            offset += products
        columns = {
            name: np.concatenate([getattr(part, name) for part in shifted] or [_NOTHING])
            for name in _ARRAYS
        }
        tag_ids = shifted[0].tag_ids if shifted else np.zeros(0, object)
        return Hits(**columns, tag_ids=tag_ids, field_names=list(names))

    def evidence(self, batch: pa.RecordBatch, chosen: npt.NDArray[np.int64]) -> pa.StructArray:
        """The chosen hits (indices) of their batch as an array of `EVIDENCE_TYPE`."""
        if not len(chosen):
            return _NO_EVIDENCE
        columns = (self.rows, self.fields, self.starts, self.ends)
        rows, numbers, starts, ends = (column[chosen] for column in columns)
        names = pa.array(self.field_names, pa.string())
        arrays = [
            names.take(pa.array(numbers)),
            pa.array(starts, pa.int32()),
            pa.array(ends, pa.int32()),
            self._cut(batch, rows, numbers, starts, ends),
        ]
        return pa.StructArray.from_arrays(arrays, fields=_EVIDENCE_FIELDS)

    def _cut(
        self,
        batch: pa.RecordBatch,
        rows: npt.NDArray[np.int32],
        numbers: npt.NDArray[np.int32],
        starts: npt.NDArray[np.int32],
        ends: npt.NDArray[np.int32],
    ) -> pa.StringArray:
        """The texts of spans in fields of the batch, empty where it has no such field."""
        texts = np.full(len(rows), -1, np.int64)  # numbers in `columns`, one after the other
        columns: list[pa.Array] = []
        size = 0
        of_attributes = np.zeros(len(self.field_names), np.bool_)
        for number in np.flatnonzero(np.bincount(numbers)):
            name = self.field_names[number]
            if name not in batch.schema.names:
                of_attributes[number] = True
                continue
            members = numbers == number
            texts[members] = rows[members] + size
            columns.append(batch.column(name))
            size += batch.num_rows
        members = np.flatnonzero(of_attributes[numbers])
        attributes = attribute_fields(batch.column("attributes")) if len(members) else None
        if attributes:
            place = {label: i for i, label in enumerate(attributes.labels)}
            fields = np.array([place.get(name, -1) for name in self.field_names], np.int64)
            wide = len(attributes.labels) + 1
            keys = attributes.rows.astype(np.int64) * wide + attributes.fields
            wanted = rows[members].astype(np.int64) * wide + fields[numbers[members]]
            order = np.argsort(keys, kind="stable")
            at = np.searchsorted(keys[order], wanted, side="right") - 1
            found = order[np.maximum(at, 0)]
            known = (at >= 0) & (keys[found] == wanted) & (fields[numbers[members]] >= 0)
            texts[members] = np.where(known, attributes.entries[found] + size, -1)
            columns.append(attributes.values)
        return Texts.of(columns).cut(texts, starts, ends)

    def _choose(self, hits: npt.NDArray[np.int64]) -> Hits:
        return replace(self, **{name: getattr(self, name)[hits] for name in _ARRAYS})


_ARRAYS = tuple(f.name for f in fields(Hits))[:10]
_NOTHING = np.zeros(0, np.int32)
_NO_EVIDENCE = pa.array([], EVIDENCE_TYPE)
_EVIDENCE_FIELDS = list(EVIDENCE_TYPE)
