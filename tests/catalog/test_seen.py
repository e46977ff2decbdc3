from __future__ import annotations

import random

from tagmill.catalog.seen import SeenIds


def test_agrees_with_a_set() -> None:
    chance = random.Random(3)
    seen, known = SeenIds(), set[str]()
    for size in (0, 1, 500, 3, 4096, 4096, 100, 0, 2000):
        ids = [str(chance.randrange(6000)) for _ in range(size)]
        expected = []
        for product_id in ids:
            expected.append(product_id in known)
            known.add(product_id)
        assert seen.add(ids).tolist() == expected
        assert len(seen) == len(known)
