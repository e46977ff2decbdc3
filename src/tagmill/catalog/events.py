"""Events of people out of files, SQL databases and requests: `user, product, kind, at, query`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tagmill.catalog.files import open_file
from tagmill.catalog.rows import Chunk, Reject, Source, is_url
from tagmill.catalog.values import text_of
from tagmill.errors import CatalogError
from tagmill.store.events import KINDS, Event, Kind

__all__ = ["ReadEvents", "event_of", "posted_events", "read_events"]

_COLUMNS: Mapping[str, Sequence[str]] = {
    "user": ("user", "user_id", "userid", "customer", "customer_id", "visitor", "用户"),
    "product": ("product", "product_id", "item", "item_id", "sku", "商品"),
    "kind": ("kind", "event", "event_type", "type", "action", "行为"),
    "at": ("at", "time", "timestamp", "date", "created_at", "时间"),
    "query": ("query", "search", "search_query", "search_term", "keyword", "搜索词"),
}
_KINDS: dict[str, Kind] = {kind: kind for kind in KINDS} | {
    "click": "view", "pageview": "view", "add_to_cart": "cart", "addtocart": "cart",
    "buy": "purchase", "order": "purchase", "transaction": "purchase", "favorite": "like",
    "fav": "like", "浏览": "view", "加购": "cart", "购买": "purchase", "收藏": "like",
}  # fmt: skip
_SEARCH = ("search", "搜索")  # no event of a product: somebody searched
_CHUNK = 20_000
_WRITTEN = "%Y-%m-%dT%H:%M:%SZ"
_AHEAD = timedelta(days=1)  # of a clock elsewhere
_MILLISECONDS = 1e11  # numbers above are milliseconds since 1970, below seconds


@dataclass(frozen=True)
class ReadEvents:
    """A chunk of a source: events, (query, at) of searches, and the rows that are neither."""

    events: list[Event]
    searches: list[tuple[str, str]]
    rejects: list[Reject]

    def take(self, cells: Mapping[str, str], kind: str = "view") -> None:
        """Add a row, of this kind where it says none. Raises ValueError with what is wrong."""
        kind = cells.get("kind") or kind
        if kind.lower() not in _SEARCH:
            who, what, at = (cells.get(name, "") for name in ("user", "product", "at"))
            self.events.append(event_of(who, what, kind, at, cells.get("query", "")))
            return
        for needed in ("query", "at"):
            if not cells.get(needed):
                raise ValueError(f"no {needed}")
        self.searches.append((cells["query"], _time(cells["at"])))


def read_events(
    source: str, table: str | None = None, query: str | None = None
) -> Iterator[ReadEvents]:
    """The events of a source, in chunks.

    Columns may have usual names (`user_id`, `item`, `event`, `timestamp` …). Without a column of
    kinds every event is a view, or where there are no products, a search. `query` is the search
    that an event came from; a row of the kind search has no product. A time is ISO 8601 (UTC where
    it says no zone) or a number since 1970. Raises CatalogError where nothing can be read.
    """
    opened = _opened(source, table, query)
    chosen = _choose(opened)
    usual = _SEARCH[0] if _is_search_log(chosen) else "view"
    for chunk in opened.chunks(list(chosen.values()), _CHUNK):
        read = ReadEvents([], [], list(chunk.rejects))
        for row in range(len(chunk)):
            try:
                read.take({ours: _cell(chunk, own, row) for ours, own in chosen.items()}, usual)
            except ValueError as error:
                read.rejects.append(Reject(chunk.lines[row], str(error), chunk.row(row)))
        yield read


def _opened(source: str, table: str | None, query: str | None) -> Source:
    if is_url(source):
        from tagmill.catalog.database import open_database

        return open_database(source, table, query)
    return open_file(Path(source), {})


def _choose(source: Source) -> dict[str, str]:
    """Our name → the source's column."""
    lower = {name.strip().lower(): name for name in source.columns}
    chosen: dict[str, str] = {}
    for ours, names in _COLUMNS.items():
        found = next((lower[name] for name in names if name in lower), None)
        if found is not None:
            chosen[ours] = found
        elif source.open_ended:
            chosen[ours] = ours
    needed = ("query", "at") if _is_search_log(chosen) else ("user", "product", "at")
    for ours in needed:
        if ours not in chosen:
            raise CatalogError(
                f"{source.name} has no column '{ours}' ({', '.join(_COLUMNS[ours][1:4])} …). "
                f"Columns: {', '.join(source.columns)}. Events are user, product, kind, at and "
                "query; searches are query and at",
                file=source.name,
            )
    return chosen


def _is_search_log(chosen: Mapping[str, str]) -> bool:
    return "product" not in chosen and "query" in chosen


def posted_events(rows: Sequence[object], at: str) -> ReadEvents:
    """The events of a request: dicts of `user`, `product`, `kind` (else a view), `at` (else the
    given time), `query`; one of the kind search has no product. A reject's line is the place of
    its row, from 0."""
    read = ReadEvents([], [], [])
    for place, row in enumerate(rows):
        try:
            if not isinstance(row, dict):
                raise ValueError("it is no object with user, product, kind, at, query")
            unknown = ", ".join(str(name) for name in row if name not in _COLUMNS)
            if unknown:
                raise ValueError(f"it has no use for {unknown}. Known: {', '.join(_COLUMNS)}")
            read.take({"at": at} | {name: text for name in row if (text := _text(row[name]))})
        except ValueError as error:
            read.rejects.append(Reject(place, str(error), row if isinstance(row, dict) else {}))
    return read


def event_of(user: str, product: str, kind: str, at: str, query: str = "") -> Event:
    """An event as people write it: its kind by any usual name, its time as `read_events` says.

    Raises ValueError with what is wrong.
    """
    for name, value in (("user", user), ("product", product), ("at", at)):
        if not value.strip():
            raise ValueError(f"no {name}")
    known = _KINDS.get(kind.lower().replace(" ", "_"))
    if known is None:
        known_kinds = ", ".join(KINDS)
        raise ValueError(f"kind '{kind}' is not one of {known_kinds} (in a file also search)")
    when = _time(at)
    if when > (datetime.now(UTC) + _AHEAD).strftime(_WRITTEN):
        raise ValueError(f"at '{at}' is more than a day from now: it would never be old")
    return Event(user, product, known, when, query or None)


def _cell(chunk: Chunk, column: str, row: int) -> str:
    values = chunk.columns.get(column)
    if values is None:
        return ""
    value = values[row]
    return _text(value.as_py() if hasattr(value, "as_py") else value)


def _text(value: object) -> str:
    text = (text_of(value) or "").replace("\0", "")
    return text.encode("utf-8", "ignore").decode().strip()  # half of a surrogate pair is no text


def _time(text: str) -> str:
    """ISO 8601 in UTC to the second."""
    try:
        number = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text.replace("/", "-"))
        except ValueError:
            raise ValueError(f"at '{text}' is no time such as 2026-11-26T12:00:00Z") from None
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    else:
        try:
            at = datetime.fromtimestamp(number / (1000 if number > _MILLISECONDS else 1), UTC)
        except (ValueError, OverflowError, OSError):
            raise ValueError(f"at '{text}' is no time since 1970") from None
    try:
        return at.astimezone(UTC).strftime(_WRITTEN)
    except OverflowError:  # the first day there is, in the east
        raise ValueError(f"at '{text}' is no time such as 2026-11-26T12:00:00Z") from None
