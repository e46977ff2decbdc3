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
from tagmill.discover.query import Query, QueryParser
from tagmill.library import Library
from tagmill.probability import is_shown
from tagmill.records import Tag
from tagmill.store import Store
from tagmill.store.searches import LoggedSearch, StoredDocument

__all__ = ["Clicked", "clicked_words", "log_searches"]

_MOST_WORDS = 3  # of a name that is looked for
_FEWEST_PRODUCTS = 2  # with one, the word may be the product's own
_SHARE, _LEVEL = 0.6, 0.05  # of clicks on products of the tag, at the least; how sure
_LIFT = 2.0  # times the tag's share of all products
_SAMPLE = 4096  # products whose tags say what is usual


@dataclass(frozen=True)
class Clicked:
    """A word of searches: of `of` clicks, `clicks` were on products of the tag."""

    tag: Tag
    clicks: int
    of: int


@dataclass
class _Term:
    """A word, or words side by side, that names no tag."""

    clicks: Counter[str] = field(default_factory=Counter)  # by product
    tags: Counter[str] = field(default_factory=Counter)  # clicks on products of each

    @property
    def total(self) -> int:
        return self.clicks.total()

    @property
    def may_name(self) -> bool:
        """Whether there is enough to look at its products."""
        return len(self.clicks) >= _FEWEST_PRODUCTS and is_shown(0, self.total, _SHARE, _LEVEL)


def log_searches(store: Store, parser: QueryParser, found: Sequence[tuple[str, str]]) -> int:
    """Keep searches (query, at) that were made elsewhere; how many are new."""
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
    parser = QueryParser(library)
    asked = {query: parser.parse(query) for query, _, _ in clicks}
    names = {query: _terms_of(one.loose_words, query) for query, one in asked.items()}
    terms: dict[str, _Term] = defaultdict(_Term)
    for query, product, count in clicks:
        for name in names[query]:
            terms[name].clicks[product] += count
    telling = {name: term for name, term in terms.items() if term.may_name}
    if telling:
        _count_tags(store, library, telling, clicks, asked, names)
    usual = _usual(store, library) if telling else {}
    return {name: (term.total, _named_by(term, usual, library)) for name, term in terms.items()}


def _count_tags(
    store: Store,
    library: Library,
    terms: Mapping[str, _Term],
    clicks: Iterable[tuple[str, str, int]],
    asked: Mapping[str, Query],
    names: Mapping[str, Sequence[str]],
) -> None:
    """Fill in the tags of the products that were opened; not those that the query names."""
    met = sorted({product for term in terms.values() for product in term.clicks})
    tags = _tags_of(library, chain.from_iterable(store.searches.documents_of(met)))
    for query, product, count in clicks:
        named = set(asked[query].tag_ids)
        for name in names[query]:
            if name in terms:
                new = {tag: count for tag in tags.get(product, ()) if tag not in named}
                terms[name].tags.update(new)


def _terms_of(words: Sequence[str], query: str) -> list[str]:
    """The words, and all of them together where they stand so in the query."""
    whole = [" ".join(words)] if 1 < len(words) <= _MOST_WORDS else []
    return [*words, *(text for text in whole if text in query.lower())]


def _named_by(term: _Term, usual: Mapping[str, float], library: Library) -> Clicked | None:
    """The tag that a term stands for; of equals the one that is rarer elsewhere."""
    best: Clicked | None = None
    most = 0.0
    for tag_id, clicks in term.tags.items():
        share = clicks / term.total
        lift = share / usual.get(tag_id, 1 / _SAMPLE)
        is_often = is_shown(term.total - clicks, term.total, _SHARE, _LEVEL)
        if is_often and lift >= _LIFT and share * math.log(lift) > most:
            most = share * math.log(lift)
            best = Clicked(library.tags[tag_id], clicks, term.total)
    return best


def _usual(store: Store, library: Library) -> dict[str, float]:
    """Each tag's share of the products, by a sample of them."""
    sampled = _tags_of(library, store.searches.sample(_SAMPLE))
    counts = Counter(tag_id for has in sampled.values() for tag_id in has)
    return {tag_id: count / len(sampled) for tag_id, count in counts.items()}


def _tags_of(library: Library, documents: Iterable[StoredDocument]) -> dict[str, list[str]]:
    """Product → ids of the tags that it more likely has than not."""
    return {
        document.id: [tag for tag, p in dict(tags_of(document, library)).items() if p >= 0.5]
        for document in documents
        if not document.gone
    }
