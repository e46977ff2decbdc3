"""Products of one family: alike but for the tags of some facets, such as colour.

Of a facet two products are of one family where their texts are the same once the names of other
facets' tags are taken out: 真丝连衣裙 红色 and 真丝连衣裙 蓝色 are in material, and are not in
colour. What a large language model said of the first holds for the second, where it is safe: the
model is asked about both until it has agreed with itself often enough, facet by facet, and about
one in a hundred for ever (`Agreement`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tagmill.language.profiles import Profile
from tagmill.language.prompts import prompt_language, write_product
from tagmill.probability import is_shown
from tagmill.tagging.hits import Hits

__all__ = ["Agreement", "FamilyAnswers", "family_texts", "is_explored"]

_SAFE = 0.95  # of the answers of a family, at the least, that are the same
_LEVEL = 0.01  # how often that may be believed though it is not so; looked at after every pair
_EXPLORED = 100  # one in so many is asked about though it need not be

Row = int
Pair = tuple[int, str]  # row, tag id


def family_texts(
    batch: pa.RecordBatch,
    hits: Hits,
    facets: Sequence[str],
    wanted: Mapping[Row, Iterable[str]],
    profile: Profile,
) -> dict[tuple[Row, str], str]:
    """What products of one family share, by row and facet: the text without other facets' names.

    `facets` are those of the hits' tags, by their index, `profile` says which
    fields are read.
    """
    ends = np.searchsorted(hits.rows, np.arange(batch.num_rows + 1))
    found: dict[tuple[Row, str], str] = {}
    for row, its_facets in wanted.items():
        part = slice(int(ends[row]), int(ends[row + 1]))
        spans = [
            (facets[tag], hits.field_names[name], start, end)
            for tag, name, start, end in zip(
                hits.tags[part].tolist(), hits.fields[part].tolist(),
                hits.starts[part].tolist(), hits.ends[part].tolist(), strict=True,
            )
        ]  # fmt: skip
        product = batch.slice(row, 1).drop_columns(["id", "tags"]).to_pylist()[0]
        known: dict[frozenset[Any], str] = {}
        for facet in its_facets:
            own = [span for span in spans if span[0] == facet]
            others = frozenset(
                span[1:] for span in spans if span[0] != facet and not _overlaps(span, own)
            )
            if others not in known:
                written = _without(product, others)
                language = prompt_language(product["language"])
                known[others] = write_product(written, language, profile)
            found[row, facet] = known[others]
    return found


def _overlaps(span: tuple[Any, str, int, int], own: Iterable[tuple[Any, str, int, int]]) -> bool:
    _, name, start, end = span
    return any(name == other and start < last and first < end for _, other, first, last in own)


def _without(product: dict[str, Any], spans: Iterable[tuple[str, int, int]]) -> dict[str, Any]:
    """A product whose fields lack some spans; blanks do not tell products apart."""
    by_field: dict[str, list[tuple[int, int]]] = {}
    for name, start, end in spans:
        by_field.setdefault(name, []).append((start, end))

    def cut(name: str, text: str) -> str:
        kept = list(text)
        for start, end in by_field.get(name, ()):
            kept[start:end] = " " * (end - start)
        return " ".join("".join(kept).lower().split())

    pairs = [(key, cut(f"attributes.{key}", v or "")) for key, v in product["attributes"] or ()]
    texts = {k: cut(k, v) for k, v in product.items() if isinstance(v, str) and k != "language"}
    return {**product, **texts, "attributes": pairs}


@dataclass
class Agreement:
    """How often the answers about two products of one family were the same, by facet."""

    same: dict[str, int] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=dict)

    def is_safe(self, facet: str) -> bool:
        """Whether at least `_SAFE` of them are, shown by enough that are."""
        compared = self.compared.get(facet, 0)
        return is_shown(compared - self.same.get(facet, 0), compared, _SAFE, _LEVEL)

    def note(self, facet: str, *, same: bool) -> None:
        """Count one comparison."""
        self.compared[facet] = self.compared.get(facet, 0) + 1
        self.same[facet] = self.same.get(facet, 0) + same


@dataclass
class FamilyAnswers:
    """What is taken over between the pairs (row, tag id) of one batch, or from earlier ones.

    `keys` are the pairs' families, `known` the stored answers by key, as JSON.
    """

    keys: Mapping[Pair, str]
    known: Mapping[str, Any]
    facet_of: Callable[[str], str]  # of a tag id
    agreement: Agreement
    explored: Set[Row]  # asked about in any case
    taken: dict[Pair, Pair | None] = field(default_factory=dict)  # from which; None: a stored one
    _leaders: dict[str, Pair] = field(default_factory=dict)  # asked about in this batch

    def takes_over(self, pair: Pair) -> bool:
        """Whether a pair need not be asked about; others may take over its answer if it is."""
        key = self.keys.get(pair)
        if key is None:
            return False
        row, tag_id = pair
        there = key in self.known or key in self._leaders
        if there and row not in self.explored and self.agreement.is_safe(self.facet_of(tag_id)):
            self.taken[pair] = None if key in self.known else self._leaders[key]
            return True
        self._leaders.setdefault(key, pair)
        return False

    def compare(self, told: Mapping[Pair, Mapping[str, Any]]) -> None:
        """Count whether answers (as JSON, by pair) agree with those of their families.

        Only where one of the two picked a tag: that neither has any says little, and most have
        none of most facets.
        """
        same: dict[tuple[Row, str], bool] = {}
        telling: set[tuple[Row, str]] = set()
        for pair, answer in told.items():
            key = self.keys.get(pair)
            if key is None:
                continue
            leader = self._leaders.get(key, pair)
            other = self.known[key] if key in self.known else told.get(leader)
            if other is not None and other is not answer:
                cell = pair[0], self.facet_of(pair[1])
                same[cell] = same.get(cell, True) and other["chosen"] == answer["chosen"]
                if other["chosen"] or answer["chosen"]:
                    telling.add(cell)
        for cell in sorted(telling):
            self.agreement.note(cell[1], same=same[cell])

    def to_keep(self, told: Mapping[Pair, Mapping[str, Any]]) -> dict[str, Any]:
        """The answers that families keep, by key: the first one's."""
        return {
            key: told[pair]
            for key, pair in self._leaders.items()
            if key not in self.known and pair in told
        }


def is_explored(text: str) -> bool:
    """Whether a product of this text is asked about in any case: one in a hundred, the same ones
    in every run."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % _EXPLORED == 0
