"""Which products a change of the library can touch: those that need their tags anew.

A product is touched where it has one of the changed tags, where the name of one stands in its
text, before or after the change, or where the text of a new tag is like its own. All others keep
the tags they have, whatever else changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.library.vocabulary import Library
from tagmill.records import PRODUCT_SCHEMA, Tag
from tagmill.tagging.lexicon import LexiconTagger
from tagmill.tagging.model import Model

__all__ = ["Touched"]


class Touched:
    """What differs between two states of a library, and how products meet it."""

    def __init__(self, before: Library, model: Model) -> None:
        after = model.library
        self._model = model
        changed = _changed(before, after)
        self.new_ids = frozenset(changed - before.tags.keys())
        wider = {
            identifier
            for library in (before, after)
            for tag_id in changed
            if tag_id in library.tags
            for identifier in library.ancestors(library.tags[tag_id])
        }
        self.tag_ids = frozenset(changed | wider)
        self._lexicons = [
            LexiconTagger(Library(named, library.facets.values(), verbatim=library.verbatim))
            for library in (before, after)
            if (named := [library.tags[i] for i in library.tags if i in changed])
        ]

    def __bool__(self) -> bool:
        return bool(self.tag_ids)

    def in_text(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Which products (n,) name a changed tag, or are like the text of a new one."""
        return self._model.like(batch, self.new_ids) | self._named(batch)

    def in_queries(self, queries: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which queries (n,) name a changed tag."""
        rows = [{"id": str(i), "title": query} for i, query in enumerate(queries)]
        return self._named(pa.RecordBatch.from_pylist(rows, schema=PRODUCT_SCHEMA))

    def _named(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        found = np.zeros(batch.num_rows, np.bool_)
        for lexicon in self._lexicons:
            found[lexicon.find(batch).rows] = True
        return found


def _changed(before: Library, after: Library) -> set[str]:
    """The ids of the tags whose products may have other tags in `after`."""
    facets = {
        key
        for key in {*before.facets, *after.facets}
        if before.facets.get(key) != after.facets.get(key)
    }
    changed = set()
    for tag_id in {**before.tags, **after.tags}:
        old, new = before.tags.get(tag_id), after.tags.get(tag_id)
        in_facet = any(tag is not None and tag.facet in facets for tag in (old, new))
        if in_facet or _compared(old) != _compared(new):
            changed.add(tag_id)
    return changed


def _compared(tag: Tag | None) -> Tag | None:
    """A tag without what no product's tags depend on."""
    return None if tag is None else replace(tag, matches=())
