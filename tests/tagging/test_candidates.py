import numpy as np
import pytest
from scipy import sparse

from tagmill.learning.dataset import LabelMatrix
from tagmill.learning.one_vs_rest import train_linear
from tagmill.tagging.candidates import (
    FAR,
    FEATURES,
    MISSING,
    NO_MARGIN,
    Candidates,
    TagStatistics,
    build_candidates,
)
from tagmill.tagging.features import Rows
from tagmill.tagging.hits import Hits
from tagmill.tagging.linear import DENSE_TAGS, LinearModel

STATISTICS = TagStatistics(
    np.array([0, 0, 1], np.int32), np.array([9, 0, 3]), np.array([4, 0, 0]), np.array([4, 0, 0])
)


def _hits(rows: list[int], tags: list[int], starts: list[int], exact: list[bool]) -> Hits:
    def whole(values: list[int]) -> np.ndarray:
        return np.array(values, np.int32)

    return Hits(
        whole(rows), whole(tags), whole([0] * len(rows)), whole(starts),
        whole([s + 2 for s in starts]), np.array(exact, bool), whole([2] * len(rows)),
        np.zeros(len(rows), np.int8), np.zeros(len(rows), np.int8), np.array(exact, bool),
        np.array(["a", "b", "c"], object), ["title"],
    )  # fmt: skip


def _linear(margins: list[list[float]]) -> tuple[Rows, LinearModel]:
    """Rows of one feature each and a model whose margins are the given ones."""
    rows = np.arange(len(margins), dtype=np.int32)
    features = Rows(np.arange(len(margins) + 1), rows, np.ones(len(margins), np.float32))
    wanted = np.array(margins, np.float32)
    scale = np.maximum(np.abs(wanted).max(axis=0), 1e-6) / 127
    levels = np.rint(wanted / scale).astype(np.int64)
    tags = np.broadcast_to(np.arange(wanted.shape[1]), wanted.shape)
    owners = np.broadcast_to(rows[:, None], wanted.shape)
    none = np.zeros(wanted.shape[1], np.float32)
    return features, LinearModel.pack(owners.ravel(), tags.ravel(), levels.ravel(), scale, none)


def _column(found: Candidates, name: str) -> list[float]:
    return [float(value) for value in found.features[:, FEATURES.index(name)]]


def _pairs(found: Candidates) -> list[tuple[int, int]]:
    return list(zip(found.rows.tolist(), found.tags.tolist(), strict=True))


def test_candidates_are_the_union_of_sources_with_their_features() -> None:
    rows, linear = _linear([[2.0, 1.0, 0], [0, 0, -1.0]])
    hits = _hits([0, 0, 0, 1], [0, 0, 1, 2], [5, 1, 3, 0], [False, True, False, False])
    found = build_candidates(rows, linear, 1, hits, STATISTICS)
    assert _pairs(found) == [(0, 0), (0, 1), (1, 0), (1, 2)]
    assert _column(found, "linear") == pytest.approx([2, 1, 0, -1])
    assert _column(found, "linear_rank") == [0, 1, 0, 1]
    assert _column(found, "facet_rank") == [0, 1, 0, 0]
    assert _column(found, "linear_lead") == pytest.approx([1, -1, 10, 9])
    assert _column(found, "hits") == [2, 1, 0, 1]
    assert _column(found, "hit_exact") == [1, 0, 0, 0]
    assert _column(found, "hit_start") == [1, 3, float(FAR), 0]
    assert _column(found, "hit_order") == [0, 1, float(FAR), 0]
    assert _column(found, "facet_hits") == [2, 2, 0, 1]
    assert _column(found, "product_hits") == [2, 2, 1, 1]
    assert _column(found, "tag_count") == pytest.approx(np.log1p([9, 0, 9, 3]).astype(np.float32))
    precision = _column(found, "name_precision")
    assert precision[0] > precision[1] > 0.5


def test_hits_alone_and_nothing_at_all() -> None:
    untrained = LinearModel.untrained(3)
    hits = _hits([1], [2], [0], [False])
    alone = build_candidates(Rows.empty(2), untrained, 5, hits, STATISTICS)
    assert _pairs(alone) == [(1, 2)]
    assert _column(alone, "linear") == [float(NO_MARGIN)]
    nothing = build_candidates(Rows.empty(2), untrained, 5, _hits([], [], [], []), STATISTICS)
    assert nothing.features.shape == (0, len(FEATURES))
    none = TagStatistics(np.zeros(0, np.int32), *[np.zeros(0, np.int64)] * 3)
    empty = build_candidates(
        Rows.empty(2), LinearModel.untrained(0), 5, _hits([], [], [], []), none
    )
    assert len(empty) == 0


def test_further_sources_add_candidates_and_two_features_each() -> None:
    rows, linear = _linear([[2.0, 1.0, 0], [0, 0, -1.0]])
    other = sparse.csr_array(np.array([[0, 0.5, 0.75], [0, 0, 0.25]], np.float32))
    found = build_candidates(rows, linear, 1, _hits([], [], [], []), STATISTICS, [other])
    assert _pairs(found) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)]
    assert found.features[:, len(FEATURES)].tolist() == [float(MISSING), 0.5, 0.75, MISSING, 0.25]
    assert found.features[:, len(FEATURES) + 1].tolist() == [2, 1, 0, 1, 0]


@pytest.mark.parametrize("dense_tags", [0, 10_000])
def test_the_highest_margins_are_found(monkeypatch: pytest.MonkeyPatch, dense_tags: int) -> None:
    """Also where only tags with a posting of the product's features are looked at."""
    rng = np.random.default_rng(0)
    tags = 300
    matrix = sparse.random_array((200, 400), density=0.05, rng=rng, dtype=np.float32).tocsr()
    rows = Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
    labels = sparse.csr_array((rng.random((200, tags)) < 0.02).astype(np.int8))
    linear = train_linear(rows, LabelMatrix(labels, np.ones(200, bool)))
    size = 9_000 if dense_tags == 0 else tags  # of many tags most have no model
    places = np.sort(rng.permutation(size)[:tags])
    linear = linear.moved(places, size)
    statistics = TagStatistics(np.zeros(size, np.int32), *[np.zeros(size, np.int64)] * 3)
    found = build_candidates(rows, linear, 7, _hits([], [], [], []), statistics)
    margins = np.nan_to_num(linear.margins(rows), nan=-np.inf)
    if dense_tags == 0:  # what no feature speaks for is not looked at
        features, spoken_tags, levels = linear.unpack()
        ones = np.ones(len(levels), np.float32)
        spoken = sparse.csr_array((ones, (features, spoken_tags)), shape=(1 << 20, size))
        margins[(rows.matrix() @ spoken).toarray() == 0] = -np.inf
    best = -np.sort(-margins, axis=1)[:, :7]
    assert (np.bincount(found.rows) == 7).all()
    assert np.allclose(np.array(_column(found, "linear")).reshape(200, 7), best, atol=1e-5)
    assert np.allclose(margins[found.rows, found.tags], _column(found, "linear"), atol=1e-5)
    assert DENSE_TAGS < 9_000
