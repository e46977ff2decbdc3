"""Values that stand in products' texts, whether the library has them or not.

The extractor finds spans of facets; spans of one product and facet that say the same are one value,
with the probability of its likeliest span. A value that a tag is named like is a source of the
fusion, others are what `proposer.py` makes new names of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.library.vocabulary import Library
from tagmill.tagging.candidates import MISSING
from tagmill.tagging.crf import Crf
from tagmill.tagging.sequences import Sequences
from tagmill.text import normal_form

__all__ = ["SPAN_FEATURES", "TagFinder", "Values", "facet_places", "log_odds", "read_values"]

# What the fusion reads of the values of a product, behind all other sources.
SPAN_FEATURES: tuple[str, ...] = (
    "span",  # log-odds of the value that the tag is named like; MISSING without one
    "span_rival",  # log-odds of the facet's likeliest other value; MISSING without one
)
_LEAST = 0.05  # posterior of a span that is worth a look
_SUREST = 1e-4
_normal_form = lru_cache(65536)(normal_form)


def facet_places(
    library: Library, tag_ids: npt.NDArray[np.object_], facets: npt.NDArray[np.str_]
) -> npt.NDArray[np.int32]:
    """The place among `facets` of the facet of each tag, (m,); -1: not among them."""
    place = {facet: number for number, facet in enumerate(facets.tolist())}
    return np.array([place.get(library.tags[tag_id].facet, -1) for tag_id in tag_ids], np.int32)


class TagFinder:
    """Tags of a library by facet and spelling, in the numbering of an extractor's facets."""

    def __init__(
        self,
        library: Library,
        tag_ids: npt.NDArray[np.object_],
        facets: npt.NDArray[np.str_],
        known: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Of the tags (m,), or of the `known` (m,) of them."""
        self.facets = facet_places(library, tag_ids, facets)  # (m,)
        self.form = library.form if library.verbatim else _normal_form
        self._tags: dict[tuple[int, str], int] = {}
        self._alike: dict[tuple[int, str], int] = {}
        for place, tag_id in enumerate(tag_ids):
            if known is not None and not known[place]:
                continue
            facet = int(self.facets[place])
            for name in library.names_of(library.tags[tag_id]):
                self._tags.setdefault((facet, self.form(name)), place)
                self._alike.setdefault((facet, _normal_form(name)), place)

    def find(
        self, pairs: Sequence[Sequence[int]], texts: Sequence[str], forms: Sequence[str]
    ) -> list[tuple[int, int]]:
        """Of each (facet, number of a text) the tag of the facet that has this name, or else one
        whose name has the same normal form (in a verbatim library they are two); -1: none.

        `forms` are the texts' by `form`.
        """
        plain = forms if self.form is _normal_form else [_normal_form(text) for text in texts]
        tags, alike = self._tags, self._alike
        found = []
        for facet, text in pairs:
            tag = tags.get((facet, forms[text]), -1)
            found.append((tag, -1 if tag >= 0 else alike.get((facet, plain[text]), -1)))
        return found


@dataclass(frozen=True)
class Values:
    """Values in a batch: arrays with one entry each, by row and facet, the likeliest first."""

    rows: npt.NDArray[np.int32]
    facets: npt.NDArray[np.int32]  # as the extractor numbers them
    tags: npt.NDArray[np.int32]  # index into the model's tag ids; -1: the library has none
    alike: npt.NDArray[np.int32]  # without such a tag one with the same normal form; -1: none
    posterior: npt.NDArray[np.float64]  # of its likeliest span
    spans: npt.NDArray[np.int32]  # how many spans say it
    tokens: npt.NDArray[np.int32]  # of its likeliest span
    fields: npt.NDArray[np.int32]  # index into `field_names`, of that span
    starts: npt.NDArray[np.int32]  # characters of the field's text
    ends: npt.NDArray[np.int32]
    texts: npt.NDArray[np.object_]
    ranks: npt.NDArray[np.int32]  # within row and facet
    rivals: npt.NDArray[np.float64]  # posterior of the facet's likeliest other value; 0: none
    field_names: list[str]
    tag_facets: npt.NDArray[np.int32]  # (m,) facet of each tag; -1: not extracted

    @staticmethod
    def concatenate(parts: Sequence[Values], rows: Sequence[npt.NDArray[np.int64]]) -> Values:
        """Those of several batches as of one, in which batch i has the `rows[i]`."""
        names = list(dict.fromkeys(name for part in parts for name in part.field_names))
        moved = [
            replace(
                part, rows=own[part.rows].astype(np.int32),
                fields=np.array([names.index(n) for n in part.field_names], np.int32)[part.fields],
            )
            for part, own in zip(parts, rows, strict=True)
        ]  # fmt: skip
        joined = {
            name: np.concatenate([getattr(part, name) for part in moved]) for name in _BY_VALUE
        }
        whole = Values(**joined, field_names=names, tag_facets=moved[0].tag_facets)
        return whole._of(np.argsort(whole.rows, kind="stable"))

    def take(self, rows: npt.NDArray[np.int64]) -> Values:
        """Those of some rows, ascending, as of a batch of these alone."""
        numbers = np.searchsorted(rows, self.rows)
        chosen = np.flatnonzero(np.isin(self.rows, rows))
        return replace(self, rows=numbers.astype(np.int32))._of(chosen)

    def _of(self, chosen: npt.NDArray[np.int64]) -> Values:
        return replace(self, **{name: getattr(self, name)[chosen] for name in _BY_VALUE})

    def keys(self) -> npt.NDArray[np.int64]:
        """row · m + tag of the values that a tag is named like or nearly, ascending."""
        tags = np.maximum(self.tags, self.alike)
        known = tags >= 0
        return np.unique(self.rows[known].astype(np.int64) * len(self.tag_facets) + tags[known])

    def columns(
        self, rows: npt.NDArray[np.int32], tags: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """`SPAN_FEATURES` of pairs, (c, 2)."""
        of_values = np.maximum(self.tags, self.alike)
        own, place = _match(
            self.rows, of_values, np.flatnonzero(of_values >= 0), rows, tags, len(self.tag_facets)
        )
        facets = self.tag_facets[tags]
        best, at = _match(
            self.rows, self.facets, np.flatnonzero(self.ranks == 0), rows, facets,
            int(self.tag_facets.max(initial=0)) + 1,
        )  # fmt: skip
        out = np.full((len(rows), 2), MISSING, np.float32)
        out[own, 0] = log_odds(self.posterior[place[own]])
        out[best, 1] = log_odds(self.posterior[at[best]])
        alone = own & (self.rivals[place] == 0)
        out[own, 1] = log_odds(self.rivals[place[own]])
        out[alone, 1] = MISSING
        return out


_OF_BATCH = ("field_names", "tag_facets")
_BY_VALUE = [field.name for field in fields(Values) if field.name not in _OF_BATCH]


def _match(
    rows: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    members: npt.NDArray[np.int64],
    wanted_rows: npt.NDArray[np.int32],
    wanted_columns: npt.NDArray[np.int32],
    width: int,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Whether one of the `members` has a wanted row and column (w,), and which (w,)."""
    if not len(members):
        return np.zeros(len(wanted_rows), np.bool_), np.zeros(len(wanted_rows), np.int64)
    keys = rows[members].astype(np.int64) * width + columns[members]
    order = np.argsort(keys, kind="stable")
    wanted = wanted_rows.astype(np.int64) * width + wanted_columns
    at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found = (keys[order[at]] == wanted) & (wanted_columns >= 0)
    return found, members[order[at]]


def log_odds(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of probabilities, kept within what can be told."""
    clipped = np.clip(probability, _SUREST, 1 - _SUREST)
    odds: npt.NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds


def read_values(crf: Crf, finder: TagFinder, batch: pa.RecordBatch) -> Values:
    """The values in a batch of `PRODUCT_SCHEMA`."""
    sequences = Sequences.of(batch, crf.names)
    found = crf.find(sequences, _LEAST)
    starts, ends = sequences.starts[found.first], sequences.ends[found.end - 1]
    texts = sequences.texts.cut(found.sequences.astype(np.int64), starts, ends)
    tags, alike, meanings = _meanings(finder, found.facets, texts)
    rows = sequences.rows[found.sequences]
    of_facets = rows.astype(np.int64) * crf.facets + found.facets
    said = of_facets * (int(meanings.max(initial=0)) + 1) + meanings
    order = np.lexsort((-found.posterior, said))
    first = np.flatnonzero(np.diff(said[order], prepend=-1))
    counts = np.diff(np.append(first, len(order)))
    best = order[first]  # the likeliest span of each value
    by_facet = np.lexsort((-found.posterior[best], of_facets[best]))
    best, counts = best[by_facet], counts[by_facet]
    posterior = found.posterior[best]
    ranks, rivals = _compare(rows[best], found.facets[best], posterior)
    return Values(
        rows[best], found.facets[best], tags[best], alike[best], posterior, counts.astype(np.int32),
        (found.end - found.first)[best], sequences.fields[found.sequences[best]], starts[best],
        ends[best], np.array(texts.take(pa.array(best)).to_pylist(), object), ranks, rivals,
        sequences.field_names, finder.facets,
    )  # fmt: skip


def _meanings(
    finder: TagFinder, facets: npt.NDArray[np.int32], texts: pa.StringArray
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The tag of each span, one nearly named so, and a number that spans of one facet share where
    they say the same."""
    encoded = texts.dictionary_encode()
    spelled = encoded.dictionary.to_pylist()
    pairs = facets.astype(np.int64) * max(len(spelled), 1) + np.asarray(encoded.indices, np.int64)
    unique, places = np.unique(pairs, return_inverse=True)
    written = [finder.form(text) for text in spelled]
    of_pairs = np.stack(np.divmod(unique, max(len(spelled), 1)), axis=1)
    found = finder.find(of_pairs.tolist(), spelled, written)
    tags, alike = np.array(found, np.int32).reshape(-1, 2).T
    numbers: dict[str, int] = {}
    forms = [numbers.setdefault(form, len(numbers)) for form in written]
    free = np.array(forms, np.int64)[encoded.indices] + len(finder.facets)
    return tags[places], alike[places], np.where(tags[places] >= 0, tags[places], free)


def _compare(
    rows: npt.NDArray[np.int32], facets: npt.NDArray[np.int32], posterior: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Rank and best rival of each value, which are ordered by row, facet and posterior."""
    size = len(rows)
    new = np.ones(size, np.bool_)
    new[1:] = (np.diff(rows) != 0) | (np.diff(facets) != 0)
    first = np.flatnonzero(new)
    group = np.cumsum(new) - 1
    ranks = (np.arange(size) - first[group]).astype(np.int32) if size else np.zeros(0, np.int32)
    has_second = np.append(~new[1:], False) if size else np.zeros(0, np.bool_)
    second = np.where(has_second, np.append(posterior[1:], 0.0), 0.0) if size else posterior
    best = posterior[first[group]] if size else posterior
    return ranks, np.where(ranks == 0, second, best)
