"""Where names of tags stand in a batch of products, and the evidence that makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.records import EVIDENCE_TYPE

__all__ = ["Hits", "attribute_fields"]


@dataclass(frozen=True)
class Hits:
    """Where names of tags stand in a batch: arrays with one entry a hit, ordered by row.

    `rows` product in the batch, `tags` index into `tag_ids`, `fields` index into `field_names`
    (`title`, `attributes.颜色` …), `starts`, `ends` character span in that field's original text,
    `exact` the hit is a whole value of the attribute named like the tag's facet (or of one named
    like the tag, whose value says yes), `lengths` characters of the folded match.
    """

    rows: npt.NDArray[np.int32]
    tags: npt.NDArray[np.int32]
    fields: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    exact: npt.NDArray[np.bool_]
    lengths: npt.NDArray[np.int32]
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
        columns: dict[str, list[str | None]] = {}
        attributes: dict[int, dict[str, str]] = {}
        texts: list[str] = []
        names = [self.field_names[column] for column in self.fields[chosen].tolist()]
        spans = (array[chosen].tolist() for array in (self.rows, self.starts, self.ends))
        for name, row, start, end in zip(names, *spans, strict=True):
            if name in batch.schema.names:
                if name not in columns:
                    columns[name] = batch.column(name).to_pylist()
                text = columns[name][row]
            else:
                if row not in attributes:
                    pairs = batch.column("attributes")[row].as_py() or ()
                    attributes[row] = dict(attribute_fields(pairs))
                text = attributes[row].get(name)
            texts.append((text or "")[start:end])
        arrays = [
            pa.array(names, pa.string()),
            pa.array(self.starts[chosen], pa.int32()),
            pa.array(self.ends[chosen], pa.int32()),
            pa.array(texts, pa.string()),
        ]
        return pa.StructArray.from_arrays(arrays, fields=list(EVIDENCE_TYPE))

    def _choose(self, hits: npt.NDArray[np.int64]) -> Hits:
        return replace(self, **{name: getattr(self, name)[hits] for name in _ARRAYS})


_ARRAYS = tuple(f.name for f in fields(Hits))[:7]
_NOTHING = np.zeros(0, np.int32)


def attribute_fields(pairs: Iterable[tuple[str, str | None]]) -> list[tuple[str, str]]:
    """(field name, text) of a product's attributes with a value, in order.

    A field is called `attributes.颜色`, and `attributes.颜色#2` where the name occurs again.
    """
    seen: dict[str, int] = {}
    named: list[tuple[str, str]] = []
    for name, value in pairs:
        if not value:
            continue
        seen[name] = seen.get(name, 0) + 1
        label = f"attributes.{name}" if seen[name] == 1 else f"attributes.{name}#{seen[name]}"
        named.append((label, value))
    return named
