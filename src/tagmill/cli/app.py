"""The tree of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from tagmill import __version__
from tagmill.cli import (
    catalog,
    describe,
    distil,
    duplicates,
    evaluate,
    exchange,
    explain,
    export,
    health,
    learn,
    library,
    library_changes,
    library_history,
    llm,
    plan,
    privacy,
    products,
    profiles,
    prompt,
    proposals,
    recommend,
    review,
    runs,
    search,
    serve,
    tag,
    train,
    tune,
    workspace,
)

__all__ = ["app"]

app = typer.Typer(
    name="tagmill",
    help="Turn a product catalogue into tags people can trust: canonical, calibrated, with "
    "evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    pass


app.command("init")(workspace.init)
app.add_typer(catalog.app, name="catalog")
library.app.add_typer(exchange.app)
library.app.add_typer(duplicates.app)
library.app.add_typer(health.app)
library.app.add_typer(proposals.app)
library.app.add_typer(library_changes.app)  # without a name: its commands are library's
library.app.add_typer(library_history.app)
app.add_typer(library.app, name="library")
app.command("train")(train.train)
app.command("tune")(tune.tune)
app.command("learn")(learn.learn)
app.command("distil")(distil.distil)
app.command("plan")(plan.plan)
app.command("tag")(tag.tag)
app.command("describe")(describe.describe)
app.command("explain")(explain.explain)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(llm.app, name="llm")
app.add_typer(prompt.app, name="prompt")
app.add_typer(profiles.app, name="profiles")
app.add_typer(privacy.app, name="privacy")
app.add_typer(review.app, name="review")
app.add_typer(runs.app, name="runs")
app.add_typer(products.app, name="products")
app.command("search", cls=search.SearchCommand)(search.search)
app.command("recommend")(recommend.recommend)
app.add_typer(recommend.events, name="events")
app.add_typer(recommend.user, name="user")
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("backup")(workspace.backup)
