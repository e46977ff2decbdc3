"""`tagmill products`: one product with its tags."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagmill.cli.messages import say, word
from tagmill.cli.tag import evidence_text, lane_text, print_tagged
from tagmill.cli.terminal import (
    AsJson,
    Workspace,
    note,
    open_workspace,
    print_field,
    print_json,
    print_table,
)
from tagmill.errors import CatalogError

app = typer.Typer(help="Look at products.", no_args_is_help=True)


@app.command("list")
def list_(
    products: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]…", help="These; default: the first ones.")
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 20,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Products with their current tags: probability, lane and evidence.

    Without ids the first ones that have tags.
    """
    from tagmill.catalog.writers import tag_lines
    from tagmill.text import caption

    with open_workspace(workspace) as (settings, store):
        ids = products or store.assignments.tagged_ids(limit)
        titles: dict[str, str] = {}
        for i in ids:
            if (found := store.products.get(i)) is None:
                raise CatalogError(f"No product has the id '{i}'. See: tagmill products list")
            titles[i] = caption(found["title"], found["description"])
        tagged = store.assignments.current(ids, language=settings.tagging.language)
        is_empty = not ids and not store.products.count()
    if is_empty and not as_json:
        note(say("empty_workspace"))
        return
    lines = [{**line, "title": titles[line["id"]]} for line in tag_lines(tagged)]
    print_json(lines) if as_json else print_tagged(lines)


@app.command()
def show(
    product: Annotated[str, typer.Argument(metavar="ID", help="Id of the product.")],
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """A product as it is stored, with its current tags."""
    from tagmill.catalog.writers import tag_lines

    with open_workspace(workspace) as (settings, store):
        found = store.products.get(product)
        if found is None:
            raise CatalogError(
                f"No product has the id '{product}'. Bring products in with: tagmill catalog import"
            )
        tagged = store.assignments.current([product], language=settings.tagging.language)
        tags = tag_lines(tagged)[0]["tags"]
    if as_json:
        print_json({**found, "tags": tags, "given_tags": found["tags"]})
        return
    for key in ("id", "title", "description", "category", "language"):
        if found.get(key):
            print_field(say(key), found[key])
    for name, value in found["attributes"] or ():
        print_field(name, value)
    for name, value in found["numbers"] or ():
        print_field(name, f"{value:.12g}")
    if found["tags"] is not None:
        typer.echo(say("given_tags", tags=", ".join(found["tags"]) or "–"))
    if found["gone"]:
        typer.echo(say("gone"))
    print_table(
        [say("tag"), say("probability"), say("lane"), say("origin"), say("evidence")],
        [
            [
                f"{tag['facet']}:{tag['name']}", tag["probability"], lane_text(tag),
                word(tag["origin"]), evidence_text(tag["evidence"]),
            ]
            for tag in tags
        ],
    )  # fmt: skip
