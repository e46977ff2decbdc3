"""`tagmill library history`, `diff` and `undo`: what was changed, and taking it back."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagmill.cli.library import plain_tag
from tagmill.cli.library_changes import SHOWN, Why, say_retagged, selection_of
from tagmill.cli.messages import label, say, word
from tagmill.cli.terminal import (
    AsJson,
    Workspace,
    counting,
    note,
    open_workspace,
    print_json,
    print_table,
)
from tagmill.errors import LibraryError

if TYPE_CHECKING:
    from tagmill.store import LibraryChange

app = typer.Typer()

_MANY = 100  # tags and facets of an import that is only undone by its number


@app.command()
def history(
    tag: Annotated[str | None, typer.Argument(metavar="[TAG]", help="Only of this tag.")] = None,
    limit: Annotated[int, typer.Option(help="The newest so many.", min=1)] = 20,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Every change of the library: what, who, when, why, and whether it was undone."""
    from tagmill.library.stored import load_library

    with open_workspace(workspace) as (_, store):
        tag_id = None
        if tag is not None:
            library = load_library(store)
            tag_id = tag if tag in library.tags else library.resolve(tag).id
        changes = store.library.history(tag_id, first=None if as_json else SHOWN)
    undone_by = {one.undoes: one.version for one in changes if one.undoes is not None}
    if as_json:
        print_json([{**asdict(one), "undone_by": undone_by.get(one.version)} for one in changes])
        return
    rows = [
        [
            change.version, change.at.replace("T", " ").rstrip("Z"), change.who,
            _kind(change, undone_by), _what(change), word(change.why),
        ]
        for change in changes[-limit:]
    ]  # fmt: skip
    print_table(
        [say("version"), say("when"), say("who"), say("kind"), say("what"), say("why")], rows
    )
    if len(changes) > limit:
        note(f"{limit:,} / {len(changes):,}  (--limit)")


@app.command()
def diff(
    before: Annotated[int, typer.Argument(metavar="V1", help="A version of the library.")],
    after: Annotated[
        int | None, typer.Argument(metavar="[V2]", help="Another one; default: the newest.")
    ] = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """What differs between two versions of the library, in its facets and its tags."""
    from tagmill.library.stored import load_library

    with open_workspace(workspace) as (_, store):
        old, new = load_library(store, before), load_library(store, after)
    entries: list[dict[str, Any]] = []
    for key in {**old.facets, **new.facets}:
        facets = old.facets.get(key), new.facets.get(key)
        if facets[0] != facets[1]:
            before_, after_ = (None if one is None else asdict(one) for one in facets)
            entries.append({"id": None, "before": before_, "after": after_})
    for tag_id in {**old.tags, **new.tags}:
        was, now = old.tags.get(tag_id), new.tags.get(tag_id)
        if was != now:
            entries.append(
                {
                    "id": tag_id,
                    "before": None if was is None else plain_tag(was),
                    "after": None if now is None else plain_tag(now),
                }
            )
    if as_json:
        print_json(entries)
        return
    if not entries:
        typer.echo(say("no_difference"))
        return
    print_table([say("tag"), say("what")], [[_name_of(e), _fields(e)] for e in entries])


@app.command()
def undo(
    change: Annotated[
        int | None,
        typer.Argument(metavar="[CHANGE]", help="Its version; default: the latest.", min=1),
    ] = None,
    why: Why = "",
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Take a change back exactly, with the tagging it caused; later changes may forbid it."""
    from tagmill.upkeep import take_back

    with open_workspace(workspace) as (settings, store), counting("tagging") as progress:
        version = _latest_in_force(store.library.history(first=1)) if change is None else change
        back = take_back(
            store, settings.models_dir, version, selection_of(settings), who=getpass.getuser(),
            why=why, progress=progress,
        )  # fmt: skip
        taken, *_ = store.library.history(after=version - 1, first=SHOWN)
    restored = sum(report.products for report in back.undone)
    if as_json:
        print_json(
            {
                "version": back.version, "undone": version, "restored": restored,
                "products": back.governed.summary.products,
                "run": back.governed.run and back.governed.run.id,
            }
        )  # fmt: skip
        return
    done = say(
        "change_undone", change=version, version=back.version, kind=word(taken.kind),
        what=_what(taken),
    )  # fmt: skip
    typer.echo(f"{done} {say('tags_of_before', products=restored)}" if restored else done)
    say_retagged(back.governed)


def _latest_in_force(changes: list[LibraryChange]) -> int:
    """The newest change that is no undo and was not undone.

    LibraryError without any, or where it is so much that it is only undone by its number.
    """
    undone: set[int] = set()
    for change in reversed(changes):
        if change.version in undone:
            continue
        if change.undoes is None:
            if change.version == 1 or (change.kind == "import" and change.size > _MANY):
                raise LibraryError(
                    f"The latest change is change {change.version} ({word(change.kind)} of "
                    f"{change.size:,} tags and facets, {change.at}). If you mean it: tagmill "
                    f"library undo {change.version}"
                )
            return change.version
        undone.add(change.undoes)
    raise LibraryError("There is no change to undo. See: tagmill library history")


def _kind(change: LibraryChange, undone_by: dict[int, int]) -> str:
    kind = word(change.kind)
    if change.undoes is not None:
        kind = f"{kind} {change.undoes}"
    later = undone_by.get(change.version)
    return kind if later is None else f"{kind} ({say('undone_by', change=later)})"


def _what(change: LibraryChange) -> str:
    shown = [_name_of(asdict(entry)) for entry in change.entries[:SHOWN]]
    more = change.size - len(shown)
    return ", ".join(shown) + (f" + {more:,}" if more > 0 else "")


def _name_of(entry: dict[str, Any]) -> str:
    plain = entry["after"] or entry["before"]
    return str(plain["key"]) if "key" in plain else f"{plain['facet']}:{plain['name']}"


def _fields(entry: dict[str, Any]) -> str:
    before, after = entry["before"], entry["after"]
    if before is None or after is None:
        return "+" if before is None else "-"
    changed = [key for key in after if before[key] != after[key]]
    return "; ".join(
        f"{label(key)}: {_short(before[key])} → {_short(after[key])}" for key in changed
    )


def _short(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {name}" for key, name in value.items()) or "–"
    return "–" if value in (None, "") else str(value)
