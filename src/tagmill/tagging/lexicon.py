"""The lexicon tagger: names and aliases of tags found in the text of products.

`find` says where each stands, which is the evidence; `score` makes one number of a product's
hits. Names are found over the folded text by Aho–Corasick; the longest wins, and what only looks
like the name (不含酒精, leather-look, 棉花糖) is left out: see `patterns.py` and `lookalikes.toml`.

The score of a (product, tag) is `1 − Π (1 − w)` over its hits, `w = field × (0.7 + 0.3 ×
min(length, 6) / 6)`: `field` is 0.9 for a whole attribute value of the tag's facet, 0.75 in the
title, 0.65 in the category, 0.6 in another attribute, 0.5 in the description; `length` counts the
characters of the folded match. So it lies in [0, 1), and rises with more and longer hits.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tagmill.library.vocabulary import Library
from tagmill.records import Scores
from tagmill.tagging.hits import Hits, attribute_fields
from tagmill.tagging.lookalikes import lookalikes
from tagmill.tagging.patterns import Found, Patterns
from tagmill.text import fold, normal_form

__all__ = ["Hits", "LexiconTagger"]

_TEXT_FIELDS = ("title", "description", "category")
_FIELD_WEIGHTS = {"title": 0.75, "description": 0.5, "category": 0.65}
_ATTRIBUTE_WEIGHT, _EXACT_WEIGHT = 0.6, 0.9
_FULL_LENGTH = 6
_CHUNK_CHARACTERS = 200_000  # folded at once: bounds the memory, amortises the calls
# Values are separated by these, and by the share of the next one: 60% cotton 40% wool.
_VALUE_PART = re.compile(
    r"[^、,，/／;；|｜+＋\n]+?(?=\s+\d+(?:\.\d+)?\s*[%％]\s*\w|[、,，/／;；|｜+＋\n]|$)"
)
_BLANK = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")
_SHARE = re.compile(
    r"^\s*\d+(?:\.\d+)?\s*[%％]\s*(?:的)?|\s*[:：(（]?\s*\d+(?:\.\d+)?\s*[%％]\s*[)）]?\s*$|\s+\d+\s*$"
)
_REMEMBERED = 100_000  # values of attributes
# (tag, start, end, folded length) of whole values, spans of the rest.
_Value = tuple[list[tuple[int, int, int, int]], list[tuple[int, int]]]
_VERSION = re.compile(r"v?[1-9][0-9.]*", re.I)


@dataclass(slots=True)
class _Texts:
    """Texts to search: of which row and field, for which facet (-1: any), about the product?"""

    texts: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    fields: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)  # of the text in its field
    facets: list[int] = field(default_factory=list)
    foreign: list[bool] = field(default_factory=list)
    characters: int = 0

    def put(
        self,
        text: str,
        row: int,
        column: int,
        offset: int = 0,
        facet: int = -1,
        foreign: bool = False,
    ) -> None:
        self.texts.append(text)
        self.rows.append(row)
        self.fields.append(column)
        self.offsets.append(offset)
        self.facets.append(facet)
        self.foreign.append(foreign)
        self.characters += len(text) + 1


@dataclass(frozen=True, slots=True)
class _Attribute:
    """What the name of an attribute says: a facet (-1: none), tags it names, another product."""

    facet: int
    tags: tuple[int, ...]
    foreign: bool


class LexiconTagger:
    """Finds the names of a library's active tags in products.

    Takes the library as it is now: make a new tagger when it has changed.
    """

    def __init__(self, library: Library) -> None:
        tags = library.active()
        self.tag_ids = np.array([tag.id for tag in tags], object)  # (m,)
        self._rules = lookalikes()
        self._patterns = Patterns(library)
        self._facets: dict[str, int] = {}  # normal form of a facet's name → index
        kinds_seen: dict[str, list[int]] = {}
        for index, (key, facet) in enumerate(library.facets.items()):
            for name in (key, *facet.names.values()):
                self._facets.setdefault(normal_form(name), index)
            kinds_seen.setdefault(self._patterns.kind_of_facet(facet), []).append(index)
        for name, kind in self._rules.kinds.items():
            if len(kinds_seen.get(kind, ())) == 1:  # of several facets of a kind none is meant
                self._facets.setdefault(name, kinds_seen[kind][0])
        self._facets.pop("", None)
        self._values = self._whole_values(library)
        self._named: dict[str, tuple[int, ...]] = {}  # normal form → tags
        for (_, form), found in self._values.items():
            self._named[form] = (*self._named.get(form, ()), *found)
        self._attributes: dict[str, _Attribute] = {}
        self._read: dict[tuple[int, str], _Value] = {}

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
        weight = base * (0.7 + 0.3 * np.minimum(hits.lengths, _FULL_LENGTH) / _FULL_LENGTH)
        shape = (products, len(self.tag_ids))
        doubts = sparse.csr_array((np.log1p(-weight), (hits.rows, hits.tags)), shape=shape)
        doubts.sum_duplicates()
        scores = (-np.expm1(doubts.data)).astype(np.float32)
        return sparse.csr_array((scores, doubts.indices, doubts.indptr), shape=shape)

    def find(self, batch: pa.RecordBatch) -> Hits:
        """Every hit of a batch of `PRODUCT_SCHEMA`."""
        field_names: dict[str, int] = {name: i for i, name in enumerate(_TEXT_FIELDS)}
        found: list[npt.NDArray[np.int32]] = []
        whole: list[tuple[int, ...]] = []
        for texts in self._chunks(batch, field_names, whole):
            found.append(self._search(texts))
        found.append(np.array(whole, np.int32).reshape(-1, 7))
        table = np.concatenate(found)
        table = table[np.lexsort((table[:, 3], table[:, 2], table[:, 0]))]
        rows, tags, fields, starts, ends, exact, lengths = table.T
        return Hits(
            rows,
            tags,
            fields,
            starts,
            ends,
            exact.astype(np.bool_),
            lengths,
            self.tag_ids,
            list(field_names),
        )

    def _whole_values(self, library: Library) -> dict[tuple[int, str], tuple[int, ...]]:
        """(facet, normal form of a name) → tags; also names without the facet's usual ending."""
        index = {key: i for i, key in enumerate(library.facets)}
        full: dict[tuple[int, str], tuple[int, ...]] = {}
        short: dict[tuple[int, str], tuple[int, ...]] = {}
        for position, tag in enumerate(library.active()):
            facet = index[tag.facet]
            forms = {normal_form(name) for name in library.names_of(tag)}
            for form in forms:
                full[facet, form] = (*full.get((facet, form), ()), position)
            stems = {
                form.removesuffix(ending)
                for form in forms
                for ending in self._rules.endings
                if form.endswith(ending) and len(form) > len(ending)
            }
            for stem in stems:
                short[facet, stem] = (*short.get((facet, stem), ()), position)
        unambiguous = {key: found for key, found in short.items() if len(found) == 1}
        return unambiguous | full

    def _chunks(
        self, batch: pa.RecordBatch, field_names: dict[str, int], whole: list[tuple[int, ...]]
    ) -> Iterator[_Texts]:
        """The batch's texts in chunks; hits of whole attribute values go into `whole`."""
        columns = [batch.column(name).to_pylist() for name in _TEXT_FIELDS]
        attributes: list[Sequence[tuple[str, str | None]] | None] = batch.column(
            "attributes"
        ).to_pylist(maps_as_pydicts=None)
        texts = _Texts()
        for row in range(batch.num_rows):
            for column, values in enumerate(columns):
                if text := values[row]:
                    texts.put(text, row, column)
            pairs = [(name, value) for name, value in attributes[row] or () if value]
            for (name, value), (label, _) in zip(pairs, attribute_fields(pairs), strict=True):
                column = field_names.setdefault(label, len(field_names))
                self._read_attribute(name, value, row, column, texts, whole)
            if texts.characters > _CHUNK_CHARACTERS:
                yield texts
                texts = _Texts()
        yield texts

    def _search(self, texts: _Texts) -> npt.NDArray[np.int32]:
        """(k, 7) hits in texts: row, tag, field, start, end, exact, length."""
        found: Found = self._patterns.find(
            texts.texts, np.array(texts.facets, np.int32), np.array(texts.foreign, np.bool_)
        )
        rows, fields, offsets = (
            np.array(column, np.int32)[found.texts]
            for column in (texts.rows, texts.fields, texts.offsets)
        )
        starts, ends = found.starts + offsets, found.ends + offsets
        exact = np.zeros(len(rows), np.int32)
        columns = (rows, found.tags, fields, starts, ends, exact, found.lengths)
        return np.stack(columns, axis=1).astype(np.int32)

    def _read_attribute(
        self,
        name: str,
        value: str,
        row: int,
        column: int,
        texts: _Texts,
        whole: list[tuple[int, ...]],
    ) -> None:
        """Whole values become hits; the rest becomes text to search."""
        attribute = self._attributes.get(name)
        if attribute is None:
            attribute = self._attributes[name] = self._attribute(name)
        if attribute.tags and self._says(value, whole, row, column, attribute.tags):
            return
        if attribute.facet < 0:
            texts.put(value, row, column, foreign=attribute.foreign)
            return
        hits, rest = self._read_value(attribute.facet, value)
        whole.extend((row, tag, column, start, end, True, size) for tag, start, end, size in hits)
        for start, end in rest:
            texts.put(value[start:end], row, column, start, attribute.facet)

    def _read_value(self, facet: int, value: str) -> _Value:
        """(tag, start, end, folded length) of each whole value in a facet's attribute, and the
        spans that remain to be searched."""
        known = self._read.get((facet, value))
        if known:
            return known
        spans = [match.span() for match in _VALUE_PART.finditer(value)]
        if self._of_facet(facet, value):
            spans = [(0, len(value))]  # also a name that holds a separator: 现代/简约
        hits: list[tuple[int, int, int, int]] = []
        rest: list[tuple[int, int]] = []
        for start, end in spans:
            words = [(start, end)]
            if not self._of_facet(facet, value[start:end]):  # 黑色 白色
                edges = [start, *(m.start() for m in _BLANK.finditer(value, start, end)), end]
                words = list(itertools.pairwise(edges))
            for first, last in words:
                part = value[first:last]
                tags = self._of_facet(facet, part)
                if not tags:
                    rest.append((first, last))
                first += len(part) - len(part.lstrip())
                last -= len(part) - len(part.rstrip())
                hits += [(tag, first, last, len(fold(part).text)) for tag in tags]
        if len(self._read) > _REMEMBERED:
            self._read.clear()
        self._read[facet, value] = hits, list(_joined(rest))
        return self._read[facet, value]

    def _says(
        self,
        value: str,
        whole: list[tuple[int, ...]],
        row: int,
        column: int,
        tags: Iterable[int],
    ) -> bool:
        """Whether the value of an attribute named like a tag is an answer; a yes becomes hits."""
        form = normal_form(value)
        if _VERSION.fullmatch(value.strip()) or form in self._rules.yes:
            start = len(value) - len(value.lstrip())
            end = len(value.rstrip())
            whole.extend((row, tag, column, start, end, True, _FULL_LENGTH) for tag in tags)
            return True
        return form in self._rules.no

    def _attribute(self, name: str) -> _Attribute:
        form = normal_form(name)
        facet = self._facets.get(form, -1)
        if facet >= 0:
            return _Attribute(facet, (), False)
        folded = f" {fold(name).text} "
        foreign = any(
            f" {word} " in folded if word.isascii() else word in folded
            for word in self._rules.foreign
        )
        return _Attribute(-1, self._named.get(form, ()), foreign)

    def _of_facet(self, facet: int, part: str) -> tuple[int, ...]:
        """Tags of a facet that the whole of `part` (棉, 100%棉, 棉 60%) names."""
        forms = (normal_form(part), normal_form(_SHARE.sub("", part)))
        named = (self._values.get((facet, form), ()) for form in forms if form)
        return next(filter(None, named), ())


def _joined(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans with only a separator between them as one: a list keeps its negation."""
    current: tuple[int, int] | None = None
    for start, end in spans:
        if current and start - current[1] <= 1:
            current = (current[0], end)
            continue
        if current:
            yield current
        current = (start, end)
    if current:
        yield current
