"""docs/benchmarks.md and its plots, from build/benchmarks: `python benchmarks/write_docs.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import plots
import results
import write_discover
from measures import COMPARED, HELD, PROMISE
from pages import DOCS, PAGE, absent, image, number, table, when
from routing import FALSE_ALARMS, JUDGED, NEAR, OFFERED, RECALL, SHARES

from tagmill.learning.distil import ROUNDS

NAMES = {
    "p_at_1": "P@1", "p_at_5": "P@5", "r_at_5": "R@5", "ndcg_at_5": "nDCG@5", "psp_at_5": "PSP@5",
    "micro_f1": "micro-F1", "macro_f1": "macro-F1", "coverage": "coverage", "achieved": "achieved",
    "ece": "ECE", "brier": "Brier", "train_seconds": "train s", "docs_per_second": "docs/s",
}  # fmt: skip

Entries = dict[str, dict[str, Any]]


def write() -> Path:
    """Write the page and its plots; the page's path."""
    machine = results.load("machine").get("machine", {})
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` (hours) or `make bench-quick` (minutes): tagmill and its peers in "
        "the same run, on the same data, split and machine. Times on a shared machine vary; "
        "compare what stands side by side. What a quick run measured is marked so.",
    ]
    if machine:
        lines += ["", f"Machine of the last run: {machine['text']}; {machine['load']}."]
    else:
        lines += ["", *re.findall(r"^Machine of the last run: .*$", PAGE.read_text("utf-8"), re.M)]
    for section in (
        _verdict,
        _accuracy,
        _lanes,
        _diversity,
        _routing,
        _distil,
        _speed,
        _training,
        _growth,
        _learning,
        write_discover.search,
        write_discover.recommendation,
    ):
        lines += ["", *section()]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"
    PAGE.write_text(text, "utf-8")
    plots.draw(DOCS / "benchmarks")
    return PAGE


def verdict_counts(sets: Entries) -> dict[str, tuple[int, int, int]]:
    """Of each metric: sets where tagmill is above its best peer, not distinguishable, below."""
    counts = {}
    for metric in COMPARED:
        gaps = [entry["compared"][metric] for entry in sets.values()]
        above = sum(gap["low"] > 0 for gap in gaps)
        below = sum(gap["high"] < 0 for gap in gaps)
        counts[metric] = (above, len(gaps) - above - below, below)
    return counts


def _verdict() -> list[str]:
    sets = results.load("accuracy")
    if not sets:
        return absent("Verdict", "accuracy")
    counts = verdict_counts(sets)
    lead = np.mean([entry["compared"]["micro_f1"]["difference"] for entry in sets.values()])
    rows = []
    for name, entry in sets.items():
        cells = []
        for metric in COMPARED:
            gap = entry["compared"][metric]
            interval = f"{gap['difference']:+.3f} ({gap['low']:+.3f} to {gap['high']:+.3f})"
            cells.append(f"{interval} vs {gap['peer']}")
        rows.append([name, *cells])
    return [
        "## Verdict",
        "",
        "tagmill (mean of three seeds) minus the best peer or ensemble of each set and metric, "
        "the best one picked on the test set itself; 95% intervals of a paired bootstrap of 1,000 "
        "resamples of the test products. Above or below: the interval leaves 0 out.",
        "",
        *table(
            ["", *(NAMES[metric] for metric in COMPARED)],
            [
                ["above", *(str(counts[metric][0]) for metric in COMPARED)],
                ["not distinguishable", *(str(counts[metric][1]) for metric in COMPARED)],
                ["below", *(str(counts[metric][2]) for metric in COMPARED)],
            ],
        ),
        "",
        f"Of {len(sets)} sets. Mean lead in micro-F1: {lead:+.3f}.",
        "",
        *table(["set", *(NAMES[metric] for metric in COMPARED)], rows),
        "",
        *image("differences", "tagmill minus the best peer"),
    ]


def _accuracy() -> list[str]:
    sets = results.load("accuracy")
    lines = [
        "## Accuracy",
        "",
        "Peers read title, description and category, lower-cased; their thresholds for F1 and for "
        f"precision {PROMISE} come from a tenth of train, then they are fitted on all of it. "
        "tagmill's review threshold and lane auto come from its own cross-fitting (before "
        "2026-12-01 auto could begin below review). A tag unseen in "
        f"training is a miss. An achieved precision under {HELD} counts as coverage 0. ECE and "
        "Brier are over each product's ten best. What a peer answered is kept under the hash of "
        "what it was asked, so its times may be those of an earlier run. docs/s are of scoring in "
        "memory, fastText and the lexicon in one thread.",
        "",
    ]
    if not sets:
        return absent("Accuracy", "accuracy")
    lines += image("micro_f1", "micro-F1 by set")
    for name, entry in sets.items():
        rows = []
        for peer, row in entry["peers"].items():
            skipped = row.get("skipped")
            cells = [number(row.get(key)) for key in NAMES]
            rows.append([peer, f"skipped: {skipped}", *[""] * (len(NAMES) - 1)] if skipped
                        else [peer, *cells])  # fmt: skip
        rows.append(["**tagmill**", *(_spread(entry["tagmill"], key) for key in NAMES)])
        size = f"{entry['train']:,} / {entry['test']:,} products, {entry['tags']:,} tags"
        lines += [f"### {name}", "", f"{size} ({when(entry)})", ""]
        lines += [*table(["method", *NAMES.values()], rows), ""]
    return lines


def _spread(rows: list[dict[str, Any]], key: str) -> str:
    """Mean over seeds, and half of the range."""
    values = [row[key] for row in rows if row[key] is not None]
    if not values:
        return "–"
    half = (max(values) - min(values)) / 2
    mean = number(float(np.mean(values)))
    return mean if key in ("train_seconds", "docs_per_second") else f"{mean} ± {half:.3f}"


def _lanes() -> list[str]:
    sets = results.load("lanes")
    if not sets:
        return absent("Lanes", "lanes")
    rows = []
    for name, entry in sets.items():
        for method, splits in entry["methods"].items():
            reached = [split["achieved"] for split in splits if split["achieved"] is not None]
            under = sum(value < HELD for value in reached)
            rows.append(
                [
                    name, method, str(len(splits)), str(len(reached)),
                    number(float(np.mean(reached)) if reached else None),
                    number(min(reached, default=None)), str(under),
                    number(float(np.mean([split["coverage"] for split in splits]))),
                    f"{np.mean([split['accepted'] for split in splits]):,.0f}",
                    when(entry),
                ]
            )  # fmt: skip
    return [
        "## Lanes",
        "",
        f"Precision {PROMISE} is promised; what was achieved on new products, over random "
        "re-splits of train and test. tagmill's lane auto is chosen from cross-fitted products, "
        "that of the peers is the lowest threshold that holds on a tenth of train. Means are over "
        "the re-splits with an accepted tag.",
        "",
        *table(
            ["set", "method", "re-splits", "with a lane", "mean achieved", "lowest",
             f"under {HELD}", "mean coverage", "mean accepted", "when"], rows,
        ),
        "",
        *image("lanes", "achieved precision of each re-split"),
    ]  # fmt: skip


def _diversity() -> list[str]:
    sets = results.load("diversity")
    if not sets:
        return absent("Diversity", "diversity")
    keys = ("tags_per_product", "facets_per_product", "redundant_share", "micro_f1")
    rows = [
        [name, kind, *(number(entry[kind][key]) for key in keys), when(entry)]
        for name, entry in sets.items()
        for kind in ("usual", "diverse")
    ]
    return [
        "## Diversity",
        "",
        "The published lists of the test products, and the same with `--diverse`. Redundant are "
        "tags that it leaves out.",
        "",
        *table(
            ["set", "lists", "tags a product", "facets a product", "redundant", "micro-F1", "when"],
            rows,
        ),
    ]


def _routing() -> list[str]:
    sets = results.load("routing")
    if not sets:
        return absent("Routing", "routing")
    place = SHARES.index(JUDGED)
    gained, spared, costly = [], [], []
    for name, entry in sets.items():
        if "cost" in entry:
            costly.append([name, *(number(value) for value in entry["cost"].values())])
        for case, found in entry["cases"].items():
            at = {routing: curve[place] for routing, curve in found["curves"].items()}
            own, low, high = (
                found[key] for key in ("of_oracle", "of_oracle_low", "of_oracle_high")
            )
            gained.append(
                [
                    name, case, f"{found['calls']:,}",
                    *(number(value) for value in (
                        found["engine"], at["random"], at["errors"], at["routing"], at["oracle"],
                        found["llm"],
                    )),
                    f"{own:.0%} ({low:.0%} to {high:.0%})", f"{found['of_oracle_errors']:.0%}",
                    "–" if found["exact"] is None else f"{found['exact']:.0%}", when(entry),
                ]
            )  # fmt: skip
            avoided = found["avoided"]
            spared.append(
                [name, case, *(f"{avoided[key]:.0%}" for key in ("routing", "random", "oracle"))]
            )
    return [
        "## Routing",
        "",
        "Whom to ask a large model about. **Its answers are simulated**, gold with noise: of each "
        f"gold tag it says yes with chance {RECALL}, of each wrong candidate with chance "
        f"{FALSE_ALARMS}, independent of what is hard for the engine. *Shown*: it judges the "
        f"{OFFERED} most probable candidates, as `tag --llm` can publish. *All gold*: it also "
        "names the gold tags nobody suggested. A call is a product, or a cell: a product's "
        "candidates in one facet, of which most are empty. What is asked about gets its tags.",
        "",
        f"Micro-F1 at {JUDGED:.0%} of the calls. *Of the oracle's gain*: (ours − random) / (oracle "
        "− random), with the 95% interval of a bootstrap of the products; the oracle knows gold "
        "and the model's slips. *By errors*: the same for routing by expected errors, not by "
        "expected gain of F1. *If exact*: what ours gains where gold is drawn from the engine's "
        "probabilities, which then are all there is to know: what chance leaves to a routing.",
        "",
        *table(
            ["set", "calls", "number", "engine", "random", "errors", "ours", "oracle", "all calls",
             "of the oracle's gain", "by errors", "if exact", "when"], gained,
        ),
        "",
        f"Calls avoided where {NEAR:.0%} of the micro-F1 with all calls is enough:",
        "",
        *table(["set", "calls", "ours", "random", "oracle"], spared),
        "",
        f"Micro-F1 at {JUDGED:.0%} of what asking about everything costs, where a product's first "
        "cell pays for a request and each likely candidate a tenth of it: whole products by gain a "
        "cost, and cells, as `tag --llm cascade` chooses them.",
        "",
        *table(["set", "engine", "random products", "products", "cells", "oracle's cells"], costly),
        "",
        *image("routing", "micro-F1 by share of calls"),
    ]  # fmt: skip


def _distil() -> list[str]:
    sets = results.load("distil")
    if not sets:
        return absent("Distil", "distil")
    rows = []
    for name, entry in sets.items():
        rows.append([name, "people's alone", "0", number(entry["start"]), when(entry)])
        for arm in entry["arms"]:
            labels = f"{arm['labels']:,}"
            rows.append([name, arm["how"], labels, number(arm["micro_f1"]), when(entry)])
        rows.append([name, "gold of all", "all", number(entry["gold"]), when(entry)])
    return [
        "## Distil",
        "",
        "micro-F1 on test of a student of a thousand products tagged by people and of a simulated "
        "teacher's labels (gold with noise, see Routing) for products that `distil` chose in "
        f"{ROUNDS} rounds, random ones, or all others. Nobody is asked about twice.",
        "",
        *table(["set", "products to label", "labelled", "micro-F1", "when"], rows),
    ]


def _speed() -> list[str]:
    keys = results.load("speed")
    if not keys:
        return absent("Speed", "speed")
    lines = [
        "## Speed",
        "",
        "tagmill as whole commands: start, read, tag with evidence and lanes, write. Peers tag "
        "the first rows of the same file, Parquet to Parquet (Annif: CSV to JSON Lines); their "
        "start and training are not counted. omikuji gets its features from scikit-learn. The "
        "ratio is that of tagmill, start included, to the peer.",
        "",
        *image("speed", "products per second"),
    ]
    for key, entry in keys.items():
        rows = []
        for ending, by_cores in entry["tagmill"].items():
            for cores, found in by_cores.items():
                rate, peak = found["products_per_second"], found["peak_mb"]
                rows.append([ending, cores, f"{rate:,.0f}", f"{peak:,.0f}"])
        peers = []
        for name, found in entry["peers"].items():
            for cores, rate in found.get("products_per_second", {}).items():
                ours = entry["tagmill"]["parquet"][cores]["products_per_second"]
                peers.append([name, cores, f"{rate:,.0f}", f"{ours:,.0f}", f"{ours / rate:.1f}×"])
            if "skipped" in found:
                peers.append([name, f"skipped: {found['skipped']}", "", "", ""])
        lines += [
            f"### {key}: {entry['tags']:,} tags",
            "",
            f"{entry['rows']:,} rows, the peers {entry['sample']:,} of them; trained on "
            f"{entry['train_rows']:,} ({when(entry)}). Model {entry['model_mb']:,.0f} MB; import "
            f"{entry['import_seconds'] * 1000:,.0f} ms, load {entry['load_seconds'] * 1000:,.0f} "
            f"ms (the first of a process {entry['first_load_seconds'] * 1000:,.0f} ms: numba "
            f"and its kernels), one product {entry['p50_ms']:.2f} ms (p50), {entry['p99_ms']:.2f} "
            "ms (p99).",
            "",
            *table(["tagmill", "cores", "products/s", "peak MB"], rows),
            "",
            *table(["peer", "cores", "products/s", "tagmill", "ratio"], peers),
            "",
        ]
    return lines


def _training() -> list[str]:
    keys = results.load("training")
    if not keys:
        return absent("Training", "training")
    rows = []
    for key, entry in keys.items():
        for name in ("tagmill", "omikuji Parabel"):
            if name in entry:
                seconds, peak = entry[name]["seconds"], entry[name]["peak_mb"]
                size = [f"{entry['rows']:,}", f"{entry['tags']:,}"]
                cost = [f"{seconds:,.1f}", f"{peak:,.0f}"]
                rows.append([key, *size, name, *cost, when(entry)])
    return [
        "## Training",
        "",
        "Whole commands on all cores: reading, features, model; tagmill's includes cross-fitting, "
        "calibration and thresholds.",
        "",
        *table(["data", "rows", "tags", "method", "seconds", "peak MB", "when"], rows),
    ]


def _growth() -> list[str]:
    entries = results.load("growth")
    if not entries:
        return absent("Growth", "growth")
    bandwidth = entries["memory"]["bytes_per_second"]
    rows = [
        [
            key, f"{entry['rows']:,}", f"{entry['tags']:,}", f"{entry['products_per_second']:,.0f}",
            f"{entry['model_mb']:,.1f}", f"{entry['bytes_per_product']:,.0f}",
            f"{entry['bandwidth_share']:.1%}", f"{entry['train_seconds']:,.0f}",
            f"{entry['train_peak_mb']:,.0f}", when(entry),
        ]
        for key, entry in entries.items()
        if key != "memory"
    ]  # fmt: skip
    return [
        "## Growth",
        "",
        "Synthetic catalogues; products/s of one thread in memory after warming up. Bytes touched "
        "are the postings of the linear index a product's features reach; the "
        f"share is of {bandwidth / 1e9:.1f} GB/s, a copy in one thread.",
        "",
        *table(
            ["grown", "rows", "tags", "products/s", "model MB", "bytes/product", "bandwidth used",
             "train s", "train MB", "when"], rows,
        ),
        "",
        *image("growth", "products per second and model size by number of tags"),
    ]  # fmt: skip


def _learning() -> list[str]:
    sets = results.load("learning")
    if not sets:
        return absent("Learning from verdicts", "learning")
    rows = [
        [
            name, f"{step['verdicts']:,}", number(step.get("update_seconds")),
            number(step["updated_micro_f1"]), number(step.get("train_seconds")),
            number(step.get("trained_micro_f1")), when(entry),
        ]
        for name, entry in sets.items()
        for step in entry["steps"]
    ]  # fmt: skip
    return [
        "## Learning from verdicts",
        "",
        "A model of half of train, updated after each thousand verdicts on the other half, beside "
        "one trained anew on all that was said so far.",
        "",
        *table(
            ["set", "verdicts", "update s", "updated micro-F1", "train s", "trained micro-F1",
             "when"], rows,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    print(f"wrote {write()}")
