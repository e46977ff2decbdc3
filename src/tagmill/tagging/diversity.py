"""Lists that cover facets instead of saying one thing five times: what a tag leaves no room for.

A facet has as many tags of a product as the training products mostly have of it. Two tags of a
facet are redundant beside one another where their names are, written alike (24 oz, 24 Oz) or one
inside the other (navy, navy blue), and people hardly ever gave a product both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tagmill.library.vocabulary import Library
from tagmill.records import Tag
from tagmill.tagging.context import Together
from tagmill.text import fold, is_unspaced, normal_form

__all__ = ["Diversity"]

_USUAL = 0.99  # share of the products of a facet that have no more tags of it than its cap
_NO_CAP = 1_000_000
_LONGEST = 12  # words or characters of a part of a name
_BOTH = 0.3  # from this share of products on that have both, two tags say two things


@dataclass(frozen=True)
class Diversity:
    """What may stand beside what in a product's list."""

    facets: npt.NDArray[np.int32]  # (m,) number of each tag's facet
    caps: npt.NDArray[np.int64]  # (facets,) tags of it that a product has at most
    indptr: npt.NDArray[np.int64]  # (m + 1,)
    redundant: npt.NDArray[np.int32]  # tags that say the same as tag t: indptr[t]:indptr[t + 1]

    @staticmethod
    def of(
        library: Library,
        facets: npt.NDArray[np.int32],
        together: Together | None,
        tag_indptr: npt.NDArray[np.int64],
        tags: npt.NDArray[np.int32],
    ) -> Diversity:
        """Out of a library, and of products (k,), i with tags[tag_indptr[i]:tag_indptr[i + 1]]."""
        pairs = _alike(library.active())
        if together is not None:
            pairs = [pair for pair in pairs if _share(together, *pair) < _BOTH]
        both = np.array(sorted({*pairs, *((b, a) for a, b in pairs)}), np.int64).reshape(-1, 2)
        counts = np.bincount(both[:, 0], minlength=len(facets))
        indptr = np.concatenate([[0], np.cumsum(counts)])
        caps = _caps(facets, tag_indptr, tags)
        return Diversity(facets, caps, indptr, both[:, 1].astype(np.int32))


def _caps(
    facets: npt.NDArray[np.int32],
    tag_indptr: npt.NDArray[np.int64],
    tags: npt.NDArray[np.int32],
) -> npt.NDArray[np.int64]:
    """Of each facet the tags that nearly all products with it have at most."""
    caps = np.full(int(facets.max(initial=-1)) + 1, _NO_CAP, np.int64)
    owners = np.repeat(np.arange(len(tag_indptr) - 1), np.diff(tag_indptr))
    keys = facets[tags].astype(np.int64) * max(len(tag_indptr) - 1, 1) + owners
    found, counts = np.unique(keys, return_counts=True)
    of_facet = found // max(len(tag_indptr) - 1, 1)
    for facet in np.unique(of_facet):
        caps[facet] = np.quantile(counts[of_facet == facet], _USUAL, method="higher")
    return caps


def _alike(tags: list[Tag]) -> list[tuple[int, int]]:
    """Pairs of tags of a facet with one name, or one name inside the other."""
    places: dict[tuple[str, str], list[int]] = {}
    forms: dict[tuple[str, str], list[int]] = {}
    folded = [fold(tag.name).text for tag in tags]
    for place, tag in enumerate(tags):
        places.setdefault((tag.facet, folded[place]), []).append(place)
        forms.setdefault((tag.facet, normal_form(tag.name)), []).append(place)
    pairs = {
        (min(a, b), max(a, b)) for same in forms.values() for a in same for b in same if a != b
    }
    for place, tag in enumerate(tags):
        for part in _parts(folded[place]):
            for other in places.get((tag.facet, part), ()):
                pairs.add((min(place, other), max(place, other)))
    return sorted(pairs)


def _parts(name: str) -> set[str]:
    """What stands inside a folded name: runs of its words, or of two of its Han characters."""
    spaced = not any(is_unspaced(character) for character in name)
    units = name.split(" ") if spaced else list(name)
    least = 1 if spaced else 2
    joint = " " if spaced else ""
    runs = {
        joint.join(units[start:end]).strip()
        for start in range(len(units))
        for end in range(start + least, min(len(units), start + _LONGEST) + 1)
    }
    return runs - {name, ""}


def _share(together: Together, tag: int, other: int) -> float:
    """The greater share of the products of one of two tags that have the other too."""
    shares = [0.0]
    for a, b in ((tag, other), (other, tag)):
        partners = slice(together.indptr[a], together.indptr[a + 1])
        at = np.searchsorted(together.tags[partners], b)
        if at < partners.stop - partners.start and together.tags[partners][at] == b:
            shares.append(float(together.share[partners][at]))
    return max(shares)
