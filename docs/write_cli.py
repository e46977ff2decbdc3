"""Write docs/cli.md: the --help page of every command (`make docs`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer
from typer.testing import CliRunner

from tagmill.cli import app

PAGE = Path(__file__).parent / "cli.md"


def help_pages() -> str:
    """All help pages as Markdown, in the order of the tree of commands."""
    lines = ["# Commands", "", "Written by `make docs` from the commands themselves.", ""]
    for path in _paths(typer.main.get_command(app), []):
        environment = {"COLUMNS": "92", "TERM": "dumb", "NO_COLOR": "1", "LANG": "en"}
        output = (
            CliRunner().invoke(app, [*path, "--help"], prog_name="tagmill", env=environment).output
        )
        page = "\n".join(line.rstrip() for line in output.splitlines()).strip("\n")
        lines += [f"## {' '.join(['tagmill', *path])}", "", "```text", page, "```", ""]
    return "\n".join(lines)


def _paths(command: click.Command, path: list[str]) -> Iterator[list[str]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from _paths(inner, [*path, name])


if __name__ == "__main__":
    PAGE.write_text(help_pages(), encoding="utf-8")
    sys.stderr.write(f"{PAGE}\n")
