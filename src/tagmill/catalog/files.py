"""Files of products: one table of readers by file ending."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagmill.catalog.decoding import inspect_text, reading
from tagmill.catalog.delimited import DelimitedFile
from tagmill.catalog.rows import Chunk, Reject, Source, chunk_of_batch
from tagmill.catalog.values import shown
from tagmill.errors import CatalogError

__all__ = ["READERS", "JsonLinesFile", "ParquetFile", "open_file"]

_FIRST_LINES = 1000  # JSON Lines that tell which columns there are
_FIRST_CHARACTERS = 1000  # that tell a JSON array from JSON Lines
_SHOWN_CHARACTERS = 2000  # of a broken line, in the rejects file
_INSTEAD = {
    ".json": "Write JSON Lines (one object a line): jq -c '.[]' IN.json > OUT.jsonl",
    ".xlsx": "Save it as CSV (UTF-8)",
    ".xls": "Save it as CSV (UTF-8)",
    ".db": "Read a SQLite database by its URL: sqlite:///{path} with --table or --query",
    ".sqlite": "Read a SQLite database by its URL: sqlite:///{path} with --table or --query",
}


class JsonLinesFile:
    """A text file with one JSON object a line; later rows may bring new columns."""

    open_ended = True

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        self.name = str(path)
        self._file = inspect_text(path)
        self.total_hint = self._file.line_count
        self._names: dict[str, None] = {}
        with reading(path), self._file.open() as stream:
            if stream.read(_FIRST_CHARACTERS).lstrip().startswith("["):
                raise CatalogError(
                    f"{path} is one JSON array, not JSON Lines. {_INSTEAD['.json']}",
                    file=self.name,
                )
        # Mostly the first chunk tells the columns; a broken beginning is read past.
        if not any(chunk.lines for chunk in self.chunks((), _FIRST_LINES)):
            raise CatalogError(
                f"{path} holds no JSON object. Write one a line, such as "
                '{"id": "1", "title": "…"}',
                file=self.name,
            )

    @property
    def columns(self) -> Sequence[str]:
        """The names met so far, in the order they came."""
        return list(self._names)

    def chunks(self, columns: Sequence[str], size: int) -> Iterator[Chunk]:
        """The rows, `size` at a time, with the named columns."""
        with reading(self._file.path), self._file.open() as stream:
            rows: list[dict[str, Any]] = []
            lines: list[int] = []
            rejects: list[Reject] = []
            for number, line in enumerate(stream, start=1):
                if line.isspace():
                    continue
                row = _parsed(line, number)
                if isinstance(row, Reject):
                    rejects.append(row)
                else:
                    rows.append(row)
                    lines.append(number)
                if len(rows) + len(rejects) == size:
                    yield self._chunk(columns, rows, lines, rejects)
                    rows, lines, rejects = [], [], []
            if rows or rejects:
                yield self._chunk(columns, rows, lines, rejects)

    def _chunk(
        self,
        columns: Sequence[str],
        rows: list[dict[str, Any]],
        lines: list[int],
        rejects: list[Reject],
    ) -> Chunk:
        for row in rows:
            if not row.keys() <= self._names.keys():
                self._names.update(dict.fromkeys(row))
        values = {name: [row.get(name) for row in rows] for name in columns}
        wanted = frozenset(columns)
        shapes = {keys: wanted.intersection(keys) for keys in set(map(tuple, rows))}
        present = [shapes[tuple(row)] for row in rows]
        return Chunk(values, lines, rows.__getitem__, rejects, present)


class ParquetFile:
    """A Parquet file; only the columns that are read are decoded."""

    open_ended = False

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        import pyarrow.parquet as pq

        self.name = str(path)
        if path.stat().st_size == 0:
            raise CatalogError(f"{path} is empty: it holds no products", file=self.name)
        with _reading_parquet(path), pq.ParquetFile(path) as file:
            self.columns: Sequence[str] = file.schema_arrow.names
            self.total_hint: int | None = file.metadata.num_rows
        self._path = path

    def chunks(self, columns: Sequence[str], size: int) -> Iterator[Chunk]:
        """The rows, `size` at a time, with the named columns."""
        import pyarrow.parquet as pq

        with _reading_parquet(self._path), pq.ParquetFile(self._path) as file:
            first = 1
            for batch in file.iter_batches(size, columns=list(columns)):
                yield chunk_of_batch(batch, first)
                first += batch.num_rows


# File ending → reader; each ending of text may be followed by .gz.
READERS: dict[str, Callable[[Path, Mapping[str, str]], Source]] = {
    ".csv": DelimitedFile,
    ".tsv": DelimitedFile,
    ".tab": DelimitedFile,
    ".txt": DelimitedFile,
    ".jsonl": JsonLinesFile,
    ".ndjson": JsonLinesFile,
    ".parquet": ParquetFile,
    ".pq": ParquetFile,
}


def open_file(path: Path, mapping: Mapping[str, str]) -> Source:
    """The reader of a file, by its ending; CatalogError where it cannot be read."""
    with reading(path):
        if path.is_dir():
            raise CatalogError(f"{path} is a folder. Name a file of products in it", file=str(path))
        if str(path) == "-":
            raise CatalogError(
                "Products are read twice, so not from a pipe. Save them to a file first", file="-"
            )
        if not path.exists():
            raise CatalogError(f"There is no file {path}", file=str(path))
        if not path.is_file():
            raise CatalogError(
                f"{path} is no regular file; products are read twice. Save them to a file first",
                file=str(path),
            )
        name = path.name.lower()
        ending = Path(name.removesuffix(".gz")).suffix
        if ending not in READERS:
            known = f"Known: {', '.join(READERS)}, text also with .gz; or a SQLAlchemy URL"
            hint = _INSTEAD.get(ending, known).format(path=path)
            raise CatalogError(
                f"Cannot read {path}: unknown ending '{ending or path.name}'. {hint}",
                file=str(path),
            )
        return READERS[ending](path, mapping)


@contextmanager
def _reading_parquet(path: Path) -> Iterator[None]:
    with reading(path):
        try:
            yield
        except pa.ArrowException as error:
            reason = str(error).strip().splitlines()[0]
            raise CatalogError(
                f"{path} is no readable Parquet file: {reason}", file=str(path)
            ) from error


def _parsed(line: str, number: int) -> dict[str, Any] | Reject:
    """The object of a line, or why there is none."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        reason = f"broken JSON: {error.msg} at character {error.colno}"
    except (ValueError, RecursionError) as error:
        reason = f"broken JSON: {error}"
    else:
        if isinstance(row, dict):
            return row
        reason = f"{shown(row)} is no JSON object"
    return Reject(number, reason, line.rstrip("\r\n")[:_SHOWN_CHARACTERS])
