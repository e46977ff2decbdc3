"""Any SQL database as a source of products, through a SQLAlchemy URL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from tagmill.catalog.rows import Chunk
from tagmill.errors import CatalogError, MissingExtra

__all__ = ["DatabaseSource", "connect_to", "one_error", "open_database", "schema_and_name"]

# The driver we install; without a name SQLAlchemy may choose another.
_POSTGRES_DRIVER = "postgresql+psycopg"
_SHOWN_TABLES = 20


def open_database(url: str, table: str | None, query: str | None) -> DatabaseSource:
    """The rows of one table or query; nothing is ever written to the database.

    Raises CatalogError where it cannot be reached or has no such table, MissingExtra without the
    PostgreSQL driver.
    """
    engine, name = connect_to(url)
    _check_sqlite_file(engine.url, name)
    with _reading(engine, name) as connection:
        if (table is None) == (query is None):
            raise CatalogError(
                f"Say what to read from {name}: --table NAME or --query SQL, one of the two. "
                f"Tables: {_tables(connection)}",
                file=name,
            )
        if table is not None:
            selected = _reflect(connection, table, name)
            return DatabaseSource(engine, name, selected, list(selected.columns.keys()))
        return DatabaseSource(engine, name, str(query), _columns_of(connection, str(query), name))


def connect_to(url: str) -> tuple[sa.Engine, str]:
    """An engine for a URL of the user's, and the URL as messages may show it."""
    try:
        address = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # Neither here nor as the cause is the URL quoted: it may hold a password.
        raise CatalogError(
            "The database URL cannot be read. Write sqlite:///shop.db or "
            "postgresql://user:password@host/database, with %-escapes in the password"
        ) from None
    if address.drivername in ("postgres", "postgresql"):
        address = address.set(drivername=_POSTGRES_DRIVER)
    name = _without_secrets(address)
    return _engine(address, name), name


class DatabaseSource:
    """The rows of a table or a query, as the database streams them."""

    open_ended = False
    total_hint: int | None = None  # counting may take as long as reading

    def __init__(
        self, engine: sa.Engine, name: str, selected: sa.Table | str, columns: Sequence[str]
    ) -> None:
        self.name = name
        self.columns = columns
        self._engine = engine
        self._selected = selected

    def chunks(self, columns: Sequence[str], size: int) -> Iterator[Chunk]:
        """The rows, `size` at a time, with the named columns."""
        with (
            _reading(self._engine, self.name) as connection,
            _select(connection, self._selected, columns, size) as result,
        ):
            names = list(result.keys())
            first = 1
            for part in result.partitions(size):
                rows = [tuple(row) for row in part]
                yield _chunk(names, rows, first)
                first += len(rows)


def _chunk(names: Sequence[str], rows: list[tuple[object, ...]], first: int) -> Chunk:
    values = dict(zip(names, zip(*rows, strict=True), strict=True))
    lines = range(first, first + len(rows))
    return Chunk(values, lines, lambda i: dict(zip(names, rows[i], strict=True)))


def _select(
    connection: sa.Connection, selected: sa.Table | str, columns: Sequence[str], size: int
) -> sa.CursorResult[*tuple[object, ...]]:
    """The rows of a table or query, streamed from the server."""
    streaming = connection.execution_options(stream_results=True, max_row_buffer=size)
    if isinstance(selected, sa.Table):
        return streaming.execute(sa.select(*(selected.columns[name] for name in columns)))
    # As it was written: no %(name)s and :name is a parameter.
    return streaming.execution_options(no_parameters=True).exec_driver_sql(selected)


def _columns_of(connection: sa.Connection, query: str, name: str) -> list[str]:
    with _select(connection, query, (), 1) as result:
        if not result.returns_rows:
            raise CatalogError(f"The query '{query}' returns no rows. Write a SELECT", file=name)
        return list(result.keys())


def _engine(address: sa.URL, name: str) -> sa.Engine:
    try:
        return sa.create_engine(address, poolclass=sa.NullPool)
    except sa.exc.NoSuchModuleError as error:
        raise CatalogError(
            f"{name} is no kind of database SQLAlchemy knows here: {error}", file=name
        ) from error
    except ModuleNotFoundError as error:
        if address.drivername == _POSTGRES_DRIVER:
            raise MissingExtra(f"Reading {name}", "psycopg", "postgres") from error
        raise CatalogError(
            f"{name} needs the Python package {error.name}. "
            f"Install it with: pip install {error.name}",
            file=name,
        ) from error


def _without_secrets(address: sa.URL) -> str:
    """The URL as messages and rejects show it; options may hold a password as well."""
    host = address.query.get("host")
    shown = address.set(password=None, query={"host": host} if host else {})
    return shown.render_as_string(hide_password=True)


def _check_sqlite_file(address: sa.URL, name: str) -> None:
    """SQLite would make a missing file; a source must be there."""
    path = address.database
    if address.get_backend_name() != "sqlite" or "uri" in address.query:
        return
    if not path or path == ":memory:":
        raise CatalogError(f"{name} is an empty database in memory. Name a file", file=name)
    if not Path(path).is_file():
        raise CatalogError(f"{name}: there is no database file {path}", file=name)


def _reflect(connection: sa.Connection, table: str, name: str) -> sa.Table:
    schema, table = schema_and_name(connection, table)
    try:
        return sa.Table(table, sa.MetaData(), schema=schema, autoload_with=connection)
    except sa.exc.NoSuchTableError as error:
        raise CatalogError(
            f"{name} has no table '{error}'. Tables: {_tables(connection)}", file=name
        ) from error


def schema_and_name(bind: sa.Connection | sa.Engine, table: str) -> tuple[str | None, str]:
    """The schema and name of a table as people write it: what stands before the last dot is a
    schema, unless there is a table of the whole name."""
    schema, dot, name = table.rpartition(".")
    if not dot or sa.inspect(bind).has_table(table):
        return None, table
    return schema, name


def _tables(connection: sa.Connection) -> str:
    inspector = sa.inspect(connection)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    more = f" and {len(names) - _SHOWN_TABLES} more" if len(names) > _SHOWN_TABLES else ""
    return (", ".join(names[:_SHOWN_TABLES]) or "none") + more


@contextmanager
def _reading(engine: sa.Engine, name: str) -> Iterator[sa.Connection]:
    """A connection that can only read."""
    with one_error(f"Cannot read {name}"), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        elif engine.dialect.name == "postgresql":
            connection.execution_options(postgresql_readonly=True)
        yield connection


@contextmanager
def one_error(what: str) -> Iterator[None]:
    """What goes wrong with the database inside is one CatalogError: `what`, and the reason."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise CatalogError(f"{what}: {' '.join(str(cause).split())}") from error
