from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier

from tagmill.tagging.candidates import FEATURES, MISSING, Candidates
from tagmill.tagging.context import Together
from tagmill.tagging.fusion import (
    NO_TREES,
    Fusion,
    fit_first,
    fit_second,
    fit_trees,
    with_context,
)


def _pairs(size: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(size, len(FEATURES))).astype(np.float32)
    right = features[:, 0] + features[:, 3] + rng.normal(size=size) > 0.5
    return features, right


def test_array_trees_say_what_scikit_learn_says() -> None:
    features, right = _pairs()
    features[:, FEATURES.index("linear_rank")] = 0  # of the highest margins none is hopeless
    trees = fit_trees(features, right, seed=1)
    reference = HistGradientBoostingClassifier(
        max_iter=55, learning_rate=0.12, max_depth=4, max_leaf_nodes=16, min_samples_leaf=20,
        l2_regularization=1.0, early_stopping=False, random_state=1,
    ).fit(features, right)  # fmt: skip
    assert np.allclose(trees.log_odds(features), reference.decision_function(features), atol=1e-5)


def test_hopeless_pairs_get_one_low_value_and_few_right_ones_are_lost() -> None:
    features, right = _pairs(20_000)
    features[:, FEATURES.index("linear_rank")] = 5
    features[:, FEATURES.index("hits")] = 0
    right &= features[:, 0] > -0.5
    trees = fit_trees(features, right, seed=1)
    margin, odds = trees.hopeless
    below = features[:, 0] < margin
    assert 0.2 < below.mean() < 0.6
    assert right[below].sum() <= 0.001 * right.sum()
    assert np.unique(trees.log_odds(features[below])).tolist() == [odds]
    assert odds < -4
    features[:, FEATURES.index("hits")] = 1
    assert len(np.unique(trees.log_odds(features[below]))) > 10


def test_a_pair_another_source_names_is_not_hopeless() -> None:
    features, right = _pairs(20_000)
    features[:, FEATURES.index("linear_rank")] = 5
    features[:, FEATURES.index("hits")] = 0
    scores = np.where(right, np.float32(1), MISSING)[:, None]
    features = np.concatenate([features, scores, np.zeros_like(scores)], axis=1)
    odds = fit_trees(features, right, seed=0).log_odds(features)
    assert odds[right].min() > odds[~right].max()


@pytest.mark.parametrize("right", [True, False])
def test_one_outcome_only_gives_a_constant(right: bool) -> None:
    features = np.zeros((8, len(FEATURES)), np.float32)
    odds = fit_trees(features, np.full(8, right), seed=0).log_odds(features)
    assert np.allclose(odds, np.log(17) if right else -np.log(17))


def test_both_looks_in_one_kernel_say_what_they_say_one_after_the_other() -> None:
    rng = np.random.default_rng(3)
    features, right = _pairs(4000)
    features[:, FEATURES.index("linear_rank")] = 0
    rows = np.repeat(np.arange(400, dtype=np.int32), 10)
    tags = np.tile(np.arange(10, dtype=np.int32), 400)
    labels = sparse.csr_array((rng.random((50, 10)) < 0.3).astype(np.float32))
    facets = (np.arange(10) % 3).astype(np.int32)
    first = fit_first(features, right, seed=0)
    fusion = Fusion(first, NO_TREES, Together.count(labels))
    candidates = Candidates(rows, tags, features)
    odds = first.log_odds(features)
    wanted, context = fusion.context(candidates, odds, facets)
    assert 0.3 < wanted.mean() < 1
    seen = with_context(features[wanted], odds[wanted], context)
    second = fit_second(seen, right[wanted], seed=0)
    expected = odds.copy()
    expected[wanted] = second.log_odds(seen)
    found = replace(fusion, second=second).log_odds(candidates, facets)
    assert np.allclose(found, expected, atol=1e-4)
    assert not np.allclose(found, odds, atol=0.1)
