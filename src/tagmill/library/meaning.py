"""Tags whose names an encoder finds near one another: how probably they mean the same.

Encoders differ in what a cosine of 0.8 says, so the cosine of two names is taken in units of how
near either comes to other names at all: the ratio margin of Artetxe & Schwenk (2019), whose
neighbours are a sample of the library's names. What a margin is worth the library itself tells:
for tags with several names, how often the other name of a tag has a higher margin with it than
with any other tag. A library with too few of them gets a prior.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tagmill.library.matching import keys_of
from tagmill.library.vocabulary import Library
from tagmill.probability import Curve, fit_curve
from tagmill.records import Tag
from tagmill.text import normal_form

__all__ = ["Embed", "near_in_meaning"]

Embed = Callable[[list[str]], npt.NDArray[np.float32]]
Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

_SAMPLE, _NEIGHBOURS = 4_000, 4  # names that margins are measured against, and of these the nearest
_PARTNERS = 3  # nearest tags of a tag's facet that may mean the same
_JUDGED, _FEWEST = 2_000, 40  # tags with several names that tell what a margin is worth
# One tag in so many is assumed to have a double: of tags with several names each would have one.
_DOUBLES = 1 / 20
_PRIOR = Curve(np.array([1.0, 1.1, 1.5]), np.array([0.0, 0.1, 0.5]))  # stated, not fitted
_LEAST_MEAN = 0.2  # of neighbours' cosines, so that among strangers no margin is without bound
_BLOCK = 1_024
_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[A-Za-z]{1,2}")


def near_in_meaning(
    library: Library, tags: Sequence[Tag], embed: Embed, across_facets: bool, seed: int = 0
) -> dict[tuple[int, int], float]:
    """Pairs of places in `tags` that may mean the same → how probable that is.

    `embed` gives unit vectors (n, d) of texts. Names with other digits, and of one or two letters,
    are no pair: 4K and 8K are near in meaning to every encoder, and S is near to M.
    """
    if len(tags) < 2:
        return {}
    vectors = embed([f"{tag.name} {tag.description}".strip() for tag in tags])
    numbers = _Numbers()
    own = _Names.of([tag.name for tag in tags], vectors, numbers)
    sample = _sample(own, seed)
    facets = ["" if across_facets else tag.facet for tag in tags]
    groups = np.unique(facets, return_inverse=True)[1]
    curve = _curve_of(library, tags, own, groups, embed, sample, numbers, seed)
    rows, partners, cosines = _partners(own, own, groups, groups, np.arange(len(tags)))
    around = own.around(sample)
    margins = _margins(cosines, around.mean(rows, own, partners), around.mean(partners, own, rows))
    pairs: dict[tuple[int, int], float] = {}
    for row, partner, probability in zip(
        rows.tolist(), partners.tolist(), curve(margins).tolist(), strict=True
    ):
        pair = min(row, partner), max(row, partner)
        pairs[pair] = max(probability, pairs.get(pair, 0.0))
    return pairs


class _Numbers(dict[object, int]):
    """A number for each form and each sequence of digits, the same wherever it occurs."""

    def __missing__(self, key: object) -> int:
        self[key] = len(self)
        return self[key]


@dataclass(frozen=True)
class _Names:
    """Names as an encoder and the eye see them, all arrays (n,)."""

    vectors: Floats  # (n, d)
    forms: Places  # the same number: the same normal form
    digits: Places  # the same number: the same digits; −1: one or two letters, which say too little

    @staticmethod
    def of(names: Sequence[str], vectors: Floats, numbers: _Numbers) -> _Names:
        forms = [numbers[normal_form(name)] for name in names]
        return _Names(vectors, np.array(forms, np.int64), _digits_of(names, numbers))

    def __len__(self) -> int:
        return len(self.forms)

    def take(self, places: Places) -> _Names:
        return _Names(self.vectors[places], self.forms[places], self.digits[places])

    def around(self, sample: _Names) -> _Around:
        """The nearest names of the sample, a few more than are needed: a name itself and its
        partner do not count."""
        count = min(_NEIGHBOURS + 2, len(sample))
        places, cosines = [np.zeros((0, count), np.int64)], [np.zeros((0, count), np.float32)]
        for start in range(0, len(self), _BLOCK):
            found = self.vectors[start : start + _BLOCK] @ sample.vectors.T
            best = np.argpartition(-found, count - 1, axis=1)[:, :count]
            values = np.take_along_axis(found, best, axis=1)
            order = np.argsort(-values, axis=1)
            places.append(np.take_along_axis(best, order, axis=1))
            cosines.append(np.take_along_axis(values, order, axis=1))
        return _Around(self.forms, sample.forms[np.concatenate(places)], np.concatenate(cosines))


@dataclass(frozen=True)
class _Around:
    """The nearest names of a sample, the nearest first."""

    own: Places  # (n,) form
    forms: Places  # (n, k)
    cosines: Floats  # (n, k)

    def mean(self, rows: Places, names: _Names, partners: Places) -> Floats:
        """The mean cosine (p,) of the neighbours of rows, leaving out the name itself and its
        partner among `names`; 0 where there is no other."""
        forms = self.forms[rows]
        other = (forms != self.own[rows][:, None]) & (forms != names.forms[partners][:, None])
        other &= np.cumsum(other, axis=1) <= _NEIGHBOURS
        total = np.where(other, self.cosines[rows], 0).sum(axis=1)
        return np.asarray(total / np.maximum(other.sum(axis=1), 1), np.float32)


def _sample(names: _Names, seed: int) -> _Names:
    """Some of the names, each form once."""
    order = np.random.default_rng(seed).permutation(len(names))
    first = np.sort(np.unique(names.forms[order], return_index=True)[1])
    return names.take(order[first[:_SAMPLE]])


def _digits_of(names: Sequence[str], numbers: _Numbers) -> Places:
    """A number for the digits in each name, −1 for a name of one or two letters."""
    digits = [
        -1 if _LETTERS.fullmatch(name) else numbers[tuple(_DIGITS.findall(name))] for name in names
    ]
    return np.array(digits, np.int64)


def _sayable(digits: Places, others: Places) -> npt.NDArray[np.bool_]:
    """Whether an encoder may say that two names mean the same."""
    return np.asarray((digits == others) & (digits >= 0))


def _margins(cosines: Floats, means: Floats, of_partners: Floats) -> Floats:
    return np.asarray(cosines / np.maximum((means + of_partners) / 2, _LEAST_MEAN), np.float32)


def _curve_of(
    library: Library,
    tags: Sequence[Tag],
    own: _Names,
    groups: Places,
    embed: Embed,
    sample: _Names,
    numbers: _Numbers,
    seed: int,
) -> Curve:
    """What a margin is worth, told by tags with a name that nothing but its meaning connects with
    the one they go by."""
    order = np.random.default_rng(seed + 1).permutation(len(tags)).tolist()
    named = ((place, _unlike_name(library, tags[place])) for place in order)
    judged = list(itertools.islice(((place, name) for place, name in named if name), _JUDGED))
    written = [name for _, name in judged]
    places = np.array([place for place, _ in judged], np.int64)
    # A pair that no encoder has a say in tells nothing of those in which it has.
    sayable = _sayable(_digits_of(written, numbers), own.digits[places])
    if sayable.sum() < _FEWEST:
        return _PRIOR
    places, written = places[sayable], list(itertools.compress(written, sayable))
    asked = _Names.of(written, embed(written), numbers)
    rows, rivals, cosines = _partners(asked, own, groups[places], groups, places)
    rows = np.concatenate([np.arange(len(places)), rows])
    partners = np.concatenate([places, rivals])
    of_own = np.einsum("ij,ij->i", asked.vectors, own.vectors[places])
    right = np.arange(len(rows)) < len(places)
    around, of_partners = asked.around(sample), own.take(partners).around(sample)
    means = around.mean(rows, own, partners)
    margins = _margins(
        np.concatenate([of_own, cosines]), means,
        of_partners.mean(np.arange(len(rows)), asked, rows),
    )  # fmt: skip
    return fit_curve(margins, right, np.where(right, _DOUBLES, 1.0))


def _unlike_name(library: Library, tag: Tag) -> str:
    """A name of the tag that shares no key with the one it goes by; empty where it has none."""
    keys = keys_of(tag.name).keys()
    return next((n for n in library.names_of(tag) if keys.isdisjoint(keys_of(n))), "")


def _partners(
    asked: _Names, names: _Names, groups_asked: Places, groups: Places, left_out: Places
) -> tuple[Places, Places, Floats]:
    """Rows asked, their nearest names of the same group, but for the one left out of each row, and
    the cosines, which are above 0; of the pairs that an encoder may have a say in."""
    found: list[tuple[Places, Places, Floats]] = []
    order = np.argsort(groups, kind="stable")
    for group in np.unique(groups_asked):
        first, end = np.searchsorted(groups[order], [group, group + 1])
        members, rows = order[first:end], np.flatnonzero(groups_asked == group)
        kept = min(_PARTNERS, len(members))
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            cosines = asked.vectors[some] @ names.vectors[members].T
            cosines[np.arange(len(some)), np.searchsorted(members, left_out[some])] = -1
            best = np.argpartition(-cosines, kept - 1, axis=1)[:, :kept]
            values = np.take_along_axis(cosines, best, axis=1)
            found.append((np.repeat(some, kept), members[best].ravel(), values.ravel()))
    rows, places, cosines = (np.concatenate(parts) for parts in zip(*found, strict=True))
    chosen = _sayable(asked.digits[rows], names.digits[places]) & (cosines > 0)
    return rows[chosen], places[chosen], cosines[chosen]
