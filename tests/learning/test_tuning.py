import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tagmill.errors import MissingExtra, NotTrained, SettingsError
from tagmill.learning import train, tune, tuning
from tagmill.learning.dataset import held_out_fifth
from tagmill.tagging.folder import load_model, save_model
from tagmill.tagging.model import Model
from tagmill.tagging.options import TrainingOptions
from tests.learning.conftest import make_products


@pytest.fixture(scope="module")
def few() -> pa.RecordBatch:
    return make_products(150)


def test_it_finds_options_and_trains_with_them(few: pa.RecordBatch, tmp_path: Path) -> None:
    one = tune([few.slice(0, 70), few.slice(70)], trials=4, metric="ndcg_at_5")
    assert one.trials == 4
    assert 0 < one.default_score <= one.best_score <= 1
    assert one.model.card["options"] == vars(one.options)
    assert one.model.card["products"] == 150
    again = tune([few], trials=4, metric="ndcg_at_5")
    assert (again.options, again.best_score) == (one.options, one.best_score)
    assert again.model.card["model_id"] == one.model.card["model_id"]
    save_model(one.model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.trained is not None
    assert loaded.trained.candidates == (one.options.candidates or 10)
    assert loaded.card["options"] == vars(one.options)


def test_the_default_comes_first(few: pa.RecordBatch) -> None:
    tuned = tune([few], trials=1)
    plain = train([few])
    assert tuned.options == TrainingOptions()
    assert tuned.default_score == tuned.best_score
    assert tuned.model.card == plain.card
    assert tuned.model.trained is not None
    assert plain.trained is not None
    assert np.array_equal(tuned.model.trained.fusion.second.leaf, plain.trained.fusion.second.leaf)


def test_other_options_give_another_model(few: pa.RecordBatch) -> None:
    plain, other = train([few]), train([few], options=TrainingOptions(regularisation=0.1))
    assert plain.card["model_id"] != other.card["model_id"]
    assert plain.trained is not None
    assert other.trained is not None
    assert not np.array_equal(plain.trained.linear.scale, other.trained.linear.scale)
    with_fewer = train([few], options=TrainingOptions(trees=3, minimum_products=50))
    assert with_fewer.trained is not None
    assert len(with_fewer.trained.fusion.second.leaf) == 3
    assert (with_fewer.trained.idf.weights > 0).sum() < (plain.trained.idf.weights > 0).sum()


class Clock:
    """A clock that only training moves, and how long each training took."""

    def __init__(self, seconds: Iterator[float]) -> None:
        self.now = 1000.0
        self.spent: list[float] = []
        self._seconds = seconds

    def train(self, *arguments: object, **options: object) -> Model:
        self.spent.append(next(self._seconds))
        self.now += self.spent[-1]
        return Model.__new__(Model)


@pytest.mark.parametrize(
    ("seconds", "trials"),
    [
        # a minute, in which a trial needs (1 + 5/4) of the longest yet; the last is for the model
        ([15, 10, 10, 10, 12.5], 4),
        ([15, 20, 25], 2),
        ([50, 62.5], 1),
        ([100, 125], 1),
    ],
)
def test_no_trial_begins_that_would_not_end_in_time(
    few: pa.RecordBatch, monkeypatch: pytest.MonkeyPatch, seconds: list[float], trials: int
) -> None:
    clock = Clock(iter(seconds))
    nothing = {"micro_f1": 0.5, "achieved_precision_at_095": None}
    monkeypatch.setattr(tuning, "monotonic", lambda: clock.now)
    monkeypatch.setattr(tuning, "train", clock.train)
    monkeypatch.setattr(tuning, "evaluate", lambda model, products: nothing)
    tuned = tune([few], minutes=1)
    assert tuned.trials == trials
    assert tuned.options == TrainingOptions()  # nothing was better
    assert tuned.seconds == sum(clock.spent)
    assert len(clock.spent) == trials + 1


def test_a_lane_that_broke_its_promise_covers_nothing() -> None:
    report = {"coverage_at_095": 0.4, "achieved_precision_at_095": 0.93, "micro_f1": 0.6}
    assert tuning._score(report, "coverage_at_095") == 0
    assert tuning._score(report, "micro_f1") == 0.6
    assert tuning._score({**report, "achieved_precision_at_095": 0.94}, "coverage_at_095") == 0.4


def test_without_optuna_it_says_what_to_install(
    few: pa.RecordBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tagmill\[tune\]'"):
        tune([few])


def test_what_cannot_be_tuned(few: pa.RecordBatch) -> None:
    with pytest.raises(SettingsError, match="Known: micro_f1"):
        tune([few], metric="accuracy")
    for options in ({"minutes": 0}, {"trials": 0}):
        with pytest.raises(SettingsError, match="above 0"):
            tune([few], **options)  # type: ignore[arg-type]
    ids = np.array([f"p{number}" for number in range(150)])
    in_rest = ids[~held_out_fifth(few, 0)][:3]
    with pytest.raises(NotTrained, match="Too few"):
        tune([few.filter(pa.array(np.isin(ids, in_rest)))])
