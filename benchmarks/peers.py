"""The methods tagmill is compared with: fit on texts and labels, score texts.

All but the lexicon and fastText see the same features: English words 1-2 and character 3-5-grams,
Chinese jieba words 1-2 and characters 1-3, sublinear TF-IDF. Scores lie in [0, 1].
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import rjieba
from scipy import sparse
from sklearn.datasets import dump_svmlight_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import FeatureUnion, make_union
from sklearn.svm import LinearSVC

from tagmill.library import Library
from tagmill.records import PRODUCT_SCHEMA
from tagmill.tagging.lexicon import LexiconTagger

TOP = 50  # pairs kept per product

Matrix = sparse.csr_array


class Peer(Protocol):
    """A method that learns from labelled texts."""

    def fit(self, texts: Sequence[str], labels: Matrix) -> None:
        """Learn from texts (n) and their labels, csr (n, m)."""

    def scores(self, texts: Sequence[str]) -> Matrix:
        """The best pairs of each text, csr (n, m) with values in [0, 1]."""
        ...


def threads() -> int:
    """The cores this process may use; OMP_NUM_THREADS lowers it."""
    return int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars that native code writes past Python."""
    kept = [os.dup(1), os.dup(2)]
    with open(os.devnull, "w") as nowhere:
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
    try:
        yield
    finally:
        for number, saved in enumerate(kept, start=1):
            os.dup2(saved, number)
            os.close(saved)


def is_chinese(texts: Sequence[str]) -> bool:
    """Whether most texts have a Chinese character."""
    return sum(bool(re.search(r"[\u4e00-\u9fff]", text)) for text in texts) > len(texts) / 2


def jieba_words(text: str) -> list[str]:
    """The words of a Chinese text."""
    return [word for word in rjieba.cut(text) if word.strip()]


def tfidf(texts: Sequence[str], *, characters: bool = True) -> FeatureUnion:
    """The features all sparse peers share, not yet fitted."""
    common: dict[str, Any] = {"sublinear_tf": True, "dtype": np.float32, "lowercase": False}
    if is_chinese(texts):
        common |= {"token_pattern": None}
        words = TfidfVectorizer(tokenizer=jieba_words, ngram_range=(1, 2), **common)
        common.pop("token_pattern")
        letters = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, **common)
    else:
        words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), **common)
        letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), min_df=2, **common)
    return make_union(words, letters) if characters else make_union(words)


def csr_of_lists(lists: Iterable[Iterable[tuple[int, float]]], tags: int) -> Matrix:
    """Lists of (tag, score) as csr (n, m)."""
    rows = [[(tag, score) for tag, score in found if score > 0] for found in lists]
    indptr = np.cumsum([0, *map(len, rows)])
    flat = np.array([pair for row in rows for pair in row], np.float64).reshape(-1, 2)
    return Matrix((flat[:, 1], flat[:, 0].astype(np.int64), indptr), shape=(len(rows), tags))


def best_of_dense(block: npt.NDArray[np.floating]) -> Matrix:
    """The `TOP` highest positive entries of each row, csr."""
    top = min(TOP, block.shape[1])
    columns = np.argpartition(-block, top - 1, axis=1)[:, :top]
    values = np.take_along_axis(block, columns, axis=1).astype(np.float64)
    rows = np.repeat(np.arange(len(block)), top)
    keep = values.ravel() > 0
    pairs = (rows[keep], columns.ravel()[keep])
    return Matrix((values.ravel()[keep], pairs), shape=block.shape)


class LexiconPeer:
    """tagmill's own lexicon; a tag scores by how often its name was right in training."""

    def __init__(self, names: Sequence[str]) -> None:
        library = Library.from_written(name for name in names if name.strip())
        self._lexicon = LexiconTagger(library)
        place = {tag_id: column for column, tag_id in enumerate(self._lexicon.tag_ids)}
        tags = [library.find(name) if name.strip() else None for name in names]
        self._columns = np.array([place[tag.id] if tag else 0 for tag in tags])
        self._named = sparse.diags_array([float(tag is not None) for tag in tags])

    def fit(self, texts: Sequence[str], labels: Matrix) -> None:
        found = self._found(texts)
        named = np.bincount(found.indices, minlength=found.shape[1])
        hits = sparse.csr_array((found > 0).multiply(labels))
        right = np.bincount(hits.indices, hits.data, found.shape[1])
        overall = right.sum() / max(named.sum(), 1)
        self._precision = (right + 2 * overall) / (named + 2)

    def scores(self, texts: Sequence[str]) -> Matrix:
        found = self._found(texts)
        # Among tags of equal precision the one named more prominently is first.
        values = self._precision[found.indices] * (1 - 1e-4 * (1 - found.data))
        return Matrix((values, found.indices, found.indptr), shape=found.shape)

    def _found(self, texts: Sequence[str]) -> Matrix:
        rows = [{"id": str(number), "title": text} for number, text in enumerate(texts)]
        batch = pa.RecordBatch.from_pylist(rows, schema=PRODUCT_SCHEMA)
        scores = self._lexicon.score(batch).values[:, self._columns].astype(np.float64)
        found = Matrix(scores @ self._named)
        found.eliminate_zeros()  # a blank tag has no name to find
        return found


class FastText:
    """fastText, one-vs-all loss; one thread, because more make it come out differently."""

    def __init__(self, names: Sequence[str]) -> None:
        self._tags = len(names)

    def fit(self, texts: Sequence[str], labels: Matrix) -> None:
        import fasttext

        self._chinese = is_chinese(texts)
        lines = []
        for row, text in enumerate(self._prepared(texts)):
            tags = labels.indices[labels.indptr[row] : labels.indptr[row + 1]]
            lines.append(" ".join([*(f"__label__{tag}" for tag in tags), text]) + "\n")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.txt"
            path.write_text("".join(lines), "utf-8")
            self._model = fasttext.train_supervised(
                str(path), loss="ova", epoch=50 if len(texts) < 5_000 else 25, lr=0.5,
                wordNgrams=2, minn=3, maxn=5, bucket=200_000, thread=1, verbose=0,
            )  # fmt: skip

    def scores(self, texts: Sequence[str]) -> Matrix:
        # Under numpy 2 its predict works with a list only.
        labels, values = self._model.predict(self._prepared(texts), k=TOP)
        return csr_of_lists(
            (
                [
                    (int(label[9:]), min(float(value), 1.0))
                    for label, value in zip(*row, strict=True)
                ]
                for row in zip(labels, values, strict=True)
            ),
            self._tags,
        )

    def _prepared(self, texts: Sequence[str]) -> list[str]:
        if self._chinese:
            return [" ".join(jieba_words(text)) for text in texts]
        return [" ".join(re.findall(r"\w+", text)) for text in texts]


class Omikuji:
    """omikuji: Parabel, its default, or Bonsai (wide shallow trees)."""

    def __init__(self, names: Sequence[str], *, bonsai: bool = False) -> None:
        self._tags, self._bonsai = len(names), bonsai

    def fit(self, texts: Sequence[str], labels: Matrix) -> None:
        import omikuji

        self._features = tfidf(texts)
        rows = Matrix(self._features.fit_transform(texts))
        settings = omikuji.Model.default_hyper_param()
        if self._bonsai:
            settings.cluster_balanced = False
            settings.cluster_k = 100
            settings.max_depth = 3
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.txt"
            with path.open("wb") as file:
                file.write(f"{rows.shape[0]} {rows.shape[1]} {labels.shape[1]}\n".encode())
                dump_svmlight_file(
                    sparse.csr_matrix(rows), sparse.csr_matrix(labels, dtype=np.float64), file,
                    multilabel=True, zero_based=True,
                )  # fmt: skip
            with quiet():
                self._model = omikuji.Model.train_on_data(str(path), settings, n_threads=threads())

    def scores(self, texts: Sequence[str]) -> Matrix:
        rows = Matrix(self._features.transform(texts))
        top = min(TOP, self._tags)
        found = (self._model.predict(_entries(rows, n), top_k=top) for n in range(rows.shape[0]))
        return csr_of_lists(found, self._tags)


def _entries(rows: Matrix, row: int) -> list[tuple[int, float]]:
    part = slice(rows.indptr[row], rows.indptr[row + 1])
    return list(zip(rows.indices[part].tolist(), rows.data[part].tolist(), strict=True))


class NapkinXC:
    """napkinXC's probabilistic label tree."""

    def __init__(self, names: Sequence[str]) -> None:
        self._tags = len(names)
        self._folder = tempfile.TemporaryDirectory()

    def fit(self, texts: Sequence[str], labels: Matrix) -> None:
        from napkinxc.models import PLT

        self._features = tfidf(texts)
        rows = sparse.csr_matrix(self._features.fit_transform(texts))
        self._model = PLT(self._folder.name, seed=0, threads=threads())
        with quiet():
            self._model.fit(rows, sparse.csr_matrix(labels))

    def scores(self, texts: Sequence[str]) -> Matrix:
        rows = sparse.csr_matrix(self._features.transform(texts))
        return csr_of_lists(self._model.predict_proba(rows, top_k=TOP), self._tags)


class Pecos:
    """PECOS XR-Linear, in an environment of its own because it needs an older numpy."""

    def __init__(self, names: Sequence[str]) -> None:
        self._tags = len(names)

    def fit(self, texts: Sequence[str], labels: Matrix) -> None:
        from environments import Worker

        self._features = tfidf(texts)
        self._worker = Worker("pecos")
        rows = Matrix(self._features.fit_transform(texts))
        self._worker.call("fit", rows=_parts(rows), labels=_parts(labels), threads=threads())

    def scores(self, texts: Sequence[str]) -> Matrix:
        rows = _parts(Matrix(self._features.transform(texts)))
        *arrays, shape = self._worker.call("scores", rows=rows, top=TOP, threads=threads())
        return Matrix(tuple(arrays), shape=shape)


def _parts(matrix: Matrix) -> tuple[object, ...]:
    """A matrix as plain arrays: scipy's own pickles do not travel between its versions."""
    return matrix.data, matrix.indices, matrix.indptr, matrix.shape


class CalibratedSVC:
    """LinearSVC one-vs-rest with isotonic calibration: the mean of three cross-fitted models.

    A tag with ten held-out examples has a curve of its own, the others share one. On over 20,000
    texts it sees words only; of over 5,000 tags those with one example are left out.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._tags = len(names)

    def fit(self, texts: Sequence[str], labels: Matrix) -> None:
        self._features = tfidf(texts, characters=len(texts) <= 20_000)
        rows = sparse.csr_matrix(self._features.fit_transform(texts), dtype=np.float64)
        fold = np.random.default_rng(0).permutation(len(texts)) % 3
        least = 2 if self._tags > 5_000 else 1
        self._models = [self._fit_fold(rows, labels, fold == part, least) for part in range(3)]

    def scores(self, texts: Sequence[str]) -> Matrix:
        rows = sparse.csr_matrix(self._features.transform(texts), dtype=np.float64)
        blocks = []
        for start in range(0, rows.shape[0], 1024):
            part = rows[start : start + 1024]
            block = sum(curves(model.margins(part)) for model, curves in self._models) / 3
            blocks.append(best_of_dense(np.asarray(block)))
        return Matrix(sparse.vstack(blocks))

    def _fit_fold(
        self, rows: sparse.csr_matrix, labels: Matrix, held_out: npt.NDArray[np.bool_], least: int
    ) -> tuple[_OneVsRest, _Curves]:
        outside, inside = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        model = _OneVsRest(rows[outside], Matrix(labels[outside]), least)
        gold = labels[inside].tocsc()
        return model, _Curves(model.margins(rows[inside]), gold)


class _OneVsRest:
    """One LinearSVC a tag; weights under 1% of a tag's largest are dropped."""

    def __init__(self, rows: sparse.csr_matrix, labels: Matrix, least: int) -> None:
        columns = labels.tocsc()

        def fit(tag: int) -> tuple[sparse.csr_matrix, float]:
            gold = np.zeros(rows.shape[0])
            gold[columns.indices[columns.indptr[tag] : columns.indptr[tag + 1]]] = 1
            if not least <= gold.sum() < len(gold):
                # Nothing to learn: never seen, too rare, or on every text.
                constant = -np.inf if not gold.any() else 1.0 if gold.all() else -1.0
                return sparse.csr_matrix((1, rows.shape[1])), constant
            svc = LinearSVC(random_state=0).fit(rows, gold)
            weights = svc.coef_.ravel()
            weights[abs(weights) < 0.01 * abs(weights).max()] = 0
            return sparse.csr_matrix(weights), float(svc.intercept_[0])

        with ThreadPoolExecutor(threads()) as pool:
            fitted = list(pool.map(fit, range(labels.shape[1])))
        self._weights = sparse.vstack([weights for weights, _ in fitted]).T.tocsr()
        self._bias = np.array([bias for _, bias in fitted])

    def margins(self, rows: sparse.csr_matrix) -> npt.NDArray[np.float64]:
        """Signed distances, (n, m)."""
        return np.asarray((rows @ self._weights).toarray() + self._bias)


class _Curves:
    """Isotonic curves from held-out margins; the margin breaks the ties they make."""

    def __init__(self, margins: npt.NDArray[np.float64], gold: sparse.csc_array) -> None:
        finite = np.isfinite(margins)
        right = gold.toarray() > 0
        everything = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        # Far below any right pair there is nothing to learn, and nearly all pairs lie there.
        near = finite & (margins > -0.98)
        self._pooled = everything.fit(margins[near], right[near])
        self._own = {
            int(tag): IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
                margins[:, tag], right[:, tag]
            )
            for tag in np.flatnonzero(right.sum(axis=0) >= 10)
            if finite[0, tag]
        }

    def __call__(self, margins: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        bounded = np.maximum(margins, -10.0)
        probability = self._pooled.predict(bounded.ravel()).reshape(margins.shape)
        for tag, curve in self._own.items():
            probability[:, tag] = curve.predict(bounded[:, tag])
        return np.asarray(np.clip(probability + 1e-4 * np.tanh(bounded), 0, 1))


class NearestNeighbours:
    """The tags of the ten most similar training texts by cosine, weighted by it."""

    def __init__(self, names: Sequence[str], neighbours: int = 10) -> None:
        self._neighbours = neighbours

    def fit(self, texts: Sequence[str], labels: Matrix) -> None:
        self._features = tfidf(texts)
        rows = _normalised(Matrix(self._features.fit_transform(texts)))
        self._columns, self._labels = rows.T.tocsr(), labels

    def scores(self, texts: Sequence[str]) -> Matrix:
        rows = _normalised(Matrix(self._features.transform(texts)))
        votes = []
        for start in range(0, rows.shape[0], 256):
            likeness = (rows[start : start + 256] @ self._columns).toarray()
            best = np.argpartition(-likeness, self._neighbours, axis=1)[:, : self._neighbours]
            weights = np.take_along_axis(likeness, best, axis=1).astype(np.float64)
            weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
            numbers = np.repeat(np.arange(len(best)), self._neighbours)
            shape = (len(best), self._labels.shape[0])
            chosen = Matrix((weights.ravel(), (numbers, best.ravel())), shape=shape)
            votes.append(chosen @ self._labels)
        return Matrix(sparse.vstack(votes))


def _normalised(rows: Matrix) -> Matrix:
    lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
    return Matrix(sparse.diags_array(1 / np.maximum(lengths, 1e-12)) @ rows)


PEERS: dict[str, Callable[[Sequence[str]], Peer]] = {
    "lexicon": LexiconPeer,
    "fastText": FastText,
    "omikuji Parabel": Omikuji,
    "omikuji Bonsai": lambda names: Omikuji(names, bonsai=True),
    "napkinXC PLT": NapkinXC,
    "PECOS XR-Linear": Pecos,
    "LinearSVC + isotonic": CalibratedSVC,
    "k-NN (TF-IDF)": NearestNeighbours,
}
QUICK_PEERS = ("lexicon", "fastText", "omikuji Parabel", "LinearSVC + isotonic", "k-NN (TF-IDF)")
# Means of the scores of several peers; those that could not run are left out.
ENSEMBLES: dict[str, tuple[str, ...]] = {
    "mean of lexicon, SVC, k-NN": ("lexicon", "LinearSVC + isotonic", "k-NN (TF-IDF)"),
    "mean of all": tuple(PEERS),
}
