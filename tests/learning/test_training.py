import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tagmill.catalog.memory import products_to_batch
from tagmill.errors import NotTrained, TaggerError
from tagmill.learning import training
from tagmill.learning.training import train
from tagmill.library import Library
from tagmill.records import PRODUCT_SCHEMA, TAGGED_SCHEMA, tag_id
from tagmill.tagging.folder import load_model, save_model
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection


def _tags(model: Model, title: str, **options: object) -> dict[str, dict[str, object]]:
    line = model.tag([{"id": "1", "title": title}], **options)[0]  # type: ignore[arg-type]
    return {f"{tag['facet']}:{tag['name']}": tag for tag in line["tags"]}


def test_learns_what_is_named_and_what_is_not(model: Model) -> None:
    tags = _tags(model, "Vintage green wool dress", lane="all")
    assert set(list(tags)[:3]) == {"Kind:dress", "Colour:green", "Season:winter"}
    assert tags["Kind:dress"]["evidence"] == [
        {"field": "title", "start": 19, "end": 24, "text": "dress"}
    ]
    assert tags["Season:winter"]["evidence"] is None  # no word of the text says so
    assert tags["Kind:dress"]["id"] == tag_id("Kind", "dress")
    assert tags["Kind:dress"]["calibration"] == "fitted"
    assert tags["Kind:dress"]["lane"] == "auto"
    assert "Season:winter" not in list(_tags(model, "Vintage green linen dress", lane="all"))[:2]


def test_a_probability_is_a_probability(model: Model) -> None:
    winter = _tags(model, "Soft red wool shirt", lane="all")["Season:winter"]["probability"]
    assert isinstance(winter, float)
    assert 0.8 < winter < 0.97  # nine of ten wool products were tagged so


def test_tags_of_a_product_descend_and_lane_all_keeps_top_k(model: Model) -> None:
    line = model.tag([{"id": "1", "title": "Soft red wool shirt"}], top_k=5, lane="all")[0]
    probabilities = [tag["probability"] for tag in line["tags"]]
    assert len(probabilities) == 5
    assert probabilities == sorted(probabilities, reverse=True)


def test_more_tags_asked_for_leave_the_others_as_they_are(
    model: Model, new_products: pa.RecordBatch
) -> None:
    assert model.trained is not None
    own = 3
    small = Model(model.library, model.prior, replace(model.trained, candidates=own), model.card)
    few, many = (
        [
            {tag["id"]: (tag["probability"], tag["lane"]) for tag in line["tags"]}
            for line in small.tag(new_products.to_pylist(), top_k=top_k, lane="all")
        ]
        for top_k in (own, len(model.tag_ids))
    )
    assert max(map(len, many)) > own
    for fewer, more in zip(few, many, strict=True):
        assert fewer.items() <= more.items()


def test_lanes_nest(model: Model, new_products: pa.RecordBatch) -> None:
    counts = {}
    for lane in ("auto", "review", "all"):
        tagged = model.tag_batch(new_products, Selection(lane=lane))
        assert tagged.schema == TAGGED_SCHEMA
        assert tagged.column("id").to_pylist() == new_products.column("id").to_pylist()
        counts[lane] = len(tagged.column("tags").flatten())
    assert 0 < counts["auto"] <= counts["review"] <= counts["all"]


def test_shown_is_what_pays_for_micro_f1(model: Model) -> None:
    """From half of the best F1 on; sure as the names here are, F1 is nearly 1."""
    assert 0.45 < model.review_start < 0.5


@pytest.mark.parametrize("per_facet", [False, True])
def test_what_would_not_be_shown_is_never_auto(model: Model, per_facet: bool) -> None:
    starts = model.auto_starts(0.1, per_facet)  # a promise that any threshold would hold
    assert (starts >= model.review_start).all()


def test_same_seed_same_model(model: Model, products: pa.RecordBatch) -> None:
    again = train([products])
    assert model.trained is not None
    assert again.trained is not None
    assert np.array_equal(model.trained.linear.postings, again.trained.linear.postings)
    assert np.array_equal(model.trained.fusion.second.leaf, again.trained.fusion.second.leaf)
    assert again.card["data_sha256"] == model.card["data_sha256"]


def test_a_saved_model_says_the_same(
    model: Model, new_products: pa.RecordBatch, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    selection = Selection(lane="all", top_k=20)
    assert loaded.tag_batch(new_products, selection).equals(
        model.tag_batch(new_products, selection)
    )
    assert loaded.card["products"] == 600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]  # nothing temporary is left


def test_an_old_model_serves_a_library_that_has_grown(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model")
    grown = Library(list(model.library.tags.values()), list(model.library.facets.values()))
    grown.add("Kind", "coat")
    grown.retire(grown.resolve("Colour:blue"))
    grown.update(grown.resolve("Colour:red"), name="crimson")
    loaded = load_model(tmp_path / "model", grown)
    tags = _tags(loaded, "Soft red wool coat", lane="all")
    assert tags["Colour:crimson"]["id"] == tag_id("Colour", "red")
    assert tags["Colour:crimson"]["calibration"] == "fitted"
    assert tags["Kind:coat"]["calibration"] == "prior"
    assert tags["Kind:coat"]["lane"] != "auto"
    assert "Colour:blue" not in _tags(loaded, "Soft blue wool coat", lane="all")
    merged = Library(list(model.library.tags.values()), list(model.library.facets.values()))
    red, green = merged.resolve("Colour:red"), merged.resolve("Colour:green")
    merged.update(red, status="retired", merged_into=green.id)
    both = load_model(tmp_path / "model", merged)
    assert "Colour:green" in _tags(both, "Soft green wool coat", lane="all")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "linear_postings.npy").unlink(),
        lambda folder: (folder / "linear_bias.npy").write_bytes(b"not an array"),
        lambda folder: np.save(folder / "second_leaf.npy", np.zeros(3)),
        lambda folder: (folder / "card.json").write_text("{"),
        lambda folder: (folder / "library.csv").write_text("facet,name\nColour,red\n"),
        lambda folder: (folder / "library.csv").unlink(),
    ],
)
def test_a_damaged_folder_is_one_clear_error(model: Model, tmp_path: Path, damage: object) -> None:
    folder = tmp_path / "model"
    save_model(model, folder)
    damage(folder)  # type: ignore[operator]
    with pytest.raises(NotTrained, match="damaged"):
        load_model(folder)


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotTrained, match=r"no card\.json.*tagmill train"):
        load_model(tmp_path)


def test_saving_never_replaces_what_is_not_a_model(model: Model, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("keep me")
    with pytest.raises(TaggerError, match="no model"):
        save_model(model, tmp_path / "letters")
    assert (tmp_path / "letters" / "letter.txt").read_text() == "keep me"


def test_a_model_of_another_format_is_refused(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model")
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    (tmp_path / "model" / "card.json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(NotTrained, match="format 99"):
        load_model(tmp_path / "model")


def _rows(*rows: tuple[str, list[str] | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"id": str(i), "title": title, "tags": tags} for i, (title, tags) in enumerate(rows)],
        schema=PRODUCT_SCHEMA,
    )


def test_spellings_stay_apart_unless_merged() -> None:
    batch = _rows(("a b", ["C:Navy Blue"]), ("b c", ["C:navy-blue"]), ("c d", ["C:Navy Blue"]))
    assert {tag.text for tag in train([batch]).library.active()} == {"C:Navy Blue", "C:navy-blue"}
    merged = train([batch], merge_variants=True).library.active()
    assert [tag.text for tag in merged] == ["C:Navy Blue"]


@pytest.mark.parametrize(
    "rows",
    [[], [("a", None)], [("a", [])], [("a", ["x"])], [("a", None), ("b", ["x"])]],
)
def test_too_little_to_learn_from_is_a_clear_error(
    rows: list[tuple[str, list[str] | None]],
) -> None:
    with pytest.raises(NotTrained, match="tag"):
        train([_rows(*rows)])


def test_verdicts_alone_are_refused(products: pa.RecordBatch) -> None:
    """With nothing known to be wrong every tag would get every product."""
    library = Library.from_written(["Kind:dress", "Kind:shirt"])
    dress = library.resolve("Kind:dress").id
    untagged = _rows(*[(f"dress {number}", None) for number in range(12)])
    verdicts = {str(number): {dress: True} for number in range(12)}
    with pytest.raises(NotTrained, match="Verdicts alone"):
        train([untagged], library, verdicts=verdicts)
    train([untagged, products], library, verdicts=verdicts)


@pytest.mark.parametrize(
    "rows",
    [
        [("red", ["x"]), ("blue", ["y"])],
        [("red", ["x"]), ("blue", [])],
        [("same", ["x"])] * 12,
        [("", ["x"]), ("", ["y"]), ("z", ["z"])],
        [("", ["x"]), ("", ["y"])],
    ],
)
def test_tiny_sets_train_and_promise_nothing(rows: list[tuple[str, list[str]]]) -> None:
    model = train([_rows(*rows)])
    line = model.tag([{"id": "1", "title": "red same z"}], lane="all")[0]
    assert all(tag["lane"] != "auto" for tag in line["tags"])
    assert all(0 < tag["probability"] < 1 for tag in line["tags"])


@pytest.mark.parametrize(("size", "count"), [(3, 3), (4_999, 3), (5_001, 1)])
def test_few_products_are_held_out_in_rounds_that_differ(size: int, count: int) -> None:
    rounds = training._split(size, 0)
    assert len(rounds) == count
    for folds in rounds:
        counts = np.bincount(folds)  # none is -1: each product is held out once
        assert counts.sum() == size
        assert len(counts) == min(size, 5)
        assert counts.max() - counts.min() <= 1
    if size > 100:
        assert all(not np.array_equal(rounds[0], other) for other in rounds[1:])


def test_thresholds_come_of_each_product_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"id": str(i), "title": f"{c} {k} no {i}", "tags": [f"Colour:{c}", f"Kind:{k}"]}
        for i, (c, k) in enumerate([("red", "cap"), ("blue", "bag"), ("green", "cup")] * 30)
    ]
    batch = products_to_batch(rows)
    repeated = train([batch]).trained
    monkeypatch.setattr(training, "_ROUNDS", 1)
    once = train([batch]).trained
    assert repeated is not None
    assert once is not None
    assert len(repeated.held_out.right) == len(once.held_out.right)
    assert repeated.held_out.gold_total == once.held_out.gold_total == 180
