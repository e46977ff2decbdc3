"""Opening the one database: SQLite in a file, or PostgreSQL; its tables brought up to date."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import sqlalchemy as sa

from tagmill.errors import StoreError
from tagmill.store.assignments import Assignments
from tagmill.store.connection import Database, without_password
from tagmill.store.descriptions import Descriptions
from tagmill.store.events import Events
from tagmill.store.library import LibraryStore
from tagmill.store.products import Products
from tagmill.store.proposals import Proposals
from tagmill.store.replies import Answers, Replies
from tagmill.store.review import Review
from tagmill.store.runs import Runs, UndoReport
from tagmill.store.searches import Searches
from tagmill.store.tables import VERSION_TABLE
from tagmill.store.verdicts import Verdicts

__all__ = ["HEAD", "Store", "has_store", "open_store"]

HEAD = "0010"  # the newest revision; reading it from the migrations would import Alembic each time
_MIGRATION_LOCK = 0x7461676D  # PostgreSQL's advisory locks of ours
_TAGGING_LOCK, _DESCRIBING_LOCK = _MIGRATION_LOCK + 1, _MIGRATION_LOCK + 2


class Store:
    """Everything tagmill keeps, by what it is about. Close it, or use it in a `with`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.products = Products(database)
        self.library = LibraryStore(database)
        self.runs = Runs(database)
        self.assignments = Assignments(database)
        self.verdicts = Verdicts(database)
        self.review = Review(database)
        self.replies = Replies(database)
        self.answers = Answers(database)
        self.descriptions = Descriptions(database)
        self.proposals = Proposals(database)
        self.searches = Searches(database)
        self.events = Events(database)

    def undo_change(self, version: int, *, who: str = "", why: str = "") -> list[UndoReport]:
        """Take a change of the library back together with the runs that were made for it.

        All or nothing; products that later runs tagged keep those tags. Raises LibraryError for a
        change that is not there, TagConflict where later changes rest on it, and lists them.
        """
        with self._database.write() as connection:
            made = self.runs.of_change(connection, version)
            undone = [self.runs.undo_within(connection, run_id, keep_later=True) for run_id in made]
            self.library.undo_within(connection, version, who=who, why=why)
            self.proposals.reopen_within(connection, version)
        return undone

    @contextmanager
    def tagging(self) -> Iterator[None]:
        """The right to tag the products that need it, of one process at a time.

        Raises StoreError where another has it. Changes of the library need no such right.
        """
        with self._database.alone("tagging", _TAGGING_LOCK) as is_alone:
            if not is_alone:
                raise StoreError(
                    f"Another process is tagging the products of {self._database.name}. Wait until "
                    "it is done; what it has tagged is not tagged again"
                )
            yield

    @contextmanager
    def describing(self) -> Iterator[None]:
        """The right to have all products described, of one process at a time: two would pay twice.

        Raises StoreError where another has it.
        """
        with self._database.alone("describing", _DESCRIBING_LOCK) as is_alone:
            if not is_alone:
                raise StoreError(
                    f"Another process has all products of {self._database.name} described. Wait "
                    "until it is done; what it was answered is not asked again"
                )
            yield

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, for reading what has no method here."""
        return self._database.engine

    def backup(self, path: Path) -> None:
        """Copy a SQLite database to one file, also while others write to it.

        Raises StoreError where the file exists already, and on PostgreSQL, where it names the
        command that does it.
        """
        database = self._database
        if not database.is_sqlite:
            url = without_password(database.url).set(drivername="postgresql")
            url = url.difference_update_query(["password", "sslpassword", "passfile"])
            goal = shlex.quote(url.render_as_string())
            raise StoreError(
                "tagmill backs up SQLite only. For PostgreSQL run: pg_dump --format=custom "
                f"--file={shlex.quote(str(path))} {goal}"
            )
        if path.exists():
            raise StoreError(f"{path} is there already. Name a file that does not exist")
        temporary = path.with_name(f".{path.name}-unfinished")
        try:
            try:
                with database.read() as connection:
                    source = connection.connection.driver_connection
                    assert isinstance(source, sqlite3.Connection)
                    _copy(source, temporary)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)  # where the goal is below a file, an error too
        except OSError as error:
            raise StoreError(f"Cannot write '{path}': {error.strerror}") from error

    def close(self) -> None:
        """Give up the connections."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _copy(source: sqlite3.Connection, path: Path) -> None:
    path.touch()  # fails with the system's own words where SQLite only says "unable to open"
    copy = sqlite3.connect(path)
    try:
        source.backup(copy)
    finally:
        copy.close()


def open_store(url: str, *, create: bool = False) -> Store:
    """The store at a SQLAlchemy URL, its tables brought up to date; with `create` a new one.

    Raises StoreError where there is none or it cannot be reached, where the database is not
    tagmill's or belongs to a newer tagmill, or where `create` would mix with other tables.
    """
    database = Database(url)
    try:
        _open(database, create)
    except BaseException:
        database.close()
        raise
    return Store(database)


def has_store(url: str) -> bool:
    """Whether there is a tagmill database at a URL; StoreError where it cannot be reached."""
    database = Database(url)
    try:
        if database.file is not None and not database.file.is_file():
            return False
        with database.read() as connection:
            return _revision(connection) is not None
    finally:
        database.close()


def _open(database: Database, create: bool) -> None:
    file = database.file
    if file is not None and not create and not file.is_file():
        raise StoreError(
            f"There is no database {file}. Make one with: tagmill init, or put a backup in its "
            "place"
        )
    with database.read() as connection:
        revision = _revision(connection)
        tables = [] if revision else sa.inspect(connection).get_table_names()
    if revision == HEAD:
        return
    if revision is None:
        _check_empty(database, create, tables)
        if database.is_sqlite:
            database.use_write_ahead_log()
    elif revision > HEAD:
        raise StoreError(
            f"{database.name} was made by a newer tagmill (revision {revision}, known up to "
            f"{HEAD}). Upgrade with: pip install -U tagmill"
        )
    _migrate(database)


def _revision(connection: sa.Connection) -> str | None:
    """The revision of a tagmill database; None if it is not one."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    return None if found is None else str(found)


def _check_empty(database: Database, create: bool, tables: list[str]) -> None:
    if not create:
        raise StoreError(f"{database.name} is not a tagmill database. Make one with: tagmill init")
    others = sorted(name for name in tables if name != VERSION_TABLE)
    if others:
        shown = ", ".join(others[:3]) + (" …" if len(others) > 3 else "")
        raise StoreError(
            f"{database.name} holds other tables ({shown}). Give tagmill a database of its own; "
            "read products from this one with: tagmill catalog import"
        )


def _migrate(database: Database) -> None:
    """Run the missing revisions, all or none; of two processes at once, the second finds none."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "tagmill.store:migrations")
    with database.migrating(_MIGRATION_LOCK) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
