from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.cli.command import refusal, tagmill
from tests.cli.samples import catalogue_rows, read_lines, write_lines


def _exported(workspace: Path, *options: object) -> list[dict[str, Any]]:
    goal = workspace.parent / "exported.jsonl"
    done = tagmill("export", "-o", goal, "-w", workspace, *options)
    assert done.out == ""
    assert "--since" in done.err
    return read_lines(goal)


def test_three_kinds_of_file_hold_the_same(own_shop: Path, tmp_path: Path) -> None:
    lines = _exported(own_shop)
    listed = tagmill("products", "list", "--limit", 999, "-w", own_shop, "--json").json()
    assert {line["id"]: line["tags"] for line in lines} == {
        line["id"]: line["tags"] for line in listed
    }
    assert len(lines) == 496  # those that were tagged, and those that came with tags
    given = {row["id"]: row["tags"] for row in catalogue_rows() if "tags" in row}
    assert given
    for line in lines:
        if line["id"] in given:
            assert {tag["origin"] for tag in line["tags"]} <= {"person"}
    assert set(lines[0]) == {"id", "tags", "seq", "gone"}
    parquet, table = tmp_path / "out.parquet", tmp_path / "out.csv"
    tagmill("export", "-o", parquet, "-w", own_shop)
    tagmill("export", "-o", table, "-w", own_shop)
    rows = pq.read_table(parquet).to_pylist()
    assert [row["id"] for row in rows] == [line["id"] for line in lines]
    assert [[tag["id"] for tag in row["tags"]] for row in rows] == [
        [tag["id"] for tag in line["tags"]] for line in lines
    ]
    assert table.read_bytes().startswith(b"\xef\xbb\xbfid,tags")  # for Excel
    with table.open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [cell["id"] for cell in cells] == [line["id"] for line in lines]
    assert [cell["lanes"] for cell in cells] == [
        "|".join(tag["lane"] for tag in line["tags"]) for line in lines
    ]


def test_since_gives_only_what_changed(own_shop: Path) -> None:
    goal = own_shop.parent / "first.jsonl"
    first = tagmill("export", "-o", goal, "-w", own_shop, "--json").json()
    assert first["products"] == 496
    assert _exported(own_shop, "--since", first["cursor"]) == []
    tagmill("review", "reject", "el-0166", "品类:4K电视", "-w", own_shop)
    (changed,) = _exported(own_shop, "--since", first["cursor"])
    assert changed["id"] == "el-0166"
    assert "4K电视" not in {tag["name"] for tag in changed["tags"]}
    ahead = refusal("export", "-o", goal, "--since", 10**9, "-w", own_shop)
    assert "ahead of" in ahead


def test_the_lane_auto_alone(own_shop: Path) -> None:
    both, auto = _exported(own_shop), _exported(own_shop, "--lane", "auto")
    assert len(both) == len(auto)
    for whole, part in zip(both, auto, strict=True):
        assert [tag for tag in whole["tags"] if tag["lane"] == "auto"] == part["tags"]
    assert any(line["tags"] for line in auto)
    assert "Unknown lane 'all'" in refusal("export", "-o", "x.csv", "--lane", "all", "-w", own_shop)


def _table(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        wanted = "SELECT product_id, tag_id, lane, origin, probability FROM machine_tags"
        return connection.execute(f"{wanted} ORDER BY product_id, tag_id").fetchall()


def test_a_table_beside_the_users_products(own_shop: Path, tmp_path: Path) -> None:
    shop = tmp_path / "users.db"
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("CREATE TABLE products (sku TEXT)")
        connection.execute("INSERT INTO products VALUES ('el-0166')")
    command = ("export", "--to", f"sqlite:///{shop}", "--table", "machine_tags", "-w", own_shop)
    done = tagmill(*command, "--json").json()
    expected = sorted(
        (line["id"], tag["id"], tag["lane"], tag["origin"], tag["probability"])
        for line in _exported(own_shop)
        for tag in line["tags"]
    )
    assert _table(shop) == expected
    tagmill("review", "reject", "el-0166", "品类:4K电视", "-w", own_shop)
    assert tagmill(*command, "--since", done["cursor"], "--json").json()["products"] == 1
    assert len(_table(shop)) == len(expected) - 1
    tagmill(*command)
    assert len(_table(shop)) == len(expected) - 1
    with closing(sqlite3.connect(shop)) as connection:
        assert connection.execute("SELECT * FROM products").fetchall() == [("el-0166",)]
    tagmill("runs", "undo", 1, "-w", own_shop)
    tagmill(*command, "--since", done["cursor"])
    assert {origin for _, _, _, origin, _ in _table(shop)} == {"person"}


def test_discontinued_products_leave_the_table(own_shop: Path, tmp_path: Path) -> None:
    """Also with a full export, as people schedule it."""
    out = tmp_path / "out.db"
    command = ("export", "--to", f"sqlite:///{out}", "--table", "machine_tags", "-w", own_shop)
    tagmill(*command)
    assert "el-0166" in {row[0] for row in _table(out)}
    rows = [row for row in catalogue_rows() if row["id"] != "el-0166"]
    source = write_lines(tmp_path / "smaller.jsonl", rows)
    tagmill("catalog", "sync", source, "-w", own_shop)
    tagmill(*command)
    left = {row[0] for row in _table(out)}
    assert left
    assert "el-0166" not in left
    shown = tagmill("products", "show", "el-0166", "-w", own_shop).out
    assert "Discontinued" in shown


def test_a_table_of_another_form_is_left_alone(own_shop: Path, tmp_path: Path) -> None:
    shop = tmp_path / "users.db"
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("CREATE TABLE product_tags (product_id TEXT, tag TEXT)")
    message = refusal("export", "--to", f"sqlite:///{shop}", "-w", own_shop)
    assert "table 'product_tags'" in message
    assert "no column tag_id" in message


def test_one_goal(shop: Path) -> None:
    assert "one goal" in refusal("export", "-w", shop)
    assert "one goal" in refusal("export", "-o", "x.csv", "--to", "sqlite:///x.db", "-w", shop)
    assert "Known endings" in refusal("export", "-o", "x.xml", "-w", shop)


def test_documents_for_an_engine(shop: Path, tmp_path: Path) -> None:
    command = ("export", "--format", "typesense", "-o", tmp_path / "docs.jsonl", "-w", shop)
    report = tagmill(*command, "--json").json()
    lines = (tmp_path / "docs.jsonl").read_text("utf-8").splitlines()
    assert report["products"] == len(lines) > 400
    assert f"--since {report['cursor']}" in tagmill(*command).err
    assert "-o FILE" in refusal("export", "--format", "gorse", "--to", "sqlite:///x", "-w", shop)
