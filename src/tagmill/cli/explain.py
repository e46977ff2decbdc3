"""`tagmill explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagmill.cli.messages import say
from tagmill.cli.tag import evidence_text
from tagmill.cli.terminal import (
    AsJson,
    Map,
    Workspace,
    catalog_of,
    open_workspace,
    print_json,
    print_table,
)
from tagmill.errors import CatalogError, SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

    from tagmill.tagging.explain import Explanation, Reasons

_ANSWERS = {True: "yes", False: "no", None: "unknown"}
_WORDS = 12  # shown; --json has them all


def explain(
    product: Annotated[str, typer.Argument(help="Id of the product; with --text leave it out.")],
    tag: Annotated[str | None, typer.Argument(help="facet:name in any language, or id.")] = None,
    text: Annotated[str | None, typer.Option(help="Explain a tag of this text.")] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", help="File that has the product; default: the workspace."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model folder; default: the workspace's, for a file or a text the starter library."
        ),
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="Promised of the lane auto; default 0.95.")
    ] = None,
    per_facet: Annotated[
        bool, typer.Option("--per-facet", help="Promise it of each facet by itself.")
    ] = False,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Why a product has a tag, or has it not: sources, words, names."""
    if source is not None and text is not None:
        raise SettingsError(f"--text stands for the product; leave --from {source} or --text out")
    if (tag is None) != (text is not None):
        raise SettingsError(
            "Name a product and a tag: tagmill explain PRODUCT TAG; or a tag alone, with a text: "
            'tagmill explain TAG --text "…"'
        )
    tag = tag or product  # alone it is the tag
    if source is None and text is None:
        from tagmill.workspace import explain_workspace

        with open_workspace(workspace) as (settings, store):
            found, explanation = explain_workspace(
                store, settings.models_dir, product, tag, model=model,
                precision=settings.tagging.precision if precision is None else precision,
                per_facet=per_facet or settings.tagging.per_facet,
            )  # fmt: skip
    else:
        from tagmill.tagging.explain import explain as explain_tag
        from tagmill.tagging.folder import load_model, starter_model

        used = load_model(model) if model is not None else starter_model()
        found = _of_text(text) if source is None else _of_file(source, mapping, product)
        promised = 0.95 if precision is None else precision
        explanation = explain_tag(used, found, tag, precision=promised, per_facet=per_facet)
    if as_json:
        print_json(explanation.as_dict())
    else:
        _print(found.column("title")[0].as_py(), explanation)


def _of_text(text: str | None) -> pa.RecordBatch:
    from tagmill.catalog.memory import products_to_batch

    return products_to_batch([{"id": "text", "title": text}])


def _of_file(source: str, mapping: list[str] | None, product: str) -> pa.RecordBatch:
    """The first product of that id."""
    import pyarrow.compute as pc

    for batch in catalog_of(source, mapping):
        chosen = batch.filter(pc.equal(batch.column("id"), product))
        if chosen.num_rows:
            return chosen.slice(0, 1)
    raise CatalogError(f"No product of {source} has the id '{product}'", file=source)


def _print(title: str, found: Explanation) -> None:
    typer.echo(f"{found.product_id}  {title}")
    typer.echo(
        say(
            "explained", tag=found.tag, probability=found.probability, lane=say(found.lane),
            calibration=say(found.calibration),
        )
    )  # fmt: skip
    if found.share is not None:
        typer.echo(say("tag_share", share=found.share))
    evidence = evidence_text(found.evidence)
    typer.echo(say("named_by", evidence=evidence) if evidence else say("not_named"))
    if found.similar:
        print_table(
            [say("similar"), say("similarity"), say("has_tag")],
            [
                [other["id"], other["similarity"], say(_ANSWERS[other["has_tag"]])]
                for other in found.similar
            ],
        )
    if found.fusion is None:
        typer.echo(say("only_names" if found.calibration == "prior" else "no_words"))
        return
    if not found.candidate:
        typer.echo(say("no_candidate"))
    _print_sums(found.fusion)


def _print_sums(fusion: Reasons) -> None:
    print_table(
        [say("source"), say("log_odds")],
        [
            [say("baseline"), fusion.baseline],
            *([say(f"source_{name}"), value] for name, value in fusion.sources.items()),
            [say("total"), fusion.log_odds],
        ],
    )
    print_table(
        [say("word"), say("field"), say("weight")],
        [
            *([word.text, word.field, word.weight] for word in fusion.words[:_WORDS]),
            [say("bias"), "", fusion.bias],
        ],
    )
