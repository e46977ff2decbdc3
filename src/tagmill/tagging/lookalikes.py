"""The language rules of the lexicon tagger, read from `data/lookalikes.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from tagmill.text import fold, normal_form

__all__ = ["KINDS", "Lookalikes", "Marker", "kind_bit", "lookalikes"]

# What sort of thing a tag's facet holds; rules say which kinds they concern.
KINDS = (
    "other",
    "category",
    "accessory",  # a category that goes with another product: 手机壳, phone case
    "colour",
    "material",
    "pattern",
    "style",
    "flavour",
    "audience",
    "season",
    "occasion",
    "feature",
    "technology",
    "fit",
    "ingredient",
    "brand",
)


def kind_bit(kind: str) -> int:
    """The bit of a kind in a mask of kinds."""
    return 1 << KINDS.index(kind)


@dataclass(frozen=True, slots=True)
class Marker:
    """A word that takes away the meaning of a name near it.

    `kinds` is a mask of the kinds of tags it concerns; `reach` counts folded characters between,
    over blanks in Chinese only with `blanks`; with `lists` it holds for the rest of a list; with
    `object` only where the first name within reach is a thing of those kinds, or words of those
    kinds that a thing follows.
    """

    side: Literal["before", "after"]
    kinds: int
    reach: int = 0
    lists: bool = False
    object: bool = False
    blanks: bool = False


@dataclass(frozen=True)
class Lookalikes:
    """All rules; words are folded, facet and attribute names and answers in normal form."""

    markers: dict[str, list[Marker]]
    opaque: frozenset[str]
    headed: frozenset[str]
    neutral: frozenset[str]
    accessories: tuple[str, ...]
    kinds: dict[str, str]  # name of a facet or an attribute → kind
    tails: dict[str, tuple[str, ...]]  # harmless end of a longer word → ends of names, () for any
    yes: frozenset[str]
    no: frozenset[str]
    foreign: tuple[str, ...]
    endings: tuple[str, ...]
    small: frozenset[str]


@cache
def lookalikes() -> Lookalikes:
    """The shipped rules, read once."""
    text = files("tagmill").joinpath("data/lookalikes.toml").read_text("utf-8")
    return _parse(tomllib.loads(text))


def _parse(rules: dict[str, Any]) -> Lookalikes:
    markers: dict[str, list[Marker]] = {}
    for row in rules["markers"]:
        marker = Marker(
            row["side"],
            _mask(row),
            row.get("reach", 0),
            row.get("lists", False),
            row.get("object", False),
            row.get("blanks", False),
        )
        for word in _folded(row["words"]):
            markers.setdefault(word, []).append(marker)
    heads = rules["heads"]
    for word in _folded([*heads["accessories"], *heads["others"]]):
        markers.setdefault(word, []).append(Marker("after", kind_bit("category")))
    kinds = {normal_form(name): kind for kind, names in rules["kinds"].items() for name in names}
    tails = {tail: tuple(ends) for tail, ends in rules["tails"].items() if tail != "any"}
    tails.update({tail: () for tail in rules["tails"]["any"]})
    phrases = rules["phrases"]
    opaque = list(phrases["opaque"])
    for pair in phrases["opaque_pairs"]:
        opaque += [first + last for first in pair["first"] for last in pair["last"]]
    attributes = rules["attributes"]
    return Lookalikes(
        markers=markers,
        opaque=_folded(opaque),
        headed=_folded(phrases["headed"]),
        neutral=_folded(phrases["neutral"]),
        accessories=tuple(sorted(_folded(heads["accessories"]))),
        kinds=kinds,
        tails=tails,
        yes=frozenset(map(normal_form, attributes["yes"])),
        no=frozenset(map(normal_form, attributes["no"])),
        foreign=tuple(sorted(_folded(attributes["foreign"]))),
        endings=tuple(attributes["endings"]),
        small=frozenset(rules["words"]["small"]),
    )


def _folded(words: Iterable[str]) -> frozenset[str]:
    return frozenset(fold(word).text for word in words)


def _mask(row: dict[str, Any]) -> int:
    if "only" in row:
        return sum(kind_bit(kind) for kind in row["only"])
    everything = (1 << len(KINDS)) - 1
    return everything & ~sum(kind_bit(kind) for kind in row.get("except", ()))
