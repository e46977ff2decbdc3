"""Rows of any source into checked batches of products.

A source cuts itself into chunks, column by column; `ProductChecker` turns a chunk into a batch of
`PRODUCT_SCHEMA` and the rows that are no products, each with its reason. Columns that already have
the right Arrow type stay in Arrow from end to end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tagmill.catalog.columns import Columns
from tagmill.catalog.languages import languages_of
from tagmill.catalog.seen import SeenIds
from tagmill.catalog.tidiness import EMPTY, MARKED, UNEVEN, flaws_of, on_one_line
from tagmill.catalog.values import (
    attributes_of,
    category_of,
    image_of,
    numbers_of,
    tags_of,
    text_of,
)
from tagmill.records import PRODUCT_SCHEMA
from tagmill.text import ELEMENT, ENTITY, plain_line, plain_text

__all__ = [
    "Checked",
    "Chunk",
    "Given",
    "Known",
    "ProductChecker",
    "Reject",
    "Source",
    "chunk_of_batch",
]

# Sequences of Python values, or an Arrow array, of one column.
Values: TypeAlias = Sequence[object] | pa.Array

Known: TypeAlias = Callable[[Iterable[str]], Set[str]]  # those of some ids that are known

_ATTRIBUTES = PRODUCT_SCHEMA.field("attributes").type
_NUMBERS = PRODUCT_SCHEMA.field("numbers").type
_TAGS = PRODUCT_SCHEMA.field("tags").type
_MARKUP = r"<[a-zA-Z/!]|&[#\w]+;"
_UNTIDY_TAG = r"^$|^[\s\p{Z}]|[\s\p{Z}]$|:[\s\p{Z}]|[\s\p{Z}]:|^:|:$|\x00"

_URL = re.compile(r"[a-z][a-z0-9+._]*://", re.I)


def is_url(source: str) -> bool:
    """Whether a source is a database's URL and not a file."""
    return _URL.match(source) is not None


@dataclass(frozen=True)
class Reject:
    """A row that is no product: where it stands, why, what it held, and its id if it tells one."""

    line: int
    reason: str
    row: object
    id: str = ""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a source.

    `columns` holds the values by column name, `lines` where each row stands in the source,
    `row(i)` what a reject shows of row i; `rejects` are rows that could not even be parsed.
    `present` says which of the columns each row has, where not all rows have all.
    """

    columns: Mapping[str, Values]
    lines: Sequence[int]
    row: Callable[[int], object]
    rejects: Sequence[Reject] = ()
    present: Sequence[Set[str]] | None = None

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class Given:
    """What the products of a batch came with: `shapes[codes[i]]` are the fields of product i whose
    columns its source has, and `numbers.price` for a number or attribute with one of its own."""

    shapes: Sequence[frozenset[str]]
    codes: npt.NDArray[np.intp]

    def lacking(self, name: str) -> npt.NDArray[np.bool_]:
        """The products that came without this, as a mask."""
        return np.array([name not in shape for shape in self.shapes], bool)[self.codes]


class Checked(NamedTuple):
    """The products of a chunk, in order; its rejects, by line; what the products came with; and the
    numbers of products that cannot be read, as rejects are told."""

    batch: pa.RecordBatch
    rejects: list[Reject]
    given: Given
    unread: list[Reject]


class Source(Protocol):
    """Where rows come from. `columns` are the names known so far; open-ended ones may grow."""

    name: str  # as messages and rejects show it
    open_ended: bool
    total_hint: int | None  # rows, where cheaply known; blank and broken ones count too

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns."""
        ...

    def chunks(self, columns: Sequence[str], size: int) -> Iterator[Chunk]:
        """All rows from the beginning, at most `size` at a time, with the named columns."""
        ...


def chunk_of_batch(batch: pa.RecordBatch, first: int) -> Chunk:
    """An Arrow batch as a chunk; its first row is row `first` of the source."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    return Chunk(
        columns,
        range(first, first + batch.num_rows),
        lambda i: {name: _shown_scalar(values[i]) for name, values in columns.items()},
    )


class ProductChecker:
    """Turns chunks of one source into batches of products; knows the ids it has seen.

    A product that is `known` elsewhere may come without a title and a description.
    """

    def __init__(self, columns: Columns, known: Known | None = None) -> None:
        self._columns = columns
        self._known = known
        self._seen = SeenIds()

    def check(self, chunk: Chunk) -> Checked:
        """The products of a chunk and its rejects."""
        given = self._given(chunk)
        problems, unread = _Problems(), _Problems()
        values = _FieldValues(chunk, self._columns, problems)
        ids, title = values.texts("id"), values.texts("title")
        description = _described(values.texts("description"))
        if flaws_of(ids):
            ids = _identified(ids)
            problems.add_where(pc.equal(ids, ""), "no id")
        if flaws_of(title := _without_markup(title)) & ~MARKED:
            title = on_one_line(title)
            if flaws_of(title) & EMPTY:
                textless = pc.and_(pc.equal(title, ""), pc.is_null(description))
                textless = self._without_known(np.asarray(textless), ids, given)
                problems.add_where(textless, "no title and no description")
        language = _trimmed(values.texts("language"))
        arrays = [
            ids,
            title,
            description,
            _trimmed(_without_markup(values.texts("category", category_of))),
            values.attributes(),
            _FieldValues(chunk, self._columns, unread).numbers(),
            _trimmed(values.texts("image", image_of)),
            languages_of(language, title, description),
            values.tags(),
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=PRODUCT_SCHEMA)
        texts = ids.to_pylist()
        self._add_repeated(texts, problems)
        rejects, without_number = (
            [Reject(chunk.lines[row], why, chunk.row(row), texts[row]) for row, why in bad.items()]
            for bad in (problems, {row: unread[row] for row in unread.keys() - problems.keys()})
        )
        if problems:
            keep = np.ones(len(chunk), bool)
            keep[list(problems)] = False
            batch = batch.filter(pa.array(keep))
            given = Given(given.shapes, given.codes[keep])
        rejects = sorted([*chunk.rejects, *rejects], key=lambda reject: reject.line)
        return Checked(batch, rejects, given, sorted(without_number, key=lambda one: one.line))

    def _given(self, chunk: Chunk) -> Given:
        """What each row of a chunk came with."""
        if chunk.present is None:
            shape = self._columns.given(chunk.columns.keys())
            return Given([shape], np.zeros(len(chunk), np.intp))
        codes: dict[Set[str], int] = {}
        of_rows = [codes.setdefault(present, len(codes)) for present in chunk.present]
        shapes = [self._columns.given(present) for present in codes]
        return Given(shapes, np.array(of_rows, np.intp))

    def _without_known(
        self, textless: npt.NDArray[np.bool_], ids: pa.StringArray, given: Given
    ) -> npt.NDArray[np.bool_]:
        """Those of the rows whose title is not that of a product which is known."""
        untitled = textless & given.lacking("title")
        if self._known is None or not untitled.any():
            return textless
        texts = ids.to_pylist()
        known = self._known(texts[row] for row in np.flatnonzero(untitled).tolist())
        untitled &= np.array([text in known for text in texts], bool)
        return np.asarray(textless & ~untitled)

    def _add_repeated(self, ids: list[str], problems: _Problems) -> None:
        """Remember the ids of good rows; one that was there before is a problem."""
        good = [i for i in range(len(ids)) if i not in problems] if problems else range(len(ids))
        repeated = self._seen.add([ids[i] for i in good])
        for place in np.flatnonzero(repeated).tolist():
            row = good[place]
            problems.add(row, f"id '{ids[row]}' was there before: the first row counts")


@lru_cache(maxsize=16)
def _nothing(size: int, kind: pa.DataType) -> pa.Array:
    """A column that a source does not have; the same for each of its chunks."""
    return pa.nulls(size, kind)


class _Problems(dict[int, str]):
    """The first thing that is wrong with each bad row of a chunk."""

    def add(self, row: int, reason: str) -> None:
        self.setdefault(row, reason)

    def add_where(self, mask: pa.BooleanArray | npt.NDArray[np.bool_], reason: str) -> None:
        for row in np.flatnonzero(np.asarray(mask)).tolist():
            self.setdefault(row, reason)


class _FieldValues:
    """The fields of a chunk as Arrow arrays, one row a row; what cannot be read is a problem."""

    def __init__(self, chunk: Chunk, columns: Columns, problems: _Problems) -> None:
        self._chunk = chunk
        self._columns = columns
        self._problems = problems

    def texts(
        self, field: str, convert: Callable[[object], str | None] = text_of
    ) -> pa.StringArray:
        """A field of text."""
        values = self._of(field)
        if values is None:
            return _nothing(len(self._chunk), pa.string())
        if isinstance(values, pa.Array):
            if _is_text(values.type) or pa.types.is_integer(values.type):
                return self._cast(values, field)
            values = self._python_values(values, field)
        try:
            return pa.array(values, pa.string())
        except (pa.ArrowException, TypeError, ValueError):  # not all of them are text
            return self._converted(values, pa.string(), convert, f"{field}: ")

    def tags(self) -> pa.ListArray:
        """The tags; those of Arrow lists of tidy text pass through."""
        values = self._of("tags")
        if values is None:
            return _nothing(len(self._chunk), _TAGS)
        if isinstance(values, pa.Array):
            kind = values.type
            listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
            if listed and _is_text(kind.value_type):
                tags = values.cast(_TAGS)
                if _tidy(tags):
                    return tags
            values = self._python_values(values, "tags")
        return self._converted(values, _TAGS, tags_of)

    def attributes(self) -> pa.MapArray:
        """The attributes: those of the column, then the columns mapped to one attribute each."""
        values = self._of("attributes")
        if not self._columns.attributes:
            if values is None:
                return _nothing(len(self._chunk), _ATTRIBUTES)
            if isinstance(values, pa.Array) and (attributes := _as_attributes(values)) is not None:
                return attributes
        return self._named("attributes", self._columns.attributes, _ATTRIBUTES, attributes_of)

    def numbers(self) -> pa.MapArray:
        """The numbers: those of the column, then the columns mapped to one number each."""
        if not self._columns.numbers and self._of("numbers") is None:
            return _nothing(len(self._chunk), _NUMBERS)
        return self._named("numbers", self._columns.numbers, _NUMBERS, numbers_of)

    def _named(
        self,
        field: str,
        columns: Mapping[str, str],
        kind: pa.DataType,
        convert: Callable[[object], Sequence[tuple[str, object]]],
    ) -> pa.MapArray:
        """Pairs of a name and a value: those of the field, then of columns with a name each."""
        values = self._of(field)
        if values is None:
            values = pa.nulls(len(self._chunk))
        rows = self._converted(
            self._python_values(values, field), kind, lambda value: convert(value) or None
        )
        if not columns:
            return rows
        pairs: list[list[tuple[str, object]]] = [list(row or ()) for row in rows.to_pylist()]
        for name, column in columns.items():
            cells = self._python_values(self._column(column), column)
            for i, cell in enumerate(cells):
                try:
                    pairs[i].extend(() if cell is None else convert({name: cell}))
                except ValueError as error:
                    self._problems.add(i, str(error))
        return self._converted(pairs, kind, lambda row: row or None)

    def _of(self, field: str) -> Values | None:
        """The values of a field; None where the chunk has none."""
        column = self._columns.fields.get(field)
        return None if column is None else self._chunk.columns.get(column)

    def _column(self, column: str) -> Values:
        values = self._chunk.columns.get(column)
        return pa.nulls(len(self._chunk)) if values is None else values

    def _cast(self, values: pa.Array, field: str) -> pa.StringArray:
        texts = values.cast(pa.string())
        try:
            texts.validate(full=True)
        except pa.ArrowException:  # files may hold any bytes in a column of text
            raw = texts.cast(pa.binary()).to_pylist()
            return self._converted(raw, pa.string(), _decoded, f"{field}: ")
        return texts

    def _python_values(self, values: Values, field: str) -> Sequence[object]:
        if not isinstance(values, pa.Array):
            return values
        try:
            listed: list[object] = values.to_pylist()
            return listed
        except UnicodeDecodeError:
            return self._converted_scalars(values, field)

    def _converted_scalars(self, values: pa.Array, field: str) -> list[object]:
        found: list[object] = []
        for i, scalar in enumerate(values):
            try:
                found.append(scalar.as_py())
            except UnicodeDecodeError:
                self._problems.add(i, f"{field}: holds bytes that are not UTF-8")
                found.append(None)
        return found

    def _converted(
        self,
        values: Sequence[object],
        kind: pa.DataType,
        convert: Callable[[object], object],
        prefix: str = "",
    ) -> pa.Array:
        """Values one by one; where one cannot be converted it is null and its row a problem."""
        found: list[object] = []
        for i, value in enumerate(values):
            try:
                found.append(None if value is None else convert(value))
            except UnicodeDecodeError:
                self._problems.add(i, f"{prefix}holds bytes that are not UTF-8")
                found.append(None)
            except ValueError as error:
                self._problems.add(i, f"{prefix}{error}")
                found.append(None)
        try:
            return pa.array(found, kind)
        except UnicodeEncodeError:
            return pa.array(self._unbroken(found, kind, prefix), kind)

    def _unbroken(self, found: list[object], kind: pa.DataType, prefix: str) -> list[object]:
        """The same values without those that hold half a character (a lone surrogate)."""
        for i, value in enumerate(found):
            try:
                pa.array([value], kind)
            except UnicodeEncodeError:
                self._problems.add(i, f"{prefix}holds broken characters (wrong encoding)")
                found[i] = None
        return found


def _shown_scalar(scalar: pa.Scalar) -> object:
    """A value as a reject shows it."""
    try:
        value: object = scalar.as_py()
    except UnicodeDecodeError:
        return "(bytes that are not UTF-8)"
    return value


def _decoded(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode()


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or (pa.types.is_dictionary(kind) and _is_text(kind.value_type))
    )


def _identified(texts: pa.StringArray) -> pa.StringArray:
    """Ids without white space at their ends; empty where there is none."""
    texts = pc.replace_substring(pc.fill_null(texts, ""), "\x00", "")
    return pc.utf8_trim_whitespace(texts)


def _trimmed(texts: pa.StringArray) -> pa.StringArray:
    """Texts on one line; null where nothing is left."""
    if texts.null_count == len(texts) or not flaws_of(texts) & ~MARKED:
        return texts
    texts = on_one_line(texts)
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _without_markup(texts: pa.StringArray) -> pa.StringArray:
    """Titles or categories without HTML; those that have none are not touched."""
    if texts.null_count == len(texts) or not flaws_of(texts) & MARKED:
        return texts
    return _replaced(texts, f"{ELEMENT}|{ENTITY}", plain_line)


def _replaced(texts: pa.StringArray, pattern: str, plain: Callable[[str], str]) -> pa.StringArray:
    """Texts, where the pattern stands in one made plain."""
    marked = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    if not pc.any(marked).as_py():
        return texts
    found = [plain(text) for text in texts.filter(marked).to_pylist()]
    return pc.replace_with_mask(texts, marked, pa.array(found, pa.string()))


def _described(texts: pa.StringArray) -> pa.StringArray:
    """Descriptions as plain text; null where nothing is left."""
    if texts.null_count == len(texts) or not (flaws := flaws_of(texts) & ~UNEVEN):
        return texts
    if flaws & MARKED:
        texts = pc.replace_substring(texts, "\x00", " ")
        texts = _replaced(texts, _MARKUP, plain_text)
    texts = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _tidy(tags: pa.ListArray) -> bool:
    """Whether every tag is written as it should be, and none twice for one product."""
    texts = tags.flatten()
    if texts.null_count or pc.any(pc.match_substring_regex(texts, _UNTIDY_TAG)).as_py():
        return False
    codes = texts.dictionary_encode()
    pairs = np.asarray(pc.list_parent_indices(tags), np.int64) * (len(codes.dictionary) + 1)
    return len(np.unique(pairs + np.asarray(codes.indices))) == len(texts)


def _as_attributes(values: pa.Array) -> pa.MapArray | None:
    """Arrow maps of text as they are; None where they are none or a name or value is untidy."""
    kind = values.type
    if not (pa.types.is_map(kind) and _is_text(kind.key_type) and _is_text(kind.item_type)):
        return None
    attributes = values.cast(_ATTRIBUTES)
    return attributes if _full(attributes) else None


def _full(attributes: pa.MapArray) -> bool:
    """Whether no attribute's name or value is empty or has HTML in it."""
    for texts in (attributes.keys, attributes.items):
        untidy = pc.match_substring_regex(texts, rf"^[\s\p{{Z}}]*$|\x00|{ELEMENT}|{ENTITY}")
        if texts.null_count or pc.any(untidy).as_py():
            return False
    return True
