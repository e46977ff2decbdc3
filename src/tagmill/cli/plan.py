"""`tagmill plan`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    open_workspace,
    print_json,
    print_table,
)
from tagmill.errors import SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

    from tagmill.plan import Plan
    from tagmill.tagging.llm import Consultant
    from tagmill.tagging.model import Model

_PAGE = 2048


def plan(
    source: Annotated[
        str | None,
        typer.Argument(help="File or SQLAlchemy URL; default: the workspace's products."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model folder; default for a file: the starter library.")
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
    if llm not in ("all", "cascade"):
        raise SettingsError(f"Unknown --llm '{llm}'. Known: all, cascade")
    if source is None and (model is not None or profile is not None):
        raise SettingsError("--model and --profile need a file: tagmill plan FILE --model DIR")
    options = LlmOptions(
        llm_url, llm_model, budget, False, llm_cache, workspace=workspace, profile=profile
    )
    share = llm_share if llm == "cascade" else None
    if source is None:
        found, budget = _plan_workspace(workspace, options, share)
    else:
        used = model_of(model, workspace, profile)
        catalog = catalog_of(source, mapping, rejects=Path(f"{Path(source).name}.rejects.jsonl"))
        with options.consultant(used.library) as consultant:
            found = _forecast(used, consultant, lambda: catalog, share)
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


def _plan_workspace(
    workspace: Path, options: LlmOptions, share: float | None
) -> tuple[Plan, float | None]:
    """The forecast of a `tag --llm` of the workspace's products, and the budget."""
    from tagmill.pipeline import Wanted
    from tagmill.tagging.output import Selection
    from tagmill.workspace import current_model

    with open_workspace(workspace) as (settings, store):
        options.store = store
        used = current_model(store, settings.models_dir)
        selection = Selection(lane="review", **settings.tagging.model_dump())
        with options.consultant(used.library) as consultant:
            wanted = Wanted.by(store, used, consultant, selection, False, share)
            found = _forecast(used, consultant, lambda: wanted.batches(_PAGE), share)
            return found, consultant.propose.settings.budget


def _forecast(
    model: Model,
    consultant: Consultant,
    products: Callable[[], Iterable[pa.RecordBatch]],
    share: float | None,
) -> Plan:
    from tagmill.pipeline import choose_to_ask
    from tagmill.plan import plan as forecast

    chosen = None if share is None else choose_to_ask(model, consultant, products(), share)
    return forecast(model, consultant, products(), chosen)
