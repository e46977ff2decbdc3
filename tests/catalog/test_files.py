from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagmill.catalog import open_catalog
from tagmill.errors import CatalogError
from tests.catalog.reading import products, read


def lines_file(folder: Path, *lines: object, name: str = "shop.jsonl") -> Path:
    path = folder / name
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def test_json_lines_with_values_of_every_kind(tmp_path: Path) -> None:
    path = lines_file(
        tmp_path,
        {"id": 12, "title": "高清電視機 4K", "tags": ["颜色:黑", "new"], "attributes": {"寸": 55}},
        {"id": 12.5, "title": 2024, "category": ["家电", "电视"], "tags": [], "image": ["a", "b"]},
        {"id": "x", "title": "", "description": "Soft <b>cotton</b>", "tags": None},
        {"id": "y", "title": "Robe rouge pour les femmes avec manches"},
        {"id": "z", "title": "shirt", "language": "fr-CA"},
    )
    found, bad = read(path)
    assert not bad
    assert [row["id"] for row in found] == ["12", "12.5", "x", "y", "z"]
    assert [row["tags"] for row in found] == [["颜色:黑", "new"], [], None, None, None]
    assert [row["language"] for row in found] == ["zh-Hant", "other", "en", "other", "fr-CA"]
    assert found[0]["attributes"] == [("寸", "55")]
    assert (found[1]["title"], found[1]["category"], found[1]["image"]) == (
        "2024",
        "家电 > 电视",
        "a",
    )
    assert (found[2]["title"], found[2]["description"]) == ("", "Soft cotton")


def test_broken_lines_are_rejects_with_their_line(tmp_path: Path) -> None:
    path = lines_file(
        tmp_path,
        {"id": 1, "title": "a"},
        "",
        '{"id": 2, "title": "b"',
        "[1, 2]",
        {"title": "no id"},
        {"id": 3},
        {"id": 4, "title": {"zh": "x"}},
        {"id": 5, "title": "x", "tags": "颜色:红|new"},
        {"id": 6, "title": "x", "tags": ["颜色:"]},
        {"id": 7, "title": "x", "attributes": 5},
        '{"id": 8, "title": "\\ud800 half a character"}',
        '{"id": 9, "title": "x", "attributes": {"a": "\\udc00"}}',
        {"id": [1], "title": "x"},
        "[" * 100_000,
        {"id": 1, "title": "again"},
        {"id": 3, "title": "fine now"},
    )
    found, bad = read(path)
    assert [(row["id"], row["title"]) for row in found] == [
        ("1", "a"),
        ("5", "x"),
        ("3", "fine now"),
    ]
    assert [(row["line"], row["reason"].split(":")[0].split("(")[0]) for row in bad] == [
        (3, "broken JSON"),
        (4, "[1, 2] is no JSON object"),
        (5, "no id"),
        (6, "no title and no description"),
        (7, "title"),
        (9, "tags"),
        (10, "attributes"),
        (11, "title"),
        (12, "holds broken characters "),
        (13, "id"),
        (14, "broken JSON"),
        (15, "id '1' was there before"),
    ]
    assert bad[0]["row"] == '{"id": 2, "title": "b"'
    assert bad[2]["row"] == {"title": "no id"}


def test_37_broken_of_1000(tmp_path: Path) -> None:
    chance = random.Random(0)
    broken = set(chance.sample(range(2, 1000), 37))
    breakages = ['{"id": ', "null", '{"title": "no id"}', '{"id": "1", "title": "x"}', '{"id":"k"}']
    lines = [
        chance.choice(breakages) if i in broken else json.dumps({"id": f"p{i}", "title": f"t {i}"})
        for i in range(1000)
    ]
    lines[0] = '{"id": "1", "title": "first"}'
    found, bad = read(lines_file(tmp_path, *lines), batch_size=64)
    assert len(found) == 963
    assert [row["line"] for row in bad] == sorted(i + 1 for i in broken)
    assert len({row["id"] for row in found}) == 963


def test_keys_may_come_late_and_unread_ones_are_named(tmp_path: Path) -> None:
    rows = [{"ID": i, "title": "x", "price": 3} for i in range(3000)]
    rows[2999] |= {"description": "late", "weight": 1}
    path = tmp_path / "shop.ndjson.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode("utf-8-sig")))
    catalog = open_catalog(str(path))
    assert products(catalog)[-1]["description"] == "late"
    assert catalog.unread_columns == ["price", "weight"]
    assert catalog.total_hint == 3000


def test_a_broken_beginning_is_read_past(tmp_path: Path) -> None:
    path = lines_file(tmp_path, *["{"] * 1500, {"id": 1, "title": "a"})
    found, bad = read(path)
    assert [row["id"] for row in found] == ["1"]
    assert len(bad) == 1500


def test_parquet_of_the_right_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int64()),
            "title": pa.array(["红色  连衣裙", "shirt", "x"], pa.large_string()),
            "description": ["a<br>b", None, " "],
            "attributes": pa.array(
                [[("颜色", "红")], None, [("a", "1"), ("a", "2")]],
                pa.map_(pa.string(), pa.string()),
            ),
            "category": pa.array(["A", "B", "A"]).dictionary_encode(),
            "tags": [["颜色:红", "new"], [], None],
            "price": [1.0, 2.0, 3.0],
        }
    )
    pq.write_table(table, tmp_path / "shop.parquet")
    catalog = open_catalog(str(tmp_path / "shop.parquet"))
    found = products(catalog)
    assert [row["id"] for row in found] == ["1", "2", "3"]
    assert [row["title"] for row in found] == ["红色 连衣裙", "shirt", "x"]
    assert [row["description"] for row in found] == ["a\nb", None, None]
    assert [row["attributes"] for row in found] == [
        [("颜色", "红")],
        None,
        [("a", "1"), ("a", "2")],
    ]
    assert [row["category"] for row in found] == ["A", "B", "A"]
    assert [row["tags"] for row in found] == [["颜色:红", "new"], [], None]
    assert (catalog.total_hint, catalog.unread_columns) == (3, ["price"])


def test_parquet_of_untidy_and_wrong_types(tmp_path: Path) -> None:
    invalid = pa.Array.from_buffers(
        pa.string(), 5, pa.array([b"a", b"b", b"\xff\xfe", b"d", b"e"]).buffers()
    )
    table = pa.table(
        {
            "id": [1.0, 2.0, 3.0, None, 5.5],
            "title": invalid,
            "attributes": pa.array(
                [{"color": "red", "size": None}, None, None, None, {"color": "", "size": 4}],
                pa.struct([("color", pa.string()), ("size", pa.int32())]),
            ),
            "tags": [["颜色: 红", "颜色:红"], ["颜色:"], None, None, [" x"]],
            "image": [3, None, 4, 5, 6],
        }
    )
    pq.write_table(table, tmp_path / "shop.parquet")
    found, bad = read(tmp_path / "shop.parquet", batch_size=2)
    assert [row["id"] for row in found] == ["1", "5.5"]
    assert [row["attributes"] for row in found] == [[("color", "red")], [("size", "4")]]
    assert [row["tags"] for row in found] == [["颜色:红"], ["x"]]
    assert [row["image"] for row in found] == ["3", "6"]
    assert [(row["line"], row["reason"]) for row in bad] == [
        (2, "tags: '颜色:' names no tag: write facet:name"),
        (3, "title: holds bytes that are not UTF-8"),
        (4, "no id"),
    ]


def test_a_parquet_column_of_a_wrong_type_rejects_its_rows(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "title": [None, ["x"]], "description": ["fine", "also"]})
    pq.write_table(table, tmp_path / "shop.parquet")
    found, bad = read(tmp_path / "shop.parquet")
    assert [row["id"] for row in found] == ["a"]
    assert bad[0]["reason"] == "title: ['x'] is a list, not text"


def test_each_unreadable_file_is_one_clear_error(tmp_path: Path) -> None:
    binary = bytes(range(256)) * 40
    pq.write_table(pa.table({"id": [1], "title": ["x"]}), tmp_path / "good.parquet")
    whole = (tmp_path / "good.parquet").read_bytes()
    files = {
        "empty.csv": (b"", "is empty"),
        "blank.jsonl": (b"\n \n", "is empty"),
        "bom.csv": (b"\xef\xbb\xbf\n", "is empty"),
        "empty.parquet": (b"", "is empty"),
        "binary.csv": (binary, "is a binary file"),
        "binary.jsonl": (binary, "is a binary file"),
        "binary.parquet": (binary, "is no readable Parquet file"),
        "cut.parquet": (whole[:-30], "is no readable Parquet file"),
        "excel.csv": (b"PK\x03\x04" + binary, "is a ZIP or Excel file"),
        "shop.xlsx": (b"PK", "unknown ending '.xlsx'. Save it as CSV"),
        "shop.json": (b"[]", "unknown ending '.json'. Write JSON Lines"),
        "shop.db": (b"SQLite", "sqlite:///"),
        "shop": (b"id,title", "unknown ending 'shop'. Known: .csv,"),
        "array.jsonl": (b'[{"id": 1, "title": "x"}]', "is one JSON array, not JSON Lines"),
        "prose.jsonl": (b"once upon\na time", "holds no JSON object"),
        "quote.csv": (b'id,"title\n1,2\n', "in the header a quote is not closed"),
    }
    for name, (content, message) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CatalogError) as caught:
            open_catalog(str(tmp_path / name))
        assert message in str(caught.value), name
        assert str(tmp_path / name) in str(caught.value), name
        assert caught.value.file == str(tmp_path / name), name
        assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="is a folder"):
        open_catalog(str(tmp_path))
    with pytest.raises(CatalogError, match=r"There is no file .*none\.csv"):
        open_catalog(str(tmp_path / "none.csv"))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(CatalogError, match="no regular file"):
        open_catalog(str(tmp_path / "pipe.csv"))
    with pytest.raises(CatalogError, match="not from a pipe"):
        open_catalog("-")
    (tmp_path / "shop.csv").write_text("id,title\n")
    with pytest.raises(CatalogError, match="--table belongs to a database"):
        open_catalog(str(tmp_path / "shop.csv"), table="products")


def test_a_file_that_breaks_off_is_an_error_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "shop.parquet"
    table = pa.table({"id": [str(i) for i in range(40_000)], "title": ["text"] * 40_000})
    pq.write_table(table, path, row_group_size=10_000, compression="none", use_dictionary=False)
    catalog = open_catalog(str(path), batch_size=1000)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + b"\xff" * 60_000 + whole[middle + 60_000 :])
    with pytest.raises(CatalogError, match="no readable Parquet"):
        products(catalog)
    assert catalog.counts.read > 0
