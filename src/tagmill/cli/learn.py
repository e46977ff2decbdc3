"""`tagmill learn`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from tagmill.cli.messages import say
from tagmill.cli.terminal import AsJson, Workspace, note, open_workspace, print_json
from tagmill.errors import CatalogError, SettingsError


def learn(
    source: Annotated[
        Path | None,
        typer.Argument(help="Verdicts (.jsonl); default: the workspace's since its last model."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder, with a file.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Other folder for the learned model.")
    ] = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Update a trained model with people's verdicts, in seconds and without training it anew.

    A line of the file is a product with one judged tag: {"id", "title", …, "tag": "facet:name",
    "accepted": true}.
    """
    started = time.perf_counter()
    if (source is None) != (model is None):
        raise SettingsError(
            "A file and --model go together: tagmill learn verdicts.jsonl --model model. "
            "Without them the workspace's verdicts are learned"
        )
    if source is not None and model is not None:
        from tagmill.learning.updating import read_verdicts, update
        from tagmill.tagging.folder import check_goal, load_model, save_model

        folder = output or model
        check_goal(folder)
        before = load_model(model)
        verdicts, rejects = read_verdicts(source, before.library)
        if rejects and not verdicts:
            raise CatalogError(
                f"{source} has no verdict. Line {rejects[0]['line']}: {rejects[0]['reason']}. "
                'Write lines such as {"title": "…", "tag": "颜色:红色", "accepted": true}',
                file=str(source),
            )
        learned = update(before, verdicts)
        save_model(learned, folder)
        rejects_path = Path(f"{source.name}.rejects.jsonl")
        rejects_path.unlink(missing_ok=True)  # that of an earlier reading
        if rejects:
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rejects)
            rejects_path.write_text("".join(lines), encoding="utf-8")
            note(say("rejects", count=len(rejects), path=rejects_path))
        count, left_out = len(verdicts), len(rejects)
    else:
        if output is not None:
            raise SettingsError("-o needs a file of verdicts; a workspace keeps its models itself")
        from tagmill.workspace import learn_workspace

        with open_workspace(workspace) as (settings, store):
            learned, folder, count = learn_workspace(store, settings.models_dir)
        left_out = 0
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "model": str(folder), "verdicts": count, "rejected": left_out,
                "seconds": round(seconds, 3), "tags": len(learned.tag_ids),
                "model_id": learned.card.get("model_id"),
            }
        )  # fmt: skip
        return
    typer.echo(say("learned", count=count, seconds=seconds, path=folder))
