"""The texts of products as token sequences with hashed features, for the span extractor.

A product has a sequence for its title, its description and each attribute value. What a token's
features say generalises to names nobody listed: its neighbours, its affixes and shape, its place,
the category, the field, and which names of the library stand there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.kernels import kernel, string_buffers
from tagmill.tagging.features import _character_tables, _hash_whole, _mix
from tagmill.tagging.hits import Hits
from tagmill.tagging.strings import Texts, attribute_fields
from tagmill.tagging.tokens import LETTERS, UNSPACED, tokenize

__all__ = ["Gazetteer", "Sequences"]

_TOKENS_A_TEXT = 256  # of a longer text only so many tokens are read
_FIELDS = ("title", "description")
_FEATURES, _NAMES = 36, 8  # of a token, and of names that stand there, at most
_EDGE = np.uint64(0x5851F42D4C957F2D)  # what stands before and behind a text
_NONE = np.uint64(0)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_PRIME = np.uint64(0x100000001B3)
_FIELD_SEED = np.uint64(0xD6E8FEB86659FD93)
_OFTEN = 3  # examples from which a name is well known


@dataclass(frozen=True)
class Gazetteer:
    """Which names of the library stand in a batch: arrays with one entry a hit, by row."""

    hits: Hits
    facets: npt.NDArray[np.int32]  # (k,) as the extractor numbers them; -1: left out
    examples: npt.NDArray[np.int64]  # (k,) products that have the tag; 0: left out

    @staticmethod
    def of(hits: Hits, facets: npt.NDArray[np.int32], examples: npt.NDArray[np.int64]) -> Gazetteer:
        """Of hits of tags whose facets (m,) and examples (m,) these are."""
        return Gazetteer(hits, facets[hits.tags], examples[hits.tags])


@dataclass(frozen=True)
class Sequences:
    """Token sequences of a batch: sequence i has the tokens first[i]:first[i + 1], token t the
    features hashes[places[t]:places[t + 1]]."""

    rows: npt.NDArray[np.int32]  # (s,) product
    fields: npt.NDArray[np.int32]  # (s,) index into `field_names`
    field_names: list[str]
    texts: Texts  # (s,)
    first: npt.NDArray[np.int64]  # (s + 1,)
    starts: npt.NDArray[np.int32]  # (t,) characters of the text
    ends: npt.NDArray[np.int32]  # (t,)
    places: npt.NDArray[np.int64]  # (t + 1,)
    hashes: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def of(batch: pa.RecordBatch, gazetteer: Gazetteer) -> Sequences:
        """The sequences of a batch of `PRODUCT_SCHEMA`, ordered by product."""
        texts, rows, fields, names, seeds = _texts_of(batch)
        folded, kinds = _character_tables()
        data, starts, ends = string_buffers(batch.column("category"))
        categories = _hash_whole(data, starts, ends, folded, _FIELD_SEED)
        places, spans = _names_by_sequence(gazetteer, rows, fields, names)
        first, token_starts, token_ends, feature_places, hashes = _hash_sequences(
            texts.data, texts.starts, texts.ends, folded, kinds, seeds, categories[rows],
            places, spans, _TOKENS_A_TEXT,
        )  # fmt: skip
        return Sequences(
            rows, fields, names, texts, first, token_starts, token_ends, feature_places, hashes
        )


def _texts_of(
    batch: pa.RecordBatch,
) -> tuple[Texts, npt.NDArray[np.int32], npt.NDArray[np.int32], list[str], npt.NDArray[np.uint64]]:
    """Texts ordered by product, their products and fields, field names, and a hash of each field."""
    size = batch.num_rows
    names = list(_FIELDS)
    columns = [batch.column(name) for name in _FIELDS]
    rows = [np.arange(size, dtype=np.int32)] * len(columns)
    fields = [np.full(size, number, np.int32) for number in range(len(columns))]
    seeds = [np.full(size, number + 1, np.uint64) for number in range(len(columns))]
    attributes = attribute_fields(batch.column("attributes"))
    texts = Texts.of(columns)
    if attributes:
        columns = [*columns, attributes.values]
        everything = Texts.of(columns)
        kept = np.concatenate(
            [np.arange(len(texts.starts)), len(texts.starts) + attributes.entries]
        )
        texts = Texts(everything.data, everything.starts[kept], everything.ends[kept])
        rows.append(attributes.rows)
        fields.append(attributes.fields + np.int32(len(names)))
        names += attributes.labels
        folded, _ = _character_tables()
        keys = string_buffers(pa.array(attributes.dictionary, pa.string()))
        seeds.append(_hash_whole(*keys, folded, _FIELD_SEED)[attributes.names])
    all_rows, all_fields = np.concatenate(rows), np.concatenate(fields)
    filled = texts.ends > texts.starts
    order = np.lexsort((all_fields, all_rows))
    order = order[filled[order]]
    ordered = Texts(texts.data, texts.starts[order], texts.ends[order])
    return ordered, all_rows[order], all_fields[order], names, np.concatenate(seeds)[order]


def _names_by_sequence(
    gazetteer: Gazetteer,
    rows: npt.NDArray[np.int32],
    fields: npt.NDArray[np.int32],
    names: list[str],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Where the names in each sequence begin (s + 1,), and start, end, facet and fame (k, 4)."""
    hits = gazetteer.hits
    number = {name: place for place, name in enumerate(names)}
    numbers = np.array([number.get(name, -1) for name in hits.field_names] or [-1], np.int64)
    field = numbers[hits.fields]
    known = (gazetteer.facets >= 0) & (gazetteer.examples > 0) & (field >= 0)
    wide = len(names) + 1
    keys = (hits.rows.astype(np.int64) * wide + field)[known]
    spans = np.stack(
        [
            hits.starts[known], hits.ends[known], gazetteer.facets[known],
            (gazetteer.examples[known] >= _OFTEN).astype(np.int32),
        ],
        axis=1,
    ).astype(np.int32)  # fmt: skip
    order = np.argsort(keys, kind="stable")
    wanted = rows.astype(np.int64) * wide + fields
    return (
        np.stack(
            [np.searchsorted(keys[order], wanted, side) for side in ("left", "right")], axis=1
        ),
        spans[order],
    )


@kernel
def _hash_sequences(  # type: ignore[no-untyped-def]
    data, starts, ends, folded, kinds, seeds, categories, name_places, names, limit
):
    """First tokens, token starts and ends, where features begin, and the features."""
    size = len(starts)
    room = 0
    for i in range(size):
        room += min(ends[i] - starts[i], limit)
    first = np.zeros(size + 1, np.int64)
    token_starts, token_ends = np.empty(room, np.int32), np.empty(room, np.int32)
    places = np.zeros(room + 1, np.int64)
    hashes = np.empty(room * (_FEATURES + _NAMES), np.uint32)
    out = np.empty(_FEATURES + _NAMES, np.uint64)
    used, count = 0, 0
    for i in range(size):
        tokens = tokenize(data, starts[i], ends[i], folded, kinds, limit)
        spans = names[name_places[i, 0] : name_places[i, 1]]
        for t in range(len(tokens)):
            found = _features(tokens, t, seeds[i], categories[i], out)
            found = _names_at(tokens[t].start, tokens[t].end, spans, out, found)
            for k in range(found):
                hashes[count + k] = np.uint32(out[k] >> np.uint64(32)) | np.uint32(1)
            count += found
            token_starts[used], token_ends[used] = tokens[t].start, tokens[t].end
            used += 1
            places[used] = count
        first[i + 1] = used
    return (
        first, token_starts[:used].copy(), token_ends[:used].copy(), places[: used + 1].copy(),
        hashes[:count].copy(),
    )  # fmt: skip


@numba.njit(nogil=True)
def _two(template, one, other):  # type: ignore[no-untyped-def]
    return _mix(((np.uint64(template) * _MULTIPLIER) ^ one) * _PRIME + other)


@numba.njit(nogil=True)
def _bucket(distance):  # type: ignore[no-untyped-def]
    """Distances in steps: exact up to 3, then coarser."""
    if distance < 4:
        return np.uint64(distance)
    return np.uint64(4 if distance < 6 else 5 if distance < 10 else 6 if distance < 16 else 7)


@numba.njit(nogil=True)
def _features(tokens, t, field, category, out):  # type: ignore[no-untyped-def]
    """Hashes of what surrounds the token t, put into `out`; returns how many."""
    size = len(tokens)
    word, form = tokens[t].word, tokens[t].form
    before = after = before_2 = after_2 = _EDGE
    form_before = form_after = form_before_2 = form_after_2 = _EDGE
    if t > 0:
        before, form_before = tokens[t - 1].word, tokens[t - 1].form
    if t > 1:
        before_2, form_before_2 = tokens[t - 2].word, tokens[t - 2].form
    if t + 1 < size:
        after, form_after = tokens[t + 1].word, tokens[t + 1].form
    if t + 2 < size:
        after_2, form_after_2 = tokens[t + 2].word, tokens[t + 2].form
    place, left = _bucket(t), _bucket(size - 1 - t)
    out[0] = _two(0, field, _NONE)
    out[1] = _two(1, word, _NONE)
    out[2] = _two(2, before, _NONE)
    out[3] = _two(3, after, _NONE)
    out[4] = _two(4, before_2, _NONE)
    out[5] = _two(5, after_2, _NONE)
    out[6] = _two(6, before, word)
    out[7] = _two(7, word, after)
    out[8] = _two(8, before_2, before)
    out[9] = _two(9, after, after_2)
    out[10] = _two(10, before, after)
    out[11] = _two(11, tokens[t].shape, _NONE)
    out[12] = _two(12, form, _NONE)
    out[13] = _two(13, form_before, form)
    out[14] = _two(14, form, form_after)
    out[15] = _two(15, out[13], form_after)
    out[16] = _two(16, form_before_2, form_before)
    out[17] = _two(17, form_after, form_after_2)
    out[18] = _two(18, before, form)
    out[19] = _two(19, form, after)
    out[20] = _two(20, category, _NONE)
    out[21] = _two(21, category, word)
    out[22] = _two(22, category, form)
    out[23] = _two(23, category, before)
    out[24] = _two(24, category, after)
    out[25] = _two(25, category, out[10])
    out[26] = _two(26, category, _two(26, form_before, form_after))
    out[27] = _two(27, category, place)
    out[28] = _two(28, place, field)
    out[29] = _two(29, left, field)
    out[30] = _two(30, place, form)
    if tokens[t].kind == LETTERS:
        out[31] = _two(31, tokens[t].prefix2, _NONE)
        out[32] = _two(32, tokens[t].prefix3, _NONE)
        out[33] = _two(33, tokens[t].suffix2, _NONE)
        out[34] = _two(34, tokens[t].suffix3, _NONE)
        out[35] = _two(35, tokens[t].suffix3, category)
        return 36
    if tokens[t].kind == UNSPACED:
        out[31] = _two(36, out[6], after)
        return 32
    return 31


@numba.njit(nogil=True)
def _names_at(start, end, spans, out, count):  # type: ignore[no-untyped-def]
    """Append which facets' names stand at a token, whether they begin there and are well known."""
    room = count + _NAMES - 1
    for k in range(len(spans)):
        if spans[k, 0] <= start and end <= spans[k, 1] and count < room:
            begins = np.uint64(spans[k, 0] == start)
            facet = np.uint64(spans[k, 2])
            out[count] = _two(40, facet, begins)
            out[count + 1] = _two(41, facet, begins + np.uint64(2 * spans[k, 3]))
            count += 2
    return count
