from itertools import chain

import numpy as np
import numpy.typing as npt
import pytest

from tagmill.catalog.memory import products_to_batch
from tagmill.tagging.crf import Crf, weight_table
from tagmill.tagging.sequences import NO_NAMES, Sequences


def _field(
    keys: npt.NDArray[np.uint32], states: list[list[int]], weights: list[list[float]], facets: int
) -> Crf:
    indptr = np.cumsum([0, *map(len, states)])
    count = 1 + 2 * facets
    table, rows = weight_table(
        keys, indptr, np.fromiter(chain(*states), np.int32),
        np.fromiter(chain(*weights), np.float32), count,
    )  # fmt: skip
    transition = np.zeros((facets + 2, facets + 1), np.float32)
    return Crf(NO_NAMES, table, rows, transition, np.full((2, facets), -20, np.float32))


@pytest.mark.parametrize("facets", [1, 2, 9])
def test_a_posterior_is_that_of_the_weights(facets: int) -> None:
    """One token: its span's posterior is a softmax over the states it may begin with."""
    sequences = Sequences.of(products_to_batch([{"id": "1", "title": "red"}]), NO_NAMES)
    keys = np.unique(sequences.hashes)
    random = np.random.default_rng(facets)
    count = 1 + 2 * facets
    # A feature has no weight, one, two, or one of each state.
    sizes = np.array([0, 1, min(2, count), count])[np.arange(len(keys)) % 4]
    states = [sorted(random.choice(count, size, replace=False).tolist()) for size in sizes]
    weights = [random.normal(0, 0.3, size).tolist() for size in sizes]
    crf = _field(keys, states, weights, facets)
    assert len(crf.rows) == (sizes >= max(3, 0.25 * count)).sum()
    scores = np.zeros(count)
    for key in sequences.hashes:
        number = int(np.searchsorted(keys, key))
        scores[states[number]] += weights[number]
    starts = np.exp(scores[: facets + 1])
    found = crf.find(sequences, 1e-6)
    order = np.argsort(found.facets)
    assert found.facets[order].tolist() == list(range(facets))
    assert np.allclose(found.posterior[order], starts[1:] / starts.sum(), atol=2e-3)


def test_what_was_never_seen_says_nothing() -> None:
    sequences = Sequences.of(products_to_batch([{"id": "1", "title": "red"}]), NO_NAMES)
    crf = _field(np.zeros(0, np.uint32), [], [], 1)
    assert np.allclose(crf.find(sequences, 1e-6).posterior, [0.5])


def test_weights_beyond_the_steps_stay_the_largest() -> None:
    keys = np.array([3, 5], np.uint32)
    table, rows = weight_table(
        keys, np.array([0, 1, 2]), np.array([1, 2], np.int32),
        np.array([99.0, -99.0], np.float32), 5,
    )  # fmt: skip
    told = np.sort(table["told"][table["key"] != 0])
    assert (told >> 16).tolist() == [1, 2]
    assert (told & 0xFFFF).astype(np.uint16).view(np.int16).tolist() == [32767, -32767]
    assert rows.shape == (0, 5)
