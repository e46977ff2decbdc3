"""Which products go with which: from what people did and from tags, in one matrix.

Up to `DENSE` products EASE (Steck, Embarrassingly Shallow Autoencoders, WWW 2019): the regression
of every product on all others in closed form, B = I − P · diag(1 / diag P), P = (XᵀX + λI)⁻¹. Tags
stand below the people as rows of X, so that a product nobody met is described by its tags and one
that many met by them. Past that, the `NEIGHBOURS` nearest of each by the cosines of people and of
tags.
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
# Of neighbours, tuned like λ: added to the product of norms, as two products that one person met
# are not alike; and the weight of the cosine of tags beside that of people.
_SHRINK, _TAG_COSINE = 5.0, 0.1
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
    rows = tag_rows(tags)
    n = events.shape[1]
    if n > dense:
        return ItemModel(product_ids, _neighbours(events, rows))
    stacked = sparse.csr_array(
        sparse.vstack([events, np.sqrt(tag_weight) * rows]), dtype=np.float32
    )
    if not n:
        return ItemModel(product_ids, sparse.csr_array(stacked.T @ stacked))
    return ItemModel(product_ids, _closed_form(stacked, regularisation))


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


def _neighbours(events: sparse.csr_array, tags: sparse.csr_array) -> sparse.csr_array:
    """Of each product the nearest by people and by tags: the sum of both cosines."""
    people, described = sparse.csc_array(events), sparse.csc_array(tags)
    norms = np.sqrt(np.asarray((people**2).sum(axis=0)).ravel())
    parts = []
    for first in range(0, people.shape[1], _BLOCK):
        block = slice(first, first + _BLOCK)
        met = sparse.coo_array(people[:, block].T @ people)
        values = met.data / (norms[met.row + first] * norms[met.col] + _SHRINK)
        by_people = sparse.csr_array((values, (met.row, met.col)), shape=met.shape)
        by_tags = _largest(sparse.csr_array(described[:, block].T @ described), NEIGHBOURS + 1)
        both = sparse.coo_array(by_people + _TAG_COSINE * by_tags)
        both.data[both.row + first == both.col] = 0
        parts.append(_largest(sparse.csr_array(both).astype(np.float32), NEIGHBOURS))
    nearest = sparse.csr_array(sparse.vstack(parts))
    # A product nobody met is hardly among the nearest of one that people met; it has its own.
    met_by_none = (norms == 0).astype(np.float32)
    of_new = sparse.csr_array(sparse.diags_array(met_by_none) @ nearest)
    return sparse.csr_array(nearest @ sparse.diags_array(1 - met_by_none) + of_new.T)


def _largest(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    """The entries of each row that are largest, negative ones too."""
    matrix.eliminate_zeros()
    sizes = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((-np.abs(matrix.data), rows))
    ranks = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], sizes)
    kept = np.sort(order[ranks < count])
    return sparse.csr_array((matrix.data[kept], (rows[kept], matrix.indices[kept])), matrix.shape)
