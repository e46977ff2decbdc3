from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import refusal, tagmill
from tests.cli.samples import catalogue_rows, write_lines


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learn")
    rows = [row for row in catalogue_rows() if row.get("tags")][:60]
    tagmill("train", "--from", write_lines(folder / "tagged.jsonl", rows), "-o", folder / "model")
    return folder / "model"


def test_verdicts_of_a_file(model: Path, tmp_path: Path) -> None:
    row = {"id": "v1", "title": "高清液晶电视", "tag": "品类:量子点电视", "accepted": True}
    verdicts = write_lines(tmp_path / "verdicts.jsonl", [row, {**row, "accepted": 1}])
    goal = tmp_path / "learned"
    done = tagmill("learn", verdicts, "--model", model, "-o", goal, "--json", cwd=tmp_path).json()
    assert (done["verdicts"], done["rejected"]) == (1, 1)
    assert done["model"] == str(goal)
    reject = json.loads((tmp_path / "verdicts.jsonl.rejects.jsonl").read_text(encoding="utf-8"))
    assert reject["line"] == 2
    lines = tagmill(
        "tag", "--text", "新款量子点电视", "--model", goal, "--lane", "all", "--json"
    ).json()
    assert "量子点电视" in [tag["name"] for tag in lines[0]["tags"]]


def test_a_file_and_a_model_go_together(model: Path, tmp_path: Path) -> None:
    assert "go together" in refusal("learn", "--model", model)
    assert "Cannot read verdicts" in refusal("learn", tmp_path / "none.jsonl", "--model", model)
    products = tmp_path / "products.csv"
    products.write_text("id,title\n1,red dress\n", encoding="utf-8")
    wrong = refusal("learn", products, "--model", model)
    assert "has no verdict. Line 1: it is no JSON" in wrong
    assert "id,title" in wrong


def test_a_workspace_learns_its_new_verdicts_once(tmp_path: Path) -> None:
    rows = [row for row in catalogue_rows() if row.get("tags")][:60]
    space = tmp_path / "space"
    tagmill("init", space)
    tagmill("catalog", "import", write_lines(tmp_path / "p.jsonl", rows), "-w", space)
    assert "no trained model" in refusal("learn", "-w", space)
    tagmill("train", "-w", space)
    tag = rows[0]["tags"][0]
    tagmill("review", "reject", rows[0]["id"], tag, "-w", space)
    done = tagmill("learn", "-w", space, "--json").json()
    assert done["verdicts"] == 1
    assert Path(done["model"]).name == "0002"
    again = tagmill("learn", "-w", space).out
    assert "0 verdicts" in again
    assert "0002" in again
    assert "1 verdicts" not in tagmill("learn", "-w", space, language="zh").out
