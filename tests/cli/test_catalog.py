from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.cli.command import refusal, tagmill
from tests.cli.samples import CATALOGUE, DRESS, SHIRT, TELEVISION, read_lines, write_lines

NONE = {"new": 0, "changed": 0, "unchanged": 0, "returned": 0, "gone": 0, "rejected": 0}


def test_import_tells_new_changed_and_unchanged(workspace: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "products.jsonl", [DRESS, SHIRT])
    command = ("catalog", "import", source, "-w", workspace, "--json")
    assert tagmill(*command).json() == {**NONE, "new": 2}
    assert tagmill(*command).json() == {**NONE, "unchanged": 2}
    write_lines(source, [{**DRESS, "title": "蓝色连衣裙"}, TELEVISION])
    assert tagmill(*command).json() == {**NONE, "new": 1, "changed": 1}
    assert tagmill("products", "show", "s1", "-w", workspace, "--json").json()["gone"] is False
    done = tagmill("catalog", "import", source, "-w", workspace)
    assert done.out.startswith("0 new, 0 changed, 2 unchanged")
    assert done.err == ""


def test_sync_takes_discontinued_products_out_and_back_in(own_shop: Path, tmp_path: Path) -> None:
    lines = CATALOGUE.read_text(encoding="utf-8").splitlines(keepends=True)
    source = tmp_path / "catalogue.jsonl"
    source.write_text("".join(line for line in lines if "el-0166" not in line), encoding="utf-8")
    goal = tmp_path / "out.jsonl"
    cursor = tagmill("export", "-o", goal, "-w", own_shop, "--json").json()["cursor"]
    assert "el-0166" in {line["id"] for line in read_lines(goal)}
    before = tagmill("products", "list", "el-0166", "-w", own_shop, "--json").json()

    command = ("catalog", "sync", source, "-w", own_shop, "--json")
    assert tagmill(*command).json() == {**NONE, "unchanged": 495, "gone": 1}
    assert tagmill(*command).json() == {**NONE, "unchanged": 495}
    tagmill("export", "-o", goal, "-w", own_shop)
    assert "el-0166" not in {line["id"] for line in read_lines(goal)}
    tagmill("export", "-o", goal, "--since", cursor, "-w", own_shop)
    assert [(line["id"], line["gone"], line["tags"]) for line in read_lines(goal)] == [
        ("el-0166", True, [])
    ]
    assert tagmill("products", "show", "el-0166", "-w", own_shop, "--json").json()["gone"] is True

    source.write_text("".join(lines), encoding="utf-8")
    assert tagmill(*command).json() == {**NONE, "unchanged": 495, "returned": 1}
    assert tagmill("products", "list", "el-0166", "-w", own_shop, "--json").json() == before


def test_a_database_with_its_own_columns(workspace: Path, tmp_path: Path) -> None:
    shop = tmp_path / "shop.db"
    with sqlite3.connect(shop) as connection:
        connection.execute("CREATE TABLE goods (sku TEXT, label TEXT, colour TEXT, stock INT)")
        rows = [("a", "连衣裙", "红色", 1), ("b", "T恤", "蓝色", 0)]
        connection.executemany("INSERT INTO goods VALUES (?, ?, ?, ?)", rows)
    connection.close()
    settings = workspace / "tagmill.toml"
    text = settings.read_text(encoding="utf-8")
    mapping = '[catalog.map]\nid = "sku"\n"attributes.颜色" = "colour"\n'
    settings.write_text(text.replace("[catalog.map]\n", mapping), encoding="utf-8")
    command = ("catalog", "import", f"sqlite:///{shop}", "-w", workspace, "--map", "title=label")
    done = tagmill(*command, "--table", "goods", "--json")
    assert done.json() == {**NONE, "new": 2}
    assert "stock" in done.err
    assert tagmill("products", "show", "a", "-w", workspace, "--json").json()["attributes"] == [
        ["颜色", "红色"]
    ]
    query = "SELECT * FROM goods WHERE stock > 0"
    assert tagmill(*command, "--query", query, "--json").json() == {**NONE, "unchanged": 1}
    assert "goods" in refusal(*command, "--table", "nope")


def test_broken_rows_go_to_a_rejects_file_of_the_workspace(workspace: Path, tmp_path: Path) -> None:
    source = tmp_path / "mixed.jsonl"
    source.write_text('{"id": "1", "title": "red dress"}\n{"id": \n{"title": "no id"}\n', "utf-8")
    done = tagmill("catalog", "import", source, "-w", workspace, "--json")
    assert done.json() == {**NONE, "new": 1, "rejected": 2}
    rejects = workspace / "mixed.jsonl.rejects.jsonl"
    assert str(rejects) in done.err
    assert [reject["line"] for reject in read_lines(rejects)] == [2, 3]


def test_a_source_without_products_takes_nothing_out(workspace: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "products.jsonl", [DRESS, SHIRT])
    command = ("catalog", "sync", source, "-w", workspace)
    tagmill(*command)
    write_lines(source, [{"id": "", "title": "no id"}])
    assert tagmill(*command, "--json").json() == {**NONE, "rejected": 1}
    assert "nothing was taken out" in tagmill(*command).err
    source.write_text("nothing here\n", encoding="utf-8")
    assert "holds no JSON object" in refusal(*command)
    for product_id in ("d1", "s1"):
        product = tagmill("products", "show", product_id, "-w", workspace, "--json").json()
        assert product["gone"] is False


def test_names_that_the_library_lacks_wait_as_proposals(workspace: Path, tmp_path: Path) -> None:
    rows = [
        {**DRESS, "id": "a", "tags": ["颜色:咕噜红", "颜色:紅色"]},
        {**DRESS, "id": "b", "tags": ["Color:咕噜红"]},
        {**DRESS, "id": "c", "tags": ["颜色:哈密红"]},
    ]
    source = write_lines(tmp_path / "products.jsonl", rows)
    command = ("catalog", "import", source, "-w", workspace)
    assert "2 new names noted" in tagmill(*command).err
    assert tagmill(*command).err == ""
    waiting = tagmill("library", "proposals", "-w", workspace, "--json").json()
    assert [(one["facet"], one["name"], one["support"]) for one in waiting] == [
        ("颜色", "咕噜红", 2)
    ]
