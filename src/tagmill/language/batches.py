"""Batch files: a run's requests out, the answers in, in the format of OpenAI's batch API.

Half the price where a provider offers it, and a way over an air gap. A request's `custom_id` is its
stage and the hash of all that decides its reply: results may come in any order, from any number of
files, some missing or broken; what has no answer yet is written again by the next round.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from tagmill.errors import BadReply, SettingsError
from tagmill.language.asking import ReplyStore
from tagmill.language.client import Busy, Request, Waiting, read_body
from tagmill.records import ModelCall, Reply

__all__ = ["BatchModel", "BatchReplies", "BatchRequests", "BatchResults"]


class BatchResults:
    """Answers by `custom_id`.

    `broken` counts lines that cannot be read, `errors` are what was answered instead of an answer;
    `used` are the ids that were asked for. Raises SettingsError for a file of which no line is a
    result.
    """

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self.bodies: dict[str, Any] = {}
        self.broken = 0
        self.errors: list[str] = []
        self.used: set[str] = set()
        for path in paths:
            known, broken = len(self.bodies), self.broken
            self._read(path)
            if self.broken > broken and len(self.bodies) == known:
                raise SettingsError(
                    f"No line of '{path}' is a result of a batch. Give the file that the batch "
                    'came back as, with lines such as {"custom_id": "…", "response": {…}}'
                )

    def __len__(self) -> int:
        return len(self.bodies)

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                for line in file:
                    if line.strip():
                        self._take(line)
        except OSError as error:
            raise SettingsError(f"Cannot read '{path}': {error.strerror}") from error

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            custom_id = str(entry["custom_id"])
            response = entry.get("response") or {}
            status = int(response.get("status_code") or 0)
            body = response.get("body") if not entry.get("error") else entry["error"]
        except (ValueError, KeyError, TypeError, AttributeError):
            self.broken += 1
            return
        before = self.bodies.get(custom_id)
        if before is None or before[0] != 200:  # a good answer is kept, whatever comes after
            self.bodies[custom_id] = (500 if entry.get("error") else status or 200, body)


class BatchRequests:
    """The requests of a round, each once, one a line of `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: set[str] = set()
        self._file: IO[str] | None = None

    def write(self, custom_id: str, body: Mapping[str, Any]) -> None:
        """Add a request, unless it is there."""
        if custom_id in self.written:
            return
        self.written.add(custom_id)
        line = {
            "custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body,
        }  # fmt: skip
        if self._file is None:
            try:
                self._file = self.path.open("w", encoding="utf-8")
            except OSError as error:
                raise SettingsError(f"Cannot write '{self.path}': {error.strerror}") from error
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """End the file; without a request an empty one, so that no older round stays."""
        if self._file is None:
            self.path.write_text("", encoding="utf-8")
        else:
            self._file.close()


class BatchReplies:
    """The answers there are, of earlier rounds too and of servers: what a store has is not asked
    again, and what results bring is stored."""

    def __init__(self, store: ReplyStore, results: BatchResults) -> None:
        self._store = store
        self._used = results.used
        self._ids: dict[str, set[str]] = {}  # of results, by the key of the request
        for custom_id in results.bodies:
            self._ids.setdefault(custom_id.partition("-")[2], set()).add(custom_id)

    def find(self, keys: list[str]) -> dict[str, Reply]:
        """The stored answers; results that say the same are used by it."""
        found = self._store.find(keys)
        for key in found:
            self._used |= self._ids.get(key, set())
        return found

    def keep(self, replies: list[tuple[str, Reply]], calls: list[ModelCall]) -> None:
        """Store replies and calls."""
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
        self._read: set[str] = set()

    async def ask(self, request: Request) -> Reply:
        """The reply among the results. Raises Waiting, or BadReply where it cannot be used."""
        custom_id = f"{self._stage}-{request.key(self.name)}"
        failure: BadReply | None = None
        # Who asks again could not use the answer: it is asked for in the next round.
        if custom_id in self._results.bodies and custom_id not in self._read:
            self._read.add(custom_id)
            self._results.used.add(custom_id)
            status, body = self._results.bodies[custom_id]
            try:
                return read_body(status, body, self.name)
            except (BadReply, Busy) as error:
                tokens = error.tokens if isinstance(error, BadReply) else None
                failure = BadReply(str(error), model=self.name, tokens=tokens)
                self._results.errors.append(f"{custom_id}: {error}")
        if self._requests is not None:
            self._requests.write(custom_id, request.body(self.name))
            path = self._requests.path
            raise Waiting(f"waits for the batch: {custom_id} in {path}", model=self.name)
        raise failure or BadReply(
            f"no result has the custom_id {custom_id}. Write the requests that are missing with: "
            "--batch-out",
            model=self.name,
        )

    async def close(self) -> None:
        """The files are closed by who made them."""
