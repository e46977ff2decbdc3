"""`tagmill review`: a person's verdicts."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from tagmill.cli.library import facet_key
from tagmill.cli.messages import say
from tagmill.cli.tag import evidence_text
from tagmill.cli.terminal import AsJson, Workspace, note, open_workspace, print_json, print_table
from tagmill.errors import CatalogError

app = typer.Typer(help="Decide what the machine left open.", no_args_is_help=True)

Product = Annotated[str, typer.Argument(help="Id of the product.")]
Tag = Annotated[str, typer.Argument(help="facet:name in any language, or id.")]
Note = Annotated[str, typer.Option("--note", help="Why.")]


@app.command("list")
def list_(
    facet: Annotated[str | None, typer.Option(help="Only this facet.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 20,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """What waits for a verdict, the most uncertain first."""
    from tagmill.library.stored import load_library

    with open_workspace(workspace) as (settings, store):
        key = facet_key(load_library(store), facet) if facet else None
        queue = store.review.queue(limit, facet=key, language=settings.tagging.language)
    if as_json:
        print_json(queue)
        return
    if not queue:
        typer.echo(say("queue_empty"))
        return
    print_table(
        [say("product"), "", say("tag"), say("probability"), say("evidence")],
        [
            [
                entry["product_id"], entry["title"], f"{entry['facet']}:{entry['name']}",
                entry["probability"], evidence_text(entry["evidence"]),
            ]
            for entry in queue
        ],
    )  # fmt: skip
    note(say("queue_hint"))


@app.command()
def accept(
    product: Product,
    tag: Tag,
    note: Note = "",
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """The product has the tag; no run will take it away."""
    _decide(product, tag, True, note, workspace, as_json)


@app.command()
def reject(
    product: Product,
    tag: Tag,
    note: Note = "",
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """The product does not have the tag; no run will give it."""
    _decide(product, tag, False, note, workspace, as_json)


@app.command()
def reopen(
    product: Product,
    tag: Tag,
    note: Note = "",
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Leave it undecided again: what runs and the catalogue say counts, as before a verdict."""
    _decide(product, tag, None, note, workspace, as_json)


_DECIDED = {True: "accepted", False: "declined", None: "reopened"}


def _decide(
    product: str, tag: str, accepted: bool | None, why: str, workspace: Path, as_json: bool
) -> None:
    from tagmill.library.stored import load_library

    with open_workspace(workspace) as (_, store):
        found = load_library(store).resolve(tag)
        if store.products.get(product) is None:
            raise CatalogError(f"No product has the id '{product}'. See: tagmill review list")
        if accepted is None:
            store.verdicts.reopen(product, found.id, who=getpass.getuser(), note=why)
        else:
            store.verdicts.add(product, found.id, accepted, who=getpass.getuser(), note=why)
    if as_json:
        print_json({"product": product, "tag": found.text, "id": found.id, "accepted": accepted})
    else:
        typer.echo(say(_DECIDED[accepted], tag=found.text, product=product))
