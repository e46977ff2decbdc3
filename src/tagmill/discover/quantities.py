"""Quantities in product texts and queries, `500ml以下`, `under 1.5 L`, `55寸以上`, `3-5kg`, and
numbers of products in queries, `under $50`, `100到200元`, `评分4.5以上`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tagmill.quantities import NUMBER, UNITS, compatible
from tagmill.text import fold

__all__ = [
    "DIMENSIONS",
    "IN_TEXTS",
    "Range",
    "find_measures",
    "find_numbers",
    "find_quantities",
    "find_ranges",
    "number_meant",
    "plainly_said",
    "read_range",
]

# The base units of what is measured. In running text only some are read: 2 packs, 3 people and
# 80 D say too many other things there.
DIMENSIONS = tuple(dict.fromkeys(base for base, _ in UNITS.values()))
IN_TEXTS = frozenset(("ml", "g", "mm", "w", "mah", "byte", "year"))
# Years and months are of age in a range, 0-3个月; alone they may be those of a warranty.
_NO_AGE = frozenset("year years yrs 个月 month months".split())
_UNITS = {unit: (base, float(factor)) for unit, (base, factor) in UNITS.items()}


def _any_of(units: Collection[str]) -> str:
    return "|".join(sorted(map(re.escape, units), key=len, reverse=True))


_START = r"(?<![a-z0-9.])"  # 容量500ml: Chinese may stand before
_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_THOUSAND = "千(?![克瓦米卡])"  # and not that of 千克
_SCALE = f"(?:[十百万]|{_THOUSAND})"
_WORDS = {
    "half a": 0.5, "half an": 0.5, "half": 0.5, "one": 1, "two": 2, "three": 3, "four": 4,
    "five": 5, "six": 6, "eight": 8, "ten": 10, "twelve": 12,
}  # fmt: skip
_NUMERALS = "".join(_DIGITS) + "".join(_SCALES)
_FIRST = rf"(?=[\d半{_NUMERALS}{''.join(sorted({word[0] for word in _WORDS}))}])"  # of a number
_NUMERAL = re.compile(  # what has none is left at once
    rf"[\d半{_NUMERALS}]|(?<![a-z])(?:{'|'.join(_WORDS)})(?![a-z])", re.I
)
# As people say numbers: 三百, 两千五, 半; 3千; half a.
_SAID = (
    rf"(?:{_FIRST}{_START}(?:{NUMBER}(?:\s*(?:[百万]|{_THOUSAND}))?|半"
    rf"|(?:{'|'.join(_WORDS)})(?![a-z])|(?<![{_NUMERALS}])(?:[{''.join(_DIGITS)}]|{_SCALE})+))"
)
_APART = r"(?:\s*|[-‐](?=[a-z]{2}))"  # 50-inch; 8-M is a size
# 5g is no part of 5gb; behind 65寸 may stand OLED; 7 in 1 is no length
_END = r"(?!(?<=[a-z])[a-z]|(?<=in)[\s-]*\d)"
_READ = _any_of([unit for unit in UNITS if UNITS[unit][0] in IN_TEXTS])
_QUANTITY = re.compile(
    rf"(?=\d){_START}(?:(?P<low>{NUMBER})(?:{_APART}(?P<low_unit>{_READ}))?\s*(?:[-–—~到至]|to)\s*)?"
    rf"(?P<number>{_START}{NUMBER}){_APART}(?P<unit>{_READ}){_END}",
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
_MORE = re.compile(r">|[大多高]于|超过|over|above|exceeding|.* than", re.I)  # and not as much
_UNIT = _any_of(UNITS)
_BOUND = (
    r"(?:(?P<negated>不[要能可]?\s*|(?<![a-z])not?\s+)?"
    rf"(?:(?P<below>{_BEFORE_BELOW})|(?P<above>{_BEFORE_ABOVE})))?\s*(?P<between>between|介于)?\s*"
)
_TO = r"\s*(?:-|–|—|~|到|至|to|(?(between)(?:and|和|与|&)|(?!)))\s*"
_BOUND_AFTER = rf"(?:之间|\s*(?:(?P<after_below>{_BELOW})|(?P<after_above>{_ABOVE})))?"
_AMOUNT = (
    rf"(?:(?P<low>{_SAID})(?:{_APART}(?P<low_unit>{_UNIT}))?{_TO})?"
    rf"(?P<number>{_SAID}){_APART}(?P<unit>{_UNIT}){_END}(?P<packed>装)?"
)
_RANGE = re.compile(_BOUND + _AMOUNT + _BOUND_AFTER, re.I)
# Begins where a number may, and with nothing before it: no between.
_MEASURE = re.compile(rf"{_FIRST}(?P<between>(?!))?{_AMOUNT}", re.I)
_CURRENCY = (
    "元|块钱|块|人民币|美元|欧元|英镑|日元|港币|港元|新台币|rmb|cny|yuan|usd|dollars?|bucks|eur|euros?"
    "|gbp|jpy|yen|hkd|twd"
)
_SIGN = r"[$¥€£]|(?:rmb|usd|hk\$|nt\$|us\$)"
# What shops call the same number: each word of a row means that of them which products have.
_PRICES = (
    "price", "sale price", "selling price", "unit price", "价格", "售价", "现价", "单价", "价钱",
    "價格", "售價", "現價", "單價",
)  # fmt: skip
_SAME = (
    _PRICES,
    ("rating", "stars", "评分", "星级", "評分", "星級"),
    ("stock", "inventory", "库存", "存货", "庫存", "存貨"),
    ("sales", "sold", "销量", "销售量", "銷量", "銷售量"),
)
_ONES = "一二三四五六七八九"
_METRES = re.compile(rf"(?<![\d.])(\d|[一两二三])米([1-9{_ONES}])(?![\d.{_ONES}十百])")
_WRITTEN_RANGE = re.compile(
    r"(?P<name>[^=:]*[^=:\s][^=:]*)=(?P<rest>[+-]?\d+(?:\.\d+)?|(?:[+-]?\d+(?:\.\d+)?)?\.\.(?:[+-]?\d+(?:\.\d+)?)?)"
)
_STARS = r"分|颗?星|\s*(?:stars?|points?)(?![a-z])"
_LEAST_PRICE = 10  # that is asked for by a number alone: 耳机 200以内, dress under 50
_NO_PRICE = ("身高", "体重", "尺码", "鞋码", "年龄", "评分", "销量", "库存", "size", "rating")
# Beside them a number alone is an age or a size up to this: toys for kids under 12, 跑鞋 42左右.
_NO_PRICE_UP_TO = (
    (("kid", "kids", "child", "children", "boys", "girls", "age", "ages", "aged"), 18),
    (("鞋", "鞋子", "靴", "靴子", "shoe", "shoes", "sneakers", "boots"), 50),
)
_ABOUT = 0.2  # of a number: 100元左右
_MARGIN = 0.001  # of a bound: 16 fl oz, floats


@dataclass(frozen=True, slots=True)
class Range:
    """What is asked of a quantity, `low` ≤ value ≤ `high` in the dimension's base unit, or of a
    number that products have."""

    dimension: str  # or the name of the number
    low: float
    high: float
    text: str  # as it was written
    unit: str = ""  # in it
    is_number: bool = False

    @property
    def for_values(self) -> tuple[float, float]:
        """The ends between which a value is in the range."""
        if self.is_number:
            return self.low, self.high
        return self.low * (1 - _MARGIN), self.high * (1 + _MARGIN)

    @property
    def for_ranges(self) -> tuple[float, float]:
        """The ends beyond which another range overlaps with it: to touch it is not enough, but for
        a single value, which 6-8岁 holds from 6 to 8."""
        if self.low == self.high:
            return self.for_values
        return self.low * (1 + _MARGIN), self.high * (1 - _MARGIN)

    def off(self, low: float, high: float) -> float:
        """How far a value, or a range, lies from what was written: of several the nearest tells
        most."""
        ends = ((low, self.low), (high, self.high))
        return min((abs(own - end) for own, end in ends if end and math.isfinite(end)), default=0.0)

    def shown(self, low: float, high: float) -> str:
        """A value of the dimension, or a range, in the unit that was asked for: 55 寸, 1–5 kg."""
        if self.is_number:
            return f"{low:.12g} {self.unit}".rstrip()
        unit = self.unit or self.dimension
        size = _UNITS[unit.lower()][1]
        if low == high:
            return f"{_shown(low / size)} {unit}"
        if math.isinf(high):
            return f"≥ {_shown(low / size)} {unit}"
        return f"{_shown(low / size)}–{_shown(high / size)} {unit}"


def _shown(value: float) -> str:
    return f"{float(f'{value:.4g}'):.12g}"


def find_quantities(text: str) -> list[tuple[str, float, float]]:
    """(dimension, from, to in its base unit) of each quantity of a text, none twice; from and to
    are the same but in 6-8岁."""
    found: dict[tuple[str, float, float], None] = {}
    for match in _QUANTITY.finditer(compatible(text)):
        unit = match["unit"].lower()
        for meant in filter(None, (unit, _FLUID.get(unit))):
            dimension, size = _UNITS[meant]
            high = _value(match["number"]) * size
            low = _low_end(match, dimension, size)
            if low is not None and low < high:
                found[dimension, low, high] = None
            elif unit not in _NO_AGE:
                found[dimension, high, high] = None
    return list(found)


def find_ranges(
    query: str, dimensions: Collection[str] = IN_TEXTS, names: Collection[str] = ()
) -> tuple[list[Range], str]:
    """The ranges of some dimensions that a query asks for, and the rest of it.

    A quantity without a bound (`500ml`) is no range: it stays in the query as a word. So does 6-8岁
    where that is itself a name (folded, without spaces).
    """
    if not _NUMERAL.search(query):
        return [], query
    ranges: list[Range] = []

    def take(match: re.Match[str]) -> str:
        asked = _asked(match)
        if asked is None or asked.dimension not in dimensions:
            return match.group()
        if _is_name(match, names):
            return match.group()
        ranges.append(asked)
        return " "

    rest = _RANGE.sub(take, compatible(query))
    return ranges, rest if ranges else query


def find_measures(
    query: str, dimensions: Collection[str] = IN_TEXTS
) -> Iterator[tuple[int, int, Range]]:
    """(start, end, what it measures) of the quantities without a bound in what `find_ranges`
    left: 7岁, 半升, 6-8岁."""
    for match in _MEASURE.finditer(query):
        dimension, size = _UNITS[match["unit"].lower()]
        low = _low_end(match, dimension, size)
        if dimension not in dimensions or (low is None and match["low"] is not None):
            continue
        start = match.start("number" if low is None else "low")
        high = _value(match["number"]) * size
        end = match.end("packed" if match["packed"] else "unit")
        low = high if low is None else low
        measured = Range(dimension, min(low, high), max(low, high), query[start:end], match["unit"])
        yield start, end, measured


def plainly_said(query: str) -> str:
    """A query in the digits and letters in which quantities are looked for; 1米8 is 1.8米.

    A row of spaces is one: the patterns look for what may stand around each of them.
    """
    return _METRES.sub(
        lambda match: f"{_value(match[1]):g}.{_value(match[2]):g}米",
        re.sub(r"\s+", " ", compatible(query)),
    )


def read_range(text: str) -> Range | None:
    """A range of a number as options write it, `price=100..500`, `stock=1..`; None for others."""
    match = _WRITTEN_RANGE.fullmatch(text)
    if match is None or match["rest"] == "..":
        return None
    low, dots, high = match["rest"].partition("..")
    ends = float(low or -math.inf), float((high if dots else low) or math.inf)
    name = match["name"].strip()
    return Range(name, min(ends), max(ends), name, is_number=True)


def find_numbers(query: str, names: Sequence[str]) -> tuple[list[Range], str]:
    """The ranges of numbers that a query asks for, and the rest of it.

    `names` are those of the numbers that products have. A number is named before its range, but for
    ratings, which stars tell, and the price, which a currency tells or that nothing else is said.
    An amount without a bound stays in the query.
    """
    if not names or not _NUMERAL.search(query):
        return [], query
    meant = _meanings(tuple(names))
    ranges: list[Range] = []

    def take(match: re.Match[str]) -> str:
        name = _number_of(match, meant)
        low = None if match["low"] is None else _low_value(match)
        ends = _ends(match, low, _value(match["number"]))
        if name is None or ends is None:
            return match.group()
        if ends[1] == math.inf and _MORE.fullmatch(match["above"] or ""):  # 库存大于0
            ends = math.nextafter(ends[0], math.inf), math.inf
        ranges.append(Range(name, *ends, match.group().strip(), is_number=True))
        return " "

    rest = _numbers_pattern(tuple(meant)).sub(take, compatible(query))
    return ranges, rest if ranges else query


def _number_of(match: re.Match[str], meant: Mapping[str, str]) -> str | None:
    """The number that a range is of."""
    if match["name"]:
        return meant.get(match["name"].lower())
    if match["sign"] or match["low_sign"] or match["unit"] or match["low_unit"]:
        return meant.get("price")
    if match["stars"]:
        return meant.get("rating")
    below = match["above"] if match["negated"] else match["below"]
    is_bound = match["after_below"] or match["about"] or (below and match["end"] is not None)
    before = match.string[: match.start()].rstrip().lower()
    if not is_bound or match["low"] or before.endswith(_NO_PRICE):
        return None
    least = max([_LEAST_PRICE, *(up + 1 for to, up in _NO_PRICE_UP_TO if before.endswith(to))])
    return meant.get("price") if _value(match["number"]) >= least else None


def number_meant(written: str, names: Sequence[str]) -> str | None:
    """Which of the numbers that products have a name means: itself, in any case, or as other shops
    call it, `price` of `售价`."""
    written, form = written.strip(), fold(written).text
    same = [n for n in names if n == written] or [n for n in names if fold(n).text == form]
    return same[0] if same else _meanings(tuple(names)).get(_written(written))


def _written(name: str) -> str:
    return compatible(name.replace("_", " ")).lower().strip()


@lru_cache(maxsize=64)
def _meanings(names: tuple[str, ...]) -> dict[str, str]:
    """What may be written, in small letters → the number it means."""
    meant = {_written(name): name for name in names[::-1]}
    for words in _SAME:
        known = next((meant[word] for word in words if word in meant), None)
        meant = dict.fromkeys(words, known) | meant if known else meant
    return meant


@lru_cache(maxsize=64)
def _numbers_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    def amount(prefix: str, number: str) -> str:
        return (
            rf"(?:(?P<{prefix}sign>{_SIGN})\s*)?(?P<{number}>{_SAID})"
            rf"(?:\s*(?P<{prefix}unit>{_CURRENCY})(?![a-z]))?"
        )

    return re.compile(
        rf"(?:(?<![a-z0-9])(?P<name>{_any_of(names)})(?![a-z])\s*(?:[:=是在]|is\b)?\s*)?{_BOUND}"
        rf"(?:{amount('low_', 'low')}{_TO})?{amount('', 'number')}(?![a-z0-9.%])"
        rf"(?P<stars>{_STARS})?{_BOUND_AFTER}(?P<about>左右|上下)?(?P<end>\s*$)?",
        re.I,
    )


def _asked(match: re.Match[str]) -> Range | None:
    """The range that was written; None for a quantity without a bound."""
    dimension, size = _UNITS[match["unit"].lower()]
    low = _low_end(match, dimension, size)
    if low is None and match["low"] is not None:
        return None
    ends = _ends(match, low, _value(match["number"]) * size)
    return ends and Range(dimension, *ends, match.group().strip(), match["unit"])


def _low_end(match: re.Match[str], dimension: str, size: float) -> float | None:
    """Where a range begins, in the base unit; None for what is none, be it of two dimensions."""
    if match["low"] is None:
        return None
    if match["low_unit"] is not None:
        other, size = _UNITS[match["low_unit"].lower()]
        if other != dimension:
            return None
    return _low_value(match) * size


def _low_value(match: re.Match[str]) -> float:
    """The value a range begins with: of 2到3千 it is 2,000, of 100到3千 100, of 一到二十 1."""
    low, high = match["low"], match["number"]
    value, scale = _value(low), 1 if high[-1] == "十" else _SCALES.get(high[-1], 1)
    is_short = match["low_unit"] is None and low[-1] not in _SCALES
    return value * scale if is_short and value < _value(high) / scale else value


def _ends(match: re.Match[str], low: float | None, value: float) -> tuple[float, float] | None:
    """From where to where, as words beside the number say; None without any."""
    below = match["below"] or match["after_below"]
    above = match["above"] or match["after_above"]
    if match["negated"]:
        below, above = above, below
    if low is not None:
        return min(low, value), max(low, value)
    if below or above:
        return (0.0, value) if below else (value, math.inf)
    if match.groupdict().get("about"):
        return value * (1 - _ABOUT), value * (1 + _ABOUT)
    return None


def _is_name(match: re.Match[str], names: Collection[str]) -> bool:
    return match["low"] is not None and fold(match.group()).text.replace(" ", "") in names


def _value(number: str) -> float:
    """The value of a number as it is written or said: 1,500, 3千, 两千五, 半."""
    if number[0].isdecimal():
        scale = _SCALES.get(number[-1], 1)
        return float(number.rstrip("".join(_SCALES)).replace(",", "")) * scale
    if number == "半" or number.lower() in _WORDS:
        return _WORDS.get(number.lower(), 0.5)
    total, digit, last = 0.0, 0.0, 1
    for sign in number:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
            last = last if digit else 1  # 一百零五
        elif _SCALES[sign] == 10_000:
            total, digit, last = (total + digit or 1) * 10_000, 0, 10_000
        else:
            total, digit, last = total + (digit or 1) * _SCALES[sign], 0, _SCALES[sign]
    return total + digit * max(last // 10, 1)  # 三百五
