"""Numbers with units, and ranges of them: `500ml`, `0.5 升`, `6-8岁`, `13.3 英寸`, compared.

A quantity is a range in the base unit of its kind; a plain number is a range of one value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from tagmill.records import Facet
from tagmill.text import fold

__all__ = [
    "NUMBER",
    "UNITS",
    "Quantity",
    "compatible",
    "quantity_of",
    "read_quantity",
    "writings",
]

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
        "year": {
            "1": "岁|周岁|year|years|year old|years old|yrs",
            "0.083333333": "个月|月龄|month|months|month old|months old",
        },
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
# Units that are other words as well: 5 in 1, 3D.
_AMBIGUOUS = frozenset(("in", "d"))
_WORDS = re.compile(r"[^\W\d_]+(?: [^\W\d_]+)*")  # unlike the signs " and %
_DIGIT = re.compile(r"\d")
NUMBER = r"\d+(?:,\d{3}(?!\d))*(?:\.\d+)?"  # thousands may be parted
_QUANTITY = re.compile(
    rf"(?P<low>{NUMBER})\s*(?P<first>[^\d\s.~–—-]*)\s*(?:(?:-|~|–|—|至|到|to)\s*"
    rf"(?P<high>{NUMBER}))?\s*(?P<unit>\D*)"
)
_MOST = Decimal(10) ** 18  # of a base unit; longer numbers name something else
_TO = ("-", "~", "至", "到")
_BARE = re.compile(r"[\d\s.,~–—至到-]+")
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


def read_quantity(text: str, unit: str | None = None) -> Quantity | None:
    """The quantity that a name is, whole; None where it is none.

    A bare number is one only where its `unit` is given ("": of none), which may be one nobody
    knows: it is then a kind of its own.
    """
    if not _DIGIT.search(text):
        return None
    folded = compatible(text).lower().strip()
    for pattern, below in ((_BELOW, True), (_ABOVE, False)):
        match = pattern.fullmatch(folded)
        if match:
            inner = read_quantity(match["rest"], unit)
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
    measured, other = _unit(last, unit), _unit(first or last, unit)
    if measured is None or other is None or other[0] != measured[0]:
        return None
    low = _value(match["low"]) * other[1]
    high = low if match["high"] is None else _value(match["high"]) * measured[1]
    return Quantity(low, high, measured[0]) if low <= high <= _MOST else None


def compatible(text: str) -> str:
    """Text in which quantities are looked for: digits, letters and signs of half width."""
    return unicodedata.normalize("NFKC", text.replace("″", '"'))


def quantity_of(name: str, facet: Facet | None) -> Quantity | None:
    """The quantity that a name is in a facet; None where the facet's names are text."""
    if facet is None or facet.value_kind == "text":
        return None
    return read_quantity(name, facet.unit)


def writings(names: Iterable[str], facet: Facet | None) -> list[str]:
    """How names may stand in texts: as they are and, where they are quantities, in the other units
    of their kind, 0.5 升 or 500 毫升 for 500ml; none twice.

    In units in which they take no more than two decimals. A bare number is not looked for.
    """
    found: dict[str, None] = {}
    for name in names:
        quantity = quantity_of(name, facet)
        if quantity is None or not _BARE.fullmatch(name):
            found[name] = None
        if quantity is not None:
            found |= dict.fromkeys(_in_other_units(quantity))
    return list(found)


def _in_other_units(quantity: Quantity) -> Iterator[str]:
    if quantity.low is None or quantity.high is None:
        return
    for spelling, (base, factor) in UNITS.items():
        if base != quantity.unit or spelling in _AMBIGUOUS or not _WORDS.fullmatch(spelling):
            continue
        low, high = _short(quantity.low / factor), _short(quantity.high / factor)
        if low is None or high is None:
            continue
        numbers = [low] if low == high else [f"{low}{to}{high}" for to in _TO]
        if low == high and low.isdigit() and len(low) > 3:
            numbers.append(f"{int(low):,}")
        for number in numbers:
            together, apart = number + spelling, f"{number} {spelling}"
            yield together
            if fold(apart).text != fold(together).text:
                yield apart


def _unit(written: str, own: str | None) -> tuple[str, Decimal] | None:
    """The base unit of a unit, and how many of it; of none that of the facet."""
    if written in UNITS:
        return UNITS[written]
    if own is None or written not in ("", own.lower()):
        return None
    return UNITS.get(own.lower(), (own.lower(), Decimal(1)))


def _short(value: Decimal) -> str | None:
    """A number as people write it; None where they would not."""
    short = value.quantize(Decimal("0.01")).normalize()
    if not short or abs(value / short - 1) > Decimal("1e-6"):
        return None
    return f"{short:f}"


def _value(number: str) -> Decimal:
    return Decimal(number.replace(",", ""))


def _plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.quantize(Decimal('0.001')).normalize():f}"
