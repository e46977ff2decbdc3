"""The products of a store with their tags as a matrix: what recommendation looks at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.discover.index import tags_of
from tagmill.discover.item_model import matrix_of, tag_rows
from tagmill.library import Library
from tagmill.library.stored import load_library
from tagmill.store import Store
from tagmill.store.searches import StoredDocument

__all__ = ["Shelf", "read_shelf"]


@dataclass(frozen=True)
class Shelf:
    """n products, m tags; `tags` (n, m) are probabilities, `gone` (n,) left the catalogue."""

    ids: list[str]
    titles: list[str]
    gone: npt.NDArray[np.bool_]
    tags: sparse.csr_array
    tag_ids: list[str]
    library: Library
    cursor: int

    @cached_property
    def places(self) -> dict[str, int]:
        """Product id → its row."""
        return {product: place for place, product in enumerate(self.ids)}

    @cached_property
    def tag_numbers(self) -> dict[str, int]:
        """Tag id → its column."""
        return {tag: number for number, tag in enumerate(self.tag_ids)}

    @cached_property
    def unit(self) -> sparse.csr_array:
        """(n, m) the tags as vectors of length 1, rare ones longer; cosines are products."""
        return sparse.csr_array(tag_rows(self.tags).T)

    def save(self, folder: Path) -> None:
        """Write it, but for the library, which is the store's."""
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / "shelf.tmp.npz"
        np.savez(
            temporary, ids=_packed(self.ids), titles=_packed(self.titles), gone=self.gone,
            indptr=self.tags.indptr, indices=self.tags.indices, data=self.tags.data,
            tag_ids=_packed(self.tag_ids), cursor=self.cursor, version=self.library.version,
        )  # fmt: skip
        temporary.replace(folder / "shelf.npz")

    @staticmethod
    def load(folder: Path, store: Store) -> Shelf | None:
        """What the folder holds; None where there is none, or of another version of the library."""
        try:
            with np.load(folder / "shelf.npz") as kept:
                state = store.searches.state()
                if int(kept["version"]) != state.library or int(kept["cursor"]) > state.cursor:
                    return None
                ids, tag_ids = _unpacked(kept["ids"]), _unpacked(kept["tag_ids"])
                tags = sparse.csr_array(
                    (kept["data"], kept["indices"], kept["indptr"]), (len(ids), len(tag_ids))
                )
                return Shelf(
                    ids, _unpacked(kept["titles"]), kept["gone"], tags, tag_ids,
                    load_library(store), int(kept["cursor"]),
                )  # fmt: skip
        except (OSError, ValueError, KeyError):  # none yet, or damaged: the store is read again
            return None

    def brought_up_to_date(self, store: Store) -> Shelf:
        """The shelf as the store is now; itself where nothing changed."""
        state = store.searches.state()
        if state.library != self.library.version:
            return read_shelf(store)
        if state.cursor == self.cursor:
            return self
        pages = store.searches.documents(self.cursor, state.cursor)
        changed = {document.id: document for page in pages for document in page}
        kept = np.array([i not in changed for i in self.ids], np.bool_)
        rows = sparse.csr_array(self.tags[np.flatnonzero(kept)])
        before = [
            _Row(i, title, bool(gone), {})
            for i, title, gone, keep in zip(self.ids, self.titles, self.gone, kept, strict=True)
            if keep
        ]
        added = [_row(document, self.library) for document in changed.values()]
        return _shelf(before, added, rows, self.tag_ids, self.library, state.cursor)


@dataclass
class _Row:
    id: str
    title: str
    gone: bool
    tags: dict[str, float]


def _packed(texts: list[str]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(texts, ensure_ascii=False).encode(), np.uint8)


def _unpacked(data: npt.NDArray[np.uint8]) -> list[str]:
    texts: list[str] = json.loads(data.tobytes())
    return texts


def read_shelf(store: Store) -> Shelf:
    """All products of a store."""
    state = store.searches.state()
    library = load_library(store)
    rows = [_row(d, library) for page in store.searches.documents(None, state.cursor) for d in page]
    nothing = matrix_of(np.zeros(0, np.float32), np.zeros((2, 0), np.int64), (0, 0))
    return _shelf([], rows, nothing, [], library, state.cursor)


def _row(document: StoredDocument, library: Library) -> _Row:
    return _Row(document.id, document.title, document.gone, dict(tags_of(document, library)))


def _shelf(
    before: list[_Row],
    added: list[_Row],
    known: sparse.csr_array,
    tag_ids: Iterable[str],
    library: Library,
    cursor: int,
) -> Shelf:
    numbers = {tag: number for number, tag in enumerate(tag_ids)}

    def cells() -> Iterator[tuple[int, int, float]]:
        for place, row in enumerate(added):
            for tag, probability in row.tags.items():
                yield place, numbers.setdefault(tag, len(numbers)), probability

    found = list(cells())
    values = np.array([p for _, _, p in found], np.float32)
    where = np.array([(i, j) for i, j, _ in found], np.int64).reshape(-1, 2).T
    tags = matrix_of(values, where, (len(added), len(numbers)))
    if before:
        shape = (len(before), len(numbers))
        wider = sparse.csr_array((known.data, known.indices, known.indptr), shape=shape)
        tags = sparse.csr_array(sparse.vstack([wider, tags]))
    rows = [*before, *added]
    gone = np.array([row.gone for row in rows], np.bool_)
    return Shelf(
        [row.id for row in rows], [row.title for row in rows], gone, tags, list(numbers), library,
        cursor,
    )  # fmt: skip
