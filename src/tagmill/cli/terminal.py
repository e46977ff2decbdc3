"""What commands share: options, the workspace they act on, tables, JSON and progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagmill.cli.messages import say, word
from tagmill.errors import SettingsError, StoreError
from tagmill.settings import Settings, find_workspace, load_settings

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.text import Text

    from tagmill.catalog import Catalog
    from tagmill.catalog.rows import Known
    from tagmill.store import Store

__all__ = [
    "AsJson",
    "Map",
    "Query",
    "Table",
    "Workspace",
    "beside",
    "catalog_of",
    "counting",
    "keep_apart",
    "note",
    "note_catalog",
    "open_workspace",
    "parse_map",
    "print_field",
    "print_json",
    "print_table",
    "product_or_text",
    "stages",
    "workspace_settings",
    "write_beside",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workspace = Annotated[
    Path, typer.Option("--workspace", "-w", help="Folder with tagmill.toml, or one below it.")
]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="OURS=THEIRS", help="Read a column under our name: title=product_name."
    ),
]
Table = Annotated[str | None, typer.Option(help="Table of a SQL source.")]
Query = Annotated[str | None, typer.Option(help="Query of a SQL source, instead of a table.")]
_BESIDE = ("rejects", "proposals", "failed")


def workspace_settings(workspace: Path) -> Settings:
    """The settings of the workspace that holds a folder; SettingsError if it is none."""
    return load_settings(find_workspace(workspace))


@contextmanager
def open_workspace(workspace: Path) -> Iterator[tuple[Settings, Store]]:
    """Settings and store of a workspace, closed at the end."""
    from tagmill.store import open_store

    settings = workspace_settings(workspace)
    with open_store(settings.database_url) as store:
        yield settings, store


def product_or_text(workspace: Path, product: str) -> pa.RecordBatch:
    """The workspace's product of an id, or one that has a text as its title: a batch of one."""
    from tagmill.catalog import products_to_batch

    with suppress(SettingsError, StoreError), open_workspace(workspace) as (_, store):
        batch = store.products.batch(product)
        if batch.num_rows:
            return batch
        note(say("taken_as_text", product=product))
    return products_to_batch([{"id": "text", "title": product}])


def parse_map(pairs: list[str] | None) -> dict[str, str]:
    """`--map` options as {our name: their column}."""
    mapping: dict[str, str] = {}
    for pair in pairs or ():
        ours, equals, theirs = pair.partition("=")
        if not (equals and ours.strip() and theirs.strip()):
            raise SettingsError(f"--map '{pair}' is not OURS=THEIRS, such as title=product_name")
        mapping[ours.strip()] = theirs.strip()
    return mapping


def catalog_of(
    source: str,
    pairs: list[str] | None,
    *,
    table: str | None = None,
    query: str | None = None,
    rejects: Path | None = None,
    workspace: Path | None = None,
    known: Known | None = None,
) -> Catalog:
    """The products of a source, columns mapped by `--map` over the workspace's settings; those
    that are `known` may come without a text."""
    from tagmill.catalog import open_catalog

    mapping: dict[str, str] = {}
    if workspace is not None:
        mapping |= workspace_settings(workspace).catalog.map
    mapping |= parse_map(pairs)
    return open_catalog(
        source, mapping=mapping, table=table, query=query, rejects=rejects, known=known
    )


def keep_apart(
    outputs: Iterable[Path | None],
    sources: Iterable[Path | str | None],
    base: Path | str | None = None,
) -> None:
    """SettingsError where an output would take the place of what is read, or of another output.

    Given all a command writes and reads, before it writes; `base` is what files `beside` are of.
    """
    written = [output for output in outputs if output is not None]
    if base is not None:
        written += [beside(base, what) for what in _BESIDE]
    read = [Path(str(source).removeprefix("sqlite:///")) for source in sources if source]
    for number, output in enumerate(written):
        if any(_is_same(output, source) for source in read):
            raise SettingsError(
                f"'{output}' is what is read, and would be replaced. Name another file to write"
            )
        if any(_is_same(output, other) for other in written[:number]):
            raise SettingsError(f"'{output}' would be written twice. Name another file to write")


def _is_same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def beside(base: Path | str, what: str) -> Path:
    """Where a command writes what it leaves out of its output: one of `_BESIDE`."""
    return Path(f"{base}.{what}.jsonl")


def note(text: str) -> None:
    """A message to stderr."""
    typer.echo(text, err=True)


def note_catalog(catalog: Catalog) -> None:
    """What reading a catalogue left out, to stderr."""
    counts = catalog.counts
    if counts.unwritable:
        note(
            say(
                "rejects_unwritten", count=counts.rejected, path=catalog.rejects_path,
                why=counts.unwritable, first=counts.first_reject,
            )
        )  # fmt: skip
    elif counts.rejected:
        note(say("rejects", count=counts.rejected, path=catalog.rejects_path))
    if counts.unread:
        note(say("unread_numbers", count=counts.unread, first=counts.first_unread))
    if catalog.unread_columns:
        columns, first = ", ".join(catalog.unread_columns), catalog.unread_columns[0]
        name = first.removeprefix("attributes.")
        note(say("unread_columns", columns=columns, first=first, name=name))


def print_json(value: object) -> None:
    """One JSON document to stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_field(label: str, value: object) -> None:
    """One line of a thing that is shown field by field."""
    from rich.cells import cell_len

    typer.echo(f"{label}{' ' * max(16 - cell_len(label), 1)}{value}")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table to stdout; numbers stand right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable

    table = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        number = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    console.print(table)


def _cell(value: object) -> str | Text:
    from rich.text import Text

    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, bool):
        return word("yes" if value else "no")
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None else Text(str(value))  # as it is, whatever brackets it holds


@contextmanager
def counting(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, with rate and time left; call with how many more are done."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s")

    from rich.console import Console

    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(),
        TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip
        task = bar.add_task(say(what), total=total)
        yield lambda done: bar.update(task, advance=done)


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Progress of training on stderr: call with stage, steps done, steps in all."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(say("training")) as status:

        def show(stage: str, done: int, total: int) -> None:
            status.update(f"{say('training')}: {stage} {done}/{total}")

        yield show


def write_beside(base: Path | str, what: str, entries: list[dict[str, Any]], message: str) -> None:
    """Entries as JSON Lines in a file beside the output; none, no file."""
    path = beside(base, what)
    path.unlink(missing_ok=True)  # that of an earlier run
    if entries:
        lines = [json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries]
        path.write_text("".join(lines), encoding="utf-8")
        note(say(message, count=len(entries), path=path))
