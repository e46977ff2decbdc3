import itertools
from types import SimpleNamespace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from tagmill.tagging.model import Model
from tagmill.tagging.output import ScoredPairs
from tagmill.tagging.routing import EXPLORED, Cells, Prices, choose_cells, expected_gains

Floats = npt.NDArray[np.float64]


def model_with(review_start: float) -> Model:
    """What `expected_gains` needs of a model."""
    return cast(Model, SimpleNamespace(review_start=review_start))


def pairs(rows: list[int], probability: list[float]) -> ScoredPairs:
    numbers = np.array(probability, np.float64)
    tags = np.arange(len(rows), dtype=np.int32)
    fitted = np.ones(len(rows), np.bool_)
    return ScoredPairs(np.array(rows, np.int32), tags, numbers, numbers, fitted)


def one_each(gains: Floats) -> Cells:
    """Products of one cell each, some of which gain nothing."""
    rows = np.flatnonzero(gains)
    none = np.zeros(len(rows), np.int64)
    return Cells(rows, none, gains[rows], none, np.zeros(len(gains), np.int64), 1)


def chosen_products(
    gains: Floats, *, share: float | None = None, budget: float | None = None, seed: int = 0
) -> npt.NDArray[np.bool_]:
    """Which products of one cell each are asked about, where a product costs 1."""
    prices = Prices(1.0, 0.0)
    cells = choose_cells(one_each(gains), prices, share=share, budget=budget, seed=seed)
    chosen: npt.NDArray[np.bool_] = cells.toarray()[:, 0]
    return chosen


def f1_with_truth(
    worth: Floats, published: npt.NDArray[np.bool_], gold: npt.NDArray[np.bool_]
) -> float:
    """Micro-F1 where gold replaces what is published of the tenth of the products worth most."""
    asked = chosen_products(worth, share=0.1)
    kept = np.where(asked[:, None], gold, published)
    return float(2 * (kept & gold).sum() / (kept.sum() + gold.sum()))


class TestExpectedGains:
    def test_the_formula(self) -> None:
        found = expected_gains(model_with(0.4), pairs([0, 0, 1, 1], [0.9, 0.4, 0.3, 0.0]))
        assert found == pytest.approx([0.4 * 0.1, 0.4 * 0.6, 0.6 * 0.3, 0.0])

    def test_sure_pairs_are_worth_nothing(self) -> None:
        assert expected_gains(model_with(0.3), pairs([0, 0], [1.0, 0.0])).tolist() == [0, 0]

    def test_they_are_the_change_of_f1(self) -> None:
        """Σ over pairs of the gain is ½ · (2 · Δright − F1 · Δpublished), F1 being 2t."""
        start, probability = 0.35, np.array([0.95, 0.6, 0.36, 0.3, 0.1, 0.02])
        published = probability >= start
        found = expected_gains(model_with(start), pairs([0] * 6, probability.tolist()))
        more_right = probability.sum() - probability[published].sum()
        more_published = probability.sum() - published.sum()
        assert found.sum() == pytest.approx((2 * more_right - 2 * start * more_published) / 2)

    def test_without_training_it_is_half_the_expected_errors(self) -> None:
        found = expected_gains(model_with(0.5), pairs([0, 0], [0.8, 0.3]))
        assert found == pytest.approx([0.1, 0.15])

    def test_a_likely_miss_is_worth_more_than_a_likely_error(self) -> None:
        """Where little is found, t is low, and what is missing counts."""
        gain = expected_gains(model_with(0.2), pairs([0, 1], [0.81, 0.19]))
        assert gain[1] == pytest.approx(4 * gain[0])

    def test_it_finds_more_f1_than_errors_and_chance(self) -> None:
        """On products drawn from calibrated probabilities, a tenth of them asked about."""
        start, lead = 0.25, []
        for seed in range(20):
            chance = np.random.default_rng(seed)
            products, each = 1000, 8
            # Pairs as doubtful as in a catalogue where the best threshold is a quarter.
            probability = chance.beta(0.4, 2.2, (products, each)) * chance.uniform(
                0.3, 1.0, (products, 1)
            )
            gold = chance.random((products, each)) < probability
            published = probability >= start
            rows = np.repeat(np.arange(products), each).tolist()
            gain = expected_gains(model_with(start), pairs(rows, probability.ravel().tolist()))
            by_gain = gain.reshape(products, each).sum(axis=1)
            errors = np.where(published, 1 - probability, probability).sum(axis=1)

            ours, theirs, any_tenth = (
                f1_with_truth(worth, published, gold)
                for worth in (by_gain, errors, chance.random(products))
            )
            lead.append((ours - theirs, ours - any_tenth))
        over_errors, over_chance = np.mean(lead, axis=0)
        assert over_errors > 0.001
        assert over_chance > 0.03


class TestCells:
    def model(self) -> Model:
        """Three tags, the last two of one facet, and what `Cells.of` needs beside them."""
        return cast(Model, SimpleNamespace(review_start=0.5, facets=np.array([0, 1, 1], np.int32)))

    def scored(self) -> ScoredPairs:
        probability = np.array([0.6, 0.3, 0.001, 0.999, 0.2])
        return ScoredPairs(
            np.array([0, 0, 0, 2, 2], np.int32), np.array([0, 1, 2, 0, 2], np.int32),
            probability, probability, np.ones(5, np.bool_),
        )  # fmt: skip

    def test_what_is_in_doubt(self) -> None:
        cells = Cells.of(self.model(), self.scored(), 3)
        assert cells.rows.tolist() == [0, 0, 2]
        assert cells.facets.tolist() == [0, 1, 1]
        assert cells.gains == pytest.approx([0.2, 0.1505, 0.1])
        assert cells.candidates.tolist() == [1, 1, 1]  # from a twentieth on
        assert cells.all_candidates.tolist() == [2, 0, 2]
        assert cells.width == 2

    def test_batches_follow_one_another(self) -> None:
        one = Cells.of(self.model(), self.scored(), 3)
        both = Cells.concatenate([one, one])
        assert both.rows.tolist() == [0, 0, 2, 3, 3, 5]
        assert both.all_candidates.tolist() == [2, 0, 2] * 2


class TestChooseCells:
    def test_the_most_gain_a_cost_first(self) -> None:
        rows, none = np.arange(4), np.zeros(4, np.int64)
        gains = np.array([0.5, 0.9, 0.1, 0.8])
        cells = Cells(rows, none, gains, np.array([1, 30, 1, 1]), none, 1)
        assert chosen_rows(choose_cells(cells, Prices(), share=0.5)) == [0, 3]

    def test_a_products_first_cell_pays_for_the_others(self) -> None:
        """Alone no cell of product 0 is worth what the one of product 1 is; together they are."""
        cells = Cells(
            np.array([0, 0, 0, 0, 1]), np.array([0, 1, 2, 3, 0]),
            np.array([0.5, 0.5, 0.5, 0.02, 0.9]), np.ones(5, np.int64), np.array([4, 1]), 4,
        )  # fmt: skip
        found = choose_cells(cells, Prices(1.0, 0.1), budget=1.31).toarray()
        assert found.tolist() == [[True, True, True, False], [False] * 4]
        found = choose_cells(cells, Prices(1.0, 0.1), budget=2.41).toarray()
        assert found.tolist() == [[True, True, True, False], [True, False, False, False]]
        found = choose_cells(cells, Prices(1.0, 0.1), budget=2.51).toarray()
        assert found.tolist() == [[True] * 4, [True, False, False, False]]
        # Where a product costs nothing, every cell stands on its own.
        found = choose_cells(cells, Prices(0.0, 1.0), budget=2.0).toarray()
        assert found.tolist() == [[True, False, False, False], [True, False, False, False]]

    def test_it_gains_nearly_what_the_best_choice_does(self) -> None:
        """Of all choices of whole small catalogues, at budgets from tight to ample."""
        lost = []
        for seed in range(30):
            chance = np.random.default_rng(seed)
            rows = np.repeat(np.arange(4), 3)
            gains = np.round(chance.exponential(0.2, 12), 3)
            counts = chance.integers(1, 5, 12)
            total = np.bincount(rows, counts)
            cells = Cells(rows, np.tile(np.arange(3), 4), gains, counts, total, 3)
            masks = np.array(list(itertools.product([False, True], repeat=12)))
            opened = masks.reshape(-1, 4, 3).any(axis=2).sum(axis=1)
            costs = opened + 0.1 * (masks * counts).sum(axis=1)
            for budget in (1.5, 3.0, 4.5):
                found = choose_cells(cells, Prices(1.0, 0.1), budget=budget, seed=seed).toarray()
                gain = float(gains[found.ravel()].sum())
                best = float((masks * gains).sum(axis=1)[costs <= budget].max())
                lost.append(1 - gain / best)
        assert np.mean(lost) < 0.1
        assert np.median(lost) < 0.05

    @pytest.mark.parametrize(("share", "asked"), [(0.0, 0), (0.001, 1), (0.25, 50), (1.0, 200)])
    def test_a_share_of_the_products(self, share: float, asked: int) -> None:
        gains = np.random.default_rng(1).random(200)
        assert chosen_products(gains, share=share).sum() == asked

    def test_all_where_nothing_limits(self) -> None:
        assert chosen_products(np.array([0.1, 0.2, 0.3])).all()

    def test_never_more_than_the_budget(self) -> None:
        chance = np.random.default_rng(2)
        counts = chance.integers(1, 20, 3000)
        none = np.zeros(3000, np.int64)
        cells = Cells(np.arange(3000), none, chance.random(3000), counts, counts, 1)
        for budget in (0.0, 0.4, 10.0, 500.0):
            found = choose_cells(cells, Prices(0.5, 0.1), budget=budget).toarray()[:, 0]
            spent = float((0.5 + 0.1 * counts)[found].sum())
            assert spent <= budget
            assert spent > budget - 2.5  # and no room for one more is left

    def test_a_small_budget_is_not_spent_on_exploring(self) -> None:
        """A hundredth of what is asked about, not of the catalogue."""
        chosen = chosen_products(np.linspace(0, 1, 10_000), budget=100)
        assert chosen.sum() == 100
        assert chosen[-98:].all()

    def test_share_and_budget_together(self) -> None:
        gains = np.linspace(0, 1, 1000)
        assert chosen_products(gains, share=0.5, budget=20).sum() == 20
        assert chosen_products(gains, share=0.02, budget=500).sum() == 20

    def test_a_hundredth_is_explored(self) -> None:
        """Among the sure ones too, which no gain would choose."""
        size, share = 20_000, 0.25
        gains = np.where(np.arange(size) < size // 2, 0.0, np.linspace(0.1, 1, size))
        chosen = chosen_products(gains, share=share)
        best = np.zeros(size, np.bool_)
        best[-int(size * share) :] = True
        assert chosen.sum() == size * share
        explored = int((chosen & ~best).sum())
        assert explored == pytest.approx(EXPLORED * size * share, abs=2)
        assert (chosen & (gains == 0)).any()

    def test_what_is_explored_is_asked_in_all_facets(self) -> None:
        empty = np.zeros(0, np.int64)
        cells = Cells(empty, empty, empty.astype(np.float64), empty, np.ones(1000, np.int64), 3)
        found = choose_cells(cells, share=0.5).toarray()
        assert found.all(axis=1).sum() == found.any(axis=1).sum()
        assert found.any(axis=1).sum() == pytest.approx(EXPLORED * 500, abs=1)

    def test_few_asked_explore_a_hundredth_over_many_runs(self) -> None:
        gains = np.linspace(0, 1, 100)
        odd = [not chosen_products(gains, share=0.1, seed=s)[-10:].all() for s in range(500)]
        assert np.mean(odd) == pytest.approx(EXPLORED * 10, abs=0.04)

    def test_all_sure(self) -> None:
        """Nothing is to be gained: only chance asks."""
        chosen = chosen_products(np.zeros(1000), share=0.5)
        assert chosen.sum() == pytest.approx(EXPLORED * 500, abs=1)

    def test_no_products(self) -> None:
        assert chosen_products(np.zeros(0), share=0.5, budget=3.0).shape == (0,)

    def test_a_seed_decides(self) -> None:
        gains = np.random.default_rng(3).random(5000)

        def chosen(seed: int) -> list[bool]:
            found: list[bool] = chosen_products(gains, share=0.2, seed=seed).tolist()
            return found

        assert chosen(0) == chosen(0)
        assert chosen(0) != chosen(1)


def chosen_rows(cells: sparse.csr_array) -> list[int]:
    found: list[int] = np.flatnonzero(cells.toarray().any(axis=1)).tolist()
    return found
