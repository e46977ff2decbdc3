"""Which products go with which: from what people did and from tags, in one matrix.

Up to `DENSE` products EASE (Steck, Embarrassingly Shallow Autoencoders, WWW 2019): the regression
of every product on all others in closed form, B = I − P · diag(1 / diag P), P = (XᵀX + λI)⁻¹. Tags
stand below the people as rows of X, so that a product nobody met is described by its tags and one
that many met by them. Past that, cosines of the same columns, the `NEIGHBOURS` nearest of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

__all__ = ["DENSE", "NEIGHBOURS", "ItemModel", "fit_items", "matrix_of", "tag_rows"]

DENSE = 8_000  # products: the inverse takes 8,000³ operations and half a gigabyte
NEIGHBOURS = 200
KEPT = 1_000  # weights of a product in closed form: the rest is too small to matter
LAMBDA = 100.0  # regularisation, tuned on a part of train
TAG_WEIGHT = 15.0  # of the tags of a product beside a person's event
_SHRINK = 10.0  # added to the product of norms: two products that one person met are not alike
_BLOCK = 512


@dataclass(frozen=True)
class ItemModel:
    """`weights` (n, n): how much having product i speaks for product j; zero diagonal."""

    product_ids: npt.NDArray[np.object_]
    weights: sparse.csr_array

    def scores(self, profile: sparse.csr_array) -> npt.NDArray[np.float32]:
        """(k, n) of profiles (k, n)."""
        scores: npt.NDArray[np.float32] = (profile @ self.weights).toarray()
        return scores


def matrix_of(
    values: npt.NDArray[np.float32], where: npt.NDArray[np.int64], shape: tuple[int, int]
) -> sparse.csr_array:
    """A matrix with values (k,) at the places (2, k)."""
    return sparse.csr_array((values, (where[0], where[1])), shape=shape)


def tag_rows(tags: sparse.csr_array) -> sparse.csr_array:
    """Rows of pseudo-people (m, n), one a tag: of products (n, m) with probabilities.

    A rare tag weighs more (inverse document frequency), and a product with many tags has each of
    them the less: all products' columns are of length 1 where they have tags.
    """
    counts = np.asarray((tags > 0).sum(axis=0)).ravel()
    weight = np.log((tags.shape[0] + 1) / (counts + 1))
    weighted = sparse.csr_array(tags @ sparse.diags_array(weight))
    norms = np.sqrt(np.asarray((weighted**2).sum(axis=1)).ravel())
    scale = sparse.diags_array(1 / np.maximum(norms, 1e-9))
    return sparse.csr_array((scale @ weighted).T)


def fit_items(
    product_ids: npt.NDArray[np.object_],
    events: sparse.csr_array,
    tags: sparse.csr_array,
    *,
    dense: int = DENSE,
    regularisation: float = LAMBDA,
    tag_weight: float = TAG_WEIGHT,
) -> ItemModel:
    """The model of n products, `events` (people, n) and `tags` (n, m)."""
    rows = np.sqrt(tag_weight) * tag_rows(tags)
    stacked = sparse.csr_array(sparse.vstack([events, rows]), dtype=np.float32)
    n = stacked.shape[1]
    if not n:
        return ItemModel(product_ids, sparse.csr_array(stacked.T @ stacked))
    weights = _closed_form(stacked, regularisation) if n <= dense else _neighbours(stacked)
    return ItemModel(product_ids, weights)


def _closed_form(stacked: sparse.csr_array, regularisation: float) -> sparse.csr_array:
    from scipy.linalg import lapack

    gram = (stacked.T @ stacked).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += regularisation
    factor, failed = lapack.dpotrf(gram, lower=True, overwrite_a=True)
    inverse, failed = lapack.dpotri(factor, lower=True, overwrite_c=True)
    assert not failed  # positive definite for any λ above 0
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    inverse /= -np.diag(inverse)
    inverse[np.diag_indices_from(inverse)] = 0
    parts = [
        _largest(sparse.csr_array(inverse[first : first + _BLOCK].astype(np.float32)), KEPT)
        for first in range(0, len(inverse), _BLOCK)
    ]
    return sparse.csr_array(sparse.vstack(parts))


def _neighbours(stacked: sparse.csr_array) -> sparse.csr_array:
    columns = sparse.csc_array(stacked)
    norms = np.sqrt(np.asarray((columns**2).sum(axis=0)).ravel())
    parts = []
    for first in range(0, columns.shape[1], _BLOCK):
        block = columns[:, first : first + _BLOCK]
        shared = (block.T @ columns).tocoo()
        rows = shared.row + first
        values = shared.data / (norms[rows] * norms[shared.col] + _SHRINK)
        values[rows == shared.col] = 0
        shape = (min(_BLOCK, columns.shape[1] - first), columns.shape[1])
        part = sparse.csr_array((values.astype(np.float32), (shared.row, shared.col)), shape=shape)
        parts.append(_largest(part, NEIGHBOURS))
    return sparse.csr_array(sparse.vstack(parts))


def _largest(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    """The entries of each row that are largest, negative ones too."""
    matrix.eliminate_zeros()
    sizes = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((-np.abs(matrix.data), rows))
    ranks = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], sizes)
    kept = np.sort(order[ranks < count])
    return sparse.csr_array((matrix.data[kept], (rows[kept], matrix.indices[kept])), matrix.shape)
