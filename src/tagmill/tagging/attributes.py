"""What the attributes of products say of tags: whole values, answers, and text to search.

An attribute named like a facet names its tags as whole values, one named like a tag says yes or
no; everything else is text. What a value says is remembered: catalogues repeat themselves.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.forms import name_forms
from tagmill.library.vocabulary import Library
from tagmill.tagging.folding import END
from tagmill.tagging.lookalikes import lookalikes
from tagmill.tagging.names import kind_of_facet
from tagmill.tagging.patterns import ANY_FACET, FOREIGN
from tagmill.tagging.strings import AttributeFields, Texts
from tagmill.text import fold, normal_form

__all__ = ["FULL_LENGTH", "Attributes", "Search"]

Ints = npt.NDArray[np.int32]

FULL_LENGTH = 6  # characters of a match beyond which it tells no more
# Values are separated by these, and by the share of the next one: 60% cotton 40% wool.
_VALUE_PART = re.compile(
    r"[^、,，/／;；|｜+＋\n]+?(?=\s+\d+(?:\.\d+)?\s*[%％]\s*\w|[、,，/／;；|｜+＋\n]|$)"
)
_BLANK = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")
_SHARE = re.compile(
    r"^\s*\d+(?:\.\d+)?\s*[%％]\s*(?:的)?|\s*[:：(（]?\s*\d+(?:\.\d+)?\s*[%％]\s*[)）]?\s*$|\s+\d+\s*$"
)
_REMEMBERED = 100_000  # values
_VERSION = re.compile(r"v?[1-9][0-9.]*", re.I)


@dataclass(frozen=True, slots=True)
class Search:
    """Texts to search: of which row and field, from which character of it, for what."""

    texts: Texts
    rows: Ints
    fields: Ints
    offsets: Ints
    facets: Ints


@dataclass(frozen=True, slots=True)
class _Attribute:
    """What the name of an attribute says: a facet (or what it may name), tags it names."""

    facet: int
    tags: tuple[int, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether its values are text and nothing more."""
        return self.facet < 0 and not self.tags


@dataclass(frozen=True, slots=True)
class _Value:
    """(tag, start, end, folded length) of whole values, and spans of the rest."""

    hits: list[tuple[int, int, int, int]]
    rest: list[tuple[int, int]]


class Attributes:
    """Reads the attributes of products with the facets and tags of a library."""

    def __init__(self, library: Library) -> None:
        self._rules = lookalikes()
        self._all_facets = list(library.facets.values())
        self._facets: dict[str, int] = {}  # normal form of a facet's name → index
        kinds_seen: dict[str, list[int]] = {}
        for index, (key, facet) in enumerate(library.facets.items()):
            for name in (key, *facet.names.values()):
                self._facets.setdefault(normal_form(name), index)
            kinds_seen.setdefault(kind_of_facet(facet), []).append(index)
        for name, kind in self._rules.kinds.items():
            if len(kinds_seen.get(kind, ())) == 1:  # of several facets of a kind none is meant
                self._facets.setdefault(name, kinds_seen[kind][0])
        self._facets.pop("", None)
        self._names = [tag.name for tag in library.active()]
        self._values = self._whole_values(library)
        self._named: dict[str, tuple[int, ...]] = {}  # normal form → tags
        for (_, form), found in self._values.items():
            self._named[form] = (*self._named.get(form, ()), *found)
        self._known: dict[str, _Attribute] = {}
        self._read: dict[tuple[str, str], _Value] = {}

    def read(self, attributes: AttributeFields, fields: Ints) -> tuple[list[Search], Ints]:
        """Texts to search, and hits (k, 9) of whole values: row, tag, field, start, end, length,
        before, after, verbatim; `fields` (labels,) are the numbers of the attributes' fields."""
        known = [self._attribute(name) for name in attributes.dictionary]
        columns = fields[attributes.fields]
        is_text = np.array([attribute.is_text for attribute in known], np.bool_)[attributes.names]
        searches = []
        plain = np.flatnonzero(is_text)
        if len(plain):
            texts = Texts.of([attributes.values])
            entries = attributes.entries[plain]
            facets = np.array([attribute.facet for attribute in known], np.int32)
            searches.append(
                Search(
                    Texts(texts.data, texts.starts[entries], texts.ends[entries]),
                    attributes.rows[plain],
                    columns[plain],
                    np.zeros(len(plain), np.int32),
                    facets[attributes.names[plain]],
                )
            )
        whole: list[int] = []
        parts: list[str] = []
        origins: list[tuple[int, int, int, int]] = []
        special = np.flatnonzero(~is_text)
        values = attributes.values.take(pa.array(attributes.entries[special])).to_pylist()
        chosen = (array[special].tolist() for array in (attributes.rows, columns, attributes.names))
        for value, row, column, name in zip(values, *chosen, strict=True):
            attribute = known[name]
            read = self._read_value(attributes.dictionary[name], attribute, value)
            for tag, start, end, length in read.hits:
                verbatim = value[start:end] == self._names[tag]
                whole += (row, tag, column, start, end, length, END, END, verbatim)
            for start, end in read.rest:
                parts.append(value[start:end])
                origins.append((row, column, start, attribute.facet))
        if parts:
            texts = Texts.of([pa.array(parts, pa.string())])
            searches.append(Search(texts, *np.array(origins, np.int32).T.copy()))
        return searches, np.array(whole, np.int32).reshape(-1, 9)

    def _whole_values(self, library: Library) -> dict[tuple[int, str], tuple[int, ...]]:
        """(facet, normal form of a name) → tags; also names without the facet's usual ending."""
        index = {key: i for i, key in enumerate(library.facets)}
        full: dict[tuple[int, str], tuple[int, ...]] = {}
        short: dict[tuple[int, str], tuple[int, ...]] = {}
        for position, tag in enumerate(library.active()):
            facet = index[tag.facet]
            forms = {f for name in library.names_of(tag) for f in library.forms(tag.facet, name)}
            for form in forms:
                full[facet, form] = (*full.get((facet, form), ()), position)
            stems = {
                form.removesuffix(ending)
                for form in map(normal_form, library.names_of(tag))
                for ending in self._rules.endings
                if form.endswith(ending) and len(form) > len(ending)
            }
            for stem in stems:
                short[facet, stem] = (*short.get((facet, stem), ()), position)
        unambiguous = {key: found for key, found in short.items() if len(found) == 1}
        return unambiguous | full

    def _attribute(self, name: str) -> _Attribute:
        known = self._known.get(name)
        if known is None:
            form = normal_form(name)
            facet = self._facets.get(form, -1)
            if facet >= 0:
                known = _Attribute(facet)
            else:
                folded = f" {fold(name).text} "
                foreign = any(
                    f" {word} " in folded if word.isascii() else word in folded
                    for word in self._rules.foreign
                )
                known = _Attribute(FOREIGN if foreign else ANY_FACET, self._named.get(form, ()))
            self._known[name] = known
        return known

    def _read_value(self, name: str, attribute: _Attribute, value: str) -> _Value:
        known = self._read.get((name, value))
        if known is None:
            if attribute.tags:
                known = self._read_answer(attribute.tags, value)
            else:
                known = self._read_facet(attribute.facet, value)
            if len(self._read) > _REMEMBERED:
                self._read.clear()
            self._read[name, value] = known
        return known

    def _read_answer(self, tags: tuple[int, ...], value: str) -> _Value:
        """An attribute named like a tag: a yes becomes hits, what is no answer is text."""
        form = normal_form(value)
        if _VERSION.fullmatch(value.strip()) or form in self._rules.yes:
            start, end = len(value) - len(value.lstrip()), len(value.rstrip())
            return _Value([(tag, start, end, FULL_LENGTH) for tag in tags], [])
        return _Value([], [] if form in self._rules.no else [(0, len(value))])

    def _read_facet(self, facet: int, value: str) -> _Value:
        """An attribute named like a facet: its whole values, and what remains to be searched."""
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
        return _Value(hits, list(_joined(rest)))

    def _of_facet(self, facet: int, part: str) -> tuple[int, ...]:
        """Tags of a facet that the whole of `part` (棉, 100%棉, 棉 60%) names."""
        known = self._all_facets[facet] if facet >= 0 else None
        forms = (*name_forms(part, known), normal_form(_SHARE.sub("", part)))
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
