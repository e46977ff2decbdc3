import numpy as np
import pytest
from sklearn.metrics import f1_score, ndcg_score

from tagmill.learning.metrics import (
    Judged,
    brier_score,
    coverage,
    expected_calibration_error,
    ranking_metrics,
    risk_coverage,
    set_metrics,
)


def _judged(predicted: list[list[tuple[int, float]]], gold: list[set[int]], tags: int) -> Judged:
    rows, numbers, ranks, probability, right = [], [], [], [], []
    for row, pairs in enumerate(predicted):
        for rank, (tag, p) in enumerate(pairs):
            rows.append(row)
            numbers.append(tag)
            ranks.append(rank)
            probability.append(p)
            right.append(tag in gold[row])
    pairs_of_gold = [(row, tag) for row, given in enumerate(gold) for tag in sorted(given)]
    return Judged(
        np.array(rows, np.int64), np.array(numbers, np.int64), np.array(ranks, np.int64),
        np.array(probability, float), np.array(right, bool),
        np.array([r for r, _ in pairs_of_gold], np.int64),
        np.array([t for _, t in pairs_of_gold], np.int64), len(gold), tags,
    )  # fmt: skip


# Product 0: one right, one wrong. 1: gold unknown to the model. 2: no gold, one wrong. 3: none.
EXAMPLE = _judged(
    [[(0, 0.9), (1, 0.4)], [(1, 0.6)], [(2, 0.2)], []], [{0, 2}, {3}, set(), set()], 4
)


def test_ranking_by_hand() -> None:
    metrics = ranking_metrics(EXAMPLE, np.array([5, 5, 5, 0]), 100)
    assert metrics["p_at_1"] == pytest.approx(1 / 2)  # of two products with gold
    assert metrics["p_at_5"] == pytest.approx(1 / 10)
    assert metrics["r_at_5"] == pytest.approx((1 / 2 + 0) / 2)
    assert metrics["ndcg_at_5"] == pytest.approx((1 / (1 + 1 / np.log2(3))) / 2)


def test_ndcg_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((50, 12))
    truth = rng.random((50, 12)) < 0.3
    truth[:, 0] = True
    order = np.argsort(-scores, axis=1)
    predicted = [[(int(t), float(scores[i, t])) for t in order[i]] for i in range(50)]
    judged = _judged(predicted, [set(np.flatnonzero(t).tolist()) for t in truth], 12)
    ours = ranking_metrics(judged, np.full(12, 10), 50)["ndcg_at_5"]
    assert ours == pytest.approx(ndcg_score(truth, scores, k=5))


def test_propensity_favours_rare_tags_and_is_one_for_a_perfect_list() -> None:
    frequency = np.array([1000, 1])
    common = _judged([[(0, 0.9)], []], [{0}, {1}], 2)
    rare = _judged([[], [(1, 0.9)]], [{0}, {1}], 2)
    perfect = _judged([[(0, 0.9)], [(1, 0.9)]], [{0}, {1}], 2)
    values = [ranking_metrics(j, frequency, 1000)["psp_at_5"] for j in (common, rare, perfect)]
    assert values[0] < values[1] < values[2] == pytest.approx(1)


def test_sets_count_over_the_union_of_gold_and_predicted() -> None:
    """Minish's binarizer drops predictions outside gold; here they are wrong."""
    metrics = set_metrics(EXAMPLE, np.ones(4, bool))
    assert metrics["precision"] == pytest.approx(1 / 4)
    assert metrics["recall"] == pytest.approx(1 / 3)
    assert metrics["micro_f1"] == pytest.approx(2 / 7)
    assert metrics["macro_f1"] == pytest.approx((1 + 0 + 0 + 0) / 4)
    assert metrics["example_f1"] == pytest.approx((2 / 4 + 0 + 0 + 1) / 4)


def test_f1_is_that_of_scikit_learn_where_all_tags_are_known() -> None:
    rng = np.random.default_rng(1)
    truth, given = rng.random((40, 6)) < 0.4, rng.random((40, 6)) < 0.4
    truth[0] = given[0] = True  # every tag occurs
    predicted = [[(int(t), 0.5) for t in np.flatnonzero(row)] for row in given]
    judged = _judged(predicted, [set(np.flatnonzero(row).tolist()) for row in truth], 6)
    ours = set_metrics(judged, np.ones(len(judged.rows), bool))
    for average, key in (("micro", "micro_f1"), ("macro", "macro_f1")):
        assert ours[key] == pytest.approx(f1_score(truth, given, average=average))


def test_coverage_of_an_empty_lane_has_no_precision() -> None:
    assert coverage(EXAMPLE, np.zeros(4, bool)) == (0.0, None, 0)
    assert coverage(EXAMPLE, EXAMPLE.probability > 0.5) == (1 / 3, 0.5, 2)


def test_calibration_error_sees_overconfidence() -> None:
    rng = np.random.default_rng(2)
    probability = rng.random(30_000)
    honest = rng.random(30_000) < probability
    boastful = rng.random(30_000) < probability / 2
    assert expected_calibration_error(probability, honest) < 0.01
    assert expected_calibration_error(probability, boastful) == pytest.approx(0.25, abs=0.01)
    assert brier_score(probability, honest) == pytest.approx(1 / 6, abs=0.01)


def test_risk_coverage_ends_at_all_pairs() -> None:
    curve = risk_coverage(EXAMPLE)
    assert curve[0] == (1 / 3, 1.0)
    assert curve[-1] == pytest.approx((1 / 3, 0.25))
