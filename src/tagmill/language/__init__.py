"""Large language models: one door, prompts, replies, what was asked and what it cost."""

from __future__ import annotations

from urllib.parse import urlsplit

from tagmill.errors import SettingsError
from tagmill.language.asking import Answer, Asker, Question, Spending
from tagmill.language.client import LanguageModel, Request, ServerModel
from tagmill.language.privacy import check_online
from tagmill.settings import LanguageModelSettings, PrivacySettings

__all__ = [
    "Answer", "Asker", "LanguageModel", "Question", "Request", "Spending", "open_model",
]  # fmt: skip


def open_model(
    settings: LanguageModelSettings, privacy: PrivacySettings | None = None
) -> LanguageModel:
    """The model that the settings name: a file, a server, or the scripted stand-in.

    Raises SettingsError where they name none, or two, or no URL; Offline where the server is on
    another machine and `privacy.offline` forbids it.
    """
    if settings.gguf is not None and settings.base_url is not None:
        raise SettingsError("llm.gguf and llm.base_url are both set. Keep the one to be used")
    if settings.gguf is not None:
        from tagmill.language.embedded import EmbeddedModel

        return EmbeddedModel(settings)
    if settings.base_url is not None:
        if not settings.model:
            raise SettingsError(
                f"llm.base_url is {settings.base_url}, but no model is named. Set llm.model "
                "(--llm-model); see what the server has with: tagmill llm check"
            )
        if not _is_url(settings.base_url):
            raise SettingsError(
                f"llm.base_url is '{settings.base_url}', which does not begin with http:// or "
                "https:// and a host. Write it like http://localhost:8000/v1"
            )
        check_online(privacy or PrivacySettings(), settings.base_url, settings.model)
        return ServerModel(settings)
    if settings.model == "scripted":
        from tagmill.language.scripted import ScriptedModel

        return ScriptedModel()
    raise SettingsError(
        "No large language model is set. Set llm.base_url and llm.model in tagmill.toml (or "
        "--llm-url and --llm-model), llm.gguf for llama.cpp in this process, or llm.model = "
        '"scripted" for the stand-in that needs none'
    )


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
