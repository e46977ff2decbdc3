"""`tagmill profiles`: what a row of the catalogue can be."""

from __future__ import annotations

from pathlib import Path

import typer

from tagmill.cli.llm import profile_of
from tagmill.cli.messages import say
from tagmill.cli.terminal import AsJson, Workspace, print_json, print_table
from tagmill.settings import interface_language

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Products, articles, replies, or rows of your own.")


@app.command("list")
def list_(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """The profiles that come with tagmill, and the workspace's own."""
    from tagmill.language.profiles import open_profile, shipped_profiles

    profiles = [open_profile(name) for name in shipped_profiles()]
    own = profile_of(workspace, None)
    if own.folder not in [profile.folder for profile in profiles]:
        profiles.append(own)
    if as_json:
        print_json(
            [
                {
                    "name": profile.name, "row": profile.row, "fields": profile.fields,
                    "facets": profile.facets, "folder": str(profile.folder),
                }
                for profile in profiles
            ]
        )  # fmt: skip
        return
    language = interface_language()
    print_table(
        [say("name"), say("row"), say("field"), say("facet"), say("folder")],
        [
            [
                profile.name,
                profile.row[language],
                ", ".join(f"{name} ({label[language]})" for name, label in profile.fields.items()),
                profile.facet_names(language),
                str(profile.folder),
            ]
            for profile in profiles
        ],
    )
