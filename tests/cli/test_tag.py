from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tagmill as package
from tagmill.records import TAGGED_SCHEMA, parse_tag_cell
from tests.cli.command import refusal, tagmill
from tests.cli.samples import (
    CATALOGUE,
    DRESS,
    NOTHING,
    SHIRT,
    TELEVISION,
    catalogue_rows,
    read_lines,
    write_lines,
)

TAG_KEYS = ["id", "facet", "name", "probability", "calibration", "lane", "evidence"]
PRODUCTS: list[dict[str, Any]] = [TELEVISION, DRESS, NOTHING, SHIRT]


@pytest.fixture
def products(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "products.jsonl", PRODUCTS)


def _field(product: dict[str, Any], name: str) -> str:
    """The text of a field, as evidence names it."""
    if name.startswith("attributes."):
        return str(product["attributes"][name.removeprefix("attributes.")])
    return str(product[name])


def test_lines_have_the_fixed_form(model: Path, tmp_path: Path) -> None:
    goal = tmp_path / "out.jsonl"
    done = tagmill("tag", CATALOGUE, "--model", model, "--top-k", 10, "--lane", "all", "-o", goal)
    assert done.out == ""
    lines, rows = read_lines(goal), catalogue_rows()
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    seen: dict[str, set[str]] = {"calibration": set(), "lane": set()}
    for line, row in zip(lines, rows, strict=True):
        assert list(line) == ["id", "tags"]
        assert len(line["tags"]) == 10
        assert len({tag["id"] for tag in line["tags"]}) == 10
        probabilities = [tag["probability"] for tag in line["tags"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(0 <= probability <= 1 for probability in probabilities)
        for tag in line["tags"]:
            assert list(tag) == TAG_KEYS
            assert len(tag["id"]) == 16
            assert int(tag["id"], 16) >= 0
            seen["calibration"].add(tag["calibration"])
            seen["lane"].add(tag["lane"])
            assert tag["lane"] != "auto" or tag["calibration"] == "fitted"
            assert tag["evidence"] is None or tag["evidence"]
            for span in tag["evidence"] or ():
                assert list(span) == ["field", "start", "end", "text"]
                if not span["field"].startswith("attributes."):
                    assert _field(row, span["field"])[span["start"] : span["end"]] == span["text"]
    assert seen["lane"] == {"auto", "review", "rejected"}
    assert seen["calibration"] <= {"fitted", "prior"}


@pytest.mark.parametrize(("lane", "lanes"), [("auto", {"auto"}), ("review", {"auto", "review"})])
def test_a_lane_is_a_part_of_all(model: Path, tmp_path: Path, lane: str, lanes: set[str]) -> None:
    everything, part = tmp_path / "all.jsonl", tmp_path / "part.jsonl"
    tagmill("tag", CATALOGUE, "--model", model, "--lane", "all", "--top-k", 50, "-o", everything)
    tagmill("tag", CATALOGUE, "--model", model, "--lane", lane, "--top-k", 50, "-o", part)
    for whole, some in zip(read_lines(everything), read_lines(part), strict=True):
        assert [tag for tag in whole["tags"] if tag["lane"] in lanes] == some["tags"]


def test_review_is_the_default_lane_and_ten_the_default_number(
    model: Path, products: Path, tmp_path: Path
) -> None:
    named, silent = tmp_path / "named.jsonl", tmp_path / "silent.jsonl"
    tagmill("tag", products, "--model", model, "-o", silent)
    tagmill("tag", products, "--model", model, "--lane", "review", "--top-k", 10, "-o", named)
    assert silent.read_bytes() == named.read_bytes()


def test_python_returns_what_the_lines_hold(model: Path, tmp_path: Path) -> None:
    goal = tmp_path / "out.jsonl"
    tagmill("tag", CATALOGUE, "--model", model, "-o", goal)
    assert package.load(model).tag(catalogue_rows(), top_k=10) == read_lines(goal)


def test_top_k_cuts_the_list(products: Path, tmp_path: Path) -> None:
    goals = {count: tmp_path / f"{count}.jsonl" for count in (1, 3)}
    for count, goal in goals.items():
        tagmill("tag", products, "--top-k", count, "-o", goal)
    for one, three in zip(read_lines(goals[1]), read_lines(goals[3]), strict=True):
        assert three["tags"][:1] == one["tags"]


def test_three_kinds_of_file_hold_the_same(products: Path, tmp_path: Path) -> None:
    goals = {ending: tmp_path / f"out.{ending}" for ending in ("jsonl", "parquet", "csv")}
    for goal in goals.values():
        done = tagmill("tag", products, "-o", goal)
        assert done.out == ""
        assert "4 products tagged" in done.err
        assert str(goal) in done.err
    lines = read_lines(goals["jsonl"])
    table = pq.read_table(goals["parquet"])
    assert table.schema.equals(TAGGED_SCHEMA)
    for line, row in zip(lines, table.to_pylist(), strict=True):
        for tag in row["tags"]:
            tag["probability"] = round(tag["probability"], 6)
        assert row == line
    with goals["csv"].open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["t1", "d1", "n1", "s1"]
    for line, row in zip(lines, rows, strict=True):
        written = [f"{tag['facet']}:{tag['name']}" for tag in line["tags"]]
        assert parse_tag_cell(row["tags"]) == written
        assert [float(p) for p in row["probabilities"].split("|") if p] == pytest.approx(
            [tag["probability"] for tag in line["tags"]]
        )
    assert {path.name for path in tmp_path.iterdir()} == {
        "products.jsonl", "out.jsonl", "out.parquet", "out.csv",
    }  # fmt: skip


def test_no_set_up_at_all(tmp_path: Path) -> None:
    source = tmp_path / "products.csv"
    source.write_text("id,title\n1,红色真丝连衣裙\n2,qwertz\n", encoding="utf-8")
    done = tagmill("tag", source, cwd=tmp_path)
    assert "红色" in done.out
    assert "prior" in done.out
    assert "no tags" in done.out
    assert "2 products tagged" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["products.csv"]


def test_without_a_model_everything_is_prior_with_evidence(products: Path) -> None:
    lines = tagmill("tag", products, "--json").json()
    assert [line["id"] for line in lines] == ["t1", "d1", "n1", "s1"]
    assert lines[2]["tags"] == []
    for line, product in zip(lines, PRODUCTS, strict=True):
        for tag in line["tags"]:
            assert list(tag) == TAG_KEYS
            assert (tag["calibration"], tag["lane"]) == ("prior", "review")
            assert tag["evidence"]
            for span in tag["evidence"]:
                text = _field(product, span["field"])
                assert text[span["start"] : span["end"]] == span["text"]
    names = {line["id"]: {tag["name"] for tag in line["tags"]} for line in lines}
    assert {"红色", "连衣裙", "夏季"} <= names["d1"]
    assert {"Blue", "Machine Washable"} <= names["s1"]  # the product's own language


def test_json_beside_a_file_is_a_summary(products: Path, tmp_path: Path) -> None:
    goal = tmp_path / "out.jsonl"
    summary = tagmill("tag", products, "-o", goal, "--json").json()
    lines = read_lines(goal)
    tags = [tag for line in lines for tag in line["tags"]]
    assert summary == {
        "output": str(goal), "products": 4, "tags": len(tags), "auto": 0, "review": len(tags),
        "untagged": 1,
    }  # fmt: skip


def test_a_text_alone() -> None:
    (line,) = tagmill("tag", "--text", "红色真丝连衣裙", "--json").json()
    assert line["id"] == "text"
    assert "红色" in {tag["name"] for tag in line["tags"]}
    assert "红色" in tagmill("tag", "--text", "红色真丝连衣裙").out


def test_the_language_of_the_names(products: Path) -> None:
    english = tagmill("tag", products, "--language", "en", "--json").json()
    assert "Red" in {tag["name"] for tag in english[1]["tags"]}
    chinese = tagmill("tag", products, "--language", "zh", "--json").json()
    assert "蓝色" in {tag["name"] for tag in chinese[3]["tags"]}
    ids = [[tag["id"] for tag in line["tags"]] for line in english]
    assert ids == [[tag["id"] for tag in line["tags"]] for line in chinese]


def test_messages_in_chinese(products: Path) -> None:
    done = tagmill("tag", products, language="zh")
    assert "概率" in done.out
    assert "已为 4 件商品打标签" in done.err


def test_columns_are_mapped(tmp_path: Path) -> None:
    source = tmp_path / "shop.csv"
    source.write_text("sku,product_name,season\n1,连衣裙,夏季\n", encoding="utf-8")
    plain = tagmill("tag", source, "--map", "id=sku", "--map", "title=product_name", "--json")
    assert {tag["name"] for tag in plain.json()[0]["tags"]} == {"连衣裙"}
    assert "season" in plain.err
    more = tagmill(
        "tag", source, "--map", "id=sku", "--map", "title=product_name",
        "--map", "attributes.季节=season", "--json",
    )  # fmt: skip
    tags = {tag["name"]: tag for tag in more.json()[0]["tags"]}
    assert set(tags) == {"连衣裙", "夏季"}
    assert tags["夏季"]["evidence"][0]["field"] == "attributes.季节"
    assert more.err.count("\n") == 1


def test_a_higher_promise_publishes_less(model: Path, tmp_path: Path) -> None:
    counts = []
    for precision in (0.8, 0.95):
        goal = tmp_path / f"{precision}.jsonl"
        done = tagmill(
            "tag", CATALOGUE, "--model", model, "--precision", precision, "-o", goal, "--json"
        )
        counts.append(done.json()["auto"])
    assert counts[0] > counts[1] > 0


def test_a_workspace_is_tagged_once(own_shop: Path) -> None:
    again = tagmill("tag", "-w", own_shop, "--json").json()
    assert again == {
        "run": None, "products": 0, "tags": 0, "auto": 0, "review": 0, "untagged": 0,
    }  # fmt: skip
    assert "Nothing to tag" in tagmill("tag", "-w", own_shop).out
    everything = tagmill("tag", "-w", own_shop, "--all", "--json").json()
    assert (everything["run"], everything["products"]) == (2, 397)
    fewer = tagmill("tag", "-w", own_shop, "--top-k", 1, "--json").json()
    assert (fewer["run"], fewer["products"]) == (3, 99)
    assert fewer["tags"] <= 99


def test_a_workspace_is_found_from_a_folder_below(own_shop: Path) -> None:
    below = own_shop / "models" / "0001"
    assert tagmill("tag", "--json", cwd=below).json()["run"] is None


def test_what_does_not_go_together(shop: Path, model: Path, products: Path) -> None:
    assert "need a file" in refusal("tag", "--model", model, "-w", shop)
    assert "need a file" in refusal("tag", "-o", "out.jsonl", "-w", shop)
    assert "--text" in refusal("tag", products, "--text", "红色")
    assert "needs a file" in refusal("tag", "--lane", "auto", "-w", shop)
    assert "belongs to a database" in refusal("tag", products, "--table", "products")


def test_one_product_is_a_batch_of_one(model: Path, tmp_path: Path) -> None:
    together, alone = tmp_path / "together.jsonl", tmp_path / "alone.jsonl"
    tagmill("tag", CATALOGUE, "--model", model, "--lane", "all", "-o", together)
    row = catalogue_rows()[200]
    source = write_lines(tmp_path / "one.jsonl", [row])
    tagmill("tag", source, "--model", model, "--lane", "all", "-o", alone)
    assert json.dumps(read_lines(alone)[0]) == json.dumps(read_lines(together)[200])


def test_a_diverse_list_has_no_tag_twice(model: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [DRESS])
    usual = tagmill("tag", source, "--model", model, "--lane", "all", "--json").json()[0]["tags"]
    diverse = tagmill(
        "tag", source, "--model", model, "--lane", "all", "--diverse", "--json"
    ).json()[0]["tags"]  # fmt: skip
    assert {tag["id"] for tag in diverse} != {tag["id"] for tag in usual}
    assert diverse[0] == usual[0]
    colours = [tag for tag in diverse if tag["facet"] == "颜色"]
    assert len(colours) <= 2


def test_a_text_is_tagged_into_a_file(tmp_path: Path) -> None:
    shown = tagmill("tag", "--text", "红色真丝连衣裙", "--json").json()
    done = tagmill("tag", "--text", "红色真丝连衣裙", "-o", "out.jsonl", cwd=tmp_path)
    (line,) = read_lines(tmp_path / "out.jsonl")
    assert [tag["name"] for tag in line["tags"]] == [tag["name"] for tag in shown[0]["tags"]]
    assert "out.jsonl" in done.err
