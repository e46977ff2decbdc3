"""`tagmill train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
    stages,
)
from tagmill.errors import SettingsError

_FEW = 60  # products; fewer teach no more than the names of tags tell (docs/log.md)


def train(
    source: Annotated[
        str | None,
        typer.Option("--from", help="Tagged products in a file; default: the workspace's."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Model folder, with --from.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same data and seed, same model.")] = 0,
    merge_variants: Annotated[
        bool,
        typer.Option(
            "--merge-variants", help="With --from: spellings of one normal form are one tag."
        ),
    ] = False,
    tagger: Annotated[
        list[str] | None, typer.Option(help="A further source for the fusion, by name; repeatable.")
    ] = None,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Train a model from tagged products: of the workspace, or of a file alone."""
    if (source is None) != (output is None):
        raise SettingsError(
            "--from and -o go together: tagmill train --from tagged.jsonl -o model. "
            "Without them the workspace is trained"
        )
    if source is not None and output is not None:
        from tagmill.learning import train as train_model
        from tagmill.tagging.folder import check_goal, save_model

        check_goal(output)
        catalog = catalog_of(source, mapping, rejects=Path(f"{output}.rejects.jsonl"))
        with stages() as progress:
            model = train_model(
                catalog,
                merge_variants=merge_variants,
                taggers=tagger or (),
                seed=seed,
                progress=progress,
            )
        note_catalog(catalog)
        folder = output
        save_model(model, folder)
    else:
        from tagmill.workspace import train_workspace

        with open_workspace(workspace) as (settings, store), stages() as progress:
            model, folder = train_workspace(
                store, settings.models_dir, taggers=tagger or (), seed=seed, progress=progress
            )
    if as_json:
        print_json({"model": str(folder), **model.card})
    else:
        print_trained(model.card, folder)
    if alike := model.library.spelled_alike():
        examples = ", ".join(tag.text for tag in alike[0][:3])
        note(say("spelled_alike", count=len(alike), examples=examples))


def print_trained(card: dict[str, Any], folder: Path) -> None:
    """What a model was trained on, and what was left out."""
    typer.echo(
        say(
            "trained",
            products=card["products"],
            trained_tags=card["trained_tags"],
            tags=card["tags"],
            path=folder,
        )
    )
    if card["unknown_tags"]:
        examples = ", ".join(list(card["unknown_tags"])[:3])
        note(say("unknown_tags", count=len(card["unknown_tags"]), examples=examples))
    if card["products"] < _FEW:
        note(say("few_products", products=card["products"]))
