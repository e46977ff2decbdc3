"""What the words of a span say: which tag is named so, and which spellings say the same.

Shops write the same words again and again, so what a spelling says is looked up by its bytes, and
only a new one is normalised and compared with the names of tags.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

import numba
import numpy as np
import numpy.typing as npt

from tagmill.kernels import kernel
from tagmill.library.vocabulary import Library
from tagmill.tagging.crf import FoundSpans
from tagmill.tagging.features import _mix
from tagmill.tagging.sequences import Sequences
from tagmill.text import normal_form

__all__ = ["MEANING", "Spellings", "facet_places"]

# What a spelling says in a facet: a hash of both (0: a free place), the tag so named, or else one
# whose name has the same normal form (-1: none), and what spellings that say the same share.
MEANING = np.dtype(
    [("key", np.uint64), ("tag", np.int32), ("alike", np.int32), ("says", np.int64)]
)  # fmt: skip
_REMEMBERED = 2**16  # spellings
_normal_form = lru_cache(65536)(normal_form)


def facet_places(
    library: Library, tag_ids: npt.NDArray[np.object_], facets: npt.NDArray[np.str_]
) -> npt.NDArray[np.int32]:
    """The place among `facets` of the facet of each tag, (m,); -1: not among them."""
    place = {facet: number for number, facet in enumerate(facets.tolist())}
    return np.array([place.get(library.tags[tag_id].facet, -1) for tag_id in tag_ids], np.int32)


class Spellings:
    """What spellings say in a library, facets numbered as an extractor has them."""

    def __init__(
        self,
        library: Library,
        tag_ids: npt.NDArray[np.object_],
        facets: npt.NDArray[np.str_],
        known: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Of the tags (m,), or of the `known` (m,) of them."""
        self.facets = facet_places(library, tag_ids, facets)  # (m,)
        self._library, self._facet_keys = library, facets.tolist()
        self._tags: dict[tuple[int, str], int] = {}
        self._alike: dict[tuple[int, str], int] = {}
        for place, tag_id in enumerate(tag_ids):
            if known is not None and not known[place]:
                continue
            facet = int(self.facets[place])
            for name in library.names_of(library.tags[tag_id]):
                for form in self._forms(facet, name):
                    self._tags.setdefault((facet, form), place)
                self._alike.setdefault((facet, _normal_form(name)), place)

        self._known = np.zeros(2 * _REMEMBERED, MEANING)  # a hash table with open addressing
        self._used = 0
        self._lock = Lock()

    def meanings(self, sequences: Sequences, found: FoundSpans) -> npt.NDArray[np.void]:
        """What each span says, of MEANING (k,)."""
        starts, ends = sequences.starts[found.first], sequences.ends[found.end - 1]
        hashes = sequences.texts.hashes(found.sequences, starts, ends)
        meanings: npt.NDArray[np.void]
        with self._lock:
            meanings, new = _look_up(self._known, hashes, found.facets)
        if len(new):
            texts = sequences.texts.cut(
                found.sequences[new].astype(np.int64), starts[new], ends[new]
            ).to_pylist()
            keys, facets = meanings["key"][new].tolist(), found.facets[new].tolist()
            learned: dict[int, tuple[int, int, int]] = {}
            for key, facet, text in zip(keys, facets, texts, strict=True):
                if key not in learned:
                    learned[key] = self._meaning(facet, text)
            meanings[new] = np.array([(key, *learned[key]) for key in keys], MEANING)
            self._remember(np.array([(key, *said) for key, said in learned.items()], MEANING))
        return meanings

    def _meaning(self, facet: int, text: str) -> tuple[int, int, int]:
        """`tag`, `alike` and `says` of MEANING."""
        form, *measured = self._forms(facet, text)
        tags = (self._tags.get((facet, one), -1) for one in (form, *measured))
        tag = next((one for one in tags if one >= 0), -1)
        alike = -1 if tag >= 0 else self._alike.get((facet, _normal_form(text)), -1)
        return tag, alike, tag if tag >= 0 else -1 - abs(hash(form))

    def _forms(self, facet: int, text: str) -> tuple[str, ...]:
        return self._library.forms(self._facet_keys[facet] if facet >= 0 else "", text)

    def _remember(self, learned: npt.NDArray[np.void]) -> None:
        learned = learned[:_REMEMBERED]
        with self._lock:
            if self._used + len(learned) > _REMEMBERED:
                self._known[:] = 0
                self._used = 0
            self._used += _put(self._known, learned)


@numba.njit(nogil=True)
def _place_of(table, key):  # type: ignore[no-untyped-def]
    """Where a key stands, or where it is to stand."""
    place = np.int64(key >> np.uint64(20)) & (len(table) - 1)
    while table[place].key != 0 and table[place].key != key:
        place = (place + 1) & (len(table) - 1)
    return place


@kernel
def _look_up(table, hashes, facets):  # type: ignore[no-untyped-def]
    """Meanings (k,), and which of them are not known and have their key only."""
    meanings = np.empty(len(hashes), MEANING)
    new = np.empty(len(hashes), np.int64)
    count = 0
    for i in range(len(hashes)):
        key = _mix(hashes[i] + np.uint64(facets[i])) | np.uint64(1)
        entry = table[_place_of(table, key)]
        if entry.key != 0:
            meanings[i] = entry
        else:
            meanings[i].key = key
            new[count] = i
            count += 1
    return meanings, new[:count]


@kernel
def _put(table, learned):  # type: ignore[no-untyped-def]
    """Add what was learned; how many of it was not there."""
    added = 0
    for i in range(len(learned)):
        place = _place_of(table, learned[i].key)
        added += table[place].key == 0
        table[place] = learned[i]
    return added
