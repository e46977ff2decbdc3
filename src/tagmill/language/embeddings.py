"""Texts as vectors, by an encoder behind a server: near ones mean nearly the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tagmill.errors import BadReply, SettingsError
from tagmill.language import open_model
from tagmill.language.client import Busy, ServerModel
from tagmill.language.privacy import is_on_this_machine, text_to_send
from tagmill.language.redaction import Vault
from tagmill.settings import LanguageModelSettings, PrivacySettings

__all__ = ["embed_texts"]

_AT_ONCE = 128  # texts of a request
_TRIES, _WAIT = 4, 1.0  # of one request at a busy server; seconds between them, doubling


def embed_texts(
    texts: Sequence[str], settings: LanguageModelSettings, privacy: PrivacySettings | None = None
) -> npt.NDArray[np.float32]:
    """Unit vectors (n, d) of texts, by `llm.encoder` (else `llm.model`) of `llm.base_url`.

    Another machine gets them without personal data.
    Raises SettingsError without a server, LanguageModelError where it does not embed, Offline.
    """
    if settings.base_url is None:
        raise SettingsError(
            "An encoder is a model of a server: set llm.base_url and llm.encoder, or --llm-url"
        )
    if not texts:
        return np.zeros((0, 1), np.float32)
    if not is_on_this_machine(settings.base_url):
        texts = [text_to_send(text, privacy, Vault()) for text in texts]
    with asyncio.Runner() as runner:
        model = open_model(settings, privacy)
        assert isinstance(model, ServerModel)
        try:
            return runner.run(_embed(model, texts, settings.encoder or model.name))
        finally:
            runner.run(model.close())


async def _embed(door: ServerModel, texts: Sequence[str], encoder: str) -> npt.NDArray[np.float32]:
    parts = []
    for first in range(0, len(texts), _AT_ONCE):
        some = list(texts[first : first + _AT_ONCE])
        parts.append(_vectors(await _post(door, {"model": encoder, "input": some}), len(some)))
    vectors = np.concatenate(parts)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = vectors / np.maximum(norms, 1e-12)
    return unit


async def _post(door: ServerModel, body: dict[str, object]) -> object:
    for tried in range(_TRIES):
        try:
            return (await door.post("/embeddings", body))[1]
        except Busy as busy:
            if tried == _TRIES - 1:
                raise
            await asyncio.sleep(busy.wait or _WAIT * 2**tried)
    raise AssertionError


def _vectors(body: object, count: int) -> npt.NDArray[np.float32]:
    """The vectors of a reply, in the order of what was asked."""
    try:
        entries = sorted(body["data"], key=lambda entry: entry["index"])  # type: ignore[index]
        vectors = np.array([entry["embedding"] for entry in entries], np.float32)
    except (LookupError, TypeError, ValueError) as error:
        raise BadReply(f"The server answered no embeddings: {str(body)[:200]}") from error
    if vectors.ndim != 2 or len(vectors) != count:
        raise BadReply(f"The server answered {len(vectors)} embeddings for {count} texts")
    return vectors
