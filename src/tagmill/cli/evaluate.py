"""`tagmill evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tagmill.cli.evaluation_page import METRICS, facet_table, write_report
from tagmill.cli.messages import say
from tagmill.cli.terminal import (
    AsJson,
    Map,
    Workspace,
    catalog_of,
    note,
    note_catalog,
    open_workspace,
    print_json,
    print_table,
    stages,
)
from tagmill.errors import SettingsError

_FACETS = 20  # in the terminal; a page has all


def evaluate(
    source: Annotated[
        str | None, typer.Argument(help="Tagged products; default: a fifth of the workspace's.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder; default: none.")] = None,
    precision: Annotated[float, typer.Option(help="Promise of the lane auto to check.")] = 0.95,
    per_facet: Annotated[
        bool, typer.Option("--per-facet", help="Promise it of each facet by itself.")
    ] = False,
    new_names: Annotated[
        bool, typer.Option("--open", help="Count proposed names too; needs a file and --model.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write a report with plots.")] = None,
    seed: Annotated[int, typer.Option(help="Of the split, without a file.")] = 0,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Measure a model on products whose tags are known, beside the lexicon alone."""
    if html is not None and not html.parent.is_dir():
        raise SettingsError(f"Cannot write '{html}': there is no folder {html.parent}")
    if source is not None:
        from tagmill.learning import evaluate as measure
        from tagmill.tagging.folder import load_model, starter_model

        used = load_model(model) if model is not None else starter_model()
        catalog = catalog_of(source, mapping, rejects=Path(f"{Path(source).name}.rejects.jsonl"))
        report = measure(
            used, catalog, precision=precision, per_facet=per_facet, new_names=new_names
        )
        note_catalog(catalog)
    elif new_names:
        raise SettingsError("--open needs a file: tagmill evaluate test.jsonl --model DIR --open")
    elif model is not None:
        raise SettingsError(
            "--model needs a file of tagged products: tagmill evaluate test.jsonl --model DIR"
        )
    else:
        from tagmill.workspace import evaluate_workspace

        note(say("held_out"))
        with open_workspace(workspace) as (settings, store), stages() as progress:
            report = evaluate_workspace(
                store, precision=precision, per_facet=per_facet, top_k=settings.tagging.top_k,
                seed=seed, progress=progress,
            )  # fmt: skip
    if html is not None:
        write_report(html, report)
        note(say("report_written", path=html))
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if report["seen_in_training"]:
        note(say("seen_in_training", seen=report["seen_in_training"], count=report["products"]))
    if report["unknown_gold_tags"]:
        unknown, gold = report["unknown_gold_tags"], report["gold_tags"]
        note(say("unknown_gold", unknown=unknown, gold=gold))


def _print_report(report: dict[str, Any]) -> None:
    baseline = report["baseline"]
    print_table(
        [say("metric"), say("model"), say("lexicon")],
        [
            [say(f"metric_{key}"), _value(report.get(key)), _value(baseline.get(key))]
            for group in METRICS.values()
            for key in group
        ],
    )
    head, rows = facet_table(report)
    print_table(head, rows[:_FACETS])
    promise = report["promise"]
    if promise["achieved_precision"] is not None:
        typer.echo(say("promise_held", **promise))
    diversity = report["diversity"]
    typer.echo(say("diversity", **diversity, f1=diversity["diverse"]["micro_f1"]))
    if "open" in report:
        typer.echo(say("open_evaluated", **report["open"]))


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
