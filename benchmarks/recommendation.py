"""Recommendation by events and tags: `python benchmarks/recommendation.py [--seeds 3] [--tune]`.

MovieLens (small): ratings of 4 and more are events, genres and free tags are tags. Known items: of
each user 20% of the events are held out; ranked are all items the user has no training event with;
Recall@20 (of min(20, held out)) and nDCG@10, mean over users. Cold items: 10% of the items lose all
events; candidates are those alone. λ and the weight of tags are tuned on 10% of the training events
(`--tune`), with seed 100. Peers in the same run: popularity, item k-NN (cosine, 200 neighbours),
ALS (implicit, 64 factors), plain EASE; for cold items random, tag popularity and content k-NN.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from data import bench_data
from results import keep
from scipy import sparse
from threadpoolctl import threadpool_limits

from tagmill.discover.item_model import DENSE, LAMBDA, TAG_WEIGHT, fit_items, rarity_of, unit_rows

Array = npt.NDArray[np.float32]
Matrix = sparse.csr_array
COLD = 0.1


def load() -> tuple[Matrix, Matrix]:
    """Events (users, items) and tags (items, tags)."""
    folder = bench_data() / "movielens_small"
    with (folder / "ratings.csv").open(encoding="utf-8") as file:
        rated = [
            (row["userId"], row["movieId"])
            for row in csv.DictReader(file)
            if float(row["rating"]) >= 4
        ]
    items = {movie: i for i, movie in enumerate(sorted({movie for _, movie in rated}))}
    users = {user: i for i, user in enumerate(sorted({user for user, _ in rated}))}
    shape = (len(users), len(items))
    where = [users[u] for u, _ in rated], [items[m] for _, m in rated]
    events = Matrix((np.ones(len(rated), np.float32), where), shape=shape)
    names: dict[str, int] = {}
    pairs: set[tuple[int, int]] = set()
    with (folder / "movies.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["movieId"] in items:
                for genre in row["genres"].split("|"):
                    pairs.add(
                        (items[row["movieId"]], names.setdefault(f"genre {genre}", len(names)))
                    )
                year = re.search(r"\((\d{3})\d\)", row["title"])
                if year:
                    name = f"decade {year[1]}0"
                    pairs.add((items[row["movieId"]], names.setdefault(name, len(names))))
    with (folder / "tags.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["movieId"] in items:
                name = " ".join(row["tag"].lower().split())
                pairs.add((items[row["movieId"]], names.setdefault(name, len(names))))
    i, t = np.array(sorted(pairs)).T
    return events, Matrix((np.ones(len(i), np.float32), (i, t)), shape=(len(items), len(names)))


def split(events: Matrix, share: float, seed: int) -> tuple[Matrix, Matrix]:
    """Training events and held out ones: a share of each user's."""
    choose = np.random.default_rng(seed)
    coo = events.tocoo()
    held = np.zeros(len(coo.row), np.bool_)
    for user in range(events.shape[0]):
        own = np.flatnonzero(coo.row == user)
        held[choose.permutation(own)[: int(len(own) * share)]] = True
    parts = [
        Matrix((coo.data[m], (coo.row[m], coo.col[m])), shape=events.shape) for m in (~held, held)
    ]
    return parts[0], parts[1]


def measure(
    scores: Array, train: Matrix, test: Matrix, candidates: npt.NDArray[np.bool_] | None
) -> tuple[float, float]:
    """Mean Recall@20 and nDCG@10 of users with held out events."""
    ranked = scores.astype(np.float64)
    ranked[train.nonzero()] = -np.inf
    if candidates is not None:
        ranked[:, ~candidates] = -np.inf
    discounts = 1 / np.log2(np.arange(10) + 2)
    recalls, gains = [], []
    for user in np.flatnonzero(np.diff(test.indptr)):
        relevant = set(test.indices[test.indptr[user] : test.indptr[user + 1]].tolist())
        best = np.argsort(-ranked[user], kind="stable")[:20]
        hits = np.array([item in relevant for item in best.tolist()])
        recalls.append(hits.sum() / min(20, len(relevant)))
        gains.append((discounts * hits[:10]).sum() / discounts[: len(relevant)].sum())
    return float(np.mean(recalls)), float(np.mean(gains))


def popularity(train: Matrix) -> Array:
    counts = np.asarray(train.sum(axis=0)).ravel()
    return np.tile(counts, (train.shape[0], 1)).astype(np.float32)


def item_knn(train: Matrix, nearest: int = 1000) -> Array:
    norms = np.sqrt(np.asarray((train**2).sum(axis=0)).ravel())
    unit = train @ sparse.diags_array(1 / np.maximum(norms, 1e-9))
    alike = (unit.T @ unit).toarray()
    np.fill_diagonal(alike, 0)
    for row in alike:
        row[row < np.partition(row, -nearest)[-nearest]] = 0
    return np.asarray(train @ alike, np.float32)


def als(train: Matrix, factors: int = 64, alpha: float = 5.0, shrink: float = 10.0) -> Array:
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=factors, regularization=shrink, alpha=alpha, iterations=20, random_state=0
    )
    with threadpool_limits(1, "blas"):  # as implicit asks for
        model.fit(sparse.csr_matrix(train), show_progress=False)
    return np.asarray(model.user_factors @ model.item_factors.T, np.float32)


def ours(
    train: Matrix,
    tags: Matrix,
    *,
    dense: int = DENSE,
    regularisation: float = LAMBDA,
    tag_weight: float = TAG_WEIGHT,
) -> Array:
    unit = unit_rows(tags, rarity_of(tags))
    model = fit_items(
        train, unit, dense=dense, regularisation=regularisation, tag_weight=tag_weight
    )
    return model.scores(train, unit)


def content_knn(train: Matrix, tags: Matrix) -> Array:
    unit = unit_rows(tags, rarity_of(tags))
    return np.asarray((train @ unit @ unit.T).toarray(), np.float32)


def tag_popularity(train: Matrix, tags: Matrix, *, mean: bool = False) -> Array:
    """The events of a product's tags, all together or of one on average."""
    liked = np.asarray(train.sum(axis=0)).ravel() @ tags
    sizes = np.maximum(np.asarray(tags.sum(axis=1)).ravel(), 1)
    return np.tile((tags @ liked) / (sizes if mean else 1), (train.shape[0], 1)).astype(np.float32)


def without(tags: Matrix) -> Matrix:
    return Matrix(tags * 0)


def run(events: Matrix, tags: Matrix, seed: int) -> dict[str, float]:
    train, test = split(events, 0.2, seed)
    known: dict[str, Callable[[], Array]] = {
        "popularity": lambda: popularity(train),
        "item k-NN": lambda: item_knn(train),
        "ALS": lambda: als(train),
        "EASE": lambda: ours(train, without(tags)),
        "tagmill": lambda: ours(train, tags),
        "tagmill, neighbours": lambda: ours(train, tags, dense=0),
    }
    entry = {}
    for name, score in known.items():
        entry[f"known {name} recall"], entry[f"known {name} ndcg"] = measure(
            score(), train, test, None
        )
    choose = np.random.default_rng(seed)
    cold = np.zeros(events.shape[1], np.bool_)
    cold[choose.permutation(events.shape[1])[: int(events.shape[1] * COLD)]] = True
    warm = Matrix(events @ sparse.diags_array((~cold).astype(np.float32)))
    warm.eliminate_zeros()
    gone = Matrix(events @ sparse.diags_array(cold.astype(np.float32)))
    gone.eliminate_zeros()
    unknown: dict[str, Callable[[], Array]] = {
        "random": lambda: choose.random(events.shape).astype(np.float32),
        "tag popularity, sum": lambda: tag_popularity(warm, tags),
        "tag popularity, mean": lambda: tag_popularity(warm, tags, mean=True),
        "content k-NN": lambda: content_knn(warm, tags),
        "tagmill": lambda: ours(warm, tags),
        "tagmill, neighbours": lambda: ours(warm, tags, dense=0),
    }
    for name, score in unknown.items():
        entry[f"cold {name} recall"], entry[f"cold {name} ndcg"] = measure(
            score(), warm, gone, cold
        )
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    events, tags = load()
    print(f"{events.shape[0]} people, {events.shape[1]:,} items, {events.nnz:,} events, "
          f"{tags.shape[1]:,} tags, {tags.nnz:,} pairs")  # fmt: skip
    if options.tune:
        train, _ = split(events, 0.2, 100)
        inner, dev = split(train, 0.1, 100)
        for nearest in (20, 50, 100, 200, 500, 1000):
            print("k-NN", nearest, measure(item_knn(inner, nearest), inner, dev, None), flush=True)
        for factors, alpha, shrink in itertools.product((16, 32, 64), (1, 5, 20), (0.05, 1, 10)):
            scores = als(inner, factors, alpha, shrink)
            print("ALS", factors, alpha, shrink, measure(scores, inner, dev, None), flush=True)
        for regularisation in (100.0, 300.0, 600.0):
            for weight in (0.0, 1.0, 5.0, 20.0, 60.0):
                scores = ours(inner, tags, regularisation=regularisation, tag_weight=weight)
                print(regularisation, weight, measure(scores, inner, dev, None), flush=True)
        return
    results = [run(events, tags, seed) for seed in range(options.seeds)]
    mean = {key: float(np.mean([result[key] for result in results])) for key in results[0]}
    for key in mean:
        if key.endswith("recall"):
            name = key.removesuffix(" recall")
            print(f"{name:<28} Recall@20 {mean[key]:.4f}  nDCG@10 {mean[f'{name} ndcg']:.4f}")
    keep("recommendation", "movielens_small", mean, is_quick=False)


if __name__ == "__main__":
    main()
