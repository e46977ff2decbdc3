"""Finding tags that mean the same, on the values of the Shopify product taxonomy.

    python benchmarks/duplicates.py [--seed 0]

Every value of an attribute is a tag of that facet. Positives are the same value written another
way by stated rules (case, plural, spacing, hyphen, word order, width, Traditional characters), and
a value's zh-CN and zh-TW names where OpenCC makes them equal; each stands in the library as a tag
of its own. Negatives are all other pairs of a facet, but for values that share a name letter by
letter. Translations and mistyped names are reported apart. Half of the attributes are for
development, half for the report. Baselines run on the same tags: the normal form
alone, and cosines of character n-grams.

`--encoder` asks for translations apart, in a library that also has the development half's values,
each a tag with its names in all languages, as a library has that somebody has kept for a while.
The encoder is a small one of our own, fitted on the names of that half: cross-language latent
semantic indexing (Dumais et al. 1997) of character n-grams.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from data import bench_data
from opencc import OpenCC
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from tagmill.errors import TagConflict
from tagmill.library import Library
from tagmill.library.duplicates import find_duplicates
from tagmill.library.matching import REASONS
from tagmill.library.meaning import Embed
from tagmill.records import Tag
from tagmill.text import normal_form

_LINE = re.compile(r"gid://shopify/TaxonomyValue/(\d+)\s*: (.+) \[(.+)\]")
_THRESHOLD = 0.5


@dataclass(frozen=True)
class Value:
    number: str
    names: dict[str, str]  # en, zh-CN, zh-TW
    attribute: str


def values() -> list[Value]:
    names: dict[str, dict[str, str]] = {}
    attributes: dict[str, str] = {}
    for language in ("en", "zh-CN", "zh-TW"):
        path = bench_data() / "shopify_taxonomy" / f"attribute_values.{language}.txt"
        for line in path.read_text(encoding="utf-8").splitlines():
            match = _LINE.fullmatch(line)
            if match:
                names.setdefault(match[1], {})[language] = match[2]
                if language == "en":
                    attributes[match[1]] = match[3]
    return [Value(n, by_language, attributes[n]) for n, by_language in names.items()]


def plural(name: str) -> str:
    last = name.split(" ")[-1]
    fits = last.isascii() and last.isalpha() and len(last) > 2 and not last.endswith(("s", "y"))
    return name + ("es" if last.endswith(("ch", "sh", "x")) else "s") if fits else name


def turned(name: str) -> str:
    words = name.split(" ")
    fits = 1 < len(words) < 4 and all(word.isalpha() for word in words)
    return " ".join([*words[1:], words[0]]) if fits else name


def mistyped(name: str) -> str:
    """The two letters in the middle of the longest word the other way round."""
    longest = max(name.split(" "), key=len)
    middle = len(longest) // 2
    a, b = longest[middle - 1 : middle], longest[middle : middle + 1]
    wrong = longest[: middle - 1] + b + a + longest[middle + 1 :]
    return name.replace(longest, wrong, 1) if longest.isalpha() and len(longest) > 6 else name


def wide(name: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)


RULES: dict[str, Callable[[str], str]] = {
    "case": str.upper,
    "plural": plural,
    "spacing": lambda name: name.replace(" ", "", 1) if " " in name else f" {name}  ",
    "hyphen": lambda name: name.replace(" ", "-"),
    "word order": turned,
    "width": wide,
    "mistyped": mistyped,
}
APART = ("translation", "mistyped")


def library_of(
    chosen: list[Value], share: float, seed: int
) -> tuple[Library, dict[str, str], dict[tuple[str, str], str]]:
    """Tags with variants for a share of them; value by tag id, and rule by pair of tag ids."""
    choose = random.Random(seed)
    convert = OpenCC("s2t").convert
    converters = [OpenCC(table).convert for table in ("t2s", "tw2s", "tw2sp")]
    tags, value_of, rule_of = [], dict[str, str](), dict[tuple[str, str], str]()

    ids: dict[tuple[str, str], str] = {}

    def add(value: Value, name: str, facet: str, suffix: str) -> str:
        """The id of the tag; where another value is called so already, that one's."""
        tag = Tag(f"{value.number}{suffix}", facet, name)
        if ids.setdefault((facet, name), tag.id) == tag.id:
            tags.append(tag)
            value_of[tag.id] = value.number
        return ids[facet, name]

    def pair_up(first: str, second: str, rule: str) -> None:
        if first != second and value_of[first] == value_of[second]:
            rule_of[first, second] = rule

    for value in chosen:
        english, chinese = value.names["en"], value.names["zh-CN"]
        first = add(value, english, f"en {value.attribute}", "")
        second = add(value, chinese, f"zh {value.attribute}", "z")
        if choose.random() < share:
            able = {rule: w for rule, f in RULES.items() if (w := f(english)) != english}
            rule = choose.choice(sorted(able))
            pair_up(first, add(value, able[rule], f"en {value.attribute}", "v"), rule)
        traditional = convert(chinese)
        if choose.random() < share and traditional != chinese:
            pair_up(second, add(value, traditional, f"zh {value.attribute}", "t"), "Traditional")
        taiwanese = value.names["zh-TW"]
        if choose.random() < share and taiwanese != chinese:
            same = any(one(taiwanese) == chinese for one in converters)
            rule = "zh-TW" if same else "translation"
            pair_up(second, add(value, taiwanese, f"zh {value.attribute}", "w"), rule)
    return Library(tags, verbatim=True), value_of, rule_of


def encoder(known: list[Value], dimensions: int = 256) -> Embed:
    """Unit vectors of names, near where the names of one value in two languages share n-grams."""
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2)
    rows = grams.fit_transform([" ".join(value.names.values()) for value in known])
    svd = TruncatedSVD(dimensions, random_state=0).fit(rows)

    def embed(texts: list[str]) -> npt.NDArray[np.float32]:
        vectors = svd.transform(grams.transform(texts)) / svd.singular_values_
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)

    return embed


def with_encoder(chosen: list[Value], known: list[Value], seed: int) -> None:
    """Translations found with an encoder and without, their precision beside."""
    library, value_of, rule_of = library_of(chosen, 1.0, seed)
    whole = Library(library.tags.values(), verbatim=True)
    kept = 0
    for value in known:
        names = {"en": value.names["en"], "zh": value.names["zh-CN"]}
        aliases = (value.names["zh-TW"],)
        tag = Tag(f"{value.number}k", f"zh {value.attribute}", names["zh"], names, aliases)
        with suppress(TagConflict):  # two values of an attribute that share a name
            whole.put(tag)
            kept += 1
    shared = sharing_names(chosen)
    print(f"\n{len(whole.tags):,} tags, {kept:,} of them with names in three languages")
    for label, embed in (("names alone", None), ("with an encoder", encoder(known))):
        start = time.perf_counter()
        found = find_duplicates(whole, embed=embed)
        seconds = time.perf_counter() - start
        for least in (0.5, 0.2):
            pairs = [
                (p.a.id, p.b.id)
                for p in found
                if p.probability >= least and p.a.id in value_of and p.b.id in value_of
            ]
            precision, recall, by_rule = report(pairs, value_of, rule_of, shared)
            print(
                f"{label}, from {least}: translations {by_rule['translation']:.3f}, "
                f"all others {recall:.3f}, precision {precision:.3f} ({seconds:.1f} s)"
            )


def report(
    found: Iterable[tuple[str, str]],
    value_of: dict[str, str],
    rule_of: dict[tuple[str, str], str],
    shared: set[frozenset[str]],
) -> tuple[float, float, dict[str, float]]:
    """Precision, recall, and recall by rule; rules that are reported apart count in neither."""
    pairs = {tuple(sorted(pair)) for pair in found}
    right = {pair for pair in pairs if value_of[pair[0]] == value_of[pair[1]]}
    wrong = [
        pair for pair in pairs - right
        if frozenset((value_of[pair[0]], value_of[pair[1]])) not in shared
    ]  # fmt: skip
    by_rule: dict[str, list[bool]] = {}
    for pair, rule in rule_of.items():
        by_rule.setdefault(rule, []).append(tuple(sorted(pair)) in pairs)
    counted = [hit for rule, hits in by_rule.items() if rule not in APART for hit in hits]
    precision = len(right) / max(len(right) + len(wrong), 1)
    return precision, float(np.mean(counted)), {r: float(np.mean(h)) for r, h in by_rule.items()}


def by_normal_form(library: Library) -> list[tuple[str, str]]:
    owners: dict[tuple[str, str], list[str]] = {}
    for tag in library.active():
        owners.setdefault((tag.facet, normal_form(tag.name)), []).append(tag.id)
    return [(a, b) for ids in owners.values() for i, a in enumerate(ids) for b in ids[i + 1 :]]


def by_n_grams(library: Library, least: float) -> list[tuple[str, str]]:
    facets: dict[str, list[Tag]] = {}
    for tag in library.active():
        facets.setdefault(tag.facet, []).append(tag)
    pairs = []
    for tags in facets.values():
        if len(tags) > 1:
            grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))
            rows = grams.fit_transform([tag.name for tag in tags])
            near = (rows @ rows.T).tocoo()
            kept = (near.data >= least) & (near.row < near.col)
            for i, j in zip(near.row[kept], near.col[kept], strict=True):
                pairs.append((tags[i].id, tags[j].id))
    return pairs


def sharing_names(chosen: list[Value]) -> set[frozenset[str]]:
    """Pairs of values that are called the same in some language within an attribute."""
    owners: dict[tuple[str, str, str], list[str]] = {}
    for value in chosen:
        for language, name in value.names.items():
            key = (value.attribute, language[:2], name)
            owners.setdefault(key, []).append(value.number)
    return {
        frozenset((a, b))
        for ids in owners.values()
        for i, a in enumerate(ids)
        for b in ids[i + 1 :]
        if a != b
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dev", action="store_true", help="The development half.")
    parser.add_argument("--encoder", action="store_true", help="Translations with an encoder.")
    parser.add_argument("--wrong", action="store_true", help="Print wrong pairs (dev).")
    options = parser.parse_args()
    everything = values()
    attributes = sorted({value.attribute for value in everything})
    random.Random(0).shuffle(attributes)
    half = set(attributes[: len(attributes) // 2])
    chosen = [v for v in everything if (v.attribute in half) == options.dev]
    shared = sharing_names(chosen)
    if options.encoder:
        known = [v for v in everything if (v.attribute in half) != options.dev]
        with_encoder(chosen, known, options.seed)
        return
    print(f"{len(chosen):,} values of {len(half):,} attributes, {len(shared)} pairs share a name")
    for share in (1.0, 0.1):
        library, value_of, rule_of = library_of(chosen, share, options.seed)
        print(f"\n{len(library.tags):,} tags, {share:.0%} of them with variants")
        start = time.perf_counter()
        found = find_duplicates(library)
        seconds = time.perf_counter() - start
        ours = [(p.a.id, p.b.id) for p in found if p.probability >= _THRESHOLD]
        rows = {"tagmill": ours, "normal form": by_normal_form(library)}
        rows |= {f"n-grams {least}": by_n_grams(library, least) for least in (0.7, 0.9)}
        for name, pairs in rows.items():
            precision, recall, by_rule = report(pairs, value_of, rule_of, shared)
            parts = ", ".join(f"{rule} {value:.3f}" for rule, value in sorted(by_rule.items()))
            print(f"{name:<12} precision {precision:.3f}  recall {recall:.3f}  ({parts})")
        print(f"{seconds:.1f} s")
        reasons: dict[str, list[bool]] = {}
        for pair in found:
            same = value_of[pair.a.id] == value_of[pair.b.id]
            if same or frozenset((value_of[pair.a.id], value_of[pair.b.id])) not in shared:
                best = next(r for r in REASONS if r in pair.reasons)
                reasons.setdefault(best, []).append(same)
        shown = ", ".join(f"{r} {np.mean(v):.3f} of {len(v)}" for r, v in reasons.items())
        print(f"precision by the surest reason: {shown}")
        if options.wrong and options.dev:
            for pair in found:
                if value_of[pair.a.id] != value_of[pair.b.id]:
                    print(f"  {pair.probability:.2f} {pair.a.text} | {pair.b.text}", pair.reasons)
    again = [Value(f"{v.number}b", v.names, f"{v.attribute} 2") for v in everything[:8000]]
    library, _, _ = library_of([*everything, *again], 1.0, 1)
    size = len(library.tags)
    start = time.perf_counter()
    find_duplicates(library)
    print(f"\n{size:,} tags in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
