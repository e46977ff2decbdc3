"""`tagmill plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagmill.cli.llm import LLM_CACHE, Budget, LlmCache, LlmModel, LlmOptions, LlmUrl, ProfileOption
from tagmill.cli.messages import say
from tagmill.cli.tag import model_of
from tagmill.cli.terminal import (
    AsJson,
    Map,
    Workspace,
    catalog_of,
    note_catalog,
    print_json,
    print_table,
)
from tagmill.errors import SettingsError


def plan(
    source: Annotated[str, typer.Argument(help="File or SQLAlchemy URL.")],
    model: Annotated[
        Path | None, typer.Option(help="Model folder; default: the starter library.")
    ] = None,
    llm: Annotated[str, typer.Option(help="all, or cascade (the doubtful).")] = "cascade",
    llm_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the products that cascade asks about.")
    ] = 0.1,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    budget: Budget = None,
    llm_cache: LlmCache = LLM_CACHE,
    profile: ProfileOption = None,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Forecast what `tag --llm` will cost: products, calls, tokens, money and time.

    Nothing is sent. Tokens are estimated from a sample of the requests, and what the store has
    answers to costs nothing.
    """
    from tagmill.pipeline import choose_to_ask
    from tagmill.plan import plan as forecast

    if llm not in ("all", "cascade"):
        raise SettingsError(f"Unknown --llm '{llm}'. Known: all, cascade")
    used = model_of(model, workspace, profile)
    catalog = catalog_of(source, mapping, rejects=Path(f"{Path(source).name}.rejects.jsonl"))
    options = LlmOptions(
        llm_url, llm_model, budget, False, llm_cache, workspace=workspace, profile=profile
    )
    with options.consultant(used.library) as consultant:
        chosen = None
        if llm == "cascade":
            chosen = choose_to_ask(used, consultant, catalog, llm_share)
        found = forecast(used, consultant, catalog, chosen)
        budget = consultant.propose.settings.budget
    note_catalog(catalog)
    if as_json:
        print_json({**vars(found), "budget": budget})
        return
    print_table(
        [say("metric"), ""],
        [
            [say("products"), found.products],
            [say("plan_asked"), found.asked],
            [say("plan_calls"), found.calls],
            [say("plan_input"), found.input_tokens],
            [say("plan_cached"), f"{found.cached_share:.0%}"],
            [say("plan_output"), found.output_tokens],
            [say("plan_cost"), found.cost],
            [say("plan_minutes"), found.minutes],
        ],
    )
    if budget is not None and found.cost > budget:
        typer.echo(say("plan_over", cost=found.cost, budget=budget))
