"""Where the names of products' own tags stand: labels for the span extractor, by no one's hand.

Distant supervision (Mintz et al. 2009): a tag that a product was given and that is named in its
text labels those words. What is spelled just like the tag goes before what only means it, longer
names before shorter ones inside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tagmill.learning.dataset import LabelMatrix
from tagmill.library.vocabulary import Library
from tagmill.tagging.sequences import Sequences
from tagmill.text import Folded, fold

__all__ = ["SpanLabels", "label_spans"]

_FEWEST = 3  # spans of a facet from which it can be learned


@dataclass(frozen=True)
class SpanLabels:
    """Spans of the tags of sampled products: sequence, tag, first and last token (k, 4)."""

    spans: npt.NDArray[np.int64]
    named: int  # (product, tag) pairs with a span …
    pairs: int  # … of so many

    def facets(self, of_tags: npt.NDArray[np.object_]) -> npt.NDArray[np.str_]:
        """The facets that have enough spans, ascending; `of_tags` (m,) is each tag's."""
        names, counts = np.unique(of_tags[self.spans[:, 1]].astype(str), return_counts=True)
        return np.asarray(names[counts >= _FEWEST], np.str_)

    def states(
        self, tokens: int, facet_of_tag: npt.NDArray[np.int32], facets: int
    ) -> npt.NDArray[np.int32]:
        """The state of each token, as `Crf` numbers them."""
        states = np.zeros(tokens, np.int32)
        lengths = self.spans[:, 3] - self.spans[:, 2]
        for place in np.lexsort((self.spans[:, 1], self.spans[:, 2], -lengths)):
            _, tag, first, end = self.spans[place]
            facet = facet_of_tag[tag]
            if facet >= 0 and not states[first:end].any():
                states[first:end] = 1 + facets + facet
                states[first] = 1 + facet
        return states


def label_spans(
    sequences: Sequences, labels: LabelMatrix, library: Library, tag_ids: npt.NDArray[np.object_]
) -> SpanLabels:
    """The spans of names of the accepted tags (rows as in `labels`) in the texts."""
    numbers = np.arange(len(sequences))
    whole = np.full(len(sequences), np.iinfo(np.int32).max, np.int32)
    texts = sequences.texts.cut(numbers, np.zeros(len(sequences), np.int32), whole).to_pylist()
    values = labels.values
    names: dict[int, list[tuple[str, str]]] = {}  # of a tag: as it is spelled, and folded
    spans: list[tuple[int, int, int, int]] = []
    named: set[tuple[int, int]] = set()
    for number, row in enumerate(sequences.rows.tolist()):
        own = slice(values.indptr[row], values.indptr[row + 1])
        tags = values.indices[own][values.data[own] > 0].tolist()
        if not tags:
            continue
        text, folded = texts[number], fold(texts[number])
        first, last = sequences.first[number], sequences.first[number + 1]
        begins = {start: first + i for i, start in enumerate(sequences.starts[first:last].tolist())}
        ends = {end: first + i + 1 for i, end in enumerate(sequences.ends[first:last].tolist())}
        for tag in tags:
            if tag not in names:
                spelled = library.names_of(library.tags[tag_ids[tag]])
                names[tag] = [(name.strip(), fold(name).text) for name in spelled]
            for start, end in _places(text, folded, names[tag], begins, ends):
                spans.append((number, tag, begins[start], ends[end]))
                named.add((row, tag))
    pairs = int((values.data > 0).sum())
    return SpanLabels(np.array(spans, np.int64).reshape(-1, 4), len(named), pairs)


def _places(
    text: str,
    folded: Folded,
    names: list[tuple[str, str]],
    begins: Mapping[int, int],
    ends: Mapping[int, int],
) -> list[tuple[int, int]]:
    """Where one of the names stands, in characters, from the beginning of a token to the end of
    one; only where it is spelled so, if anywhere."""
    exact = [(at, at + len(name)) for name, _ in names for at in _occurrences(text, name)]
    kept = [span for span in exact if span[0] in begins and span[1] in ends]
    if kept:
        return kept
    alike = [
        folded.span(at, at + len(form))
        for _, form in names
        if form
        for at in _occurrences(folded.text, form)
    ]
    return [span for span in alike if span[0] in begins and span[1] in ends]


def _occurrences(text: str, name: str) -> list[int]:
    places = []
    at = text.find(name)
    while at >= 0:
        places.append(at)
        at = text.find(name, at + 1)
    return places
