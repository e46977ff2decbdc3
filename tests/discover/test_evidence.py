"""What a tag's probability is worth in the ranking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagmill.discover import open_search
from tagmill.discover.kernels import add_tags
from tagmill.store import Store
from tests.discover.shop import BAG, RED, fill_shop, ids
from tests.store.samples import entry, product, product_batch, tag_run


@pytest.mark.parametrize("surplus", [3.0, 9.0])
def test_the_logarithm_read_off_a_float_is_near_the_true_one_and_keeps_the_order(
    surplus: float,
) -> None:
    drawn = np.random.default_rng(0).random(9_995)
    probability = np.sort([0.0, 1e-30, 1e-6, 1e-3, 1.0, *drawn]).astype(np.float32)
    scores, matched = np.zeros(10_000, np.float32), np.zeros(10_000, np.uint32)
    documents, touched = np.arange(10_000, dtype=np.int32), np.zeros(10_000, np.int32)
    found = add_tags(
        documents, probability.view(np.int32), np.int32(0), np.float32(2), np.float32(surplus),
        np.uint32(1), scores, matched, touched, 0,
    )  # fmt: skip
    assert found == 10_000
    true = 2 * np.maximum(np.log(np.maximum(probability, 1e-37)) + surplus, 0)
    assert np.abs(scores - true).max() < 2 * 0.061
    assert (np.diff(scores) >= 0).all()
    assert scores[-1] == 2 * surplus  # of what is certain, exactly


def test_what_most_probably_has_all_tags_comes_first(store: Store, tmp_path: Path) -> None:
    fill_shop(store)
    store.products.upsert(product_batch(*(product(i, "新品") for i in ("x1", "x2", "x3"))))
    chances = {"x1": (0.99, 0.21), "x2": (0.6, 0.6), "x3": (0.21, 0.99)}
    tags = {i: [entry(RED, red), entry(BAG, bag)] for i, (red, bag) in chances.items()}
    tag_run(store, tags, "second")
    found = [i for i in ids(open_search(store, tmp_path / "search"), "红色 手提包") if i in chances]
    assert found[0] == "x2"  # 0.36 against 0.21, though the sums are the same
