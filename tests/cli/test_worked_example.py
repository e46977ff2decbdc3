"""The worked example of the design, on the sample catalogue with the starter library."""

from __future__ import annotations

from pathlib import Path

import opencc
import pytest

from tests.cli.command import tagmill
from tests.cli.samples import catalogue_rows, read_lines, write_lines

TEXT = "高清液晶电视，4K分辨率，HDR功能"
EXPECTED = {"高清电视", "4K电视", "HDR电视", "液晶电视", "大屏电视"}
SIMPLIFIED = opencc.OpenCC("t2s")


def _characters(text: str) -> set[str]:
    """The distinct letters and digits of a text, Traditional as Simplified, whatever the case."""
    return {letter for letter in SIMPLIFIED.convert(text).casefold() if letter.isalnum()}


@pytest.mark.parametrize(
    "product",
    [
        {"title": TEXT},
        {"title": "新品", "description": TEXT},
        {"title": "客厅电视", "description": TEXT},
    ],
    ids=["title", "description", "description with a title"],
)
def test_its_five_highest_tags(model: Path, tmp_path: Path, product: dict[str, str]) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"id": "x", **product}])
    goal = tmp_path / "out.jsonl"
    tagmill("tag", source, "--model", model, "--lane", "all", "--top-k", 10, "-o", goal)
    (line,) = read_lines(goal)
    tags = line["tags"]
    assert {tag["name"] for tag in tags[:5]} == EXPECTED
    probabilities = [tag["probability"] for tag in tags]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[4] > 0.3
    assert probabilities[5] < probabilities[4]


def test_it_is_among_the_products_that_were_tagged_in_the_workspace(shop: Path) -> None:
    (line,) = tagmill("products", "list", "el-0166", "-w", shop, "--json").json()
    assert line["title"] == TEXT
    assert {tag["name"] for tag in line["tags"][:5]} == EXPECTED
    assert {tag["origin"] for tag in line["tags"]} == {"model"}


def test_no_tagged_row_gives_it_away() -> None:
    wanted = _characters(TEXT)
    assert len(wanted) == 16
    tagged = [row for row in catalogue_rows() if row.get("tags") is not None]
    assert len(tagged) >= 350
    for row in tagged:
        attributes = row.get("attributes") or {}
        fields = [row.get(name) or "" for name in ("title", "description", "category")]
        text = " ".join([*fields, *(f"{name} {value}" for name, value in attributes.items())])
        shared = wanted & _characters(text)
        assert len(shared) <= 8, f"{row['id']} holds {sorted(shared)}"
