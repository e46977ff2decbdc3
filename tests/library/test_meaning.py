"""What an encoder says of names: worth what it says of the library's own names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tagmill.library import Library
from tagmill.library.duplicates import find_duplicates
from tagmill.library.meaning import near_in_meaning
from tagmill.records import Tag

CONCEPTS = 120


class Encoder:
    """A direction for each concept; its names lie around it, and all of them on one side."""

    def __init__(self, concept_of: dict[str, int], *, noise: float, common: float) -> None:
        rng = np.random.default_rng(0)
        concepts = rng.standard_normal((max(concept_of.values()) + 1, 32))
        shift = common * rng.standard_normal(32) / np.sqrt(32)
        self._vectors: dict[str, npt.NDArray[np.float64]] = {}
        for name, concept in concept_of.items():
            vector = concepts[concept] / np.sqrt(32) + noise * rng.standard_normal(32) / np.sqrt(32)
            self._vectors[name] = (vector + shift) / np.linalg.norm(vector + shift)

    def __call__(self, texts: list[str]) -> npt.NDArray[np.float32]:
        return np.array([self._vectors[text] for text in texts], np.float32)


def _names(concept: int) -> tuple[str, str]:
    """Two names without a word or letter in common."""
    word = "".join(chr(ord("a") + int(digit)) for digit in f"{concept:04d}")
    return f"first {word} thing", "".join(chr(0x4E00 + 37 * concept + 5 * i) for i in range(3))


def _library(doubles: int) -> tuple[Library, dict[str, int]]:
    """Tags with two names each, and `doubles` pairs of tags that are two names of one concept."""
    tags: list[Tag] = []
    concept_of: dict[str, int] = {}
    for concept in range(CONCEPTS):
        name, other = _names(concept)
        concept_of |= {name: concept, other: concept}
        if concept < doubles:
            tags += [Tag(f"{concept}a", "kind", name), Tag(f"{concept}b", "kind", other)]
        else:
            tags.append(Tag(f"{concept}", "kind", name, {"zh": other}))
    return Library(tags), concept_of


@pytest.mark.parametrize("common", [0.0, 3.0])
def test_doubles_are_found_whatever_an_encoders_cosines_are_like(common: float) -> None:
    library, concept_of = _library(doubles=12)
    embed = Encoder(concept_of, noise=0.3, common=common)
    vectors = embed([tag.name for tag in library.active()])
    above = (vectors @ vectors.T >= 0.8).sum() - len(vectors)
    assert above > 10_000 if common else above < 100  # no cosine would do for both
    found = [pair for pair in find_duplicates(library, embed=embed) if pair.probability >= 0.5]
    right = [pair for pair in found if concept_of[pair.a.name] == concept_of[pair.b.name]]
    assert len(right) >= 10
    assert len(found) - len(right) <= 1
    assert {pair.reasons for pair in found} == {("embedding",)}


def test_an_encoder_that_knows_nothing_finds_nothing() -> None:
    library, concept_of = _library(doubles=12)
    embed = Encoder(concept_of, noise=30.0, common=0.0)
    assert all(pair.probability < 0.5 for pair in find_duplicates(library, embed=embed))


def test_other_digits_and_sizes_are_no_pair() -> None:
    names = ["4K", "8K", "S", "XS", "sofa", "couch"]
    concept_of = dict(zip(names, [0, 0, 1, 1, 2, 2], strict=True))
    library = Library([Tag(name, "kind", name) for name in names])
    tags = library.active()
    embed = Encoder(concept_of, noise=0.05, common=0.0)
    ((pair, probability),) = (
        (pair, p) for pair, p in near_in_meaning(library, tags, embed, False).items() if p > 0.1
    )
    assert [tags[place].name for place in pair] == ["sofa", "couch"]
    assert probability == 0.5  # a prior: no tag has two names


def test_pairs_of_two_facets_only_where_asked() -> None:
    concept_of = {"sofa": 0, "couch": 0, "lamp": 1}
    tags = [Tag("1", "kind", "sofa"), Tag("2", "room", "couch"), Tag("3", "kind", "lamp")]
    library = Library(tags)
    embed = Encoder(concept_of, noise=0.05, common=0.0)
    assert not find_duplicates(library, embed=embed)
    (pair,) = find_duplicates(library, embed=embed, across_facets=True)
    assert {pair.a.name, pair.b.name} == {"sofa", "couch"}
    assert near_in_meaning(library, tags[:1], embed, True) == {}


def test_names_that_an_encoder_has_no_say_in_tell_nothing() -> None:
    """Each tag's other name has other digits: too few are left, and the prior decides."""
    concept_of: dict[str, int] = {"sofa": 0, "couch": 0}
    tags = [Tag("a", "kind", "sofa"), Tag("b", "kind", "couch")]
    for concept in range(1, 80):
        name, other = f"model {concept}", f"{_names(concept)[1]}{concept + 500}"
        concept_of |= {name: concept, other: concept}
        tags.append(Tag(f"{concept}", "kind", name, {"zh": other}))
    embed = Encoder(concept_of, noise=0.05, common=0.0)
    assert near_in_meaning(Library(tags), tags, embed, False) == {(0, 1): 0.5}
