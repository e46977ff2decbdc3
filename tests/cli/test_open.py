from pathlib import Path

import pytest

from tests.brands import branded_products, chinese_brands, english_brands
from tests.cli.command import refusal, tagmill
from tests.cli.samples import read_lines, write_lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of tagged products, and two products of brands nobody listed."""
    folder = tmp_path_factory.mktemp("open")
    write_lines(folder / "tagged.jsonl", branded_products(400))
    english, chinese = english_brands()[-1], chinese_brands()[-1]
    rows = [
        {"id": "1", "title": f"{english} blue quiet fan 450W"},
        {"id": "2", "title": f"{english} red compact lamp 300W"},
        {"id": "3", "title": f"{chinese}红色静音台灯300W"},
    ]
    write_lines(folder / "new.jsonl", rows)
    tags = [[f"Brand:{english}"], [f"Brand:{english}"], [f"Brand:{chinese}"]]
    test = [{**row, "tags": own} for row, own in zip(rows, tags, strict=True)]
    write_lines(folder / "test.jsonl", test)
    tagmill("train", "--from", "tagged.jsonl", "-o", "model", cwd=folder)
    return folder


def test_new_names_stand_beside_the_output(folder: Path) -> None:
    done = tagmill(
        "tag", "new.jsonl", "--model", "model", "-o", "out.jsonl", "--open", cwd=folder
    )  # fmt: skip
    proposals = {entry["name"]: entry for entry in read_lines(folder / "out.jsonl.proposals.jsonl")}
    assert "new names are proposed in out.jsonl.proposals.jsonl" in done.err
    english, chinese = proposals[english_brands()[-1]], proposals[chinese_brands()[-1]]
    assert (english["facet"], english["products"]) == ("Brand", 2)
    assert english["examples"][1] == {
        "id": "2", "field": "title", "start": 0, "end": len(english["name"]),
        "text": english["name"],
    }  # fmt: skip
    assert chinese["examples"][0]["end"] == 2
    written = {tag["name"] for line in read_lines(folder / "out.jsonl") for tag in line["tags"]}
    assert not written & set(proposals)
    tagmill("tag", "new.jsonl", "--model", "model", "-o", "out.jsonl", cwd=folder)
    assert not (folder / "out.jsonl.failed.jsonl").exists()


def test_evaluation_counts_them(folder: Path) -> None:
    command = ("evaluate", "test.jsonl", "--model", "model", "--open")
    report = tagmill(*command, "--json", cwd=folder).json()
    assert report["open"]["unknown_gold"] == 3
    assert report["open"]["unknown_recall"] == 1
    assert report["open"]["recall"] > report["recall"] == 0
    assert "1.000 of the 3 gold tags that the library lacks are found" in (
        tagmill(*command, cwd=folder).out.replace("\n", " ")
    )


def test_a_workspace_keeps_its_names_as_proposals(folder: Path, tmp_path: Path) -> None:
    tagmill("init", tmp_path, "--empty")
    tags = sorted({tag for line in read_lines(folder / "tagged.jsonl") for tag in line["tags"]})
    lines = ["facet,name", *(tag.replace(":", ",") for tag in tags)]
    (tmp_path / "tags.csv").write_text("\n".join(lines), encoding="utf-8")
    tagmill("library", "import", tmp_path / "tags.csv", "-w", tmp_path)
    tagmill("catalog", "import", folder / "tagged.jsonl", "-w", tmp_path)
    tagmill("train", "-w", tmp_path)
    tagmill("catalog", "import", folder / "new.jsonl", "-w", tmp_path)
    tagmill("tag", "-w", tmp_path)
    done = tagmill("tag", "-w", tmp_path, "--open", "--json").json()  # tags them again, with names
    assert done["products"] == 3
    listed = ("library", "proposals", "--min-support", 1, "-w", tmp_path, "--json")
    proposals = {entry["name"]: entry for entry in tagmill(*listed).json()}
    english = proposals[english_brands()[-1]]
    assert (english["facet"], english["support"]) == ("Brand", 2)
    assert english["examples"][0]["field"] == "title"
    accepted = tagmill("library", "accept", english["id"], "-w", tmp_path)
    assert "2 touched products" in accepted.out
    tagmill("tag", "-w", tmp_path, "--open")
    assert english["name"] not in {entry["name"] for entry in tagmill(*listed).json()}


def test_what_open_cannot_do(folder: Path) -> None:
    new, model = folder / "new.jsonl", folder / "model"
    assert "finds no new names" in refusal("tag", new, "--open")
    assert "Leave one out" in refusal("tag", new, "--model", model, "--open", "--llm", "all")
    assert "--text" in refusal("tag", "--text", "a fan", "--model", model, "--open")
    assert "--open needs a file" in refusal("evaluate", "--open")
