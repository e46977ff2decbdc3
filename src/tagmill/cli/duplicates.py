"""`tagmill library duplicates`: tags that mean the same."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagmill.cli.library import facet_key
from tagmill.cli.llm import (
    LLM_CACHE,
    Budget,
    LlmCache,
    LlmModel,
    LlmOptions,
    LlmUrl,
    settings_with,
)
from tagmill.cli.messages import say
from tagmill.cli.terminal import AsJson, Workspace, note, open_workspace, print_json, print_table

if TYPE_CHECKING:
    from tagmill.library import Library
    from tagmill.library.duplicates import Duplicate
    from tagmill.library.meaning import Embed
    from tagmill.records import Tag

app = typer.Typer()

_SHOWN, _COMMANDS = 50, 3


@app.command()
def duplicates(
    facet: Annotated[str | None, typer.Option(help="Only this facet.")] = None,
    across_facets: Annotated[
        bool, typer.Option("--across-facets", help="Also tags of two facets.")
    ] = False,
    least: Annotated[
        float, typer.Option("--min-probability", help="That they mean the same.", min=0, max=1)
    ] = 0.5,
    limit: Annotated[
        int | None, typer.Option(help="At most so many pairs; in the terminal 50.", min=1)
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A library as CSV, instead of the workspace's.")
    ] = None,
    llm: Annotated[
        bool, typer.Option("--llm", help="Ask a large language model about pairs in doubt.")
    ] = False,
    embed: Annotated[
        bool, typer.Option("--embed", help="Also what an encoder finds near (llm.encoder).")
    ] = False,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    budget: Budget = None,
    llm_cache: LlmCache = LLM_CACHE,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Tags that mean the same, each pair with reasons, a probability, and what merges it."""
    from tagmill.library import Library, read_csv
    from tagmill.library.duplicates import clusters, find_duplicates
    from tagmill.library.stored import load_library

    given, counts = None, dict[str, int]()
    with ExitStack() as open_files:
        asking = LlmOptions(llm_url, llm_model, budget, False, llm_cache, workspace=workspace)
        if file is not None:
            library = Library(*read_csv(file), verbatim=True)
        else:
            _, asking.store = open_files.enter_context(open_workspace(workspace))
            library = load_library(asking.store)
            assignments = asking.store.assignments
            given, counts = assignments.matrix(), assignments.tag_counts()
        key = facet_key(library, facet) if facet else None
        found = find_duplicates(
            library, facet=key, across_facets=across_facets, given=given,
            embed=_encoder(workspace, llm_url, llm_model) if embed else None,
        )  # fmt: skip
        if llm:
            found = _judged(asking, library, found)
    found = [one for one in found if one.probability >= least]
    pairs = [(one, *_ordered(one, counts)) for one in found]
    if as_json:
        print_json(
            [
                {"a": a.text, "b": b.text, "probability": round(one.probability, 4),
                 "reasons": one.reasons, "a_id": a.id, "b_id": b.id}
                for one, a, b in pairs[:limit]
            ]
        )  # fmt: skip
        return
    if not pairs:
        typer.echo(say("no_duplicates"))
        return
    print_table(
        [say("tag"), say("products"), say("tag"), say("products"), say("probability"),
         say("reasons")],
        [
            [a.text, counts.get(a.id, 0), b.text, counts.get(b.id, 0), one.probability,
             ", ".join(say(f"reason_{reason.replace(' ', '_')}") for reason in one.reasons)]
            for one, a, b in pairs[: limit or _SHOWN]
        ],
    )  # fmt: skip
    groups = clusters([one for one, _, _ in pairs])
    note(say("duplicates", pairs=len(pairs), groups=len(groups)))
    for _, a, b in pairs[:_COMMANDS]:
        note(say("merge_with", source=a.text, target=b.text))


def _encoder(workspace: Path, url: str | None, model: str | None) -> Embed:
    """Vectors of names by the server's encoder."""
    from tagmill.language.embeddings import embed_texts

    settings = settings_with(workspace, url, model)
    return lambda texts: embed_texts(texts, settings.llm, settings.privacy)


def _judged(asking: LlmOptions, library: Library, found: list[Duplicate]) -> list[Duplicate]:
    """The pairs with a large model's opinion."""
    from tagmill.library.second_opinion import ask_about_pairs

    with asking.asker("same") as (asker, privacy):
        judged = ask_about_pairs(asker, library, found, privacy)
    asking.note_spending()
    return judged


def _ordered(one: Duplicate, counts: dict[str, int]) -> tuple[Tag, Tag]:
    """The two tags, the one with fewer products (else names) first: it is to be merged."""
    size = {
        tag.id: (counts.get(tag.id, 0), len(tag.names) + len(tag.aliases)) for tag in (one.a, one.b)
    }
    return (one.a, one.b) if size[one.a.id] <= size[one.b.id] else (one.b, one.a)
