"""How often names that share a key mean the same: makes `src/tagmill/data/same_names.json`.

    python benchmarks/same_names.py

On the starter library: each name is written another way by a rule for each key, and it is counted
which tags match by what. A share of the tags of a library is taken to have a duplicate
(`DUPLICATED`), each kind as often, which turns counts into a prior probability.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tagmill.library import starter_library
from tagmill.library.duplicates import find_duplicates
from tagmill.library.matching import REASONS, Matcher

DUPLICATED = 0.1  # of a library's tags: a hand-made one had 836 tags for 592 things
# Stated, as the starter library cannot tell: in a library of somebody else two names of one of
# our tags are often told apart (保湿, 补水), and what looks mistyped may be a word of its own.
DICTIONARY, SPELLING = 0.6, 0.6
WORDING = 0.99  # stated: names in the wording of Taiwan were not written
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
    "filler": lambda name, choose: name.removesuffix("色").removesuffix("风"),
    "order": reordered,
    "spelling": mistyped,
}


def main() -> None:
    choose = random.Random(0)
    library = starter_library()
    matcher = Matcher(library)
    alike = Counter(pair.reasons[0] for pair in find_duplicates(library))  # are told apart by us
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for tag in library.active():
        for name in (tag.name, tag.names.get("en", "")):
            for reason, write in RULES.items():
                if len(name) < (6 if reason == "spelling" else 3):
                    continue
                other = write(name, choose)
                for match in matcher.nearest(other, tag.facet, 50) if other != name else ():
                    (right if match.tag.id == tag.id else wrong)[match.reasons[0]] += 1
    probability = {}
    share = DUPLICATED / len(RULES)  # of a library's tags have a duplicate of this kind
    for reason in REASONS:
        duplicates = right[reason] * share
        others = wrong[reason] * share + alike[reason]
        probability[reason] = round(duplicates / (duplicates + others + 0.5), 3)
        print(
            f"{reason:<12} {right[reason]:>6} written so {wrong[reason]:>5} meet another tag, "
            f"{alike[reason]:>5} pairs of the library"
        )
    stated = {
        "dictionary": DICTIONARY,
        "wording": WORDING,
        "quantity": QUANTITY,
        "spelling": SPELLING,
    }
    probability |= stated
    OUTPUT.write_text(
        json.dumps({"duplicated": DUPLICATED, "probability": probability}, indent=1) + "\n"
    )
    print(json.dumps(probability))


if __name__ == "__main__":
    main()
