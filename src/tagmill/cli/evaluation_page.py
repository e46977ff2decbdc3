"""An evaluation as one self-contained HTML page: tables, and plots drawn as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tagmill.cli.messages import say
from tagmill.page import page, table
from tagmill.settings import interface_language

__all__ = ["METRICS", "facet_table", "render_report", "write_report"]

_SHOWN_TAGS = 200

# Message of a title → the metrics below it, each called by its message `metric_…`.
METRICS: dict[str, tuple[str, ...]] = {
    "ranking": (
        "p_at_1", "p_at_3", "p_at_5", "r_at_5", "r_at_10", "ndcg_at_5", "psp_at_5",
    ),
    "published_set": ("precision", "recall", "micro_f1", "macro_f1", "example_f1"),
    "probability": (
        "ece", "brier", "coverage_at_095", "achieved_precision_at_095", "coverage_at_090",
        "achieved_precision_at_090",
    ),
}  # fmt: skip


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write the page of what `evaluate` returned."""
    path.write_text(render_report(report), encoding="utf-8")


def render_report(report: dict[str, Any]) -> str:
    """The page as text."""
    promise = report["promise"]
    lane = say("promise_none" if promise["achieved_precision"] is None else "promise", **promise)
    sections = [
        f"<h1>{_text('evaluation')}</h1><p>{_text('evaluated', **report)}</p>",
        f'<div class="grid">{"".join(_metric_card(report, *group) for group in METRICS.items())}'
        "</div>",
        f'<h2>{_text("probability")}</h2><p>{escape(lane)}</p><div class="grid">',
        f'<div class="card"><h3>{_text("reliability")}</h3>'
        f"{_reliability_plot(report['reliability'])}</div>",
        f'<div class="card"><h3>{_text("precision_by_found")}</h3>'
        f"{_risk_plot(report['risk_coverage'], promise['precision'])}</div></div>",
        f"<h2>{_text('by_facet')}</h2>" + table(*facet_table(report)),
        f"<h2>{_text('by_examples')}</h2>"
        + table(*_parts_table("examples", report["per_frequency"].items())),
        f"<h2>{_text('confusions')}</h2><p>{_text('confusions_are')}</p>"
        + _confusions_table(report["confusions"]),
        f"<h2>{_text('by_tag')}</h2>" + _tags_table(report["per_tag"]),
    ]
    return page(say("evaluation"), "".join(sections), interface_language())


def _text(key: str, **values: object) -> str:
    """A message as HTML."""
    return escape(say(key, **values))


def _metric_card(report: dict[str, Any], title: str, metrics: tuple[str, ...]) -> str:
    rows = [[say(f"metric_{key}"), report.get(key), report["baseline"].get(key)] for key in metrics]
    head = ["", say("model"), say("lexicon")]
    return f'<div class="card"><h3>{_text(title)}</h3>{table(head, rows)}</div>'


def facet_table(report: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Head and rows of what was measured of each facet, that with the most tags first."""
    facets = sorted(report["per_facet"].items(), key=lambda item: -item[1]["gold"])
    return _parts_table("facet", facets)


def _parts_table(
    name: str, parts: Iterable[tuple[str, dict[str, Any]]]
) -> tuple[list[str], list[list[Any]]]:
    rows = [
        [part or "–", *_measured(values), values["auto"],
         values["auto_coverage"] if values["gold"] else None, values["auto_precision"]]
        for part, values in parts
    ]  # fmt: skip
    head = [say(name), *_measures(), say("auto"), say("auto_coverage"), say("auto_precision")]
    return head, rows


def _measures() -> list[str]:
    """What the columns of `_measured` are called."""
    return [say("given"), say("published"), say("metric_precision"), say("metric_recall"), "F1"]


def _measured(values: dict[str, Any]) -> list[float | None]:
    """Tags given and published, precision, recall and F1; None where there is nothing to divide."""
    gold, published = values["gold"], values["published"]
    return [
        gold,
        published,
        values["precision"] if published else None,
        values["recall"] if gold else None,
        values["f1"] if gold or published else None,
    ]


def _confusions_table(confusions: list[dict[str, Any]]) -> str:
    if not confusions:
        return f"<p>{_text('no_confusions')}</p>"
    rows = [[c["missed"], c["published"], c["products"]] for c in confusions]
    return table([say("missed"), say("published_instead"), say("products")], rows)


def _tags_table(tags: dict[str, Any]) -> str:
    chosen = sorted(tags.items(), key=lambda item: (-item[1]["gold"], item[0]))[:_SHOWN_TAGS]
    rows = [[tag, values["examples"], *_measured(values)] for tag, values in chosen]
    left = len(tags) - _SHOWN_TAGS
    note = f"<p>{_text('commonest', shown=_SHOWN_TAGS, tags=len(tags))}</p>" if left > 0 else ""
    return note + table([say("tag"), say("examples"), *_measures()], rows)


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
        f"<title>{_text('bin', probability=p, share=share, size=size)}</title></circle>"
        for p, share, size in bins
    )
    ideal = f'<path class="ideal" d="{_path([(0, 0), (1, 1)])}"/>'
    curve = f'<path class="curve" d="{_path([(p, share) for p, share, _ in bins])}"/>'
    frame = _frame(_text("probability_given"), _text("share_right"))
    return _svg(_text("reliability"), frame + ideal + curve + dots)


def _risk_plot(points: Sequence[tuple[float, float]], promise: float) -> str:
    """Precision against share of gold found, when the most probable are taken first."""
    line = (
        f'<line class="promise" x1="{_x(0):.1f}" x2="{_x(1):.1f}" y1="{_y(promise):.1f}" '
        f'y2="{_y(promise):.1f}"/>'
    )
    curve = f'<path class="curve" d="{_path(points)}"/>' if points else ""
    frame = _frame(_text("share_found"), _text("metric_precision"))
    return _svg(_text("precision_by_found"), frame + line + curve)
