"""What large language models answered, so that nothing is paid twice, and what was sent to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa

from tagmill.records import ModelCall, Reply
from tagmill.store.connection import Database, now, to_json
from tagmill.store.tables import answers, calls, replies

__all__ = ["Answers", "Replies"]

_CALL_COLUMNS = tuple(field.name for field in fields(ModelCall))


class Replies:
    """The replies of a store by the key of their request, and every call that was made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The replies there are, by key."""
        wanted = sa.select(replies.c.key, replies.c.reply).where(
            self._database.among(replies.c.key, keys)
        )
        with self._database.read() as connection:
            return {
                row.key: Reply(**{**row.reply, "logprobs": tuple(row.reply["logprobs"])})
                for row in connection.execute(wanted)
            }

    def keep(self, answered: Sequence[tuple[str, Reply]], made: Sequence[ModelCall]) -> None:
        """Store replies by key, in place of those there are, and the calls that were made."""
        at = now()
        stages = {call.key: call.stage for call in made}
        rows = [(key, stages.get(key, ""), to_json(asdict(reply)), at) for key, reply in answered]
        audit = [
            tuple({**asdict(call), "at": at, "outcome": call.outcome.replace("\0", "")}.values())
            for call in made
        ]
        with self._database.write() as connection:
            keys = [key for key, _ in answered]
            connection.execute(replies.delete().where(self._database.among(replies.c.key, keys)))
            self._database.insert(connection, replies, ("key", "stage", "reply", "at"), rows)
            self._database.insert(connection, calls, _CALL_COLUMNS, audit)

    def answered(self, model: str, stage: str) -> bool:
        """Whether a model ever gave a usable answer in a stage."""
        of_stage = calls.c.model == model, calls.c.stage == stage, calls.c.outcome == ""
        with self._database.read() as connection:
            return connection.execute(sa.select(calls.c.id).where(*of_stage)).first() is not None

    def failed(self) -> set[str]:
        """The products with a question whose newest call was not answered."""
        newest = sa.select(sa.func.max(calls.c.id)).group_by(calls.c.key)
        wanted = sa.select(calls.c.subject).where(calls.c.id.in_(newest), calls.c.outcome != "")
        with self._database.read() as connection:
            return set(connection.execute(wanted).scalars())

    def calls(self, subject: str | None = None, *, limit: int | None = None) -> list[ModelCall]:
        """The calls made, the newest first, of all products or one."""
        wanted = sa.select(*(calls.c[name] for name in _CALL_COLUMNS)).order_by(calls.c.id.desc())
        if subject is not None:
            wanted = wanted.where(calls.c.subject == subject)
        with self._database.read() as connection:
            return [ModelCall(*row) for row in connection.execute(wanted.limit(limit))]


class Answers:
    """What models said of (product, tag) pairs, as JSON by the hash of all that decides it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, keys: Sequence[str]) -> dict[str, Any]:
        """The answers there are, by key."""
        wanted = sa.select(answers.c.key, answers.c.answer).where(
            self._database.among(answers.c.key, keys)
        )
        with self._database.read() as connection:
            return {row.key: row.answer for row in connection.execute(wanted)}

    def keep(self, found: Mapping[str, Any]) -> None:
        """Store answers by key, in place of those there are."""
        at = now()
        rows = [(key, to_json(answer), at) for key, answer in found.items()]
        with self._database.write() as connection:
            old = self._database.among(answers.c.key, list(found))
            connection.execute(answers.delete().where(old))
            self._database.insert(connection, answers, ("key", "answer", "at"), rows)
