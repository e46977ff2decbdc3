from __future__ import annotations

from pathlib import Path

from tests.cli.command import refusal, tagmill
from tests.cli.samples import catalogue_rows


def test_list_gives_the_products_in_the_order_asked_for(shop: Path) -> None:
    ids = ["ho-0040", "el-0166", "fa-0020"]
    lines = tagmill("products", "list", *ids, "-w", shop, "--json").json()
    assert [line["id"] for line in lines] == ids
    for line in lines:
        assert set(line) == {"id", "title", "tags"}
        for tag in line["tags"]:
            assert set(tag) == {
                "id", "facet", "name", "probability", "calibration", "lane", "evidence", "origin",
            }  # fmt: skip
    first = tagmill("products", "list", "--limit", 3, "-w", shop, "--json").json()
    assert len(first) == 3
    assert first[0]["id"] in tagmill("products", "list", "--limit", 3, "-w", shop).out


def test_show_gives_all_fields(shop: Path) -> None:
    row = next(row for row in catalogue_rows() if row.get("attributes") and row.get("tags"))
    product = tagmill("products", "show", row["id"], "-w", shop, "--json").json()
    assert product["title"] == row["title"]
    assert product["attributes"] == [[key, str(v)] for key, v in row["attributes"].items()]
    assert product["given_tags"] == row["tags"]
    assert {f"{tag['facet']}:{tag['name']}" for tag in product["tags"]} == set(row["tags"])
    assert {(tag["origin"], tag["probability"]) for tag in product["tags"]} == {("person", 1)}
    assert product["language"]
    given = tagmill("products", "show", row["id"], "-w", shop).out
    assert f"Tags it came with: {', '.join(row['tags'])}" in given
    shown = tagmill("products", "show", "el-0166", "-w", shop).out
    assert "高清液晶电视，4K分辨率，HDR功能" in shown
    assert "品类:4K电视" in shown
    assert "model" in shown


def test_an_unknown_id(shop: Path) -> None:
    assert "'nope'" in refusal("products", "show", "nope", "-w", shop)
    assert "'nope'" in refusal("products", "list", "el-0166", "nope", "-w", shop)
