"""The plots of docs/benchmarks.md, one function each; nothing is drawn of a part not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import results
from growth import TAGS
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measures import PROMISE

OWN, OTHER, BEST = "#c1440e", "#9aa5b1", "#34495e"
# The same numbers give the same file: text stays text, ids are seeded, no date is written.
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "tagmill",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(folder: Path) -> None:
    """All plots into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        if sets := results.load("accuracy"):
            _save(_micro_f1(sets), folder / "micro_f1.svg")
            _save(_differences(sets), folder / "differences.svg")
        if sets := results.load("lanes"):
            _save(_lanes(sets), folder / "lanes.svg")
        if sets := results.load("routing"):
            _save(_routing(sets), folder / "routing.svg")
        if keys := results.load("speed"):
            _save(_speed(keys), folder / "speed.svg")
        if entries := results.load("growth"):
            _save(_growth(entries), folder / "growth.svg")
        if sets := results.load("search_quality"):
            _save(_search(sets), folder / "search.svg")
        if found := results.load("recommendation"):
            _save(_recommendation(*found.values()), folder / "recommendation.svg")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")


def _rows_of(axes: Axes, names: list[str]) -> None:
    """The names down the side, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)


def _micro_f1(sets: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(7, 0.5 * len(sets) + 1.2))
    axes = figure.subplots()
    for row, entry in enumerate(sets.values()):
        for name, peer in entry["peers"].items():
            if "skipped" not in peer:
                is_mean = name.startswith("mean")
                axes.plot(
                    peer["micro_f1"], row, "D" if is_mean else "o", ms=6,
                    color=BEST if is_mean else OTHER, mfc="none" if is_mean else OTHER,
                )  # fmt: skip
        axes.plot([seed["micro_f1"] for seed in entry["tagmill"]], [row] * 3, "|", ms=14, color=OWN)
    for marker, colour, label in (
        ("|", OWN, "tagmill"),
        ("o", OTHER, "peers"),
        ("D", BEST, "mean of peers"),
    ):
        axes.plot(
            [], [], marker, color=colour, label=label, mfc="none" if marker == "D" else colour
        )
    _rows_of(axes, list(sets))
    axes.set_xlabel("micro-F1")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return figure


def _differences(sets: dict[str, Any]) -> Figure:
    metrics = {"p_at_1": "P@1", "ndcg_at_5": "nDCG@5", "micro_f1": "micro-F1"}
    figure = Figure(figsize=(8, 0.4 * len(sets) + 1))
    panels = figure.subplots(1, len(metrics), sharey=True)
    for axes, (metric, title) in zip(panels, metrics.items(), strict=True):
        for row, entry in enumerate(sets.values()):
            gap = entry["compared"][metric]
            axes.plot([gap["low"], gap["high"]], [row, row], color=OWN)
            axes.plot(gap["difference"], row, "o", color=OWN, ms=5)
        axes.axvline(0, color=BEST, lw=0.8)
        axes.set_title(title)
        _rows_of(axes, list(sets))
    return figure


def _lanes(sets: dict[str, Any]) -> Figure:
    labels = [(name, method) for name, entry in sets.items() for method in entry["methods"]]
    figure = Figure(figsize=(7, 0.28 * len(labels) + 1))
    axes = figure.subplots()
    for row, (name, method) in enumerate(labels):
        splits = sets[name]["methods"][method]
        reached = [split["achieved"] for split in splits if split["achieved"] is not None]
        colour = OWN if method == "tagmill" else OTHER
        axes.plot(reached, [row] * len(reached), "o", color=colour, ms=4, alpha=0.6)
        if reached:
            axes.plot(np.mean(reached), row, "|", color=colour, ms=12)
    axes.axvline(PROMISE, color=BEST, lw=0.8)
    _rows_of(axes, [f"{name}, {method}" for name, method in labels])
    axes.set_xlabel(f"achieved precision; {PROMISE} is promised")
    return figure


def _routing(sets: dict[str, Any]) -> Figure:
    cases = list(next(iter(sets.values()))["cases"])
    figure = Figure(figsize=(3 * len(sets) + 0.5, 2.4 * len(cases)))
    panels = figure.subplots(len(cases), len(sets), squeeze=False, sharex=True)
    styles = {"oracle": (BEST, "--"), "routing": (OWN, "-"), "errors": (OWN, ":"),
              "random": (OTHER, "-")}  # fmt: skip
    for row, case in zip(panels, cases, strict=True):
        for axes, (name, entry) in zip(row, sets.items(), strict=True):
            found = entry["cases"][case]
            for routing, (colour, line) in styles.items():
                curve = found["curves"][routing]
                axes.plot(found["shares"], curve, line, color=colour, label=routing)
            axes.set_title(f"{name}: {case}", fontsize=8)
            axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
            axes.grid(alpha=0.3)
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel("share of the calls", fontsize=9)
    figure.supylabel("micro-F1", fontsize=9)
    figure.tight_layout()
    return figure


def _speed(keys: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(8, 2.6))
    panels = figure.subplots(1, len(keys), squeeze=False)[0]
    for axes, entry in zip(panels, keys.values(), strict=True):
        rates = {"tagmill": entry["tagmill"]["parquet"]["1"]["products_per_second"]}
        for name, peer in entry["peers"].items():
            if "skipped" not in peer:
                rates[name] = peer["products_per_second"]["1"]
        colours = [OWN] + [OTHER] * (len(rates) - 1)
        bars = axes.barh(range(len(rates)), list(rates.values()), color=colours)
        axes.bar_label(bars, [f"{rate:,.0f}" for rate in rates.values()], padding=3)
        axes.margins(x=0.25)
        axes.set_title(f"{entry['tags']:,} tags: products/s on one core")
        _rows_of(axes, list(rates))
    figure.tight_layout()
    return figure


def _is_grown(name: str, entry: dict[str, Any], grown: str) -> bool:
    """Whether an entry is a point of the curve by tags, or by rows at one number of tags."""
    if name == "memory":
        return False
    return name.startswith("tags") if grown == "tags" else entry["asked_tags"] == TAGS


def _growth(entries: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(8, 2.8))
    panels = figure.subplots(1, 3)
    columns = {
        "products_per_second": "products/s",
        "model_mb": "model MB",
        "bytes_per_product": "bytes/product",
    }
    for axes, (key, title) in zip(panels, columns.items(), strict=True):
        for grown, colour in (("tags", OWN), ("rows", OTHER)):
            points = [e for name, e in entries.items() if _is_grown(name, e, grown)]
            points.sort(key=lambda entry: entry[grown])
            x, y = [entry[grown] for entry in points], [entry[key] for entry in points]
            axes.plot(x, y, "o-", color=colour, label=f"by {grown}")
        axes.set_xscale("log")
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(low / 2, high * 2)  # so that little looks little
        axes.set_title(title)
        axes.grid(alpha=0.3)
    panels[0].legend(frameon=False)
    figure.tight_layout()
    return figure


def _search(sets: dict[str, Any]) -> Figure:
    kinds = {"words": OTHER, "svc": "#d9d9d9", "predicted": OWN, "gold": BEST}
    labels = ("words alone", "with SVC scores", "with predicted tags", "with gold tags")
    figure = Figure(figsize=(8, 2.8))
    metrics = {"recall_at_20": "recall@20", "ndcg_at_10": "nDCG@10"}
    panels = figure.subplots(1, len(metrics))
    for axes, (metric, title) in zip(panels, metrics.items(), strict=True):
        for place, ((kind, colour), label) in enumerate(zip(kinds.items(), labels, strict=True)):
            x = np.arange(len(sets)) + 0.2 * (place - 1.5)
            heights = [entry[f"{metric}_{kind}"] for entry in sets.values()]
            axes.bar(x, heights, 0.18, color=colour, label=label)
        axes.set_xticks(range(len(sets)), list(sets), fontsize=7)
        axes.set_title(title)
        axes.grid(axis="y", alpha=0.3)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.08)
    )
    figure.tight_layout()
    return figure


def recommenders(entry: dict[str, Any], case: str) -> list[str]:
    """Those measured on known or on cold items."""
    ends = f"{case} ", " recall"
    return [
        key.removeprefix(ends[0]).removesuffix(ends[1])
        for key in entry
        if key.startswith(ends[0]) and key.endswith(ends[1])
    ]


def _recommendation(entry: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(8, 2.4))
    panels = figure.subplots(1, 2)
    for axes, case in zip(panels, ("known", "cold"), strict=True):
        names = [
            k[len(case) + 1 : -7] for k in entry if k.startswith(case) and k.endswith("recall")
        ]
        values = [entry[f"{case} {name} recall"] for name in names]
        colours = [OWN if name.startswith("tagmill") else OTHER for name in names]
        bars = axes.barh(range(len(names)), values, color=colours)
        axes.bar_label(bars, [f"{value:.3f}" for value in values], padding=3)
        axes.margins(x=0.2)
        axes.set_title(f"{case} items: Recall@20")
        _rows_of(axes, names)
    figure.tight_layout()
    return figure
