"""The span extractor beside its peer: `python benchmarks/spans.py [SET …] [--seeds 3]`.

Micro-F1 of whole sets of `facet:name`, exactly as written, on the sets whose values stand in the
titles, and the recall of values that no training product has. The peer is CRFsuite (python-crfsuite
0.9, L-BFGS) with the usual features of such a model, on the same labels found by distant
supervision; the threshold of the lexicon is none, of the others what maximises micro-F1 on a tenth
of train, of tagmill its own.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from data import Product, dev_split, load_set, tag_names

import tagmill
from tagmill.catalog import as_batches
from tagmill.learning.dataset import load_dataset
from tagmill.learning.span_fit import cross_fit_spans
from tagmill.learning.training import train
from tagmill.records import parse_tag, tag_text
from tagmill.tagging.extraction import read_values, texts_of_values
from tagmill.tagging.model import Model
from tagmill.tagging.options import TrainingOptions
from tagmill.tagging.proposer import SpanProposer
from tagmill.tagging.spellings import Spellings

SETS = ("en_ae110k", "en_oamine")
ROUNDS = 3  # of timing
_TOKEN = re.compile(r"(?:[^\W_]|(?<=\d)[.,](?=\d))+|[^\w\s]|_")
Scores = dict[tuple[int, str], float]  # (product, tag as written) → score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    for name in options.sets:
        products = load_set(name)
        for seed in range(options.seeds):
            compare(name, products.train, products.test, seed)


def compare(name: str, train_rows: list[Product], test: list[Product], seed: int) -> None:
    """Print the table of one set."""
    seen = {written(tag) for tag in tag_names(train_rows)}
    gold = {(row, written(tag)) for row, product in enumerate(test) for tag in product["tags"]}
    unseen = {pair for pair in gold if pair[1] not in seen}
    print(f"\n{name}, seed {seed}: {len(gold):,} gold tags, {len(unseen):,} unseen in training")
    print(f"{'':<28}{'P':>7}{'R':>7}{'F1':>8}{'unseen R':>10}{'products/s':>12}{'train s':>9}")

    def line(label: str, found: set[tuple[int, str]], rate: float, seconds: float) -> float:
        right = len(found & gold)
        score = 2 * right / (len(found) + len(gold))
        print(
            f"{label:<28}{right / max(len(found), 1):>7.3f}{right / len(gold):>7.3f}{score:>8.4f}"
            f"{len(found & unseen) / len(unseen):>10.3f}{rate:>12,.0f}{seconds:>9.1f}",
            flush=True,
        )
        return score

    peer, peer_rate, peer_seconds = ask(Peer(), train_rows, test)
    peer_score = line("CRFsuite", peer, peer_rate, peer_seconds)
    tagmill.train(train_rows[:200])  # compiles the kernels
    start = time.perf_counter()
    model = train(as_batches(train_rows), seed=seed)
    seconds = time.perf_counter() - start
    (batch,) = as_batches(test)
    hits = model.lexicon.find(batch)
    named = pairs_of(model, hits.rows, hits.tags)
    line("tagmill: lexicon", named, rate_of(lambda: model.lexicon.find(batch), len(test)), 0)
    start = time.perf_counter()
    without = train(as_batches(train_rows), seed=seed, options=TrainingOptions(spans=False))
    engine_seconds = time.perf_counter() - start
    line("tagmill: engine alone", published(without, test), scoring(without, test), engine_seconds)
    extractor, rate, extractor_seconds = ask(Extractor(seed), train_rows, test)
    score = line("tagmill: extractor alone", extractor, rate, extractor_seconds)
    line("tagmill: fusion, closed", published(model, test), scoring(model, test), seconds)
    proposer = SpanProposer(model)
    new = {(one.row, tag_text(one.facet, one.name)) for one in proposer.propose(batch)}
    both = published(model, test) | new
    line("tagmill: fusion, --open", both, rate_of(lambda: proposer.propose(batch), len(test)), 0)
    print(
        f"extractor beside CRFsuite: F1 × {score / peer_score:.3f}, products/s × "
        f"{rate / peer_rate:.2f}; a source of the fusion: {model.extraction.fused}"
    )


def written(tag: str) -> str:
    """A tag as tagmill writes it."""
    return tag_text(*parse_tag(tag))


def pairs_of(model: Model, rows: Any, tags: Any) -> set[tuple[int, str]]:  # noqa: ANN401
    """(product, tag as written) of pairs."""
    texts = [model.library.tags[tag_id].text for tag_id in model.tag_ids]
    return {(row, texts[tag]) for row, tag in zip(rows.tolist(), tags.tolist(), strict=True)}


def published(model: Model, products: Sequence[Product]) -> set[tuple[int, str]]:
    """What the model shows of known tags."""
    (batch,) = as_batches(products)
    scored = model.score_pairs(batch, model.lexicon.find(batch), 0)
    shown = scored.probability >= model.review_start
    return pairs_of(model, scored.rows[shown], scored.tags[shown])


def scoring(model: Model, products: Sequence[Product]) -> float:
    """Products scored a second, on one core."""
    (batch,) = as_batches(products)
    return rate_of(lambda: model.score_pairs(batch, model.lexicon.find(batch), 0), batch.num_rows)


def rate_of(work: Callable[[], object], products: int) -> float:
    work()
    start = time.perf_counter()
    for _ in range(ROUNDS):
        work()
    return ROUNDS * products / (time.perf_counter() - start)


class Extractor:
    """tagmill's extractor by itself: its likeliest span of each value."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, products: Sequence[Product]) -> None:
        data = load_dataset(as_batches(products))
        no_folds = np.full(len(data), -1, np.int8)
        spans = cross_fit_spans(data, no_folds, self._seed)
        assert spans is not None
        self._crf, self._facets = spans.of_all, spans.facets
        self._tags = [data.library.tags[tag_id].text for tag_id in data.tag_ids]
        self._spellings = Spellings(data.library, data.tag_ids, spans.facets)

    def scores(self, products: Sequence[Product]) -> Scores:
        (batch,) = as_batches(products)
        values = read_values(self._crf, self._spellings, batch)
        texts = texts_of_values(values, batch)
        found: Scores = {}
        for i, row in enumerate(values.rows.tolist()):
            tag, facet = values.tags[i], str(self._facets[values.facets[i]])
            key = (row, self._tags[tag] if tag >= 0 else tag_text(facet, texts[i]))
            found[key] = max(found.get(key, 0.0), float(values.posterior[i]))
        return found

    def rate(self, products: Sequence[Product]) -> float:
        (batch,) = as_batches(products)
        return rate_of(lambda: read_values(self._crf, self._spellings, batch), len(products))


class Peer:
    """CRFsuite over words, affixes, shapes, neighbours and the category."""

    def fit(self, products: Sequence[Product]) -> None:
        import pycrfsuite

        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params({"c1": 0.1, "c2": 0.01, "max_iterations": 60})
        for product in products:
            spans = tokens_of(product["title"])
            if spans:
                trainer.append(features_of(product, spans), labels_of(product, spans))
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/peer.crfsuite"
            trainer.train(path)
            model = Path(path).read_bytes()
        self._tagger = pycrfsuite.Tagger()
        self._tagger.open_inmemory(model)

    def scores(self, products: Sequence[Product]) -> Scores:
        return {
            (row, tag): 1.0 for row, product in enumerate(products) for tag in self._tags(product)
        }

    def _tags(self, product: Product) -> list[str]:
        spans = tokens_of(product["title"])
        labels = self._tagger.tag(features_of(product, spans)) if spans else []
        found, first = [], 0
        for place, label in enumerate([*labels, "O"]):
            if place and not label.startswith("I-") and labels[place - 1] != "O":
                text = product["title"][spans[first][0] : spans[place - 1][1]]
                found.append(tag_text(labels[first][2:], text))
            if not label.startswith("I-"):
                first = place
        return found

    def rate(self, products: Sequence[Product]) -> float:
        return rate_of(lambda: self.scores(products), len(products))


def ask(
    method: Peer | Extractor, products: list[Product], test: list[Product]
) -> tuple[set[tuple[int, str]], float, float]:
    """What a method says of test with the best threshold of a tenth of train, products a second on
    one core, and seconds of its training on all of train."""
    rest, dev = dev_split(len(products))
    method.fit([products[row] for row in rest])
    held_out = [products[row] for row in dev]
    gold = {(row, written(tag)) for row, p in enumerate(held_out) for tag in p["tags"]}
    ranked = sorted(method.scores(held_out).items(), key=lambda item: -item[1])
    right = np.cumsum([pair in gold for pair, _ in ranked])
    best = int(np.argmax(2 * right / (np.arange(1, len(ranked) + 1) + len(gold))))
    threshold = ranked[best][1]
    start = time.perf_counter()
    method.fit(products)
    seconds = time.perf_counter() - start
    found = {pair for pair, score in method.scores(test).items() if score >= threshold}
    return found, method.rate(test), seconds


def tokens_of(title: str) -> list[tuple[int, int]]:
    return [match.span() for match in _TOKEN.finditer(title)]


def labels_of(product: Product, spans: list[tuple[int, int]]) -> list[str]:
    """BIO labels: the product's own tags where they stand in the title, longer ones first."""
    begins = {start: place for place, (start, _) in enumerate(spans)}
    ends = {end: place + 1 for place, (_, end) in enumerate(spans)}
    labels = ["O"] * len(spans)
    for tag in sorted(product["tags"], key=lambda tag: -len(parse_tag(tag)[1])):
        facet, name = parse_tag(tag)
        for match in re.finditer(re.escape(name), product["title"]):
            first, last = begins.get(match.start()), ends.get(match.end())
            if first is not None and last is not None and set(labels[first:last]) == {"O"}:
                labels[first:last] = [f"B-{facet}"] + [f"I-{facet}"] * (last - first - 1)
    return labels


def features_of(product: Product, spans: list[tuple[int, int]]) -> list[list[str]]:
    words = [product["title"][start:end] for start, end in spans]
    lower = ["", "", *(word.lower() for word in words), "", ""]
    shapes = ["", *(shape_of(word) for word in words), ""]
    category = product.get("category") or ""
    return [
        [
            "bias", f"w={lower[i + 2]}", f"w-1={lower[i + 1]}", f"w+1={lower[i + 3]}",
            f"w-2={lower[i]}", f"w+2={lower[i + 4]}", f"w-1,w={lower[i + 1]} {lower[i + 2]}",
            f"w,w+1={lower[i + 2]} {lower[i + 3]}", f"p3={lower[i + 2][:3]}",
            f"s3={lower[i + 2][-3:]}", f"p2={lower[i + 2][:2]}", f"s2={lower[i + 2][-2:]}",
            f"shape={shapes[i + 1]}", f"shape-1={shapes[i]}", f"shape+1={shapes[i + 2]}",
            f"place={min(i, 5)}", f"left={min(len(words) - i, 5)}", f"c={category}",
            f"c,w={category} {lower[i + 2]}", f"c,shape={category} {shapes[i + 1]}",
        ]
        for i in range(len(words))
    ]  # fmt: skip


def shape_of(word: str) -> str:
    marks = (
        "9" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else c for c in word
    )
    return re.sub(r"(.)\1+", r"\1", "".join(marks))


if __name__ == "__main__":
    main()
