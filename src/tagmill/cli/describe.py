"""`tagmill describe`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

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
from tagmill.cli.terminal import (
    AsJson,
    Map,
    Workspace,
    beside,
    catalog_of,
    keep_apart,
    note,
    note_catalog,
    open_workspace,
    print_json,
    write_beside,
)
from tagmill.errors import CatalogError, SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

    from tagmill.describe import Describer, Written
    from tagmill.settings import Settings
    from tagmill.store import Store
    from tagmill.tagging.model import Model

_LANGUAGES = ("product", "zh", "en")


def describe(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of the workspace's products.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All products of the workspace.")] = False,
    file: Annotated[str | None, typer.Option(help="The products of a file or SQL URL.")] = None,
    text: Annotated[str | None, typer.Option(help="Describe the product of this text.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write JSON Lines there.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model folder: knows similar products and tags.")
    ] = None,
    language: Annotated[str, typer.Option(help="product, zh or en.")] = "product",
    channel: Annotated[str | None, typer.Option(help="Where it will stand: livestream …")] = None,
    season: Annotated[str | None, typer.Option(help="Such as winter.")] = None,
    profile: ProfileOption = None,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    budget: Budget = None,
    llm_cache: LlmCache = LLM_CACHE,
    batch_out: BatchOut = None,
    batch_in: BatchIn = None,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Have a large language model write fuller descriptions, every sentence checked.

    What the product's own text does not say is flagged and left out of the text. In a workspace
    the descriptions are stored apart from the merchant's own.
    """
    if language not in _LANGUAGES:
        raise SettingsError(f"Unknown --language '{language}'. Known: {', '.join(_LANGUAGES)}")
    if sum((bool(ids), every, file is not None, text is not None)) != 1:
        raise SettingsError("Say what to describe: ids, --all, --file products.csv or --text '…'")
    from tagmill.catalog import products_to_batch
    from tagmill.tagging.folder import load_model, starter_model

    options = LlmOptions(
        llm_url, llm_model, budget, False, llm_cache, batch_in or [], batch_out, workspace, profile
    )
    base = output or Path(Path(file or "describe").name)
    keep_apart([output, batch_out], [file, *(batch_in or []), llm_cache], base)
    wanted = None if language == "product" else language
    done, catalog = _Described(output, as_json), None
    with ExitStack() as opened:
        if file is None and text is None:
            settings, store = opened.enter_context(open_workspace(workspace))
            options.store = store
            if every:
                opened.enter_context(store.describing())
            used = _workspace_model(settings, store, model)
            batches = store.products.batches() if every else _by_ids(store, ids or [])
        else:
            store = None
            used = load_model(model) if model else starter_model(profile_of(workspace, profile))
            if file is not None:
                catalog = catalog_of(file, mapping, rejects=beside(base, "rejects"))
                batches = iter(catalog)
            else:
                batches = iter([products_to_batch([{"id": "text", "title": text}])])
        describer = opened.enter_context(options.describer(used, channel, season, wanted))
        done.run(describer, batches, store)
    options.note_spending()
    options.note_batch(done.waiting)
    write_beside(base, "failed", done.failed, "llm_not_described")
    if catalog is not None:
        note_catalog(catalog)
    if done.failed or options.is_spent:
        raise typer.Exit(1)


def _workspace_model(settings: Settings, store: Store, model: Path | None) -> Model:
    from tagmill.library.stored import load_library
    from tagmill.tagging.folder import load_model
    from tagmill.workspace import current_model

    if model is not None:
        return load_model(model, load_library(store))
    return current_model(store, settings.models_dir)


def _by_ids(store: Store, ids: list[str]) -> Iterator[pa.RecordBatch]:
    """The products of some ids. Raises CatalogError for one that is none."""
    for product_id in ids:
        batch = store.products.batch(product_id)
        if not batch.num_rows:
            raise CatalogError(f"No product has the id '{product_id}'. See: tagmill products list")
        yield batch


class _Described:
    """What was described, shown or written as it comes."""

    def __init__(self, output: Path | None, as_json: bool) -> None:
        self._output = output
        self._as_json = as_json
        self.failed: list[dict[str, str]] = []
        self.waiting = 0
        self.lines: list[dict[str, Any]] = []

    def run(
        self, describer: Describer, batches: Iterator[pa.RecordBatch], store: Store | None
    ) -> None:
        """Describe all products."""
        from tagmill.catalog.writers import open_output

        with open_output(self._output) if self._output else nullcontext() as out:
            for batch in batches:
                described: list[dict[str, Any]] = []
                try:
                    for one in describer.describe(batch):
                        self._count(one, described, out)
                finally:  # also where the budget ends, or nobody can be asked any more
                    if store is not None:
                        store.descriptions.keep(described)
        if self._as_json:
            print_json(self.lines)
        if self._output:
            note(say("written", path=self._output))

    def _count(self, one: Written, described: list[dict[str, Any]], out: IO[bytes] | None) -> None:
        if one.description is not None:
            described.append(one.description.as_dict())
            self._take(described[-1], out)
        elif one.waits:
            self.waiting += 1
        else:
            self.failed.append({"id": one.id, "reason": one.reason})

    def _take(self, line: dict[str, Any], out: IO[bytes] | None) -> None:
        if out is not None:
            out.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        elif self._as_json:
            self.lines.append(line)
        else:
            typer.echo(f"{line['id']}\n  {line['text']}")
            for sentence in line["sentences"]:
                if sentence["flagged"]:
                    reason = "other_language" if sentence["foreign"] else "no_source"
                    missing = ", ".join(sentence["unsupported"]) or say(reason)
                    typer.echo(say("flagged", text=sentence["text"], missing=missing))
