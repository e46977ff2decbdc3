"""The public names: what a Python user types."""

import json
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import tagmill
from tagmill.errors import NotTrained, SettingsError

ROWS = [
    {"id": str(i), "title": f"{colour} {kind} {i}", "tags": [f"Colour:{colour}", f"Kind:{kind}"]}
    for i, (colour, kind) in enumerate(
        [("red", "dress"), ("blue", "shirt"), ("red", "shirt"), ("blue", "dress")] * 20
    )
]
NEW = [{"id": "a", "title": "red shirt"}, {"id": "b", "title": "blue dress"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("api")
    lines = [json.dumps(row) + "\n" for row in ROWS]
    (path / "tagged.jsonl").write_text("".join(lines), encoding="utf-8")
    tagmill.train(path / "tagged.jsonl").save(path / "model")
    return path


def test_train_save_load_tag(folder: Path) -> None:
    model = tagmill.load(folder / "model")
    lines = model.tag(NEW, top_k=2)
    assert [line["id"] for line in lines] == ["a", "b"]
    assert {tag["name"] for tag in lines[0]["tags"]} == {"red", "shirt"}
    assert set(lines[0]["tags"][0]) == {
        "id", "facet", "name", "probability", "calibration", "lane", "evidence",
    }  # fmt: skip
    assert lines[0]["tags"][0]["evidence"][0]["field"] == "title"


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.Table.from_pylist, list, iter])
def test_every_kind_of_products_gives_the_same(folder: Path, frame: object) -> None:
    model = tagmill.load(folder / "model")
    assert model.tag(frame(NEW)) == model.tag(NEW)  # type: ignore[operator]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.Table.from_pylist, list])
def test_trains_from_memory_as_from_a_file(folder: Path, frame: object) -> None:
    trained = tagmill.train(frame(ROWS))  # type: ignore[operator]
    loaded = tagmill.load(folder / "model")
    assert trained.card["data_sha256"] == loaded.card["data_sha256"]
    assert trained.tag(NEW) == loaded.tag(NEW)


def test_evaluate_takes_a_path_or_rows(folder: Path) -> None:
    model = tagmill.load(folder / "model")
    from_file = tagmill.evaluate(model, str(folder / "tagged.jsonl"))
    assert from_file == tagmill.evaluate(model, ROWS)
    assert from_file["p_at_1"] == 1


def test_without_a_folder_it_is_the_starter_library() -> None:
    line = tagmill.load().tag([{"id": "1", "title": "红色雪纺连衣裙"}])[0]
    names = {tag["name"] for tag in line["tags"]}
    assert {"红色", "雪纺", "连衣裙"} <= names
    assert {tag["calibration"] for tag in line["tags"]} == {"prior"}
    assert "auto" not in {tag["lane"] for tag in line["tags"]}
    english = tagmill.load().tag([{"id": "1", "title": "Red chiffon dress"}])[0]
    assert {"Red", "Chiffon", "Dresses"} <= {tag["name"] for tag in english["tags"]}
    same = tagmill.load().tag([{"id": "1", "title": "Red chiffon dress"}], language="zh")[0]
    assert [t["id"] for t in same["tags"]] == [t["id"] for t in english["tags"]]
    assert "红色" in {tag["name"] for tag in same["tags"]}


def test_wrong_options_are_named(folder: Path) -> None:
    model = tagmill.load(folder / "model")
    with pytest.raises(SettingsError, match="lane 'best'.*auto, review, all"):
        model.tag(NEW, lane="best")
    with pytest.raises(SettingsError, match="top_k is 0"):
        model.tag(NEW, top_k=0)
    with pytest.raises(SettingsError, match=r"precision is 1\.5"):
        model.tag(NEW, precision=1.5)
    with pytest.raises(NotTrained, match="untrained"):
        tagmill.load().save(folder / "starter")
