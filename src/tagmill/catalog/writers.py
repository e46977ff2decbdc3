"""Tagged products out: JSON Lines, Parquet, CSV, or rows of the user's database."""

from __future__ import annotations

import csv
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa

from tagmill.catalog.json_text import json_lines
from tagmill.errors import CatalogError
from tagmill.records import TAGGED_SCHEMA, tag_text, write_tag_cell

__all__ = [
    "WRITERS", "ListWriter", "SqlWriter", "TagWriter", "open_output", "open_writer", "tag_lines",
]  # fmt: skip


class TagWriter(Protocol):
    """Takes batches of products with their tags, in order."""

    def write(self, products: pa.RecordBatch, tagged: pa.RecordBatch) -> None:
        """Write a batch of `TAGGED_SCHEMA`; `products` are the same ones, of `PRODUCT_SCHEMA`."""
        ...


def tag_lines(tagged: pa.RecordBatch) -> list[dict[str, Any]]:
    """`{"id", "tags": [...]}` of each product; probabilities with six digits."""
    lines: list[dict[str, Any]] = tagged.to_pylist()
    for line in lines:
        for tag in line["tags"]:
            tag["probability"] = round(tag["probability"], 6)
    return lines


class JsonLinesWriter:
    """One line a product."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, products: pa.RecordBatch, tagged: pa.RecordBatch) -> None:
        """Append a line for each product."""
        self._file.write(json_lines(tagged))

    def close(self) -> None:
        """Nothing is left to write."""


class ParquetWriter:
    """The batches as they are."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._writer: Any = None

    def write(self, products: pa.RecordBatch, tagged: pa.RecordBatch) -> None:
        """Append a row group."""
        self._open(tagged.schema).write_batch(tagged)

    def close(self) -> None:
        """Write the footer; of no batch at all, an empty file of `TAGGED_SCHEMA`."""
        self._open(TAGGED_SCHEMA).close()

    def _open(self, schema: pa.Schema) -> Any:  # noqa: ANN401
        import pyarrow.parquet as pq

        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")
        return self._writer


class CsvWriter:
    """One row a product: tags in one cell, separated by `|`, so too probabilities and lanes.

    Begins with a byte order mark: without one Excel reads it in the code page of its Windows.
    """

    def __init__(self, file: IO[bytes]) -> None:
        import io

        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._text.write("\ufeff")
        self._rows = csv.writer(self._text)
        self._rows.writerow(["id", "tags", "probabilities", "lanes", "gone"])

    def write(self, products: pa.RecordBatch, tagged: pa.RecordBatch) -> None:
        """Append a row for each product."""
        for line in tag_lines(tagged):
            tags = line["tags"]
            self._rows.writerow(
                [
                    line["id"],
                    write_tag_cell([tag_text(tag["facet"], tag["name"]) for tag in tags]),
                    "|".join(f"{tag['probability']:.6g}" for tag in tags),
                    "|".join(tag["lane"] for tag in tags),
                    "yes" if line.get("gone") else "",
                ]
            )

    def close(self) -> None:
        """Hand the file back."""
        self._text.detach()


class ListWriter:
    """Keeps the lines, with each product's title; shows them in pages where `show` is given."""

    def __init__(self, show: Callable[[list[dict[str, Any]]], None] | None, page: int = 50) -> None:
        self.lines: list[dict[str, Any]] = []
        self._show = show
        self._page = page

    def write(self, products: pa.RecordBatch, tagged: pa.RecordBatch) -> None:
        """Keep a batch, or show it once a page is full."""
        titles = products.column("title").to_pylist()
        for line, title in zip(tag_lines(tagged), titles, strict=True):
            self.lines.append({**line, "title": title} if self._show else line)
            if self._show and len(self.lines) >= self._page:
                self.flush()

    def flush(self) -> None:
        """Show what is kept."""
        if self._show and self.lines:
            self._show(self.lines)
            self.lines = []


_FileWriter = JsonLinesWriter | ParquetWriter | CsvWriter

WRITERS: dict[str, Callable[[IO[bytes]], _FileWriter]] = {
    ".jsonl": JsonLinesWriter,
    ".parquet": ParquetWriter,
    ".csv": CsvWriter,
}


@contextmanager
def open_writer(path: Path) -> Iterator[_FileWriter]:
    """A writer by the file's ending; the file appears under its name only when complete.

    Raises CatalogError for an unknown ending or a folder that cannot be written.
    """
    if str(path) in ("-", "/dev/stdout"):
        raise CatalogError(
            f"'{path}' is no file to write. Name one, or have tags printed: tagmill tag FILE --json"
        )
    if path.suffix not in WRITERS:
        raise CatalogError(f"Cannot write '{path}'. Known endings: {', '.join(WRITERS)}")
    with open_output(path) as file:
        writer = WRITERS[path.suffix](file)
        yield writer
        writer.close()


@contextmanager
def open_output(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when complete; until then what was there stays.

    What a killed process left of it is removed. Raises CatalogError for a folder that cannot be
    written, or a disk that is full.
    """
    try:
        _remove_left(path)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise CatalogError(f"Cannot write '{path}': {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _locked(descriptor)  # until it is closed, if only by the process's end
            yield file
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise  # of something else that goes on while the file is written
        raise CatalogError(
            f"Cannot write '{path}': {os.strerror(error.errno)}. Nothing was written"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _remove_left(path: Path) -> None:
    """Remove unfinished files of a path that no process holds."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}-") and len(left.name) == len(path.name) + 10:
            with suppress(OSError), left.open("rb") as file:  # others' may not be read
                if _locked(file.fileno()):
                    left.unlink()


def _locked(descriptor: int) -> bool:
    """Lock an open file; False where another process has, or where the system has no locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


class SqlWriter:
    """One row a product and tag in a table of the user's database, made if it is missing.

    What a product had there is replaced, batch by batch in a transaction; a discontinued product
    loses its rows. Raises CatalogError where the database or the table does not fit.
    """

    def __init__(self, url: str, table: str) -> None:
        import sqlalchemy as sa

        from tagmill.catalog.database import connect_to, one_error, schema_and_name

        self._engine, name = connect_to(url)
        self._one_error = partial(one_error, f"Cannot write to {name}")
        with self._one_error():
            schema, plain = schema_and_name(self._engine, table)
        # Others than these two have no key of any length.
        any_length = sa.String(255).with_variant(sa.Text(), "postgresql", "sqlite")
        self._table = sa.Table(
            plain,
            sa.MetaData(schema=schema),
            sa.Column("product_id", any_length, primary_key=True),
            sa.Column("tag_id", sa.String(16), primary_key=True),
            sa.Column("facet", sa.Text, nullable=False),
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("probability", sa.Float, nullable=False),
            sa.Column("calibration", sa.String(16), nullable=False),
            sa.Column("lane", sa.String(16), nullable=False),
            sa.Column("origin", sa.String(64), nullable=False),
            sa.Column("evidence", sa.JSON),
        )
        with self._one_error():
            self._table.create(self._engine, checkfirst=True)
            found = sa.inspect(self._engine).get_columns(plain, schema=schema)
        present = {column["name"]: column["type"] for column in found}
        missing = [column.name for column in self._table.columns if column.name not in present]
        if missing:
            raise CatalogError(
                f"The table '{table}' of {name} has no column {', '.join(missing)}. Name another "
                "with --table; it is made if missing"
            )
        # SQLite keeps longer ones whatever the column says.
        is_kept = self._engine.dialect.name == "sqlite"
        self._longest = None if is_kept else getattr(present["product_id"], "length", None)

    def write(self, products: pa.RecordBatch, tagged: pa.RecordBatch) -> None:
        """Replace the rows of these products."""
        lines = tag_lines(tagged)
        rows = [
            {
                "product_id": line["id"],
                "tag_id": tag["id"],
                **{name: tag[name] for name in tag if name != "id"},
            }
            for line in lines
            for tag in line["tags"]
        ]
        ids = [line["id"] for line in lines]
        for one in ids:
            if self._longest is not None and len(one) > self._longest:
                raise CatalogError(
                    f"The id '{one[:40]}…' has {len(one)} characters, and the column product_id "
                    f"of the table '{self._table.name}' holds {self._longest}. Make it longer, or "
                    "name another table with --table; it is made if missing"
                )
        with self._one_error(), self._engine.begin() as connection:
            for start in range(0, len(ids), 500):  # databases limit the values of one statement
                chosen = self._table.c.product_id.in_(ids[start : start + 500])
                connection.execute(self._table.delete().where(chosen))
            if rows:
                connection.execute(self._table.insert(), rows)

    def close(self) -> None:
        """Give up the connections."""
        self._engine.dispose()
