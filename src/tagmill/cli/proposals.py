"""`tagmill library proposals` and what is done with them."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagmill.cli.library_changes import (
    DryRun,
    NoRetag,
    Why,
    say_retagged,
    selection_of,
    show_forecast,
)
from tagmill.cli.messages import say, word
from tagmill.cli.terminal import (
    AsJson,
    Workspace,
    counting,
    note,
    open_workspace,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from tagmill.proposing import Waiting
    from tagmill.store import Proposal
    from tagmill.upkeep import Governed

app = typer.Typer()

Number = Annotated[int, typer.Argument(metavar="PROPOSAL", help="Its number.")]


@app.command()
def proposals(
    all_: Annotated[bool, typer.Option("--all", help="Also those decided.")] = False,
    least: Annotated[
        int | None, typer.Option("--min-support", help="Products or searches.", min=1)
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 30,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """New names that wait for a decision, the most useful first."""
    from tagmill.proposing import Waiting, waiting

    with open_workspace(workspace) as (settings, store):
        least = least or settings.library.min_support
        if all_:
            found = [Waiting(one, (), ()) for one in store.proposals.list(None, least=least)]
        else:
            found = waiting(store, least, neighbours=None if as_json else limit)
    if as_json:
        print_json([{**asdict(one.proposal), **_neighbours(one)} for one in found])
        return
    if not found:
        typer.echo(say("no_proposals", least=least))
        return
    print_table(
        ["N", say("name"), say("support"), say("searches"), say("origin"), say("example"),
         say("nearest"), *([say("status")] if all_ else [])],
        [[*_row(one), *([word(one.proposal.status)] if all_ else [])] for one in found[:limit]],
    )  # fmt: skip
    if len(found) > limit:
        note(f"{limit:,} / {len(found):,}  (--limit, --min-support)")
    note(say("proposals_next"))


@app.command()
def propose(
    tag: Annotated[str, typer.Argument(metavar="FACET:NAME", help="The name.")],
    product: Annotated[list[str], typer.Option(help="A product that has it, by id; repeatable.")],
    workspace: Workspace = Path("."),
) -> None:
    """Propose a name that the library lacks."""
    from tagmill import proposing

    with open_workspace(workspace) as (_, store):
        known = proposing.propose(store, tag, product)
    key = "proposed" if known is None else "proposal_known"
    typer.echo(say(key, tag=tag if known is None else known.text))


@app.command()
def accept(
    number: Number,
    facet: Annotated[str | None, typer.Option(help="Another facet than suggested.")] = None,
    name: Annotated[str | None, typer.Option(help="Another name; this one is an alias.")] = None,
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Make a proposal a tag."""
    from tagmill import proposing

    if dry_run:
        _foresee(workspace, number, as_json, facet=facet, name=name)
        return
    with open_workspace(workspace) as (settings, store), counting("tagging") as progress:
        decided, done = proposing.accept(
            store, settings.models_dir, number, selection_of(settings), facet=facet, name=name,
            who=getpass.getuser(), why=why, again=not no_retag, progress=progress,
        )  # fmt: skip
    _show(decided, done, as_json)


@app.command("merge-into")
def merge_into(
    number: Number,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="That it is another name of.")],
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Make a proposal another name of a tag."""
    from tagmill import proposing

    if dry_run:
        _foresee(workspace, number, as_json, into=tag)
        return
    with open_workspace(workspace) as (settings, store), counting("tagging") as progress:
        decided, done = proposing.merge_into(
            store, settings.models_dir, number, tag, selection_of(settings),
            who=getpass.getuser(), why=why, again=not no_retag, progress=progress,
        )  # fmt: skip
    _show(decided, done, as_json)


@app.command()
def reject(
    number: Number,
    why: Why = "",
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Refuse a proposal for ever."""
    from tagmill import proposing

    with open_workspace(workspace) as (_, store):
        decided = proposing.reject(store, number, who=getpass.getuser(), why=why)
    if as_json:
        print_json(asdict(decided))
    else:
        typer.echo(say("proposal_rejected", name=decided.name))


def _foresee(workspace: Path, number: int, as_json: bool, **decision: str | None) -> None:
    from tagmill import proposing

    with open_workspace(workspace) as (settings, store), counting("tagging") as progress:
        tag, seen = proposing.foresee(
            store, settings.models_dir, number, selection_of(settings), progress=progress,
            **decision,
        )  # fmt: skip
    show_forecast(seen, [tag], as_json)


def _show(decided: Proposal, done: Governed, as_json: bool) -> None:
    if as_json:
        print_json(
            {**asdict(decided), "version": done.version, "products": done.summary.products,
             "run": done.run and done.run.id}
        )  # fmt: skip
        return
    what = f"{decided.facet}:{decided.name}" if decided.facet else decided.name
    typer.echo(say("library_changed", version=done.version, what=f"+ {what}"))
    say_retagged(done)


def _row(one: Waiting) -> list[object]:
    proposal = one.proposal
    sources = ", ".join(f"{word(source)} {count:,}" for source, count in proposal.sources.items())
    example = next(iter(proposal.examples), {})
    shown = f"{example['id']}  “{example['text']}”" if "text" in example else example.get("id", "")
    written = f"{proposal.facet}:{proposal.name}" if proposal.facet else proposal.name
    matches = [f"= {match.tag.text}? {match.probability:.2f}" for match in one.matches]
    if one.clicked is not None:
        matches.insert(0, say("clicked", tag=one.clicked.tag.text, clicks=one.clicked.clicks,
                              of=one.clicked.of))  # fmt: skip
    return [
        proposal.id, written, proposal.support, proposal.searches, sources, shown,
        ", ".join(matches or one.nearest),
    ]  # fmt: skip


def _neighbours(one: Waiting) -> dict[str, object]:
    matches = [
        {"tag": match.tag.text, "probability": match.probability, "reasons": match.reasons}
        for match in one.matches
    ]
    clicked = one.clicked and {
        "tag": one.clicked.tag.text, "clicks": one.clicked.clicks, "of": one.clicked.of,
    }  # fmt: skip
    return {"matches": matches, "nearest": list(one.nearest), "clicked": clicked}
