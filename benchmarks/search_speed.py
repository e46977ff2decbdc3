"""How fast search answers over a million products: search with facets, completion, updates.

    python benchmarks/search_speed.py [--products 1000000]

The products are generated: titles of 5 to 8 pieces of the sample catalogue's titles, 5 tags of the
starter library, drawn as often as the sample catalogue has them (and once more), probabilities from
0.3 to 1. Queries: a third rare words and tags; a third common ones, one or two, half of them with a
facet chosen; a third of which any part may match, 1 to 4 common tags and words, together up to
250,000 of a million, each counted as what it was drawn as; a tag's name is also found as a word, so
the largest queries reach nearly all products (`most_hits`). Goals: p50 ≤ 5 ms, p99 ≤
40 ms; completion p99 ≤ 10 ms. Then the same queries are asked of the service (`tagmill serve`), by
one client and by four at once, processes of their own with a connection each.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import numpy as np
from results import keep, machine

from tagmill.discover import Search
from tagmill.discover.index import FORMAT, Index, View
from tagmill.discover.segment import PARTED, Document, SegmentBuilder
from tagmill.library import Library
from tagmill.library.starter import starter_library
from tagmill.serve import Shop, open_server
from tagmill.settings import Settings
from tagmill.store import Store, open_store

SAMPLE = Path(__file__).parent.parent / "examples" / "catalogue.jsonl"
_CHUNK = 8192
_LARGEST = 250_000  # hits of an any-of query


def make_documents(count: int, library: Library) -> Iterator[list[Document]]:
    rng = random.Random(0)
    rows = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    pieces = sorted({piece for row in rows for piece in row["title"].split()})
    used = Counter(t.id for row in rows for w in row.get("tags") or () if (t := library.find(w)))
    tags = [tag.id for tag in library.active()]
    weights = np.array([1 + used[tag_id] for tag_id in tags], float)
    drawn = np.random.default_rng(0).choice(len(tags), (count, 5), p=weights / weights.sum())
    for start in range(0, count, _CHUNK):
        yield [
            Document(
                f"sku-{number:08}",
                (" ".join(rng.choices(pieces, k=rng.randint(5, 8))), "", "", ""),
                [(t, rng.uniform(0.3, 1.0)) for t in {tags[i] for i in drawn[number].tolist()}],
                "2026-01-01T00:00:00Z",
            )
            for number in range(start, min(start + _CHUNK, count))
        ]


def make_queries(view: View, count: int) -> list[dict[str, Any]]:
    rng = random.Random(1)
    (segment,) = view.segments
    library = view.library
    tags = sorted(
        zip(np.diff(segment.by_tag_starts).tolist(), segment.tag_ids, strict=True), reverse=True
    )
    words = sorted(
        (
            entry
            for entry in zip(
                np.diff(segment.starts).tolist(), segment.words.to_pylist(), strict=True
            )
            if not entry[1].startswith(PARTED)
        ),
        reverse=True,
    )
    named = [(n, library.tags[t].name, library.tags[t].facet) for n, t in tags]
    common = [(n, name) for n, name, _ in named[:40]] + words[:100]
    rare = [name for _, name, _ in named[-300:]] + [word for _, word in words[len(words) // 2 :]]
    queries: list[dict[str, Any]] = []
    for number in range(count):
        if number % 3 == 0:
            queries.append({"kind": "rare", "query": rng.choice(rare)})
        elif number % 3 == 1:
            chosen = rng.sample(common, rng.randint(1, 2))
            query: dict[str, Any] = {"kind": "common", "query": " ".join(t for _, t in chosen)}
            if rng.random() < 0.5:
                _, name, facet = rng.choice(named[:40])
                query["facets"] = {facet: [name]}
            queries.append(query)
        else:
            hits, parts = 0, list[str]()
            while not parts:
                for n, text in rng.sample(common, rng.randint(2, 4)):
                    if hits + n <= view.products * _LARGEST / 1_000_000:
                        hits, parts = hits + n, [*parts, text]
            queries.append({"kind": "any", "query": " ".join(parts), "match_any": True})
    return queries


def percentiles(seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2), "n": len(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=600)
    arguments = parser.parse_args()
    library = starter_library()
    with tempfile.TemporaryDirectory() as folder:
        builder, built = SegmentBuilder(), 0.0
        for chunk in make_documents(arguments.products, library):
            started = time.perf_counter()
            builder.add(chunk)
            built += time.perf_counter() - started
        started = time.perf_counter()
        builder.finish().save(Path(folder) / "search" / "segment")
        built += time.perf_counter() - started
        del builder
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        report = {
            "products": arguments.products,
            "build_seconds": round(built, 1),
            "build_peak_gb": round(_peak_gb(), 2),
            "index_mb": round(size / 1e6),
            **measure(Path(folder), library, arguments.queries),
        }
    print(json.dumps(report, ensure_ascii=False, indent=1), machine())
    keep("search_speed", str(arguments.products), report, is_quick=arguments.products < 1_000_000)


def measure(folder: Path, library: Library, count: int) -> dict[str, Any]:
    """Ask the queries of an index that stands in for the store's."""
    with open_store(f"sqlite:///{folder / 'tagmill.db'}", create=True) as store:
        store.library.save(list(library.tags.values()), list(library.facets.values()))
        search = stand_in(store, folder / "search")
        view = search.index.view()
        if not view.products:  # built anew from a store without products
            raise RuntimeError("The index did not take the segment that stands in for it")
        queries = make_queries(view, count)
        seconds: dict[str, list[float]] = {}
        most = 0
        for warm in (True, False):
            for query in queries[:30] if warm else queries:
                options = {k: v for k, v in query.items() if k not in ("kind", "query")}
                before = time.perf_counter()
                result = search.search(query["query"], **options)
                if not warm:
                    seconds.setdefault(query["kind"], []).append(time.perf_counter() - before)
                    most = max(most, result.total)
        typed = [q["query"][:end] for q in queries[:200] for end in (1, 2, 4) if q["query"]]
        search.complete("a")
        completing = []
        for prefix in typed:
            before = time.perf_counter()
            search.complete(prefix)
            completing.append(time.perf_counter() - before)
        return {
            "search": percentiles([s for part in seconds.values() for s in part]),
            **{f"search_{kind}": percentiles(part) for kind, part in seconds.items()},
            "most_hits": most,
            "complete": percentiles(completing),
            "service": [over_http(store, folder, queries, clients) for clients in (1, 4)],
        }


def over_http(
    store: Store, folder: Path, queries: list[dict[str, Any]], clients: int
) -> dict[str, Any]:
    """The same queries asked of the service by so many clients at once."""
    shop = Shop(Settings(root=folder), store)
    server = open_server(shop, "127.0.0.1", 0)
    running = Thread(target=server.run)
    running.start()
    address = server.url.removeprefix("http://")
    with ProcessPoolExecutor(clients, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_ask, repeat(address, clients), repeat(queries[:30])))
        started = time.perf_counter()
        parts = list(pool.map(_ask, repeat(address, clients), repeat(queries)))
        seconds = time.perf_counter() - started
    server.stop()
    running.join()
    shop.close()
    times = [one for part in parts for one in part]
    rate = round(len(times) / seconds, 1)
    return {"clients": clients, **percentiles(times), "requests_per_second": rate}


def _ask(address: str, queries: list[dict[str, Any]]) -> list[float]:
    """How long each answer took, in seconds, over one connection."""
    connection = http.client.HTTPConnection(address)
    seconds = []
    for query in queries:
        asked = [("q", query["query"]), ("any", str("match_any" in query)), ("log", "false")]
        asked += [("facet", f"{f}={name}") for f, (name,) in query.get("facets", {}).items()]
        before = time.perf_counter()
        connection.request("GET", f"/v1/search?{urlencode(asked)}")
        answer = connection.getresponse()
        found = json.loads(answer.read())
        seconds.append(time.perf_counter() - before)
        if answer.status != 200:
            raise RuntimeError(found)
    return seconds


def stand_in(store: Store, folder: Path) -> Search:
    """A search whose index is the segment of a folder, with the store's library and cursor."""
    state = store.searches.state()
    manifest = {
        "format": FORMAT, "database": store.searches.database, "cursor": state.cursor,
        "library": state.library, "segments": [["segment", None]], "targets": {},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    search = Search(store, folder)
    assert isinstance(search.index, Index)
    return search


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
