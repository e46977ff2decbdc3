"""What would be sent to a large language model about one product, found out by not sending it.

The messages come out of the very code that asks: a stand-in takes the place of the model, notes
what it is asked and gives no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tagmill.language import Asker
from tagmill.language.client import Request, Waiting
from tagmill.language.privacy import what_may_leave
from tagmill.language.profiles import Profile
from tagmill.language.prompts import (
    description_values,
    load_prompt,
    prompt_language,
    write_product,
)
from tagmill.records import Reply, Tag
from tagmill.settings import LanguageModelSettings, PrivacySettings
from tagmill.tagging.cascade import consult_batch
from tagmill.tagging.llm import Consultant
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection

__all__ = ["description_messages", "proposal_messages", "verification_messages"]

Messages = Sequence[dict[str, str]]


def proposal_messages(
    model: Model, batch: pa.RecordBatch, profile: Profile, privacy: PrivacySettings | None
) -> Messages:
    """What `tag --llm all` asks first about a batch of one; empty where no tag is a candidate.

    Without `privacy` nothing is held back, as for a model on this machine.
    """
    asked = _Recorder()
    consult_batch(model, _consultant(model, profile, privacy, asked, asked), batch, Selection())
    return asked.messages


def verification_messages(
    model: Model,
    batch: pa.RecordBatch,
    profile: Profile,
    privacy: PrivacySettings | None,
    tag: Tag,
) -> Messages:
    """What `tag --llm` asks about a tag of a batch of one, once it is in doubt."""
    asked = _Recorder()
    proposing = _Recorder('{"tags": [], "new": []}')
    consultant = _consultant(model, profile, privacy, proposing, asked)
    consultant.consult(batch, {0: [(tag.id, 1.0)]})
    return asked.messages


def description_messages(
    batch: pa.RecordBatch,
    profile: Profile,
    privacy: PrivacySettings | None,
    settings: LanguageModelSettings,
) -> Messages:
    """The prompt for a description of a batch of one, in the settings' channel and season."""
    product: dict[str, Any] = batch.slice(0, 1).drop_columns(["tags"]).to_pylist()[0]
    leaving = product if privacy is None else what_may_leave(product, privacy)[0]
    language = prompt_language(product["language"])
    values = description_values(product["language"], settings.channel, settings.season)
    written = write_product(leaving, language, profile)
    return load_prompt(profile, "describe", language).messages(product=written, **values)


def _consultant(
    model: Model,
    profile: Profile,
    privacy: PrivacySettings | None,
    proposing: _Recorder,
    verifying: _Recorder,
) -> Consultant:
    propose, verify = (Asker(one, LanguageModelSettings()) for one in (proposing, verifying))
    return Consultant(propose, verify, model.library, profile=profile, privacy=privacy)


@dataclass
class _Recorder:
    """A `LanguageModel` that keeps the last question; without an `answer` it gives none."""

    answer: str | None = None
    name: str = "recorder"
    where: str = ""
    messages: Messages = field(default_factory=list)

    async def ask(self, request: Request) -> Reply:
        self.messages = [dict(message) for message in request.messages]
        if self.answer is None:
            raise Waiting("Nothing is asked", model=self.name)
        return Reply(self.answer)

    async def close(self) -> None:
        pass
