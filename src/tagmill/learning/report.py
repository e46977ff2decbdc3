"""An evaluation as one self-contained HTML page: tables, and plots drawn as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tagmill.page import page, table

__all__ = ["render_report", "write_report"]

_SHOWN_TAGS = 200

_GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Ranking",
        (
            ("p_at_1", "P@1"), ("p_at_3", "P@3"), ("p_at_5", "P@5"), ("r_at_5", "R@5"),
            ("r_at_10", "R@10"), ("ndcg_at_5", "nDCG@5"), ("psp_at_5", "PSP@5"),
        ),
    ),
    (
        "Published set",
        (
            ("precision", "Precision"), ("recall", "Recall"), ("micro_f1", "Micro-F1"),
            ("macro_f1", "Macro-F1"), ("example_f1", "Example-F1"),
        ),
    ),
    (
        "Probability",
        (
            ("ece", "ECE"), ("brier", "Brier"),
            ("coverage_at_095", "Coverage promised 0.95"),
            ("achieved_precision_at_095", "… achieved precision"),
            ("coverage_at_090", "Coverage promised 0.90"),
            ("achieved_precision_at_090", "… achieved precision"),
        ),
    ),
)  # fmt: skip


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write the page of what `evaluate` returned."""
    path.write_text(render_report(report), encoding="utf-8")


def render_report(report: dict[str, Any]) -> str:
    """The page as text."""
    head = (
        f"{report['products']:,} products, {report['gold_tags']:,} tags given by people "
        f"({report['unknown_gold_tags']:,} of them unknown to the model: each counts as missed). "
        "The lexicon column is what finding tag names in the text gives, with no training."
    )
    promise = report["promise"]
    achieved = promise["achieved_precision"]
    lane = (
        f"The lane auto promises precision {promise['precision']:.2f}. Here it holds "
        f"{promise['accepted']:,} tags, {promise['coverage']:.1%} of those people gave, "
        + ("and nothing is in it." if achieved is None else f"and {achieved:.1%} of it is right.")
    )
    sections = [
        f"<h1>Evaluation</h1><p>{escape(head)}</p>",
        f'<div class="grid">{"".join(_metric_card(report, *group) for group in _GROUPS)}</div>',
        f'<h2>Probability</h2><p>{escape(lane)}</p><div class="grid">',
        f'<div class="card"><h3>Reliability</h3>{_reliability_plot(report["reliability"])}</div>',
        f'<div class="card"><h3>Precision by share of tags found</h3>'
        f"{_risk_plot(report['risk_coverage'], promise['precision'])}</div></div>",
        "<h2>By facet</h2>" + _parts_table("Facet", report["per_facet"]),
        "<h2>By number of training examples</h2>"
        + _parts_table("Examples", report["per_frequency"], ordered=True),
        "<h2>Most frequent confusions</h2><p>A tag that was missed, and what was published in its "
        "place.</p>" + _confusions_table(report["confusions"]),
        "<h2>By tag</h2>" + _tags_table(report["per_tag"]),
    ]
    return page("tagmill evaluation", "".join(sections))


def _metric_card(report: dict[str, Any], title: str, metrics: tuple[tuple[str, str], ...]) -> str:
    rows = [[label, report.get(key), report["baseline"].get(key)] for key, label in metrics]
    return f'<div class="card"><h3>{title}</h3>{table(["", "Model", "Lexicon"], rows)}</div>'


def _parts_table(name: str, parts: dict[str, Any], *, ordered: bool = False) -> str:
    items = parts.items() if ordered else sorted(parts.items(), key=lambda i: -i[1]["gold"])
    columns = ("gold", "published", "precision", "recall", "f1", "auto", "auto_coverage")
    rows = [
        [facet or "–", *(part[column] for column in columns), part["auto_precision"]]
        for facet, part in items
    ]
    head = [
        name, "Given", "Published", "Precision", "Recall", "F1", "Auto", "Auto coverage",
        "Auto precision",
    ]  # fmt: skip
    return table(head, rows)


def _confusions_table(confusions: list[dict[str, Any]]) -> str:
    if not confusions:
        return "<p>None.</p>"
    rows = [[c["missed"], c["published"], c["products"]] for c in confusions]
    return table(["Missed", "Published instead", "Products"], rows)


def _tags_table(tags: dict[str, Any]) -> str:
    chosen = sorted(tags.items(), key=lambda item: (-item[1]["gold"], item[0]))[:_SHOWN_TAGS]
    columns = ("examples", "gold", "published", "precision", "recall", "f1")
    rows = [[tag, *(values[column] for column in columns)] for tag, values in chosen]
    note = (
        "" if len(tags) <= _SHOWN_TAGS else f"<p>The {_SHOWN_TAGS} commonest of {len(tags):,}.</p>"
    )
    head = ["Tag", "Examples", "Given", "Published", "Precision", "Recall", "F1"]
    return note + table(head, rows)


_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 460, 340, 46, 40


def _x(value: float) -> float:
    return _LEFT + value * (_WIDTH - _LEFT - 14)


def _y(value: float) -> float:
    return (_HEIGHT - _BOTTOM) - value * (_HEIGHT - _BOTTOM - 12)


def _frame(x_label: str, y_label: str) -> str:
    ticks = "".join(
        f'<line class="axis" x1="{_x(0):.1f}" x2="{_x(1):.1f}" y1="{_y(t):.1f}" y2="{_y(t):.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{_y(t) + 4:.1f}" text-anchor="end">{t:.1f}</text>'
        f'<text x="{_x(t):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{t:.1f}</text>'
        for t in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    )
    return (
        f'{ticks}<text x="{_x(0.5):.1f}" y="{_HEIGHT - 4}" text-anchor="middle">{x_label}</text>'
        f'<text transform="translate(12 {_y(0.5):.1f}) rotate(-90)" text-anchor="middle">'
        f"{y_label}</text>"
    )


def _svg(label: str, content: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{content}</svg>'


def _path(points: Sequence[tuple[float, float]], x: Callable[[float], float] = _x) -> str:
    return " ".join(
        f"{'L' if i else 'M'}{x(px):.1f} {_y(py):.1f}" for i, (px, py) in enumerate(points)
    )


def _reliability_plot(bins: Sequence[tuple[float, float, int]]) -> str:
    """Share right against probability; dots are bins of equal size, the line is perfection."""
    dots = "".join(
        f'<circle class="dot" cx="{_x(p):.1f}" cy="{_y(share):.1f}" r="5">'
        f"<title>probability {p:.3f}, right {share:.3f}, {size:,} tags</title></circle>"
        for p, share, size in bins
    )
    ideal = f'<path class="ideal" d="{_path([(0, 0), (1, 1)])}"/>'
    curve = f'<path class="curve" d="{_path([(p, share) for p, share, _ in bins])}"/>'
    return _svg(
        "Reliability diagram", _frame("probability given", "share right") + ideal + curve + dots
    )


def _risk_plot(points: Sequence[tuple[float, float]], promise: float) -> str:
    """Precision against share of gold found, when the most probable are taken first."""
    line = (
        f'<line class="promise" x1="{_x(0):.1f}" x2="{_x(1):.1f}" y1="{_y(promise):.1f}" '
        f'y2="{_y(promise):.1f}"/>'
    )
    curve = f'<path class="curve" d="{_path(points)}"/>' if points else ""
    return _svg("Precision by coverage", _frame("share of tags found", "precision") + line + curve)
