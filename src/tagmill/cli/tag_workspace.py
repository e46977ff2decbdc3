"""`tagmill tag` without a file: the workspace's products, as a run that can be undone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tagmill.cli.llm import LlmOptions
from tagmill.cli.messages import say
from tagmill.cli.terminal import counting, note, open_workspace, print_json, write_beside

if TYPE_CHECKING:
    from tagmill.store import Proposal
    from tagmill.tagging.output import Selection

__all__ = ["SelectionOptions", "tag_in_workspace"]


class SelectionOptions:
    """What was asked for of a selection; the rest comes from the workspace or the defaults."""

    def __init__(
        self,
        top_k: int | None,
        lane: str,
        precision: float | None,
        per_facet: bool | None,
        diverse: bool | None,
        broader: bool | None,
        language: str | None,
    ) -> None:
        self.lane = lane
        self.asked: dict[str, Any] = {
            key: value
            for key, value in (
                ("top_k", top_k), ("precision", precision), ("per_facet", per_facet),
                ("diverse", diverse), ("broader", broader),
                ("language", language),
            )
            if value is not None
        }  # fmt: skip

    def selection(self, **defaults: Any) -> Selection:  # noqa: ANN401
        """What was asked for over `defaults`. Raises SettingsError on a value out of range."""
        from tagmill.tagging.output import Selection

        return Selection(lane=self.lane, **{**defaults, **self.asked})


def tag_in_workspace(
    workspace: Path,
    options: SelectionOptions,
    include_tagged: bool,
    as_json: bool,
    llm: LlmOptions | None,
    share: float | None,
    library_version: int | None,
    new_names: bool,
) -> None:
    """Tag what needs it as a run, and say what came of it."""
    from tagmill.library.stored import load_library
    from tagmill.pipeline import ConsultReport, consult_workspace, tag_workspace
    from tagmill.proposing import accept_by_rule
    from tagmill.tag_runs import OPEN, run_signature
    from tagmill.tagging import make_proposer
    from tagmill.workspace import current_model

    report = ConsultReport()
    with open_workspace(workspace) as (settings, store), store.tagging():
        selection = options.selection(**settings.tagging.model_dump())
        model = current_model(store, settings.models_dir, load_library(store, library_version))
        model.library.check_language(selection.language)
        is_empty = not store.products.count()
        fixed = {} if library_version is None else {"library": str(library_version)}
        which = None if include_tagged else False
        if llm is None:
            proposer = make_proposer("spans", model) if new_names else None
            signature = run_signature(model, selection, {**fixed, **(OPEN if new_names else {})})
            total = store.products.pending_count(signature, labelled=which)
            with counting("tagging", total) as progress:
                run, summary = tag_workspace(
                    store, model, selection, labelled=include_tagged, fixed=fixed,
                    progress=progress, proposer=proposer,
                )  # fmt: skip
        else:
            llm.store = store
            with llm.consultant(model.library) as consultant, counting("tagging") as progress:
                run, summary, report = consult_workspace(
                    store, model, consultant, selection, labelled=include_tagged, share=share,
                    fixed=fixed, progress=progress,
                )  # fmt: skip
        accepted: list[Proposal] = []
        if settings.library.auto_accept:
            accepted = accept_by_rule(
                store, settings.models_dir, selection, precision=settings.library.auto_precision,
                least=settings.library.min_support,
            )  # fmt: skip
    if as_json:
        more: dict[str, Any] = {}
        if llm is not None:
            more = {"failed": report.failed, "waiting": report.waiting, "llm": vars(llm.spending)}
        print_json({"run": run and run.id, **summary.numbers(), **more})
    elif run is None:
        typer.echo(say("empty_workspace" if is_empty else "nothing_to_tag"))
    else:
        typer.echo(say("tagged", **summary.numbers()))
        typer.echo(say("run_stored", run=run.id))
    proposed = len(report.new_names) + len(summary.new_names)
    if proposed:
        note(say("names_proposed", count=proposed))
    if accepted:
        shown = ", ".join(f"{one.facet}:{one.name}" for one in accepted)
        note(say("accepted_by_rule", count=len(accepted), names=shown))
    if llm is not None:
        llm.note_spending(report.reused, report.undecided)
        base = settings.root / (f"run-{run.id}" if run else "run")
        write_beside(base, "failed", report.failed, "llm_failed")
        llm.note_batch(report.waiting)
        if report.failed or llm.is_spent:
            raise typer.Exit(1)
