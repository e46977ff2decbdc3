"""A library as a CSV file, for spreadsheets and other systems.

Columns: `facet`, `name` and, where wanted, `id`, `aliases` (separated by `|`; `\\|` is a bar in a
name), `description`, `status`, `merged_into` (an id), `broader`, `split_into` (ids, or written
tags, separated by `|`), `matches` (URIs), and for each language `name_en`, `facet_en` …
Headers may be Chinese too: 维度, 名称, 别名 … (`_CHINESE`), 英文名称 for `name_en`.
A row without a name only declares a facet: its names and `matches`, and `single` (yes: one value a
product), `only_for` (tags), `value_kind` (text, number, range), `unit`.
"""

from __future__ import annotations

import csv
import io
import re
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import TextIO, TypedDict, get_args

from tagmill.errors import LibraryError
from tagmill.library.names import language_code
from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag, TagStatus, ValueKind, parse_tag_cell, tag_id

__all__ = ["parse_csv", "read_csv", "row_digest", "stream_csv", "write_csv"]

_TAG_COLUMNS = (
    "id", "facet", "name", "aliases", "description", "status", "merged_into", "broader",
    "split_into", "matches",
)  # fmt: skip
_FACET_COLUMNS = ("single", "only_for", "value_kind", "unit")
_COLUMNS = (*_TAG_COLUMNS, *_FACET_COLUMNS)
_CHINESE = {  # headers that merchandisers write
    "编号": "id", "维度": "facet", "名称": "name", "别名": "aliases", "说明": "description",
    "状态": "status", "并入": "merged_into", "上级": "broader", "拆成": "split_into",
    "外部对应": "matches", "单值": "single", "仅适用于": "only_for", "取值": "value_kind",
    "单位": "unit", "中文名称": "name_zh", "英文名称": "name_en", "维度中文名称": "facet_zh",
    "维度英文名称": "facet_en",
}  # fmt: skip
_OPTIONAL = ("broader", "split_into", "matches", *_FACET_COLUMNS)  # written where used
_LANGUAGE_COLUMN = re.compile(r"(name|facet)_(.+)")
_STATUSES: dict[str, TagStatus] = {status: status for status in get_args(TagStatus)}
_VALUE_KINDS: tuple[ValueKind, ...] = get_args(ValueKind)
_YES, _NO = ("yes", "true", "1", "是"), ("", "no", "false", "0", "否")
_SHOWN_PROBLEMS = 5
_PIECE = 1 << 20  # bytes


class _RowError(Exception):
    """What is wrong with one row."""


def read_csv(path: Path | str) -> tuple[list[Tag], list[Facet]]:
    """Tags and facets of a CSV file (UTF-8 or GB18030; comma, semicolon or tab).

    A tag without an id gets the one minted from its facet and name. Raises LibraryError that
    names the file, and the lines of rows that cannot be read.
    """
    rows = _Rows(_opened(path), str(path))
    return list(rows.tags()), rows.found_facets()


def stream_csv(
    path: Path | str, known: Mapping[int, str], digests: dict[str, int], lines: dict[str, int]
) -> tuple[Iterable[Tag], list[Facet], list[str]]:
    """`read_csv`, with tags that come one by one where no column says anything of facets; what is
    wrong with rows is raised behind the last of them. The columns come with it.

    Rows whose digest is `known`, with the id of its tag, are passed over; `digests` takes those of
    the others, by tag id, `lines` the lines of all.
    """
    rows = _Rows(_opened(path), str(path))
    tags = rows.tags(known, digests, lines)
    if rows.say_of_facets:
        return list(tags), rows.found_facets(), rows.header
    return tags, [], rows.header


def parse_csv(text: str, source: str) -> tuple[list[Tag], list[Facet]]:
    """Tags and facets of CSV text; `source` names it in errors (LibraryError)."""
    rows = _Rows(io.StringIO(text, newline=""), source)
    return list(rows.tags()), rows.found_facets()


def _opened(path: Path | str) -> TextIO:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise LibraryError(f"{path} cannot be read: {error.strerror}") from error
    if b"\0" in content:
        raise LibraryError(f"{path} is not a CSV file: it holds binary data")
    for encoding in ("utf-8-sig", "gb18030"):
        with suppress(UnicodeDecodeError):
            decoder = getincrementaldecoder(encoding)()  # a piece at a time: it may be large
            for start in range(0, len(content), _PIECE):
                decoder.decode(content[start : start + _PIECE])
            decoder.decode(b"", final=True)
            return io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
    raise LibraryError(f"{path} is neither UTF-8 nor GB18030. Save it as UTF-8")


def write_csv(path: Path, library: Library) -> None:
    """Writes every tag, retired ones too, and every facet with more to it than its tags.

    Deterministic: the same library, the same bytes.
    """
    name_languages = sorted({lang for tag in library.tags.values() for lang in tag.names})
    facet_languages = sorted({lang for facet in library.facets.values() for lang in facet.names})
    facet_rows = {facet.key: _facet_cells(facet) for facet in library.facets.values()}
    used = {column for row in facet_rows.values() for column in row if row[column]}
    for field in ("broader", "split_into", "matches"):
        if any(getattr(tag, field) for tag in library.tags.values()):
            used.add(field)
    header = [
        *(column for column in _COLUMNS if column not in _OPTIONAL or column in used),
        *(f"facet_{language}" for language in facet_languages),
        *(f"name_{language}" for language in name_languages),
    ]
    with_tags = {tag.facet for tag in library.tags.values()}
    own = (*_FACET_COLUMNS, "matches")
    structured = [key for key, row in facet_rows.items() if any(row[column] for column in own)]
    named = [key for key, facet in library.facets.items() if facet.names]
    unfinished = path.with_name(f"{path.name}.part")
    try:
        opened = unfinished.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise LibraryError(f"Cannot write '{path}': {error.strerror}") from error
    with opened as file:
        file.write("\ufeff")  # without it Excel reads the code page of its Windows
        writer = csv.DictWriter(file, header, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for key in structured:
            writer.writerow(facet_rows[key])
        for tag in library.tags.values():  # one by one: of a million tags it matters
            names = {k: v for k, v in facet_rows[tag.facet].items() if k not in own}
            writer.writerow({**names, **_tag_cells(tag)})
        for key in named:
            if key not in with_tags and key not in structured:
                writer.writerow(facet_rows[key])
    unfinished.replace(path)


class _Rows:
    """The rows of a file under its header."""

    def __init__(self, file: TextIO, source: str) -> None:
        first = next((line for line in file if line.strip("\r\n")), "")
        file.seek(0)
        self._source = source
        self._reader = csv.reader(file, delimiter=max(",;\t", key=first.count))
        self.header = self._read_header()
        self._blank = dict.fromkeys((*_COLUMNS, *self.header), "")
        self._head = "\0".join(self.header)
        self._facets: dict[str, _FacetRow] = {}
        self.say_of_facets = any(
            column in _FACET_COLUMNS or column.startswith("facet_") for column in self.header
        )

    def tags(
        self,
        known: Mapping[int, str] = MappingProxyType({}),
        digests: dict[str, int] | None = None,
        lines: dict[str, int] | None = None,
    ) -> Iterator[Tag]:
        """The tags, in order; LibraryError behind the last for all that is wrong.

        Rows whose digest is `known`, with the id of its tag, are passed over; `digests` takes those
        of the others, by tag id, `lines` the lines of all.
        """
        first_lines = {} if lines is None else lines
        problems: list[str] = []
        for line, cells in self._numbered():
            digest = row_digest("\0".join((self._head, *cells)))
            own = known.get(digest)
            if own is not None and own not in first_lines:
                first_lines[own] = line
                continue
            try:
                row = self._row(cells)
                self._read_facet(row)
                if not row["name"]:
                    _expect_facet_row(row)
                    continue
                tag = _read_tag(row)
                before = first_lines.setdefault(tag.id, line)
                if before != line:
                    raise _RowError(f"'{tag.text}' has the same id as line {before}")
            except _RowError as problem:
                problems.append(f"line {line}: {problem}")
            else:
                if digests is not None:
                    digests[tag.id] = digest
                yield tag
        if problems:
            shown = "; ".join(problems[:_SHOWN_PROBLEMS])
            more = len(problems) - _SHOWN_PROBLEMS
            rest = f"; and {more} more" if more > 0 else ""
            raise LibraryError(f"{self._source}: {shown}{rest}. Nothing was read")

    def found_facets(self) -> list[Facet]:
        """The facets of the rows that were read."""
        return [Facet(key, **row) for key, row in self._facets.items()]

    def _numbered(self) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of each row that is not blank."""
        line = self._reader.line_num + 1
        try:
            for cells in self._reader:
                if (cells and cells[0].strip()) or any(map(str.strip, cells)):
                    yield line, cells
                line = self._reader.line_num + 1
        except csv.Error as error:
            raise LibraryError(f"{self._source} line {line}: not CSV ({error})") from error

    def _read_header(self) -> list[str]:
        try:
            for cells in self._reader:
                if any(map(str.strip, cells)):
                    return _checked_header(cells, self._source)
        except csv.Error as error:
            raise LibraryError(f"{self._source}: not CSV ({error})") from error
        raise LibraryError(
            f"{self._source} is empty: it needs a header with the columns facet, name"
        )

    def _row(self, cells: list[str]) -> dict[str, str]:
        """The cells by column."""
        if len(cells) > len(self.header):
            raise _RowError(
                f"{len(cells)} cells under {len(self.header)} columns: quote cells with commas"
            )
        return {**self._blank, **dict(zip(self.header, map(str.strip, cells), strict=False))}

    def _read_facet(self, row: Mapping[str, str]) -> None:
        if not row["facet"] and not row["name"]:
            raise _RowError("neither facet nor name")
        key = row["facet"]
        known = self._facets.get(key)
        if known is None:
            known = self._facets[key] = _FacetRow(
                names={}, matches=(), single=False, only_for=(), value_kind="text", unit=""
            )
        if self.say_of_facets:
            _add_to_facet(known, key, row)
        if not row["name"]:
            known["matches"] = known["matches"] or tuple(_split_names(row["matches"]))


def _checked_header(cells: list[str], source: str) -> list[str]:
    header = [_CHINESE.get(cell.strip(), cell.strip()) for cell in cells]
    chinese = {column: name for name, column in _CHINESE.items()}
    columns = ", ".join(f"{column} ({chinese[column]})" for column in _COLUMNS)
    known = f"Call the columns {columns}, name_<language>, facet_<language>"
    for column in ("facet", "name"):
        if column not in header:
            raise LibraryError(
                f"{source}: no column '{column}' in the header ({', '.join(cells)}). {known}"
            )
    for column in header:
        match = _LANGUAGE_COLUMN.fullmatch(column)
        if column not in _COLUMNS and match is None:
            raise LibraryError(f"{source}: unknown column '{column}'. {known}")
        if header.count(column) > 1:
            raise LibraryError(
                f"{source} has {header.count(column)} columns named '{column}'. Rename all but one"
            )
        if match is not None:
            language_code(match[2])
    return header


def _languages(row: Mapping[str, str], kind: str) -> dict[str, str]:
    """Language → cell of the columns `<kind>_<language>` that are filled."""
    columns = _language_columns(tuple(row), kind)
    return {language: row[column] for column, language in columns if row[column]}


@lru_cache
def _language_columns(header: tuple[str, ...], kind: str) -> list[tuple[str, str]]:
    """(column, language) of the columns `<kind>_<language>`."""
    found = ((column, _LANGUAGE_COLUMN.fullmatch(column)) for column in header)
    return [
        (column, language_code(match[2])) for column, match in found if match and match[1] == kind
    ]


def row_digest(text: str) -> int:
    """64 bits of what a file says of a tag."""
    encoded = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), signed=True)


class _FacetRow(TypedDict):
    names: dict[str, str]
    matches: tuple[str, ...]
    single: bool
    only_for: tuple[str, ...]
    value_kind: ValueKind
    unit: str


def _add_to_facet(known: _FacetRow, key: str, row: Mapping[str, str]) -> None:
    for language, name in _languages(row, "facet").items():
        if known["names"].setdefault(language, name) != name:
            raise _RowError(
                f"the facet '{key}' is called '{name}' here and '{known['names'][language]}' above"
            )
    if row["single"].lower() not in (*_YES, *_NO):
        raise _RowError(f"single is '{row['single']}', not yes or no")
    kind = next((one for one in _VALUE_KINDS if one == (row["value_kind"] or "text")), None)
    if kind is None:
        kinds = ", ".join(_VALUE_KINDS)
        raise _RowError(f"value_kind '{row['value_kind']}' is not one of {kinds}")
    known["single"] |= row["single"].lower() in _YES
    known["only_for"] = known["only_for"] or tuple(parse_tag_cell(row["only_for"]))
    known["value_kind"] = kind if row["value_kind"] else known["value_kind"]
    known["unit"] = row["unit"] or known["unit"]


def _expect_facet_row(row: Mapping[str, str]) -> None:
    filled = [c for c in row if row[c] and (c in _TAG_COLUMNS or c.startswith("name_"))]
    says = any(row[column] for column in (*_FACET_COLUMNS, "matches"))
    if set(filled) - {"facet", "matches"} or not (says or _languages(row, "facet")):
        raise _RowError(f"no name for a tag of the facet '{row['facet']}'")


def _read_tag(row: Mapping[str, str]) -> Tag:
    status = _STATUSES.get(row["status"] or "active")
    if status is None:
        raise _RowError(f"status '{row['status']}' is not one of {', '.join(_STATUSES)}")
    if status != "retired" and (row["merged_into"] or row["split_into"]):
        raise _RowError("merged_into and split_into are of retired tags: write status retired")
    return Tag(
        row["id"] or tag_id(row["facet"], row["name"]),
        row["facet"],
        row["name"],
        _languages(row, "name"),
        tuple(_split_names(row["aliases"])),
        row["description"],
        status,
        row["merged_into"] or None,
        tuple(parse_tag_cell(row["broader"])),
        tuple(_split_names(row["matches"])),
        tuple(parse_tag_cell(row["split_into"])),
    )


def _split_names(cell: str) -> list[str]:
    if "\\" not in cell:
        return [name for text in cell.split("|") if (name := text.strip())] if cell else []
    names = re.findall(r"(?:\\[\\|]|[^|])+", cell)
    return [name for text in names if (name := re.sub(r"\\([\\|])", r"\1", text).strip())]


def _join_names(names: tuple[str, ...]) -> str:
    return "|".join(re.sub(r"([\\|])", r"\\\1", name) for name in names)


def _join_ids(ids: tuple[str, ...]) -> str:
    return "|".join(one.replace("|", "\\|") for one in ids)


def _facet_cells(facet: Facet) -> dict[str, str]:
    cells = {
        "facet": facet.key,
        "single": "yes" if facet.single else "",
        "only_for": _join_ids(facet.only_for),
        "value_kind": "" if facet.value_kind == "text" else facet.value_kind,
        "unit": facet.unit,
        "matches": _join_names(facet.matches),
    }
    cells.update({f"facet_{language}": name for language, name in facet.names.items()})
    return cells


def _tag_cells(tag: Tag) -> dict[str, str]:
    cells = {
        "id": tag.id,
        "facet": tag.facet,
        "name": tag.name,
        "aliases": _join_names(tag.aliases),
        "description": tag.description,
        "status": tag.status,
        "merged_into": tag.merged_into or "",
        "broader": _join_ids(tag.broader),
        "split_into": _join_ids(tag.split_into),
        "matches": _join_names(tag.matches),
    }
    cells.update({f"name_{language}": name for language, name in tag.names.items()})
    return cells
