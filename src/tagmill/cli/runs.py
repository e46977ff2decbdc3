"""`tagmill runs`: what was tagged when, and taking it back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tagmill.cli.messages import label, say, word
from tagmill.cli.terminal import (
    AsJson,
    Workspace,
    open_workspace,
    print_field,
    print_json,
    print_table,
)

app = typer.Typer(help="Look at tagging runs, and undo one.", no_args_is_help=True)

RunId = Annotated[int, typer.Argument(help="Number of the run.")]


@app.command("list")
def list_(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """All runs, the newest first."""
    with open_workspace(workspace) as (_, store):
        runs = [asdict(run) for run in store.runs.list()]
    if as_json:
        print_json(runs)
        return
    print_table(
        [
            say("run"), say("kind"), say("status"), say("model"), say("products"),
            say("started"), say("finished"),
        ],
        [
            [
                str(run["id"]), word(run["kind"]), word(run["status"]), run["model"],
                run["counts"].get("products", 0), _time(run["started"]), _time(run["finished"]),
            ]
            for run in runs
        ],
    )  # fmt: skip


@app.command()
def show(run: RunId, workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """One run: versions, settings, counts."""
    with open_workspace(workspace) as (_, store):
        entry = asdict(store.runs.get(run))
    if as_json:
        print_json(entry)
        return
    for key, value in entry.items():
        if isinstance(value, dict):
            called = label if key == "counts" else str
            value = ", ".join(f"{called(name)} {one}" for name, one in value.items())
        if key in ("kind", "status"):
            value = word(value)
        print_field(say("run" if key == "id" else key), "–" if value is None else value)


@app.command()
def undo(run: RunId, workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Give every product of a run the tags it had before; verdicts stay."""
    with open_workspace(workspace) as (_, store):
        report = store.runs.undo(run)
    if as_json:
        print_json(asdict(report))
    else:
        typer.echo(say("undone", run=run, products=report.products))


def _time(value: Any) -> str:  # noqa: ANN401
    return "–" if value is None else str(value)[:19].replace("T", " ")
