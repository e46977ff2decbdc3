import numpy as np
import pytest
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier

from tagmill.tagging.fusion import FEATURES, TagStatistics, build_candidates, fit_trees
from tagmill.tagging.hits import Hits


def _hits(rows: list[int], tags: list[int], starts: list[int], exact: list[bool]) -> Hits:
    def whole(values: list[int]) -> np.ndarray:
        return np.array(values, np.int32)

    return Hits(
        whole(rows), whole(tags), whole([0] * len(rows)), whole(starts),
        whole([s + 2 for s in starts]), np.array(exact, bool), whole([2] * len(rows)),
        np.array(["a", "b", "c"], object), ["title"],
    )  # fmt: skip


STATISTICS = TagStatistics(
    np.array([0, 0, 1], np.int32), np.array([9, 0, 3]), np.array([4, 0, 0]), np.array([4, 0, 0])
)


def _column(features: np.ndarray, name: str) -> list[float]:
    return [float(value) for value in features[:, FEATURES.index(name)]]


def test_candidates_are_the_union_of_sources_with_their_features() -> None:
    linear = sparse.csr_array(np.array([[2.0, 1.0, 0], [0, 0, -1.0]], np.float32))
    found = build_candidates(
        linear, _hits([0, 0, 1], [0, 0, 1], [5, 1, 0], [False, True, False]), STATISTICS
    )
    assert list(zip(found.rows.tolist(), found.tags.tolist(), strict=True)) == [
        (0, 0), (0, 1), (1, 1), (1, 2),
    ]  # fmt: skip
    assert _column(found.features, "linear")[0] == 2
    assert np.isnan(_column(found.features, "linear")[2])
    assert _column(found.features, "linear_rank") == [0, 1, 1, 0]
    assert _column(found.features, "facet_rank") == [0, 1, 0, 0]
    assert _column(found.features, "linear_lead")[:2] == [1, -1]
    assert _column(found.features, "hits") == [2, 0, 1, 0]
    assert _column(found.features, "hit_exact") == [1, 0, 0, 0]
    assert _column(found.features, "hit_start")[0] == 1
    assert _column(found.features, "product_hits") == [1, 1, 1, 1]
    assert _column(found.features, "tag_count") == pytest.approx(
        np.log1p([9, 0, 0, 3]).astype(np.float32)
    )
    precision = _column(found.features, "name_precision")
    assert precision[0] > precision[1] > 0.5


def test_hits_alone_and_nothing_at_all() -> None:
    alone = build_candidates(None, _hits([1], [2], [0], [False]), STATISTICS)
    assert (alone.rows.tolist(), alone.tags.tolist()) == ([1], [2])
    nothing = build_candidates(None, _hits([], [], [], []), STATISTICS)
    assert nothing.features.shape == (0, len(FEATURES))


def test_array_trees_say_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, len(FEATURES))).astype(np.float32)
    features[rng.random(features.shape) < 0.2] = np.nan
    right = np.nan_to_num(features[:, 0] + features[:, 3]) + rng.normal(size=3000) > 0.5
    trees = fit_trees(features, right, seed=1)
    reference = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.1, max_leaf_nodes=16, min_samples_leaf=20,
        l2_regularization=1.0, early_stopping=False, random_state=1,
    ).fit(features, right)  # fmt: skip
    assert np.allclose(trees.log_odds(features), reference.decision_function(features), atol=1e-6)


@pytest.mark.parametrize("right", [True, False])
def test_one_outcome_only_gives_a_constant(right: bool) -> None:
    features = np.zeros((8, len(FEATURES)), np.float32)
    odds = fit_trees(features, np.full(8, right), seed=0).log_odds(features)
    assert np.allclose(odds, np.log(9) if right else -np.log(9))
