"""From scored pairs to the batch that leaves the model: chosen, ordered, named, with evidence."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.errors import SettingsError
from tagmill.kernels import kernel
from tagmill.library.vocabulary import Library
from tagmill.records import LANES, TAGGED_SCHEMA, name_in
from tagmill.tagging.diversity import Diversity
from tagmill.tagging.hits import Hits
from tagmill.tagging.strings import Texts

if TYPE_CHECKING:
    from tagmill.tagging.structure import Structure

__all__ = [
    "ScoredPairs",
    "Selection",
    "TagNames",
    "check_precision",
    "spread_out",
    "tagged_batch",
]

Ints = npt.NDArray[np.int32]

_EVIDENCE_PER_TAG = 3
_ENTRIES = TAGGED_SCHEMA.field("tags").type
_ENTRY_FIELDS = list(_ENTRIES.value_type)
_EVIDENCE = _ENTRIES.value_type.field("evidence").type
_CALIBRATIONS = ("prior", "fitted")  # of a probability
# The lowest lane that leaves the model, an index into LANES.
_LOWEST_LANE = {"auto": 0, "review": 1, "all": len(LANES)}


@dataclass(frozen=True)
class Selection:
    """What of a product's candidates leaves the model."""

    top_k: int = 10
    lane: str = "review"  # auto; review: auto and review; all: whatever the probability
    precision: float = 0.95  # promised of the lane auto
    per_facet: bool = False  # promised of each facet by itself, not of all tags together
    diverse: bool = False  # no tag beside one that leaves no room for it
    broader: bool = False  # also what narrower tags imply
    language: str = "product"  # of tag names: a code, or the product's own

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise SettingsError(f"top_k is {self.top_k}; it must be at least 1")
        if self.lane not in _LOWEST_LANE:
            raise SettingsError(f"Unknown lane '{self.lane}'. Known: {', '.join(_LOWEST_LANE)}")
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

    def take(self, places: npt.NDArray[np.int64]) -> ScoredPairs:
        """Some of the pairs, in the order given."""
        return ScoredPairs(*(getattr(self, f.name)[places] for f in fields(self)))

    def shifted(self, offset: int) -> ScoredPairs:
        """The same pairs of a batch whose first product has the number `offset`."""
        return replace(self, rows=self.rows + np.int32(offset))

    @staticmethod
    def concatenate(parts: list[ScoredPairs]) -> ScoredPairs:
        """All pairs of several batches."""
        columns = [tuple(getattr(part, f.name) for f in fields(part)) for part in parts]
        return ScoredPairs(*(np.concatenate(arrays) for arrays in zip(*columns, strict=True)))


class TagNames:
    """What is written of a library's tags: ids, facet names and tag names, in each language."""

    def __init__(self, library: Library, tag_ids: npt.NDArray[np.object_]) -> None:
        self._library = library
        self._tag_ids = tag_ids
        self._texts: dict[tuple[str, ...], Texts] = {}

    def of(
        self, tags: Ints, languages: tuple[str, ...], places: Ints, fitted: Ints, lanes: Ints
    ) -> list[pa.StringArray]:
        """Id, facet name, name, calibration and lane of tags (c,).

        Names are canonical where a language has none; `places` (c,) says in which of the languages.
        """
        if languages not in self._texts:
            self._texts[languages] = Texts.of(self._columns(languages))
        m, named = len(self._tag_ids), len(self._tag_ids) * len(languages)
        in_language = places * np.int32(m) + tags
        after = np.int32(m + 2 * named)
        numbers = np.stack(
            [tags, in_language + m, in_language + (m + named), fitted + after,
             lanes + (after + np.int32(len(_CALIBRATIONS)))]
        )  # fmt: skip
        return self._texts[languages].take(numbers)

    def _columns(self, languages: tuple[str, ...]) -> list[pa.StringArray]:
        """All that is written, in the order that `of` counts on."""
        tags = [self._library.tags[tag_id] for tag_id in self._tag_ids.tolist()]
        facets = self._library.facets
        names = [tag.name_in(language) for language in languages for tag in tags]
        facet_names = [
            name_in(facets[tag.facet].names, tag.facet, language)
            for language in languages
            for tag in tags
        ]
        parts = (self._tag_ids, facet_names, names, _CALIBRATIONS, LANES)
        return [pa.array(part, pa.string()) for part in parts]


def tagged_batch(
    names: TagNames,
    batch: pa.RecordBatch,
    hits: Hits,
    pairs: ScoredPairs,
    lanes: npt.NDArray[np.int8],
    selection: Selection,
    structure: Structure | None = None,
    diversity: Diversity | None = None,
) -> pa.RecordBatch:
    """The chosen pairs as a batch of `TAGGED_SCHEMA`, descending by probability.

    What the library's `structure` forbids is left out, and with `diversity` a tag that has no
    room beside the more probable ones.
    """
    if structure is not None and selection.broader:
        pairs, lanes = structure.imply(pairs, lanes)
    free = diversity is None and structure is None
    chosen, offsets = _choose(
        pairs.rows, pairs.probability, pairs.score, lanes, batch.num_rows,
        _LOWEST_LANE[selection.lane], selection.top_k if free else len(pairs.rows),
    )  # fmt: skip
    if structure is not None:
        most = selection.top_k if diversity is None else len(pairs.rows)
        chosen, offsets = structure.enforce(
            pairs.tags, lanes, chosen, offsets, most, broader=selection.broader
        )
    if diversity is not None:
        chosen, offsets = spread_out(pairs.tags, chosen, offsets, diversity, selection.top_k)
    rows, tags = pairs.rows[chosen], pairs.tags[chosen]
    languages, places = _languages(batch, rows, selection.language)
    tag_id, facet, name, calibration, lane = names.of(
        tags, languages, places, pairs.fitted[chosen], lanes[chosen]
    )
    entries = pa.StructArray.from_arrays(
        [
            tag_id,
            facet,
            name,
            pa.array(pairs.probability[chosen].astype(np.float32)),
            calibration,
            lane,
            _evidence(batch, hits, rows, tags),
        ],
        fields=_ENTRY_FIELDS,
    )
    lists = pa.ListArray.from_arrays(pa.array(offsets), entries, type=_ENTRIES)
    return pa.RecordBatch.from_arrays([batch.column("id"), lists], schema=TAGGED_SCHEMA)


@kernel
def _choose(rows, probability, score, lanes, size, lowest, top_k):  # type: ignore[no-untyped-def]
    """The pairs that stay, by product, then descending; and where each product's begin."""
    chosen = np.empty(len(rows), np.int64)
    offsets = np.zeros(size + 1, np.int32)
    used, i = 0, 0
    for row in range(size):
        first = used
        while i < len(rows) and rows[i] == row:
            if lanes[i] <= lowest:
                place = used
                while place > first and (
                    probability[chosen[place - 1]] < probability[i]
                    or (
                        probability[chosen[place - 1]] == probability[i]
                        and score[chosen[place - 1]] < score[i]
                    )
                ):
                    chosen[place] = chosen[place - 1]
                    place -= 1
                chosen[place] = i
                used += 1
            i += 1
        used = min(used, first + top_k)
        offsets[row + 1] = used
    return chosen[:used].copy(), offsets


def spread_out(
    tags: npt.NDArray[np.int32],
    chosen: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int32],
    diversity: Diversity,
    top_k: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """What stays of the chosen pairs, product i's chosen[offsets[i]:offsets[i + 1]], and where."""
    kept, bounds = _spread_out(
        tags, chosen, offsets, diversity.facets, diversity.caps, diversity.indptr,
        diversity.redundant, top_k,
    )  # fmt: skip
    return kept, bounds


@kernel
def _spread_out(tags, chosen, offsets, facets, caps, indptr, redundant, top_k):  # type: ignore[no-untyped-def]
    kept = np.empty(len(chosen), np.int64)
    bounds = np.zeros(len(offsets), np.int32)
    used = 0
    for row in range(len(offsets) - 1):
        first = used
        for i in range(offsets[row], offsets[row + 1]):
            tag = tags[chosen[i]]
            room = caps[facets[tag]]
            for j in range(first, used):
                other = tags[kept[j]]
                room -= facets[other] == facets[tag]
                for k in range(indptr[tag], indptr[tag + 1]):
                    if redundant[k] == other:
                        room = 0
            if room > 0 and used - first < top_k:
                kept[used] = chosen[i]
                used += 1
        bounds[row + 1] = used
    return kept[:used].copy(), bounds


def _languages(
    batch: pa.RecordBatch, rows: npt.NDArray[np.int32], language: str
) -> tuple[tuple[str, ...], Ints]:
    """The languages names are written in, and in which of them each chosen pair's are."""
    if language != "product":
        return (language,), np.zeros(len(rows), np.int32)
    of_products = [code or "" for code in batch.column("language").to_pylist()]
    languages = tuple(sorted(set(of_products))) or ("",)
    if len(languages) == 1:
        return languages, np.zeros(len(rows), np.int32)
    places = np.array([languages.index(code) for code in of_products], np.int32)
    return languages, places[rows]


def _evidence(
    batch: pa.RecordBatch,
    hits: Hits,
    rows: npt.NDArray[np.int32],
    tags: npt.NDArray[np.int32],
) -> pa.ListArray:
    """The spans where each chosen pair's names stand, at most three; null where nowhere."""
    chosen, offsets, present, missing = _hits_of_pairs(rows, tags, hits.rows, hits.tags)
    buffers = [pa.py_buffer(present), pa.py_buffer(offsets)]
    spans = hits.evidence(batch, chosen)
    return pa.Array.from_buffers(_EVIDENCE, len(rows), buffers, missing, children=[spans])


@kernel
def _hits_of_pairs(rows, tags, hit_rows, hit_tags):  # type: ignore[no-untyped-def]
    """The first hits of each pair, where each pair's begin, Arrow's bitmap of the pairs that have
    any, and how many have none. Pairs and hits are ordered by row."""
    chosen = np.empty(len(rows) * _EVIDENCE_PER_TAG, np.int64)
    offsets = np.zeros(len(rows) + 1, np.int32)
    present = np.zeros((len(rows) + 7) // 8, np.uint8)
    used, missing, first = 0, 0, 0
    for pair in range(len(rows)):
        while first < len(hit_rows) and hit_rows[first] < rows[pair]:
            first += 1
        i = first
        while i < len(hit_rows) and hit_rows[i] == rows[pair]:
            if hit_tags[i] == tags[pair] and used < offsets[pair] + _EVIDENCE_PER_TAG:
                chosen[used] = i
                used += 1
            i += 1
        offsets[pair + 1] = used
        if used > offsets[pair]:
            present[pair >> 3] |= np.uint8(1 << (pair & 7))
        else:
            missing += 1
    return chosen[:used].copy(), offsets, present, missing
