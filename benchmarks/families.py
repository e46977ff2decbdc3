"""How often near-duplicates could take over an answer, and whether their tags are the same.

    python benchmarks/families.py

Of each set all products: a cell is a product and a facet it has gold tags in; it follows where an
earlier product is of its family in that facet (the same text but for names of other facets' tags).
Beside it cells of products with the very same text: what there differs is noise of the labels, the
most that any rule can agree. Taken over is a cell whose facet is safe by then, in the order of the
products; gold tags stand for a model's answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from data import load_set, tag_names
from results import keep

from tagmill.catalog import as_batches
from tagmill.language.profiles import open_profile
from tagmill.library import Library
from tagmill.records import parse_tag
from tagmill.tagging.families import Agreement, family_texts
from tagmill.tagging.folder import shipped_prior
from tagmill.tagging.model import Model

SETS = ("en_ae110k", "en_oamine", "en_implicit_attributes", "en_fashion_styles")


@dataclass
class Cells:
    """Cells in the order of the products: those that follow, and those taken over by then."""

    first: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    agreement: Agreement = field(default_factory=Agreement)
    total: int = 0
    following: int = 0
    same: int = 0
    taken: int = 0
    taken_same: int = 0

    def add(self, facet: str, text: str, gold: frozenset[str]) -> None:
        self.total += 1
        before = self.first.setdefault((facet, text), gold)
        if before is gold:
            return
        self.following += 1
        self.same += before == gold
        if self.agreement.is_safe(facet):  # nobody is asked, so nothing is compared
            self.taken += 1
            self.taken_same += before == gold
        else:
            self.agreement.note(facet, same=before == gold)


def measure(name: str) -> dict[str, float | int]:
    found = load_set(name)
    library = Library([])
    for text in tag_names([*found.train, *found.test]):
        if library.find(text) is None:
            library.add(*parse_tag(text))
    model, profile = Model(library, shipped_prior()), open_profile("product")
    families, twins = Cells(), Cells()
    for batch in as_batches([*found.train, *found.test]):
        hits = model.lexicon.find(batch)
        facets = [library.tags[tag_id].facet for tag_id in hits.tag_ids]
        gold: dict[int, dict[str, set[str]]] = {}
        for row, tags in enumerate(batch.column("tags").to_pylist()):
            for facet, value in map(parse_tag, tags):
                gold.setdefault(row, {}).setdefault(facet, set()).add(value)
        for (row, facet), text in family_texts(batch, hits, facets, gold, profile).items():
            families.add(facet, text, frozenset(gold[row][facet]))
            whole = "\n".join(str(batch.column(c)[row]) for c in ("title", "description"))
            twins.add(facet, whole, frozenset(gold[row][facet]))
    return {
        "cells": families.total,
        "following": round(families.following / families.total, 4),
        "same": round(families.same / max(families.following, 1), 4),
        "twins": twins.following,
        "twins_same": round(twins.same / max(twins.following, 1), 4),
        "taken": round(families.taken / families.total, 4),
        "taken_same": round(families.taken_same / max(families.taken, 1), 4),
    }


def main() -> None:
    for name in SETS:
        entry = measure(name)
        print(name, entry, flush=True)
        keep("families", name, entry, is_quick=False)


if __name__ == "__main__":
    main()
