"""The sections of docs/benchmarks.md on search and recommendation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import results
from pages import absent, image, number, table, when
from plots import recommenders

_GOALS = {"en_fashion_styles": "0.80", "en_implicit_attributes": "0.70", "en_talks": "the SVC's"}


def search() -> list[str]:
    """Whether tags help search, and how fast it is."""
    sets, speeds = results.load("search_quality"), results.load("search_speed")
    if not sets or not speeds:
        return absent("Search", "search search_speed")
    rows = []
    for name, entry in sets.items():
        for metric, title in (("recall_at_20", "recall@20"), ("ndcg_at_10", "nDCG@10")):
            by = [number(entry[f"{metric}_{kind}"]) for kind in ("words", "predicted", "gold")]
            shares = [number(entry[f"{metric}_recovered_{kind}"]) for kind in ("predicted", "svc")]
            goal = _GOALS[name] if metric == "recall_at_20" else ""
            rows.append([name, title, *by, *shares, goal, when(entry)])
    lines = [
        "## Search",
        "",
        "Queries of gold tags that do not stand in the products' texts; relevant is what has the "
        "gold tag. Recovered is the share of the way from words alone to gold tags that predicted "
        "tags go, and a ranking by LinearSVC scores.",
        "",
        *table(
            ["set", "", "words", "predicted tags", "gold tags", "recovered", "SVC recovers",
             "goal", "when"], rows,
        ),
        "",
        *image("search", "words alone, predicted tags, gold tags"),
    ]  # fmt: skip
    for entry in speeds.values():
        kinds = {
            "all queries": "search", "rare words and tags": "search_rare",
            "common ones": "search_common", "any of several": "search_any",
            "completion": "complete",
        }  # fmt: skip
        served = {
            f"all queries over HTTP, {one['clients']} at once": one for one in entry["service"]
        }
        lines += [
            f"{entry['products']:,} generated products with 5 tags each, facets counted "
            f"({when(entry)}): built in {entry['build_seconds']:,.0f} s with "
            f"{entry['build_peak_gb']} GB, {entry['index_mb']:,} MB on disk; up to "
            f"{entry['most_hits']:,} hits.",
            "",
            *_times({**entry, **served}, kinds | {name: name for name in served}),
            "",
        ]
    for entry in results.load("freshness").values():
        lines += [
            f"A product is stored among {entry['products']:,} in SQLite, and the next search finds "
            f"it ({when(entry)}); the index of these was built in "
            f"{entry['build_seconds']:,.0f} s, reading included.",
            "",
            *_times(
                entry,
                {"storing it": "stored", "the search that finds it": "found",
                 "the next search": "next_search"},
            ),
            "",
        ]  # fmt: skip
    return lines


def recommendation() -> list[str]:
    """Whether tags help recommendation, and how fast it is."""
    found, speeds = results.load("recommendation"), results.load("recommendation_speed")
    if not found or not speeds:
        return absent("Recommendation", "recommendation recommendation_speed")
    (entry,) = found.values()
    lines = [
        "## Recommendation",
        "",
        f"MovieLens small ({when(entry)}, mean of three seeds): ratings of 4 and more are events, "
        "genres and people's tags are tags. Known: a fifth of each person's events is held out. "
        "Cold: a tenth of the items is held out whole, and the candidates are these. EASE knows "
        "people only; tagmill puts the tags below them (up to 8,000 products), or takes neighbours "
        "and the same regression on tags alone.",
        "",
    ]
    for case in ("known", "cold"):
        names = recommenders(entry, case)
        rows = [
            [name, number(entry[f"{case} {name} recall"]), number(entry[f"{case} {name} ndcg"])]
            for name in names
        ]
        lines += [*table([f"{case} items", "Recall@20", "nDCG@10"], rows), ""]
    lines += image("recommendation", "Recall@20 of known and of cold items")
    for speed in speeds.values():
        kinds = {
            "for a user": "user", "for a stranger": "stranger", "beside a product": "beside",
            "a product's tags for a user": "personal_tags", "a user's profile": "profile",
            "for a user, after an event": "after_an_event",
            "for a user, after a product changed": "after_a_product",
        }  # fmt: skip
        lines += [
            f"{speed['products']:,} products, {speed['events']:,} events ({when(speed)}): read and "
            f"fitted in {speed['build_seconds']:,.0f} s with {speed['peak_gb']} GB, "
            f"{speed['folder_mb']:,} MB kept; another process begins in "
            f"{speed['other_process_first_call_seconds']} s.",
            "",
            *_times(speed, kinds),
            "",
        ]
    return lines


def _times(entry: dict[str, Any], kinds: Mapping[str, str]) -> list[str]:
    rows = [
        [name, f"{entry[key]['p50_ms']:.2f}", f"{entry[key]['p99_ms']:.2f}"]
        for name, key in kinds.items()
    ]
    return table(["", "p50 ms", "p99 ms"], rows)
