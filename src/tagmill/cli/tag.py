"""`tagmill tag`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagmill.cli.llm import (
    LLM_CACHE,
    BatchIn,
    BatchOut,
    Budget,
    LlmCache,
    LlmModel,
    LlmOptions,
    LlmUrl,
    ProfileOption,
    profile_of,
)
from tagmill.cli.messages import say
from tagmill.cli.tag_workspace import SelectionOptions, tag_in_workspace
from tagmill.cli.terminal import (
    AsJson,
    Map,
    Query,
    Table,
    Workspace,
    beside,
    catalog_of,
    counting,
    keep_apart,
    note,
    note_catalog,
    print_json,
    print_table,
    write_beside,
)
from tagmill.errors import SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

    from tagmill.catalog import Catalog
    from tagmill.tagging.model import Model
    from tagmill.tagging.output import Selection

_LLM = ("off", "all", "cascade")


def tag(
    source: Annotated[
        str | None,
        typer.Argument(help="File or SQLAlchemy URL; default: the workspace's products."),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Tag this text instead of a file.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model folder; default for a file: the starter library.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write .jsonl, .parquet or .csv.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="At most so many tags a product.")] = None,
    lane: Annotated[
        str,
        typer.Option(help="auto; review (auto and review); all (the top k, however improbable)."),
    ] = "review",
    precision: Annotated[
        float | None, typer.Option(help="Promised of the lane auto; default 0.95.")
    ] = None,
    per_facet: Annotated[
        bool, typer.Option("--per-facet", help="Promise it of each facet by itself.")
    ] = False,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="Cover facets: no near-duplicates, usual counts.")
    ] = False,
    broader: Annotated[
        bool, typer.Option("--broader", help="Also the broader tags that narrower ones imply.")
    ] = False,
    language: Annotated[
        str | None, typer.Option(help="Of tag names: product, zh, en …; default product.")
    ] = None,
    include_tagged: Annotated[
        bool, typer.Option("--all", help="In a workspace: also products a person has tagged.")
    ] = False,
    profile: ProfileOption = None,
    llm: Annotated[
        str,
        typer.Option(help="Ask a large language model about: off, all, or cascade (the doubtful)."),
    ] = "off",
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    llm_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the products that cascade asks about.")
    ] = 0.1,
    budget: Budget = None,
    closed: Annotated[
        bool, typer.Option("--closed", help="No proposals of names that are not in the library.")
    ] = False,
    new_names: Annotated[
        bool, typer.Option("--open", help="Propose new names found in the texts, without an LLM.")
    ] = False,
    llm_cache: LlmCache = LLM_CACHE,
    library_version: Annotated[
        int | None, typer.Option(help="Of the workspace's library, as it was at this version.")
    ] = None,
    batch_out: BatchOut = None,
    batch_in: BatchIn = None,
    table: Table = None,
    query: Query = None,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Tag a file to the terminal or a file; or, without one, the workspace's products.

    In a workspace only products that are new, changed, or were tagged by another model or library
    are tagged, and the tags are stored as a run that can be undone.
    """
    in_workspace = source is None and text is None
    _check_llm(llm, batch_in, batch_out, in_workspace)
    _check_open(new_names, llm, text)
    _check_version(library_version, source, text)
    _check_profile(profile, llm, model, in_workspace)
    chosen = SelectionOptions(
        top_k, lane, precision, per_facet or None, diverse or None, broader or None, language
    )
    if source is not None and text is not None:
        raise SettingsError(f"--text tags that text alone; leave {source} or --text out")
    if in_workspace:
        if model is not None or output is not None:
            raise SettingsError(
                "--model and -o need a file to tag: tagmill tag products.csv --model DIR"
            )
        chosen.selection()  # a wrong value is named first
        if lane != "review":
            raise SettingsError(
                f"--lane {lane} needs a file to tag: a workspace stores the lanes auto and review. "
                "See: tagmill export --lane"
            )
        asking = None
        if llm != "off":
            keep_apart([batch_out], batch_in or [])
            asking = LlmOptions(
                llm_url, llm_model, budget, closed, llm_cache, batch_in or [], batch_out,
                workspace, profile,
            )  # fmt: skip
        share = llm_share if llm == "cascade" else None
        tag_in_workspace(
            workspace, chosen, include_tagged, as_json, asking, share, library_version, new_names
        )
        return
    selection = chosen.selection()
    used = model_of(model, workspace, profile)
    used.library.check_language(selection.language)
    base = output or Path(Path(source or "text").name)
    keep_apart([output, batch_out], [source, *(batch_in or []), llm_cache], base)
    asked = LlmOptions(
        llm_url, llm_model, budget, closed, llm_cache, batch_in or [], batch_out, workspace, profile
    )
    share = llm_share if llm == "cascade" else None
    if text is not None and llm == "off" and output is None:
        _tag_text(used, text, selection, as_json)
        return
    products: Catalog | list[pa.RecordBatch]
    if text is not None:
        from tagmill.catalog import products_to_batch

        products = [products_to_batch([{"id": "text", "title": text}])]
    else:
        rejects = beside(base, "rejects")
        products = catalog_of(str(source), mapping, table=table, query=query, rejects=rejects)
    if llm == "off":
        _tag_products(used, products, base, output, selection, as_json, new_names)
    else:
        _consult(used, products, base, output, selection, asked, share, as_json)


def _check_llm(
    llm: str, batch_in: list[Path] | None, batch_out: Path | None, in_workspace: bool
) -> None:
    if llm not in _LLM:
        raise SettingsError(f"Unknown --llm '{llm}'. Known: {', '.join(_LLM)}")
    if llm == "off" and (batch_in or batch_out):
        raise SettingsError("--batch-in and --batch-out need --llm all or --llm cascade")
    if llm == "cascade" and in_workspace and (batch_in or batch_out):
        raise SettingsError(
            "--batch-in and --batch-out with --llm cascade need a file to tag: in a workspace "
            "another choice would be made each time. Use --llm all"
        )


def _check_open(new_names: bool, llm: str, text: str | None) -> None:
    if new_names and llm != "off":
        raise SettingsError(
            "--open finds new names without a large language model; with --llm that one proposes "
            "them. Leave one out"
        )
    if new_names and text is not None:
        raise SettingsError("--open needs a file to tag, or a workspace; leave --text out")


def _check_version(version: int | None, source: str | None, text: str | None) -> None:
    if version is not None and (source is not None or text is not None):
        raise SettingsError("--library-version tags the workspace's products; leave the file out")


def _check_profile(profile: str | None, llm: str, model: Path | None, in_workspace: bool) -> None:
    """A profile that would change nothing is an error."""
    if profile is None:
        return
    if in_workspace:
        raise SettingsError(
            f"--profile needs a file or a text: tagmill tag FILE --profile {profile}. A workspace "
            "has its own library"
        )
    if model is not None and llm == "off":
        raise SettingsError(
            f"--profile {profile} chooses a starter library and prompts: --model without --llm "
            "needs neither. Leave one out"
        )


def model_of(folder: Path | None, workspace: Path, profile: str | None) -> Model:
    """The model of a folder, or the starter library of the profile."""
    from tagmill.tagging.folder import load_model, starter_model

    if folder is not None:
        return load_model(folder)
    return starter_model(profile_of(workspace, profile))


def _tag_text(model: Model, text: str, selection: Selection, as_json: bool) -> None:
    lines = model.tag([{"id": "text", "title": text}], **vars(selection))
    print_json(lines) if as_json else print_tagged(lines)


def _consult(
    model: Model,
    products: Catalog | list[pa.RecordBatch],
    base: Path,
    output: Path | None,
    selection: Selection,
    asked: LlmOptions,
    share: float | None,
    as_json: bool,
) -> None:
    """Tag with a large language model; what failed and what is new stands beside the output."""
    from tagmill.catalog import Catalog
    from tagmill.catalog.writers import ListWriter, open_writer
    from tagmill.pipeline import consult_file

    catalog = products if isinstance(products, Catalog) else None
    lines = ListWriter(None if as_json else print_tagged)
    with (
        asked.consultant(model.library) as consultant,
        nullcontext(lines) if output is None else open_writer(output) as writer,
        counting("tagging", catalog.total_hint if catalog else 1) as progress,
    ):
        summary, report = consult_file(
            model, products, consultant, writer, selection, share=share, progress=progress
        )
    lines.flush() if not as_json else None
    numbers = {**summary.numbers(), "asked": report.asked, "failed": len(report.failed),
               "waiting": report.waiting, "reused": report.reused}  # fmt: skip
    if as_json:
        shown = {"output": str(output)} if output else {"tagged": lines.lines}
        print_json({**shown, **numbers, "llm": vars(asked.spending)})
    note(say("tagged", **summary.numbers()))
    asked.note_spending(report.reused, report.undecided)
    write_beside(base, "proposals", report.new_names.proposals(), "proposals_written")
    write_beside(base, "failed", report.failed, "llm_failed")
    asked.note_batch(report.waiting)
    if output is not None:
        note(say("written", path=output))
    if catalog is not None:
        note_catalog(catalog)
    if report.stopped is not None:
        raise report.stopped
    if report.failed or asked.is_spent:
        raise typer.Exit(1)


def _tag_products(
    model: Model,
    products: Catalog | list[pa.RecordBatch],
    base: Path,
    output: Path | None,
    selection: Selection,
    as_json: bool,
    new_names: bool,
) -> None:
    from tagmill.catalog import Catalog
    from tagmill.catalog.writers import ListWriter, open_writer
    from tagmill.pipeline import tag_file
    from tagmill.tagging import make_proposer

    catalog = products if isinstance(products, Catalog) else None
    proposer = make_proposer("spans", model) if new_names else None
    lines = ListWriter(print_tagged if not as_json else None)
    with (
        counting("tagging", catalog.total_hint if catalog else 1) as progress,
        nullcontext(lines) if output is None else open_writer(output) as writer,
    ):
        summary = tag_file(model, products, writer, selection, progress, proposer)
    if output is None:
        print_json(lines.lines) if as_json else lines.flush()
    note(say("tagged", **summary.numbers()))
    if output is not None:
        note(say("written", path=output))
        if as_json:
            print_json({"output": str(output), **summary.numbers()})
    if new_names:
        write_beside(base, "proposals", summary.new_names.proposals(), "proposals_written")
    if catalog is not None:
        note_catalog(catalog)


def print_tagged(lines: list[dict[str, Any]]) -> None:
    """A table of tagged products: one row a tag, the product only beside its first."""
    rows: list[list[Any]] = []
    for line in lines:
        if not line["tags"]:
            rows.append([_label(line), f"({say('no_tags')})", None, "", ""])
        for index, tag in enumerate(line["tags"]):
            rows.append(
                [
                    _label(line) if index == 0 else "",
                    f"{tag['facet']}:{tag['name']}" if tag["facet"] else tag["name"],
                    tag["probability"],
                    lane_text(tag),
                    evidence_text(tag["evidence"]),
                ]
            )
    print_table(
        [say("product"), say("tag"), say("probability"), say("lane"), say("evidence")], rows
    )


def _label(line: dict[str, Any]) -> str:
    title = line.get("title")
    if not title:
        return str(line["id"])
    return f"{line['id']}  {title if len(title) <= 40 else title[:39] + '…'}"


def lane_text(tag: dict[str, Any]) -> str:
    """The lane, with `prior` where the probability is not fitted on labelled data."""
    lane = say(tag["lane"])
    machine = tag.get("origin") != "person"  # a verdict needs no calibration
    return f"{lane} ({say('prior')})" if machine and tag["calibration"] == "prior" else lane


def evidence_text(evidence: list[dict[str, Any]] | None) -> str:
    """The evidence in one cell: field and words."""
    if not evidence:
        return ""
    return "; ".join(dict.fromkeys(f"{span['field']} “{span['text']}”" for span in evidence))
