"""`tagmill library report`: how the library fares, in the terminal or as a page."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagmill.cli.messages import say
from tagmill.cli.terminal import (
    AsJson,
    Workspace,
    note,
    open_workspace,
    print_json,
    print_table,
)
from tagmill.errors import LibraryError
from tagmill.settings import interface_language

if TYPE_CHECKING:
    from tagmill.health import Health

app = typer.Typer()

_EXAMPLES, _FACETS = 3, 15  # in the terminal; a page has ten examples and all used facets


@app.command()
def report(
    html: Annotated[Path | None, typer.Option(help="Also write a page.")] = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """How the library fares: unused, redundant and falling tags, each with what mends it."""
    from tagmill.health import library_health

    with open_workspace(workspace) as (settings, store):
        health = library_health(store, settings.library.min_support)
    if html is not None:
        try:
            html.write_text(_page(health), encoding="utf-8")
        except OSError as error:
            raise LibraryError(f"Cannot write '{html}': {error.strerror}") from error
        note(say("written", path=html))
    if as_json:
        print_json(asdict(health))
        return
    typer.echo(_head(health))
    head, rows = _facets(health)
    print_table(head, rows[:_FACETS])
    left = len(health.facets) - min(len(rows), _FACETS)
    if left:
        note(say("more_facets", count=left))
    if not health.findings:
        typer.echo(say("healthy"))
        return
    head, rows = _findings(health, _EXAMPLES)
    print_table(head, rows)


def _head(health: Health) -> str:
    return say(
        "health", version=health.version, active=health.tags.get("active", 0),
        tagged=health.tagged, products=health.products,
        tags_per_product=health.tags_per_product, facets_per_product=health.facets_per_product,
    )  # fmt: skip


def _findings(health: Health, examples: int) -> tuple[list[str], list[list[object]]]:
    head = [say("finding"), say("count"), say("example"), say("command")]
    rows: list[list[object]] = [
        [say(f"found_{one.kind}"), one.count, ", ".join(one.examples[:examples]), one.command]
        for one in health.findings
    ]
    return head, rows


def _facets(health: Health) -> tuple[list[str], list[list[object]]]:
    """Of the facets that products have, the most frequent first."""
    head = [say("facet"), say("tags"), say("used"), say("products"), say("coverage"),
            say("per_product")]  # fmt: skip
    rows: list[list[object]] = [
        [one["facet"], one["tags"], one["used"], one["products"], one["coverage"],
         one["tags_per_product"]]
        for one in sorted(health.facets, key=lambda one: -one["products"])
        if one["used"]
    ]  # fmt: skip
    return head, rows


def _page(health: Health) -> str:
    from tagmill.page import page, table

    growth: list[list[object]] = [
        [one[key] for key in ("month", "added", "merged", "retired", "active")]
        for one in health.growth
    ]
    titles = [say(key) for key in ("month", "added", "merged", "retired", "active")]
    body = [
        f"<h1>{escape(say('health_title'))}</h1><p>{escape(_head(health))}</p>",
        table(*_findings(health, 10)) if health.findings else f"<p>{escape(say('healthy'))}</p>",
        f"<h2>{escape(say('facet'))}</h2>" + table(*_facets(health)),
        f"<h2>{escape(say('growth'))}</h2>" + table(titles, growth),
    ]
    return page(say("health_title"), "".join(body), interface_language())
