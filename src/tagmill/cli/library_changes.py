"""`tagmill library` …: what changes the library, each with `--dry-run`, and taking it back."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from tagmill.cli.library import TagName, facet_key, plain_tag
from tagmill.cli.messages import say
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
from tagmill.records import ValueKind

if TYPE_CHECKING:
    from tagmill.library import Library
    from tagmill.records import Tag
    from tagmill.settings import Settings
    from tagmill.store import LibraryChange
    from tagmill.tagging.output import Selection
    from tagmill.upkeep import Forecast, Governed

app = typer.Typer()

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would change, product by product.")
]
Why = Annotated[str, typer.Option(help="The reason, kept in the history.")]
NoRetag = Annotated[
    bool, typer.Option("--no-retag", help="Leave touched products to the next `tagmill tag`.")
]

_SHOWN = 3  # tags of a change in a table


@app.command()
def add(
    tag: Annotated[str, typer.Argument(metavar="FACET:NAME", help="The canonical name.")],
    zh: Annotated[str | None, typer.Option(help="Chinese name.")] = None,
    en: Annotated[str | None, typer.Option(help="English name.")] = None,
    alias: Annotated[list[str] | None, typer.Option(help="Another name; repeatable.")] = None,
    description: Annotated[str, typer.Option(help="What it covers.")] = "",
    broader: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="A tag that it implies; repeatable.")
    ] = None,
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Add a tag; it is found at once, with an honest probability, without training."""
    from tagmill.records import parse_tag

    try:
        facet, name = parse_tag(tag)
    except ValueError as error:
        raise LibraryError(str(error)) from error
    names = {code: value for code, value in (("zh", zh), ("en", en)) if value}

    def work(library: Library) -> list[Tag]:
        wider = [library.resolve(text).id for text in broader or ()]
        new = library.add(
            facet, name, names=names, aliases=tuple(alias or ()), description=description
        )
        return [library.update(new, broader=wider)]

    _change(workspace, "add", work, why, dry_run, no_retag, as_json)


@app.command("alias")
def add_alias(
    tag: TagName,
    alias: Annotated[str, typer.Argument(help="The other name.")],
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Give a tag one more name."""

    def work(library: Library) -> list[Tag]:
        return [library.add_alias(library.resolve(tag), alias)]

    _change(workspace, "alias", work, why, dry_run, no_retag, as_json)


@app.command()
def rename(
    tag: TagName,
    name: Annotated[str, typer.Argument(help="The new name, without a facet.")],
    language: Annotated[
        str | None, typer.Option(help="The name of this language (zh, en …), not the canonical.")
    ] = None,
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Give a tag another name; the former one stays an alias, the id stays."""
    from tagmill.library import changes

    def work(library: Library) -> list[Tag]:
        return changes.rename(library, library.resolve(tag), name, language)

    _change(workspace, "rename", work, why, dry_run, no_retag, as_json)


@app.command()
def merge(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The tag that goes.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The tag that stays.")],
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Make two tags one: the source's names become aliases of the target for ever."""
    from tagmill.library import changes

    def work(library: Library) -> list[Tag]:
        return changes.merge(library, library.resolve(source), library.resolve(target))

    _change(workspace, "merge", work, why, dry_run, no_retag, as_json)


@app.command()
def split(
    tag: TagName,
    parts: Annotated[
        list[str], typer.Argument(metavar="PART...", help="Two or more tags, new or there.")
    ],
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Retire a tag in favour of several; what people accepted of it goes to review."""
    from tagmill.library import changes

    def work(library: Library) -> list[Tag]:
        return changes.split(library, library.resolve(tag), parts)

    _change(workspace, "split", work, why, dry_run, no_retag, as_json)


@app.command()
def retire(
    tag: TagName,
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Take a tag out of use; its id is never given to another."""

    def work(library: Library) -> list[Tag]:
        return [library.retire(library.resolve(tag))]

    _change(workspace, "retire", work, why, dry_run, no_retag, as_json)


@app.command()
def restore(
    tag: TagName,
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Bring a retired tag back."""
    from tagmill.library import changes

    def work(library: Library) -> list[Tag]:
        return changes.restore(library, library.tags.get(tag) or library.resolve(tag))

    _change(workspace, "restore", work, why, dry_run, no_retag, as_json)


@app.command()
def move(
    tag: TagName,
    facet: Annotated[str | None, typer.Option(help="Into this facet.")] = None,
    broader: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Below this tag; repeatable.")
    ] = None,
    top: Annotated[bool, typer.Option("--top", help="Below none.")] = False,
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Put a tag into another facet, or below another tag."""
    from tagmill.library import changes

    if facet is None and not broader and not top:
        raise LibraryError("Where to? Give --facet, --broader or --top")

    def work(library: Library) -> list[Tag]:
        wider = [library.resolve(text) for text in broader or ()]
        below = wider if broader or top else None
        return changes.move(library, library.resolve(tag), facet, below)

    _change(workspace, "move", work, why, dry_run, no_retag, as_json)


@app.command()
def facet(
    name: Annotated[str, typer.Argument(metavar="FACET", help="In any language.")],
    single: Annotated[
        bool | None, typer.Option("--single/--many", help="One value a product, or many.")
    ] = None,
    only_for: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG", help="Only for products of this tag; repeatable; '' for all."),
    ] = None,
    values: Annotated[
        str | None, typer.Option(help="text, number or range: what its names are.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="That numbers are compared in: ml, 岁 …")] = None,
    zh: Annotated[str | None, typer.Option(help="Chinese name.")] = None,
    en: Annotated[str | None, typer.Option(help="English name.")] = None,
    why: Why = "",
    dry_run: DryRun = False,
    no_retag: NoRetag = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Say how a facet is used: one value or many, for which products, words or quantities."""
    kind = next((one for one in get_args(ValueKind) if one == values), None)
    if values is not None and kind is None:
        raise LibraryError(f"--values '{values}' is none of {', '.join(get_args(ValueKind))}")

    def work(library: Library) -> list[Tag]:
        known = library.facets[facet_key(library, name)]
        given = {code: value for code, value in (("zh", zh), ("en", en)) if value}
        wanted = known.only_for
        if only_for is not None:
            wanted = tuple(library.resolve(text).id for text in only_for if text)
        library.add_facet(
            replace(
                known,
                names={**known.names, **given},
                single=known.single if single is None else single,
                only_for=wanted,
                value_kind=kind or known.value_kind,
                unit=known.unit if unit is None else unit,
            )
        )
        return []

    _change(workspace, "facet", work, why, dry_run, no_retag, as_json)


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
        changes = store.library.history(tag_id, first=None if as_json else _SHOWN)
    undone_by = {one.undoes: one.version for one in changes if one.undoes is not None}
    if as_json:
        print_json([{**asdict(one), "undone_by": undone_by.get(one.version)} for one in changes])
        return
    rows = [
        [
            change.version, change.at.replace("T", " ").rstrip("Z"), change.who,
            _kind(change, undone_by), _what(change), change.why,
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
    """What differs between two versions of the library."""
    from tagmill.library.stored import load_library

    with open_workspace(workspace) as (_, store):
        old, new = load_library(store, before), load_library(store, after)
    entries = []
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
        int | None, typer.Argument(metavar="[CHANGE]", help="Its version; default: the latest.")
    ] = None,
    why: Why = "",
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Take a change back exactly, with the tagging it caused; later changes may forbid it."""
    from tagmill.upkeep import take_back

    with open_workspace(workspace) as (settings, store), counting("tagging") as progress:
        version = change or _latest_in_force(store.library.history(first=1))
        back = take_back(
            store, settings.models_dir, version, selection_of(settings), who=getpass.getuser(),
            why=why, progress=progress,
        )  # fmt: skip
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
    typer.echo(say("change_undone", change=version, version=back.version, products=restored))
    say_retagged(back.governed)


def selection_of(settings: Settings) -> Selection:
    """What of the products' tags a workspace stores."""
    from tagmill.tagging.output import Selection

    return Selection(**settings.tagging.model_dump())


def _change(
    workspace: Path,
    kind: str,
    work: Callable[[Library], list[Tag]],
    why: str,
    dry_run: bool,
    no_retag: bool,
    as_json: bool,
) -> None:
    """Change the library and tag touched products again, or say what that would do."""
    from tagmill.library.stored import load_library
    from tagmill.upkeep import forecast, govern

    with open_workspace(workspace) as (settings, store), counting("tagging") as progress:
        library = load_library(store)
        changed = [library.tags[i] for i in dict.fromkeys(tag.id for tag in work(library))]
        models, selection = settings.models_dir, selection_of(settings)
        if dry_run:
            seen = forecast(store, models, library, selection, progress)
        else:
            done = govern(
                store, models, library, changed, selection, kind=kind, who=getpass.getuser(),
                why=why, again=not no_retag, progress=progress,
            )  # fmt: skip
    tags = [plain_tag(tag) for tag in changed]
    if dry_run:
        _show_forecast(seen, tags, as_json)
    elif as_json:
        print_json(
            {
                "version": done.version, "kind": kind, "tags": tags,
                "products": done.summary.products, "run": done.run and done.run.id,
            }
        )  # fmt: skip
    else:
        what = ", ".join(_line_of(tag, library) for tag in changed[:_SHOWN])
        typer.echo(say("library_changed", version=done.version, what=what or kind))
        say_retagged(done)


def _show_forecast(seen: Forecast, tags: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": True, "tags": tags, **asdict(seen)})
        return
    numbers = asdict(seen)
    numbers.pop("examples")
    typer.echo(say("forecast", tags=len(tags), **numbers))
    rows = [
        [
            f"{example['id']}  {example['title']}",
            "  ".join(f"+ {tag}" for tag in example["gained"]),
            "  ".join(f"- {tag}" for tag in example["lost"]),
            "  ".join(example["moved"]),
        ]
        for example in seen.examples
    ]
    if rows:
        print_table([say("product"), say("gained"), say("lost"), say("moved")], rows)


def say_retagged(done: Governed) -> None:
    """What was tagged again after a change."""
    if done.run is not None:
        typer.echo(say("retagged", products=done.summary.products, run=done.run.id))
    if done.llm:
        note(say("retag_llm", products=done.llm))


def _latest_in_force(changes: list[LibraryChange]) -> int:
    """The newest change that is no undo and was not undone; LibraryError without any."""
    undone: set[int] = set()
    for change in reversed(changes):
        if change.version in undone:
            continue
        if change.undoes is None:
            return change.version
        undone.add(change.undoes)
    raise LibraryError("There is no change to undo. See: tagmill library history")


def _kind(change: LibraryChange, undone_by: dict[int, int]) -> str:
    kind = change.kind if change.undoes is None else f"{change.kind} {change.undoes}"
    later = undone_by.get(change.version)
    return kind if later is None else f"{kind} ({say('undone_by', change=later)})"


def _what(change: LibraryChange) -> str:
    shown = [_name_of(asdict(entry)) for entry in change.entries[:_SHOWN]]
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
    return "; ".join(f"{key}: {_short(before[key])} → {_short(after[key])}" for key in changed)


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {name}" for key, name in value.items()) or "–"
    return "–" if value in (None, "") else str(value)


def _line_of(tag: Tag, library: Library) -> str:
    target = library.by_id(tag.merged_into) if tag.merged_into else None
    if target is not None:
        return f"{tag.text} → {target.text}"
    return f"- {tag.text}" if tag.status == "retired" else tag.text
