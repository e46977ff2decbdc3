"""Write docs/cli.md: the --help page of every command (`make docs`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import typer

PAGE = Path(__file__).parent / "cli.md"


def help_pages() -> str:
    """All help pages as Markdown, in the order of the tree of commands."""
    os.environ.update({"COLUMNS": "92", "TERM": "dumb", "NO_COLOR": "1"})
    from tagmill.cli import app

    lines = ["# Commands", "", "Written by `make docs` from the commands themselves.", ""]
    _write(typer.main.get_command(app), ["tagmill"], None, lines)
    return "\n".join(lines)


def _write(
    command: click.Command, path: list[str], parent: click.Context | None, lines: list[str]
) -> None:
    context = click.Context(command, info_name=path[-1], parent=parent, terminal_width=92)
    page = "\n".join(line.rstrip() for line in command.get_help(context).splitlines()).strip()
    lines += [f"## {' '.join(path)}", "", "```text", page, "```", ""]
    for name in getattr(command, "commands", {}):
        _write(command.commands[name], [*path, name], context, lines)


if __name__ == "__main__":
    PAGE.write_text(help_pages(), encoding="utf-8")
    sys.stderr.write(f"{PAGE}\n")
