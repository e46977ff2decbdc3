"""`tagmill tune`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagmill.cli.messages import say
from tagmill.cli.terminal import (
    AsJson,
    Map,
    Workspace,
    catalog_of,
    note_catalog,
    open_workspace,
    print_json,
    print_table,
    stages,
)
from tagmill.cli.train import print_trained
from tagmill.errors import SettingsError

if TYPE_CHECKING:
    from tagmill.learning.tuning import Tuned


def tune(
    source: Annotated[
        str | None, typer.Argument(help="Tagged products; default: the workspace's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Model folder, with a file.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Time for all of it.")] = 10.0,
    trials: Annotated[int | None, typer.Option(help="At most so many.", min=1)] = None,
    metric: Annotated[
        str, typer.Option(help="To raise: micro_f1, ndcg_at_5, coverage_at_095.")
    ] = "micro_f1",
    seed: Annotated[
        int, typer.Option(help="Same data, seed and number of trials, same model.")
    ] = 0,
    merge_variants: Annotated[
        bool,
        typer.Option(
            "--merge-variants", help="With a file: spellings of one normal form are one tag."
        ),
    ] = False,
    tagger: Annotated[
        list[str] | None, typer.Option(help="A further source for the fusion, by name; repeatable.")
    ] = None,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Train like `train`, with the options that do best on a held-out fifth."""
    if (source is None) != (output is None):
        raise SettingsError(
            "A file and -o go together: tagmill tune tagged.jsonl -o model. "
            "Without them the workspace's model is tuned"
        )
    if source is not None and output is not None:
        from tagmill.learning import tune as tune_model
        from tagmill.tagging.folder import check_goal, save_model

        check_goal(output)
        catalog = catalog_of(source, mapping, rejects=Path(f"{output}.rejects.jsonl"))
        with stages() as progress:
            tuned = tune_model(
                catalog, minutes=minutes, trials=trials, metric=metric,
                merge_variants=merge_variants, taggers=tagger or (), seed=seed, progress=progress,
            )  # fmt: skip
        note_catalog(catalog)
        folder = output
        save_model(tuned.model, folder)
    else:
        from tagmill.workspace import tune_workspace

        with open_workspace(workspace) as (settings, store), stages() as progress:
            tuned, folder = tune_workspace(
                store, settings.models_dir, minutes=minutes, trials=trials, metric=metric,
                taggers=tagger or (), seed=seed, progress=progress,
            )  # fmt: skip
    if as_json:
        search = {
            "metric": tuned.metric, "default_score": tuned.default_score,
            "best_score": tuned.best_score, "trials": tuned.trials, "seconds": tuned.seconds,
        }  # fmt: skip
        print_json({"model": str(folder), **search, **tuned.model.card})
    else:
        _print(tuned)
        print_trained(tuned.model.card, folder)


def _print(tuned: Tuned) -> None:
    from tagmill.tagging.options import TrainingOptions

    typer.echo(
        say(
            "tuned", metric=tuned.metric, default=tuned.default_score, best=tuned.best_score,
            trials=tuned.trials, seconds=tuned.seconds,
        )
    )  # fmt: skip
    default = asdict(TrainingOptions())
    print_table(
        [say("option"), say("default"), say("chosen")],
        [[name, default[name], value] for name, value in asdict(tuned.options).items()],
    )
