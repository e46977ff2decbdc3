"""One value of a source, whatever type it came in, as the text, attributes or tags it means.

Every function raises ValueError with a reason a person understands where the type is wrong; the
row then becomes a reject.
"""

from __future__ import annotations

import datetime
import json
import math
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

from tagmill.quantities import NUMBER, compatible
from tagmill.records import parse_tag, parse_tag_cell, tag_text
from tagmill.text import plain_line

__all__ = [
    "attributes_of", "category_of", "image_of", "numbers_of", "shown", "tags_of", "text_of",
]  # fmt: skip

_NAME_KEYS = ("name", "key")
_VALUE_KEYS = ("value", "values")
_SEPARATORS = "=:：＝"
_PIECES = re.compile(r"[;；\r\n]+")
_LOOSE_PIECES = re.compile(r"[,，、|]+")
_MISSING = {"NAType", "NaTType"}  # what pandas writes for "nothing"
_ONE = rf"[^\d.,~-]{{0,6}}([+-]?(?:{NUMBER})(?:e[+-]?\d+)?)"
_NUMBERS = re.compile(rf"{_ONE}(?:\D{{0,4}}[-~–—至到]{_ONE})?\D{{0,6}}", re.I)  # ¥1,299起, 99-199
# 1.299,00 and 12,99 as Europe writes them, 1 299 and 1'299: no other reading is possible.
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+|\d+),(\d{1,2})(?![\d.,])")
_SPACED = re.compile(r"(?<![\d.,])\d{1,3}(?:[ '’]\d{3})+(?!\d)")
_SHOWN = 60  # characters of a wrong value in a message


def text_of(value: object) -> str | None:
    """A single value as text: numbers without a needless `.0`, NaN as nothing."""
    if value is None or isinstance(value, str):
        return value
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return _number_text(float(value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value.is_finite() else None
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise ValueError(f"{shown(value)} is {_kind(value)}, not text")


def category_of(value: object) -> str | None:
    """A category as text; a list is a path, written `Home > Kitchen`."""
    value = _listed(value)
    if isinstance(value, list):
        parts = [text for item in value if (text := text_of(item))]
        return " > ".join(parts) or None
    return text_of(value)


def image_of(value: object) -> str | None:
    """An image's address; of a list, the first."""
    value = _listed(value)
    if isinstance(value, list):
        return next((text for item in value if (text := text_of(item))), None)
    return text_of(value)


def tags_of(value: object) -> list[str] | None:
    """Written tags without repetitions; None: nobody judged the product.

    A text is a CSV cell (`facet:name|facet:name`), where empty means nobody judged, or a JSON list.
    """
    value = _listed(value)
    if isinstance(value, str):
        cell = value.strip()
        if not cell:
            return None
        value = _json_list(cell) if cell.startswith("[") else parse_tag_cell(cell)
    elif _is_nothing(value):
        return None
    if not isinstance(value, list):
        raise ValueError(f"tags: {shown(value)} is {_kind(value)}, not a list of facet:name")
    tags: dict[str, None] = {}
    for item in value:
        text = text_of(item)
        if text is None:
            raise ValueError("tags: one of them is empty (null)")
        if not text.strip():
            continue
        try:
            tags[_written(text)] = None
        except ValueError as error:
            raise ValueError(f"tags: {error}") from None
    return list(tags)


def attributes_of(value: object, name: str = "attributes") -> list[tuple[str, str]]:
    """(name, value) pairs of a dict, a list of {name, value}, JSON or `name=value; name: value`.

    A list of values repeats its name; empty values are left out. Text that names no attribute is
    kept under `name`, so that nothing is lost.
    """
    if isinstance(value, str):
        value = value.strip()
        if value.startswith(("{", "[")):
            value = _parsed(value, "attributes")
        else:
            return list(_pairs_of_text(plain_line(value), name))
    value = _listed(value)
    if _is_nothing(value):
        return []
    if isinstance(value, Mapping):
        return list(_pairs_of_items(value.items()))
    if isinstance(value, list):
        return [pair for item in value for pair in _pairs_of_entry(item)]
    raise ValueError(
        f"attributes: {shown(value)} is {_kind(value)}, not an object, a list or name=value text"
    )


def numbers_of(value: object) -> list[tuple[str, float]]:
    """(name, number) pairs of what `attributes_of` takes: 199, "¥1,299.00", "1 299,00 €"; of
    "99-199元" two.

    A text without a digit (面议, N/A) says no number and is left out.
    """
    numbers = []
    for name, text in attributes_of(value, "numbers"):
        plain = compatible(text).strip()
        if not any(map(str.isdecimal, plain)):
            continue
        plain = _SPACED.sub(lambda number: re.sub(r"\D", "", number[0]), plain)
        plain = _DECIMAL_COMMA.sub(lambda n: f"{n[1].replace('.', '')}.{n[2]}", plain)
        match = _NUMBERS.fullmatch(plain)
        found = [float(one.replace(",", "")) for one in match.groups() if one] if match else []
        if not found or not all(map(math.isfinite, found)):
            raise ValueError(f"numbers: {name}: {shown(text)} is not a number")
        numbers += [(name, number) for number in found]
    return numbers


def shown(value: object) -> str:
    """A value as a message shows it: short, on one line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _listed(value: object) -> object:
    """A tuple or array as a list; anything else as it is."""
    if isinstance(value, tuple):
        return list(value)
    to_list = getattr(value, "tolist", None)
    return to_list() if to_list is not None else value


def _is_nothing(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in _MISSING


def _number_text(number: float) -> str | None:
    if math.isnan(number):
        return None
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple | set):
        return "a list"
    if isinstance(value, Real | Decimal):
        return "a number"
    return "text" if isinstance(value, str) else f"of type {type(value).__name__}"


def _parsed(text: str, field: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{field}: {shown(text)} is not valid JSON ({error})") from None


def _json_list(cell: str) -> object:
    """A JSON list, or else the cell: `[new]` may be a tag."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return parse_tag_cell(cell)


@lru_cache(maxsize=1 << 16)
def _written(text: str) -> str:
    """The tag as it is always written; the forms `x` and `:x` of a plain name are one."""
    facet, name = parse_tag(text.replace("\x00", ""))
    return tag_text(facet, name)


def _pairs_of_items(items: Iterable[tuple[object, object]]) -> Iterator[tuple[str, str]]:
    for key, value in items:
        name = text_of(key)
        if name is None or not name.strip():
            raise ValueError(f"attributes: the value {shown(value)} has no name")
        for text in _texts(value, name):
            yield _clean(name), text


def _pairs_of_entry(entry: object) -> Iterator[tuple[str, str]]:
    """Pairs of one entry of a list: {name, value}, {name: value} or [name, value]."""
    if isinstance(entry, Mapping):
        name = next((key for key in _NAME_KEYS if key in entry), None)
        value = next((key for key in _VALUE_KEYS if key in entry), None)
        if name is not None and value is not None:
            return _pairs_of_items([(entry[name], entry[value])])
        return _pairs_of_items(entry.items())
    if isinstance(entry, list | tuple) and len(entry) == 2:
        return _pairs_of_items([(entry[0], entry[1])])
    if isinstance(entry, str):
        return _pairs_of_text(entry, "attributes")
    raise ValueError(f"attributes: {shown(entry)} is {_kind(entry)}, not a name and a value")


def _texts(value: object, name: str) -> Iterator[str]:
    """The texts of a value: none of an empty one, several of a list, JSON of an object."""
    value = _listed(value)
    if isinstance(value, list):
        for item in value:
            yield from _texts(item, name)
    elif isinstance(value, Mapping):
        yield json.dumps(value, ensure_ascii=False, default=str)
    else:
        try:
            text = text_of(value)
        except ValueError as error:
            raise ValueError(f"attributes: {name}: {error}") from None
        if text is not None and (text := _clean(text)):
            yield text


def _pairs_of_text(text: str, nameless: str) -> Iterator[tuple[str, str]]:
    pieces = _PIECES.split(text)
    if len(pieces) == 1:
        # Commas are mostly part of a value; they separate only where each side has a name.
        loose = [piece for piece in _LOOSE_PIECES.split(text) if piece.strip()]
        if all(_split_at(piece) > 0 for piece in loose):
            pieces = loose
    name = nameless
    for piece in pieces:
        place = _split_at(piece)
        if place > 0:  # a piece without a name is one more value of the name before it
            name = _clean(piece[:place]) or nameless
        if value := _clean(piece[place + 1 :] if place > 0 else piece):
            yield name, value


def _split_at(piece: str) -> int:
    """Where the first separator of name and value stands; -1 without one."""
    return min((at for mark in _SEPARATORS if (at := piece.find(mark)) >= 0), default=-1)


def _clean(text: str) -> str:
    return plain_line(text).replace("\x00", "").strip()
