from __future__ import annotations

from pathlib import Path

import pytest

from tagmill.cli.messages import MESSAGES
from tagmill.tagging.explain import SOURCES
from tests.cli.command import refusal, tagmill
from tests.cli.samples import CATALOGUE, write_lines
from tests.cli.test_worked_example import EXPECTED, TEXT


def test_the_worked_example_in_its_workspace(shop: Path) -> None:
    (line,) = tagmill("products", "list", "el-0166", "-w", shop, "--json").json()
    stored = {tag["name"]: tag for tag in line["tags"]}
    for name in EXPECTED:
        found = tagmill("explain", "el-0166", f"品类:{name}", "-w", shop, "--json").json()
        assert found["product_id"] == "el-0166"
        assert found["probability"] == pytest.approx(stored[name]["probability"], abs=1e-5)
        assert found["lane"] == stored[name]["lane"]
        fusion = found["fusion"]
        total = fusion["baseline"] + sum(fusion["sources"].values())
        assert total == pytest.approx(fusion["log_odds"])
        words = sum(word["weight"] for word in fusion["words"])
        assert fusion["bias"] + words == pytest.approx(fusion["margin"])


def test_4k_is_why_it_is_a_4k_television(shop: Path) -> None:
    found = tagmill("explain", "el-0166", "品类:4K电视", "-w", shop, "--json").json()
    first = found["fusion"]["words"][0]
    assert (first["text"], first["field"], first["start"], first["end"]) == ("4K", "title", 7, 9)
    assert first["weight"] > 0


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["品类:4K电视: probability", "No name of it stands", "words (linear model)", "sum"]),
        ("zh", ["品类:4K电视：概率", "没有出现它的任何名称", "词（线性模型）", "对数几率", "合计"]),
    ],
)
def test_a_text_and_a_file_read_the_same(
    model: Path, tmp_path: Path, language: str, said: list[str]
) -> None:
    of_text = tagmill(
        "explain", "品类:4K电视", "--text", TEXT, "--model", model, language=language
    ).out
    source = write_lines(tmp_path / "in.jsonl", [{"id": "x"}, {"id": "text", "title": TEXT}])
    of_file = tagmill(
        "explain", "text", "品类:4K电视", "--from", source, "--model", model, language=language
    ).out
    assert of_file == of_text
    assert all(part in of_text for part in said), of_text
    assert list(tmp_path.iterdir()) == [source]


def test_a_tag_may_be_named_in_any_language(shop: Path) -> None:
    by_id = tagmill("explain", "el-0166", "品类:液晶电视", "-w", shop, "--json").json()["tag_id"]
    found = tagmill("explain", "el-0166", by_id, "-w", shop)
    assert "Its name stands in title “液晶电视”." in found.out


def test_without_training_only_names_speak(tmp_path: Path) -> None:
    done = tagmill("explain", "Color:Red", "--text", "红色真丝连衣裙", cwd=tmp_path)
    assert "(prior)" in done.out
    assert "only its names speak for it" in done.out


def test_a_model_may_be_named_in_a_workspace(shop: Path, model: Path) -> None:
    own = tagmill("explain", "el-0166", "品类:4K电视", "-w", shop).out
    assert tagmill("explain", "el-0166", "品类:4K电视", "-w", shop, "--model", model).out == own


def test_every_source_has_a_name() -> None:
    assert {f"source_{name}" for name in SOURCES} <= MESSAGES.keys()


def test_what_cannot_be_explained(shop: Path, model: Path) -> None:
    assert "Nearest: 品类:液晶电视" in refusal("explain", "el-0166", "品类:液晶电机", "-w", shop)
    assert "No product has the id 'nobody'" in refusal(
        "explain", "nobody", "品类:4K电视", "-w", shop
    )
    assert "has the id 'nobody'" in refusal("explain", "nobody", "品类:4K电视", "--from", CATALOGUE)
    assert "Name a product and a tag" in refusal("explain", "品类:4K电视", "-w", shop)
    assert "Name a product and a tag" in refusal("explain", "a", "b", "--text", TEXT)
    assert "leave --from" in refusal("explain", "x", "--text", TEXT, "--from", CATALOGUE)
    assert "precision is 2" in refusal(
        "explain", "品类:4K电视", "--text", TEXT, "--model", model, "--precision", 2
    )
