"""`tagmill catalog`: products into the workspace."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tagmill.cli.messages import say
from tagmill.cli.terminal import (
    AsJson,
    Map,
    Query,
    Table,
    Workspace,
    catalog_of,
    note,
    note_catalog,
    open_workspace,
    print_json,
)

app = typer.Typer(help="Take products out of files and databases.", no_args_is_help=True)

Source = Annotated[
    str,
    typer.Argument(help="CSV, TSV, JSON Lines or Parquet file, or a SQLAlchemy URL."),
]


@app.command("import")
def import_(
    source: Source,
    table: Table = None,
    query: Query = None,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Add products, or bring them up to date; what the source lacks stays as it is.

    So do fields that it has no column for: a file of id and price changes prices alone.
    """
    _read(source, table, query, mapping, workspace, as_json, sync=False)


@app.command()
def sync(
    source: Source,
    table: Table = None,
    query: Query = None,
    mapping: Map = None,
    many_gone: Annotated[
        bool, typer.Option("--many-gone", help="Also where more than half of the products go.")
    ] = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Bring the workspace in line with a complete source: new, changed and discontinued.

    Fields that it has no column for stay as they are.

    A discontinued product keeps its history and leaves the output; it may come back.
    """
    _read(source, table, query, mapping, workspace, as_json, sync=True, many_gone=many_gone)


def _read(
    source: str,
    table: str | None,
    query: str | None,
    mapping: list[str] | None,
    workspace: Path,
    as_json: bool,
    *,
    sync: bool,
    many_gone: bool = False,
) -> None:
    from tagmill.catalog import SyncReport, import_products, sync_products
    from tagmill.naming import keep_given

    with open_workspace(workspace) as (settings, store):
        rejects = settings.root / f"{_stem(source)}.rejects.jsonl"
        catalog = catalog_of(
            source, mapping, table=table, query=query, rejects=rejects, workspace=settings.root,
            known=store.products.known if store.products.count() else None,
        )  # fmt: skip
        report = (
            sync_products(store, catalog, many_gone=many_gone)
            if sync
            else import_products(store, catalog)
        )
        named = keep_given(store) if report.new or report.changed else 0
    counts = {"gone": 0, **asdict(report)}
    if as_json:
        print_json(counts)
    else:
        typer.echo(say("imported", **counts))
        if isinstance(report, SyncReport) and catalog.counts.read == catalog.counts.rejected:
            note(say("nothing_synced", source=catalog.name))
    if named:
        note(say("names_proposed", count=named))
    note_catalog(catalog)


def _stem(source: str) -> str:
    """A name for the rejects file: the file's own, or that of the database."""
    return Path(source.split("?")[0].rstrip("/")).name or "catalog"
