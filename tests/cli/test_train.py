from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import refusal, tagmill
from tests.cli.samples import catalogue_rows, read_lines, write_lines

PRODUCTS = 60


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some tagged products, some of whose tags are written in two ways."""
    rows = [row for row in catalogue_rows() if row.get("tags")][:PRODUCTS]
    for number, row in enumerate(rows):
        row["tags"].append("Style:Plain" if number % 3 else "style:plain")
    return write_lines(tmp_path_factory.mktemp("tagged") / "tagged.jsonl", rows)


@pytest.fixture(scope="module")
def trained(tagged: Path) -> Path:
    """A model of that file alone."""
    folder = tagged.parent / "model"
    tagmill("train", "--from", tagged, "-o", folder, "--seed", 7)
    return folder


def _names(model: Path, source: Path) -> set[str]:
    goal = source.parent / "names.jsonl"
    tagmill("tag", source, "--model", model, "--lane", "all", "--top-k", 1000, "-o", goal)
    return {f"{tag['facet']}:{tag['name']}" for line in read_lines(goal) for tag in line["tags"]}


def test_a_file_alone_is_enough(tagged: Path, trained: Path) -> None:
    card = json.loads((trained / "card.json").read_text(encoding="utf-8"))
    assert card["seed"] == 7
    assert card["products"] == PRODUCTS
    assert {"data_sha256", "library_version", "tag_ids"} <= set(card)
    written = {text for row in read_lines(tagged) for text in row["tags"]}
    assert _names(trained, tagged) == written
    assert {path.name for path in tagged.parent.iterdir()} >= {"model", "tagged.jsonl"}
    assert not list(tagged.parent.glob(".model-*"))
    assert not list(trained.glob("*.pkl"))


def test_two_spellings_are_one_tag_if_asked(tagged: Path, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "merged"
    command = ("train", "--from", tagged, "-o", folder)
    done = tagmill(*command, "--merge-variants", "--json")
    assert done.json()["model"] == str(folder)
    assert "--merge-variants" not in done.err
    assert "such as style:plain, Style:Plain" in tagmill(*command).err
    tagmill(*command, "--merge-variants")
    verbatim, merged = _names(trained, tagged), _names(folder, tagged)
    assert {"Style:Plain", "style:plain"} <= verbatim
    assert "Style:Plain" in merged
    assert "style:plain" not in merged


def test_the_same_data_and_seed_give_the_same_model(
    tagged: Path, trained: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    tagmill("train", "--from", tagged, "-o", again, "--seed", 7)
    arrays = sorted(path.name for path in trained.glob("*.npy"))
    assert len(arrays) > 10
    for name in arrays:
        assert (again / name).read_bytes() == (trained / name).read_bytes(), name


def test_training_a_workspace_keeps_every_model(workspace: Path, tagged: Path) -> None:
    tagmill("catalog", "import", tagged, "-w", workspace)
    first = tagmill("train", "-w", workspace)
    assert f"Trained on {PRODUCTS} products" in first.out
    assert "2 tags of the products are not in the library" in first.err
    assert "tagmill library add" in first.err
    assert tagmill("tag", "--all", "-w", workspace, "--json").json()["products"] == PRODUCTS
    second = tagmill("train", "-w", workspace, "--json").json()
    assert second["model"] == str(workspace / "models" / "0002")
    assert second["products"] == PRODUCTS
    assert set(second["unknown_tags"]) == {"Style:Plain", "style:plain"}
    assert (workspace / "models" / "0001" / "card.json").is_file()
    # The same products and library gave the same model: nothing is tagged again.
    assert tagmill("tag", "--all", "-w", workspace, "--json").json()["run"] is None


def test_what_cannot_be_trained(workspace: Path, tagged: Path, tmp_path: Path) -> None:
    assert "go together" in refusal("train", "--from", tagged)
    assert "go together" in refusal("train", "-o", tmp_path / "model")
    refusal("train", "-w", workspace)
    untagged = write_lines(tmp_path / "untagged.jsonl", [{"id": "1", "title": "red"}])
    refusal("train", "--from", untagged, "-o", tmp_path / "model")
    assert not (tmp_path / "model").exists()
    message = refusal("train", "--from", tagged, "-o", tmp_path / "model", "--tagger", "oracle")
    assert "Known: lexicon" in message


def test_a_folder_of_other_files_is_not_replaced(tagged: Path, trained: Path) -> None:
    precious = tagged.parent / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("all my work", encoding="utf-8")
    assert "holds files that are no model" in refusal("train", "--from", tagged, "-o", precious)
    assert (precious / "thesis.txt").read_text(encoding="utf-8") == "all my work"
    assert "Cannot write a model" in refusal("train", "--from", tagged, "-o", tagged)
    assert "Cannot write a model" in refusal("train", "--from", tagged, "-o", tagged / "model")
