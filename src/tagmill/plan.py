"""What asking a large language model about a catalogue will cost, before anything is spent.

The engine judges all products and chooses whom to ask about, as the run will. For a sample of these
the very requests of the run are built and measured; a stand-in answers them, so that the second
round's questions are known too. What the store has answered already costs nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.language.client import Request
from tagmill.language.scripted import ScriptedModel
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings
from tagmill.tagging.cascade import consult_batch
from tagmill.tagging.llm import Consultant
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection
from tagmill.text import is_unspaced

__all__ = ["Plan", "plan"]

_SAMPLE = 200
_SECONDS = 1.0  # of one request, where nothing is known of the server


@dataclass(frozen=True)
class Plan:
    """The forecast of a run; tokens, cost and time are estimates from a sample."""

    products: int
    asked: int  # products that are asked about
    calls: int
    input_tokens: int
    cached_share: float  # of the input, where the server keeps prefixes
    output_tokens: int
    cost: float  # in the currency of the prices, prefixes cached
    minutes: float  # with the settings' concurrency and rates, at a second a request


def plan(
    model: Model,
    consultant: Consultant,
    products: Iterable[pa.RecordBatch],
    chosen: npt.NDArray[np.bool_] | None,
    *,
    seed: int = 0,
) -> Plan:
    """The forecast for a catalogue of which `chosen` products (n,) are asked about, or all."""
    sample, total, asked = _sample(products, chosen, seed)
    real = consultant.propose
    counter = _Counter(real.model.name)
    settings = real.settings.model_copy(update={"budget": None})
    # Nothing of it is stored: the stand-in's answers are not the model's.
    propose, verify = (
        replace(
            asker, model=counter, settings=settings,
            store=None if asker.store is None else _ReadOnly(asker.store),
        )
        for asker in (consultant.propose, consultant.verify)
    )  # fmt: skip
    known = None if consultant.answers is None else _ReadOnly(consultant.answers)
    counting = replace(consultant, propose=propose, verify=verify, answers=known)
    for batch in sample:
        mask = None if chosen is None else np.ones(batch.num_rows, np.bool_)
        consult_batch(model, counting, batch, Selection(), mask)
    measured = sum(batch.num_rows for batch in sample)
    scale = asked / max(measured, 1)
    calls, tokens = round(counter.calls * scale), round(counter.input * scale)
    cached, output = round(counter.cached * scale), round(counter.output * scale)
    return Plan(
        total, asked, calls, tokens, counter.cached / max(counter.input, 1), output,
        real.cost_of(tokens, cached, output), _minutes(calls, tokens + output, real.settings),
    )  # fmt: skip


def _minutes(calls: int, tokens: int, settings: LanguageModelSettings) -> float:
    times = [calls * _SECONDS / settings.max_concurrency / 60]
    if settings.max_requests_per_minute:
        times.append(calls / settings.max_requests_per_minute)
    if settings.max_tokens_per_minute:
        times.append(tokens / settings.max_tokens_per_minute)
    return max(times)


def _sample(
    products: Iterable[pa.RecordBatch], chosen: npt.NDArray[np.bool_] | None, seed: int
) -> tuple[list[pa.RecordBatch], int, int]:
    """Some of the products that are asked about, how many there are in all, and how many asked."""
    kept: list[pa.RecordBatch] = []
    total, asked = 0, 0
    for batch in products:
        mask = np.ones(batch.num_rows, np.bool_)
        if chosen is not None:
            mask = chosen[total : total + batch.num_rows]
        total += batch.num_rows
        asked += int(mask.sum())
        if mask.any():
            kept.append(batch.filter(pa.array(mask)))
    if not kept:
        return [], total, 0
    whole = pa.concat_batches(kept)
    places = np.random.default_rng(seed).permutation(whole.num_rows)[:_SAMPLE]
    return [whole.take(pa.array(np.sort(places)))], total, asked


class _Counter:
    """Answers as the stand-in does, and counts what a real model would read and write."""

    where = ""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = self.input = self.cached = self.output = 0
        self._last: dict[bool, str] = {}  # what was read last, by whether it asked for JSON
        self._stand_in = ScriptedModel()

    async def ask(self, request: Request) -> Reply:
        reply = await self._stand_in.ask(request)
        text = "\n".join(message["content"] for message in request.messages)
        stage = request.schema is not None
        pairs = zip(text, self._last.get(stage, ""), strict=False)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        self._last[stage] = text
        self.calls += 1
        self.input += count_tokens(text)
        self.cached += count_tokens(text[:same])
        self.output += count_tokens(reply.text)
        return reply

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class _ReadOnly:
    """The answers there are; new ones are not kept."""

    store: Any

    def find(self, keys: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = self.store.find(keys)
        return found

    def keep(self, *answers: object) -> None:
        """Forget them."""


def count_tokens(text: str) -> int:
    """About how many tokens a text has: 0.7 for a Chinese character, one for four others."""
    chinese = sum(map(is_unspaced, text))
    return round(0.7 * chinese + (len(text) - chinese) / 4)
