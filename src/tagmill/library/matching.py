"""When two names mean the same: keys that such names share, and how far each is to be trusted.

Every name gets keys, one for each way of writing the same thing: the normal form (case, width,
spacing, hyphens, plurals, Traditional Chinese), no accents, the words in any order, the wording of
Taiwan, a quantity in its base unit, no filler (红/红色), the entry of the starter library that has
both names (红色/red), and for a letter mistyped the names with one letter left out. Names that
share none are not compared, so a library of a million tags is matched without all its pairs.

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

from tagmill.library.quantities import read_quantity
from tagmill.library.starter import starter_library
from tagmill.library.vocabulary import Library
from tagmill.records import Tag
from tagmill.text import fold, normal_form

__all__ = ["CERTAIN", "REASONS", "Match", "Matcher", "keys_of", "probability_of"]

# How a shared key is called, the surest first.
REASONS = (
    "form", "accents", "quantity", "wording", "filler", "dictionary", "order", "spelling",
)  # fmt: skip
CERTAIN = frozenset(("form", "accents", "quantity"))  # nobody could mean two things by them

_SPELLED = 7  # letters of a word from which one may be wrong
_FILLERS = ("颜色", "色系", "风格", "材质", "面料", "色", "款", "风", "系")
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


def keys_of(name: str) -> Iterator[tuple[str, str]]:
    """(reason, key) of each way of writing what `name` says."""
    form = normal_form(name)
    if not form:
        return
    yield "form", form
    yield "accents", _without_accents(form)
    quantity = read_quantity(name)
    if quantity is not None:
        yield "quantity", quantity.key
    if not form.isascii():
        yield "wording", normal_form(_mainland().convert(name))
    yield "filler", _without_filler(form)
    for identifier in _dictionary().get(form, ()):
        yield "dictionary", identifier
    words = fold(name).text.split(" ")
    if len(words) > 1 and _DIRECTED.isdisjoint(words) and not _DIGIT.search(form):
        yield "order", " ".join(sorted(words)) + form[len("".join(words)) :]
    for key in _misspelled(words):
        yield "spelling", key


def probability_of(reasons: Iterable[str]) -> float:
    """How probable it is that two names of one facet that share these keys mean the same."""
    weights = _weights()
    return max((weights[reason] for reason in reasons), default=0.0)


class Matcher:
    """Finds the tags of a library that a name may mean; for the library as it is now."""

    def __init__(self, library: Library) -> None:
        self._library = library
        hashes, owners = array("q"), array("i")
        self._tags = library.active()
        for place, tag in enumerate(self._tags):
            for key in {key for name in library.names_of(tag) for key in keys_of(name)}:
                hashes.append(hash(key))
                owners.append(place)
        order = np.argsort(np.frombuffer(hashes, np.int64), kind="stable")
        self._hashes = np.frombuffer(hashes, np.int64)[order]
        self._owners = np.frombuffer(owners, np.int32)[order]

    def match(self, name: str, facet: str = "") -> Match | None:
        """The tag that a name means most probably; None where none may be meant."""
        found = self.nearest(name, facet, 1)
        return found[0] if found else None

    def nearest(self, name: str, facet: str = "", limit: int = 3) -> list[Match]:
        """The tags that a name may mean, the most probable first; of a facet (in any language)
        where one is given."""
        known = self._library.facet_named(facet)
        shared: dict[int, dict[str, None]] = {}
        for key in keys_of(name):
            first, last = np.searchsorted(self._hashes, [hash(key), hash(key) + 1])
            for owner in self._owners[first:last].tolist():
                shared.setdefault(owner, {})[key[0]] = None
        found = []
        for owner, reasons in shared.items():
            tag = self._tags[owner]
            if facet and (known is None or tag.facet != known.key):
                continue
            found.append(Match(tag, probability_of(reasons), tuple(reasons)))
        return sorted(found, key=lambda match: (-match.probability, match.tag.text))[:limit]


def _without_filler(form: str) -> str:
    longer = (f for f in _FILLERS if form.endswith(f) and len(form) > len(f))
    return form.removesuffix(next(longer, ""))


def _misspelled(words: Sequence[str]) -> Iterator[str]:
    """What these words and others, with one letter more, less or other, have in common."""
    for i, word in enumerate(words):
        if len(word) >= _SPELLED and _LATIN.fullmatch(word):
            before, after, letters = words[:i], words[i + 1 :], _without_accents(word)
            yield "|".join((" ".join(before), letters, " ".join(after)))
            for place in range(1, len(letters)):  # the first letter is hardly ever wrong
                left = letters[:place] + letters[place + 1 :]
                yield "|".join((" ".join(before), left, " ".join(after)))


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
