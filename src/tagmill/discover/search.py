"""Search: words and tags in one ranking, with facets, paging, highlights and reasons.

index.view() → query.parse → matching.hits of each segment → facets → the page
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from tagmill.discover.clicked import log_searches
from tagmill.discover.completion import Completer, Completion, correct
from tagmill.discover.facets import FacetCount, FacetCounter, Reach, reach_of_numbers
from tagmill.discover.index import Index, Score, View
from tagmill.discover.matching import Hits, How, Matcher
from tagmill.discover.popularity import Popularity
from tagmill.discover.quantities import Range
from tagmill.discover.query import Query, QueryParser
from tagmill.discover.segment import FIELDS, LAST, PARTED, hash_texts
from tagmill.errors import SearchError
from tagmill.records import tag_text
from tagmill.store import Store
from tagmill.store.searches import LoggedSearch
from tagmill.text import caption, find_words

__all__ = ["SORTS", "Hit", "Search", "SearchResult", "Why", "open_search"]

SORTS = ("relevance", "newest", "popular", "id")
_MOST_HITS = 1000  # of a page
_ANCHORS = 5  # products of a page that its cursor remembers

Array = npt.NDArray[Any]
_Matched = tuple[dict[str, int], dict[str, float]]  # words with the fields they stand in, tags


@dataclass(frozen=True)
class Why:
    """What of a query a product matches."""

    words: tuple[dict[str, Any], ...]  # {"word", "fields"}
    tags: tuple[dict[str, Any], ...]  # {"tag": "facet:name", "probability"}
    quantities: tuple[dict[str, Any], ...] = ()  # {"asked": "500ml以下", "found": "350 ml"}


@dataclass(frozen=True)
class Hit:
    """One product found; `highlights` are character spans [start, end) of its title."""

    id: str
    title: str
    score: float
    why: Why
    highlights: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SearchResult:
    """A page of products, and of all that were found: what there is of each facet, and the least
    and the most of each number.

    `relaxed`: no product matches everything, so these match a part. `next` is the
    cursor of the next page, None at the end. `did_you_mean` is a query that finds more.
    """

    total: int
    hits: tuple[Hit, ...]
    facets: Mapping[str, tuple[FacetCount, ...]] = field(default_factory=dict)
    numbers: Mapping[str, Reach] = field(default_factory=dict)
    relaxed: bool = False
    next: str | None = None
    did_you_mean: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it is printed with `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class _Cursor:
    """Where a page ended: the ids of its last products, the last one first, and its sort key.

    The next page begins behind the first of them that is still found, wherever it stands then:
    every product that comes or goes moves the scores of all.
    """

    key: float
    ids: tuple[str, ...]
    sort: str
    how: How

    def written(self) -> str:
        text = json.dumps([self.key, self.ids, self.sort, self.how], ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, sort: str) -> _Cursor:
        try:
            padded = text + "=" * (-len(text) % 4)
            key, ids, sorted_by, how = json.loads(base64.urlsafe_b64decode(padded))
            cursor = cls(float(key), tuple(map(str, ids)), str(sorted_by), how)
            if how not in get_args(How) or not ids or not math.isfinite(cursor.key):
                raise ValueError(text)
        except (ValueError, TypeError) as error:
            raise SearchError(
                f"'{text[:40]}' is no cursor. Give the `next` of the page before"
            ) from error
        if cursor.sort != sort:
            raise SearchError(
                f"The cursor is of a search sorted by {cursor.sort}, not by {sort}. "
                "Sort as on the page before, or begin without a cursor"
            )
        return cursor


class Search:
    """Finds products of a store. Safe to be used by several threads; see `open_search`."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        score: Score | None = None,
        half_life: float = 60.0,
        patience: float = math.inf,
        keep: Callable[[LoggedSearch], None] | None = None,
    ) -> None:
        self.store = store
        self.index = Index(store, folder, score, patience)
        self._keep_log = keep or (lambda search: store.searches.log([search]))
        self._popularity = Popularity(store, half_life)
        self._parser: tuple[int, QueryParser] | None = None
        self._completer: tuple[View, Completer] | None = None

    def search(
        self,
        query: str,
        *,
        facets: Mapping[str, Sequence[str]] | None = None,
        ranges: Mapping[str, tuple[float, float]] | None = None,
        limit: int = 20,
        sort: str = "relevance",
        after: str | None = None,
        match_any: bool = False,
        language: str = "",
        log: bool = False,
    ) -> SearchResult:
        """The products that a query finds, best first.

        Any text is a query. `facets` are chosen tags by facet, in any language: products with one
        of each facet's; `ranges` are the least and the most that a number of theirs may be
        (`{"price": (100, math.inf)}`). `sort` is one of SORTS or a number, as "price", or "-price"
        from the most to the least: products without it come last. Where none matches all of the
        query those come that match a part; `match_any` asks for these from the start, and for
        improbable tags too. Names come canonical or in a `language`. Equal scores are in order of
        id. With `log` the query is kept. Raises UnknownTag for an unknown choice, SearchError for
        an unknown `sort` or number, or for no cursor.
        """
        limit = max(0, min(limit, _MOST_HITS))
        query = query.encode("utf-8", "ignore").decode()  # half of a surrogate pair is no text
        cursor = _Cursor.read(after, sort) if after else None
        view = self.index.view()
        asked = _asked(view, ranges or {})
        matcher = Matcher(view, self._query(view, query), asked)
        counter = FacetCounter(view, facets or {})
        how: How = cursor.how if cursor else "any" if match_any else "all"
        kept = self._kept(view, matcher, counter, how)
        total = sum(len(hits.documents) for hits in kept)
        if how == "all" and cursor is None and len(matcher.parts) > 1 and not total:
            how, counter = "part", FacetCounter(view, facets or {})
            kept = self._kept(view, matcher, counter, how)
            total = sum(len(hits.documents) for hits in kept)
        keys = self._sort_keys(view, kept, sort)
        page, left = self._page(view, kept, keys, limit, cursor)
        found = matcher.query
        if log:
            tags, words = tuple(found.tag_ids), tuple(found.loose_words)
            self._keep_log(LoggedSearch(0, query, tags, words, total, ""))

        def finds(text: str) -> bool:
            other = Matcher(view, self._query(view, text), asked)
            hits = self._kept(view, other, FacetCounter(view, facets or {}), "part")
            return any(len(one.documents) for one in hits)

        more = page and left
        return SearchResult(
            total,
            self._hits(view, matcher, page, sort, language),
            counter.counts(language),
            reach_of_numbers(view, kept),
            relaxed=how == "part" and cursor is None,
            next=self._cursor(view, page, sort, how).written() if more else None,
            did_you_mean=None if cursor else correct(view, matcher, finds, heads=how == "all"),
        )  # fmt: skip

    def complete(self, prefix: str, *, limit: int = 8, language: str = "") -> list[Completion]:
        """How a query that begins so may go on: tags first, then words of the products."""
        view = self.index.view()
        if self._completer is None or self._completer[0] is not view:
            self._completer = (view, Completer(view))
        return self._completer[1].complete(prefix, limit, language)

    def log(self, found: Sequence[tuple[str, str]]) -> int:
        """Keep searches (query, at) that were made elsewhere; how many are new."""
        return log_searches(self.store, self._parser_of(self.index.view()), found)

    def _query(self, view: View, text: str) -> Query:
        """What a text means."""
        return self._parser_of(view).parse(text, view.number_names)

    def _parser_of(self, view: View) -> QueryParser:
        """By the library's version."""
        parser = self._parser
        if parser is None or parser[0] != view.library.version:
            parser = self._parser = (view.library.version, QueryParser(view.library))
        return parser[1]

    def _kept(self, view: View, matcher: Matcher, counter: FacetCounter, how: How) -> list[Hits]:
        """Each segment's products that match and have the chosen facets; counts the facets."""
        return [
            counter.add(number, matcher.hits(number, how)) for number in range(len(view.segments))
        ]

    def _cursor(
        self, view: View, page: Sequence[tuple[float, int, int, float]], sort: str, how: How
    ) -> _Cursor:
        last = page[: -_ANCHORS - 1 : -1]
        ids = tuple(self._id(view, number, document) for _, number, document, _ in last)
        return _Cursor(page[-1][0], ids, sort, how)

    def _sort_keys(self, view: View, kept: list[Hits], sort: str) -> list[Array]:
        """What products are sorted by, largest first; equal ones are sorted by id."""
        if sort == "relevance":
            return [hits.scores for hits in kept]
        if sort == "popular":
            orders = self._popularity.of(view)
        elif sort == "newest":
            orders = [segment.first_seen for segment in view.segments]
        elif sort == "id":
            return [np.zeros(len(hits.documents)) for hits in kept]
        else:
            name, descending = _number_to_sort_by(view, sort), sort.startswith("-")
            orders = [segment.ordered_by(name, descending=descending) for segment in view.segments]
        return [order[hits.documents] for order, hits in zip(orders, kept, strict=True)]

    def _place(
        self, view: View, kept: list[Hits], keys: list[Array], cursor: _Cursor
    ) -> tuple[float, str]:
        """The sort key and id behind which the next page begins."""
        for product_id in cursor.ids:
            hashed = hash_texts([product_id])
            for segment, hits, own in zip(view.segments, kept, keys, strict=True):
                found = np.flatnonzero(np.isin(hits.documents, segment.find(hashed)))
                if len(found):
                    return float(own[found[0]]), product_id
        return cursor.key, cursor.ids[0]

    def _page(
        self,
        view: View,
        kept: list[Hits],
        sort_keys: list[Array],
        limit: int,
        cursor: _Cursor | None,
    ) -> tuple[list[tuple[float, int, int, float]], bool]:
        """(sort key, segment, document, score) of the page; and whether there are more."""
        entries: list[tuple[float, str, int, int, float]] = []
        key, last = self._place(view, kept, sort_keys, cursor) if cursor is not None else (0.0, "")
        for number, (segment, hits) in enumerate(zip(view.segments, kept, strict=True)):
            documents, scores, keys = hits.documents, hits.scores, sort_keys[number]
            if cursor is not None:
                ranks = segment.rank[documents]
                place = segment.rank_of(last)
                same = place < segment.size and self._id(view, number, segment.by_id[place])
                place += same == last
                after = (keys < key) | ((keys == key) & (ranks >= place))
                documents, scores, keys = documents[after], scores[after], keys[after]
            for i in _first(keys, segment.rank, documents, limit + 1).tolist():
                document = int(documents[i])
                entries.append(
                    (-float(keys[i]), self._id(view, number, document), number, document,
                     float(scores[i]))
                )  # fmt: skip
        entries.sort(key=lambda entry: entry[:2])
        page = [(-key, number, doc, score) for key, _, number, doc, score in entries[:limit]]
        return page, len(entries) > limit

    def _id(self, view: View, number: int, document: int) -> str:
        return str(view.segments[number].shown.column("id")[int(document)].as_py())

    def _hits(
        self,
        view: View,
        matcher: Matcher,
        page: Sequence[tuple[float, int, int, float]],
        sort: str,
        language: str,
    ) -> tuple[Hit, ...]:
        """The products of a page, with what of the query each matches."""
        matched: list[_Matched] = [({}, {}) for _ in page]
        for number in {number for _, number, _, _ in page}:
            rows = [row for row, (_, segment, _, _) in enumerate(page) if segment == number]
            _match(matcher, number, [page[row][2] for row in rows], [matched[row] for row in rows])
        return tuple(
            _hit(view, matcher, number, document, score, found, _key_shown(sort, key), language)
            for (key, number, document, score), found in zip(page, matched, strict=True)
        )


def _match(
    matcher: Matcher, number: int, documents: Sequence[int], matched: Sequence[_Matched]
) -> None:
    """Add to each of a segment's documents the words and tags of the query that it has."""
    wanted = np.array(documents)
    for part in (part for parts in matcher.parts for part in parts):
        having, weights, fields = matcher.postings(number, part)
        if not len(having) or part.is_more:
            continue
        places = np.minimum(having.searchsorted(wanted), len(having) - 1)
        for row in np.flatnonzero(having[places] == wanted).tolist():
            words, tags = matched[row]
            if part.tag_id:
                tags[part.tag_id] = float(weights[places[row]])
            for word in (word.removeprefix(PARTED) for word in part.words):
                words[word] = words.get(word, 0) | int(fields[places[row]])


def _hit(
    view: View,
    matcher: Matcher,
    number: int,
    document: int,
    score: float,
    matched: _Matched,
    sorted_by: dict[str, str],
    language: str,
) -> Hit:
    shown, (words, tags) = view.segments[number].shown, matched
    called, text = (shown.column(name)[document].as_py() for name in ("title", "description"))
    title = caption(called, text)
    found = matcher.quantities(number, document)
    quantities = {asked.text: asked.shown(low, high) for asked, low, high in found}
    if not sorted_by.items() <= {(a.dimension, quantities[a.text]) for a, _, _ in found}:
        quantities |= sorted_by
    return Hit(
        str(shown.column("id")[document].as_py()),
        title,
        round(score, 4),
        Why(
            tuple(
                {"word": word, "fields": [f for i, f in enumerate(FIELDS) if bits >> i & 1]}
                for word, bits in words.items()
            ),
            tuple(
                {"tag": _written(view, tag_id, language), "probability": round(p, 4)}
                for tag_id, p in sorted(tags.items(), key=lambda pair: -pair[1])
            ),
            tuple({"asked": asked, "found": found} for asked, found in quantities.items()),
        ),
        _highlights(title, {word for word, bits in words.items() if bits & 1}),
    )


def open_search(
    store: Store,
    folder: Path,
    score: Score | None = None,
    half_life: float = 60.0,
    patience: float = math.inf,
    keep: Callable[[LoggedSearch], None] | None = None,
) -> Search:
    """Search over a store; its index lies in a folder, and is made there at the first search.

    `score` gives probabilities of what is not published (`Model.score`), which help to rank; it
    is called for products as they come into the index. An event of `half_life` days ago counts half
    in what is popular. A search waits for what changed at most `patience` seconds (`Index`).
    `keep` takes the searches to be logged; else they are written to the store, each at once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return Search(store, folder, score, half_life, patience, keep)


def _asked(view: View, ranges: Mapping[str, tuple[float, float]]) -> list[Range]:
    """Ranges of numbers that were chosen."""
    return [
        Range(view.number_named(name), low, high, name.strip(), is_number=True)
        for name, (low, high) in ranges.items()
    ]


def _key_shown(sort: str, key: float) -> dict[str, str]:
    """The number that a product is sorted by, where it has it: {"price": "199"}."""
    if sort in SORTS or key == LAST:
        return {}
    return {sort.removeprefix("-"): f"{key if sort.startswith('-') else -key:.12g}"}


def _number_to_sort_by(view: View, sort: str) -> str:
    try:
        return view.number_named(sort.removeprefix("-"))
    except SearchError as error:
        numbers = [name for name in view.number_names if name not in SORTS]
        raise SearchError(
            f"Cannot sort by '{sort}'. Known: {', '.join([*SORTS, *numbers])}"
        ) from error


def _first(keys: Array, rank: Array, documents: Array, count: int) -> Array:
    """Places of the `count` products that come first, in no order."""
    if len(keys) <= count:
        return np.arange(len(keys))
    least = np.partition(keys, len(keys) - count)[len(keys) - count]
    above, equal = np.flatnonzero(keys > least), np.flatnonzero(keys == least)
    wanted = count - len(above)
    if len(equal) > wanted:
        equal = equal[np.argpartition(rank[documents[equal]], wanted)[:wanted]]
    return np.concatenate([above, equal])


def _written(view: View, tag_id: str, language: str) -> str:
    tag = view.library.by_id(tag_id)
    if tag is None:
        return tag_id
    facet = view.library.facets.get(tag.facet)
    names = facet.names if facet else {}
    return tag_text(names.get(language, tag.facet), tag.name_in(language))


def _highlights(title: str, words: Collection[str]) -> tuple[tuple[int, int], ...]:
    """Spans of words in a title, merged where they touch."""
    merged: list[tuple[int, int]] = []
    for start, end in find_words(title, words) if words else ():
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
