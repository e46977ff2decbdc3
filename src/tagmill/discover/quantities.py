"""Quantities in product texts and queries: `500ml以下`, `under 1.5 L`, `55寸以上`, `3-5kg`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from tagmill.quantities import NUMBER, UNITS, compatible
from tagmill.text import fold

__all__ = ["DIMENSIONS", "IN_TEXTS", "Range", "find_quantities", "find_ranges"]

# The base units of what is measured. In running text only some are read: 2 packs, 3 people and
# 80 D say too many other things there.
DIMENSIONS = tuple(dict.fromkeys(base for base, _ in UNITS.values()))
IN_TEXTS = frozenset(("ml", "g", "mm", "w", "mah", "byte"))
_UNITS = {unit: (base, float(factor)) for unit, (base, factor) in UNITS.items()}


def _any_of(units: Collection[str]) -> str:
    return "|".join(sorted(map(re.escape, units), key=len, reverse=True))


_FROM_HAN = rf"(?<![a-z0-9.])(?:{NUMBER})"  # 容量500ml: Chinese may stand before
_APART = r"(?:\s*|[-‐](?=[a-z]{2}))"  # 50-inch; 8-M is a size
# 5g is no part of 5gb; behind 65寸 may stand OLED; 7 in 1 is no length
_END = r"(?!(?<=[a-z])[a-z]|(?<=in)[\s-]*\d)"
_QUANTITY = re.compile(
    rf"({_FROM_HAN}){_APART}({_any_of([u for u in UNITS if UNITS[u][0] in IN_TEXTS])}){_END}",
    re.I,
)
# In a text an ounce may be one of volume: a bottle of 17 oz.
_FLUID = {unit: "fl oz" for unit in ("oz", "ounce", "ounces")}
_BELOW = (
    r"[或及]?以下|以内|之内|内(?!(?!的)\w)|或更[少小轻低]|max(?:imum)?\b"
    r"|(?:or|and) (?:less|smaller|lighter|under|below)\b"
)
_ABOVE = (
    r"[或及]?以上|起(?!(?!的)\w)|或更[多大重高]|min(?:imum)?\b|\+(?!\s*\d)"
    r"|(?:or|and) (?:more|larger|bigger|heavier|over|above|up)\b"
)
_BEFORE_BELOW = (
    r"<=?|≤|[小少低]于(?:或?等于)?|[最至]多"
    r"|(?<![a-z])(?:under|below|(?:less|fewer|smaller|lighter) than|up to|at most"
    r"|(?<!pro )max(?:imum)?)(?![a-z])"  # iphone 15 pro max 256gb
)
_BEFORE_ABOVE = (
    r">=?|≥|[大多高]于(?:或?等于)?|超过|[最至]少"
    r"|(?<![a-z])(?:over|above|exceeding|(?:more|larger|bigger|heavier) than|at least"
    r"|min(?:imum)?)(?![a-z])"
)
_UNIT = _any_of(UNITS)
_RANGE = re.compile(
    rf"(?:(?P<negated>不[要能可]?\s*|(?<![a-z])not?\s+)?"
    rf"(?:(?P<below>{_BEFORE_BELOW})|(?P<above>{_BEFORE_ABOVE})))?\s*(?P<between>between|介于)?\s*"
    rf"(?:(?P<low>{_FROM_HAN})(?:{_APART}(?P<low_unit>{_UNIT}))?\s*"
    rf"(?:-|–|—|~|到|至|to|(?(between)(?:and|和|与|&)|(?!)))\s*)?"
    rf"(?P<number>{_FROM_HAN}){_APART}(?P<unit>{_UNIT}){_END}"
    rf"(?:之间|\s*(?:(?P<after_below>{_BELOW})|(?P<after_above>{_ABOVE})))?",
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

    @property
    def for_values(self) -> tuple[float, float]:
        """The ends between which a value is in the range."""
        return self.low * (1 - _MARGIN), self.high * (1 + _MARGIN)

    @property
    def for_ranges(self) -> tuple[float, float]:
        """The ends beyond which another range overlaps with it: to touch it is not enough."""
        return self.low * (1 + _MARGIN), self.high * (1 - _MARGIN)

    def shown(self, low: float, high: float) -> str:
        """A value of the dimension, or a range, in the unit that was asked for: 55 寸, 1–5 kg."""
        unit = self.unit or self.dimension
        size = _UNITS[unit.lower()][1]
        if low == high:
            return f"{low / size:.4g} {unit}"
        if math.isinf(high):
            return f"≥ {low / size:.4g} {unit}"
        return f"{low / size:.4g}–{high / size:.4g} {unit}"


def find_quantities(text: str) -> list[tuple[str, float]]:
    """(dimension, value in its base unit) of each quantity of a text, none twice."""
    found: dict[tuple[str, float], None] = {}
    for number, unit in _QUANTITY.findall(compatible(text)):
        for meant in filter(None, (unit.lower(), _FLUID.get(unit.lower()))):
            dimension, size = _UNITS[meant]
            found[dimension, _value(number) * size] = None
    return list(found)


def find_ranges(
    query: str, dimensions: Collection[str] = IN_TEXTS, names: Collection[str] = ()
) -> tuple[list[Range], str]:
    """The ranges of some dimensions that a query asks for, and the rest of it.

    A quantity without a bound (`500ml`) is no range: it stays in the query as a word. So does 6-8岁
    where that is itself a name (folded, without spaces) and only tags measure the dimension.
    """
    ranges: list[Range] = []

    def take(match: re.Match[str]) -> str:
        asked = _asked(match)
        if asked is None or asked.dimension not in dimensions:
            return match.group()
        if asked.dimension not in IN_TEXTS and _is_name(match, names):
            return match.group()
        ranges.append(asked)
        return " "

    rest = _RANGE.sub(take, compatible(query))
    return ranges, rest if ranges else query


def _asked(match: re.Match[str]) -> Range | None:
    """The range that was written; None for a quantity without a bound."""
    dimension, size = _UNITS[match["unit"].lower()]
    value = _value(match["number"]) * size
    below = match["below"] or match["after_below"]
    above = match["above"] or match["after_above"]
    if match["negated"]:
        below, above = above, below
    if match["low"] is not None:
        low_dimension, low_size = _UNITS[(match["low_unit"] or match["unit"]).lower()]
        if low_dimension != dimension:
            return None
        low, high = sorted((_value(match["low"]) * low_size, value))
    elif below or above:
        low, high = (0.0, value) if below else (value, math.inf)
    else:
        return None
    return Range(dimension, low, high, match.group().strip(), match["unit"])


def _is_name(match: re.Match[str], names: Collection[str]) -> bool:
    return match["low"] is not None and fold(match.group()).text.replace(" ", "") in names


def _value(number: str) -> float:
    return float(number.replace(",", ""))
