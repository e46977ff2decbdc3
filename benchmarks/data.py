"""The benchmark data: where it lies, its products and labels, and catalogues made out of it.

It lies in `TAGMILL_BENCH_DATA`, default `../shared/data`.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

TEXT_SETS = (
    "zh_shopping_queries", "zh_news", "en_implicit_attributes", "en_ae110k", "en_oamine",
    "en_fashion_styles", "en_talks", "en_voice",
)  # fmt: skip
SMALL_SETS = ("en_ae110k", "en_oamine", "en_fashion_styles", "en_talks")
ROUTED_SETS = ("en_implicit_attributes", "en_ae110k", "en_talks")

Product = dict[str, Any]


@dataclass(frozen=True)
class TextSet:
    """Tagged products of one set in its fixed split."""

    name: str
    train: list[Product]
    test: list[Product]


def bench_data() -> Path:
    """The folder with the benchmark sets; ends the program with a clear message if it is absent."""
    default = Path(__file__).parent.parent / ".." / "shared" / "data"
    folder = Path(os.environ.get("TAGMILL_BENCH_DATA", default))
    if not folder.is_dir():
        print(
            f"No benchmark data at {folder}. Set TAGMILL_BENCH_DATA to its folder", file=sys.stderr
        )
        sys.exit(0)
    return folder


def load_set(name: str) -> TextSet:
    """The train and test products of a set."""
    folder = bench_data() / name
    return TextSet(name, *(read_products(folder / f"{part}.jsonl") for part in ("train", "test")))


def read_products(path: Path) -> list[Product]:
    """The products of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write_products(path: Path, products: Iterable[Product]) -> None:
    """The products as a JSON Lines file."""
    lines = (json.dumps(product, ensure_ascii=False) + "\n" for product in products)
    path.write_text("".join(lines), "utf-8")


def text_of(product: Product) -> str:
    """What peers read of a product: title, description and category, lower-cased."""
    fields = (product.get(name) for name in ("title", "description", "category"))
    return " ".join(field for field in fields if field).lower()


def tag_names(products: Iterable[Product]) -> list[str]:
    """All written tags, once each, in order of appearance."""
    return list(dict.fromkeys(tag for product in products for tag in product["tags"]))


def label_matrix(products: Sequence[Product], names: Sequence[str]) -> sparse.csr_array:
    """The gold tags as csr (n, m) float32 of ones; tags outside `names` are left out."""
    place = {name: column for column, name in enumerate(names)}
    pairs = {
        (row, place[tag])
        for row, product in enumerate(products)
        for tag in product["tags"]
        if tag in place
    }
    rows, columns = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_array((ones, (rows, columns)), shape=(len(products), len(names)))


def random_rows(products: Sequence[Product], count: int) -> list[Product]:
    """So many of the products, at random; all where there are no more."""
    return random.Random(0).sample(products, min(count, len(products)))


def dev_split(size: int, seed: int = 0) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(90%, 10%) of the row numbers: peers choose their thresholds on the tenth."""
    order = np.random.default_rng(seed).permutation(size)
    return np.sort(order[size // 10 :]), np.sort(order[: size // 10])


def perturbed(titles: Sequence[str], rows: int) -> list[str]:
    """The titles over and over, two words of each swapped, so that no two rows cost the same."""
    rng = random.Random(0)
    out = []
    for number in range(rows):
        words = titles[number % len(titles)].split()
        if len(words) > 1:
            i, j = rng.randrange(len(words)), rng.randrange(len(words))
            words[i], words[j] = words[j], words[i]
        out.append(" ".join(words))
    return out


def english_titles() -> list[str]:
    """The training titles of the English sets, once each, mixed."""
    sets = [name for name in TEXT_SETS if name.startswith("en_")]
    products = (p for name in sets for p in read_products(bench_data() / name / "train.jsonl"))
    titles = list(dict.fromkeys(p["title"] for p in products))
    random.Random(0).shuffle(titles)
    return titles


def synthetic_products(rows: int, tags: int, per_row: int = 5) -> list[Product]:
    """Perturbed English titles whose tags are their own frequent words and word pairs.

    The `tags` most frequent words, pairs and triples of neighbouring words are the tags, ten
    facets; a title has up to `per_row` of those it holds, rare ones first. Of these a tenth is
    dropped and a twentieth replaced by any tag, so that they cannot be learned by heart.
    """
    titles = english_titles()
    phrases = Counter(phrase for title in titles for phrase in set(_phrases(title)))
    chosen = {phrase: number for number, (phrase, _) in enumerate(phrases.most_common(tags))}
    written = [f"facet{number % 10}:{phrase}" for phrase, number in chosen.items()]
    rng = random.Random(1)
    products = []
    for number, title in enumerate(perturbed(titles, rows)):
        standing = {chosen[phrase] for phrase in _phrases(title) if phrase in chosen}
        kept = [tag for tag in sorted(standing, reverse=True)[:per_row] if rng.random() > 0.1]
        noisy = {rng.randrange(len(written)) if rng.random() < 0.05 else tag for tag in kept}
        tags_of_row = [written[tag] for tag in sorted(noisy)]
        products.append({"id": str(number), "title": title, "tags": tags_of_row})
    return products


def _phrases(title: str) -> list[str]:
    """Words of three letters and more, and the pairs and triples of neighbours among them."""
    words = ["".join(c for c in word if c.isalnum()) for word in title.lower().split()]
    words = [word for word in words if len(word) > 2]
    return [
        " ".join(words[start : start + length])
        for length in (1, 2, 3)
        for start in range(len(words) - length + 1)
    ]
