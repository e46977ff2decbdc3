"""What searches and clicks say of the library: words that people use for a tag.

A word that no tag is named by, and after which people nearly always open products of one tag,
may be another name of that tag. Tags that the query names itself explain nothing.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from tagmill.discover.index import tags_of
from tagmill.discover.query import QueryParser
from tagmill.library import Library
from tagmill.library.stored import load_library
from tagmill.records import Tag
from tagmill.store import Store
from tagmill.store.searches import LoggedSearch, StoredDocument

__all__ = ["Clicked", "clicked_words", "log_searches"]

_MOST_WORDS = 3  # of a name that is looked for
_FEWEST_PRODUCTS = 2  # with one, the word may be the product's own
_SHARE = 0.6  # of clicks on products of the tag, at the least, with `_Z` for chance
_LIFT = 2.0  # times the tag's share of all products
_SAMPLE = 4096  # products whose tags say what is usual
_Z = 1.64  # one-sided 95%


@dataclass(frozen=True)
class Clicked:
    """A word of searches: of `of` clicks, `clicks` were on products of the tag."""

    tag: Tag
    clicks: int
    of: int

    @property
    def share(self) -> float:
        """The share of clicks at the least: Wilson's lower bound at 95%."""
        return _at_least(self.clicks, self.of)


@dataclass
class _Term:
    clicks: int = 0
    products: set[str] = field(default_factory=set)
    tags: Counter[str] = field(default_factory=Counter)


def log_searches(store: Store, found: Sequence[tuple[str, str]]) -> int:
    """Keep searches (query, at) that were made elsewhere; how many are new."""
    if not found:
        return 0
    parser = QueryParser(load_library(store))
    parsed = ((query, parser.parse(query), at) for query, at in found)
    return store.searches.log(
        LoggedSearch(0, query, tuple(one.tag_ids), tuple(one.loose_words), None, at)
        for query, one, at in parsed
    )


def clicked_words(store: Store, library: Library) -> dict[str, tuple[int, Clicked | None]]:
    """Word, or words side by side, that no tag covers → its clicks, and the tag it may name."""
    clicks = store.events.clicks()
    if not clicks:
        return {}
    met = sorted({product for _, product, _ in clicks})
    tags = _tags_of(library, chain.from_iterable(store.searches.documents_of(met)))
    parser, parsed = QueryParser(library), dict[str, tuple[set[str], list[str]]]()
    terms: dict[str, _Term] = defaultdict(_Term)
    sampled = _tags_of(library, store.searches.sample(_SAMPLE))
    counts = Counter(tag_id for has in sampled.values() for tag_id in has)
    usual = {tag_id: count / len(sampled) for tag_id, count in counts.items()}
    for query, product, count in clicks:
        if product not in tags:
            continue
        if query not in parsed:
            asked = parser.parse(query)
            parsed[query] = set(asked.tag_ids), _terms_of(asked.loose_words, query)
        named, names = parsed[query]
        for name in names:
            term = terms[name]
            term.clicks += count
            term.products.add(product)
            term.tags.update({tag: count for tag in tags[product] if tag not in named})
    return {name: (term.clicks, _named_by(term, usual, library)) for name, term in terms.items()}


def _terms_of(words: Sequence[str], query: str) -> list[str]:
    """The words, and all of them together where they stand so in the query."""
    whole = [" ".join(words)] if 1 < len(words) <= _MOST_WORDS else []
    return [*words, *(text for text in whole if text in query.lower())]


def _named_by(term: _Term, usual: Mapping[str, float], library: Library) -> Clicked | None:
    """The tag that a term stands for; of equals the one that is rarer elsewhere."""
    if len(term.products) < _FEWEST_PRODUCTS:
        return None
    best: Clicked | None = None
    most = 0.0
    for tag_id, clicks in term.tags.items():
        share = _at_least(clicks, term.clicks)
        lift = (clicks / term.clicks) / max(usual.get(tag_id, 0), 1 / _SAMPLE)
        if share >= _SHARE and lift >= _LIFT and share * math.log(lift) > most:
            most = share * math.log(lift)
            best = Clicked(library.tags[tag_id], clicks, term.clicks)
    return best


def _tags_of(library: Library, documents: Iterable[StoredDocument]) -> dict[str, list[str]]:
    """Product → ids of the tags that it more likely has than not."""
    return {
        document.id: [tag for tag, p in dict(tags_of(document, library)).items() if p >= 0.5]
        for document in documents
        if not document.gone
    }


def _at_least(clicks: int, of: int) -> float:
    """Wilson's lower bound of a share (Wilson 1927)."""
    share, z2 = clicks / of, _Z * _Z
    middle = share + z2 / (2 * of)
    spread = _Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return (middle - spread) / (1 + z2 / of)
