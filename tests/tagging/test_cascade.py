from types import SimpleNamespace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from tagmill.tagging.cascade import EXPLORED, choose_products, expected_gains
from tagmill.tagging.model import Model
from tagmill.tagging.output import ScoredPairs

Floats = npt.NDArray[np.float64]


def model_with(review_start: float) -> Model:
    """What `expected_gains` needs of a model."""
    return cast(Model, SimpleNamespace(review_start=review_start))


def pairs(rows: list[int], probability: list[float]) -> ScoredPairs:
    numbers = np.array(probability, np.float64)
    tags = np.arange(len(rows), dtype=np.int32)
    fitted = np.ones(len(rows), np.bool_)
    return ScoredPairs(np.array(rows, np.int32), tags, numbers, numbers, fitted)


def ones(size: int) -> Floats:
    return np.ones(size)


def f1_with_truth(
    worth: Floats, published: npt.NDArray[np.bool_], gold: npt.NDArray[np.bool_]
) -> float:
    """Micro-F1 where gold replaces what is published of the tenth of the products worth most."""
    asked = choose_products(worth, ones(len(worth)), share=0.1)
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


class TestChooseProducts:
    def test_the_most_gain_a_cost_first(self) -> None:
        gains = np.array([0.5, 0.9, 0.1, 0.8])
        chosen = choose_products(gains, np.array([1.0, 9.0, 1.0, 1.0]), share=0.5, seed=0)
        assert chosen.tolist() == [True, False, False, True]

    @pytest.mark.parametrize(("share", "asked"), [(0.0, 0), (0.001, 1), (0.25, 50), (1.0, 200)])
    def test_a_share_of_the_products(self, share: float, asked: int) -> None:
        gains = np.random.default_rng(1).random(200)
        assert choose_products(gains, ones(200), share=share).sum() == asked

    def test_all_where_nothing_limits(self) -> None:
        assert choose_products(np.array([0.1, 0.2, 0.3]), ones(3)).all()

    def test_never_more_than_the_budget(self) -> None:
        chance = np.random.default_rng(2)
        gains, costs = chance.random(3000), chance.uniform(0.5, 2.0, 3000)
        for budget in (0.0, 0.4, 10.0, 500.0):
            chosen = choose_products(gains, costs, budget=budget)
            spent = float(costs[chosen].sum())
            assert spent <= budget
            assert spent > budget - 2.0  # and no room for one more is left

    def test_a_small_budget_is_not_spent_on_exploring(self) -> None:
        """A hundredth of what is asked about, not of the catalogue."""
        gains = np.linspace(0, 1, 10_000)
        chosen = choose_products(gains, ones(10_000), budget=100)
        assert chosen.sum() == 100
        assert chosen[-98:].all()

    def test_share_and_budget_together(self) -> None:
        gains = np.linspace(0, 1, 1000)
        assert choose_products(gains, ones(1000), share=0.5, budget=20).sum() == 20
        assert choose_products(gains, ones(1000), share=0.02, budget=500).sum() == 20

    def test_a_hundredth_is_explored(self) -> None:
        """Among the sure ones too, which no gain would choose."""
        size, share = 20_000, 0.25
        gains = np.where(np.arange(size) < size // 2, 0.0, np.linspace(0.1, 1, size))
        chosen = choose_products(gains, ones(size), share=share)
        best = np.zeros(size, np.bool_)
        best[-int(size * share) :] = True
        assert chosen.sum() == size * share
        explored = int((chosen & ~best).sum())
        assert explored == pytest.approx(EXPLORED * size * share, abs=2)
        assert (chosen & (gains == 0)).any()

    def test_few_asked_explore_a_hundredth_over_many_runs(self) -> None:
        gains = np.linspace(0, 1, 100)
        odd = [not choose_products(gains, ones(100), share=0.1, seed=s)[-10:].all()
               for s in range(500)]  # fmt: skip
        assert np.mean(odd) == pytest.approx(EXPLORED * 10, abs=0.04)

    def test_all_sure(self) -> None:
        """Nothing is to be gained: only chance asks."""
        chosen = choose_products(np.zeros(1000), ones(1000), share=0.5)
        assert chosen.sum() == pytest.approx(EXPLORED * 500, abs=1)

    def test_no_products(self) -> None:
        none = np.zeros(0)
        assert len(choose_products(none, none, share=0.5, budget=3.0)) == 0

    def test_a_seed_decides(self) -> None:
        gains = np.random.default_rng(3).random(5000)

        def chosen(seed: int) -> list[bool]:
            found: list[bool] = choose_products(gains, ones(5000), share=0.2, seed=seed).tolist()
            return found

        assert chosen(0) == chosen(0)
        assert chosen(0) != chosen(1)
