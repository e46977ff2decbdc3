"""Pieces of docs/benchmarks.md: tables, plots, and sections that stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["DOCS", "PAGE", "absent", "image", "number", "table", "when"]

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "benchmarks.md"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def image(name: str, text: str) -> list[str]:
    """A plot of docs/benchmarks."""
    return [f"![{text}](benchmarks/{name}.svg)", ""]


def when(entry: dict[str, Any]) -> str:
    """The day of an entry, and whether it was a quick run."""
    return f"{entry['when']}, quick" if entry["quick"] else str(entry["when"])


def number(value: float | None) -> str:
    """Three decimals of what is small."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


def absent(title: str, part: str) -> list[str]:
    """The section of a part that was not run here: what stands on the page, from another run."""
    sections = re.split(r"^(?=## )", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    for section in sections:
        if section.startswith(f"## {title}\n"):
            return section.rstrip().split("\n")
    return [f"## {title}", "", f"Not run: `python benchmarks/bench.py {part}`."]
