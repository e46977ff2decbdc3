"""Tags whose names an encoder finds near one another: how probably they mean the same.

Encoders differ in what a cosine of 0.8 says, so the cosine of two names is taken in units of how
near either comes to other names at all: the ratio margin of Artetxe & Schwenk (2019), whose
neighbours are a sample of the library's names. What a margin is worth the library itself tells:
for tags with several names, how often the other name of a tag has a higher margin with it than
with any other tag. A library with too few of them gets a prior.
"""

from __future__ import annotations

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
Vectors = npt.NDArray[np.float32]

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
    background = _Background.of(tags, vectors, seed)
    facets = ["" if across_facets else tag.facet for tag in tags]
    groups = np.unique(facets, return_inverse=True)[1]
    forms = [normal_form(tag.name) for tag in tags]
    curve = _curve_of(library, tags, vectors, groups, embed, background, seed)
    pairs: dict[tuple[int, int], float] = {}
    around = background.nearest(vectors)
    for place, partner, cosine in _partners(vectors, vectors, groups, groups, own=True):
        if not _may_be_same(tags[place].name, tags[partner].name):
            continue
        left_out = (forms[place], forms[partner])
        means = background.mean(around, place, left_out), background.mean(around, partner, left_out)
        probability = float(curve(np.array(_margin(cosine, *means))))
        pair = min(place, partner), max(place, partner)
        pairs[pair] = max(probability, pairs.get(pair, 0.0))
    return pairs


@dataclass(frozen=True)
class _Background:
    """Names of a sample of tags, each form once, that others are near to or not."""

    vectors: Vectors  # (b, d)
    forms: list[str]  # (b,)

    @staticmethod
    def of(tags: Sequence[Tag], vectors: Vectors, seed: int) -> _Background:
        order = np.random.default_rng(seed).permutation(len(tags))
        first = {normal_form(tags[place].name): place for place in order.tolist()}
        places = list(first.values())[:_SAMPLE]
        return _Background(vectors[places], list(first)[:_SAMPLE])

    def nearest(self, vectors: Vectors) -> tuple[npt.NDArray[np.int64], Vectors]:
        """The nearest of the sample to each vector, best first, with their cosines; a few more
        than are needed, as a name itself and its partner do not count."""
        count = min(_NEIGHBOURS + 2, len(self.forms))
        places, cosines = [], []
        for start in range(0, len(vectors), _BLOCK):
            found = vectors[start : start + _BLOCK] @ self.vectors.T
            best = np.argpartition(-found, count - 1, axis=1)[:, :count]
            values = np.take_along_axis(found, best, axis=1)
            order = np.argsort(-values, axis=1)
            places.append(np.take_along_axis(best, order, axis=1))
            cosines.append(np.take_along_axis(values, order, axis=1))
        return np.concatenate(places), np.concatenate(cosines)

    def mean(
        self, around: tuple[npt.NDArray[np.int64], Vectors], row: int, left_out: Sequence[str]
    ) -> float:
        """The mean cosine of a row's nearest names that are none of these."""
        pairs = zip(around[0][row].tolist(), around[1][row].tolist(), strict=True)
        others = [cosine for place, cosine in pairs if self.forms[place] not in left_out]
        return float(np.mean(others[:_NEIGHBOURS])) if others else 0.0


def _margin(cosine: float, one: float, other: float) -> float:
    return cosine / max((one + other) / 2, _LEAST_MEAN)


def _curve_of(
    library: Library,
    tags: Sequence[Tag],
    vectors: Vectors,
    groups: npt.NDArray[np.int64],
    embed: Embed,
    background: _Background,
    seed: int,
) -> Curve:
    """What a margin is worth, told by tags with a name that nothing but its meaning connects with
    the one they go by."""
    order = np.random.default_rng(seed + 1).permutation(len(tags)).tolist()
    judged: list[int] = []
    names: list[str] = []
    for place in order:
        other = _unlike_name(library, tags[place])
        if other and len(judged) < _JUDGED:
            judged.append(place)
            names.append(other)
    if len(judged) < _FEWEST:
        return _PRIOR
    asked = embed(names)
    around, around_own = background.nearest(asked), background.nearest(vectors[judged])
    own = np.einsum("ij,ij->i", asked, vectors[judged])
    margins, right = [], []
    for row, place in enumerate(judged):
        form = normal_form(names[row]), normal_form(tags[place].name)
        means = background.mean(around, row, form), background.mean(around_own, row, form)
        margins.append(_margin(float(own[row]), *means))
        right.append(True)
    rivals = _partners(asked, vectors, groups[judged], groups, left_out=judged)
    rival_rows = [rival for rival in rivals if _may_be_same(names[rival[0]], tags[rival[1]].name)]
    around_rivals = background.nearest(vectors[[partner for _, partner, _ in rival_rows]])
    for number, (row, partner, cosine) in enumerate(rival_rows):
        form = normal_form(names[row]), normal_form(tags[partner].name)
        means = background.mean(around, row, form), background.mean(around_rivals, number, form)
        margins.append(_margin(cosine, *means))
        right.append(False)
    outcomes = np.array(right)
    return fit_curve(np.array(margins), outcomes, np.where(outcomes, _DOUBLES, 1.0))


def _unlike_name(library: Library, tag: Tag) -> str:
    """A name of the tag that shares no key with the one it goes by; empty where it has none."""
    keys = keys_of(tag.name).keys()
    unlike = (n for n in library.names_of(tag) if keys.isdisjoint(keys_of(n)))
    return next((name for name in unlike if _may_be_same(name, tag.name)), "")


def _may_be_same(name: str, other: str) -> bool:
    """Whether an encoder may say that two names mean the same."""
    if _DIGITS.findall(name) != _DIGITS.findall(other):
        return False
    return not (_LETTERS.fullmatch(name) or _LETTERS.fullmatch(other))


def _partners(
    asked: Vectors,
    vectors: Vectors,
    groups_asked: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    *,
    own: bool = False,
    left_out: Sequence[int] | None = None,
) -> list[tuple[int, int, float]]:
    """(row asked, place, cosine) of the nearest vectors of the same group.

    Not itself, where what is asked are the `own` vectors; nor the place `left_out` of each row.
    """
    found: list[tuple[int, int, float]] = []
    order = np.argsort(groups, kind="stable")
    for group in np.unique(groups_asked):
        first, end = np.searchsorted(groups[order], [group, group + 1])
        members, rows = order[first:end], np.flatnonzero(groups_asked == group)
        kept = min(_PARTNERS, len(members))
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            cosines = asked[some] @ vectors[members].T
            if own or left_out is not None:
                skipped = some if left_out is None else np.asarray(left_out)[some]
                cosines[np.arange(len(some)), np.searchsorted(members, skipped)] = -1
            best = np.argpartition(-cosines, kept - 1, axis=1)[:, :kept]
            for i, row in enumerate(some.tolist()):
                found += [
                    (row, int(members[j]), float(cosines[i, j]))
                    for j in best[i]
                    if cosines[i, j] > 0
                ]
    return found
