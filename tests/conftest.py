"""Databases for the tests: SQLite in a file, and a real PostgreSQL of the session's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tagmill.store import Store, open_store


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty store, to be copied: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("store") / "tagmill.db"
    with open_store(f"sqlite:///{path}", create=True):
        pass
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A SQLite file that does not exist yet; in tests of a `store` one that is empty."""
    path = tmp_path / "tagmill.db"
    if "store" in request.fixturenames:
        shutil.copyfile(request.getfixturevalue("sqlite_store"), path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL that may create databases: TAGMILL_TEST_POSTGRES, or one of our own."""
    given = os.environ.get("TAGMILL_TEST_POSTGRES")
    if given:
        yield given
        return
    binaries = _postgres_binaries()
    if binaries is None:
        message = (
            "no PostgreSQL server found under /usr/lib/postgresql or on PATH: install one "
            "(apt-get install postgresql), or set TAGMILL_TEST_POSTGRES to the URL of one"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    # Not pytest's folder: that one is closed to others, and PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="tagmill-pg-"))
    data = folder / "data"
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        _run(binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
             "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        _run(binaries / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            _run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_store(postgres_server: str) -> Iterator[str]:
    """The name of a PostgreSQL database with an empty store, to be copied."""
    with _database(postgres_server, "template0") as url:
        with open_store(url, create=True):
            pass
        yield str(sa.make_url(url).database)


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty PostgreSQL database, for a `store` with its tables; dropped after the test."""
    of_store = "store" in request.fixturenames
    template = request.getfixturevalue("postgres_store") if of_store else "template0"
    with _database(postgres_server, template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """An empty database, of each kind in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store, on each kind of database in turn."""
    with open_store(store_url) as opened:
        yield opened


@contextmanager
def _database(server: str, template: str) -> Iterator[str]:
    """URL of a new PostgreSQL database, a copy of another."""
    name = f"tagmill_{uuid.uuid4().hex[:12]}"
    url = sa.make_url(server)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def _postgres_binaries() -> Path | None:
    """The folder of initdb and pg_ctl, of the newest version that is installed."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name.zfill(4)
    )
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in reversed(folders) if (folder / "initdb").is_file()), None)


def _run(*command: str | Path) -> None:
    user = "postgres" if os.geteuid() == 0 else None
    # To a file: a pipe would stay open as long as the server runs.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            user=user, group=user, extra_groups=[] if user else None, cwd="/",
        )  # fmt: skip
        output.seek(0)
        assert done.returncode == 0, output.read().decode()
