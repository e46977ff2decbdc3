import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagmill.errors import NotTrained, UnknownTag
from tagmill.learning import evaluate, train
from tagmill.learning.updating import Verdict, read_verdicts, update
from tagmill.library.vocabulary import Library
from tagmill.records import Tag, tag_id
from tagmill.tagging.folder import load_model, save_model, starter_model
from tagmill.tagging.model import Model
from tests.learning.conftest import make_products


def _probability(model: Model, title: str, name: str) -> float:
    line = model.tag([{"id": "1", "title": title, "language": "en"}], lane="all")[0]
    return next((tag["probability"] for tag in line["tags"] if tag["name"] == name), 0.0)


def _about(tag: str, accepted: bool, titles: list[str]) -> list[Verdict]:
    return [
        Verdict({"id": f"{tag}{number}", "title": title, "language": "en"}, tag, accepted)
        for number, title in enumerate(titles)
    ]


def test_what_people_say_is_learned_and_the_rest_kept(model: Model) -> None:
    """Linen was never winter; now people accept it for linen with a lining."""
    before = _probability(model, "Soft red linen dress", "winter")
    titles = [f"{word} blue lined linen shirt" for word in ("New", "Sale", "Soft", "Slim")] * 5
    learned = update(model, _about("Season:winter", True, titles))
    title = "Classic green lined linen shoe"
    assert _probability(learned, title, "winter") > _probability(model, title, "winter") + 0.1
    assert _probability(learned, "Soft red linen dress", "winter") < before + 0.1
    test = make_products(200, seed=5)
    was, now = (evaluate(m, [test])["micro_f1"] for m in (model, learned))
    assert now > was - 0.02
    assert learned.card["learned_verdicts"] == len(titles)
    assert learned.card["model_id"] != model.card["model_id"]


def test_the_given_model_stays_and_the_result_is_the_same_again(model: Model) -> None:
    assert model.trained is not None
    postings = np.array(model.trained.linear.postings)
    verdicts = _about("Colour:red", False, ["Slim red wool dress"])
    one, other = update(model, verdicts), update(model, verdicts)
    assert np.array_equal(model.trained.linear.postings, postings)
    assert one.trained is not None
    assert other.trained is not None
    assert np.array_equal(one.trained.linear.postings, other.trained.linear.postings)
    assert one.card == other.card
    assert update(model, []) is model


def test_a_new_tag_is_known_at_once_and_after_saving(model: Model, tmp_path: Path) -> None:
    titles = [f"{word} red velvet dress" for word in ("New", "Sale", "Soft", "Slim", "Classic")]
    learned = update(model, _about("Fabric:velvet", True, titles))
    velvet = _probability(learned, "Soft green velvet shoe", "velvet")
    assert velvet > 0.2
    assert velvet > 5 * _probability(learned, "Soft green wool shoe", "velvet")
    assert len(learned.tag_ids) == len(model.tag_ids) + 1
    save_model(learned, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    for title in ("Soft green velvet shoe", "New red wool dress"):
        products = [{"id": "1", "title": title}]
        assert loaded.tag(products, lane="all") == learned.tag(products, lane="all")
    again = update(loaded, _about("Fabric:velvet", True, ["Sale blue velvet shirt"]))
    assert again.card["learned_verdicts"] == 6


def test_only_pairs_that_would_be_shown_enter_the_calibration(model: Model) -> None:
    """What a person adds himself is right however improbable: it says nothing of its like."""
    assert model.trained is not None
    size = len(model.trained.held_out.right)
    shown = _about("Colour:red", True, ["New red wool dress"])
    added = _about("Colour:red", True, ["New blue wool dress"])
    for verdicts, more in ((shown, 1), (added, 0)):
        learned = update(model, verdicts)
        assert learned.trained is not None
        assert len(learned.trained.held_out.right) == size + more
        assert learned.review_start == model.review_start


def test_the_later_of_two_verdicts_counts(model: Model) -> None:
    yes = Verdict({"id": "1", "title": "New red wool dress"}, "Colour:blue", True)
    no = Verdict({"id": "1", "title": "New red wool dress"}, "Colour:blue", False)
    last, alone = update(model, [yes, no]), update(model, [no])
    assert last.trained is not None
    assert alone.trained is not None
    assert np.array_equal(last.trained.linear.postings, alone.trained.linear.postings)


def test_a_governed_library_takes_no_new_tag() -> None:
    colours = [Tag(tag_id("Colour", name), "Colour", name) for name in ("red", "blue", "green")]
    governed = train([make_products(60)], Library(colours))
    with pytest.raises(UnknownTag, match="velvet"):
        update(governed, _about("Fabric:velvet", True, ["red velvet"]))
    update(governed, _about("Fabric:velvet", False, ["red velvet"]))  # nothing to learn
    with pytest.raises(NotTrained):
        update(starter_model(), _about("颜色:红色", True, ["red"]))


def test_a_file_of_verdicts_names_its_bad_lines(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"id": "1", "title": "Red dress", "tag": "Colour:red", "accepted": True},
        {"id": "2", "title": "Red dress", "tag": "Colour:red", "accepted": "yes"},
        {"id": "3", "title": "Red dress", "accepted": True},
        {"title": "Red dress", "tag": "Colour:red", "accepted": True},
        ["no", "object"],
    ]
    path = tmp_path / "verdicts.jsonl"
    lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join([*lines, "{", ""]), encoding="utf-8")
    open_library = Library([Tag(tag_id("Colour", "red"), "Colour", "red")], verbatim=True)
    verdicts, rejects = read_verdicts(path, open_library)
    assert [verdict.product["id"] for verdict in verdicts] == ["1"]
    assert [reject["line"] for reject in rejects] == [2, 3, 4, 5, 6]
    assert "'accepted' is \"yes\"" in rejects[0]["reason"]
    verdicts, rejects = read_verdicts(path, Library([]))  # governed, and without the tag
    assert not verdicts
    assert "Unknown tag 'Colour:red'" in rejects[0]["reason"]
