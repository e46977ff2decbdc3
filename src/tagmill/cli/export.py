"""`tagmill export`: stored tags out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from tagmill.cli.messages import say
from tagmill.cli.terminal import AsJson, Workspace, counting, note, open_workspace, print_json
from tagmill.errors import SettingsError


def export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write .parquet, .jsonl or .csv.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="SQLAlchemy URL of the database to write.")] = None,
    table: Annotated[
        str, typer.Option(help="Table there; made if missing, one row a product and tag.")
    ] = "product_tags",
    since: Annotated[
        int | None, typer.Option(help="Only products whose tags changed after this cursor.", min=0)
    ] = None,
    lane: Annotated[str, typer.Option(help="auto, or review for both.")] = "review",
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Documents for an engine: elasticsearch, meilisearch, typesense or gorse.",
        ),
    ] = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Write the stored tags to a file, or beside the products of a database."""
    if (output is None) == (to is None):
        raise SettingsError("Name one goal: -o FILE, or --to SQL_URL with --table T")
    if lane not in ("auto", "review"):
        raise SettingsError(f"Unknown lane '{lane}'. Stored are: auto, review (auto and review)")
    if format_ is not None:
        _for_engine(format_, output, since, workspace, as_json)
        return
    from tagmill.catalog.writers import SqlWriter, open_writer
    from tagmill.workspace import export_tags

    with open_workspace(workspace) as (settings, store), counting("exporting") as progress:
        goal = closing(SqlWriter(str(to), table)) if output is None else open_writer(output)
        with goal as writer:
            report = export_tags(
                # Into a table also what is gone: its rows have to go too.
                store, writer, since=since if to is None else since or 0, lane=lane,
                language=settings.tagging.language, progress=progress,
            )  # fmt: skip
    if as_json:
        print_json(vars(report))
        return
    note(say("exported", products=report.products, cursor=report.cursor))


def _for_engine(
    engine: str, output: Path | None, since: int | None, workspace: Path, as_json: bool
) -> None:
    """Products with weighted tags, as an engine takes them in."""
    if output is None:
        raise SettingsError(f"--format {engine} writes a file: -o FILE")
    from tagmill.discover.documents import write_documents

    with open_workspace(workspace) as (settings, store), counting("exporting") as progress:
        language = settings.tagging.language
        report = write_documents(
            store, output, engine, since=since,
            language="" if language == "product" else language, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(vars(report))
        return
    note(say("exported", products=report.products + report.gone, cursor=report.cursor))
    if engine == "elasticsearch":
        note(say("mapping_written", path=f"{output}.mapping.json"))
