"""Quantities in product texts and queries: `500ml以下`, `under 1.5 L`, `55寸以上`, `3-5kg`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tagmill.quantities import UNITS

__all__ = ["DIMENSIONS", "Range", "find_quantities", "find_ranges"]

# What is measured in texts and asked for in queries, by the base unit of its kind.
DIMENSIONS = ("ml", "g", "mm", "w", "mah", "byte")
_UNITS = {
    unit: (base, float(factor)) for unit, (base, factor) in UNITS.items() if base in DIMENSIONS
}

_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_FROM_HAN = r"(?<![a-zA-Z0-9.])(\d{1,9}(?:\.\d{1,6})?)"  # 容量500ml: Chinese may stand before
_END = r"(?!(?<=[a-z])[a-z])"  # 5g is no part of 5gb; behind 65寸 may stand OLED
_QUANTITY = re.compile(rf"{_FROM_HAN}\s*({_UNIT}){_END}", re.I)
# In a text an ounce may be one of volume: a bottle of 17 oz.
_FLUID = {unit: "fl oz" for unit in ("oz", "ounce", "ounces")}
_BELOW = r"以下|以内|及以下|内|or less|or smaller|max"
_ABOVE = r"以上|及以上|起|or more|or larger|min|\+"
_BEFORE_BELOW = r"<=?|≤|不超过|小于|低于|最多|under|below|less than|up to|at most|max"
_BEFORE_ABOVE = r">=?|≥|不低于|大于|超过|高于|至少|over|above|more than|at least|min"
_RANGE = re.compile(
    rf"(?:(?P<below>{_BEFORE_BELOW})|(?P<above>{_BEFORE_ABOVE}))?\s*"
    rf"(?:(?<![a-zA-Z0-9.])(?P<low>\d{{1,9}}(?:\.\d{{1,6}})?)\s*(?:{_UNIT})?\s*(?:-|–|~|～|到|至|to)\s*)?"
    rf"(?<![a-zA-Z0-9.])(?P<number>\d{{1,9}}(?:\.\d{{1,6}})?)\s*(?P<unit>{_UNIT}){_END}"
    rf"\s*(?:(?P<after_below>{_BELOW})|(?P<after_above>{_ABOVE}))?",
    re.I,
)
_MARGIN = 0.001  # of a bound: 16 fl oz, floats


@dataclass(frozen=True, slots=True)
class Range:
    """What a query asks of a quantity: `low` ≤ value ≤ `high` in the dimension's base unit."""

    dimension: str
    low: float
    high: float
    text: str  # as it was written
    unit: str = ""  # in it

    def shown(self, value: float) -> str:
        """A value of the dimension in the unit that was asked for: 55 寸, 350 ml."""
        unit = self.unit or self.dimension
        return f"{value / _UNITS[unit.lower()][1]:.4g} {unit}"


def find_quantities(text: str) -> list[tuple[str, float]]:
    """(dimension, value in its base unit) of each quantity of a text, none twice."""
    found: dict[tuple[str, float], None] = {}
    for number, unit in _QUANTITY.findall(text):
        for meant in filter(None, (unit.lower(), _FLUID.get(unit.lower()))):
            dimension, size = _UNITS[meant]
            found[dimension, float(number) * size] = None
    return list(found)


def find_ranges(query: str) -> tuple[list[Range], str]:
    """The ranges a query asks for, and the rest of it.

    A quantity without a bound (`500ml`) is no range: it stays in the query as a word.
    """
    ranges: list[Range] = []

    def take(match: re.Match[str]) -> str:
        dimension, size = _UNITS[match["unit"].lower()]
        value = float(match["number"]) * size
        below = match["below"] or match["after_below"]
        above = match["above"] or match["after_above"]
        if match["low"] is not None:
            low, high = float(match["low"]) * size, value
        elif below:
            low, high = 0.0, value
        elif above:
            low, high = value, math.inf
        else:
            return match.group()
        ranges.append(
            Range(
                dimension,
                low * (1 - _MARGIN),
                high * (1 + _MARGIN),
                match.group().strip(),
                match["unit"],
            )
        )
        return " "

    rest = _RANGE.sub(take, query)
    return ranges, rest
