"""How often near-duplicates could take over an answer, and whether their tags are the same.

    python benchmarks/families.py

Of each set all products: a cell is a product and a facet it has gold tags in; it follows where an
earlier product is of its family in that facet (the same text but for names of other facets' tags).
Beside it cells of products with the very same text: what there differs is noise of the labels, the
most that any rule can agree.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

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
Cells = Mapping[tuple[str, str], list[frozenset[str]]]


def measure(name: str) -> dict[str, float | int]:
    found = load_set(name)
    library = Library([])
    for text in tag_names([*found.train, *found.test]):
        if library.find(text) is None:
            library.add(*parse_tag(text))
    model, profile = Model(library, shipped_prior()), open_profile("product")
    families: dict[tuple[str, str], list[frozenset[str]]] = defaultdict(list)
    equals: dict[tuple[str, str], list[frozenset[str]]] = defaultdict(list)
    for batch in as_batches([*found.train, *found.test]):
        hits = model.lexicon.find(batch)
        facets = [library.tags[tag_id].facet for tag_id in hits.tag_ids]
        gold: dict[int, dict[str, set[str]]] = {}
        for row, tags in enumerate(batch.column("tags").to_pylist()):
            for facet, value in map(parse_tag, tags):
                gold.setdefault(row, {}).setdefault(facet, set()).add(value)
        for (row, facet), text in family_texts(batch, hits, facets, gold, profile).items():
            families[facet, text].append(frozenset(gold[row][facet]))
            whole = "\n".join(str(batch.column(c)[row]) for c in ("title", "description"))
            equals[facet, whole].append(frozenset(gold[row][facet]))
    cells, followers, same = count(families)
    _, twins, twins_same = count(equals)
    return {
        "cells": cells, "following": round(followers / cells, 4),
        "same": round(same / max(followers, 1), 4), "twins": twins,
        "twins_same": round(twins_same / max(twins, 1), 4), **safe(families),
    }  # fmt: skip


def count(cells: Cells) -> tuple[int, int, int]:
    """Cells, those that follow another, and those of them with the same tags."""
    followers = sum(len(tags) - 1 for tags in cells.values())
    same = sum(one == tags[0] for tags in cells.values() for one in tags[1:])
    return sum(map(len, cells.values())), followers, same


def safe(cells: Cells) -> dict[str, float | int]:
    """The same of the facets that gold tags, taken for a model's answers, would make safe."""
    agreement, total = Agreement(), Counter[str]()
    for (facet, _), tags in cells.items():
        for one in tags[1:]:
            agreement.note(facet, same=one == tags[0])
            total[facet] += 1
    facets = [facet for facet in total if agreement.is_safe(facet)]
    taken = sum(total[facet] for facet in facets)
    return {
        "safe_facets": len(facets), "facets": len({facet for facet, _ in cells}),
        "safe_following": round(taken / sum(map(len, cells.values())), 4),
        "safe_same": round(sum(agreement.same[f] for f in facets) / max(taken, 1), 4),
    }  # fmt: skip


def main() -> None:
    for name in SETS:
        entry = measure(name)
        print(name, entry, flush=True)
        keep("families", name, entry, is_quick=False)


if __name__ == "__main__":
    main()
