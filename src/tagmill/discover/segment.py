"""A segment of the search index: some products as arrays, which never change once written.

Words are weighted as in BM25F (Zaragoza et al., TREC 2004): one frequency over all fields, each
weighted and normalised by its length. Lengths are compared with fixed ones and not with the
collection's mean, so that an index brought up to date scores exactly as one built anew.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tagmill.discover.quantities import DIMENSIONS, find_quantities
from tagmill.text import parted_pairs, search_words

__all__ = [
    "CERTAIN",
    "FIELDS",
    "JOINED",
    "LAST",
    "LIKELY",
    "PARTED",
    "Document",
    "Segment",
    "SegmentBuilder",
    "hash_texts",
    "merge_segments",
]

CERTAIN = 0.5  # probability from which a tag counts for facets and for what is not wanted
LIKELY = np.float32(0.2)  # from which a product counts as having a tag that was asked for
FIELDS = ("title", "attributes", "description", "generated")  # attributes: with the category
LAST = -np.finfo(float).max  # key of products without the number that is sorted by
JOINED = "\x1f\x1f"  # before a number of a title with the word beside it, as one
PARTED = "\x1f"  # before a pair of characters that a doubtful cut of a title parts
_WEIGHTS = (3.0, 1.5, 1.0, 0.7)
_LENGTHS = (12.0, 12.0, 80.0, 80.0)  # words at which a field counts its weight
_B, _K1 = 0.6, 1.2
_LONGEST = 20_000  # characters of a field that are indexed

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Document:
    """A product as the index takes it; `tags` are (tag id, probability), none twice.

    `quantities` are those that tags say: (dimension, least, most) each, in its base unit;
    `numbers` are (name, value), a name perhaps several times.
    """

    id: str
    texts: tuple[str, str, str, str]  # one for each of FIELDS
    tags: Sequence[tuple[str, float]]
    first_seen: str  # ISO 8601
    quantities: Sequence[tuple[str, float, float]] = ()
    numbers: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class Segment:
    """n products, v words, m tags; row numbers of products are "documents"."""

    id_hashes: Array  # (n,) uint64, ascending
    id_documents: Array  # (n,) int32, beside it
    by_id: Array  # (n,) int32 documents in ascending order of their ids
    first_seen: Array  # (n,) int64 seconds since 1970
    hashes: Array  # (v,) uint64 of the words, ascending
    starts: Array  # (v + 1,) int64 into the two after it
    documents: Array  # int32 that have the word, ascending
    weights: Array  # float32, what the word weighs in them, in (0, 2.2)
    places: Array  # uint8, bit f: the word stands in FIELDS[f]
    tag_starts: Array  # (n + 1,) uint32: tags by product; small, as counting facets waits for them
    tag_certain: Array  # (n,) uint16: how many of them are CERTAIN
    tag_of: Array  # uint16, of more than 65,536 tags uint32, descending probability in a product
    tag_probability: Array  # float32
    by_tag_starts: Array  # (m + 1,) int64: products by tag
    by_tag_documents: Array  # int32 ascending
    by_tag_probability: Array  # float32
    quantity_starts: Array  # (2 · dimensions + 1,) int64: of each the values, then the ranges
    quantity_lows: Array  # float64, base unit, ascending within each
    quantity_highs: Array  # float64, of a value the same
    quantity_documents: Array  # int32
    number_starts: Array  # (k + 1,) int64: numbers by name
    number_values: Array  # float64, ascending within each
    number_documents: Array  # int32
    shown: pa.Table  # (n,) id, title, description
    words: pa.ChunkedArray  # (v,) as `hashes`
    tag_ids: tuple[str, ...]  # (m,)
    number_names: tuple[str, ...]  # (k,)

    @property
    def size(self) -> int:
        """How many products it has, deleted ones too."""
        return len(self.id_hashes)

    @cached_property
    def rank(self) -> Array:
        """(n,) int32: each product's place in the order of ids."""
        rank = np.empty(self.size, np.int32)
        rank[self.by_id] = np.arange(self.size, dtype=np.int32)
        return rank

    def rank_of(self, product_id: str) -> int:
        """How many products have a smaller id."""
        ids = self.shown.column("id")
        return bisect_left(self.by_id, product_id, key=lambda place: ids[int(place)].as_py())

    def postings(self, word_hash: np.uint64) -> slice:
        """Where the products of a word stand."""
        if not len(self.hashes):
            return slice(0, 0)
        place = int(np.searchsorted(self.hashes, word_hash))
        if place == len(self.hashes) or self.hashes[place] != word_hash:
            return slice(0, 0)
        return slice(int(self.starts[place]), int(self.starts[place + 1]))

    def numbers(self, name: str) -> tuple[Array, Array]:
        """(documents, values) of a number, values ascending."""
        if name not in self.number_names:
            return np.zeros(0, np.int32), np.zeros(0)
        place = self.number_names.index(name)
        here = slice(*self.number_starts[place : place + 2].tolist())
        return self.number_documents[here], self.number_values[here]

    def ordered_by(self, name: str, *, descending: bool) -> Array:
        """(n,) float64 keys, the largest first: of several numbers of a name the one that comes
        first counts, and products without any come last."""
        keys = self._orders.get((name, descending))
        if keys is None:
            documents, values = self.numbers(name)
            keys = self._orders[name, descending] = np.full(self.size, LAST)
            order = slice(None) if descending else slice(None, None, -1)
            keys[documents[order]] = values[order] if descending else -values[order]
        return keys

    @cached_property
    def _orders(self) -> dict[tuple[str, bool], Array]:
        return {}

    def words_with(self, part: str, *, at_end: bool) -> list[tuple[int, str]]:
        """(place, word) of the words that end or begin with a text, those PARTED too."""
        found = self._words_with.get((part, at_end))
        if found is None:
            test = pc.ends_with if at_end else pc.starts_with
            there = np.flatnonzero(np.asarray(test(self.words, part)))
            found = [(place, str(self.words[place])) for place in there.tolist()]
            if len(part) == 1:  # of which there are not many, and all words must be looked at
                self._words_with[part, at_end] = found
        return found

    @cached_property
    def _words_with(self) -> dict[tuple[str, bool], list[tuple[int, str]]]:
        return {}

    def find(self, id_hashes: Array) -> Array:
        """The documents of products by the hash of their id; those it has."""
        if not self.size:
            return np.zeros(0, np.int32)
        places = np.minimum(np.searchsorted(self.id_hashes, id_hashes), self.size - 1)
        return np.asarray(self.id_documents[places[self.id_hashes[places] == id_hashes]])

    def save(self, folder: Path) -> None:
        """Write it as a folder of one file an array."""
        folder.mkdir(parents=True)
        for name in _array_names():
            np.save(folder / f"{name}.npy", getattr(self, name))
        for name, table in (("shown", self.shown), ("words", pa.table({"words": self.words}))):
            path = str(folder / f"{name}.arrow")
            with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
        names = {"tags": self.tag_ids, "numbers": self.number_names}
        (folder / "names.json").write_text(json.dumps(names), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Segment:
        """The segment of a folder, memory-mapped."""
        # Copy on write: as the kernels see it the same type as an array in memory.
        arrays: dict[str, Any] = {
            name: np.load(folder / f"{name}.npy", mmap_mode="c").view(np.ndarray)
            for name in _array_names()
        }
        tables = {
            name: pa.ipc.open_file(pa.memory_map(str(folder / f"{name}.arrow"))).read_all()
            for name in ("shown", "words")
        }
        names = json.loads((folder / "names.json").read_text("utf-8"))
        return cls(
            **arrays, shown=tables["shown"], words=tables["words"].column("words"),
            tag_ids=tuple(names["tags"]), number_names=tuple(names["numbers"]),
        )  # fmt: skip


class SegmentBuilder:
    """Collects products, in ascending order of their ids, into a segment."""

    def __init__(self) -> None:
        self._shown: list[pa.Table] = []
        self._words: dict[str, int] = {}
        self._tags: dict[str, int] = {}
        self._size = 0
        self._ids: list[Array] = []
        self._seen: list[Array] = []
        self._postings: list[tuple[Array, Array, Array, Array]] = []
        self._tag_lists: list[tuple[Array, Array, Array]] = []
        self._quantities: list[tuple[Array, Array, Array, Array]] = []
        self._number_names: dict[str, int] = {}
        self._numbers: list[tuple[Array, Array, Array]] = []

    def add(self, documents: Sequence[Document]) -> None:
        """Add products that follow those before."""
        if not documents:
            return
        self._shown.append(
            pa.table(
                {
                    "id": pa.array([d.id for d in documents], pa.large_string()),
                    "title": pa.array([d.texts[0] for d in documents], pa.large_string()),
                    "description": pa.array([d.texts[2] for d in documents], pa.large_string()),
                }
            )
        )
        self._ids.append(hash_texts([d.id for d in documents]))
        seen = np.array([d.first_seen.rstrip("Z") or "1970-01-01" for d in documents])
        self._seen.append(seen.astype("datetime64[s]").astype(np.int64))
        self._add_words(documents)
        self._add_tags(documents)
        self._add_quantities(documents)
        self._add_numbers(documents)
        self._size += len(documents)

    def add_segment(self, segment: Segment, dead: Array) -> None:
        """Add the living products of a segment; their ids need not follow those before."""
        kept = np.flatnonzero(~dead)
        number = np.full(segment.size, -1, np.int64)
        number[kept] = np.arange(len(kept)) + self._size
        self._shown.append(segment.shown.take(pa.array(kept)))
        hashes = np.empty(segment.size, np.uint64)
        hashes[segment.id_documents] = segment.id_hashes
        self._ids.append(hashes[kept])
        self._seen.append(segment.first_seen[kept])
        words = _numbered(self._words, segment.words.to_pylist())
        rows = np.repeat(words, np.diff(segment.starts))
        documents, alive = number[segment.documents], ~dead[segment.documents]
        self._postings.append(
            tuple(a[alive] for a in (rows, documents, segment.weights, segment.places))  # type: ignore[arg-type]
        )
        tags = _numbered(self._tags, segment.tag_ids)
        owners = np.repeat(np.arange(segment.size), np.diff(segment.tag_starts))
        alive = ~dead[owners]
        self._tag_lists.append(
            (
                number[owners[alive]],
                tags[segment.tag_of[alive]],
                segment.tag_probability[alive],
            )
        )
        kinds = np.repeat(np.arange(2 * len(DIMENSIONS)), np.diff(segment.quantity_starts))
        alive = ~dead[segment.quantity_documents]
        self._quantities.append(
            (
                kinds[alive],
                segment.quantity_lows[alive],
                segment.quantity_highs[alive],
                number[segment.quantity_documents[alive]],
            )
        )
        names = _numbered(self._number_names, segment.number_names)
        kinds = np.repeat(names, np.diff(segment.number_starts))
        alive = ~dead[segment.number_documents]
        self._numbers.append(
            (
                kinds[alive],
                segment.number_values[alive],
                number[segment.number_documents[alive]],
            )
        )
        self._size += len(kept)

    def finish(self) -> Segment:
        """The segment."""
        n = self._size
        ids = _joined(self._ids, np.uint64)
        order = np.argsort(ids, kind="stable")
        words = list(self._words)
        hashes = hash_texts(words)
        by_hash = np.argsort(hashes, kind="stable")
        rank = np.empty(len(words), np.int64)
        rank[by_hash] = np.arange(len(words))
        rows, documents, weights, places = (
            _joined([part[i] for part in self._postings], kind)
            for i, kind in enumerate((np.int64, np.int64, np.float32, np.uint8))
        )
        rows = rank[rows] if len(rows) else rows
        sorting = np.argsort(rows * max(n, 1) + documents, kind="stable")
        tag_documents, tags, probability = (
            _joined([part[i] for part in self._tag_lists], kind)
            for i, kind in enumerate((np.int64, np.int64, np.float32))
        )
        by_product = np.lexsort((-probability, tag_documents))
        by_tag = np.lexsort((tag_documents, tags))
        kinds, lows, highs, owners = (
            _joined([part[i] for part in self._quantities], kind)
            for i, kind in enumerate((np.int64, np.float64, np.float64, np.int64))
        )
        by_value = np.lexsort((lows, kinds))
        named, values, havers = (
            _joined([part[i] for part in self._numbers], kind)
            for i, kind in enumerate((np.int64, np.float64, np.int64))
        )
        by_number = np.lexsort((values, named))
        shown = pa.concat_tables(self._shown).combine_chunks() if self._shown else _NOTHING_SHOWN
        return Segment(
            id_hashes=ids[order],
            id_documents=order.astype(np.int32),
            by_id=np.asarray(pc.sort_indices(shown.column("id"))).astype(np.int32),
            first_seen=_joined(self._seen, np.int64),
            hashes=hashes[by_hash],
            starts=_starts(rows, len(words)),
            documents=documents[sorting].astype(np.int32),
            weights=weights[sorting],
            places=places[sorting],
            tag_starts=_starts(tag_documents, n).astype(np.uint32),
            tag_certain=np.bincount(tag_documents[probability >= CERTAIN], minlength=n).astype(
                np.uint16
            ),
            tag_of=tags[by_product].astype(np.uint16 if len(self._tags) <= 1 << 16 else np.uint32),
            tag_probability=probability[by_product],
            by_tag_starts=_starts(tags, len(self._tags)),
            by_tag_documents=tag_documents[by_tag].astype(np.int32),
            by_tag_probability=probability[by_tag],
            quantity_starts=_starts(kinds, 2 * len(DIMENSIONS)),
            quantity_lows=lows[by_value],
            quantity_highs=highs[by_value],
            quantity_documents=owners[by_value].astype(np.int32),
            number_starts=_starts(named, len(self._number_names)),
            number_values=values[by_number],
            number_documents=havers[by_number].astype(np.int32),
            shown=shown,
            words=pa.chunked_array([pa.array([words[i] for i in by_hash], pa.large_string())]),
            tag_ids=tuple(self._tags),
            number_names=tuple(self._number_names),
        )

    def _add_words(self, documents: Sequence[Document]) -> None:
        """Weigh the words of each product over its fields."""
        keys, parts, bits = [], [], []
        for field, (weight, length) in enumerate(zip(_WEIGHTS, _LENGTHS, strict=True)):
            texts = [d.texts[field][:_LONGEST] for d in documents]
            lists = search_words(texts)
            weight_of_one = weight / (1 - _B + _B * np.array(list(map(len, lists))) / length)
            if field == 0:  # pairs do not make a title longer
                pairs = parted_pairs(texts)
                lists = [
                    words + [PARTED + pair for pair in more] + _with_numbers(words)
                    for words, more in zip(lists, pairs, strict=True)
                ]
            sizes = np.fromiter(map(len, lists), np.int64, len(lists))
            words = _numbered(self._words, (word for words in lists for word in words))
            owners = np.repeat(np.arange(len(lists)), sizes)
            keys.append(words << 32 | owners)
            parts.append(weight_of_one[owners])
            bits.append(np.full(len(words), 1 << field, np.uint8))
        key, part, bit = np.concatenate(keys), np.concatenate(parts), np.concatenate(bits)
        if not len(key):
            return
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
        frequency = np.add.reduceat(part[order], first)
        weight_of = frequency * (_K1 + 1) / (frequency + _K1)
        self._postings.append(
            (
                key[first] >> 32,
                (key[first] & 0xFFFFFFFF) + self._size,
                weight_of.astype(np.float32),
                np.bitwise_or.reduceat(bit[order], first),
            )
        )

    def _add_tags(self, documents: Sequence[Document]) -> None:
        sizes = np.fromiter((len(d.tags) for d in documents), np.int64, len(documents))
        pairs = [pair for d in documents for pair in d.tags]
        self._tag_lists.append(
            (
                np.repeat(np.arange(len(documents)) + self._size, sizes),
                _numbered(self._tags, (tag for tag, _ in pairs)),
                np.array([probability for _, probability in pairs], np.float32),
            )
        )

    def _add_numbers(self, documents: Sequence[Document]) -> None:
        rows = np.repeat(
            np.arange(len(documents)) + self._size,
            np.fromiter((len(d.numbers) for d in documents), np.int64, len(documents)),
        )
        pairs = [pair for d in documents for pair in d.numbers]
        names = _numbered(self._number_names, (name for name, _ in pairs))
        self._numbers.append((names, np.array([value for _, value in pairs], np.float64), rows))

    def _add_quantities(self, documents: Sequence[Document]) -> None:
        found: list[tuple[int, float, float, int]] = []
        for row, document in enumerate(documents, self._size):
            said = find_quantities(" ".join(document.texts[:3]))
            for dimension, low, high in dict.fromkeys((*said, *document.quantities)):
                kind = 2 * DIMENSIONS.index(dimension) + (low != high)
                found.append((kind, low, high, row))
        kinds, lows, highs, rows = np.array(found, np.float64).reshape(-1, 4).T
        self._quantities.append((kinds.astype(np.int64), lows, highs, rows.astype(np.int64)))


def merge_segments(segments: Iterable[tuple[Segment, Array]]) -> Segment:
    """The living products of segments, each with what is dead in it, as one segment."""
    builder = SegmentBuilder()
    for segment, dead in segments:
        builder.add_segment(segment, dead)
    return builder.finish()


def _with_numbers(words: Sequence[str]) -> list[str]:
    """The numbers with the words beside them: iphone15, 15pro of iphone 15 pro."""
    return [
        JOINED + left + right
        for left, right in pairwise(words)
        if left.isdecimal() != right.isdecimal()
    ]


def hash_texts(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """64 bits of the BLAKE2b of each text."""
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


_NOTHING_SHOWN = pa.table(
    {name: pa.array([], pa.large_string()) for name in ("id", "title", "description")}
)


def _array_names() -> list[str]:
    others = ("shown", "words", "tag_ids", "number_names")
    return [f.name for f in fields(Segment) if f.name not in others]


def _numbered(numbers: dict[str, int], texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """The number of each text, new ones at the end."""
    found = [numbers.setdefault(text, len(numbers)) for text in texts]
    return np.array(found, np.int64)


def _joined(parts: Sequence[Array], kind: Any) -> Array:  # noqa: ANN401
    return np.concatenate(parts).astype(kind, copy=False) if parts else np.zeros(0, kind)


def _starts(groups: Array, count: int) -> npt.NDArray[np.int64]:
    """Where each of `count` groups begins once sorted, and the end."""
    sizes = np.bincount(groups, minlength=count)
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
