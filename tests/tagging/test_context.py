import numpy as np
import pytest
from scipy import sparse

from tagmill.tagging.context import CONTEXT, Together, look_around

# Of ten products: 0 and 1 always together on four, 2 alone on the others, 3 never.
LABELS = sparse.csr_array(np.array([[1, 1, 0, 0]] * 4 + [[0, 0, 1, 0]] * 6, np.float32))
FACETS = np.array([0, 1, 1, 1], np.int32)


def _around(tags: list[int], log_odds: list[float]) -> dict[int, dict[str, float]]:
    found = look_around(
        np.zeros(len(tags), np.int32), np.array(tags, np.int32), np.array(log_odds, np.float32),
        np.ones(len(tags), bool), FACETS, Together.count(LABELS),
    )  # fmt: skip
    rows = found.tolist()
    return {tag: dict(zip(CONTEXT, row, strict=True)) for tag, row in zip(tags, rows, strict=True)}


def test_what_goes_together_lifts_and_what_never_did_lowers() -> None:
    with_partner, with_stranger = _around([0, 1], [5.0, 0.0])[1], _around([0, 2], [5.0, 0.0])[2]
    assert with_partner["together_lift"] > 0.5
    assert with_stranger["together_lift"] < -0.5
    assert with_partner["together_share"] > 0.7 > with_stranger["together_share"]


def test_sums_are_over_the_others_and_the_facet() -> None:
    around = _around([0, 1, 2], [0.0, 0.0, -1.0])
    unlikely = 1 / (1 + np.e)
    assert around[0]["product_others"] == pytest.approx(0.5 + unlikely)
    assert around[0]["facet_others"] == 0
    assert around[0]["facet_rival"] == -12
    assert around[1]["facet_others"] == pytest.approx(unlikely)
    assert around[1]["facet_rival"] == pytest.approx(-1)
    assert around[2]["facet_rival"] == pytest.approx(0)


def test_shares_are_those_of_the_products() -> None:
    together = Together.count(LABELS)
    partners = slice(together.indptr[0], together.indptr[1])
    assert together.tags[partners].tolist() == [1]
    assert together.share[partners][0] == pytest.approx((4 + 2 * 0.4) / 6)


def test_tags_can_move_and_be_dropped() -> None:
    moved = Together.count(LABELS).moved(np.array([2, 0, -1, 1]), 3)
    assert np.diff(moved.indptr).tolist() == [1, 0, 1]
    assert moved.tags.tolist() == [2, 0]
    assert len(moved.missing) == 3


def test_a_tag_with_too_many_partners_keeps_the_most_frequent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tagmill.tagging.context._PAIRS", 4)
    monkeypatch.setattr("tagmill.tagging.context._FEWEST", 1)
    rows = [[1, 1, 0], [1, 1, 0], [1, 0, 1]]
    together = Together.count(sparse.csr_array(np.array(rows, np.float32)))
    assert together.tags[together.indptr[0] : together.indptr[1]].tolist() == [1]
    assert together.missing[0] == 0  # who is not kept says nothing
