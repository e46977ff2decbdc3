"""A catalogue: products of a file or a database, checked, in batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from tagmill.catalog.columns import check_mapping, choose_columns
from tagmill.catalog.files import open_file
from tagmill.catalog.rows import Checked, Known, ProductChecker, Reject, Source, is_url
from tagmill.errors import CatalogError

__all__ = ["Catalog", "Counts", "open_catalog"]


@dataclass
class Counts:
    """Rows that came so far, and those of them that are no products."""

    read: int = 0
    rejected: int = 0
    first_reject: str = ""  # its line and the reason
    unread: int = 0  # products that have a number which cannot be read, and is left out
    first_unread: str = ""  # its line and the reason
    unwritable: str = ""  # why the file of rejects could not be written


class Catalog:
    """Iterable over `pa.RecordBatch` of PRODUCT_SCHEMA, in the source's order; memory is bounded.

    Each iteration reads the source again and begins the counts and the rejects file anew.
    Iterating raises CatalogError where the source breaks off.
    """

    def __init__(
        self,
        source: Source,
        mapping: Mapping[str, str],
        rejects_path: Path | None = None,
        batch_size: int = 4096,
        known: Known | None = None,
    ) -> None:
        self.name = source.name
        self.counts = Counts()
        self.rejects_path = rejects_path
        self._source = source
        self._batch_size = batch_size
        self._known = known
        self._columns = choose_columns(
            source.name, source.columns, mapping, open_ended=source.open_ended,
            partial=known is not None,
        )  # fmt: skip

    @property
    def total_hint(self) -> int | None:
        """How many rows there are, where the source tells cheaply; blank and bad ones count too."""
        return self._source.total_hint

    @property
    def unread_columns(self) -> Sequence[str]:
        """Columns of the source that become no field; complete after an iteration."""
        read = set(self._columns.read)
        return [name for name in self._source.columns if name.strip() and name not in read]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return (checked.batch for checked in self.checked())

    def checked(self) -> Iterator[Checked]:
        """The batches, each with the rejects among its rows and what its products came with."""
        self.counts = Counts()
        checker = ProductChecker(self._columns, self._known)
        with _RejectsFile(self.rejects_path, self.name) as rejects_file:
            for chunk in self._source.chunks(self._columns.read, self._batch_size):
                checked = checker.check(chunk)
                batch, rejects, _, unread = checked
                if unread and not self.counts.unread:
                    self.counts.first_unread = f"{unread[0].line}: {unread[0].reason}"
                self.counts.unread += len(unread)
                if rejects and not self.counts.rejected:
                    self.counts.first_reject = f"{rejects[0].line}: {rejects[0].reason}"
                self.counts.read += batch.num_rows + len(rejects)
                self.counts.rejected += len(rejects)
                self.counts.unwritable = rejects_file.write(rejects)
                if batch.num_rows or rejects:
                    yield checked


def open_catalog(
    source: str,
    *,
    mapping: Mapping[str, str] | None = None,
    table: str | None = None,
    query: str | None = None,
    rejects: Path | None = None,
    batch_size: int = 4096,
    known: Known | None = None,
) -> Catalog:
    """The products of a file, or of a table or query of the database at a SQLAlchemy URL.

    `mapping` is {our field: their column}, `attributes.brand` for one attribute; bad rows go to
    `rejects` as JSON Lines. Products whose ids are `known` (to a store) may come without a text, to
    be brought up to date in what the source has of them. Raises CatalogError where nothing can be
    read, MissingExtra where the database needs a driver.
    """
    mapping = mapping or {}
    check_mapping(mapping)
    if is_url(source):
        from tagmill.catalog.database import open_database

        return Catalog(open_database(source, table, query), mapping, rejects, batch_size, known)
    if table is not None or query is not None:
        option = "--table" if table is not None else "--query"
        raise CatalogError(
            f"{option} belongs to a database, and {source} is a file. "
            "Name a database by its URL, such as sqlite:///shop.db",
            file=source,
        )
    return Catalog(open_file(Path(source), mapping), mapping, rejects, batch_size, known)


class _RejectsFile:
    """JSON Lines {"file", "line", "reason", "row"}, made when the first reject comes."""

    def __init__(self, path: Path | None, source: str) -> None:
        self._path = path
        self._source = source
        self._file: IO[str] | None = None
        self._unwritable = ""
        if path is not None:
            with suppress(OSError):  # a folder that is none, or only to be read
                path.unlink(missing_ok=True)  # that of an earlier reading

    def __enter__(self) -> _RejectsFile:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, rejects: Sequence[Reject]) -> str:
        """Why nothing is written, if so: that stops no other row."""
        if self._path is None or not rejects or self._unwritable:
            return self._unwritable
        if self._file is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace")
            except OSError as error:
                self._unwritable = error.strerror or str(error)
                return self._unwritable
        for reject in rejects:
            line = {
                "file": self._source,
                "line": reject.line,
                "reason": reject.reason,
                "row": reject.row,
            }
            self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        return ""
