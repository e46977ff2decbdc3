"""`tagmill library`: the tags there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagmill.cli.messages import say, word
from tagmill.cli.terminal import (
    AsJson,
    Workspace,
    note,
    open_workspace,
    print_field,
    print_json,
    print_table,
)
from tagmill.errors import LibraryError

if TYPE_CHECKING:
    from tagmill.library import Library
    from tagmill.records import Tag
    from tagmill.store import Store

app = typer.Typer(help="Govern the tag library.", no_args_is_help=True)

_WIDE = 80  # characters of a name in a list; `show` has all

TagName = Annotated[str, typer.Argument(metavar="TAG", help="facet:name in any language, or id.")]


@app.command("list")
def list_(
    facet: Annotated[str | None, typer.Option(help="Only this facet.")] = None,
    search: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 50,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """The tags, with how many products have each."""
    from tagmill.text import normal_form

    with open_workspace(workspace) as (_, store):
        library = _library(store)
        counts = store.assignments.tag_counts()
    chosen = list(library.tags.values())
    if facet is not None:
        key = facet_key(library, facet)
        chosen = [tag for tag in chosen if tag.facet == key]
    if search:
        form = normal_form(search)
        chosen = [
            tag for tag in chosen if any(form in normal_form(n) for n in library.names_of(tag))
        ]
    shown = chosen[:limit]
    if as_json:
        print_json([{**plain_tag(tag), "products": counts.get(tag.id, 0)} for tag in shown])
        return
    print_table(
        [say("facet"), say("name"), say("aliases"), say("status"), say("products")],
        [
            [
                tag.facet,
                _all_names(tag),
                ", ".join(map(_cut, tag.aliases)),
                word(tag.status),
                counts.get(tag.id, 0),
            ]
            for tag in shown
        ],
    )
    if len(chosen) > limit:
        note(f"{limit:,} / {len(chosen):,}  (--limit, --facet, --search)")


@app.command()
def show(tag: TagName, workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """One tag: names, aliases, status, how many products have it."""
    with open_workspace(workspace) as (_, store):
        found = _library(store).resolve(tag)
        entry = {**plain_tag(found), "products": store.assignments.tag_counts().get(found.id, 0)}
    if as_json:
        print_json(entry)
        return
    for key, value in entry.items():
        if value not in (None, "", [], {}):
            shown = word(str(value)) if key == "status" else _line(value)
            print_field(say(key), shown)


def facet_key(library: Library, text: str) -> str:
    """The key of a facet named in any language; LibraryError lists the known ones."""
    known = library.facet_named(text)
    if known is None:
        raise LibraryError(
            f"Unknown facet '{text}'. Known: {', '.join(filter(None, library.facets)) or 'none'}"
        )
    return known.key


def _library(store: Store) -> Library:
    from tagmill.library.stored import load_library

    return load_library(store)


def plain_tag(tag: Tag) -> dict[str, Any]:
    """A tag as JSON."""
    return {
        "id": tag.id,
        "facet": tag.facet,
        "name": tag.name,
        "names": dict(tag.names),
        "aliases": list(tag.aliases),
        "description": tag.description,
        "status": tag.status,
        "merged_into": tag.merged_into,
        "split_into": list(tag.split_into),
        "broader": list(tag.broader),
        "matches": list(tag.matches),
    }


def _all_names(tag: Tag) -> str:
    return " / ".join(map(_cut, dict.fromkeys([tag.name, *tag.names.values()])))


def _cut(name: str) -> str:
    return name if len(name) <= _WIDE else f"{name[: _WIDE - 1]}…"


def _line(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {name}" for key, name in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
