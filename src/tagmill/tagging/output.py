"""From scored pairs to the batch that leaves the model: chosen, ordered, named, with evidence."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.errors import SettingsError
from tagmill.library.vocabulary import Library
from tagmill.records import LANES, TAGGED_SCHEMA, name_in
from tagmill.tagging.hits import Hits

__all__ = ["ScoredPairs", "Selection", "TagNames", "check_precision", "tagged_batch"]

_EVIDENCE_PER_TAG = 3


@dataclass(frozen=True)
class Selection:
    """What of a product's candidates leaves the model."""

    top_k: int = 10
    lane: str = "review"  # auto; review: auto and review; all: whatever the probability
    precision: float = 0.95  # promised of the lane auto
    language: str = "product"  # of tag names: a code, or the product's own

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise SettingsError(f"top_k is {self.top_k}; it must be at least 1")
        if self.lane not in ("auto", "review", "all"):
            raise SettingsError(f"Unknown lane '{self.lane}'. Known: auto, review, all")
        check_precision(self.precision)


def check_precision(precision: float) -> None:
    """SettingsError unless the lane auto can promise this precision."""
    if not 0.5 < precision < 1:
        raise SettingsError(
            f"precision is {precision}; it must lie between 0.5 and 1, such as 0.95"
        )


@dataclass(frozen=True)
class ScoredPairs:
    """Candidate pairs of a batch, ordered by product; all arrays (c,)."""

    rows: npt.NDArray[np.int32]  # product, its row in the batch
    tags: npt.NDArray[np.int32]  # index into the model's tag ids
    probability: npt.NDArray[np.float64]  # in [0, 1]
    score: npt.NDArray[np.float64]  # orders pairs of equal probability
    fitted: npt.NDArray[np.bool_]  # calibrated on labelled data; else by the shipped prior

    def shifted(self, offset: int) -> ScoredPairs:
        """The same pairs of a batch whose first product has the number `offset`."""
        return replace(self, rows=self.rows + np.int32(offset))

    @staticmethod
    def concatenate(parts: list[ScoredPairs]) -> ScoredPairs:
        """All pairs of several batches."""
        columns = [tuple(getattr(part, f.name) for f in fields(part)) for part in parts]
        return ScoredPairs(*(np.concatenate(arrays) for arrays in zip(*columns, strict=True)))


class TagNames:
    """Facet and tag names of a library's tags, as arrays (m,) by language."""

    def __init__(self, library: Library, tag_ids: npt.NDArray[np.object_]) -> None:
        self._library = library
        self._tag_ids = tag_ids
        self._cache: dict[str, tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]] = {}

    def of(self, language: str) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
        """(facet names, tag names) in a language, canonical where it has none."""
        if language not in self._cache:
            tags = [self._library.tags[tag_id] for tag_id in self._tag_ids]
            facets = self._library.facets
            facet_names = [name_in(facets[t.facet].names, t.facet, language) for t in tags]
            tag_names = [tag.name_in(language) for tag in tags]
            self._cache[language] = (
                np.array(facet_names, dtype=object),
                np.array(tag_names, dtype=object),
            )
        return self._cache[language]


def tagged_batch(
    names: TagNames,
    tag_ids: npt.NDArray[np.object_],
    batch: pa.RecordBatch,
    hits: Hits,
    pairs: ScoredPairs,
    lanes: npt.NDArray[np.int8],
    selection: Selection,
) -> pa.RecordBatch:
    """The chosen pairs as a batch of `TAGGED_SCHEMA`, descending by probability."""
    chosen = _choose(pairs, lanes, selection)
    rows, tags = pairs.rows[chosen], pairs.tags[chosen]
    facet_names, tag_names = _names(names, batch, rows, tags, selection.language)
    calibration = np.where(pairs.fitted[chosen], "fitted", "prior")
    entries = pa.StructArray.from_arrays(
        [
            pa.array(tag_ids[tags], pa.string()),
            pa.array(facet_names, pa.string()),
            pa.array(tag_names, pa.string()),
            pa.array(pairs.probability[chosen].astype(np.float32)),
            pa.array(calibration, pa.string()),
            pa.array(np.array(LANES)[lanes[chosen]], pa.string()),
            _evidence(batch, hits, rows, tags, len(tag_ids)),
        ],
        fields=list(TAGGED_SCHEMA.field("tags").type.value_type),
    )
    offsets = np.searchsorted(rows, np.arange(batch.num_rows + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), entries).cast(
        TAGGED_SCHEMA.field("tags").type
    )
    return pa.RecordBatch.from_arrays([batch.column("id"), lists], schema=TAGGED_SCHEMA)


def _choose(
    pairs: ScoredPairs, lanes: npt.NDArray[np.int8], selection: Selection
) -> npt.NDArray[np.int64]:
    """Indices of the pairs that stay, by product, then descending."""
    order = np.lexsort((-pairs.score, -pairs.probability, pairs.rows))
    if selection.lane != "all":
        lowest = 0 if selection.lane == "auto" else 1
        order = order[lanes[order] <= lowest]
    rows = pairs.rows[order]
    first = np.searchsorted(rows, rows)  # where the product's pairs begin
    return order[np.arange(len(order)) - first < selection.top_k]


def _names(
    names: TagNames,
    batch: pa.RecordBatch,
    rows: npt.NDArray[np.int32],
    tags: npt.NDArray[np.int32],
    language: str,
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    if language != "product":
        facet_names, tag_names = names.of(language)
        return facet_names[tags], tag_names[tags]
    encoded = batch.column("language").dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(-1))[rows]
    facets, chosen = np.empty(len(tags), object), np.empty(len(tags), object)
    for code in np.unique(codes):
        facet_names, tag_names = names.of(
            encoded.dictionary[int(code)].as_py() if code >= 0 else ""
        )
        members = codes == code
        facets[members], chosen[members] = facet_names[tags[members]], tag_names[tags[members]]
    return facets, chosen


def _evidence(
    batch: pa.RecordBatch,
    hits: Hits,
    rows: npt.NDArray[np.int32],
    tags: npt.NDArray[np.int32],
    m: int,
) -> pa.ListArray:
    """The spans where each chosen pair's names stand, at most three; null where nowhere."""
    hit_keys = hits.rows.astype(np.int64) * m + hits.tags
    order = np.lexsort((hits.starts, hits.fields, hit_keys))
    ordered = hit_keys[order]
    pair_keys = rows.astype(np.int64) * m + tags
    first = np.searchsorted(ordered, pair_keys, side="left")
    found = np.minimum(np.searchsorted(ordered, pair_keys, side="right") - first, _EVIDENCE_PER_TAG)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(found)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], found)
    spans = hits.evidence(batch, order[np.repeat(first, found) + within])
    return pa.ListArray.from_arrays(
        pa.array(offsets.astype(np.int32)), spans, mask=pa.array(found == 0)
    )
