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
from tagmill.tagging.strings import Texts, attribute_fields
from tagmill.tagging.tokens import LETTERS, UNSPACED, tokenize

__all__ = ["NAME", "NO_NAMES", "Names", "OwnNames", "Sequences", "names_table", "texts_of"]

_TOKENS_A_TEXT = 256  # of a longer text only so many tokens are read
_FIELDS = ("title", "description")
_FEATURES, _NAMES = 47, 16  # of a token, and of names that stand there, at most
_LONGEST_NAME = 10  # tokens
_EDGE = np.uint64(0x5851F42D4C957F2D)  # what stands before and behind a text
_NONE = np.uint64(0)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_PRIME = np.uint64(0x100000001B3)
_FIELD_SEED = np.uint64(0xD6E8FEB86659FD93)
_NAME_SEED = np.uint64(0xA0761D6478BD642F)
_HALF = np.uint64(32)
_OFTEN = 3  # products from which a name is well known


# A name of a facet: a hash of its tokens (0: a free place), and products that were given it; of
# facet -1 a single token, and products in whose text it stands. In a hash table with open
# addressing, where a name of two facets has two places.
NAME = np.dtype([("key", np.uint64), ("facet", np.int32), ("products", np.int32)])
Names = npt.NDArray[np.void]  # of NAME, a power of two


@dataclass(frozen=True)
class OwnNames:
    """What products of a batch were given themselves: row i the names indptr[i]:indptr[i + 1].

    Of these, and of each token, one product does not count, so that a label does not tell itself.
    """

    indptr: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    facets: npt.NDArray[np.int32]
    counted: int = 1  # 0: the table's products are others

    @staticmethod
    def none(products: int) -> OwnNames:
        """Of products that the table was not made of."""
        nothing = np.zeros(0, np.uint64), np.zeros(0, np.int32)
        return OwnNames(np.zeros(products + 1, np.int64), *nothing, 0)


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
    words: npt.NDArray[np.uint64]  # (t,) a hash of each token, folded
    places: npt.NDArray[np.int64]  # (t + 1,)
    hashes: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def of(batch: pa.RecordBatch, names: Names, own: OwnNames | None = None) -> Sequences:
        """The sequences of a batch of `PRODUCT_SCHEMA`, ordered by product."""
        texts, rows, fields, field_names, seeds = texts_of(batch)
        own = own or OwnNames.none(batch.num_rows)
        folded, kinds = _character_tables()
        data, starts, ends = string_buffers(batch.column("category"))
        categories = _hash_whole(data, starts, ends, folded, _FIELD_SEED)
        categories = np.where(ends > starts, categories, _NONE)
        arrays = _hash_sequences(
            texts.data, texts.starts, texts.ends, folded, kinds, seeds, categories[rows], names,
            np.stack([own.indptr[rows], own.indptr[rows + 1]], axis=1), own.keys, own.facets,
            own.counted, _TOKENS_A_TEXT,
        )  # fmt: skip
        return Sequences(rows, fields, field_names, texts, *arrays)

    def name_keys(
        self, first: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint64]:
        """A hash of the tokens of each span, as `NAME` has it; 0 for one that is too long."""
        keys: npt.NDArray[np.uint64] = _name_keys(self.words, first, end)
        return keys


NO_NAMES: Names = np.zeros(1, NAME)


def names_table(
    keys: npt.NDArray[np.uint64], facets: npt.NDArray[np.int32], products: npt.NDArray[np.int64]
) -> Names:
    """The table of distinct names."""
    table = np.zeros(1 << (2 * len(keys) + 1).bit_length(), NAME)
    _insert_names(table, keys, facets, products)
    return table


def texts_of(
    batch: pa.RecordBatch,
) -> tuple[Texts, npt.NDArray[np.int32], npt.NDArray[np.int32], list[str], npt.NDArray[np.uint64]]:
    """Texts ordered by product, their products and fields, field names, a hash of each field."""
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


@kernel
def _hash_sequences(  # type: ignore[no-untyped-def]
    data, starts, ends, folded, kinds, seeds, categories, names, own_places, own_keys, own_facets,
    counted, limit,
):  # fmt: skip
    """First tokens; starts, ends and words of tokens; where features begin, and the features."""
    size = len(starts)
    room = 0
    for i in range(size):
        room += min(ends[i] - starts[i], limit)
    first = np.zeros(size + 1, np.int64)
    token_starts, token_ends = np.empty(room, np.int32), np.empty(room, np.int32)
    words = np.empty(room, np.uint64)
    places = np.zeros(room + 1, np.int64)
    hashes = np.empty(room * (_FEATURES + _NAMES), np.uint32)
    out = np.empty(_FEATURES + _NAMES, np.uint64)
    used, count = 0, 0
    for i in range(size):
        tokens = tokenize(data, starts[i], ends[i], folded, kinds, limit)
        own = slice(own_places[i, 0], own_places[i, 1])
        named, counts, known = _names_in(tokens, names, own_keys[own], own_facets[own], counted)
        for t in range(len(tokens)):
            found = _features(tokens, t, seeds[i], categories[i], out)
            found = _rarity(tokens, t, known, categories[i], out, found)
            for k in range(counts[t]):
                out[found] = named[t, k]
                found += 1
            for k in range(found):
                hashes[count + k] = np.uint32(out[k] >> np.uint64(32)) | np.uint32(1)
            count += found
            token_starts[used], token_ends[used] = tokens[t].start, tokens[t].end
            words[used] = tokens[t].word
            used += 1
            places[used] = count
        first[i + 1] = used
    return (
        first, token_starts[:used].copy(), token_ends[:used].copy(), words[:used].copy(),
        places[: used + 1].copy(), hashes[:count].copy(),
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
    """Hashes of what surrounds the token t, put into `out`; returns how many.

    Without a category those crossed with it would say again what the others do.
    """
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
    out[20] = _two(28, place, field)
    out[21] = _two(29, left, field)
    out[22] = _two(30, place, form)
    count = 23
    if tokens[t].kind == LETTERS:
        out[23] = _two(31, tokens[t].prefix2, _NONE)
        out[24] = _two(32, tokens[t].prefix3, _NONE)
        out[25] = _two(33, tokens[t].suffix2, _NONE)
        out[26] = _two(34, tokens[t].suffix3, _NONE)
        count = 27
    elif tokens[t].kind == UNSPACED:
        out[23] = _two(36, out[6], after)
        count = 24
    if category == _NONE:
        return count
    if tokens[t].kind == LETTERS:
        out[count] = _two(35, tokens[t].suffix3, category)
        count += 1
    out[count] = _two(20, category, _NONE)
    out[count + 1] = _two(21, category, word)
    out[count + 2] = _two(22, category, form)
    out[count + 3] = _two(23, category, before)
    out[count + 4] = _two(24, category, after)
    out[count + 5] = _two(25, category, out[10])
    out[count + 6] = _two(26, category, _two(26, form_before, form_after))
    out[count + 7] = _two(27, category, place)
    return count + 8


@numba.njit(nogil=True)
def _rarity(tokens, t, known, category, out, count):  # type: ignore[no-untyped-def]
    """Append how rare the token t and its neighbours are: what was never seen is likely a name."""
    size, form = len(tokens), tokens[t].form
    own = np.uint64(known[t])
    before = np.uint64(known[t - 1]) if t > 0 else _EDGE
    after = np.uint64(known[t + 1]) if t + 1 < size else _EDGE
    place = np.uint64(min(t, 5))
    placed = _two(50, form, place)
    out[count] = _two(51, own, _NONE)
    out[count + 1] = _two(52, own, place)
    out[count + 2] = _two(53, own, form)
    out[count + 3] = _two(55, own, before)
    out[count + 4] = _two(56, own, after)
    out[count + 5] = _two(57, out[count + 3], after)
    out[count + 6] = _two(58, placed, own)
    if category == _NONE:
        return count + 7
    out[count + 7] = _two(54, own, category)
    out[count + 8] = _two(59, placed, category)
    out[count + 9] = _two(60, out[count + 7], place)
    out[count + 10] = _two(61, out[count + 7], form)
    return count + 11


@numba.njit(nogil=True)
def _names_in(tokens, names, own_keys, own_facets, counted):  # type: ignore[no-untyped-def]
    """Hashes of the names that stand at each token (tokens, _NAMES), how many (tokens,), and in
    how many products it stands, in steps (tokens,)."""
    size = len(tokens)
    known = np.zeros(size, np.int64)
    named = np.empty((size, _NAMES), np.uint64)
    counts = np.zeros(size, np.int64)
    mask = len(names) - 1
    for first in range(size if mask else 0):
        key = _NAME_SEED
        for end in range(first + 1, min(first + _LONGEST_NAME, size) + 1):
            key = _longer(key, tokens[end - 1].word)
            place = np.int64(key >> _HALF) & mask
            while names[place].key != 0:
                if names[place].key == key and names[place].facet < 0:
                    known[first] = _steps(names[place].products - counted)
                elif names[place].key == key:
                    products = names[place].products
                    for k in range(len(own_keys)):
                        products -= own_keys[k] == key and own_facets[k] == names[place].facet
                    if products > 0:
                        fame = np.uint64(2 if products >= _OFTEN else 0)
                        facet = np.uint64(names[place].facet)
                        for t in range(first, end):
                            begins = np.uint64(t == first)
                            _note(named, counts, t, _two(40, facet, begins))
                            _note(named, counts, t, _two(41, facet, begins + fame))
                place = (place + 1) & mask
    return named, counts, known


@numba.njit(nogil=True)
def _steps(products):  # type: ignore[no-untyped-def]
    """A number of products in steps."""
    if products < 2:
        return max(products, 0)
    return 2 if products < 4 else 3 if products < 10 else 4 if products < 40 else 5


@numba.njit(nogil=True)
def _note(named, counts, t, name):  # type: ignore[no-untyped-def]
    """Add a name to those at a token, once, where there is room."""
    for k in range(counts[t]):
        if named[t, k] == name:
            return
    if counts[t] < _NAMES:
        named[t, counts[t]] = name
        counts[t] += 1


@numba.njit(nogil=True)
def _longer(key, word):  # type: ignore[no-untyped-def]
    """The hash of a name with one more token."""
    return _mix((key ^ word) * _PRIME) | np.uint64(1)


@kernel
def _name_keys(words, first, end):  # type: ignore[no-untyped-def]
    keys = np.zeros(len(first), np.uint64)
    for i in range(len(first)):
        if end[i] - first[i] <= _LONGEST_NAME:
            key = _NAME_SEED
            for t in range(first[i], end[i]):
                key = _longer(key, words[t])
            keys[i] = key
    return keys


@kernel
def _insert_names(table, keys, facets, products):  # type: ignore[no-untyped-def]
    mask = len(table) - 1
    for i in range(len(keys)):
        place = np.int64(keys[i] >> _HALF) & mask
        while table[place].key != 0:
            place = (place + 1) & mask
        table[place].key, table[place].facet = keys[i], facets[i]
        table[place].products = products[i]
