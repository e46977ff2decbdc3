"""Which products go with which: from what people did and from tags.

Up to `DENSE` products EASE (Steck, Embarrassingly Shallow Autoencoders, WWW 2019): the regression
of every product on all others in closed form, B = I − P · diag(1 / diag P), P = (XᵀX + λI)⁻¹. Tags
stand below the people as rows of X, so that a product nobody met is described by its tags and one
that many met by them. Past that, the nearest of each by the cosines of people, and the same
regression on tags alone (`TagMap`), which also serves products that came after the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

__all__ = ["DENSE", "ItemModel", "TagMap", "fit_items", "matrix_of", "rarity_of", "unit_rows"]

DENSE = 8_000  # products: the inverse takes 8,000³ operations and half a gigabyte
KEPT = 1_000  # weights of a product in closed form: the rest is too small to matter
LAMBDA = 200.0  # regularisation, tuned on parts of train
TAG_WEIGHT = 15.0  # of the tags of a product beside a person's event
DENSE_TAGS = 2_000  # tags whose joint occurrence is looked at: the most frequent ones
# Of neighbours, tuned like λ: added to the product of norms, as two products that one person met
# are not alike; the weight of tags beside an event; and of what they say beside the people.
_SHRINK, _TAG_WEIGHT_BESIDE, _TAG_SHARE = 5.0, 100.0, 3.0
_NEIGHBOURS, _FEWEST, _ENTRIES = 500, 20, 50_000_000  # of a product, and of all together
_BLOCK = 512

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TagMap:
    """How much one product speaks for another by their tags: d_i · t_iᵀ S t_j.

    t are unit rows of tags (m,), d = 1 / (λ + people), S = (I / w + Σ d t tᵀ)⁻¹. It is EASE's
    weight from product i to one that nobody met, by Woodbury's identity, with the people's part
    XᵀX taken as diagonal. Of rare tags S has only the diagonal.
    """

    damping: Floats  # (n,) d of the products that were fitted
    common: npt.NDArray[np.int64]  # (c,) columns of the frequent tags
    inverse: Floats  # (c, c) S of these
    diagonal: Floats  # (m,) S of the others
    new_damping: float  # d of a product nobody met
    new_tag: float  # S of a tag that no product had

    @classmethod
    def fit(
        cls, degrees: Floats, unit: sparse.csr_array, regularisation: float, weight: float
    ) -> TagMap:
        """Of products that `degrees` (n,) people met, with `unit` rows (n, m) of tags."""
        damping = (1 / (regularisation + degrees)).astype(np.float32)
        damped = sparse.csr_array(sparse.diags_array(damping) @ unit)
        diagonal = 1 / (1 / weight + np.asarray(damped.multiply(unit).sum(axis=0)).ravel())
        counts = np.bincount(unit.indices, minlength=unit.shape[1])
        common = np.sort(np.argsort(-counts, kind="stable")[:DENSE_TAGS])
        together = (damped[:, common].T @ unit[:, common]).toarray().astype(np.float64)
        together[np.diag_indices_from(together)] += 1 / weight
        inverse = np.linalg.inv(together).astype(np.float32)
        return cls(damping, common, inverse, diagonal.astype(np.float32), 1 / regularisation,
                   weight)  # fmt: skip

    def apply(self, vectors: Floats) -> Floats:
        """S of vectors (k, m)."""
        mapped = vectors * self.diagonal
        mapped[:, self.common] = vectors[:, self.common] @ self.inverse
        return mapped


@dataclass(frozen=True)
class ItemModel:
    """`weights` (n, n): how much having product i speaks for product j; zero diagonal.

    They hold what tags say too where they are EASE's (`closed`); if not, `tag_share` times the
    tag map comes on top.
    """

    weights: sparse.csr_array
    tags: TagMap
    closed: bool
    tag_share: float = _TAG_SHARE

    def scores(self, profiles: sparse.csr_array, unit: sparse.csr_array) -> Floats:
        """(k, n) of profiles (k, n) over the products fitted, with their `unit` rows of tags."""
        scores: Floats = (profiles @ self.weights).toarray()
        if not self.closed:
            damped = profiles @ sparse.diags_array(self.tags.damping)
            scores += self.tag_share * (self.tags.apply((damped @ unit).toarray()) @ unit.T)
        return scores


def matrix_of(
    values: npt.NDArray[np.float32], where: npt.NDArray[np.int64], shape: tuple[int, int]
) -> sparse.csr_array:
    """A matrix with values (k,) at the places (2, k)."""
    return sparse.csr_array((values, (where[0], where[1])), shape=shape)


def rarity_of(tags: sparse.csr_array) -> Floats:
    """(m,) of the tags of products (n, m): inverse document frequency."""
    counts = np.asarray((tags > 0).sum(axis=0)).ravel()
    rarity: Floats = np.log((tags.shape[0] + 1) / (counts + 1)).astype(np.float32)
    return rarity


def unit_rows(tags: sparse.csr_array, rarity: Floats) -> sparse.csr_array:
    """Tags of products (n, m) as rows of length 1 where they have tags; a rare tag weighs more."""
    weighted = sparse.csr_array(tags @ sparse.diags_array(rarity))
    norms = np.sqrt(np.asarray((weighted**2).sum(axis=1)).ravel())
    scaled = sparse.csr_array(sparse.diags_array(1 / np.maximum(norms, 1e-9)) @ weighted)
    return scaled.astype(np.float32)


def fit_items(
    events: sparse.csr_array,
    unit: sparse.csr_array,
    *,
    dense: int = DENSE,
    regularisation: float = LAMBDA,
    tag_weight: float = TAG_WEIGHT,
) -> ItemModel:
    """The model of n products, `events` (people, n) and `unit` rows of tags (n, m)."""
    n = events.shape[1]
    degrees = np.asarray((events > 0).sum(axis=0), np.float32).ravel()
    if n > dense:
        tags = TagMap.fit(degrees, unit, regularisation, _TAG_WEIGHT_BESIDE)
        return ItemModel(_neighbours(events), tags, closed=False)
    tags = TagMap.fit(degrees, unit, regularisation, tag_weight)
    stacked = sparse.csr_array(
        sparse.vstack([events, np.sqrt(tag_weight) * unit.T]), dtype=np.float32
    )
    if not n:
        return ItemModel(sparse.csr_array(stacked.T @ stacked), tags, closed=True)
    return ItemModel(_closed_form(stacked, regularisation), tags, closed=True)


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


def _neighbours(events: sparse.csr_array) -> sparse.csr_array:
    """Of each product the nearest by the cosines of people; all together stay in memory."""
    people = sparse.csc_array(events)
    count = min(_NEIGHBOURS, max(_FEWEST, _ENTRIES // people.shape[1]))
    norms = np.sqrt(np.asarray((people**2).sum(axis=0)).ravel())
    parts = []
    for first in range(0, people.shape[1], _BLOCK):
        met = sparse.coo_array(people[:, first : first + _BLOCK].T @ people)
        values = met.data / (norms[met.row + first] * norms[met.col] + _SHRINK)
        values[met.row + first == met.col] = 0
        near = sparse.csr_array((values, (met.row, met.col)), shape=met.shape)
        parts.append(_largest(near.astype(np.float32), count))
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
