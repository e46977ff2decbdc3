"""`tagmill prompt`: what a large language model is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from tagmill.cli.llm import LlmModel, LlmUrl, ProfileOption, is_set, settings_with, stays_here
from tagmill.cli.messages import say
from tagmill.cli.terminal import AsJson, Workspace, note, print_json, product_or_text
from tagmill.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from tagmill.language.client import Request
    from tagmill.language.profiles import Profile
    from tagmill.records import Reply
    from tagmill.settings import Settings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What a large language model is asked.")


@app.command("show")
def show(
    product: Annotated[str, typer.Argument(help="Id of a product of the workspace, or a text.")],
    stage: Annotated[str, typer.Option(help="propose, verify (a --tag) or describe.")] = "propose",
    tag: Annotated[
        str | None, typer.Option(help="Tag to be verified: facet:name in any language, or id.")
    ] = None,
    profile: ProfileOption = None,
    model: Annotated[
        Path | None, typer.Option(help="Model folder; default: the profile's starter library.")
    ] = None,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Print exactly what `tag --llm all` or `describe` would send of a product; send nothing.

    First the fixed part of the prompt, then a line ===, then the part with the product. What may
    not leave is left out where the model that is set runs on another machine.
    """
    from tagmill.language.profiles import open_profile
    from tagmill.language.prompts import STAGES, check_prompts, load_prompt, prompt_language

    if stage not in STAGES:
        raise SettingsError(f"Unknown --stage '{stage}'. Known: {', '.join(STAGES)}")
    if (stage == "verify") != (tag is not None):
        raise SettingsError(
            "--stage verify needs the tag, and no other stage takes one: "
            "tagmill prompt show PRODUCT --stage verify --tag facet:name"
        )
    settings = settings_with(workspace, llm_url, llm_model, profile=profile)
    chosen = open_profile(settings.llm.profile)
    check_prompts(chosen)
    batch = product_or_text(workspace, product)
    messages = _messages(stage, settings, chosen, batch, model, tag)
    prompt = load_prompt(chosen, stage, prompt_language(batch.column("language")[0].as_py()))
    host = urlsplit(settings.llm.base_url or "").netloc
    about = {"profile": chosen.name, "stage": stage, "language": prompt.language,
             "version": prompt.version}  # fmt: skip
    if as_json:
        print_json({**about, "host": host, "messages": messages})
        return
    if not messages:
        note(say("prompt_none"))
        return
    typer.echo("\n===\n".join(message["content"] for message in messages))
    here = say("this_process" if is_set(settings.llm) else "no_model_set")
    note(say("prompt_shown", **about, host=host or here))


def _messages(
    stage: str,
    settings: Settings,
    profile: Profile,
    batch: pa.RecordBatch,
    folder: Path | None,
    tag: str | None,
) -> Sequence[dict[str, str]]:
    """The messages of a stage, out of the code that asks: a stand-in takes notes instead."""
    from tagmill.describe import Describer
    from tagmill.language import Asker
    from tagmill.settings import LanguageModelSettings
    from tagmill.tagging.cascade import consult_batch
    from tagmill.tagging.folder import load_model, starter_model
    from tagmill.tagging.llm import Consultant
    from tagmill.tagging.output import Selection

    llm = settings.llm
    privacy = None if stays_here(llm) else settings.privacy
    used = load_model(folder) if folder is not None else starter_model(profile)
    noted = _Recorder()
    asker = Asker(noted, LanguageModelSettings())
    if stage == "describe":
        describer = Describer(
            asker, used, llm.channel, llm.season, profile=profile, privacy=privacy
        )
        list(describer.describe(batch))
    elif tag is None:
        consultant = Consultant(asker, asker, used.library, profile=profile, privacy=privacy)
        consult_batch(used, consultant, batch, Selection())
    else:
        passing = Asker(_Recorder('{"tags": [], "new": []}'), LanguageModelSettings())
        consultant = Consultant(passing, asker, used.library, profile=profile, privacy=privacy)
        consultant.consult(batch, {0: [(used.library.resolve(tag).id, 1.0)]})
    return noted.messages


@dataclass
class _Recorder:
    """A `LanguageModel` that notes the last question; without an `answer` it gives none."""

    answer: str | None = None
    name: str = "recorder"
    where: str = ""
    messages: Sequence[dict[str, str]] = ()

    async def ask(self, request: Request) -> Reply:
        from tagmill.language.client import Waiting
        from tagmill.records import Reply

        self.messages = [dict(message) for message in request.messages]
        if self.answer is None:
            raise Waiting("Nothing is asked", model=self.name)
        return Reply(self.answer)

    async def close(self) -> None:
        pass
