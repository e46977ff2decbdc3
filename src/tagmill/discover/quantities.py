"""Quantities in product texts and queries: `500ml以下`, `under 1.5 L`, `55寸以上`, `3-5kg`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

__all__ = ["DIMENSIONS", "Range", "find_quantities", "find_ranges"]

# Unit → (dimension, its size in the dimension's base unit: ml, g, mm, W, mAh, GB).
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("ml", "毫升", "cc"), ("volume", 1.0)),
    **dict.fromkeys(("l", "升", "liter", "litre", "liters", "litres"), ("volume", 1000.0)),
    **dict.fromkeys(("g", "克", "gram", "grams"), ("mass", 1.0)),
    **dict.fromkeys(("kg", "公斤", "千克"), ("mass", 1000.0)),
    "斤": ("mass", 500.0),
    **dict.fromkeys(("mm", "毫米"), ("length", 1.0)),
    **dict.fromkeys(("cm", "厘米", "公分"), ("length", 10.0)),
    **dict.fromkeys(("m", "米"), ("length", 1000.0)),
    **dict.fromkeys(("英寸", "寸", "吋", "inch", "inches", "in"), ("length", 25.4)),
    **dict.fromkeys(("w", "瓦", "watt", "watts"), ("power", 1.0)),
    **dict.fromkeys(("kw", "千瓦"), ("power", 1000.0)),
    **dict.fromkeys(("mah", "毫安"), ("charge", 1.0)),
    "gb": ("storage", 1.0),
    "tb": ("storage", 1024.0),
}
DIMENSIONS = tuple(dict.fromkeys(dimension for dimension, _ in _UNITS.values()))

_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_FROM_HAN = r"(?<![a-zA-Z0-9.])(\d{1,9}(?:\.\d{1,6})?)"  # 容量500ml: Chinese may stand before
_QUANTITY = re.compile(rf"{_FROM_HAN}\s*({_UNIT})(?![a-z])", re.I)
_BELOW = r"以下|以内|及以下|内|or less|or smaller|max"
_ABOVE = r"以上|及以上|起|or more|or larger|min|\+"
_BEFORE_BELOW = r"<=?|≤|不超过|小于|低于|最多|under|below|less than|up to|at most|max"
_BEFORE_ABOVE = r">=?|≥|不低于|大于|超过|高于|至少|over|above|more than|at least|min"
_RANGE = re.compile(
    rf"(?:(?P<below>{_BEFORE_BELOW})|(?P<above>{_BEFORE_ABOVE}))?\s*"
    rf"(?:(?<![a-zA-Z0-9.])(?P<low>\d{{1,9}}(?:\.\d{{1,6}})?)\s*(?:{_UNIT})?\s*(?:-|–|~|～|到|至|to)\s*)?"
    rf"(?<![a-zA-Z0-9.])(?P<number>\d{{1,9}}(?:\.\d{{1,6}})?)\s*(?P<unit>{_UNIT})(?![a-z])"
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


def find_quantities(text: str) -> list[tuple[str, float]]:
    """(dimension, value in its base unit) of each quantity of a text, none twice."""
    found: dict[tuple[str, float], None] = {}
    for number, unit in _QUANTITY.findall(text):
        dimension, size = _UNITS[unit.lower()]
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
            Range(dimension, low * (1 - _MARGIN), high * (1 + _MARGIN), match.group().strip())
        )
        return " "

    rest = _RANGE.sub(take, query)
    return ranges, rest
