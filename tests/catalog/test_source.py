from __future__ import annotations

import json
from pathlib import Path

from tagmill.catalog import open_catalog
from tests.catalog.reading import products


def test_the_rejects_file_is_that_of_the_last_reading(tmp_path: Path) -> None:
    path, rejects = tmp_path / "shop.csv", tmp_path / "out" / "shop.rejects.jsonl"
    path.write_text("id,title\n1,a\n,b\n")
    catalog = open_catalog(str(path), rejects=rejects)
    assert not rejects.exists()
    for _ in range(2):  # reading again counts anew
        assert [row["id"] for row in products(catalog)] == ["1"]
        assert (catalog.counts.read, catalog.counts.rejected) == (2, 1)
    assert catalog.rejects_path == rejects
    assert [json.loads(line) for line in rejects.read_text().splitlines()] == [
        {"file": str(path), "line": 3, "reason": "no id", "row": {"id": "", "title": "b"}}
    ]
    path.write_text("id,title\n1,a\n2,b\n")
    products(open_catalog(str(path), rejects=rejects))
    assert not rejects.exists()


def test_without_a_rejects_file_rejects_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("id,title\n1,a\n,b\n")
    catalog = open_catalog(str(path))
    assert len(products(catalog)) == 1
    assert catalog.counts.rejected == 1
    assert list(tmp_path.iterdir()) == [path]


def test_control_characters_and_nul_do_not_get_through(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    row = {"id": "1\u0000", "title": "a\u0000b\u200ac\u3000d\u0007", "description": "x\u0000y\nz",
           "attributes": {"k\u0000": "v\u0000"}, "tags": ["a\u0000:b"]}  # fmt: skip
    path.write_text(json.dumps(row) + "\n")
    (product,) = products(open_catalog(str(path)))
    assert product["title"] == "a b c d"
    assert product["description"] == "x y\nz"
    assert product["attributes"] == [("k", "v")]
    assert product["tags"] == ["a:b"]
    assert product["id"] == "1"


def test_rejects_that_cannot_be_written_stop_nothing(tmp_path: Path) -> None:
    source = tmp_path / "shop.jsonl"
    source.write_text('{"id": "1", "title": "shirt"}\n{"id": "", "title": "no id"}\n')
    catalog = open_catalog(str(source), rejects=source / "below" / "rejects.jsonl")
    assert sum(batch.num_rows for batch in catalog) == 1
    assert (catalog.counts.read, catalog.counts.rejected) == (2, 1)
    assert catalog.counts.unwritable == "Not a directory"
    assert catalog.counts.first_reject.startswith("2: ")


def test_a_number_that_is_not_read_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("id,title,p,stock\n1,a,call us,1\n2,b,4/5,2\n3,c,3,x1y2\n,d,4/5,1\n")
    names = {"numbers.price": "p", "numbers.stock": "stock"}
    catalog = open_catalog(str(path), mapping=names)
    assert [row["numbers"] for row in products(catalog)] == [
        [("stock", 1.0)], [("stock", 2.0)], [("price", 3.0)],
    ]  # fmt: skip
    assert (catalog.counts.rejected, catalog.counts.unread) == (1, 2)
    assert catalog.counts.first_unread == "3: numbers: price: '4/5' is not a number"
