"""The one door to large language models: requests and replies of the OpenAI chat protocol.

vLLM, SGLang, Ollama, llama.cpp, DashScope, DeepSeek and OpenAI all speak it. aiohttp carries it:
the `openai` client does the same calls at less than half the rate, its own retries are not ours
(`asking.py`), and two JSON documents are all there is to it. Servers differ in what they honour
and accept options they ignore: nothing of a reply is taken for granted.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from tagmill.errors import BadReply, LanguageModelError, NeedsKey
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings
from tagmill.text import is_unspaced

if TYPE_CHECKING:
    import aiohttp

__all__ = [
    "ALTERNATIVES",
    "Busy",
    "LanguageModel",
    "Request",
    "ServerModel",
    "Unasked",
    "Waiting",
    "guess_tokens",
    "read_body",
    "tokens_of",
]

ALTERNATIVES = 5  # of each token, wanted for P(yes): more is refused by some servers
# What says how things stand at a server, and nothing of the request.
_NOT_OF_REQUEST = (401, 402, 403, 404, 408, 410, 429)
_SHOWN = 200  # characters of a server's own words in a message
# Options that a question can do without, and what a server that refuses them speaks of.
_DISPENSABLE = {
    ("response_format",): ("response_format", "response format", "json_schema", "json schema"),
    ("logprobs", "top_logprobs"): ("logprobs",),
}


@dataclass(frozen=True)
class Request:
    """One question. `schema` is the JSON schema of the answer; `top_logprobs` how many
    alternatives of each token are wanted, 0 for none."""

    messages: Sequence[Mapping[str, str]]
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    top_logprobs: int = 0

    def body(self, model: str) -> dict[str, Any]:
        """The JSON of `POST /chat/completions`, also that of batch files."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [dict(message) for message in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }
        if self.schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": self.schema, "strict": True},
            }
        if self.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        return body

    def key(self, model: str) -> str:
        """32 hex digits of all that decides the reply: what it is stored under."""
        text = json.dumps(self.body(model), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Busy(LanguageModelError):
    """The server cannot answer now: try again, after `wait` seconds where it says so."""

    def __init__(
        self,
        message: str,
        *,
        model: str = "",
        wait: float | None = None,
        silent: bool = False,
        crowded: bool = False,
    ) -> None:
        super().__init__(message, model=model)
        self.wait = wait
        self.silent = silent  # no answer came in time
        self.crowded = crowded  # too much at once: nothing is wrong with this request


class Unasked(LanguageModelError):
    """Nobody was asked: it cost nothing, and says nothing of the model."""


class Waiting(Unasked):
    """There is no answer yet: the request was written into a batch file."""


class LanguageModel(Protocol):
    """Answers requests one at a time; many may be under way at once."""

    name: str
    where: str  # the host that what is sent goes to; empty: it stays in this process

    async def ask(self, request: Request) -> Reply:
        """The reply. Raises Busy, BadReply, Unasked, NeedsKey, or LanguageModelError where no
        further request has a chance."""
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...


@dataclass
class ServerModel:
    """A model behind an OpenAI-compatible server. Needs a running event loop at the first `ask`.

    `refused` are the options that the server did not take: it is asked without them from then on.
    """

    settings: LanguageModelSettings
    refused: set[str] = field(default_factory=set, init=False)
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        assert self.settings.base_url is not None
        self.name = self.settings.model or ""
        self.where = urlsplit(self.settings.base_url).netloc.rpartition("@")[2]  # no password
        self._url = self.settings.base_url.rstrip("/")

    async def ask(self, request: Request) -> Reply:
        """See `LanguageModel.ask`."""
        body = request.body(self.name)
        while True:
            body = {name: value for name, value in body.items() if name not in self.refused}
            try:
                return read_body(*await self.post("/chat/completions", body), self.name)
            except BadReply as bad:
                refused = set() if bad.tokens else _refused_in(body, str(bad))
                if not refused:
                    raise
                self.refused |= refused

    async def post(self, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Status and JSON of a call; a status that says how things stand becomes its error."""
        import aiohttp

        try:
            # A redirect would carry what was sent to where nobody said it may go.
            async with self._connected().post(
                self._url + path, json=body, allow_redirects=False
            ) as response:
                status, kind = response.status, response.content_type
                wait = _retry_after(response.headers.get("Retry-After"))
                text = await response.text(errors="replace")
        except TimeoutError as error:
            raise Busy(
                f"{self.where} gave no answer in {self.settings.timeout:g} s",
                model=self.name,
                silent=True,
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise Busy(f"{self.where} cannot be reached: {reason}", model=self.name) from error
        self._check(status, text, wait)
        try:
            return status, json.loads(text)
        except ValueError as error:
            raise Busy(
                f"{self.where} answered {kind} instead of JSON: {_shown(text)}", model=self.name
            ) from error

    async def models(self) -> list[str]:
        """The names of the server's models; empty where it does not tell."""
        try:
            url = self._url + "/models"
            async with self._connected().get(url, allow_redirects=False) as response:
                listed = (await response.json(content_type=None))["data"]
                return [str(one["id"]) for one in listed]
        except Exception:  # whatever it answers, the list is only a help
            return []

    def _check(self, status: int, text: str, wait: float | None) -> None:
        said = f"{self.where} answered {status}: {_shown(_message_of(text))}"
        if status == 429 or status == 408 or status >= 500:
            raise Busy(said, model=self.name, wait=wait, crowded=status == 429)
        if status == 402:
            raise LanguageModelError(f"{said}. There is no money left there", model=self.name)
        if status in (401, 403):
            raise NeedsKey(
                f"{said}. Give the key of this server in TAGMILL_LLM__API_KEY", model=self.name
            )
        if status in (404, 410):
            raise LanguageModelError(
                f"{said}. Check llm.base_url (with its /v1) and llm.model '{self.name}'; see what "
                "is there with: tagmill llm check",
                model=self.name,
            )
        if status >= 300:  # this request is wrong, the next one need not be
            raise BadReply(said, model=self.name)

    def _connected(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            key = self.settings.api_key
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                trust_env=False,  # a proxy of the environment would see everything
                timeout=aiohttp.ClientTimeout(total=self.settings.timeout),
                headers={"Authorization": f"Bearer {key}"} if key else {},
            )
        return self._session

    async def close(self) -> None:
        """Give up the connections."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # lets aiohttp close its sockets
            self._session = None


def read_body(status: int, body: Any, model: str) -> Reply:  # noqa: ANN401
    """The reply that the JSON of a chat completion holds. Raises BadReply where it holds none, with
    what that cost, and Busy where it is not the request that is wrong."""
    tokens: tuple[int, int, int] | None = None

    def bad(what: str) -> BadReply:
        return BadReply(f"{model} {what}", model=model, tokens=tokens)

    if not isinstance(body, Mapping) or status >= 300:
        failure = bad(f"answered {status}: {_shown(_message_of(json.dumps(body)))}")
        if status >= 500 or status in _NOT_OF_REQUEST:
            raise Busy(str(failure), model=model)
        raise failure
    if body.get("error") and not body.get("choices"):  # with a status that says all is well
        raise Busy(f"{model} answered {_shown(_message_of(json.dumps(body)))}", model=model)
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if choice is not None or body.get("usage"):
        tokens = tokens_of(body.get("usage"))
    if not isinstance(choice, Mapping):
        raise bad("answered without a choice")
    message = choice.get("message")
    message = message if isinstance(message, Mapping) else {}
    if choice.get("finish_reason") == "content_filter" or message.get("refusal"):
        raise bad(f"refused: {_shown(str(message.get('refusal') or 'content filter'))}")
    text, logprobs = message.get("content") or "", _logprobs(choice.get("logprobs"))
    if not isinstance(text, str) or not (text.strip() or logprobs):
        raise bad("answered with nothing")
    return Reply(
        text.encode("utf-8", "replace").decode(),  # half a character (a lone surrogate) is none
        logprobs,
        *(tokens or (0, 0, 0)),
        complete=choice.get("finish_reason") != "length",
    )


def guess_tokens(text: str) -> int:
    """About how many tokens a text has: 0.7 for a Chinese character, one for four others."""
    chinese = sum(map(is_unspaced, text))
    return round(0.7 * chinese + (len(text) - chinese) / 4)


def tokens_of(usage: Any) -> tuple[int, int, int]:  # noqa: ANN401
    """(input, cached input, output) tokens of a `usage`; 0 where it does not say."""
    usage = usage if isinstance(usage, Mapping) else {}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    counts = usage.get("prompt_tokens"), cached, usage.get("completion_tokens")
    found = [count if isinstance(count, int) and count >= 0 else 0 for count in counts]
    return found[0], min(found[1], found[0]), found[2]


def _refused_in(body: Mapping[str, Any], said: str) -> set[str]:
    """The options of a request that an error speaks of, and that it can do without."""
    said = said.lower()
    found: set[str] = set()
    for names, words in _DISPENSABLE.items():
        if any(word in said for word in words):
            found.update(name for name in names if name in body)
    return found


def _logprobs(value: Any) -> tuple[Mapping[str, float], ...]:  # noqa: ANN401
    """`choices[0].logprobs` as ln P by text of each token; tokens without are left out."""
    content = value.get("content") if isinstance(value, Mapping) else None
    tokens = []
    for token in content if isinstance(content, list) else []:
        listed = [token, *(token.get("top_logprobs") or ())] if isinstance(token, Mapping) else []
        found: dict[str, float] = {}
        for entry in listed:
            if not isinstance(entry, Mapping):
                continue
            text, logprob = entry.get("token"), entry.get("logprob")
            if isinstance(text, str) and isinstance(logprob, int | float) and logprob <= 0:
                found[text] = float(logprob)
        if found:
            tokens.append(found)
    return tuple(tokens)


def _message_of(text: str) -> str:
    """What a server says in the body of an error."""
    try:
        body = json.loads(text)
    except ValueError:
        return text
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("detail") or json.dumps(error)
    return str(error)


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header; None where there is none, or a date."""
    try:
        return max(float(value or ""), 0.0)
    except ValueError:
        return None
