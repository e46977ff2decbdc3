"""Tags of a library that mean the same, by their names, and by the products that have them.

Two tags of a facet are compared where names of theirs share a key (`matching`). What products
have then speaks for or against: people hardly give one product two names of one thing, and do give
them the same other tags; siblings stand beside one another, or in other company.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import sparse

from tagmill.library.matching import REASONS, keys_of, keys_of_tag, probability_of
from tagmill.library.meaning import Embed, near_in_meaning
from tagmill.library.vocabulary import Library
from tagmill.records import Scores, Tag
from tagmill.text import is_unspaced

__all__ = ["Duplicate", "clusters", "find_duplicates"]

_LARGEST_GROUP = 40  # tags that share a key; of more, each is paired with the first only
_FEWEST = 10  # products of a tag, below which its company says nothing
_BOTH = 0.3  # of the rarer tag's products that have the other too: two things are said
# Stated, not fitted: the odds that two tags mean the same are so much lower or higher by what
# products have. Company is the cosine of how often each stands with every other tag.
_ODDS_BOTH, _ODDS_ALIEN, _ODDS_AKIN = 1 / 20, 1 / 4, 2.0
_ODDS_APART = 1 / 1000  # what one language calls alike, another does not
_ALIEN, _AKIN = 0.2, 0.8
_SHOWN = 0.02  # probability from which a pair that only an encoder finds is one


@dataclass(frozen=True)
class Duplicate:
    """Two tags that may mean the same; `reasons` say what speaks for it. A prior probability."""

    a: Tag
    b: Tag
    probability: float
    reasons: tuple[str, ...]


def find_duplicates(
    library: Library,
    *,
    facet: str | None = None,
    across_facets: bool = False,
    given: Scores | None = None,
    embed: Embed | None = None,
) -> list[Duplicate]:
    """Pairs of active tags that may mean the same, the most probable first.

    Of one facet (by key) if asked, and of two only with `across_facets`. `given` says which
    products have which tags; `embed` gives unit vectors (n, d) of texts, for what is written
    quite differently.
    """
    tags = [tag for tag in library.active() if facet is None or tag.facet == facet]
    shared = _sharing(library, tags, across_facets)
    near = near_in_meaning(library, tags, embed, across_facets) if embed is not None else {}
    for pair, probability in near.items():
        if pair in shared or probability >= _SHOWN:
            shared.setdefault(pair, {})["embedding"] = None
    company = None if given is None else _Company(given)
    found = []
    for (i, j), reasons in shared.items():
        by_name = [reason for reason in reasons if reason != "embedding"]
        probability = max(probability_of(by_name), near.get((i, j), 0.0))
        more: tuple[str, ...] = ()
        odds = 1.0
        if company is not None:
            odds, more = company.odds(tags[i].id, tags[j].id)
        if by_name and _are_told_apart(library, tags[i], tags[j]):
            odds, more = odds * _ODDS_APART, (*more, "told apart")
        probability = probability * odds / (probability * odds + 1 - probability)
        found.append(Duplicate(tags[i], tags[j], probability, (*reasons, *more)))
    return sorted(found, key=lambda one: (-one.probability, one.a.text, one.b.text))


def clusters(pairs: Sequence[Duplicate]) -> list[list[Tag]]:
    """The tags of pairs in groups that mean the same, each tag in one group."""
    parent: dict[str, str] = {}
    tags: dict[str, Tag] = {}

    def root(identifier: str) -> str:
        while parent.setdefault(identifier, identifier) != identifier:
            identifier = parent[identifier]
        return identifier

    for pair in pairs:
        tags |= {pair.a.id: pair.a, pair.b.id: pair.b}
        parent[root(pair.b.id)] = root(pair.a.id)
    groups: dict[str, list[Tag]] = {}
    for identifier, tag in tags.items():
        groups.setdefault(root(identifier), []).append(tag)
    return list(groups.values())


def _sharing(
    library: Library, tags: Sequence[Tag], across_facets: bool
) -> dict[tuple[int, int], dict[str, None]]:
    """Pairs of places that share keys → the reasons, the surest first."""
    owners: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for place, tag in enumerate(tags):
        group = "" if across_facets else tag.facet
        for key, reason in keys_of_tag(library, tag).items():
            owners.setdefault((group, key), []).append((place, REASONS.index(reason)))
    shared: dict[tuple[int, int], set[int]] = {}
    for having in owners.values():
        if len(having) > 1:
            few = len(having) <= _LARGEST_GROUP
            pairs = combinations(having, 2) if few else ((having[0], one) for one in having[1:])
            for (a, first), (b, second) in pairs:
                shared.setdefault((a, b), set()).add(max(first, second))
    return {pair: {REASONS[rank]: None for rank in sorted(ranks)} for pair, ranks in shared.items()}


def _are_told_apart(library: Library, a: Tag, b: Tag) -> bool:
    """Whether both have Chinese names and others, and only the one kind is shared: 铜色 is the
    name of bronze and of copper."""
    shared = []
    for chinese in (True, False):
        keys = []
        for tag in (a, b):
            names = [n for n in library.names_of(tag) if any(map(is_unspaced, n)) == chinese]
            keys.append({key for name in names for key in keys_of(name)})
        if not (keys[0] and keys[1]):
            return False
        shared.append(bool(keys[0] & keys[1]))
    return not all(shared)


class _Company:
    """What the products that have tags say of two of them."""

    def __init__(self, given: Scores) -> None:
        self._place = {tag_id: i for i, tag_id in enumerate(given.tag_ids)}
        ones = given.values.copy()
        ones.data[:] = 1
        self._both = sparse.csr_array(ones.T @ ones)
        self._counts = self._both.diagonal()

    def odds(self, a: str, b: str) -> tuple[float, tuple[str, ...]]:
        """How much more probable it makes that they mean the same, and why."""
        i, j = self._place.get(a), self._place.get(b)
        if i is None or j is None or min(self._counts[i], self._counts[j]) < _FEWEST:
            return 1.0, ()
        if self._both[i, j] > _BOTH * min(self._counts[i], self._counts[j]):
            return _ODDS_BOTH, ("given together",)
        rows = [self._both[[place]].toarray()[0] for place in (i, j)]
        for row in rows:
            row[[i, j]] = 0
        size = float(np.linalg.norm(rows[0]) * np.linalg.norm(rows[1]))
        cosine = float(rows[0] @ rows[1]) / size if size else 0.0
        if cosine < _ALIEN:
            return _ODDS_ALIEN, ("in other company",)
        return (_ODDS_AKIN, ("in the same company",)) if cosine > _AKIN else (1.0, ())
