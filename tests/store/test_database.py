from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tagmill.errors import StoreError
from tagmill.store import Store, open_store
from tagmill.store.database import HEAD
from tagmill.store.tables import VERSION_TABLE, metadata
from tests.store.samples import RED, entry, fill, names, tag_run


@pytest.fixture
def plain(store_url: str) -> Iterator[sa.Engine]:
    """The empty database of `store_url`, opened past the store."""
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def test_a_store_is_found_again(store_url: str) -> None:
    with open_store(store_url, create=True) as store:
        fill(store, "p1")
        tag_run(store, {"p1": [entry(RED, 0.9)]})
    with open_store(store_url) as store:
        assert names(store, "p1") == ["红色"]
    with open_store(store_url, create=True) as store:
        assert names(store, "p1") == ["红色"]


def test_the_migrations_make_the_tables(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_revision_in_the_package() -> None:
    folder = resources.files("tagmill.store") / "migrations"
    assert (folder / "env.py").is_file()
    config = Config()
    config.set_main_option("script_location", "tagmill.store:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_an_empty_database_is_not_a_store(store_url: str, plain: sa.Engine) -> None:
    plain.connect().close()  # makes the SQLite file
    with pytest.raises(StoreError, match=r"(not a tagmill|no) database.*tagmill init"):
        open_store(store_url)


def test_the_database_of_something_else_is_left_alone(store_url: str, plain: sa.Engine) -> None:
    with plain.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (id INTEGER)")
    with pytest.raises(StoreError, match="is not a tagmill database"):
        open_store(store_url)
    with pytest.raises(StoreError, match=r"holds other tables \(orders\)"):
        open_store(store_url, create=True)
    assert sa.inspect(plain).get_table_names() == ["orders"]


def test_a_database_of_a_newer_tagmill_is_refused(store_url: str, plain: sa.Engine) -> None:
    open_store(store_url, create=True).close()
    with plain.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer tagmill"):
        open_store(store_url)


def test_a_failed_migration_leaves_nothing(store_url: str, plain: sa.Engine) -> None:
    with plain.begin() as connection:
        # An empty version table is ours; the view clashes with a table the migration makes.
        connection.exec_driver_sql(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32))")
        connection.exec_driver_sql("CREATE VIEW runs AS SELECT 1 AS one")
    with pytest.raises(StoreError, match="runs"):
        open_store(store_url, create=True)
    assert sa.inspect(plain).get_table_names() == [VERSION_TABLE]


def test_two_processes_may_create_a_store_at_once(store_url: str) -> None:
    errors: list[BaseException] = []

    def create() -> None:
        try:
            open_store(store_url, create=True).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with open_store(store_url) as store:
        assert store.products.count() == 0


def test_sqlite_writes_ahead(sqlite_url: str) -> None:
    with open_store(sqlite_url, create=True) as store, store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1


def test_a_store_in_memory(tmp_path: Path) -> None:
    with open_store("sqlite://", create=True) as store:
        fill(store, "p1")
        tag_run(store, {"p1": [entry(RED, 0.9)]})
        assert names(store, "p1") == ["红色"]


def test_a_missing_file_is_named_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "missing.db"
    with pytest.raises(StoreError, match=rf"{path}\. Make one with: tagmill init"):
        open_store(f"sqlite:///{path}")
    assert not path.exists()
    with pytest.raises(StoreError, match="folder exists"):
        open_store(f"sqlite:///{tmp_path}/no/folder.db", create=True)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "image.db"
    path.write_bytes(bytes(range(256)) * 64)
    for create in (False, True):
        with pytest.raises(StoreError, match="not a database") as refused:
            open_store(f"sqlite:///{path}", create=create)
        assert "\n" not in str(refused.value)
    assert path.read_bytes() == bytes(range(256)) * 64


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://lin:geheim@127.0.0.1:1/shop",
        "postgresql://lin@127.0.0.1:1/shop?password=geheim",
        "postgresql://lin:geheim@127.0.0.1:geheim/shop",
        "postgresql://lin:geh/eim@127.0.0.1:1/shop",
        "mysql://lin:geheim@127.0.0.1/shop",
        "geheim",
    ],
)
def test_an_unreachable_database_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        open_store(url)
    message = str(refused.value)
    assert "\n" not in message
    assert "eim" not in message
    shown: BaseException | None = refused.value
    while shown is not None:
        assert "eim" not in str(shown)
        shown = shown.__cause__


def test_the_unreachable_server_is_named() -> None:
    with pytest.raises(StoreError, match=r"//lin@127\.0\.0\.1:1/shop.*Check database\.url"):
        open_store("postgresql+psycopg://lin:geheim@127.0.0.1:1/shop")


def test_a_backup_is_a_store(sqlite_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with open_store(sqlite_url, create=True) as store:
        fill(store, "p1")
        tag_run(store, {"p1": [entry(RED, 0.9)]})
        store.backup(copy)
        tag_run(store, {"p1": []}, "second")
        with pytest.raises(StoreError, match="there already"):
            store.backup(copy)
        with pytest.raises(StoreError, match=r"no/copy\.db"):
            store.backup(tmp_path / "no" / "copy.db")
    with open_store(f"sqlite:///{copy}") as restored:
        assert names(restored, "p1") == ["红色"]
    assert sorted(path.name for path in tmp_path.iterdir() if "unfinished" in path.name) == []


def test_postgres_is_backed_up_by_its_own_tool(postgres_url: str) -> None:
    url = postgres_url.replace("postgres@", "postgres:geheim@") + "&sslpassword=geheim"
    with open_store(url, create=True) as store, pytest.raises(StoreError) as refused:
        store.backup(Path("my copy.dump"))
    message = str(refused.value)
    assert "pg_dump --format=custom --file='my copy.dump'" in message
    assert "'postgresql://postgres@/tagmill_" in message
    assert "geheim" not in message
    assert "***" not in message


def test_a_writer_waits_and_a_reader_does_not(store: Store) -> None:
    fill(store, "p1")
    run = store.runs.start("tag", "s")
    started, seen = threading.Event(), list[int]()

    def write_other() -> None:
        started.set()
        store.runs.finish(run)

    with store._database.write() as connection:
        connection.execute(sa.text("UPDATE runs SET model = 'held' WHERE id = 1"))
        thread = threading.Thread(target=write_other)
        thread.start()
        assert started.wait(10)
        seen.append(store.products.count())
        assert store.runs.get(run.id).model == ""
    thread.join(30)
    assert seen == [1]
    finished = store.runs.get(run.id)
    assert (finished.status, finished.model) == ("finished", "held")


WRITER = """
import sys
from tagmill.store import open_store
from tests.store.samples import RED, entry, tagged_batch

with open_store(sys.argv[1]) as store:
    run = store.runs.start("tag", "s")
    for batch in store.products.pending("s", batch_size=10):
        ids = batch.column("id").to_pylist()
        tags = {product_id: [entry(RED, 0.9)] for product_id in ids}
        store.assignments.write(run, batch, tagged_batch(tags), "model")
        print(run.id, flush=True)
"""


def test_a_killed_writer_loses_at_most_the_chunk_in_flight(store_url: str) -> None:
    ids = [f"p{number:05}" for number in range(20_000)]
    with open_store(store_url, create=True) as store:
        fill(store, *ids)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, store_url],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert writer.stdout is not None
    told = [writer.stdout.readline() for _ in range(3)]
    writer.send_signal(signal.SIGKILL)
    told += writer.stdout.readlines()
    writer.stdout.close()
    assert writer.wait(30) == -signal.SIGKILL
    with open_store(store_url) as store:
        run = store.runs.start("tag", "s")
        assert [run.id] * len(told) == [int(line) for line in told]
        done = run.counts["products"]
        assert done in (10 * len(told), 10 * len(told) + 10)
        assert 0 < done < len(ids)
        assert run.counts["tags"] == done
        pending = [batch.column("id").to_pylist() for batch in store.products.pending("s")]
        assert [product_id for page in pending for product_id in page] == ids[done:]
        assert store.assignments.tag_counts() == {RED.id: done}
        assert store.runs.undo(run.id).products == done


def test_sqlite_survives_the_kill_without_its_shared_memory(sqlite_url: str) -> None:
    """A copy of database and log, as a killed process leaves them, opens with all commits."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with open_store(sqlite_url, create=True) as store:
        fill(store, "p1")
        copy = path.with_name("left.db")
        copy.write_bytes(path.read_bytes())
        wal = path.with_name(path.name + "-wal")
        copy.with_name("left.db-wal").write_bytes(wal.read_bytes())
    with open_store(f"sqlite:///{copy}") as store:
        assert store.products.count() == 1
    check = sqlite3.connect(copy)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_names_stay_when_a_database_is_brought_up_to_date(
    store_url: str, plain: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagmill.store.database.HEAD", "0007")
    open_store(store_url, create=True).close()
    rows = [("颜色", "红色", "a"), ("颜色", "red", "a"), ("材质", "red", "b")]
    with plain.begin() as connection:
        for facet, form, tag_id in rows:
            connection.exec_driver_sql(
                f"INSERT INTO tag_names (facet, normal_form, tag_id) "
                f"VALUES ('{facet}', '{form}', '{tag_id}')"
            )
        found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
        assert found == "0007"
    monkeypatch.undo()
    with open_store(store_url) as store:
        assert {store.library.find(facet, form) for facet, form, _ in rows} == {"a", "b"}
        assert store.library.find("材质", "red") == "b"
        assert store.library.find("材质", "红色") is None
