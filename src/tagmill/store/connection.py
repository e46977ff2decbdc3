"""One door to SQLite and PostgreSQL: transactions, bulk rows, and errors as StoreError."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import StaticPool

from tagmill.errors import MissingExtra, StoreError
from tagmill.store.tables import counters

__all__ = ["Database", "Found", "now", "to_json", "without_password"]

Row = tuple[Any, ...]
Found = sa.Row[*tuple[Any, ...]]  # a row that was selected

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _from_json(text: str) -> Any:  # noqa: ANN401
    """What most rows hold is nothing, and is not parsed."""
    return [] if text == "[]" else {} if text == "{}" else json.loads(text)


_LOCK_SECONDS = 60  # how long a writer waits for another one
_CONNECT_SECONDS = 10
_WRITING = "tagmill_writing"


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Database:
    """An engine with transactions for reading and writing; `name` is its URL without secrets.

    Raises StoreError for a URL that cannot be used, MissingExtra without PostgreSQL's driver.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.name = _without_secrets(self.url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = self._engine()
        self._compiled: dict[sa.Select[Any], sa.Compiled] = {}

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database; None for one in memory, or on PostgreSQL."""
        path = self.url.database
        return Path(path) if self.is_sqlite and path and path != ":memory:" else None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the database; keep it short."""
        with self._translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def value(self, statement: sa.Select[Any], values: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """The first value of the first of `rows`; None where there is none."""
        rows = self.rows(statement, values)
        return rows[0][0] if rows else None

    def rows(self, statement: sa.Select[Any], values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows that a statement kept by its caller selects.

        It is asked of the driver: what SQLAlchemy adds takes five times as long as SQLite itself.
        """
        asked = self._compiled.get(statement)
        if asked is None:
            asked = self._compiled[statement] = statement.compile(dialect=self.engine.dialect)
        order = getattr(asked, "positiontup", None)
        with self._translated():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(str(asked), [values[key] for key in order] if order else values)
                rows: Sequence[Row] = cursor.fetchall()
                cursor.close()
            finally:
                connection.close()
        return rows

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction, alone among writers; it is committed at the end, or leaves nothing."""
        engine = self.engine.execution_options(**{_WRITING: True})
        with self._translated(), engine.begin() as connection:
            if not self.is_sqlite:  # SQLite's BEGIN IMMEDIATE has the lock already
                seq = sa.select(counters.c.value).where(counters.c.name == "seq")
                connection.execute(seq.with_for_update())
            yield connection

    @contextmanager
    def migrating(self, lock: int) -> Iterator[sa.Connection]:
        """A transaction that may change tables; another process's waits for it."""
        engine = self.engine.execution_options(**{_WRITING: True})
        with self._translated(), engine.begin() as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
            yield connection

    @contextmanager
    def alone(self, what: str, lock: int) -> Iterator[bool]:
        """Whether no other process is within; who is killed is within no longer.

        Readers and writers go on beside it: it is PostgreSQL's advisory `lock`, or that of a file
        beside SQLite's. In memory there is nobody else.
        """
        if self.is_sqlite and self.file is None:
            yield True
            return
        with ExitStack() as held:
            with self._translated():
                is_alone = self._hold(held, what, lock)
            yield is_alone

    def _hold(self, held: ExitStack, what: str, lock: int) -> bool:
        """Take the lock of `alone`; False: another process has it."""
        if not self.is_sqlite:
            connection = held.enter_context(self.engine.connect())
            connection.execution_options(isolation_level="AUTOCOMMIT")
            if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(lock))):
                return False
            held.callback(connection.execute, sa.select(sa.func.pg_advisory_unlock(lock)))
            return True
        # A database of nothing: SQLite locks files everywhere, and the system unlocks the dead's.
        file = sqlite3.connect(f"{self.file}-{what}", timeout=0, isolation_level=None)
        held.callback(file.close)
        try:
            file.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                return False
            raise
        return True

    def use_write_ahead_log(self) -> None:
        """Let readers and a writer of a SQLite file work at once; it stays with the file.

        SQLite does not wait for another process here, as it does elsewhere: this does.
        """
        given_up = time.monotonic() + _LOCK_SECONDS
        with self._translated():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                while True:
                    try:
                        cursor.execute("PRAGMA journal_mode = WAL")
                        break
                    except sqlite3.OperationalError:
                        if time.monotonic() > given_up:
                            raise
                        time.sleep(0.02)
                cursor.close()
            finally:
                connection.close()

    def next_seq(self, connection: sa.Connection, count: int) -> int:
        """The first of `count` sequence numbers, of the transaction of `connection`."""
        return self.count_up(connection, "seq", count) - count + 1

    def count_up(self, connection: sa.Connection, name: str, count: int) -> int:
        """What a counter comes to."""
        counter = sa.update(counters).where(counters.c.name == name)
        changed = counter.values(value=counters.c.value + count).returning(counters.c.value)
        return int(connection.execute(changed).scalar_one())

    def among(
        self, column: sa.ColumnElement[Any], values: Iterable[str | int]
    ) -> sa.ColumnElement[bool]:
        """The condition that a column is one of any number of values: one parameter for all."""
        values = list(values)
        if self.is_sqlite:
            each = sa.func.json_each(to_json(values)).table_valued("value")
            return column.in_(sa.select(each.c.value))
        kind = postgresql.ARRAY(sa.BigInteger if isinstance(column.type, sa.Integer) else sa.Text)
        return column == sa.any_(sa.bindparam(None, values, type_=kind))

    def insert(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: list[Row]
    ) -> None:
        """Add rows, whose JSON is already text: executemany on SQLite, COPY on PostgreSQL."""
        if not rows:
            return
        names = ", ".join(columns)
        if self.is_sqlite:
            places = ", ".join("?" * len(columns))
            connection.exec_driver_sql(
                f"INSERT INTO {table.name} ({names}) VALUES ({places})", rows
            )
            return
        cursor = connection.connection.cursor()
        try:
            with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        finally:
            cursor.close()

    def update(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: list[Row]
    ) -> None:
        """Set `columns` of the rows of these ids; each row holds their values, then its id."""
        if not rows:
            return
        if self.is_sqlite:
            values = ", ".join(f"{name} = ?" for name in columns)
            connection.exec_driver_sql(f"UPDATE {table.name} SET {values} WHERE id = ?", rows)
            return
        names = [*columns, "id"]
        kinds = [table.c[name].type.compile(connection.dialect) for name in names]
        sent = ["TEXT" if kind in ("JSON",) or "TEXT" in kind else kind for kind in kinds]
        values = ", ".join(
            f"{name} = CAST(new.{name} AS {kind})"
            for name, kind in zip(columns, kinds, strict=False)
        )
        arrays = ", ".join(f"%s::{kind}[]" for kind in sent)
        connection.exec_driver_sql(
            f"UPDATE {table.name} SET {values} FROM unnest({arrays}) AS new({', '.join(names)}) "
            f"WHERE {table.name}.id = new.id",
            tuple(list(column) for column in zip(*rows, strict=True)),
        )

    def close(self) -> None:
        """Give up all connections."""
        self.engine.dispose()

    def _engine(self) -> sa.Engine:
        if not self.is_sqlite:
            try:
                return sa.create_engine(
                    self.url,
                    json_serializer=to_json,
                    json_deserializer=_from_json,
                    connect_args={"connect_timeout": _CONNECT_SECONDS},
                )
            except ImportError as error:
                raise MissingExtra("a PostgreSQL database", "psycopg", "postgres") from error
        options: dict[str, Any] = {} if self.file else {"poolclass": StaticPool}
        engine = sa.create_engine(
            self.url,
            json_serializer=to_json,
            json_deserializer=_from_json,
            connect_args={"timeout": _LOCK_SECONDS, "check_same_thread": False},
            **options,
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def _translated(self) -> Iterator[None]:
        driver = self.engine.dialect.loaded_dbapi
        try:
            yield
        except (sa.exc.DBAPIError, driver.Error) as error:
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise StoreError(f"{self.name}: {_explain(cause)}") from error
        except sa.exc.TimeoutError as error:
            raise StoreError(
                f"{self.name}: all connections are in use. Try again in a moment"
            ) from error


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # Its own message may quote a password, so it is not kept as the cause.
        raise StoreError(
            "database.url cannot be read. Write sqlite:///file.db or "
            "postgresql+psycopg://user:password@host/name, with %-escapes in the password"
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise StoreError(
            f"tagmill cannot keep its data in {parsed.drivername}. Known: sqlite, "
            "postgresql+psycopg"
        )
    return parsed


def without_password(url: sa.URL) -> sa.URL:
    """The URL without its password; one among its options stays."""
    return sa.URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database, url.query
    )


def _without_secrets(url: sa.URL) -> str:
    # Options after ? may hold a password as well; only PostgreSQL's socket folder helps a reader.
    options = {"host": url.query["host"]} if "host" in url.query else {}
    return without_password(url).set(query=options).render_as_string()


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    for setting in ("synchronous = NORMAL", "cache_size = -65536", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {setting}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer that begins as a reader cannot wait for another writer, it fails at once.
    writing = connection.get_execution_options().get(_WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _explain(error: BaseException | None) -> str:
    text = " ".join(str(error).split()).rstrip(".?")
    if "locked" in text:
        return f"{text}. Another process is writing; try again when it is done"
    if "unable to open" in text:
        return f"{text}. Check that the folder exists and can be written"
    if "connect" in text:
        return f"{text}. Check database.url, and that the server runs"
    return text
