"""Hidden tags come back as proposals: `python benchmarks/proposals.py [SET …] [--seed 0]`.

A tenth of the tags of a set are taken out of its library. Names of them, and of the tags that stay,
then come in from the products: as the lexicon finds them in the texts, written as they stand there;
and from a simulated proposer, which gives every product the names of its own tags, three in ten of
them with other case, plural, hyphens or spacing. Counted are hidden tags that come back as one
proposal, as several, or not at all; names of hidden tags that were silently taken for another tag
(none, but for the same quantity in another unit); and tags of the library that are proposed again.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from data import Product, load_set

from tagmill.catalog import as_batches
from tagmill.library import Library
from tagmill.library.matching import Matcher
from tagmill.library.stored import load_library
from tagmill.naming import NameKeeper
from tagmill.records import Tag, parse_tag, tag_text
from tagmill.store import NewName, Proposal, open_store
from tagmill.tagging.lexicon import LexiconTagger

SETS = ("en_ae110k", "en_oamine", "zh_shopping_queries")
HIDDEN = 0.1
REWRITTEN = 0.3
_WAYS = (
    str.upper,
    str.lower,
    lambda name: name.replace(" ", "-"),
    lambda name: name.replace(" ", ""),
    lambda name: f"{name}s" if name[-1:].isascii() and name[-1:].isalpha() else name,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.sets:
        measure(name, load_set(name).train, options.seed)


def measure(name: str, products: list[Product], seed: int) -> None:
    """Print what came of the hidden tags of one set."""
    choose = random.Random(seed)
    whole = Library.from_written((t for p in products for t in p["tags"]), merge_variants=True)
    tags = whole.active()
    hidden = {tag.id for tag in choose.sample(tags, max(len(tags) // 10, 1))}
    kept = [tag for tag in tags if tag.id not in hidden]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'tagmill.db'}"
        with open_store(url, create=True) as store:
            store.library.save(kept, list(whole.facets.values()))
            library = load_library(store)
            given = [*from_lexicon(whole, products), *simulated(whole, products, choose)]
            start = time.perf_counter()
            NameKeeper(store, library).keep(one for one, _ in given)
            seconds = time.perf_counter() - start
            open_proposals = store.proposals.list(least=1)
    report(name, whole, library, hidden, given, open_proposals, seconds)


def from_lexicon(whole: Library, products: list[Product]) -> Iterator[tuple[NewName, Tag]]:
    """Names of tags where they stand in the texts of products that have them, as written there."""
    lexicon = LexiconTagger(whole)
    for batch in as_batches(products):
        hits = lexicon.find(batch)
        ids = batch["id"].to_pylist()
        own = [{whole.resolve(text).id for text in tags} for tags in batch["tags"].to_pylist()]
        spans = hits.evidence(batch, np.arange(len(hits.rows))).to_pylist()
        for row, place, span in zip(hits.rows.tolist(), hits.tags.tolist(), spans, strict=True):
            tag = whole.tags[str(hits.tag_ids[place])]
            if tag.id in own[row]:
                yield NewName(ids[row], tag.facet, span["text"], "lexicon", span), tag


def simulated(
    whole: Library, products: list[Product], choose: random.Random
) -> Iterator[tuple[NewName, Tag]]:
    """The names of each product's own tags, some written otherwise."""
    for product in products:
        for text in product["tags"]:
            facet, name = parse_tag(text)
            tag = whole.resolve(text)
            if choose.random() < REWRITTEN:
                name = choose.choice(_WAYS)(name)
            yield NewName(str(product["id"]), facet, name, "simulated"), tag


def report(
    name: str,
    whole: Library,
    library: Library,
    hidden: set[str],
    given: list[tuple[NewName, Tag]],
    open_proposals: Sequence[Proposal],
    seconds: float,
) -> None:
    proposed = {(one.facet, whole.form(one.name)): one for one in open_proposals}
    of_tag: dict[str, set[tuple[str, str]]] = {}
    silent: set[tuple[str, str, str]] = set()
    quantities: set[str] = set()
    matcher = Matcher(library)
    for new, tag in given:
        key = (tag.facet, whole.form(new.name))
        if key in proposed:
            of_tag.setdefault(tag.id, set()).add(key)
        elif tag.id in hidden:
            known = library.find(tag_text(new.facet, new.name))
            match = matcher.match(new.name, new.facet)
            if known is None and match is not None and "quantity" in match.reasons:
                quantities.add(tag.id)  # 3 oz for 3 ounces, which the set has as two tags
            else:
                silent.add((tag.text, new.name, str(known or match)))
    named = {tag.id for _, tag in given}
    counts = [len(of_tag.get(tag_id, ())) for tag_id in hidden & named]
    again = {tag_id for tag_id in of_tag if tag_id not in hidden}
    back = [whole.tags[tag_id] for tag_id in hidden & set(of_tag)]
    doubted = sum(matcher.match(tag.name, tag.facet) is not None for tag in back)
    print(
        f"{name}: {len(library.tags):,} tags, {len(hidden):,} hidden, {len(given):,} names given "
        f"in {seconds:.1f} s\n"
        f"  back as one proposal {counts.count(1):,}, as several "
        f"{sum(count > 1 for count in counts):,}, not at all {counts.count(0):,}\n"
        f"  names silently taken for another tag {len(silent):,}, and {len(quantities):,} tags for "
        f"one of the same quantity; shown beside a tag that they may "
        f"be another name of {doubted:,}\n"
        f"  tags of the library proposed again {len(again):,} of {len(library.tags):,}",
        flush=True,
    )
    for text, written, other in sorted(silent)[:10]:
        print(f"    {text} written {written!r} → {other}")


if __name__ == "__main__":
    main()
