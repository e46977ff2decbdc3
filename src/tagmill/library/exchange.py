"""A library as a CSV file, for spreadsheets and other systems.

Columns: `facet`, `name` and, where wanted, `id`, `aliases` (separated by `|`; `\\|` is a bar in a
name), `description`, `status`, `merged_into` (an id), and for each language `name_en`, `facet_en`,
`name_zh-Hant` … A row without a name that has facet names only declares a facet.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

from tagmill.errors import LibraryError
from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag, TagStatus, tag_id

__all__ = ["merge_csv", "parse_csv", "read_csv", "write_csv"]

_COLUMNS = ("id", "facet", "name", "aliases", "description", "status", "merged_into")
_LANGUAGE_COLUMN = re.compile(r"(name|facet)_([A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)")
_STATUSES: tuple[TagStatus, ...] = get_args(TagStatus)
_SHOWN_PROBLEMS = 5


class _RowError(Exception):
    """What is wrong with one row."""


def read_csv(path: Path | str) -> tuple[list[Tag], list[Facet]]:
    """Tags and facets of a CSV file (UTF-8 or GB18030; comma, semicolon or tab).

    A tag without an id gets the one minted from its facet and name. Raises LibraryError that
    names the file, and the lines of rows that cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise LibraryError(f"{path} cannot be read: {error.strerror}") from error
    if b"\0" in content:
        raise LibraryError(f"{path} is not a CSV file: it holds binary data")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError as error:
            raise LibraryError(f"{path} is neither UTF-8 nor GB18030. Save it as UTF-8") from error
    return parse_csv(text, str(path))


def parse_csv(text: str, source: str) -> tuple[list[Tag], list[Facet]]:
    """Tags and facets of CSV text; `source` names it in errors (LibraryError)."""
    tags: list[Tag] = []
    facets: dict[str, dict[str, str]] = {}
    first_lines: dict[str, int] = {}  # tag id → line
    problems: list[str] = []
    for line, row in _rows(text, source):
        try:
            _read_facet(row, facets)
            if not row["name"]:
                _expect_facet_row(row)
                continue
            tag = _read_tag(row)
            if tag.id in first_lines:
                raise _RowError(f"'{tag.text}' has the same id as line {first_lines[tag.id]}")
            first_lines[tag.id] = line
            tags.append(tag)
        except _RowError as problem:
            problems.append(f"line {line}: {problem}")
    if problems:
        shown = "; ".join(problems[:_SHOWN_PROBLEMS])
        more = len(problems) - _SHOWN_PROBLEMS
        rest = f"; and {more} more" if more > 0 else ""
        raise LibraryError(f"{source}: {shown}{rest}. Nothing was read")
    return tags, [Facet(key, names) for key, names in facets.items()]


def merge_csv(library: Library, path: Path) -> list[Tag]:
    """Add the tags of a CSV file to a library, or change those it has; the tags it named.

    A tag is met again by its id or by `facet:name`; then the file's names, aliases and
    description are added to what it has, and a name given with the id renames it. Raises
    LibraryError for a file that cannot be read, TagConflict where two tags would share a name.
    """
    tags, facets = read_csv(path)
    for facet in facets:
        known = library.facets.get(facet.key)
        library.add_facet(Facet(facet.key, {**(known.names if known else {}), **facet.names}))
    return [_merge(library, tag) for tag in tags]


def _merge(library: Library, tag: Tag) -> Tag:
    by_id = library.tags.get(tag.id)
    before = by_id or library.find(tag.text)
    if before is None:
        return library.put(tag)
    known = {library.form(name) for name in library.names_of(before)}
    new = [alias for alias in tag.aliases if library.form(alias) not in known]
    return library.update(
        before,
        name=tag.name if by_id else before.name,
        names={**before.names, **tag.names},
        aliases=(*before.aliases, *new),
        description=tag.description or before.description,
        status=tag.status,
        merged_into=tag.merged_into,
    )


def write_csv(path: Path, library: Library) -> None:
    """Writes every tag, retired ones too, and every facet that has tags or names."""
    name_languages = sorted({lang for tag in library.tags.values() for lang in tag.names})
    facet_languages = sorted({lang for facet in library.facets.values() for lang in facet.names})
    header = [
        *_COLUMNS,
        *(f"facet_{language}" for language in facet_languages),
        *(f"name_{language}" for language in name_languages),
    ]
    with_tags = {tag.facet for tag in library.tags.values()}
    unfinished = path.with_name(f"{path.name}.part")
    try:
        opened = unfinished.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise LibraryError(f"Cannot write '{path}': {error.strerror}") from error
    with opened as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        for tag in library.tags.values():
            facet = library.facets[tag.facet]
            writer.writerow({**_facet_cells(facet), **_tag_cells(tag)})
        for facet in library.facets.values():
            if facet.key not in with_tags and facet.names:
                writer.writerow(_facet_cells(facet))
    unfinished.replace(path)


def _rows(text: str, source: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column → cell) of each row that is not blank; all of `_COLUMNS` are there."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                pass
            elif header is None:
                header = _read_header(cells, source)
            else:
                yield line, _read_row(header, cells, f"{source} line {line}")
            line = reader.line_num + 1
    except csv.Error as error:
        raise LibraryError(f"{source} line {line}: not CSV ({error})") from error
    if header is None:
        raise LibraryError(f"{source} is empty: it needs a header with the columns facet, name")


def _read_header(cells: list[str], source: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    known = f"Known: {', '.join(_COLUMNS)}, name_<language>, facet_<language>"
    for column in ("facet", "name"):
        if column not in header:
            raise LibraryError(
                f"{source}: no column '{column}' in the header ({', '.join(header)}). {known}"
            )
    for column in header:
        if column not in _COLUMNS and not _LANGUAGE_COLUMN.fullmatch(column):
            raise LibraryError(f"{source}: unknown column '{column}'. {known}")
    return header


def _read_row(header: list[str], cells: list[str], where: str) -> dict[str, str]:
    if len(cells) > len(header):
        raise LibraryError(
            f"{where}: {len(cells)} cells under {len(header)} columns. Quote cells with commas"
        )
    row = dict.fromkeys(_COLUMNS, "")
    row.update({column: cell.strip() for column, cell in zip(header, cells, strict=False)})
    return row


def _languages(row: Mapping[str, str], kind: str) -> dict[str, str]:
    """Language → cell of the columns `<kind>_<language>` that are filled."""
    found = ((_LANGUAGE_COLUMN.fullmatch(column), cell) for column, cell in row.items())
    return {match[2]: cell for match, cell in found if match and match[1] == kind and cell}


def _read_facet(row: Mapping[str, str], facets: dict[str, dict[str, str]]) -> None:
    if not row["facet"] and not row["name"]:
        raise _RowError("neither facet nor name")
    known = facets.setdefault(row["facet"], {})
    for language, name in _languages(row, "facet").items():
        if known.setdefault(language, name) != name:
            raise _RowError(
                f"the facet '{row['facet']}' is called '{name}' here and '{known[language]}' above"
            )


def _expect_facet_row(row: Mapping[str, str]) -> None:
    filled = [column for column in row if row[column] and column.partition("_")[0] != "facet"]
    if filled or not _languages(row, "facet"):
        raise _RowError(f"no name for a tag of the facet '{row['facet']}'")


def _read_tag(row: Mapping[str, str]) -> Tag:
    status = next((known for known in _STATUSES if known == (row["status"] or "active")), None)
    if status is None:
        raise _RowError(f"status '{row['status']}' is not one of {', '.join(_STATUSES)}")
    return Tag(
        row["id"] or tag_id(row["facet"], row["name"]),
        row["facet"],
        row["name"],
        _languages(row, "name"),
        tuple(_split_names(row["aliases"])),
        row["description"],
        status,
        row["merged_into"] or None,
    )


def _split_names(cell: str) -> list[str]:
    names = re.findall(r"(?:\\[\\|]|[^|])+", cell)
    return [name for text in names if (name := re.sub(r"\\([\\|])", r"\1", text).strip())]


def _join_names(names: tuple[str, ...]) -> str:
    return "|".join(re.sub(r"([\\|])", r"\\\1", name) for name in names)


def _facet_cells(facet: Facet) -> dict[str, str]:
    cells = {"facet": facet.key}
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
    }
    cells.update({f"name_{language}": name for language, name in tag.names.items()})
    return cells
