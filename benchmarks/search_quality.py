"""Do tags help search? Words alone, words and predicted tags, words and gold tags, in one run.

    python benchmarks/search_quality.py [--sets en_fashion_styles …]

Queries are names of gold tags that do not stand in the text of some test product that has them: one
tag, or two of one product (at most 300 of each, drawn). Relevant is every test product that has all
tags of the query as gold. Everything goes a user's way: products into a store, `tagmill.train` on
the training half, a tagging run, `Search.search` with any part matching. The ceiling has the gold
tags on the products instead. Beside them a ranker of `LinearSVC` over TF-IDF of words and word
pairs, one against the rest, by the sum of its decision values for the tags of the query.

Recall@20 is over all relevant products, so that a query with 200 of them reaches 0.1 at most.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from data import Product, load_set, text_of
from results import keep

import tagmill
from tagmill.catalog import as_batches
from tagmill.discover import open_search
from tagmill.library import Library
from tagmill.pipeline import tag_workspace
from tagmill.records import parse_tag
from tagmill.store import open_store
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection

SETS = ("en_fashion_styles", "en_implicit_attributes", "en_talks")
_QUERIES = 300  # of one tag, and of two
_KEPT = 50  # tags of a product, at most

Ranker = Callable[[tuple[str, ...]], list[str]]  # tags of a query → ids, best first


def make_queries(products: Sequence[Product], library: Library) -> list[tuple[str, ...]]:
    rng = random.Random(0)
    unseen = []
    for product in products:
        text = text_of(product)
        unseen.append([t for t in product["tags"] if library.find(t) and not _stands_in(t, text)])
    singles = sorted({(tag,) for tags in unseen for tag in tags})
    pairs = sorted({tuple(sorted(rng.sample(tags, 2))) for tags in unseen if len(tags) > 1})
    return [q for part in (singles, pairs) for q in rng.sample(part, min(_QUERIES, len(part)))]


def _stands_in(tag: str, text: str) -> bool:
    name = parse_tag(tag)[1].lower()
    return re.search(rf"\b{re.escape(name)}\b", text) is not None


def by_search(
    products: Sequence[Product], library: Library | None, model: Model | None
) -> tuple[Ranker, tempfile.TemporaryDirectory[str]]:
    """Search over the products as they are given, tagged by a model if there is one."""
    folder = tempfile.TemporaryDirectory()
    store = open_store(f"sqlite:///{folder.name}/tagmill.db", create=True)
    if library is not None:
        store.library.save(list(library.tags.values()), list(library.facets.values()))
    for batch in as_batches(products):
        store.products.upsert(batch)
    if model is not None:
        tag_workspace(store, model, Selection(top_k=_KEPT))
    search = open_search(
        store, Path(folder.name) / "search", None if model is None else model.score
    )

    def rank(query: tuple[str, ...]) -> list[str]:
        text = " ".join(parse_tag(tag)[1] for tag in query)
        return [hit.id for hit in search.search(text, limit=20, match_any=True).hits]

    return rank, folder


def by_svc(train: Sequence[Product], test: Sequence[Product]) -> Ranker:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import MultiLabelBinarizer
    from sklearn.svm import LinearSVC

    labels = MultiLabelBinarizer(sparse_output=True)
    gold = labels.fit_transform([product["tags"] for product in train])
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    ranker = OneVsRestClassifier(LinearSVC()).fit(words.fit_transform(map(text_of, train)), gold)
    values = ranker.decision_function(words.transform(map(text_of, test)))
    place = {tag: number for number, tag in enumerate(labels.classes_)}
    ids = [product["id"] for product in test]

    def rank(query: tuple[str, ...]) -> list[str]:
        known = [place[tag] for tag in query if tag in place]
        best = np.argsort(-values[:, known].sum(1), kind="stable")[:20]
        return [ids[number] for number in best]

    return rank


def measure(
    rank: Ranker, queries: Sequence[tuple[str, ...]], products: Sequence[Product]
) -> tuple[float, float]:
    """Mean recall@20 and nDCG@10."""
    gold = [(product["id"], set(product["tags"])) for product in products]
    recalls, gains = [], []
    discounts = 1 / np.log2(np.arange(10) + 2)
    for query in queries:
        relevant = {product_id for product_id, tags in gold if tags.issuperset(query)}
        found = [product_id in relevant for product_id in rank(query)[:20]]
        found += [False] * (20 - len(found))
        recalls.append(sum(found) / len(relevant))
        ideal = discounts[: len(relevant)].sum()
        gains.append(float((discounts * found[:10]).sum() / ideal))
    return float(np.mean(recalls)), float(np.mean(gains))


def compare(name: str) -> dict[str, float]:
    data = load_set(name)
    model = tagmill.train(data.train, merge_variants=True)
    library = model.library
    bare = [{k: v for k, v in product.items() if k != "tags"} for product in data.test]
    queries = make_queries(data.test, library)
    rankers: dict[str, Ranker] = {"svc": by_svc(data.train, data.test)}
    folders = []
    for key, products, known, tagger in (
        ("words", bare, None, None),
        ("predicted", bare, library, model),
        ("gold", data.test, library, None),
    ):
        rankers[key], folder = by_search(products, known, tagger)
        folders.append(folder)
    entry: dict[str, float] = {"queries": len(queries), "products": len(bare)}
    scores = {key: measure(rank, queries, data.test) for key, rank in rankers.items()}
    for number, metric in enumerate(("recall_at_20", "ndcg_at_10")):
        low, high = scores["words"][number], scores["gold"][number]
        for key in ("words", "svc", "predicted", "gold"):
            entry[f"{metric}_{key}"] = round(scores[key][number], 4)
        for key in ("svc", "predicted"):
            share = (scores[key][number] - low) / (high - low)
            entry[f"{metric}_recovered_{key}"] = round(share, 3)
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS)
    for name in parser.parse_args().sets:
        entry = compare(name)
        print(name, entry, flush=True)
        keep("search_quality", name, entry, is_quick=False)


if __name__ == "__main__":
    main()
