"""`tagmill distil`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tagmill.cli.llm import (
    LLM_CACHE,
    BatchIn,
    BatchOut,
    Budget,
    LlmCache,
    LlmModel,
    LlmOptions,
    LlmUrl,
)
from tagmill.cli.messages import say
from tagmill.cli.terminal import (
    AsJson,
    Map,
    Workspace,
    beside,
    catalog_of,
    counting,
    keep_apart,
    note,
    note_catalog,
    print_json,
    write_beside,
)


def distil(
    pool: Annotated[str, typer.Argument(help="Products to choose from; file or SQL URL.")],
    model: Annotated[Path, typer.Option(help="Model folder: chooses, and gives its library.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new model.")],
    labels: Annotated[int, typer.Option(min=1, help="Products to ask about.")] = 1000,
    source: Annotated[
        str | None,
        typer.Option("--from", help="Products that people have tagged, at least two: learnt too."),
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Tagged products to measure both models on.")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Each round's student chooses for the next; default 6, in batch files 1."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same data and seed, same model.")] = 0,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    budget: Budget = None,
    llm_cache: LlmCache = LLM_CACHE,
    batch_out: BatchOut = None,
    batch_in: BatchIn = None,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Train a small model on a large one's answers, about the products worth asking about.

    Give it the products that people have tagged too (--from): they weigh more. Repeat it with the
    new model: what that one was taught is learned again for nothing, and others are asked about.
    """
    from tagmill.learning import evaluate
    from tagmill.learning.distil import ROUNDS
    from tagmill.learning.distil import distil as teach
    from tagmill.tagging.folder import check_goal, load_model, save_model

    check_goal(output)
    keep_apart([batch_out], [pool, source, test, *(batch_in or []), llm_cache], output)
    used = load_model(model)
    products = catalog_of(pool, mapping, rejects=beside(output, "rejects"))
    tagged = None if source is None else catalog_of(source, mapping)
    options = LlmOptions(
        llm_url, llm_model, budget, True, llm_cache, batch_in or [], batch_out, workspace
    )
    with options.consultant(used.library) as consultant, counting("asking", labels) as progress:
        found = teach(
            used, consultant, lambda: products, lambda: tagged or [], count=labels, seed=seed,
            rounds=rounds or (1 if batch_in or batch_out else ROUNDS), progress=progress,
        )  # fmt: skip
    options.note_spending()
    options.note_batch(found.waiting)
    write_beside(output, "failed", found.failed, "llm_unanswered")
    note_catalog(products)
    if options.is_spent:
        raise typer.Exit(1)
    if found.waiting:
        return
    save_model(found.model, output)
    report: dict[str, Any] = {
        "model": str(output), "asked": found.asked, "before": found.before, "labels": found.labels,
        "failed": len(found.failed), "stopped": found.stopped,
    }  # fmt: skip
    if test is not None:
        before, after = (
            evaluate(one, catalog_of(test, mapping))["micro_f1"] for one in (used, found.model)
        )
        report |= {"micro_f1_before": before, "micro_f1": after, "cost": options.spending.cost}
    if as_json:
        print_json({**report, "llm": vars(options.spending)})
        return
    typer.echo(say("distilled", **report))
    if test is not None:
        typer.echo(say("distilled_f1", **report))
    if found.stopped:
        note(found.stopped)
