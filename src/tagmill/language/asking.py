"""Many questions at once, each paid for once: cache, limits, retries, budget.

`Asker.ask_all` takes requests as they come and gives answers as they come, at most
`max_concurrency` under way: memory does not grow with their number. What was answered before comes
from the store. A busy server is waited for and asked less at a time, until it answers again; one
that does not answer at all, or never usefully, ends the run. An answer is stored before it is
given, so a killed process loses only what was under way.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from tagmill.errors import BadReply, BudgetExceeded, LanguageModelError, SettingsError
from tagmill.language.client import Busy, LanguageModel, Request, Unasked, Waiting
from tagmill.records import ModelCall, Reply
from tagmill.settings import LanguageModelSettings

__all__ = ["Answer", "Asker", "Question", "ReplyStore", "Spending"]

T = TypeVar("T")
V = TypeVar("V")
R = TypeVar("R")

_TRIES = 6  # of one request at a busy server
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds between them, doubling, with jitter
_DEAD = 20  # requests in a row that failed in all their tries: nobody is there
_SILENT = 8  # answers in a row that did not come in time, before any did: nobody will
_CHARACTERS_PER_TOKEN = 2.0  # a careful guess: Chinese has 1 to 2, English 4
_READ_AHEAD = 256  # requests looked up in the cache at once


class ReplyStore(Protocol):
    """Where replies are kept; `tagmill.store` has one."""

    def find(self, keys: list[str]) -> dict[str, Reply]:
        """The replies there are, by key."""
        ...

    def keep(self, replies: list[tuple[str, Reply]], calls: list[ModelCall]) -> None:
        """Store replies and the audit of their calls, in one transaction."""
        ...

    def answered(self, model: str, stage: str) -> bool:
        """Whether a model ever gave a usable answer in a stage."""
        ...


@dataclass(frozen=True)
class Question(Generic[T, V]):
    """A request about something; `read` makes its reply a value, or raises BadReply."""

    about: T
    subject: str  # the product's id, for the audit
    request: Request
    read: Callable[[Reply], V]


@dataclass(frozen=True)
class Answer(Generic[T, V]):
    """What came of a question: a value, or why there is none."""

    about: T
    value: V | None
    failure: LanguageModelError | None = None
    paid: bool = True  # False: the reply was in the store, or the same as another's


@dataclass
class Spending:
    """What a run has cost so far; money in the currency of the prices."""

    calls: int = 0
    reused: int = 0  # answers that were in the store
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def add(self, tokens: Sequence[int], cost: float, *, failed: bool) -> None:
        """Count a question that was asked: its input, cached input and output tokens."""
        self.calls += 1
        self.failed += failed
        self.input_tokens += tokens[0]
        self.cached_tokens += tokens[1]
        self.output_tokens += tokens[2]
        self.cost += cost


@dataclass
class Asker:
    """Asks one model within the settings; `spending` grows over all calls."""

    model: LanguageModel
    settings: LanguageModelSettings
    store: ReplyStore | None = None
    stage: str = ""
    spending: Spending = field(default_factory=Spending)
    readings: int = 2  # of one question, while what is answered cannot be used
    keeps_budget: bool = True  # False: nothing is spent by asking, as with batch files

    def __post_init__(self) -> None:
        prices = self.settings
        if prices.budget is not None and not (prices.price_input or prices.price_output):
            raise SettingsError(
                f"The budget is {prices.budget:g}, but no price is set, so nothing would ever cost "
                "anything. Set llm.price_input and llm.price_output, or leave the budget out"
            )
        self._limits = _Limits(self.settings)
        self._dead = self._silent = self._answered = 0
        self._is_useful = False  # once an answer could be used
        self._stop: LanguageModelError | None = None  # why asking on is in vain
        self._reserved = 0.0  # money that what is under way may cost
        self._factor = 1.0  # tokens that requests really had for each one guessed, at most

    def ask_all(self, questions: Iterable[Question[T, V]]) -> Iterator[Answer[T, V]]:
        """An answer to each question, in the order they come.

        Raises BudgetExceeded once the budget would not hold the next request, NeedsKey or
        LanguageModelError where asking on is in vain; what is under way is waited for, stored and
        given first.
        """
        self._limits.begin()
        self._stop = None
        before = self._reserved
        with asyncio.Runner() as runner:
            try:
                yield from self._ask_all(runner, iter(questions))
            except GeneratorExit:
                self._reserved = before
                raise
            finally:
                runner.run(self.model.close())

    def _ask_all(
        self, runner: asyncio.Runner, questions: Iterator[Question[T, V]]
    ) -> Iterator[Answer[T, V]]:
        waiting: list[_Asked[T, V]] = []
        by_key: dict[str, _Asked[T, V]] = {}  # those waiting and pending
        exhausted = is_spent = False

        def go_on() -> None:
            """Ask as many as may be under way; called whenever one is done, not once many are, so
            that they do not come in bursts."""
            nonlocal is_spent
            is_spent = False
            while (
                waiting and self._stop is None and under_way.running < self.settings.max_concurrency
            ):
                if is_spent := not self._reserve(waiting[-1]):
                    break
                under_way.start(self._ask(waiting.pop()))

        under_way = _UnderWay[_Asked[T, V]](runner.get_loop(), go_on)
        while True:
            if (
                len(waiting) < self.settings.max_concurrency
                and not exhausted
                and self._stop is None
            ):
                read, found, exhausted = self._read(questions, by_key)
                waiting[:0] = read
                yield from found
            go_on()
            if not len(under_way):
                if self._stop is not None or is_spent:
                    raise self._stop or self._spent()
                if exhausted and not waiting:
                    return
                continue
            finished = under_way.wait()
            for one in finished:
                del by_key[one.key]
            yield from self._settle(finished)

    def _read(
        self, questions: Iterator[Question[T, V]], by_key: dict[str, _Asked[T, V]]
    ) -> tuple[list[_Asked[T, V]], list[Answer[T, V]], bool]:
        """What must be asked next, the first last; answers from the store; whether all is read."""
        size = max(_READ_AHEAD, self.settings.max_concurrency)
        read = [
            (one, one.request.key(self.model.name)) for one in itertools.islice(questions, size)
        ]
        known = self.store.find([key for _, key in read]) if self.store and read else {}
        waiting, found = [], []
        for question, key in read:
            if key in known:
                try:
                    found.append(Answer(question.about, question.read(known[key]), paid=False))
                    self.spending.reused += 1
                    continue
                except BadReply:  # kept by a version that could read it
                    pass
            if key in by_key:
                by_key[key].same.append(question)
                continue
            by_key[key] = _Asked(question, key)
            waiting.append(by_key[key])
        return waiting[::-1], found, not read

    def _spent(self) -> BudgetExceeded:
        spent, budget = self.spending.cost, self.settings.budget or 0.0
        return BudgetExceeded(spent, budget, model=self.model.name)

    def _reserve(self, asked: _Asked[T, V]) -> bool:
        """Keep the money that it may cost; False: more than is left beside what is under way."""
        budget = self.settings.budget
        most = self._most_for(asked.question.request)
        spent = self.spending.cost + self._reserved + most
        if self.keeps_budget and budget is not None and spent > budget:
            return False
        asked.reserved = most
        self._reserved += most
        return True

    def _most_for(self, request: Request) -> float:
        """Money a request may cost at most, as far as can be told."""
        return self.settings.cost_of(
            int(self._factor * _guess_tokens(request)), 0, request.max_tokens
        )

    async def _ask(self, asked: _Asked[T, V]) -> _Asked[T, V]:
        """One request, tried again while the server is busy."""
        request = asked.question.request
        tokens = _guess_tokens(request) + request.max_tokens
        tries, answered = 0, self._answered
        while True:
            async with self._limits.turn(tokens):
                if self._stop is not None:  # nobody waits for his turn to ask in vain
                    asked.failure = asked.failure or self._stop
                    return asked
                wait = await self._try(asked)
            if wait is None:
                break
            if isinstance(asked.failure, BadReply):  # nobody is busy
                continue
            crowded = isinstance(asked.failure, Busy) and asked.failure.crowded
            if not crowded or self._answered == answered:  # else others had its place: go on
                tries += 1
            if tries == _TRIES:
                break
            answered = self._answered
            await asyncio.sleep(_pause(max(tries - 1, 0), wait))
        self._note_outcome(asked.failure)
        return asked

    def _note_outcome(self, failure: LanguageModelError | None) -> None:
        """Give up where nobody is there, or nobody who ever gave an answer that could be used."""
        if failure is None:
            self._is_useful = True
        if failure is None or (isinstance(failure, BadReply) and self._is_useful):
            self._dead = 0
            return
        if isinstance(failure, Unasked) or self._stop is not None:
            return
        self._dead += 1
        if self._dead < _DEAD:
            return
        if isinstance(failure, BadReply) and self.store is not None:
            self._is_useful = self.store.answered(self.model.name, self.stage)
            if self._is_useful:
                return
        self._stop = LanguageModelError(
            f"{self._dead} requests in a row failed, the last because {failure}. All answers so "
            "far are stored: see to the server, and run the same command again",
            model=self.model.name,
        )

    async def _try(self, asked: _Asked[T, V]) -> float | None:
        """Ask once; None where this is settled, else how long the server wants to be left alone."""
        asked.sent = True
        try:
            reply = await self.model.ask(asked.question.request)
        except Busy as busy:
            asked.failure = busy
            self._limits.was_busy(busy.wait)
            self._silent += busy.silent
            if self._silent >= _SILENT and not self._answered:
                self._stop = LanguageModelError(
                    f"{busy}, {self._silent} times in a row. See to the server, or raise "
                    "llm.timeout, and run the same command again",
                    model=self.model.name,
                )
                return None
            return busy.wait or 0.0
        except BadReply as bad:
            asked.failure = bad
            self._answered += 1
            if bad.tokens is not None:
                asked.tokens.append(bad.tokens)
            return None
        except Unasked as unasked:
            if not asked.replies:  # else why these cannot be used stands
                asked.failure = unasked
                asked.sent = isinstance(unasked, Waiting)
            return None
        except LanguageModelError as error:
            asked.failure = self._stop = error
            return None
        self._answered += 1
        self._limits.went_well()
        guessed = _guess_tokens(asked.question.request)
        self._factor = max(self._factor, reply.input_tokens / guessed)
        asked.replies.append(reply)
        asked.tokens.append((reply.input_tokens, reply.cached_tokens, reply.output_tokens))
        try:
            asked.value, asked.failure = asked.question.read(reply), None
        except BadReply as bad:
            asked.failure = bad
            return 0.0 if len(asked.replies) < self.readings else None
        return None

    def _answer_same(self, question: Question[T, V], one: _Asked[T, V]) -> Answer[T, V]:
        """The answer to another question with the same request: read anew, for what it is about."""
        if one.failure is not None:
            return Answer(question.about, None, one.failure, paid=False)
        try:
            value = question.read(one.replies[-1])
        except BadReply as bad:
            return Answer(question.about, None, bad, paid=False)
        self.spending.reused += 1
        return Answer(question.about, value, paid=False)

    def _settle(self, asked: list[_Asked[T, V]]) -> list[Answer[T, V]]:
        """Count and store what came, then give it."""
        answers: list[Answer[T, V]] = []
        replies, calls = [], []
        for one in asked:
            self._reserved -= one.reserved
            if isinstance(one.failure, Waiting):
                everyone = [one.question, *one.same]
                answers += [Answer(q.about, None, one.failure, paid=False) for q in everyone]
                calls.append(self._call(one, (0, 0, 0), 0.0))
                continue
            if not one.sent:
                everyone = [one.question, *one.same]
                answers += [Answer(q.about, None, one.failure, paid=False) for q in everyone]
                continue
            counts = [sum(column) for column in zip(*one.tokens, strict=True)] or [0, 0, 0]
            paid = counts[0], counts[1], counts[2]
            cost = self.settings.cost_of(*paid)
            if one.tokens and not any(paid):  # a server that does not say: the most it may be
                cost = one.reserved
            self.spending.add(paid, cost, failed=one.failure is not None)
            if one.failure is None:
                replies.append((one.key, one.replies[-1]))
            calls.append(self._call(one, paid, cost))
            answers.append(Answer(one.question.about, one.value, one.failure))
            for other in one.same:
                answers.append(self._answer_same(other, one))
        if self.store is not None:
            self.store.keep(replies, calls)
        return answers

    def _call(self, one: _Asked[T, V], paid: tuple[int, int, int], cost: float) -> ModelCall:
        """What the audit keeps."""
        question = one.question
        return ModelCall(
            one.key, self.stage, question.subject, self.model.name, self.model.where,
            question.request.messages[-1]["content"], str(one.failure or ""), *paid, cost,
        )  # fmt: skip


@dataclass
class _Asked(Generic[T, V]):
    """A question on its way, and what became of it."""

    question: Question[T, V]
    key: str
    same: list[Question[T, V]] = field(default_factory=list)  # others with the same request
    sent: bool = False
    replies: list[Reply] = field(default_factory=list)  # the last one counts
    tokens: list[tuple[int, int, int]] = field(default_factory=list)  # of all that is paid
    value: V | None = None
    failure: LanguageModelError | None = None
    reserved: float = 0.0  # money kept for it until what it cost is known


class _UnderWay(Generic[R]):
    """Tasks of a loop that runs only while one waits for the next to be done.

    `on_done` is called in the loop for each that is.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_done: Callable[[], None]) -> None:
        self._loop = loop
        self._on_done = on_done
        self._tasks: set[asyncio.Task[R]] = set()
        self._done: list[asyncio.Task[R]] = []
        self._woken = asyncio.Event()

    def __len__(self) -> int:
        return len(self._tasks) + len(self._done)

    @property
    def running(self) -> int:
        """Those that are not done."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, R]) -> None:
        """Begin one more."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[R]) -> None:
        self._tasks.discard(task)
        self._done.append(task)
        self._woken.set()
        if not task.cancelled() and task.exception() is None:
            self._on_done()

    def wait(self) -> list[R]:
        """The results of those that are done; at least one."""
        if not self._done:
            self._woken.clear()
            self._loop.run_until_complete(self._woken.wait())
        done, self._done = self._done, []
        return [task.result() for task in done]


class _Limits:
    """How much may be under way: what the settings allow, and less while the server is busy.

    Additive increase, multiplicative decrease: each busy answer halves the room, each good one
    gives back one place in a round.
    """

    def __init__(self, settings: LanguageModelSettings) -> None:
        self._most = float(settings.max_concurrency)
        self._room = self._most
        self._taken = 0
        self._changed = asyncio.Event()
        self._not_before = 0.0
        self._last_halved = 0.0
        self._requests = _Rate(settings.max_requests_per_minute)
        self._tokens = _Rate(settings.max_tokens_per_minute)

    def begin(self) -> None:
        """Before a loop of its own; what was learned of the server stays."""
        self._changed = asyncio.Event()
        self._taken = 0

    def turn(self, tokens: int) -> _Turn:
        """A place among those under way, held within `async with`."""
        return _Turn(self, tokens)

    async def enter(self, tokens: int) -> None:
        while self._taken >= max(int(self._room), 1):
            self._changed.clear()
            await self._changed.wait()
        self._taken += 1
        starts = max(self._requests.next_start(1), self._tokens.next_start(tokens))
        wait = max(starts, self._not_before) - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)

    def leave(self) -> None:
        self._taken -= 1
        self._changed.set()

    def went_well(self) -> None:
        self._room = min(self._most, self._room + 1 / self._room)

    def was_busy(self, wait: float | None) -> None:
        now = time.monotonic()
        if now - self._last_halved > _FIRST_WAIT:  # answers of one round count once
            self._room = max(self._room / 2, 1.0)
            self._last_halved = now
        if wait is not None:
            self._not_before = max(self._not_before, now + min(wait, 10 * _LONGEST_WAIT))


@dataclass(frozen=True)
class _Turn:
    limits: _Limits
    tokens: int

    async def __aenter__(self) -> None:
        await self.limits.enter(self.tokens)

    async def __aexit__(self, *error: object) -> None:
        self.limits.leave()


class _Rate:
    """So many a minute, evenly, after a second's worth at once."""

    def __init__(self, per_minute: float | None) -> None:
        self._seconds = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    def next_start(self, count: int) -> float:
        """When `count` more may start (time.monotonic); they are taken to do so."""
        self._next = max(self._next, time.monotonic() - 1)
        start = self._next
        self._next += count * self._seconds
        return start


def _pause(attempt: int, wait: float) -> float:
    """Seconds before the next try: as the server says (0: it does not), else doubling; jittered."""
    if wait:
        return min(wait, 10 * _LONGEST_WAIT) + random.uniform(0, _FIRST_WAIT)
    longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
    return random.uniform(longest / 2, longest)


def _guess_tokens(request: Request) -> int:
    """About how many tokens a request has, rather too many."""
    characters = sum(len(message["content"]) for message in request.messages)
    return int(characters / _CHARACTERS_PER_TOKEN) + 8
