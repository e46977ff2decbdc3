"""What asking a large language model about a catalogue will cost, before anything is spent.

The engine judges all products and chooses what to ask about, as the run will. For a sample of these
the very requests of the run are built and measured; a stand-in answers them, so that the second
round's questions are known too. What the store has answered already costs nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tagmill.language.asking import Spending
from tagmill.language.client import Request, guess_tokens
from tagmill.language.scripted import ScriptedModel
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings
from tagmill.tagging.cascade import consult_batch, doubtful_cells
from tagmill.tagging.llm import Consultant
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection
from tagmill.tagging.routing import Prices

__all__ = ["Plan", "Sample", "plan", "request_prices"]

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
    chosen: sparse.csr_array | None,
    *,
    seed: int = 0,
) -> Plan:
    """The forecast for a catalogue of which `chosen` cells (n, facets) are asked about, or all."""
    wanted = None if chosen is None else (np.diff(chosen.indptr) > 0).astype(float)
    sample, total = Sample(seed=seed), 0
    for batch in products:
        end = total + batch.num_rows
        sample.add(batch, np.ones(batch.num_rows) if wanted is None else wanted[total:end], total)
        total = end
    settings = consultant.propose.settings
    counting, counter = _counting(consultant)
    if sample.rows is not None:
        cells = None if chosen is None else chosen[sample.places].toarray()
        consult_batch(model, counting, sample.rows, Selection(), cells)
    counted, scale = counter.both(), sample.total / max(len(sample.places), 1)
    calls, tokens = round(counted.calls * scale), round(counted.input * scale)
    cached, output = round(counted.cached * scale), round(counted.output * scale)
    return Plan(
        total, sample.total, calls, tokens, counted.cached / max(counted.input, 1), output,
        settings.cost_of(tokens, cached, output), _minutes(calls, tokens + output, settings),
    )  # fmt: skip


def request_prices(model: Model, consultant: Consultant, products: pa.RecordBatch) -> Prices:
    """What a product and each of its likely candidates add to the cost of asking, in money, by the
    requests about the doubtful cells of some products."""
    unknown = replace(
        consultant, answers=None,
        propose=replace(consultant.propose, store=None),
        verify=replace(consultant.verify, store=None),
    )  # fmt: skip
    counting, counter = _counting(unknown)
    cells = doubtful_cells(model, products)
    mask = np.zeros((products.num_rows, cells.width), np.bool_)
    mask[cells.rows, cells.facets] = True
    asked = mask.any(axis=1)
    consult_batch(model, counting, products.filter(pa.array(asked)), Selection(), mask[asked])
    proposing, verifying = (
        consultant.propose.settings.cost_of(stage.input, stage.cached, stage.output)
        for stage in (counter.proposed, counter.verified)
    )
    return Prices(
        proposing / max(int(asked.sum()), 1), verifying / max(int(cells.counted.sum()), 1)
    )


def _counting(consultant: Consultant) -> tuple[Consultant, _Counter]:
    """A consultant that asks nobody and stores nothing, and what counts its requests."""
    counter = _Counter(consultant.propose.model.name)
    settings = consultant.propose.settings.model_copy(update={"budget": None})
    # Nothing of it is stored: the stand-in's answers are not the model's.
    propose, verify = (
        replace(
            asker, model=counter, settings=settings, spending=Spending(),
            store=None if asker.store is None else _ReadOnly(asker.store),
        )
        for asker in (consultant.propose, consultant.verify)
    )  # fmt: skip
    known = None if consultant.answers is None else _ReadOnly(consultant.answers)
    return replace(consultant, propose=propose, verify=verify, answers=known), counter


def _minutes(calls: int, tokens: int, settings: LanguageModelSettings) -> float:
    times = [calls * _SECONDS / settings.max_concurrency / 60]
    if settings.max_requests_per_minute:
        times.append(calls / settings.max_requests_per_minute)
    if settings.max_tokens_per_minute:
        times.append(tokens / settings.max_tokens_per_minute)
    return max(times)


class Sample:
    """Some rows of batches that come one after another."""

    def __init__(self, size: int = _SAMPLE, seed: int = 0) -> None:
        self.rows: pa.RecordBatch | None = None
        self.places: npt.NDArray[np.int64] = np.zeros(0, np.int64)  # of the rows in the whole
        self.total = 0  # rows that could have been picked
        self._size = size
        self._keys = np.zeros(0)
        self._chance = np.random.default_rng(seed)

    def add(self, batch: pa.RecordBatch, weights: npt.NDArray[np.floating], first: int = 0) -> None:
        """Take in a batch, whose rows are picked as often as `weights` (n,) say, 0 for never;
        `first` is the place of its first row in the whole."""
        some = np.flatnonzero(weights > 0)
        if not len(some):
            return
        # The lowest of exponential times of these rates: a weighted sample in one pass.
        times = self._chance.exponential(size=len(some)) / weights[some]
        keys = np.concatenate([self._keys, times])
        places = np.concatenate([self.places, first + some])
        kept = np.sort(np.argsort(keys, kind="stable")[: self._size])
        new = batch.take(pa.array(some))
        whole = new if self.rows is None else pa.concat_batches([self.rows, new])
        self.rows, self.places, self._keys = whole.take(pa.array(kept)), places[kept], keys[kept]
        self.total += len(some)


@dataclass
class _Count:
    """Requests and their tokens."""

    calls: int = 0
    input: int = 0
    cached: int = 0  # of the input: what the request before began with too
    output: int = 0


class _Counter:
    """Answers as the stand-in does, and counts what a real model would read and write."""

    where = ""

    def __init__(self, name: str) -> None:
        self.name = name
        self.proposed, self.verified = _Count(), _Count()
        self._last: dict[bool, str] = {}  # what was read last, by whether it asked for JSON
        self._stand_in = ScriptedModel()

    def both(self) -> _Count:
        """Of both stages."""
        pairs = zip(astuple(self.proposed), astuple(self.verified), strict=True)
        return _Count(*map(sum, pairs))

    async def ask(self, request: Request) -> Reply:
        reply = await self._stand_in.ask(request)
        text = "\n".join(message["content"] for message in request.messages)
        proposes = request.schema is not None
        pairs = zip(text, self._last.get(proposes, ""), strict=False)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        self._last[proposes] = text
        count = self.proposed if proposes else self.verified
        count.calls += 1
        count.input += guess_tokens(text)
        count.cached += guess_tokens(text[:same])
        count.output += guess_tokens(reply.text)
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

    def answered(self, *stage: str) -> bool:
        """The stand-in answers."""
        return True
