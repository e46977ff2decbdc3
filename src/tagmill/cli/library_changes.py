"""`tagmill library` …: what changes the library, each with `--dry-run`."""

from __future__ import annotations

import getpass
import inspect
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

if TYPE_CHECKING:
    from tagmill.library import Library
    from tagmill.records import Tag
    from tagmill.settings import Settings
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
Wider = Annotated[
    list[str] | None, typer.Option(metavar="TAG", help="A tag that it implies; repeatable.")
]
Chinese = Annotated[str | None, typer.Option(help="Chinese name.")]
English = Annotated[str | None, typer.Option(help="English name.")]

NewFacet = Annotated[
    bool, typer.Option("--new-facet", help="Of a facet that is spelled much like another.")
]

SHOWN = 3  # tags of a change in a table


def _command(work: Callable[..., list[Tag]]) -> Callable[..., list[Tag]]:
    """Make a command of what changes a library: `work(library, …)` gives the tags it changed.

    Its options are the function's own, and those that every change has.
    """
    kind = work.__name__

    def command(
        *,
        why: Why = "",
        dry_run: DryRun = False,
        no_retag: NoRetag = False,
        workspace: Workspace = Path("."),
        as_json: AsJson = False,
        **given: Any,  # noqa: ANN401
    ) -> None:
        from tagmill.library.stored import load_library
        from tagmill.upkeep import forecast, govern

        with open_workspace(workspace) as (settings, store), counting("tagging") as progress:
            library = load_library(store)
            before = dict(library.tags)
            touched = [library.tags[i] for i in dict.fromkeys(t.id for t in work(library, **given))]
            changed = [tag for tag in touched if tag != before.get(tag.id)]
            models, selection = settings.models_dir, selection_of(settings)
            if dry_run:
                seen = forecast(store, models, library, selection, progress)
            else:
                done = govern(
                    store, models, library, changed, selection, kind=kind, who=getpass.getuser(),
                    why=why, again=not no_retag, progress=progress,
                )  # fmt: skip
        if not as_json and not changed and not library.changed_facets():
            what = ", ".join(tag.text for tag in touched[:SHOWN])
            typer.echo(say("nothing_to_change", what=what or given["name"]))
        elif dry_run:
            show_forecast(seen, changed, as_json)
        else:
            _show_change(done, kind, changed, library, as_json)

    own = list(inspect.signature(work).parameters.values())[1:]
    shared = list(inspect.signature(command).parameters.values())[:-1]
    command.__annotations__ = {one.name: one.annotation for one in own + shared}
    types = inspect.get_annotations(command, eval_str=True)
    parameters = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=types[one.name])
        for one in own + shared
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = work.__doc__
    app.command(kind)(command)
    return work


@_command
def add(
    library: Library,
    tag: Annotated[str, typer.Argument(metavar="FACET:NAME", help="The canonical name.")],
    zh: Chinese = None,
    en: English = None,
    alias: Annotated[list[str] | None, typer.Option(help="Another name; repeatable.")] = None,
    description: Annotated[str, typer.Option(help="What it covers.")] = "",
    broader: Wider = None,
    new_facet: NewFacet = False,
) -> list[Tag]:
    """Add a tag; it is found at once, with an honest probability, without training."""
    from tagmill.library import changes
    from tagmill.records import parse_tag

    try:
        facet, name = parse_tag(tag)
    except ValueError as error:
        raise LibraryError(str(error)) from error
    if not new_facet:
        changes.check_facet(library, facet, name)
    wider = [library.resolve(text).id for text in broader or ()]
    new = library.add(
        facet, name, names=_named(zh, en), aliases=tuple(alias or ()), description=description
    )
    return [library.update(new, broader=wider)]


@_command
def alias(
    library: Library,
    tag: TagName,
    alias: Annotated[str, typer.Argument(help="The other name.")],
    remove: Annotated[
        bool, typer.Option("--remove", help="Take it away: an alias, or a name in a language.")
    ] = False,
) -> list[Tag]:
    """Give a tag one more name, or take one away."""
    from tagmill.library import changes

    change = changes.remove_name if remove else changes.alias
    return change(library, changes.meant(library, tag), alias)


@_command
def describe(
    library: Library,
    tag: TagName,
    description: Annotated[
        str, typer.Argument(metavar="TEXT", help="What it covers; '' for none.")
    ],
) -> list[Tag]:
    """Say what a tag covers; a language model reads it."""
    from tagmill.library import changes

    return changes.describe(library, changes.meant(library, tag), description)


@_command
def rename(
    library: Library,
    tag: TagName,
    name: Annotated[str, typer.Argument(help="The new name, without a facet.")],
    language: Annotated[
        str | None, typer.Option(help="The name of this language (zh, en …), not the canonical.")
    ] = None,
) -> list[Tag]:
    """Give a tag another name; the former one stays an alias, the id stays."""
    from tagmill.library import changes

    renamed = changes.rename(library, changes.meant(library, tag), name, language)
    stay = {code: own for code, own in renamed[0].names.items() if own != name}
    if language is None and stay:
        shown = ", ".join(f"{code}: {own}" for code, own in stay.items())
        note(say("names_stay", names=shown, language=next(iter(stay))))
    return renamed


@_command
def merge(
    library: Library,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The tag that goes.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The tag that stays.")],
) -> list[Tag]:
    """Make two tags one: the source's names become aliases of the target for ever."""
    from tagmill.library import changes

    gone, kept = changes.meant(library, source), library.resolve(target)
    if gone.facet != kept.facet:
        note(say("two_facets", source=gone.text, target=kept.text))
    return changes.merge(library, gone, kept)


@_command
def split(
    library: Library,
    tag: TagName,
    parts: Annotated[
        list[str], typer.Argument(metavar="PART...", help="Two or more tags, new or there.")
    ],
) -> list[Tag]:
    """Retire a tag in favour of several; what people accepted of it goes to review."""
    from tagmill.library import changes

    return changes.split(library, changes.meant(library, tag), parts)


@_command
def retire(library: Library, tag: TagName) -> list[Tag]:
    """Take a tag out of use; its id is never given to another."""
    from tagmill.library import changes

    return [library.retire(changes.meant(library, tag))]


@_command
def restore(library: Library, tag: TagName) -> list[Tag]:
    """Bring a retired tag back."""
    from tagmill.library import changes

    return changes.restore(library, library.tags.get(tag) or library.resolve(tag))


@_command
def move(
    library: Library,
    tag: TagName,
    facet: Annotated[str | None, typer.Option(help="Into this facet.")] = None,
    broader: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Below this tag; repeatable.")
    ] = None,
    top: Annotated[bool, typer.Option("--top", help="Below none.")] = False,
    new_facet: NewFacet = False,
) -> list[Tag]:
    """Put a tag into another facet, or below another tag."""
    from tagmill.library import changes

    if facet is None and not broader and not top:
        raise LibraryError("Where to? Give --facet, --broader or --top")
    moved = changes.meant(library, tag)
    if facet is not None and not new_facet:
        changes.check_facet(library, facet, moved.name)
    wider = [library.resolve(text) for text in broader or ()]
    below = wider if broader or top else None
    return changes.move(library, moved, facet, below)


@_command
def facet(
    library: Library,
    name: Annotated[str, typer.Argument(metavar="FACET", help="In any language.")],
    single: Annotated[bool, typer.Option("--single", help="One value a product.")] = False,
    many: Annotated[bool, typer.Option("--many", help="Many values a product.")] = False,
    only_for: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG", help="Only for products of this tag; repeatable; '' for all."),
    ] = None,
    values: Annotated[
        str | None,
        typer.Option(
            help="text, number or range: whether its names are quantities, compared in any unit."
        ),
    ] = None,
    unit: Annotated[str | None, typer.Option(help="That of a bare number: ml, 岁 …")] = None,
    zh: Chinese = None,
    en: English = None,
) -> list[Tag]:
    """Say how a facet is used: one value or many, for which products, words or quantities."""
    from tagmill.library import changes
    from tagmill.records import ValueKind

    if single and many:
        raise LibraryError("--single and --many are opposites. Give one of them")
    kind = next((one for one in get_args(ValueKind) if one == values), None)
    if values is not None and kind is None:
        raise LibraryError(f"--values '{values}' is none of {', '.join(get_args(ValueKind))}")
    known = library.facets[facet_key(library, name)]
    kind = kind or known.value_kind
    if unit and kind == "text":
        raise LibraryError(
            f"The names of '{known.key}' are text, which has no unit. Give --values number, or "
            "range"
        )
    wanted = known.only_for
    if only_for is not None:
        wanted = tuple(library.resolve(text).id for text in only_for if text)
    library.add_facet(
        replace(
            known,
            names=changes.facet_names(known, _named(zh, en)),
            single=single or (known.single and not many),
            only_for=wanted,
            value_kind=kind,
            unit=known.unit if unit is None else unit,
        )
    )
    return []


def _named(zh: str | None, en: str | None) -> dict[str, str]:
    return {code: name for code, name in (("zh", zh), ("en", en)) if name}


def selection_of(settings: Settings) -> Selection:
    """What of the products' tags a workspace stores."""
    from tagmill.tagging.output import Selection

    return Selection(**settings.tagging.model_dump())


def _show_change(
    done: Governed, kind: str, changed: list[Tag], library: Library, as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                "version": done.version, "kind": kind, "tags": [plain_tag(tag) for tag in changed],
                "products": done.summary.products, "run": done.run and done.run.id,
            }
        )  # fmt: skip
        return
    facets = [facet.key for facet in library.changed_facets()]
    kept = {tag.merged_into for tag in changed}  # said with what goes into it
    shown = [tag for tag in changed if tag.id not in kept][:SHOWN]
    what = ", ".join([_line_of(tag, library) for tag in shown] or facets)
    typer.echo(say("library_changed", version=done.version, what=what))
    say_retagged(done)


def show_forecast(seen: Forecast, changed: list[Tag], as_json: bool) -> None:
    """What a change would do, with some products."""
    if as_json:
        tags = [plain_tag(tag) for tag in changed]
        print_json({"dry_run": True, "tags": tags, **asdict(seen)})
        return
    numbers = asdict(seen)
    numbers.pop("examples")
    typer.echo(say("forecast", tags=len(changed), **numbers))
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


def _line_of(tag: Tag, library: Library) -> str:
    target = library.by_id(tag.merged_into) if tag.merged_into else None
    if target is not None:
        return f"{tag.text} → {target.text}"
    return f"- {tag.text}" if tag.status == "retired" else tag.text
