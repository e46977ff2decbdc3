"""How often names that share a key mean the same: makes `src/tagmill/data/same_names.json`.

    python benchmarks/same_names.py

On the starter library: each name is written another way by a rule for each key, and pairs are
counted that share it. A share of the tags of a library is taken to have a duplicate (`DUPLICATED`),
which turns counts into a prior probability.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from tagmill.library import starter_library
from tagmill.library.matching import REASONS, keys_of

DUPLICATED = 0.1  # of a library's tags: a hand-made one had 836 tags for 592 things
# Stated, as the starter library cannot tell: in a library of somebody else two names of one of
# our tags are often told apart (保湿, 补水), and what looks mistyped may be a word of its own.
DICTIONARY, SPELLING = 0.6, 0.6
QUANTITY = 0.99  # stated: the same number of the same unit
OUTPUT = Path(__file__).parents[1] / "src/tagmill/data/same_names.json"


def mistyped(name: str, choose: random.Random) -> str:
    """One letter left out, doubled, changed or swapped with the next."""
    place = choose.randrange(1, len(name) - 1)
    left, letter, right = name[:place], name[place], name[place + 1 :]
    return choose.choice(
        [left + right, left + letter + letter + right,
         left + choose.choice("aeioust") + right, left + right[:1] + letter + right[1:]]
    )  # fmt: skip


def reordered(name: str, choose: random.Random) -> str:
    words = name.split(" ")
    return " ".join(words[1:] + words[:1])


RULES: dict[str, Callable[[str, random.Random], str]] = {
    "form": lambda name, choose: name.upper(),
    "accents": lambda name, choose: name.replace("e", "é"),
    "quantity": lambda name, choose: name,
    "wording": lambda name, choose: name,
    "filler": lambda name, choose: name.removesuffix("色").removesuffix("风"),
    "order": reordered,
    "spelling": mistyped,
}


def main() -> None:
    choose = random.Random(0)
    library = starter_library()
    owners: dict[tuple[str, str, str], dict[str, None]] = {}
    for tag in library.active():
        for name in library.names_of(tag):
            for reason, key in keys_of(name):
                owners.setdefault((tag.facet, reason, key), {})[tag.id] = None
    wrong: Counter[str] = Counter()
    for (_, reason, _), ids in owners.items():
        wrong[reason] += len(list(combinations(ids, 2)))
    right: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for tag in library.active():
        for name in (tag.name, tag.names.get("en", "")):
            for reason, write in RULES.items():
                if len(name) < 6 and reason == "spelling":
                    continue
                other = write(name, choose) if len(name) > 2 else name
                tried[reason] += 1
                keys = {key for r, key in keys_of(other) if r == reason}
                found = {i for key in keys for i in owners.get((tag.facet, reason, key), ())}
                right[reason] += tag.id in found
                wrong[reason] += 0 if other == name else len(found - {tag.id})
    probability = {}
    for reason in REASONS:
        duplicates = right[reason] * DUPLICATED
        probability[reason] = round(duplicates / (duplicates + wrong[reason] + 0.5), 3)
        print(f"{reason:<12} {right[reason]:>6} of {tried[reason]:>6}  {wrong[reason]:>5} wrong")
    stated = {"dictionary": DICTIONARY, "quantity": QUANTITY, "spelling": SPELLING}
    probability |= stated
    OUTPUT.write_text(
        json.dumps({"duplicated": DUPLICATED, "probability": probability}, indent=1) + "\n"
    )
    print(json.dumps(probability))


if __name__ == "__main__":
    main()
