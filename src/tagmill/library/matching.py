"""When two names mean the same: keys that such names share, and how far each is to be trusted.

Every name gets keys, one for each way of writing the same thing: the normal form (case, width,
spacing, hyphens, plurals, Traditional Chinese), no accents, the words in any order, the wording of
Taiwan, a quantity in its base unit, no filler (红/红色 in a facet of colours), the entry of the
starter library that has both names (红色/red), and for a letter mistyped the names with one letter
left out. Names that share none are not compared, so a library of a million tags is matched without
all its pairs.

What looks alike and is not the same shares no key: 纯棉/纯麻, 4K/8K, S/XS, iPhone 14/15 differ in
what every key keeps. How often a key that two names share is right was measured on the starter
library (`data/same_names.json`, made by `benchmarks/same_names.py`): a prior, to be checked by
people.
"""

from __future__ import annotations

import json
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from tagmill.library.starter import starter_library
from tagmill.library.vocabulary import Library
from tagmill.quantities import read_quantity
from tagmill.records import Facet, Tag
from tagmill.text import fold, normal_form

__all__ = [
    "CERTAIN", "REASONS", "Match", "Matcher", "fillers_of", "keys_of", "keys_of_tag",
    "probability_of",
]  # fmt: skip

# How a shared key is called, the surest first.
REASONS = (
    "form", "accents", "quantity", "wording", "filler", "dictionary", "order", "spelling",
)  # fmt: skip
_RANKS = {reason: rank for rank, reason in enumerate(REASONS)}
CERTAIN = frozenset(("form", "accents", "quantity"))  # nobody could mean two things by them

_SPELLED = 7  # letters of a word from which one may be wrong
# What adds nothing to a name in a facet that is called so, the longest first; elsewhere 台风 is
# not 台.
_FILLERS = {
    re.compile("色|colou?r", re.I): ("颜色", "色系", "色", "系"),
    re.compile("风格|款式|style", re.I): ("风格", "款", "风", "系"),
    re.compile("材质|面料|material|fabric", re.I): ("材质", "面料"),
}
_LATIN = re.compile("[a-zà-ɏ]+")
_DIGIT = re.compile(r"\d")
_DIRECTED = frozenset("to from of with without for by in on no non".split())  # order tells


@dataclass(frozen=True)
class Match:
    """A tag that a name may mean; the probability is a prior."""

    tag: Tag
    probability: float
    reasons: tuple[str, ...]

    @property
    def certain(self) -> bool:
        """Whether the two are written differently and nothing else."""
        return not CERTAIN.isdisjoint(self.reasons)


def fillers_of(facet: Facet | None) -> tuple[str, ...]:
    """The endings that add nothing to a name of this facet."""
    called = "" if facet is None else "|".join((facet.key, *facet.names.values()))
    return next((fillers for kind, fillers in _FILLERS.items() if kind.search(called)), ())


def keys_of(name: str, fillers: Sequence[str] = ()) -> dict[str, str]:
    """Key of each way of writing what `name` says, where `fillers` add nothing → the reason.

    Two names that share a key match for the less sure of its two reasons.
    """
    form = normal_form(name)
    if not form:
        return {}
    keys = {form: "form"}
    if not form.isascii():
        keys.setdefault(_without_accents(form), "accents")
        keys.setdefault(normal_form(_mainland().convert(name)), "wording")
    if fillers:
        keys.setdefault(_without_filler(form, fillers), "filler")
    quantity = read_quantity(name)
    if quantity is not None:
        keys[f"quantity:{quantity.key}"] = "quantity"
    for identifier in _dictionary().get(form, ()):
        keys[f"dictionary:{identifier}"] = "dictionary"
    words = fold(name).text.split(" ")
    movable = form == "".join(words) and not _DIGIT.search(form)
    if len(words) > 1 and movable and _DIRECTED.isdisjoint(words):
        keys[f"order:{' '.join(sorted(words))}"] = "order"
    keys |= dict.fromkeys(_misspelled(words), "spelling")
    return keys


def probability_of(reasons: Iterable[str]) -> float:
    """How probable it is that two names of one facet that share these keys mean the same."""
    weights = _weights()
    return max((weights[reason] for reason in reasons), default=0.0)


class Matcher:
    """Finds the tags of a library that a name may mean; for the library as it is now."""

    def __init__(self, library: Library) -> None:
        self._library = library
        hashes, owners, reasons = array("q"), array("i"), array("b")
        self._tags = library.active()
        for place, tag in enumerate(self._tags):
            for key, reason in keys_of_tag(library, tag).items():
                hashes.append(hash(key))
                owners.append(place)
                reasons.append(_RANKS[reason])
        order = np.argsort(np.frombuffer(hashes, np.int64), kind="stable")
        self._hashes = np.frombuffer(hashes, np.int64)[order]
        self._owners = np.frombuffer(owners, np.int32)[order]
        self._reasons = np.frombuffer(reasons, np.int8)[order]

    def match(self, name: str, facet: str = "") -> Match | None:
        """The tag that a name means most probably; None where none may be meant."""
        found = self.nearest(name, facet, 1)
        return found[0] if found else None

    def nearest(self, name: str, facet: str = "", limit: int = 3) -> list[Match]:
        """The tags that a name may mean, the most probable first; of a facet (in any language)
        where one is given."""
        known = self._library.facet_named(facet)
        if facet and known is None:
            return []
        shared: dict[int, set[int]] = {}
        for key, reason in keys_of(name, fillers_of(known)).items():
            value = hash(key)
            first = int(np.searchsorted(self._hashes, value))
            while first < len(self._hashes) and self._hashes[first] == value:
                rank = max(int(self._reasons[first]), _RANKS[reason])
                shared.setdefault(int(self._owners[first]), set()).add(rank)
                first += 1
        found = []
        for owner, ranks in shared.items():
            tag = self._tags[owner]
            if known is None or tag.facet == known.key:
                reasons = tuple(REASONS[rank] for rank in sorted(ranks))
                found.append(Match(tag, probability_of(reasons), reasons))
        return sorted(found, key=lambda match: (-match.probability, match.tag.text))[:limit]


def keys_of_tag(library: Library, tag: Tag) -> dict[str, str]:
    """The keys of all names of a tag → the surest reason of each."""
    fillers = fillers_of(library.facets.get(tag.facet))
    keys: dict[str, str] = {}
    for name in library.names_of(tag):
        for key, reason in keys_of(name, fillers).items():
            if key not in keys or _RANKS[reason] < _RANKS[keys[key]]:
                keys[key] = reason
    return keys


def _without_filler(form: str, fillers: Sequence[str]) -> str:
    longer = (f for f in fillers if form.endswith(f) and len(form) > len(f))
    return form.removesuffix(next(longer, ""))


def _misspelled(words: Sequence[str]) -> Iterator[str]:
    """What these words and others, with one letter more, less or other, have in common."""
    for i, word in enumerate(words):
        if len(word) >= _SPELLED and _LATIN.fullmatch(word):
            before, after, letters = words[:i], words[i + 1 :], _without_accents(word)
            yield "spelling:" + "|".join((" ".join(before), letters, " ".join(after)))
            for place in range(1, len(letters)):  # the first letter is hardly ever wrong
                left = letters[:place] + letters[place + 1 :]
                yield "spelling:" + "|".join((" ".join(before), left, " ".join(after)))


def _without_accents(form: str) -> str:
    if form.isascii():
        return form
    apart = unicodedata.normalize("NFD", form)
    return unicodedata.normalize("NFC", "".join(c for c in apart if not unicodedata.combining(c)))


@cache
def _mainland():  # type: ignore[no-untyped-def]  # noqa: ANN202
    from opencc import OpenCC

    return OpenCC("tw2sp")


@cache
def _dictionary() -> Mapping[str, tuple[str, ...]]:
    """Forms of the starter library's names → ids of their tags; names of one tag say the same."""
    library = starter_library()
    owners: dict[str, tuple[str, ...]] = {}
    for tag in library.active():
        for name in library.names_of(tag):
            form = normal_form(name)
            owners[form] = (*owners.get(form, ()), tag.id)
    return owners


@cache
def _weights() -> Mapping[str, float]:
    text = resources.files("tagmill").joinpath("data/same_names.json").read_text("utf-8")
    weights: dict[str, float] = json.loads(text)["probability"]
    return weights
