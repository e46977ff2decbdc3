"""PECOS XR-Linear behind `peers.Pecos`; runs in the environment `pecos`."""

from __future__ import annotations

from typing import Any

import numpy as np
from pecos.xmc import Indexer, LabelEmbeddingFactory
from pecos.xmc.xlinear.model import XLinearModel
from scipy import sparse
from serve_calls import serve

STATE: dict[str, Any] = {}


def fit(rows: Any, labels: Any, threads: int) -> None:  # noqa: ANN401
    """Cluster the tags and train the tree."""
    x, y = _matrix(rows), _matrix(labels)
    clusters = Indexer.gen(LabelEmbeddingFactory.create(y, x), threads=threads)
    STATE["model"] = XLinearModel.train(x, y, C=clusters, threads=threads)


def scores(rows: Any, top: int, threads: int) -> Any:  # noqa: ANN401
    """The best tags of each row: the parts of a csr matrix."""
    found = STATE["model"].predict(_matrix(rows), only_topk=top, threads=threads)
    return found.data, found.indices, found.indptr, found.shape


def _matrix(parts: Any) -> Any:  # noqa: ANN401
    *arrays, shape = parts
    return sparse.csr_matrix(tuple(arrays), shape=shape, dtype=np.float32)


serve({"fit": fit, "scores": scores})
