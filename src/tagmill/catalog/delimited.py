"""CSV, TSV and any other text with one separator."""

from __future__ import annotations

import csv
import io
import itertools
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from tagmill.catalog.columns import FIELDS
from tagmill.catalog.decoding import inspect_text, reading
from tagmill.catalog.rows import Chunk, Reject
from tagmill.errors import CatalogError

__all__ = ["DelimitedFile"]

_USUAL = {".tsv": "\t,;|", ".tab": "\t,;|"}
_USUAL_ELSEWHERE = ",\t;|"
_NEVER = frozenset("\"'_-. \r\n\\")
_SAMPLE_CHARACTERS = 1 << 16
_SAMPLE_ROWS = 50
_CELL_CHARACTERS = 1 << 20  # a longer cell is a quote that nobody closed
_SHOWN_CHARACTERS = 2000  # of a line, in the rejects file


class DelimitedFile:
    """A text file with a header line; encoding and separator are found by looking."""

    open_ended = False

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        self.name = str(path)
        self._file = inspect_text(path)
        with reading(path), self._file.open() as stream:
            sample = stream.read(_SAMPLE_CHARACTERS)
        if not sample.strip():
            raise CatalogError(f"{path} is empty: it holds no products", file=self.name)
        usual = _USUAL.get(path.name.lower().removesuffix(".gz")[-4:], _USUAL_ELSEWHERE)
        known = {name.strip().casefold() for name in (*FIELDS, *mapping.values())}
        self._separator = _find_separator(sample, usual, known)
        csv.field_size_limit(max(csv.field_size_limit(), _CELL_CHARACTERS))
        self.columns = self._header()
        lines = self._file.line_count
        self.total_hint = None if lines is None else max(lines - 1, 0)

    def chunks(self, columns: Sequence[str], size: int) -> Iterator[Chunk]:
        """The rows, `size` at a time, with the named columns."""
        places = {name: self.columns.index(name) for name in columns}
        with reading(self._file.path), self._file.open() as stream:
            records = _Records(stream, self._separator)
            records.next_cells()  # the header
            while chunk := self._chunk(records, places, size):
                yield chunk

    def _header(self) -> list[str]:
        with reading(self._file.path), self._file.open() as stream:
            records = _Records(stream, self._separator)
            cells = records.next_cells() or []
            if flaw := records.flaw(cells, len(cells)):
                raise CatalogError(f"{self.name}: in the header {flaw}", file=self.name, row=1)
        return [cell.strip() for cell in cells]

    def _chunk(self, records: _Records, places: Mapping[str, int], size: int) -> Chunk | None:
        """The next rows; None at the end."""
        width = len(self.columns)
        rows: list[list[str]] = []
        lines: list[int] = []
        rejects: list[Reject] = []
        while len(rows) + len(rejects) < size:
            cells = records.next_cells()
            if cells is None:
                break
            if len(cells) != width or records.multiline:
                if reason := records.flaw(cells, width):
                    rejects.append(Reject(records.start, reason, records.reject()))
                    continue
                cells = (cells + [""] * (width - len(cells)))[:width]
            rows.append(cells)
            lines.append(records.start)
        if not rows and not rejects:
            return None
        turned = list(zip(*rows, strict=True)) or [()] * width
        return Chunk(
            {name: turned[place] for name, place in places.items()},
            lines,
            lambda i: dict(zip(self.columns, rows[i], strict=True)),
            rejects,
        )


class _Records:
    """Records of delimited text and the lines they stand on.

    A quote that is never closed would swallow the rows after it. A record of several lines that is
    no proper CSV therefore gives up only its first line (`reject`); the others are read again.
    """

    def __init__(self, stream: TextIO, separator: str) -> None:
        self.start = 0  # physical line of the current record, from 1
        self._separator = separator
        self._stream = stream
        self._again: deque[str] = deque()
        self._record: list[str] = []  # the lines of the current record
        self._line = 0
        self._unclosed = False
        self._error = ""
        self._reader = csv.reader(self, delimiter=separator)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._stream.readline()
        if not line:
            self._unclosed = bool(self._record)  # the parser wants more of a record
            raise StopIteration
        self._line += 1
        self._record.append(line)
        return line

    @property
    def multiline(self) -> bool:
        """Whether the record stands on several lines, or could not be parsed."""
        return len(self._record) != 1 or self._unclosed or self._error != ""

    def next_cells(self) -> list[str] | None:
        """The cells of the next record that is not blank; None at the end."""
        while True:
            self._record.clear()
            self._unclosed, self._error = False, ""
            self.start = self._line + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return None
            except csv.Error as error:
                self._error = str(error)
                return []
            if cells and (len(cells) > 1 or cells[0].strip()):
                return cells

    def flaw(self, cells: list[str], width: int) -> str | None:
        """Why the current record is no row of `width` columns; None where it is one."""
        if self._error and len(self._record) == 1:
            return self._error
        if self._unclosed or (self.multiline and not self._is_proper()):
            return "a quote is not closed"
        if any(cell.strip() for cell in cells[width:]):
            return f"{len(cells)} cells, but the header names {width} columns"
        return None

    def reject(self) -> str:
        """Give up the record's first line and read the others again; what that line held."""
        self._again.extendleft(reversed(self._record[1:]))
        self._line -= len(self._record) - 1
        return self._record[0].rstrip("\r\n")[:_SHOWN_CHARACTERS]

    def _is_proper(self) -> bool:
        if self._error:
            return False
        try:
            parsed = list(csv.reader(self._record, delimiter=self._separator, strict=True))
        except csv.Error:
            return False
        return len(parsed) == 1


def _find_separator(sample: str, usual: str, known: Collection[str]) -> str:
    """The separator under which the header names most known columns and the rows are even."""
    header = next(line for line in io.StringIO(sample, newline="") if line.strip())
    others = dict.fromkeys(c for c in header if not c.isalnum() and c not in _NEVER)
    candidates = [c for c in usual if c in others] + [c for c in others if c not in usual]
    scores = [_score(sample, candidate, known) for candidate in candidates]
    if not scores or max(scores) == (0, 0.0):
        return usual[0]
    return candidates[scores.index(max(scores))]


def _score(sample: str, separator: str, known: Collection[str]) -> tuple[int, float]:
    """(known columns in the header, share of rows as wide as it); (0, 0) for one column."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    try:
        rows = [row for row in itertools.islice(reader, _SAMPLE_ROWS) if row]
    except csv.Error:
        return 0, 0.0
    header, *body = rows
    if len(header) < 2:
        return 0, 0.0
    named = sum(name.strip().casefold() in known for name in header)
    body = body[:-1] or body  # the sample may end inside its last row
    even = sum(len(row) == len(header) for row in body) / max(len(body), 1)
    return named, even
