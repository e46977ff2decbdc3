from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tagmill.catalog.writers import SqlWriter, open_writer
from tagmill.errors import CatalogError
from tests.store.samples import RED, entry, product, product_batch


def _write(url: str, table: str, product_id: str) -> None:
    writer = SqlWriter(url, table)
    tag = {**entry(RED, 0.9), "origin": "model"}
    tagged = pa.RecordBatch.from_pylist([{"id": product_id, "tags": [tag]}])
    writer.write(product_batch(product(product_id)), tagged)
    writer.close()


def _ids(url: str, table: sa.TableClause) -> list[str]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(sa.text("product_id")).select_from(table)).all()
    engine.dispose()
    return sorted(str(product_id) for (product_id,) in rows)


def test_a_table_of_a_schema(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS s2")
    _write(postgres_url, "s2.tags", "1")
    _write(postgres_url, "s2.tags", "2")
    assert _ids(postgres_url, sa.table("tags", schema="s2")) == ["1", "2"]
    assert not sa.inspect(engine).has_table("s2.tags")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA s2 CASCADE")
    engine.dispose()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_ids_of_any_length(database: str, request: pytest.FixtureRequest) -> None:
    url = str(request.getfixturevalue(f"{database}_url"))
    _write(url, "long_ids", "x" * 3000)
    assert _ids(url, sa.table("long_ids")) == ["x" * 3000]


def _make_short(url: str) -> None:
    engine = sa.create_engine(url)
    columns = "tag_id text, facet text, name text, probability float, calibration text, lane text"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE short (product_id varchar(255), {columns}, origin text, evidence json)"
        )
    engine.dispose()


def test_sqlite_holds_longer_ids_than_its_column_says(sqlite_url: str) -> None:
    _make_short(sqlite_url)
    _write(sqlite_url, "short", "x" * 256)
    assert _ids(sqlite_url, sa.table("short")) == ["x" * 256]


def test_an_id_that_is_too_long_is_named(postgres_url: str) -> None:
    _make_short(postgres_url)
    with pytest.raises(CatalogError, match="'xxx.* has 256 characters.* holds 255"):
        _write(postgres_url, "short", "x" * 256)


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_what_is_no_file_is_refused(name: str) -> None:
    with pytest.raises(CatalogError, match="tagmill tag FILE --json"), open_writer(Path(name)):
        pass


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    goal = tmp_path / "out.jsonl"
    said = rf"Cannot write '{goal}': No space left on device\. Nothing was written"
    with pytest.raises(CatalogError, match=said), open_writer(goal):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    goal = tmp_path / "out.jsonl"
    code = "from tagmill.catalog.writers import *\nfrom pathlib import Path\nimport os\n"
    code += f"with open_writer(Path({str(goal)!r})) as w: os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = tmp_path.iterdir()
    other = tmp_path / ".out.jsonl-of-mine"
    other.touch()
    with open_writer(goal), open_writer(goal):  # two that write it at once
        assert not left.exists()
        assert len(list(tmp_path.iterdir())) == 3
    assert {path.name for path in tmp_path.iterdir()} == {goal.name, other.name}
