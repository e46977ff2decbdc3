"""With labelled products a language model's answers get weights, a curve and a lane."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import tagmill
from tagmill.catalog import as_batches
from tagmill.errors import BadReply, LanguageModelError, NotTrained
from tagmill.language import Asker, Request
from tagmill.learning.llm_fit import fit_llm
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings
from tagmill.tagging.cascade import consult_batch
from tagmill.tagging.llm import Consultant
from tagmill.tagging.llm_fusion import FEATURES, LlmFusion
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection
from tests.cli.command import tagmill as command

COLOURS = ["red", "blue", "green", "black"]


def colour_of(number: int) -> str:
    """Nothing of the number tells it."""
    return COLOURS[hashlib.sha256(str(number).encode()).digest()[1] % 4]


class Teacher:
    """Knows what colour a product is by its number; is wrong about one in ten."""

    name = "teacher"
    where = ""

    async def ask(self, request: Request) -> Reply:
        text = request.messages[-1]["content"]
        found = re.search(r"item (\d+)", text)
        assert found
        number = int(found.group(1))
        if request.max_tokens == 1:
            name = re.search(r"^Tag: colour:(\w+)", text, re.MULTILINE)
            assert name
            yes = 0.9 if self.says(number, name.group(1)) else 0.1
            return Reply("yes", ({"yes": math.log(yes), "no": math.log(1 - yes)},))
        offers = re.findall(r"^(\d+)\. colour:(\w+)", text, re.MULTILINE)
        tags = [
            {"number": int(place), "quote": f"item {number}"}
            for place, name in offers
            if self.says(number, name)
        ]
        return Reply(json.dumps({"tags": tags, "new": []}))

    def says(self, number: int, colour: str) -> bool:
        noise = hashlib.sha256(f"{number}{colour}".encode()).digest()[0] < 26
        return (colour_of(number) == colour) != noise

    async def close(self) -> None:
        pass


def products(first: int, last: int) -> list[dict[str, object]]:
    """Titles that tell the colour in two of three cases only."""
    return [
        {
            "id": str(i),
            "title": f"item {i} {colour_of(i) if i % 3 else 'plain'} shirt",
            "tags": [f"colour:{colour_of(i)}"],
        }
        for i in range(first, last)
    ]


@pytest.fixture(scope="module")
def model() -> Model:
    return tagmill.train(products(1000, 1240))


def consultant(model: Model) -> Consultant:
    settings = LanguageModelSettings()
    asker = Asker(Teacher(), settings)
    return Consultant(asker, asker, model.library)


def batch(first: int, last: int) -> pa.RecordBatch:
    (found,) = as_batches(products(first, last))
    return found


@pytest.fixture(scope="module")
def fitted(model: Model) -> LlmFusion:
    fusion, failed = fit_llm(model, consultant(model), [batch(2000, 2400)], sample=400)
    assert failed == []
    return fusion


def outcome(model: Model, lane: str) -> tuple[int, int]:
    """Published and right, of new products, in a lane."""
    rows = batch(3000, 4000)
    tagged = consult_batch(model, consultant(model), rows, Selection(lane=lane)).tagged.to_pylist()
    said = [
        (int(line["id"]), tag["name"])
        for line in tagged
        for tag in line["tags"]
        if lane != "auto" or tag["lane"] == "auto"
    ]
    return len(said), sum(colour_of(number) == name for number, name in said)


def test_a_fit_makes_probabilities_that_hold(model: Model, fitted: LlmFusion) -> None:
    assert len(fitted.right) >= 400
    error = 0.0
    bins = np.digitize(fitted.probability, [0.2, 0.4, 0.6, 0.8])
    for place in np.unique(bins):
        inside = bins == place
        gap = fitted.probability[inside].mean() - fitted.right[inside].mean()
        error += abs(gap) * inside.mean()
    assert error < 0.03
    assert fitted.right[fitted.probability > 0.9].mean() > 0.9


def test_what_was_fitted_is_used_and_can_be_auto(model: Model, fitted: LlmFusion) -> None:
    before, right_before = outcome(model, "auto")
    taught = Model(
        model.library, model.prior, model.trained, {**model.card, "llm": fitted.as_card()}
    )
    after, right_after = outcome(taught, "auto")
    assert after > before  # plain products too, that no title tells
    assert right_after / after >= 0.93
    shown, right = outcome(taught, "review")
    assert right / shown > 0.85
    assert right > 0.75 * 1000
    assert right_before <= before


def test_a_fit_survives_its_card_and_belongs_to_its_model(
    model: Model, fitted: LlmFusion, tmp_path: Path
) -> None:
    taught = Model(
        model.library, model.prior, model.trained, {**model.card, "llm": fitted.as_card()}
    )
    taught.save(tmp_path / "model")
    loaded = tagmill.load(tmp_path / "model")
    one = consultant(loaded).fusion(loaded.card)
    assert one.model == "teacher"
    features = np.random.default_rng(1).normal(size=(50, len(FEATURES)))
    assert np.allclose(one(features), fitted(features), atol=1e-6)
    assert one.auto_start(0.95) == pytest.approx(fitted.auto_start(0.95), abs=1e-5)
    other = consultant(loaded)
    other.propose.model.name = "another"
    assert other.fusion(loaded.card).model == ""
    other.propose.model.name = "teacher"
    assert other.fusion({}).model == ""


def test_too_little_to_learn_from(model: Model) -> None:
    with pytest.raises(NotTrained, match="No product has tags"):
        fit_llm(model, consultant(model), [])
    with pytest.raises(NotTrained, match="too few to learn from"):
        fit_llm(model, consultant(model), [batch(300, 303)])


class Mute(Teacher):
    """Has no answer about the first products."""

    def __init__(self, until: int) -> None:
        self.until = until

    async def ask(self, request: Request) -> Reply:
        found = re.search(r"item (\d+)", request.messages[-1]["content"])
        assert found
        if int(found.group(1)) < self.until:
            raise BadReply("it is silent")
        return await super().ask(request)


def test_who_failed_is_named_and_nothing_is_no_fit(model: Model) -> None:
    def fit(until: int, last: int = 360) -> list[dict[str, str]]:
        asker = Asker(Mute(until), LanguageModelSettings())
        return fit_llm(model, Consultant(asker, asker, model.library), [batch(300, last)])[1]

    assert fit(303) == [{"id": str(i), "reason": "it is silent"} for i in range(300, 303)]
    with pytest.raises(LanguageModelError, match="20 requests in a row failed"):
        fit(400)
    with pytest.raises(NotTrained, match="15 of 15 .* no usable answer, .* because it is silent"):
        fit(400, 315)


def test_the_command_says_that_no_threshold_holds(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    lines = [json.dumps(row) + "\n" for row in products(300, 360)]
    (tmp_path / "tagged.jsonl").write_text("".join(lines))
    options = ("llm", "fit", "tagged.jsonl", "--model", "model", "--llm-model", "scripted")
    assert command(*options, "--json", cwd=tmp_path).json()["auto_from"] is None
    assert "No threshold is shown to hold 0.95" in command(*options, cwd=tmp_path).out
