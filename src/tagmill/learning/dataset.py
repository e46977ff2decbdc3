"""Tagged products as a label matrix over a library."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tagmill.errors import CatalogError, NotTrained
from tagmill.library.vocabulary import Library

__all__ = [
    "Dataset",
    "LabelMatrix",
    "Verdicts",
    "held_out_fifth",
    "judged_products",
    "label_matrix",
    "load_dataset",
]

# Product id → tag id → accepted, or how probable a teacher holds it, in [0, 1].
Verdicts = Mapping[str, Mapping[str, bool | float]]


@dataclass(frozen=True)
class LabelMatrix:
    """What was said: `values` csr (n, m), +1 accepted, -1 rejected, absent otherwise.

    A teacher's probability p is a soft label, 2p - 1. `complete` (n,) says of which products every
    tag was judged: there absent means wrong, elsewhere it means unknown.
    """

    values: sparse.csr_array
    complete: npt.NDArray[np.bool_]

    def counts(self) -> npt.NDArray[np.int64]:
        """How many products each tag was rather accepted for, (m,)."""
        accepted = self.values.indices[self.values.data > 0]
        return np.bincount(accepted, minlength=self.values.shape[1])

    def subset(self, rows: npt.NDArray[np.int64]) -> LabelMatrix:
        """The same for some of the products."""
        return LabelMatrix(sparse.csr_array(self.values[rows]), self.complete[rows])


@dataclass(frozen=True)
class Dataset:
    """Judged products, the library their tags are of, and what was said of them."""

    batches: list[pa.RecordBatch]  # of PRODUCT_SCHEMA, only judged products
    library: Library
    tag_ids: npt.NDArray[np.object_]  # (m,) active tags, in the library's order
    labels: LabelMatrix
    unknown_tags: Counter[str]  # written tags the library does not have, with their counts
    is_open: bool  # the library is only what these products' tags name

    def __len__(self) -> int:
        return self.labels.values.shape[0]


def load_dataset(
    batches: Iterable[pa.RecordBatch],
    library: Library | None = None,
    *,
    merge_variants: bool = False,
    verdicts: Verdicts | None = None,
) -> Dataset:
    """The judged products of `batches` with their labels: those with tags, or with verdicts.

    A product with tags is judged completely, but for what its verdicts say otherwise; of a
    product that has only verdicts nothing else is known. Without a library it becomes what the
    tags name: verbatim, or one tag for all spellings of a normal form. Raises NotTrained where
    no product is judged.
    """
    verdicts, is_open = verdicts or {}, library is None
    judged = [chosen for batch in batches if (chosen := judged_products(batch, verdicts)).num_rows]
    if library is None:
        written = (text for b in judged for text in b.column("tags").flatten().to_pylist())
        library = Library.from_written(written, merge_variants=merge_variants)
    tag_ids = np.array([tag.id for tag in library.active()], dtype=object)
    if not judged or not len(tag_ids):
        raise NotTrained(
            "No product has tags to learn from. Give some rows a 'tags' column, such as "
            '{"id": "1", "title": "…", "tags": ["颜色:红色"]}'
        )
    values, unknown = label_matrix(judged, library, tag_ids)
    complete = np.concatenate([np.asarray(b.column("tags").is_valid()) for b in judged])
    if verdicts:
        values = _lay_over(values, judged, tag_ids, verdicts)
    return Dataset(judged, library, tag_ids, LabelMatrix(values, complete), unknown, is_open)


def held_out_fifth(batch: pa.RecordBatch, seed: int) -> npt.NDArray[np.bool_]:
    """Which products of a batch, (n,), are of the tagged fifth that a model is measured on.

    A product's id and the seed decide, so it is in the same part however products are ordered.
    """
    ids = batch.column("id").to_pylist()
    fifth = np.array([zlib.crc32(f"{seed}:{i}".encode()) % 5 == 0 for i in ids], np.bool_)
    judged: npt.NDArray[np.bool_] = np.asarray(batch.column("tags").is_valid())
    return judged & fifth


def judged_products(batch: pa.RecordBatch, verdicts: Verdicts) -> pa.RecordBatch:
    """The products of a batch that have tags, or verdicts."""
    keep = np.asarray(batch.column("tags").is_valid())
    if verdicts:
        keep = keep | [product_id in verdicts for product_id in batch.column("id").to_pylist()]
    return batch.filter(pa.array(keep))


def _lay_over(
    values: sparse.csr_array,
    batches: list[pa.RecordBatch],
    tag_ids: npt.NDArray[np.object_],
    verdicts: Verdicts,
) -> sparse.csr_array:
    """The labels with every verdict in its place, 2p - 1. Raises CatalogError for another p."""
    position = {tag_id: index for index, tag_id in enumerate(tag_ids)}
    labels = sparse.lil_array(values)
    products = (product_id for b in batches for product_id in b.column("id").to_pylist())
    for row, product_id in enumerate(products):
        for tag_id, accepted in verdicts.get(product_id, {}).items():
            if not 0 <= accepted <= 1:
                raise CatalogError(
                    f"The verdict on tag {tag_id} of product {product_id} is {accepted}; give "
                    "true, false, or a teacher's probability in [0, 1]"
                )
            if tag_id in position:
                # A tag held for as likely as not tells nothing, but is no missing entry either.
                labels[row, position[tag_id]] = 2 * float(accepted) - 1 or 1e-6
    return sparse.csr_array(labels)


def label_matrix(
    batches: Iterable[pa.RecordBatch], library: Library, tag_ids: npt.NDArray[np.object_]
) -> tuple[sparse.csr_array, Counter[str]]:
    """Accepted tags (n, m) float32 of the `tags` columns, and tags the library does not have."""
    position = {tag_id: index for index, tag_id in enumerate(tag_ids)}
    resolved: dict[str, int | None] = {}
    unknown: Counter[str] = Counter()
    rows: list[int] = []
    columns: list[int] = []
    size = 0
    for batch in batches:
        for tags in batch.column("tags").to_pylist():
            for text in tags or ():
                if text not in resolved:
                    tag = library.find(text)
                    resolved[text] = position.get(tag.id) if tag else None
                column = resolved[text]
                if column is None:
                    unknown[text] += 1
                else:
                    rows.append(size)
                    columns.append(column)
            size += 1
    ones = np.ones(len(rows), np.float32)
    matrix = sparse.csr_array((ones, (rows, columns)), shape=(size, len(tag_ids)))
    matrix.data[:] = 1  # a tag written twice is one tag
    return matrix, unknown
