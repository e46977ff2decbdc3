import numpy as np
import pytest
from scipy.stats import binom

from tagmill.probability import (
    best_f1_threshold,
    fit_calibration,
    fit_curve,
    half_best_f1,
    lane_threshold,
)


def _sample(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose true probability is score squared."""
    rng = np.random.default_rng(seed)
    scores = rng.random(size)
    return scores, rng.random(size) < scores**2


def test_curve_finds_the_true_probability() -> None:
    curve = fit_curve(*_sample(50_000))
    grid = np.linspace(0.05, 0.95, 19)
    assert np.abs(curve(grid) - grid**2).max() < 0.03
    assert (np.diff(curve(np.linspace(-1, 2, 200))) >= 0).all()


@pytest.mark.parametrize("outcome", [True, False])
@pytest.mark.parametrize("size", [1, 2, 30])
def test_no_finite_sample_is_certainty(size: int, outcome: bool) -> None:
    curve = fit_curve(np.linspace(0, 1, size), np.full(size, outcome))
    probability = float(curve(np.array([0.5]))[0])
    assert probability == pytest.approx((size + 1) / (size + 2) if outcome else 1 / (size + 2))


def test_curve_without_pairs_is_even() -> None:
    assert fit_curve(np.zeros(0), np.zeros(0, bool))(np.array([3.0]))[0] == 0.5


def test_a_bucket_of_its_own_differs_only_with_evidence() -> None:
    scores, outcomes = _sample(20_000)
    rare = np.arange(20_000) % 2 == 0
    outcomes = np.where(rare, outcomes & (np.arange(20_000) % 4 == 0), outcomes)
    counts = np.where(rare, 1, 1000)
    calibration = fit_calibration(scores, outcomes, counts)
    probe = np.array([0.9])
    assert calibration(probe, np.array([1]))[0] == pytest.approx(0.405, abs=0.06)
    assert calibration(probe, np.array([1000]))[0] == pytest.approx(0.81, abs=0.06)


def test_a_bucket_follows_the_rest_where_it_has_no_evidence() -> None:
    """Common tags were only ever seen right, at high scores; a low score is still a low one."""
    scores, outcomes = _sample(20_000)
    common = (scores > 0.9) & (np.arange(20_000) % 2 == 0)
    calibration = fit_calibration(scores, outcomes | common, np.where(common, 1000, 10))
    low, high = calibration(np.array([0.2, 0.95]), np.array([1000, 1000]))
    assert low == pytest.approx(0.04, abs=0.05)
    assert high > 0.95


def test_lane_holds_its_promise_in_nine_of_ten_samples() -> None:
    """With delta 0.1 at most a tenth of the chosen lanes may truly lie below the promise."""
    broken = used = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        probability = rng.random(2_000)
        right = rng.random(2_000) < probability
        start = lane_threshold(probability, right, 0.9)
        if np.isfinite(start):
            used += 1
            broken += (start + 1) / 2 < 0.9  # true precision of a uniform above start
    assert used > 150
    assert broken <= binom.ppf(0.999, used, 0.1)


def test_lane_abstains_without_evidence() -> None:
    assert lane_threshold(np.full(20, 0.99), np.ones(20, bool), 0.95) == float("inf")
    assert lane_threshold(np.linspace(0, 1, 5000), np.zeros(5000, bool), 0.95) == float("inf")
    assert lane_threshold(np.zeros(0), np.zeros(0, bool), 0.95) == float("inf")


def test_lane_takes_all_where_all_is_right() -> None:
    probability = np.linspace(0.5, 1, 1000)
    assert lane_threshold(probability, np.ones(1000, bool), 0.95) == pytest.approx(0.25)


def test_best_f1_threshold_counts_what_was_never_suggested() -> None:
    probability = np.array([0.9, 0.8, 0.3, 0.2])
    right = np.array([True, True, False, True])
    assert best_f1_threshold(probability, right, 3) == 0.2
    assert best_f1_threshold(probability[:3], right[:3], 2) == pytest.approx(0.55)
    assert best_f1_threshold(np.zeros(0), np.zeros(0, bool), 5) == 0.5


def test_half_of_the_best_f1_is_where_calibrated_probabilities_have_it() -> None:
    scores, right = _sample(200_000)
    gold = int(right.sum())
    start = half_best_f1(scores**2, right, gold)
    assert start == pytest.approx(best_f1_threshold(scores**2, right, gold), abs=0.02)
    few = [_sample(80, seed) for seed in range(100)]
    found = [
        (half_best_f1(s**2, r, int(r.sum())), best_f1_threshold(s**2, r, int(r.sum())))
        for s, r in few
    ]
    half, best = np.std(found, axis=0)
    assert half < best / 3  # what happens to be best is luck
    assert half_best_f1(np.zeros(0), np.zeros(0, bool), 0) == 0.5
    assert half_best_f1(np.array([0.1]), np.array([False]), 3) == 0.5
