from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.command import refusal, tagmill
from tests.cli.samples import catalogue_rows, write_lines

PRODUCTS = 60


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [row for row in catalogue_rows() if row.get("tags")][:PRODUCTS]
    return write_lines(tmp_path_factory.mktemp("tagged") / "tagged.jsonl", rows)


def test_a_file_becomes_a_model_with_its_options(tagged: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    done = tagmill("tune", tagged, "-o", folder, "--trials", 2, "--json").json()
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert done["model"] == str(folder)
    assert (done["metric"], done["trials"]) == ("micro_f1", 2)
    assert done["best_score"] >= done["default_score"]
    assert done["options"] == card["options"]
    assert card["products"] == PRODUCTS
    goal = tmp_path / "out.jsonl"
    tagmill("tag", tagged, "--model", folder, "-o", goal)
    assert goal.is_file()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["micro_f1 on the held-out fifth: 0.", "best of 1 trial", "Default", "Chosen"]),
        ("zh", ["在留出的五分之一商品上，micro_f1：默认选项 0.", "1 次试验", "选用"]),
    ],
)
def test_a_workspace_keeps_it_as_its_newest_model(
    workspace: Path, tagged: Path, language: str, said: list[str]
) -> None:
    tagmill("catalog", "import", tagged, "-w", workspace)
    tagmill("train", "-w", workspace)
    done = tagmill("tune", "--trials", 1, "-w", workspace, language=language)
    assert all(part in done.out for part in [*said, "regularisation"]), done.out
    assert (workspace / "models" / "0002" / "card.json").is_file()


def test_what_cannot_be_tuned(
    workspace: Path, tagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal = tmp_path / "model"
    assert "go together" in refusal("tune", tagged)
    assert "go together" in refusal("tune", "-o", goal)
    assert "Known: micro_f1" in refusal("tune", tagged, "-o", goal, "--metric", "luck")
    assert "Too few products" in refusal("tune", "-w", workspace)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'tagmill[tune]'" in refusal("tune", tagged, "-o", goal)
    assert not goal.exists()
