"""Search by words and tags over an index that is derived from the store."""

from tagmill.discover.clicked import Clicked, clicked_words, log_searches
from tagmill.discover.completion import Completion
from tagmill.discover.facets import FacetCount, Reach
from tagmill.discover.query import QueryParser
from tagmill.discover.search import SORTS, Hit, Search, SearchResult, Why, open_search

__all__ = [
    "SORTS",
    "Clicked",
    "Completion",
    "FacetCount",
    "Hit",
    "QueryParser",
    "Reach",
    "Search",
    "SearchResult",
    "Why",
    "clicked_words",
    "log_searches",
    "open_search",
]
