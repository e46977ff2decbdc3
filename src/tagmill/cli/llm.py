"""`tagmill llm`, and the options by which other commands ask a large language model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagmill.cli.messages import say
from tagmill.cli.terminal import (
    AsJson,
    Map,
    Workspace,
    catalog_of,
    counting,
    note,
    note_catalog,
    print_json,
    print_table,
    write_beside,
)
from tagmill.errors import SettingsError
from tagmill.settings import LanguageModelSettings, Settings, find_workspace, load_settings

if TYPE_CHECKING:
    from tagmill.describe import Describer
    from tagmill.language import Asker, LanguageModel, Spending
    from tagmill.language.asking import ReplyStore
    from tagmill.language.batches import BatchReplies, BatchRequests, BatchResults
    from tagmill.language.profiles import Profile
    from tagmill.library import Library
    from tagmill.settings import PrivacySettings
    from tagmill.store import Store
    from tagmill.store.replies import Answers
    from tagmill.tagging.llm import Consultant
    from tagmill.tagging.model import Model

__all__ = [
    "LlmModel", "LlmOptions", "LlmUrl", "ProfileOption", "app", "profile_of", "settings_with",
    "stays_here",
]  # fmt: skip

LlmUrl = Annotated[
    str | None, typer.Option("--llm-url", help="OpenAI-compatible server, with its /v1.")
]
LlmModel = Annotated[
    str | None,
    typer.Option("--llm-model", help="Model of the server, a .gguf file, or scripted."),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile", help="What a row is: product, article, reply, or a folder of your own."
    ),
]

Budget = Annotated[
    float | None, typer.Option(help="Money a run may cost, in the currency of the prices.")
]
LlmCache = Annotated[Path, typer.Option(help="Where answers are kept, so that none is paid twice.")]
BatchOut = Annotated[
    Path | None, typer.Option(help="Write the requests there, in OpenAI's batch format.")
]
BatchIn = Annotated[
    list[Path] | None, typer.Option(help="Take answers from there; may be given again.")
]
LLM_CACHE = Path("tagmill-llm.db")


app = typer.Typer(no_args_is_help=True, help="Large language models.")


def settings_with(
    workspace: Path,
    url: str | None = None,
    model: str | None = None,
    budget: float | None = None,
    profile: str | None = None,
) -> Settings:
    """The settings of the workspace, or the defaults where there is none, under the options."""
    from tagmill.language.profiles import profile_folder

    try:
        folder = find_workspace(workspace)
    except SettingsError:
        folder = None
    settings = load_settings(folder)
    root, llm = settings.root, settings.llm
    changed: dict[str, Any] = {}
    if url is not None:
        changed |= {"base_url": url, "gguf": None}
    if model is not None and model.endswith(".gguf"):
        changed |= {"gguf": Path(model), "base_url": None, "model": None}
    elif model is not None:
        changed |= {"model": model}
        if url is None and model == "scripted":
            changed |= {"base_url": None, "gguf": None}
    elif llm.gguf is not None and url is None:
        changed["gguf"] = root / llm.gguf
    changed["profile"] = profile or str(profile_folder(llm.profile, root))
    if budget is not None:
        if not budget >= 0:  # nor NaN
            raise SettingsError(f"--budget is {budget:g}; it must be 0 or more: --budget 5")
        changed["budget"] = budget
    llm = LanguageModelSettings.model_validate({**llm.model_dump(), **changed})
    return settings.model_copy(update={"llm": llm})


def profile_of(workspace: Path, profile: str | None) -> Profile:
    """The profile that was named, or that of the workspace, or of products."""
    from tagmill.language.profiles import open_profile

    return open_profile(profile or settings_with(workspace).llm.profile)


def _checked_profile(settings: Settings) -> Profile:
    """The profile that the settings name, its prompts checked before anything is paid."""
    from tagmill.language.profiles import open_profile
    from tagmill.language.prompts import check_prompts

    profile = open_profile(settings.llm.profile)
    check_prompts(profile)
    return profile


def is_set(llm: LanguageModelSettings) -> bool:
    """Whether the settings name a model that could be asked."""
    return bool(llm.gguf or llm.base_url or llm.model == "scripted")


def stays_here(llm: LanguageModelSettings) -> bool:
    """Whether what is asked never leaves this machine."""
    from tagmill.language.privacy import is_on_this_machine

    return llm.base_url is None or is_on_this_machine(llm.base_url)


@dataclass
class LlmOptions:
    """What a command was told about the large language model."""

    url: str | None
    model: str | None
    budget: float | None
    closed: bool
    cache: Path
    batch_in: Sequence[Path] = ()
    batch_out: Path | None = None
    workspace: Path = Path(".")
    profile: str | None = None
    store: Store | None = None  # of a workspace: answers are kept there, not in `cache`
    spending: Spending = field(init=False)
    server: LanguageModel | None = field(default=None, init=False)
    results: BatchResults | None = field(default=None, init=False)
    requests: BatchRequests | None = field(default=None, init=False)

    @contextmanager
    def consultant(self, library: Library) -> Iterator[Consultant]:
        """Who asks about the tags of a library; `spending` counts what that costs."""
        from tagmill.tagging.llm import Consultant

        with self._open("propose", "verify") as (settings, askers, answers, privacy):
            propose, verify = askers
            profile = _checked_profile(settings)
            yield Consultant(propose, verify, library, answers, profile, self.closed, privacy)

    @contextmanager
    def asker(self, stage: str) -> Iterator[tuple[Asker, PrivacySettings | None]]:
        """Who asks what has no product in it, and what may not leave."""
        with self._open(stage) as (_, askers, _, privacy):
            yield askers[0], privacy

    @contextmanager
    def describer(
        self, model: Model, channel: str | None, season: str | None, language: str | None
    ) -> Iterator[Describer]:
        """Who writes descriptions."""
        from tagmill.describe import Describer

        with self._open("describe") as (settings, askers, _, privacy):
            llm = settings.llm
            yield Describer(
                askers[0], model, llm.channel if channel is None else channel,
                llm.season if season is None else season, language,
                _checked_profile(settings), privacy,
            )  # fmt: skip

    @contextmanager
    def _open(
        self, *stages: str
    ) -> Iterator[tuple[Settings, list[Asker], Answers | None, PrivacySettings | None]]:
        """The settings, who asks in each stage, stored answers, and what may not leave."""
        from tagmill.language import Asker, Spending, open_model
        from tagmill.language.batches import BatchModel, BatchReplies, BatchRequests, BatchResults
        from tagmill.store import open_store

        settings = settings_with(self.workspace, self.url, self.model, self.budget, self.profile)
        llm = settings.llm
        self.spending = Spending()
        is_batch = bool(self.batch_in) or self.batch_out is not None
        if is_batch:
            if not llm.model:
                raise SettingsError("A batch needs the model's name: --llm-model")
            self.results = BatchResults(self.batch_in)
            self.requests = BatchRequests(self.batch_out, llm) if self.batch_out else None
        self.server = only = None if is_batch else open_model(llm, settings.privacy)

        def model(stage: str) -> LanguageModel:
            if only is not None:
                return only
            assert self.results is not None
            return BatchModel(llm.model or "", stage, self.results, self.requests)

        with ExitStack() as open_files:
            store = self.store
            if store is None:
                url = f"sqlite:///{self.cache.resolve()}"
                store = open_files.enter_context(open_store(url, create=True))
            answers = None if is_batch else store.answers
            replies: ReplyStore = store.replies
            more: dict[str, Any] = {}
            if self.results is not None:
                replies = earlier = BatchReplies(replies, self.results)
                open_files.callback(self._end_round, llm, earlier, stages)
                more = {"readings": self.results.most + 1, "keeps_budget": False}
            askers = [
                Asker(model(stage), llm, replies, stage, self.spending, **more) for stage in stages
            ]
            leaves = is_batch or not stays_here(llm)
            yield settings, askers, answers, settings.privacy if leaves else None

    def _end_round(
        self, llm: LanguageModelSettings, earlier: BatchReplies, stages: Sequence[str]
    ) -> None:
        """Write no more than the budget should pay for, beside what all rounds have cost."""
        if self.requests is not None:
            self.requests.close(self.spending.cost + llm.cost_of(*earlier.tokens), stages)

    @property
    def is_spent(self) -> bool:
        """Whether the budget holds none of the requests that are left."""
        return self.requests is not None and self.requests.held > 0 and not self.requests.written

    def note_batch(self, waiting: int) -> None:
        """How many products wait, and for what, to stderr."""
        if (round_ := self.requests) is not None:
            written = len(round_.written)
            note(say("llm_waiting", waiting=waiting, requests=written, path=self.batch_out))
            if round_.held:
                note(
                    say(
                        "batch_spent" if self.is_spent else "batch_held", held=round_.held,
                        spent=round_.spent, budget=round_.budget, path=self.batch_out,
                        expected=sum(round_.written.values()),
                    )
                )  # fmt: skip
        if self.results is None:
            return
        if self.results.broken:
            broken = self.results.broken
            note(say("llm_broken", count=len(broken), example=broken[0]))
        if self.results.errors:
            errors = self.results.errors
            note(say("batch_errors", count=len(errors), example=errors[0]))
        foreign = len(self.results) - len(self.results.used)
        if foreign:
            note(say("batch_foreign", count=foreign))

    def note_spending(self, taken_over: int = 0, undecided: int = 0) -> None:
        """What was asked and spent, without which options, what near-duplicates told each other,
        and how many answers say neither yes nor no, to stderr."""
        spent = self.spending
        note(
            say(
                "llm_spent", calls=spent.calls, reused=spent.reused, failed=spent.failed,
                tokens=spent.input_tokens + spent.output_tokens, cost=spent.cost,
            )
        )  # fmt: skip
        if taken_over:
            note(say("llm_taken_over", count=taken_over))
        if undecided:
            note(say("llm_undecided", count=undecided))
        if refused := getattr(self.server, "refused", None):
            note(say("llm_refused", options=", ".join(sorted(refused))))


@app.command("check")
def check(
    url: LlmUrl = None,
    model: LlmModel = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Try what a large language model honours, how fast it is and what it costs."""
    from tagmill.language.check import check_model

    settings = settings_with(workspace, url, model)
    found = check_model(settings.llm, settings.privacy)
    if as_json:
        print_json(found)
        return
    print_table([say("metric"), ""], [[name, _shown(value)] for name, value in found.items()])


@app.command("fit")
def fit(
    source: Annotated[str, typer.Argument(help="Tagged products the model was not trained on.")],
    model: Annotated[Path, typer.Option(help="Model folder; what is learned is put into it.")],
    sample: Annotated[int, typer.Option(min=10, help="Ask about so many of them.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    profile: ProfileOption = None,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    budget: Budget = None,
    llm_cache: LlmCache = LLM_CACHE,
    mapping: Map = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Learn what a large language model's answers are worth, so that its tags can be auto.

    It is asked about a sample of products whose tags are known; then `tag --llm` gives its answers
    a calibrated probability, and the lane auto holds what it promises.
    """
    from tagmill.learning.llm_fit import fit_llm
    from tagmill.tagging.folder import load_model, save_model

    used = load_model(model)
    catalog = catalog_of(source, mapping, rejects=Path(f"{Path(source).name}.rejects.jsonl"))
    options = LlmOptions(
        llm_url, llm_model, budget, True, llm_cache, workspace=workspace, profile=profile
    )
    with options.consultant(used.library) as consultant, counting("tagging", sample) as progress:
        fitted, failed = fit_llm(
            used, consultant, catalog, sample=sample, seed=seed, progress=progress
        )
    note_catalog(catalog)
    write_beside(Path(Path(source).name), "failed", failed, "llm_unanswered")
    used.card["llm"] = fitted.as_card()
    save_model(used, model)
    start = fitted.auto_start(0.95)
    report: dict[str, Any] = {
        "pairs": len(fitted.right), "right": int(fitted.right.sum()), "failed": len(failed),
        "auto_from": start if math.isfinite(start) else None,
    }  # fmt: skip
    if as_json:
        print_json({**report, "llm": vars(options.spending)})
    else:
        typer.echo(say("llm_fitted", **report))
        typer.echo(say("llm_no_auto" if report["auto_from"] is None else "llm_auto_from", **report))
    options.note_spending()


def _shown(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "–"
    return value
