"""The forecast is near what the run then costs, and nothing is sent for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tagmill.language.client import guess_tokens
from tagmill.plan import Sample
from tests.cli.command import refusal, tagmill
from tests.cli.samples import CATALOGUE

PRICES = """[llm]
model = "scripted"
price_input = 2.0
price_output = 10.0
budget = 0.001
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "tagmill.toml").write_text(PRICES)
    return tmp_path


def test_a_forecast_is_near_the_run(tmp_path: Path) -> None:
    options = ("--llm-model", "scripted", "--json")
    forecast = tagmill("plan", CATALOGUE, "--llm", "all", *options, cwd=tmp_path).json()
    assert not (tmp_path / "out.jsonl").exists()
    done = tagmill("tag", CATALOGUE, "-o", "out.jsonl", "--llm", "all", *options, cwd=tmp_path)
    spent = done.json()["llm"]
    assert forecast["products"] == forecast["asked"] == 496
    assert forecast["calls"] == pytest.approx(spent["calls"], rel=0.1)
    assert 0.3 < forecast["cached_share"] < 1
    again = tagmill("plan", CATALOGUE, "--llm", "all", *options, cwd=tmp_path).json()
    assert again["calls"] < 0.9 * forecast["calls"]  # what was proposed is not asked again


def test_a_share_costs_a_share(shop: Path) -> None:
    every = tagmill("plan", CATALOGUE, "--llm", "all", "--json", cwd=shop).json()
    tenth = tagmill("plan", CATALOGUE, "--llm-share", "0.1", "--json", cwd=shop).json()
    assert tenth["asked"] <= 50
    assert tenth["cost"] < 0.3 * every["cost"]
    assert every["cost"] > every["budget"] == 0.001
    assert "more than the budget" in tagmill("plan", CATALOGUE, "--llm", "all", cwd=shop).out


def test_no_products_cost_nothing(shop: Path) -> None:
    (shop / "none.jsonl").write_text(json.dumps({"id": "1", "title": "qqq"}) + "\n")
    found = tagmill("plan", "none.jsonl", "--llm-share", "0", "--json", cwd=shop).json()
    assert (found["asked"], found["calls"], found["cost"]) == (0, 0, 0)
    assert "Unknown --llm 'off'" in refusal("plan", "none.jsonl", "--llm", "off", cwd=shop)


def test_tokens_are_guessed_by_script() -> None:
    assert guess_tokens("高清液晶电视") == 4
    assert guess_tokens("a red cotton dress for summer") == 7
    assert guess_tokens("") == 0


def test_cascade_asks_what_the_budget_pays_for(shop: Path) -> None:
    """As forecast, to the end of the catalogue; and with more of a budget about more."""
    asked = []
    for budget in (0.02, 0.1):
        options = ("--llm", "cascade", "--llm-share", "1", "--budget", budget, "--json")
        forecast = tagmill("plan", CATALOGUE, *options, cwd=shop).json()
        assert 0.6 * budget < forecast["cost"] < budget
        (shop / "llm.db").unlink(missing_ok=True)
        done = tagmill(
            "tag", CATALOGUE, "-o", "out.jsonl", "--llm-cache", "llm.db", *options, cwd=shop
        ).json()
        assert done["products"] == 496
        assert done["asked"] == forecast["asked"]
        assert done["llm"]["cost"] == pytest.approx(forecast["cost"], rel=0.1)
        asked.append(done["asked"])
    assert 0 < 3 * asked[0] < asked[1]
    again = tagmill(
        "tag", CATALOGUE, "-o", "out.jsonl", "--llm-cache", "llm.db", *options, cwd=shop
    ).json()
    assert (again["asked"], again["llm"]["calls"]) == (asked[1], 0)


def test_what_a_budget_begins_it_finishes(shop: Path) -> None:
    """The products it pays for are tagged; the same command goes on where that one stopped."""
    whole = tagmill("plan", CATALOGUE, "--llm", "all", "--json", cwd=shop).json()
    budget = whole["cost"] / 4
    command = ("tag", CATALOGUE, "-o", "out.jsonl", "--llm", "all", "--budget", budget)
    finished = []
    for _ in range(2):
        done = tagmill(*command, "--json", cwd=shop, code=1)
        report = done.json()
        assert f"of the budget of {budget:.4g} are spent" in done.err
        assert 0.9 * budget < report["llm"]["cost"] <= budget
        lines = (shop / "out.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == report["products"] == report["asked"]
        finished.append(report["products"])
    assert 0.8 < finished[0] / (whole["products"] / 4) < 1.2
    assert finished[1] > 1.7 * finished[0]
    enough = tagmill(*command[:-1], whole["cost"], "--json", cwd=shop).json()
    assert enough["products"] == 496


def test_a_weighted_sample() -> None:
    """Rows come as often as their weights say, and keep their places."""
    seen = np.zeros(300)
    for seed in range(200):
        sample = Sample(30, seed)
        for first in range(0, 300, 100):
            batch = pa.RecordBatch.from_pydict({"n": np.arange(first, first + 100)})
            sample.add(batch, np.repeat([0.0, 1.0, 3.0, 0.0], 25), first)
        assert sample.rows is not None
        assert sample.rows.column("n").to_pylist() == sample.places.tolist()
        assert (sample.total, len(sample.places)) == (150, 30)
        seen[sample.places] += 1
    by_weight = seen.reshape(3, 4, 25).sum(axis=(0, 2))
    assert by_weight[0] == by_weight[3] == 0
    assert 2 < by_weight[2] / by_weight[1] < 3
    few = Sample(30)
    few.add(pa.RecordBatch.from_pydict({"n": [1, 2]}), np.array([0.0, 0.0]))
    assert few.rows is None
