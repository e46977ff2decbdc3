"""What is chosen beside a query, as it is written: `颜色=红色`, `price=100..500`."""

from __future__ import annotations

from collections.abc import Iterable

from tagmill.discover.quantities import read_range
from tagmill.errors import SearchError

__all__ = ["chosen_facets", "chosen_ranges"]


def chosen_facets(pairs: Iterable[str]) -> dict[str, list[str]]:
    """`FACET=TAG`, each, as facet → tags; `=TAG` is of none. Raises SearchError."""
    chosen: dict[str, list[str]] = {}
    for pair in pairs:
        facet, equals, tag = pair.partition("=")
        if not (equals and tag.strip()):
            raise SearchError(f"'{pair}' is no choice of a tag. Write FACET=TAG, such as 颜色=红色")
        chosen.setdefault(facet.strip(), []).append(tag.strip())
    return chosen


def chosen_ranges(pairs: Iterable[str]) -> dict[str, tuple[float, float]]:
    """`NUMBER=LOW..HIGH`, each, as number → the least and the most. Raises SearchError."""
    found: dict[str, tuple[float, float]] = {}
    for pair in pairs:
        asked = read_range(pair)
        if asked is None:
            raise SearchError(
                f"'{pair}' is no range of a number. Write NUMBER=LOW..HIGH, such as "
                "price=100..500, price=..500"
            )
        found[asked.dimension] = asked.low, asked.high
    return found
