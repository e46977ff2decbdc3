"""What a server honours, found out by trying: some accept options that they then ignore."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import time
import zlib
from typing import Any

from tagmill.errors import LanguageModelError, SettingsError
from tagmill.language import open_model
from tagmill.language.client import ALTERNATIVES, LanguageModel, Request, ServerModel, read_body
from tagmill.language.embedded import EmbeddedModel
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings, PrivacySettings

__all__ = ["check_model"]

_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
_AT_ONCE = 8
_LONG = "The product is a red cotton dress for summer. " * 40


def check_model(
    settings: LanguageModelSettings, privacy: PrivacySettings | None = None
) -> dict[str, Any]:
    """What was tried and what came of it, by name, in the order it is shown.

    Raises LanguageModelError where not even a plain question is answered, SettingsError where no
    model is named, both with the models that the server lists; Offline.
    """
    is_unnamed = settings.base_url is not None and not settings.model
    with asyncio.Runner() as runner:
        asked = settings.model_copy(update={"model": "unnamed"}) if is_unnamed else settings
        model = open_model(asked, privacy)
        try:
            return runner.run(_check(model, settings))
        finally:
            runner.run(model.close())


async def _check(model: LanguageModel, settings: LanguageModelSettings) -> dict[str, Any]:
    found: dict[str, Any] = {"model": model.name, "host": model.where or "this process"}
    door = model.door if isinstance(model, EmbeddedModel) else model
    if isinstance(door, ServerModel):
        found["models"] = await door.models()
    listed = found.get("models", [])
    if settings.base_url is not None and not settings.model:
        raise SettingsError(
            f"No model is named. Set llm.model (--llm-model) to one of {model.where}: "
            f"{', '.join(listed) or 'it lists none'}"
        )
    start = time.perf_counter()
    try:
        reply = await model.ask(_question("Answer with one word: what colour is the sky?", 16))
    except LanguageModelError as error:
        if not listed or model.name in listed:
            raise
        raise LanguageModelError(
            f"{model.where} does not list '{model.name}' and does not answer for it. Set llm.model "
            f"(--llm-model) to one of: {', '.join(listed)}",
            model=model.name,
        ) from error
    found["answers"] = reply.text.strip()[:80]
    found["seconds"] = time.perf_counter() - start
    found["json_schema"] = await _honours_schema(model)
    asked = Request(_messages("Is water wet? Answer yes or no."), 1, top_logprobs=ALTERNATIVES)
    found["logprobs"] = await _tried(model, asked, lambda reply: bool(reply.logprobs))
    first = await model.ask(_question(_LONG + "Is it red?", 1))
    again = await model.ask(_question(_LONG + "Is it blue?", 1))
    found["usage"] = bool(first.input_tokens)
    found["prefix_cache"] = again.cached_tokens > 0
    if isinstance(door, ServerModel):
        found["images"] = await _sees(door)
        found["embeddings"] = await _embeds(door)
    start = time.perf_counter()
    replies = await asyncio.gather(
        *(model.ask(_question(f"Count from {i} upwards.", 32)) for i in range(_AT_ONCE))
    )
    seconds = time.perf_counter() - start
    found["requests_per_second"] = _AT_ONCE / seconds
    found["tokens_per_second"] = sum(one.output_tokens for one in replies) / seconds
    prices = settings.price_input, settings.price_output
    found["price_a_million_tokens"] = list(prices) if any(prices) else "not set"
    return found


def _messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _question(text: str, tokens: int) -> Request:
    return Request(_messages(text), tokens)


async def _honours_schema(model: LanguageModel) -> bool:
    """Whether an answer keeps to a schema that its question speaks against."""
    text = 'Answer with the single word "hello" and nothing else.'

    def keeps(reply: Reply) -> bool:
        try:
            answer = json.loads(reply.text)
        except ValueError:
            return False
        return isinstance(answer, dict) and answer.get("colour") in ("red", "blue")

    return await _tried(model, Request(_messages(text), 64, _SCHEMA), keeps)


async def _tried(model: LanguageModel, request: Request, holds: Any) -> bool:  # noqa: ANN401
    try:
        return bool(holds(await model.ask(request)))
    except LanguageModelError:
        return False


async def _sees(door: ServerModel) -> bool:
    """Whether the colour of an image is told: some take images and do not look at them."""
    url = "data:image/png;base64," + base64.b64encode(_png()).decode()
    content = [
        {"type": "text", "text": "What colour is this?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    body = {"model": door.name, "max_tokens": 8, "messages": [{"role": "user", "content": content}]}
    try:
        said = read_body(*await door.post("/chat/completions", body), door.name).text.casefold()
    except LanguageModelError:
        return False
    return "red" in said or "红" in said


async def _embeds(door: ServerModel) -> bool:
    try:
        _, body = await door.post("/embeddings", {"model": door.name, "input": ["red dress"]})
        return bool(body["data"][0]["embedding"])
    except (LanguageModelError, LookupError, TypeError):
        return False


def _png() -> bytes:
    """A red image of 8 × 8."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    rows = b"".join(b"\0" + b"\xff\0\0" * 8 for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
