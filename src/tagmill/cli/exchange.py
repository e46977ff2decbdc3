"""`tagmill library import` and `export`: CSV, SKOS, taxonomies, synonyms for search engines."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagmill.cli.library_changes import DryRun, NoRetag, Why, say_retagged, selection_of
from tagmill.cli.messages import MESSAGES, say
from tagmill.cli.terminal import AsJson, Workspace, counting, note, open_workspace, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer()

Language = Annotated[str, typer.Option(help="Of the canonical names, in formats of several.")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file; a folder for shopify and google.")],
    format_: Annotated[
        str | None, typer.Option("--format", help="csv, skos, shopify or google.")
    ] = None,
    language: Language = "en",
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Add the tags of a file, or change those there are; products it touches are tagged again.

    A tag is met again by its id, by its id in that taxonomy, or by facet:name. What was merged or
    retired stays so.
    """
    from tagmill.library import import_file
    from tagmill.library.stored import load_library
    from tagmill.upkeep import forecast, govern

    with open_workspace(workspace) as (settings, store), counting("tagging") as progress:
        library = load_library(store)
        report = import_file(library, file, format_, language, known=store.library.imported())
        models, selection = settings.models_dir, selection_of(settings)
        numbers = {"tags": len(report.changed), "retired": len(report.retired)}
        if dry_run:
            seen = forecast(store, models, library, selection, progress)
        else:
            done = govern(
                store, models, library, report.changed, selection, kind="import",
                who=getpass.getuser(), why=why or str(file), again=not no_retag,
                progress=progress,
            )  # fmt: skip
            store.library.note_imported(report.rows, done.version)
    if dry_run:
        if as_json:
            print_json({"dry_run": True, **numbers, "notes": dict(report.notes), **asdict(seen)})
        else:
            forecasts = {k: v for k, v in asdict(seen).items() if k != "examples"}
            typer.echo(say("forecast", **{**forecasts, "tags": numbers["tags"]}))
    elif as_json:
        print_json(
            {"version": done.version, **numbers, "notes": dict(report.notes),
             "products": done.summary.products, "run": done.run and done.run.id}
        )  # fmt: skip
    else:
        what = say("tags_of_file", count=numbers["tags"], file=file.name)
        typer.echo(say("library_changed", version=done.version, what=what))
        say_retagged(done)
    if loose := [tag.name for tag in report.changed if not tag.facet]:
        note(say("without_facet", count=len(loose), first=loose[0]))
    if report.retired:
        note(say("left_retired", count=len(report.retired)))
    _note_lost(report.notes)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="To write; a folder for shopify.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, skos, shopify, google, elasticsearch, meilisearch or typesense.",
        ),
    ] = None,
    language: Language = "en",
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Write the library; `library import` reads csv, skos, shopify and google back."""
    from tagmill.library import export_library
    from tagmill.library.stored import load_library

    with open_workspace(workspace) as (_, store):
        library = load_library(store)
    lost = export_library(library, file, format_, language)
    if as_json:
        print_json(
            {
                "output": str(file),
                "tags": len(library.tags),
                "lost": {kind: count for kind, count in lost.items() if count},
            }
        )
        return
    note(say("written", path=file))
    _note_lost(lost)


def _note_lost(notes: Mapping[str, int]) -> None:
    """What a format, or the library, cannot hold."""
    for kind, count in notes.items():
        if count:
            key = f"held_{kind}" if f"held_{kind}" in MESSAGES else "held_other"
            note(say("not_held", count=count, what=say(key, kind=kind)))
