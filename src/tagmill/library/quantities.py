"""Numbers with units, and ranges of them: `500ml`, `0.5 升`, `6-8岁`, `13.3 英寸`, compared.

A quantity is a range in the base unit of its kind; a plain number is a range of one value.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["UNITS", "Quantity", "read_quantity"]

# unit → (base unit, how many of it)
UNITS: dict[str, tuple[str, Decimal]] = {
    spelling: (base, Decimal(factor))
    for base, units in {
        "ml": {
            "1": "ml 毫升 milliliter milliliters millilitre millilitres cc",
            "1000": "l 升 liter liters litre litres 公升",
            "10": "cl 厘升",
            "29.5735": "fl oz|floz|fluid ounce|fluid ounces|液体盎司",
        },
        "g": {
            "1": "g 克 gram grams 公克",
            "1000": "kg 千克 公斤 kilogram kilograms kilo kilos",
            "0.001": "mg 毫克 milligram milligrams",
            "500": "斤 市斤",
            "28.3495": "oz 盎司 ounce ounces",
            "453.592": "lb lbs 磅 pound pounds",
        },
        "mm": {
            "1": "mm 毫米 millimeter millimeters millimetre millimetres",
            "10": "cm 厘米 公分 centimeter centimeters centimetre centimetres",
            "1000": "m 米 公尺 meter meters metre metres",
            "25.4": 'inch inches in 英寸 吋 寸 " ″',
            "304.8": "ft 英尺 foot feet",
        },
        "w": {"1": "w 瓦 watt watts", "1000": "kw 千瓦"},
        "v": {"1": "v 伏 volt volts"},
        "wh": {"1": "wh"},
        "mah": {"1": "mah 毫安 毫安时"},
        "byte": {"1e9": "gb", "1e12": "tb", "1e6": "mb"},
        "year": {"1": "岁 year years years old yrs", "0.083333333": "个月 月龄 month months"},
        "piece": {"1": "件 个 只 piece pieces pcs pc count ct"},
        "pack": {"1": "包 pack packs"},
        "pair": {"1": "双 对 pair pairs"},
        "set": {"1": "套 set sets"},
        "sheet": {"1": "片 sheet sheets"},
        "box": {"1": "盒 box boxes"},
        "person": {"1": "人 person persons people"},
        "percent": {"1": "% ％ percent"},
        "denier": {"1": "d denier 丹尼尔"},
        "hz": {"1": "hz 赫兹"},
    }.items()
    for factor, spellings in units.items()
    for spelling in (spellings.split("|") if "|" in spellings else spellings.split())
}
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBER = r"\d+(?:\.\d+)?"
_QUANTITY = re.compile(
    rf"(?P<low>{_NUMBER})\s*(?P<first>[^\d\s.~–—-]*)\s*(?:(?:-|~|–|—|至|到|to)\s*"
    rf"(?P<high>{_NUMBER}))?\s*(?P<unit>\D*)"
)
_BELOW = re.compile(r"(?P<rest>.+?)\s*(?:以下|以内|及以下|or less|and under|or under)")
_ABOVE = re.compile(r"(?P<rest>.+?)\s*(?:以上|及以上|\+|or more|and up|and over)")


@dataclass(frozen=True)
class Quantity:
    """From `low` to `high` (None: no end) of a base unit ("": a bare number)."""

    low: Decimal | None
    high: Decimal | None
    unit: str

    @property
    def key(self) -> str:
        """The same for the same quantity, however it is written."""
        return f"{_plain(self.low)}..{_plain(self.high)} {self.unit}".strip()

    def contains(self, other: Quantity) -> bool:
        """Whether another quantity of the same kind lies within this one."""
        if self.unit != other.unit:
            return False
        starts = self.low is None or (other.low is not None and other.low >= self.low)
        ends = self.high is None or (other.high is not None and other.high <= self.high)
        return starts and ends


def read_quantity(text: str) -> Quantity | None:
    """The quantity that a name is, whole; None where it is none, or only a bare number."""
    folded = unicodedata.normalize("NFKC", text).lower().strip()
    folded = _THOUSANDS.sub("", folded)
    for pattern, below in ((_BELOW, True), (_ABOVE, False)):
        match = pattern.fullmatch(folded)
        if match:
            inner = read_quantity(match["rest"])
            if inner is None or inner.low != inner.high:
                return None
            low, high = (None, inner.high) if below else (inner.low, None)
            return Quantity(low, high, inner.unit)
    match = _QUANTITY.fullmatch(folded)
    if match is None:
        return None
    first, last = match["first"].strip(), match["unit"].strip().rstrip(".")
    if match["high"] is None:
        first, last = "", (first + " " + last).strip()
    if last not in UNITS or first not in ("", last):
        return None
    base, factor = UNITS[last]
    low = Decimal(match["low"]) * factor
    high = low if match["high"] is None else Decimal(match["high"]) * factor
    return Quantity(low, high, base) if low <= high else None


def _plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.quantize(Decimal('0.001')).normalize():f}"
