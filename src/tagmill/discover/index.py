"""The search index: derived from the store, kept up to date by its cursors, rebuilt at any time.

It is a list of segments, newest last, each with a mask of the products that were changed since.
Files never change: a new state is new files and then a new `manifest.json`, so that processes may
read and bring up to date one folder at the same time; the last manifest counts, and each is whole.
"""

from __future__ import annotations

import json
import math
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.discover.aside import Aside
from tagmill.discover.quantities import DIMENSIONS, number_meant
from tagmill.discover.segment import (
    CERTAIN,
    LIKELY,
    Document,
    Segment,
    SegmentBuilder,
    hash_texts,
    merge_segments,
)
from tagmill.errors import SearchError
from tagmill.library import Library
from tagmill.library.stored import load_library
from tagmill.quantities import quantity_of
from tagmill.records import PRODUCT_SCHEMA, Scores
from tagmill.store import Store
from tagmill.store.searches import SearchState, StoredDocument

__all__ = ["FORMAT", "Index", "Score", "View", "index_documents", "tags_of", "targets_of"]

FORMAT = 7
# Unpublished tags help to rank: of at least so many candidates a product those with a probability.
_CANDIDATES, _HINT = 60, 0.001
_SURMISE = CERTAIN - 0.001  # however probable it is: nobody published it, or a run was undone
_GRACE_SECONDS = 600  # before a file no manifest names is deleted: someone may be writing it


# Calibrated probabilities of a batch's tags, of at least so many candidates a product.
Score = Callable[[pa.RecordBatch, int], Scores]


@dataclass(frozen=True)
class View:
    """One state of the index: nothing in it changes while a search reads it."""

    segments: tuple[Segment, ...]
    dead: tuple[npt.NDArray[np.bool_], ...]  # one mask a segment: changed since, or gone
    library: Library
    cursor: int

    @cached_property
    def products(self) -> int:
        """How many products can be found."""
        return sum(int(len(mask) - mask.sum()) for mask in self.dead)

    @cached_property
    def has_dead(self) -> tuple[bool, ...]:
        """Which segments have products that must not be found."""
        return tuple(bool(mask.any()) for mask in self.dead)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The place of each tag id in the library."""
        return {tag_id: number for number, tag_id in enumerate(self.library.tags)}

    def names_in(self, language: str) -> tuple[list[str], list[str]]:
        """The names of all tags, and of all facets, as they are shown, by their place."""
        found = self._shown_names.get(language)
        if found is None:
            tags = [tag.name_in(language) for tag in self.library.tags.values()]
            facets = [f.names.get(language, f.key) for f in self.library.facets.values()]
            found = self._shown_names[language] = tags, facets
        return found

    @cached_property
    def _shown_names(self) -> dict[str, tuple[list[str], list[str]]]:
        return {}

    @cached_property
    def masses(self) -> dict[tuple[int, str], float]:
        """What the probabilities of a segment's living products sum up to for a tag, once asked."""
        return {}

    @cached_property
    def heads(self) -> dict[tuple[int, str], Any]:
        """The postings of words of a segment that end with a character, of a few asked lately."""
        return {}

    @cached_property
    def number_names(self) -> list[str]:
        """The names of all numbers that products have."""
        return list(dict.fromkeys(n for segment in self.segments for n in segment.number_names))

    def number_named(self, name: str) -> str:
        """The number that a name means (`number_meant`). Raises SearchError."""
        names = self.number_names
        found = number_meant(name, names)
        if found is None:
            known = ", ".join(names) or "none. Bring them in with: --map numbers.price=COLUMN"
            raise SearchError(f"No product has a number '{name.strip()}'. Known: {known}")
        return found

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many products have each tag, or may, some perhaps changed since."""
        counts: dict[str, int] = {}
        for segment in self.segments:
            likely = np.concatenate([[0], np.cumsum(segment.by_tag_probability >= LIKELY)])
            sizes = np.diff(likely[segment.by_tag_starts])
            for tag_id, size in zip(segment.tag_ids, sizes.tolist(), strict=True):
                counts[tag_id] = counts.get(tag_id, 0) + size
        return counts

    @cached_property
    def facet_of(self) -> npt.NDArray[np.int32]:
        """The number of each tag's facet, by the tag's place in the library."""
        facets = {key: number for number, key in enumerate(self.library.facets)}
        return np.array([facets[tag.facet] for tag in self.library.tags.values()], np.int32)

    @cached_property
    def tag_numbers(self) -> tuple[npt.NDArray[np.int64], ...]:
        """For each segment the place in the library of each of its tags; behind all others of one
        that is there no more, as it came with a change that was undone."""
        gone = len(self.library.tags)
        return tuple(
            np.array([self.numbers.get(t, gone) for t in segment.tag_ids], np.int64)
            for segment in self.segments
        )

    @cached_property
    def tag_places(self) -> tuple[dict[str, int], ...]:
        """Each segment's number of a tag id."""
        return tuple({t: i for i, t in enumerate(s.tag_ids)} for s in self.segments)


class Index:
    """The index of a store, in a folder. Safe to be used by several threads.

    `patience` is how many seconds a search may wait for what changed to be taken in; a change of
    many products takes longer, and is found once it is done. What then fails, be it that the
    database is away, stops no search: `problem` says it.
    """

    def __init__(
        self, store: Store, folder: Path, score: Score | None = None, patience: float = math.inf
    ) -> None:
        self._store = store
        self._folder = folder
        self._score = score
        self._patience = patience
        self._lock = Lock()
        self._aside = Aside(self._present, patience)
        self._names: list[str] = []  # folders of the segments
        self._targets: dict[str, str] = {}
        self._view: View | None = None

    def view(self) -> View:
        """The present state of the store: what was committed before this call is in it, or where
        that takes longer than the `patience`, the last state.

        The first call reads the index, or builds it where there is none or it is of another store.
        """
        before = self._view
        if before is None or self._patience == math.inf:
            return self._present()
        return self._aside.soon(before, lambda view: _is_of(view, self._store.searches.state()))

    @property
    def problem(self) -> str | None:
        """Why what changed could not be taken in, where it could not."""
        return self._aside.problem

    def _present(self) -> View:
        with self._lock:
            if self._view is None:
                self._view = self._load()
            state = self._store.searches.state()
            view = self._view
            if view is None or view.cursor > state.cursor:
                return self._rebuild(lambda done: None)
            if not _is_of(view, state):
                self._update(view, state.cursor, state.library)
            assert self._view is not None
            return self._view

    def rebuild(self, progress: Callable[[int], None] = lambda done: None) -> View:
        """Build it anew; `progress` is called with how many more products are done."""
        with self._lock:
            return self._rebuild(progress)

    def _rebuild(self, progress: Callable[[int], None]) -> View:
        state = self._store.searches.state()
        library = load_library(self._store)
        builder = SegmentBuilder()
        for page in self._store.searches.documents(None, state.cursor):
            builder.add(index_documents(page, library, self._score))
            progress(len(page))
        segment = builder.finish()
        self._targets = targets_of(library)
        view = View((segment,), (np.zeros(segment.size, np.bool_),), library, state.cursor)
        return self._keep(view)

    def _update(self, view: View, cursor: int, version: int) -> None:
        """Read again what changed: products, and those with a tag that now counts otherwise."""
        library = view.library
        pages = self._store.searches.documents(view.cursor, cursor)
        stored = {document.id: document for page in pages for document in page}
        if version != library.version:
            library = load_library(self._store)
            targets = targets_of(library)
            moved = {t for t, target in targets.items() if self._targets.get(t, t) != target}
            moved |= {t for segment in view.segments for t in segment.tag_ids} - targets.keys()
            self._targets = targets
            if moved:
                ids = {*self._store.searches.products_with(moved), *_ids_with(view, moved)}
                more = self._store.searches.documents_of(sorted(ids - stored.keys()))
                stored |= {document.id: document for page in more for document in page}
        segments, dead = list(view.segments), list(view.dead)
        if stored:
            hashes = hash_texts(list(stored))
            for number, segment in enumerate(segments):
                found = segment.find(hashes)
                if len(found):
                    dead[number] = dead[number].copy()
                    dead[number][found] = True
            living = [stored[i] for i in sorted(stored) if not stored[i].gone]
            if living:
                builder = SegmentBuilder()
                builder.add(index_documents(living, library, self._score))
                segments.append(builder.finish())
                dead.append(np.zeros(segments[-1].size, np.bool_))
        # Merged like the digits of a counter: a product is moved only a logarithm of times.
        while len(segments) > 1 and segments[-1].size * 2 >= segments[-2].size:
            merged = merge_segments(list(zip(segments, dead, strict=True))[-2:])
            segments[-2:], dead[-2:] = [merged], [np.zeros(merged.size, np.bool_)]
        self._keep(View(tuple(segments), tuple(dead), library, cursor))

    def _keep(self, view: View) -> View:
        """Write what is new of a state, then its manifest."""
        former = zip(self._view.segments if self._view else (), self._names, strict=False)
        written = {id(segment): name for segment, name in former}
        names: list[str] = []
        masks: list[str | None] = []
        for segment, dead in zip(view.segments, view.dead, strict=True):
            name = written.get(id(segment))
            if name is None or not self._is_kept(name):
                name = f"segment-{uuid.uuid4().hex}"
                segment.save(self._folder / name)
            mask = f"dead-{uuid.uuid4().hex}.npy" if dead.any() else None
            if mask:
                np.save(self._folder / mask, dead)
            names.append(name)
            masks.append(mask)
        manifest = {
            "format": FORMAT,
            "database": self._store.searches.database,
            "cursor": view.cursor,
            "library": view.library.version,
            "segments": list(map(list, zip(names, masks, strict=True))),
            "targets": {t: target for t, target in self._targets.items() if t != target},
        }
        temporary = self._folder / f"manifest-{uuid.uuid4().hex}.json"
        temporary.write_text(json.dumps(manifest), "utf-8")
        temporary.replace(self._folder / "manifest.json")
        self._names, self._view = names, view
        self._sweep({*names, *(mask for mask in masks if mask)})
        return view

    def _is_kept(self, name: str) -> bool:
        """Whether a segment's folder is still there; it is as if new to others who sweep."""
        try:
            (self._folder / name).touch()
        except OSError:
            return False
        return (self._folder / name).is_dir()

    def _load(self) -> View | None:
        """The state the folder holds; None where there is none that fits the store."""
        try:
            manifest = json.loads((self._folder / "manifest.json").read_text("utf-8"))
            if (manifest["format"], manifest["database"]) != (
                FORMAT,
                self._store.searches.database,
            ):
                return None
            segments, dead = [], []
            for name, mask in manifest["segments"]:
                segments.append(Segment.load(self._folder / name))
                dead.append(
                    np.load(self._folder / mask) if mask else np.zeros(segments[-1].size, np.bool_)
                )
        except (OSError, ValueError, KeyError):  # none yet, or damaged: it is built again
            return None
        library = load_library(self._store)
        if library.version != manifest["library"]:
            # Its tags of then are not known any more, only where they led.
            known = {tag: tag for tag in library.tags}
            self._targets = known | manifest["targets"]
            library.version = manifest["library"]
        else:
            self._targets = targets_of(library)
        self._names = [name for name, _ in manifest["segments"]]
        return View(tuple(segments), tuple(dead), library, manifest["cursor"])

    def _sweep(self, used: set[str]) -> None:
        """Delete what no manifest names any more."""
        oldest = time.time() - _GRACE_SECONDS
        for path in self._folder.iterdir():
            if path.name in used or path.name == "manifest.json":
                continue
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _is_of(view: View, state: SearchState) -> bool:
    """Whether nothing changed since."""
    return (view.cursor, view.library.version) == (state.cursor, state.library)


def index_documents(
    stored: Sequence[StoredDocument], library: Library, score: Score | None = None
) -> list[Document]:
    """Products as the index takes them; tags a person wrote on the product count as certain.

    What `score` finds less probable than what is published is a hint: it ranks products, and does
    not make them ones that have the tag.
    """
    hints = [()] * len(stored) if score is None else _hints(stored, library, score)
    tags = [list(tags_of(one, library, hint)) for one, hint in zip(stored, hints, strict=True)]
    return [
        Document(
            document.id,
            (
                document.title,
                _attributes_text(document),
                document.description,
                document.generated,
            ),
            own,
            document.first_seen,
            _quantities(own, library),
            document.numbers,
        )
        for document, own in zip(stored, tags, strict=True)
    ]


def _quantities(
    tags: Iterable[tuple[str, float]], library: Library
) -> list[tuple[str, float, float]]:
    """What tags measure that a product has, each from a least to a most."""
    certain = (library.by_id(tag_id) for tag_id, probability in tags if probability >= CERTAIN)
    found = []
    for tag in filter(None, certain):
        quantity = quantity_of(tag.name, library.facets.get(tag.facet))
        if quantity is not None and quantity.unit in DIMENSIONS:
            high = math.inf if quantity.high is None else float(quantity.high)
            found.append((quantity.unit, float(quantity.low or 0), high))
    return found


def _hints(
    stored: Sequence[StoredDocument], library: Library, score: Score
) -> list[Sequence[tuple[str, float]]]:
    """Improbable tags of each product; none where a person said all that it has."""
    names = ("id", "title", "description", "category", "attributes", "language")
    rows = [{name: getattr(document, name) for name in names} for document in stored]
    scores = score(pa.RecordBatch.from_pylist(rows, schema=PRODUCT_SCHEMA), _CANDIDATES)
    living = [tag and tag.id for tag in map(library.by_id, scores.tag_ids)]
    hints: list[Sequence[tuple[str, float]]] = []
    for row, document in enumerate(stored):
        part = slice(*scores.values.indptr[row : row + 2].tolist())
        pairs = zip(scores.values.indices[part], scores.values.data[part].tolist(), strict=True)
        found = [(living[tag], min(p, _SURMISE)) for tag, p in pairs if p >= _HINT and living[tag]]
        hints.append([] if document.labelled else [(i, p) for i, p in found if i is not None])
    return hints


def _attributes_text(document: StoredDocument) -> str:
    return "\n".join([document.category, *(f"{n} {value}" for n, value in document.attributes)])


def tags_of(
    document: StoredDocument, library: Library, hints: Sequence[tuple[str, float]] = ()
) -> Iterator[tuple[str, float]]:
    """(tag id, probability) of a product, with what its tags imply."""
    tags = {i: p for i, p in hints if i not in document.refused} | dict(document.tags)
    for tag_id, probability in list(tags.items()):
        tag = library.by_id(tag_id)
        for wider in library.ancestors(tag) if tag is not None else ():
            tags[wider] = max(tags.get(wider, 0.0), probability)
    yield from tags.items()


def targets_of(library: Library) -> dict[str, str]:
    """Tag id → ids of the tag that counts in its place, and of what that implies; empty for a
    retired one."""
    targets: dict[str, str] = {}
    for tag_id in library.tags:
        tag = library.by_id(tag_id)
        if tag is None or tag.status == "retired":
            targets[tag_id] = ""
        else:
            targets[tag_id] = " ".join([tag.id, *library.ancestors(tag)])
    return targets


def _ids_with(view: View, tag_ids: Iterable[str]) -> Iterator[str]:
    """Ids of the living products that the index knows under one of these tags."""
    for segment, dead, places in zip(view.segments, view.dead, view.tag_places, strict=True):
        for tag_id in tag_ids:
            if tag_id in places:
                place = places[tag_id]
                part = slice(*segment.by_tag_starts[place : place + 2])
                found = segment.by_tag_documents[part]
                yield from segment.shown.column("id").take(found[~dead[found]]).to_pylist()
