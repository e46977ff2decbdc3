"""Batch files: a run's requests out, the answers in, in the format of OpenAI's batch API.

Half the price where a provider offers it, and a way over an air gap. A request's `custom_id` is its
stage and the hash of all that decides its reply: results may come in any order, from any number of
files, some missing or broken; what has no answer yet is written again by the next round. An answer
that cannot be used is one: its product has failed, as with a server, and is asked about again by a
command that is given other results.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, compress
from pathlib import Path
from typing import IO, Any

from tagmill.errors import BadReply, LanguageModelError, SettingsError
from tagmill.language.asking import ReplyStore
from tagmill.language.client import Busy, Request, Unasked, Waiting, read_body
from tagmill.language.scripted import ScriptedModel
from tagmill.records import ModelCall, Reply
from tagmill.settings import LanguageModelSettings

__all__ = ["BatchModel", "BatchReplies", "BatchRequests", "BatchResults"]


class BatchResults:
    """Answers by `custom_id`.

    `broken` are the lines that cannot be read ("results.jsonl line 3"), `errors` are what was
    answered instead of an answer; `used` are the ids that were asked for. Raises SettingsError for
    a file of which no line is a result.
    """

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self.broken: list[str] = []
        self.errors: list[str] = []
        self.used: set[str] = set()
        self._bodies: dict[str, set[tuple[int, str]]] = {}  # status and JSON, each once
        for path in paths:
            before = len(self.broken)
            if not self._read(path) and len(self.broken) > before:
                raise SettingsError(
                    f"No line of '{path}' is a result of a batch. Give the file that the batch "
                    'came back as, with lines such as {"custom_id": "…", "response": {…}}'
                )

    def __len__(self) -> int:
        return len(self._bodies)

    def __iter__(self) -> Iterator[str]:
        return iter(self._bodies)

    @property
    def most(self) -> int:
        """How many different answers there are to one request, at the most."""
        return max(map(len, self._bodies.values()), default=0)

    def of(self, custom_id: str) -> list[tuple[int, Any]]:
        """Status and body of each answer to a request, the most promising first, whatever order
        they came in. What was answered instead of an answer only where there is none."""
        ordered = sorted((_rank(*one), *one) for one in self._bodies.get(custom_id, ()))
        answers = [one for one in ordered if one[0] < _NO_ANSWER] or ordered[:1]
        return [(status, json.loads(body)) for _, status, body in answers]

    def _read(self, path: Path) -> bool:
        """Whether any line of a file is a result."""
        found = False
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if self._take(line):
                        found = True
                    elif line.strip():
                        self.broken.append(f"{path} line {number}")
        except OSError as error:
            raise SettingsError(f"Cannot read '{path}': {error.strerror}") from error
        return found

    def _take(self, line: bytes) -> bool:
        try:
            entry = json.loads(line)
            custom_id = str(entry["custom_id"])
            response = entry.get("response") or {}
            status = int(response.get("status_code") or 200)
            body = response.get("body")
            if entry.get("error"):
                status, body = 500, entry["error"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        self._bodies.setdefault(custom_id, set()).add((status, json.dumps(body, sort_keys=True)))
        return True


_NO_ANSWER = 3


def _rank(status: int, body: str) -> int:
    """0 for a whole answer, 1 for one that was cut off, 2 for one of no use, else `_NO_ANSWER`."""
    try:
        return 0 if read_body(status, json.loads(body), "").complete else 1
    except BadReply:
        return 2
    except Busy:
        return _NO_ANSWER


class BatchRequests:
    """The requests of a round, each once, one a line of `path`; `held` counts those left out
    because the `budget` of all rounds, of which `spent` is gone, should not pay for them."""

    def __init__(self, path: Path, settings: LanguageModelSettings) -> None:
        self.path = path
        self.written: dict[str, float] = {}  # forecast of the cost by id; 0 without a budget
        self.held = 0
        self.spent, self.budget = 0.0, settings.budget
        self._settings = settings
        self._file: IO[str] | None = None

    async def write(self, custom_id: str, request: Request) -> None:
        """Add a request, unless it is there."""
        if custom_id in self.written:
            return
        self.written[custom_id] = 0.0
        if self.budget is not None:
            reply = await ScriptedModel().ask(request)
            tokens = reply.input_tokens, 0, reply.output_tokens
            self.written[custom_id] = self._settings.cost_of(*tokens)
        line = {
            "custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions",
            "body": request.body(self._settings.model or ""),
        }  # fmt: skip
        if self._file is None:
            try:
                self._file = self.path.open("w", encoding="utf-8")
            except OSError as error:
                raise SettingsError(f"Cannot write '{self.path}': {error.strerror}") from error
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self, spent: float, stages: Sequence[str]) -> None:
        """End the file; without a request an empty one, so that no older round stays.

        Only now it is known what earlier rounds `spent`: requests that the rest of the budget
        should not pay for are taken out, those of the first of the `stages` first, so that
        products that were begun are finished before others are.
        """
        self.spent = spent
        if self._file is None:
            self.path.write_text("", encoding="utf-8")
            return
        self._file.close()
        if self.budget is None:
            return
        order = sorted(self.written, key=lambda one: -stages.index(one.partition("-")[0]))
        costs = accumulate(self.written[custom_id] for custom_id in order)
        kept = {i for i, cost in zip(order, costs, strict=True) if spent + cost <= self.budget}
        self.held = len(order) - len(kept)
        if self.held:
            self._keep([custom_id in kept for custom_id in self.written])
            self.written = {i: cost for i, cost in self.written.items() if i in kept}

    def _keep(self, kept: Sequence[bool]) -> None:
        """Move the lines that stay to the front of the file, and cut off the rest."""
        with self.path.open("rb") as read, self.path.open("r+b") as write:
            write.writelines(compress(read, kept))
            write.truncate()


class BatchReplies:
    """The answers there are, of earlier rounds too and of servers: what a store has is not asked
    again, and what results bring is stored."""

    def __init__(self, store: ReplyStore, results: BatchResults) -> None:
        self._store = store
        self._used = results.used
        self._counted: set[str] = set()  # keys of which the tokens are, in `tokens` or a run's own
        self.tokens = (0, 0, 0)  # of the stored answers that were found: earlier rounds paid them
        self._ids: dict[str, set[str]] = {}  # of results, by the key of the request
        for custom_id in results:
            self._ids.setdefault(custom_id.partition("-")[2], set()).add(custom_id)

    def find(self, keys: list[str]) -> dict[str, Reply]:
        """The stored answers; results that say the same are used by it."""
        found = self._store.find(keys)
        for key, reply in found.items():
            self._used |= self._ids.get(key, set())
            if key not in self._counted:
                more = reply.input_tokens, reply.cached_tokens, reply.output_tokens
                first, cached, output = (a + b for a, b in zip(self.tokens, more, strict=True))
                self.tokens = first, cached, output
        self._counted.update(found)
        return found

    def keep(self, replies: list[tuple[str, Reply]], calls: list[ModelCall]) -> None:
        """Store replies and calls."""
        self._counted.update(key for key, _ in replies)
        self._store.keep(replies, calls)

    def answered(self, model: str, stage: str) -> bool:
        """A missing answer says nothing of the others: they are all there already."""
        del model, stage
        return True


class BatchModel:
    """One stage of a model behind batch files: answers from results, the rest into requests."""

    where = "batch file"

    def __init__(
        self, name: str, stage: str, results: BatchResults, requests: BatchRequests | None
    ) -> None:
        self.name = name
        self._stage = stage
        self._results = results
        self._requests = requests
        self._given: Counter[str] = Counter()  # answers that somebody has been given, by id

    async def ask(self, request: Request) -> Reply:
        """The reply among the results, and the next one where it is asked again. Raises Waiting
        where there is none yet, BadReply where it cannot be used, Unasked where nobody is asked."""
        custom_id = f"{self._stage}-{request.key(self.name)}"
        answers, given = self._results.of(custom_id), self._given[custom_id]
        failure: LanguageModelError | None = None
        if given < len(answers):
            self._results.used.add(custom_id)
            try:
                reply = read_body(*answers[given], self.name)
            except Busy as busy:  # it was not answered: that is asked for again
                failure = BadReply(str(busy), model=self.name)
                self._results.errors.append(f"{custom_id}: {busy}")
            else:
                self._given[custom_id] += 1
                return reply
        elif given:
            del self._given[custom_id]  # another product with the same request gets the first
            raise Unasked(f"no other result has the custom_id {custom_id}", model=self.name)
        if self._requests is not None:
            await self._requests.write(custom_id, request)
            path = self._requests.path
            raise Waiting(f"waits for the batch: {custom_id} in {path}", model=self.name)
        raise failure or Unasked(
            f"no result has the custom_id {custom_id}. Write the requests that are missing with: "
            "--batch-out",
            model=self.name,
        )

    async def close(self) -> None:
        """The files are closed by who made them."""
