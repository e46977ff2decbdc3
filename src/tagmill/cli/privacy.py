"""`tagmill privacy`: what may leave the machine, and what has."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagmill.cli.llm import (
    LLM_CACHE,
    LlmCache,
    LlmModel,
    LlmUrl,
    ProfileOption,
    is_set,
    settings_with,
    stays_here,
)
from tagmill.cli.messages import say, word
from tagmill.cli.terminal import (
    AsJson,
    Workspace,
    note,
    open_workspace,
    print_json,
    print_table,
    product_or_text,
)
from tagmill.errors import SettingsError

if TYPE_CHECKING:
    from tagmill.records import ModelCall

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What may leave the machine, and what has.")


@app.command("preview")
def preview(
    product: Annotated[str, typer.Argument(help="Id of a product of the workspace, or a text.")],
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    profile: ProfileOption = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Show what would be sent of a product: fields that may leave, personal data replaced."""
    from tagmill.language.privacy import what_may_leave
    from tagmill.language.profiles import open_profile
    from tagmill.language.prompts import prompt_language, write_product

    settings = settings_with(workspace, llm_url, llm_model, profile=profile)
    rows = open_profile(settings.llm.profile)
    batch = product_or_text(workspace, product).drop_columns(["tags"])
    found = batch.to_pylist()[0]
    leaving, vault = what_may_leave(found, settings.privacy)
    text = write_product(leaving, prompt_language(found["language"]), rows)
    if as_json:
        print_json({"sent": leaving, "replaced": dict(vault.counts), "text": text})
        return
    typer.echo(text)
    replaced = ", ".join(f"{word(kind)} {count}" for kind, count in vault.counts.items())
    note(say("privacy_replaced", kinds=replaced or "–"))
    if stays_here(settings.llm):
        note(say("privacy_stays" if is_set(settings.llm) else "privacy_no_model"))


@app.command("audit")
def audit(
    product: Annotated[str | None, typer.Argument(help="Only of this product's id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many calls, the newest.")] = 50,
    llm_cache: LlmCache = LLM_CACHE,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Show what was sent to large language models, when, and to whom.

    Out of the workspace's database, where there is one, and of the file of answers. Requests that
    went into a batch file are there too, with the file they stand in.
    """
    from tagmill.store import open_store

    calls: list[ModelCall] = []
    is_workspace = False
    with suppress(SettingsError), open_workspace(workspace) as (_, store):
        is_workspace = True
        calls += store.replies.calls(product, limit=limit)
    if llm_cache.exists() or not is_workspace:
        with open_store(f"sqlite:///{llm_cache.resolve()}") as store:
            calls += store.replies.calls(product, limit=limit)
    calls = sorted(calls, key=lambda call: call.at, reverse=True)[:limit]
    if as_json:
        print_json([vars(call) for call in calls])
        return
    print_table(
        [say("started"), say("host"), say("model"), say("stage"), say("product"), say("sent")],
        [
            [c.at, c.host or say("this_process"), c.model, c.stage, c.subject,
             f"{c.sent}\n→ {c.outcome}" if c.outcome else c.sent]
            for c in calls
        ],
    )  # fmt: skip
