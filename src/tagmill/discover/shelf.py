"""The products of a store with their tags as a matrix: what recommendation looks at."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.discover.index import tags_of, targets_of
from tagmill.discover.item_model import matrix_of, rarity_of, unit_rows
from tagmill.library import Library
from tagmill.library.stored import load_library
from tagmill.store import Store
from tagmill.store.searches import StoredDocument
from tagmill.text import caption

__all__ = ["Shelf", "keep_arrays", "pack_texts", "read_shelf", "unpack_texts"]

_APPENDED = 0.1  # share of rows that came later, from which the shelf is packed anew


@dataclass(frozen=True)
class Shelf:
    """n products, m tags; `tags` (n, m) are probabilities, `unit` (n, m) rows of length 1.

    A product that changes gets a new row at the end: `gone` (n,) are the rows that count no more,
    because it left the catalogue too. Nothing in a shelf changes while somebody reads it.
    """

    ids: list[str]
    titles: list[str]
    gone: npt.NDArray[np.bool_]
    tags: sparse.csr_array
    tag_ids: list[str]
    library: Library
    cursor: int
    rarity: npt.NDArray[np.float32]  # (m,) of each tag when the shelf was packed
    unit: sparse.csr_array
    first: dict[str, int]  # product id → its row then; shared by all that grew from one
    later: dict[str, int | None]  # of products that changed since; None: gone
    root: object = field(default_factory=object)  # the same for all that grew from one

    @classmethod
    def pack(
        cls,
        ids: list[str],
        titles: list[str],
        tags: sparse.csr_array,
        tag_ids: list[str],
        library: Library,
        cursor: int,
    ) -> Shelf:
        """A shelf of products that are all there."""
        rarity = rarity_of(tags)
        gone = np.zeros(len(ids), np.bool_)
        places = {product: place for place, product in enumerate(ids)}
        return cls(
            ids, titles, gone, tags, tag_ids, library, cursor, rarity, unit_rows(tags, rarity),
            places, {},
        )  # fmt: skip

    def place(self, product: str) -> int | None:
        """The row of a product that is there."""
        return self.later[product] if product in self.later else self.first.get(product)

    @cached_property
    def tag_numbers(self) -> dict[str, int]:
        """Tag id → its column."""
        return {tag: number for number, tag in enumerate(self.tag_ids)}

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """(m,) how many rows have each tag."""
        return np.bincount(self.tags.indices, minlength=len(self.tag_ids))

    def save(self, folder: Path) -> None:
        """Write it, but for the library, which is the store's."""
        whole = self._packed_anew() if self.gone.any() else self
        keep_arrays(
            folder / "shelf.npz", ids=pack_texts(whole.ids), titles=pack_texts(whole.titles),
            indptr=whole.tags.indptr, indices=whole.tags.indices, data=whole.tags.data,
            tag_ids=pack_texts(whole.tag_ids), cursor=whole.cursor, version=whole.library.version,
        )  # fmt: skip

    @staticmethod
    def load(folder: Path, store: Store) -> Shelf | None:
        """What the folder holds, with the library of then; None where there is none."""
        try:
            with np.load(folder / "shelf.npz") as kept:
                state, version = store.searches.state(), int(kept["version"])
                if version > state.library or int(kept["cursor"]) > state.cursor:
                    return None
                ids, tag_ids = unpack_texts(kept["ids"]), unpack_texts(kept["tag_ids"])
                tags = sparse.csr_array(
                    (kept["data"], kept["indices"], kept["indptr"]), (len(ids), len(tag_ids))
                )
                return Shelf.pack(
                    ids, unpack_texts(kept["titles"]), tags, tag_ids, load_library(store, version),
                    int(kept["cursor"]),
                )  # fmt: skip
        except (OSError, ValueError, KeyError):  # none yet, or damaged: the store is read again
            return None

    def is_of(self, store: Store) -> bool:
        """Whether nothing changed since."""
        state = store.searches.state()
        return (state.cursor, state.library) == (self.cursor, self.library.version)

    def brought_up_to_date(self, store: Store) -> Shelf:
        """The shelf as the store is now; itself where nothing changed.

        Products that changed are read again, and those with a tag that now counts otherwise.
        """
        state, library = store.searches.state(), self.library
        if (state.cursor, state.library) == (self.cursor, library.version):
            return self
        pages = store.searches.documents(self.cursor, state.cursor)
        changed = {document.id: document for page in pages for document in page}
        if state.library != library.version:
            library, before = load_library(store), targets_of(self.library)
            moved = [t for t, target in targets_of(library).items() if before.get(t, t) != target]
            if moved:
                ids = {*store.searches.products_with(moved), *self._ids_with(moved)}
                more = store.searches.documents_of(sorted(ids - changed.keys()))
                changed |= {document.id: document for page in more for document in page}
        grown = self._grown(list(changed.values()), library, state.cursor)
        late = len(grown.ids) - len(grown.first)
        return grown._packed_anew() if late > _APPENDED * len(grown.first) + 100 else grown

    def _ids_with(self, tag_ids: Iterable[str]) -> set[str]:
        """Ids of the products that have one of these tags here."""
        columns = [self.tag_numbers[t] for t in tag_ids if t in self.tag_numbers]
        having = np.flatnonzero(np.isin(self.tags.indices, columns))
        rows = np.unique(np.searchsorted(self.tags.indptr, having, side="right") - 1)
        return {self.ids[row] for row in rows if not self.gone[row]}

    def _grown(self, changed: list[StoredDocument], library: Library, cursor: int) -> Shelf:
        gone = self.gone.copy()
        gone[[place for d in changed if (place := self.place(d.id)) is not None]] = True
        added = [document for document in changed if not document.gone]
        rows, tag_ids = _rows(added, library, self.tag_ids)
        n = len(self.ids) + len(added)
        more = len(tag_ids) - len(self.tag_ids)
        new = np.full(more, np.log(len(self.first) + 1.0), np.float32)
        rarity = np.concatenate([self.rarity, new])
        later = self.later | dict.fromkeys(document.id for document in changed)
        later |= {d.id: len(self.ids) + place for place, d in enumerate(added)}
        titles = [caption(document.title, document.description) for document in added]
        return Shelf(
            [*self.ids, *(d.id for d in added)], [*self.titles, *titles],
            np.concatenate([gone, np.zeros(len(added), np.bool_)]),
            _below(self.tags, rows, (n, len(tag_ids))), tag_ids, library, cursor, rarity,
            _below(self.unit, unit_rows(rows, rarity), (n, len(tag_ids))), self.first, later,
            self.root,
        )  # fmt: skip

    def _packed_anew(self) -> Shelf:
        kept = np.flatnonzero(~self.gone).tolist()
        return Shelf.pack(
            [self.ids[i] for i in kept], [self.titles[i] for i in kept],
            sparse.csr_array(self.tags[kept]), self.tag_ids, self.library, self.cursor,
        )  # fmt: skip


def keep_arrays(path: Path, **arrays: Any) -> None:  # noqa: ANN401  (what numpy stores)
    """Write a file of arrays, whole or not at all, also while others write it or delete its
    folder, as `Recommender.forget` does: then it is not kept."""
    temporary = path.with_name(f"{uuid.uuid4().hex}-{path.name}")
    # mkdir says that a folder exists which is deleted before it looks whether it is one.
    with suppress(FileNotFoundError, FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(temporary, **arrays)
        temporary.replace(path)


def pack_texts(texts: list[str]) -> npt.NDArray[np.uint8]:
    """Texts as bytes (JSON), which a file of arrays can hold: an array of the longest would not."""
    return np.frombuffer(json.dumps(texts, ensure_ascii=False).encode(), np.uint8)


def unpack_texts(data: npt.NDArray[np.uint8]) -> list[str]:
    """The texts that were packed."""
    texts: list[str] = json.loads(data.tobytes())
    return texts


def read_shelf(store: Store) -> Shelf:
    """All products of a store."""
    state = store.searches.state()
    library = load_library(store)
    ids: list[str] = []
    titles: list[str] = []
    tag_ids: list[str] = []
    parts = []
    for page in store.searches.documents(None, state.cursor):
        rows, tag_ids = _rows(page, library, tag_ids)
        parts.append(rows)
        ids += [document.id for document in page]
        titles += [caption(document.title, document.description) for document in page]
    width = len(tag_ids)
    parts = [
        sparse.csr_array((part.data, part.indices, part.indptr), (part.shape[0], width))
        for part in parts
    ]
    nothing = matrix_of(np.zeros(0, np.float32), np.zeros((2, 0), np.int64), (0, width))
    tags = sparse.csr_array(sparse.vstack(parts)) if parts else nothing
    return Shelf.pack(ids, titles, tags, tag_ids, library, state.cursor)


def _rows(
    documents: list[StoredDocument], library: Library, known: Iterable[str]
) -> tuple[sparse.csr_array, list[str]]:
    """Rows of tags, and the ids of their columns: the known ones and those that come new."""
    numbers = {tag: number for number, tag in enumerate(known)}

    def cells() -> Iterator[tuple[int, int, float]]:
        for place, document in enumerate(documents):
            for tag, probability in dict(tags_of(document, library)).items():
                yield place, numbers.setdefault(tag, len(numbers)), probability

    found = list(cells())
    values = np.array([p for _, _, p in found], np.float32)
    where = np.array([(i, j) for i, j, _ in found], np.int64).reshape(-1, 2).T
    return matrix_of(values, where, (len(documents), len(numbers))), list(numbers)


def _below(
    upper: sparse.csr_array, lower: sparse.csr_array, shape: tuple[int, int]
) -> sparse.csr_array:
    """One matrix below another, which may be narrower."""
    indptr = np.concatenate([upper.indptr, upper.indptr[-1] + lower.indptr[1:]])
    indices = np.concatenate([upper.indices, lower.indices])
    return sparse.csr_array((np.concatenate([upper.data, lower.data]), indices, indptr), shape)
