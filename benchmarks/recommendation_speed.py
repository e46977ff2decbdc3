"""How fast recommendation answers over a million products: for users, beside products, updates.

    python benchmarks/recommendation_speed.py [--products 1000000] [--more-tags 0]

The products are those of search_speed.py, in a real SQLite store, with 5 tags each that count as
given by a person. Two events a product by one user per ten products; what users meet follows a
power law (exponent 1), half of it within one tag that is theirs. Goals: p99 ≤ 30 ms; an event takes
effect at the next call with at most 1 ms of work. With more tags than the starter library's, each
of these is drawn once where a tag of the sample catalogue is drawn as often as it stands there.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from results import keep, machine
from search_speed import make_documents, percentiles

from tagmill.discover.recommend import Recommender, open_recommender
from tagmill.library.starter import starter_library
from tagmill.records import PRODUCT_SCHEMA
from tagmill.store import Store, open_store
from tagmill.store.events import Event, Kind

_CALLS = 300
_NOW = datetime(2026, 11, 26, tzinfo=UTC)


@contextmanager
def filled_store(
    count: int, more_tags: int = 0
) -> Iterator[tuple[Store, Path, list[str], list[list[str]]]]:
    """A store with the products, the folder of its file, the products' ids and tags."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(f"sqlite:///{folder}/tagmill.db", create=True) as store,
    ):
        yield store, Path(folder), *_fill(store, count, more_tags)


def _fill(store: Store, count: int, more_tags: int) -> tuple[list[str], list[list[str]]]:
    library = starter_library()
    for number in range(more_tags):
        library.add("型号", f"M{number:06}")
    store.library.save(list(library.tags.values()), list(library.facets.values()))
    ids: list[str] = []
    tags: list[list[str]] = []
    for documents in make_documents(count, library):
        named = [[library.tags[t].text for t, _ in d.tags] for d in documents]
        rows = [
            {"id": d.id, "title": d.texts[0], "tags": names}
            for d, names in zip(documents, named, strict=True)
        ]
        store.products.upsert(pa.RecordBatch.from_pylist(rows, schema=PRODUCT_SCHEMA))
        ids += [document.id for document in documents]
        tags += named
    return ids, tags


def events_of(ids: list[str], tags: list[list[str]]) -> Iterator[list[Event]]:
    rng = np.random.default_rng(0)
    n = len(ids)
    by_tag: dict[str, list[int]] = {}
    for place, names in enumerate(tags):
        for name in names:
            by_tag.setdefault(name, []).append(place)
    having = [np.array(places) for _, places in sorted(by_tag.items())]
    rank = rng.permutation(n)
    kinds: Sequence[Kind] = ("view", "view", "view", "cart", "purchase", "like", "dislike")
    page: list[Event] = []
    for user in range(n // 10):
        own = having[int(rng.integers(len(having)))]
        anywhere = rank[(n ** rng.random(10)).astype(np.int64) - 1]
        within = own[(len(own) ** rng.random(10)).astype(np.int64) - 1]
        for place in [*anywhere.tolist(), *within.tolist()]:
            at = f"2026-{rng.integers(1, 12):02}-{rng.integers(1, 28):02}T00:00:00Z"
            page.append(Event(f"user-{user}", ids[place], kinds[int(rng.integers(7))], at))
        if len(page) >= 50_000:
            yield page
            page = []
    yield page


def timed(calls: Iterator[Callable[[], Any]]) -> dict[str, float]:
    seconds = []
    for call in calls:
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return percentiles(seconds)


def measure(store: Store, folder: Path, ids: list[str]) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    report: dict[str, Any] = {}
    started = time.perf_counter()
    recommender = open_recommender(store, folder)
    joined = recommender._ready()
    report["build_seconds"] = round(time.perf_counter() - started, 1)
    report["weights"] = int(joined.fitted.model.weights.nnz)
    report["folder_mb"] = round(sum(p.stat().st_size for p in folder.iterdir()) / 1e6)
    started = time.perf_counter()
    again = open_recommender(store, folder)
    again.for_user("user-0", now=_NOW)
    report["other_process_first_call_seconds"] = round(time.perf_counter() - started, 1)
    del again
    users = [f"user-{i}" for i in rng.integers(0, len(ids) // 10, _CALLS)]
    products = [ids[i] for i in rng.integers(0, len(ids), _CALLS)]
    recommender.for_user(users[0], now=_NOW)
    report["user"] = timed(partial(recommender.for_user, u, now=_NOW) for u in users)
    report["stranger"] = timed(
        partial(recommender.for_user, f"stranger-{i}", now=_NOW) for i in range(_CALLS)
    )
    report["beside"] = timed(partial(recommender.beside, p) for p in products)
    report["personal_tags"] = timed(
        partial(recommender.personal_tags, u, p, now=_NOW)
        for u, p in zip(users, products, strict=True)
    )
    shelf = recommender._ready().shelf
    report["profile"] = timed(
        partial(lambda user: recommender._profile(store.events.of_user(user), shelf, _NOW), u)
        for u in users
    )
    report["after_an_event"] = timed(after_events(recommender, store, users, products))
    report["after_a_product"] = timed(after_products(recommender, store, users[:50], products))
    report["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    return report


def after_events(
    recommender: Recommender, store: Store, users: list[str], products: list[str]
) -> Iterator[Callable[[], Any]]:
    for user, product in zip(users, products, strict=True):
        store.events.add([Event(user, product, "cart", "2026-11-25T00:00:00Z")])
        yield partial(recommender.for_user, user, now=_NOW)


def after_products(
    recommender: Recommender, store: Store, users: list[str], products: list[str]
) -> Iterator[Callable[[], Any]]:
    for user, product in zip(users, products, strict=False):
        row = {"id": product, "title": f"{product} changed", "tags": ["品类:连衣裙"]}
        store.products.upsert(pa.RecordBatch.from_pylist([row], schema=PRODUCT_SCHEMA))
        yield partial(recommender.for_user, user, now=_NOW)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--more-tags", type=int, default=0)
    options = parser.parse_args()
    count = options.products
    started = time.perf_counter()
    with filled_store(count, options.more_tags) as (store, folder, ids, tags):
        stored = time.perf_counter() - started
        started = time.perf_counter()
        events = sum(store.events.add(page) for page in events_of(ids, tags))
        added = time.perf_counter() - started
        del tags
        report = {
            "products": count,
            "more_tags": options.more_tags,
            "events": events,
            "products_stored_per_second": round(count / stored),
            "events_added_per_second": round(events / added),
            **measure(store, folder / "recommend", ids),
        }
    print(json.dumps(report, indent=1), machine())
    is_quick = count < 1_000_000 or options.more_tags > 0
    keep("recommendation_speed", str(count), report, is_quick=is_quick)


if __name__ == "__main__":
    main()
