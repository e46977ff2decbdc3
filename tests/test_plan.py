"""The forecast is near what the run then costs, and nothing is sent for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tagmill.plan import count_tokens
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
    assert count_tokens("高清液晶电视") == 4
    assert count_tokens("a red cotton dress for summer") == 7
    assert count_tokens("") == 0
