"""A real server that fails in every way; an answer is paid once, and stored before it is given."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tagmill.errors import BadReply, BudgetExceeded, LanguageModelError, NeedsKey
from tagmill.language import Asker, Question, Request, open_model
from tagmill.language import asking as asking_module
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings
from tagmill.store import Store, open_store

from .server import ChatServer, Response, chat, error


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/replies.db", create=True) as opened:
        yield opened


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_module, "_FIRST_WAIT", 0.01)


def question(number: int) -> Question[int, str]:
    messages = [{"role": "user", "content": f"question {number}"}]
    return Question(number, f"p{number}", Request(messages, max_tokens=20), read)


def read(reply: Reply) -> str:
    if "broken" in reply.text:
        raise BadReply("it is broken")
    return reply.text


def asker(url: str, store: Store | None = None, **settings: object) -> Asker:
    chosen = LanguageModelSettings.model_validate({"base_url": url, "model": "m", **settings})
    return Asker(open_model(chosen), chosen, store.replies if store else None, "test")


def ask(
    server: ChatServer, count: int = 1, store: Store | None = None, **settings: object
) -> tuple[dict[int, Any], Asker]:
    """What came of each question: its value or its failure."""
    with server.running() as url:
        one = asker(url, store, **settings)
        answers = list(one.ask_all(question(number) for number in range(count)))
    assert len(answers) == count
    return {a.about: a.value if a.failure is None else a.failure for a in answers}, one


def test_an_answer_and_what_it_cost() -> None:
    server = ChatServer(chat("fine"))
    answers, one = ask(server, 3, price_input=2.0, price_cached_input=0.5, price_output=10.0)
    assert answers == {0: "fine", 1: "fine", 2: "fine"}
    spent = one.spending
    assert (spent.calls, spent.input_tokens, spent.cached_tokens, spent.output_tokens) == (
        3, 300, 180, 60,
    )  # fmt: skip
    assert spent.cost == pytest.approx(3 * (40 * 2 + 60 * 0.5 + 20 * 10) / 1e6)
    assert server.requests[0]["model"] == "m"
    assert server.requests[0]["temperature"] == 0


@pytest.mark.parametrize(
    "failing",
    [
        error(429),
        error(429, Retry_After="0.05"),
        error(500),
        error(503, "loading the model"),
        Response(b"<html>gateway</html>", kind="text/html"),
        Response(b'{"choices": [{"mess', drops=True),
        Response(b"", wait=0.6),
    ],
    ids=["429", "retry-after", "500", "503", "html", "dropped", "hangs"],
)
def test_a_busy_server_is_asked_again(failing: Response) -> None:
    server = ChatServer(failing, failing, chat("fine"))
    answers, one = ask(server, 1, timeout=0.3)
    assert answers == {0: "fine"}
    assert len(server.requests) == 3
    assert one.spending.failed == 0


def test_retry_after_is_waited_for() -> None:
    start = time.monotonic()
    ask(ChatServer(error(429, Retry_After="0.7"), chat("fine")))
    assert time.monotonic() - start >= 0.7


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Response(b'{"choices": []}'), "without a choice"),
        (Response(b'{"hello": 1}'), "without a choice"),
        (Response(b"[]"), "answered 200"),
        (chat(""), "nothing"),
        (chat(None), "nothing"),
        (chat("no", finish="content_filter"), "refused"),
        (chat("x", refusal="I cannot"), "refused: I cannot"),
        (error(400, "too many tokens"), "too many tokens"),
        (chat("broken"), "it is broken"),
    ],
)
def test_a_bad_answer_fails_one_product_and_no_other(
    bad: Response, reason: str, store: Store
) -> None:
    def behave(body: dict[str, Any]) -> Response:
        return bad if body["messages"][0]["content"] == "question 1" else chat("fine")

    answers, one = ask(ChatServer(behave), 3, store)
    assert answers[0] == answers[2] == "fine"
    assert isinstance(answers[1], BadReply)
    assert reason in str(answers[1])
    assert one.spending.failed == 1
    outcomes = {call.subject: call.outcome for call in store.replies.calls()}
    assert outcomes["p0"] == ""
    assert reason in outcomes["p1"]


def test_an_answer_that_cannot_be_read_is_asked_for_once_more() -> None:
    server = ChatServer(chat("broken"), chat("fine"))
    answers, one = ask(server)
    assert answers == {0: "fine"}
    assert one.spending.input_tokens == 200  # both were paid


@pytest.mark.parametrize(
    ("response", "kind", "says"),
    [
        (error(401, "bad key"), NeedsKey, "TAGMILL_LLM__API_KEY"),
        (error(403), NeedsKey, "403"),
        (error(404, "model retired"), LanguageModelError, "model retired"),
    ],
)
def test_what_no_further_request_would_survive_ends_the_run(
    response: Response, kind: type[Exception], says: str
) -> None:
    server = ChatServer(response)
    with server.running() as url:
        one = asker(url, max_concurrency=2)
        with pytest.raises(kind, match=says):
            list(one.ask_all(question(number) for number in range(1000)))
    assert len(server.requests) <= 4


def test_nobody_there_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_module, "_TRIES", 2)
    one = asker("http://127.0.0.1:9/v1", max_concurrency=4)
    answers: list[Any] = []
    with pytest.raises(LanguageModelError, match="requests in a row failed.*cannot be reached"):
        answers.extend(one.ask_all(question(number) for number in range(1000)))
    assert one.spending.failed < 40


def test_who_never_answers_in_time_is_given_up_soon() -> None:
    server = ChatServer(Response(b"", wait=30))
    with server.running() as url:
        one = asker(url, timeout=0.3)
        with pytest.raises(LanguageModelError, match="no answer in 0.3 s, .* times in a row"):
            list(one.ask_all(question(number) for number in range(1000)))
    assert len(server.requests) <= 16  # as many as are under way at once


@pytest.mark.parametrize("answer", [error(400, "no such thing"), chat("broken"), chat(None)])
def test_who_never_answers_usefully_is_given_up(answer: Response, store: Store) -> None:
    server = ChatServer(answer)
    with server.running() as url:
        one = asker(url, store, max_concurrency=4)
        with pytest.raises(LanguageModelError, match="20 requests in a row failed, the last"):
            list(one.ask_all(question(number) for number in range(1000)))
    assert one.spending.failed <= 24
    ask(ChatServer(chat("fine")), 1, store)  # one that did so once: it is the questions
    answers, _ = ask(server, 60, store)
    assert sum(isinstance(failure, BadReply) for failure in answers.values()) == 59


@pytest.mark.parametrize(
    "answer", [chat(""), chat("no", finish="content_filter"), chat(None, refusal="I cannot")]
)
def test_an_answer_that_cannot_be_used_is_paid_all_the_same(answer: Response, store: Store) -> None:
    _, one = ask(ChatServer(answer), 3, store, price_input=2.0)
    assert (one.spending.input_tokens, one.spending.failed) == (300, 3)
    assert one.spending.cost == pytest.approx(3 * 100 * 2 / 1e6)
    assert [call.input_tokens for call in store.replies.calls()] == [100] * 3
    _, unpaid = ask(ChatServer(error(400)), 3, price_input=2.0)
    assert unpaid.spending.cost == 0


def test_the_key_is_sent_and_never_shown() -> None:
    server = ChatServer(chat("fine"))
    _, one = ask(server, api_key="sk-secret")
    assert b"Bearer sk-secret" in server.headers[0]
    assert "sk-secret" not in repr(one.settings)


def test_nothing_is_paid_twice(store: Store) -> None:
    first, second = ChatServer(chat("fine")), ChatServer(chat("other"))
    ask(first, 50, store)
    answers, one = ask(second, 60, store)
    assert len(second.requests) == 10
    assert (one.spending.calls, one.spending.reused) == (10, 50)
    assert answers[0] == "fine"
    assert answers[59] == "other"


def test_the_same_question_is_asked_once(store: Store) -> None:
    server = ChatServer(Response(chat("fine").body, wait=0.05))
    with server.running() as url:
        one = asker(url, store)
        answers = list(one.ask_all(question(number % 3) for number in range(600)))
    assert len(answers) == 600
    assert len(server.requests) == 3
    assert one.spending.reused == 597


def test_a_reply_that_no_longer_reads_is_asked_for_again(store: Store) -> None:
    ask(ChatServer(chat("old form")), 1, store)

    def reads_new(reply: Reply) -> str:
        if reply.text != "new form":
            raise BadReply("old")
        return reply.text

    server = ChatServer(chat("new form"))
    with server.running() as url:
        old = question(0)
        again = Question(old.about, old.subject, old.request, reads_new)
        (answer,) = asker(url, store).ask_all([again])
    assert answer.value == "new form"


def test_the_budget_holds_and_what_was_answered_is_kept(store: Store) -> None:
    server = ChatServer(chat("fine"))
    prices = {"price_input": 10.0, "price_output": 100.0, "budget": 0.02, "max_concurrency": 2}
    given = []

    def take_all(one: Asker) -> None:
        for answer in one.ask_all(question(number) for number in range(100)):
            given.append(answer.about)

    with server.running() as url:
        one = asker(url, store, **prices)
        with pytest.raises(BudgetExceeded) as caught:
            take_all(one)
    assert caught.value.budget == 0.02
    assert caught.value.spent == one.spending.cost <= 0.02
    assert 3 <= len(given) == one.spending.calls < 10
    more = {**prices, "budget": 1.0}
    answers, again = ask(ChatServer(chat("fine")), 100, store, **more)
    assert again.spending.reused == len(given)
    assert len(answers) == 100


def test_concurrency_is_kept_and_halved_where_the_server_is_busy() -> None:
    server = ChatServer(Response(chat("fine").body, wait=0.01))
    ask(server, 200, max_concurrency=7)
    assert server.most_at_once == 7

    in_flight: list[int] = []

    def behave(body: dict[str, Any]) -> Response:  # more than four at once are refused
        in_flight.append(server._now)
        return error(429) if server._now > 4 else Response(chat("fine").body, wait=0.01)

    server = ChatServer(behave)
    answers, one = ask(server, 300, max_concurrency=64)
    assert set(answers.values()) == {"fine"}
    assert one.spending.failed == 0
    refused = sum(now > 4 for now in in_flight)
    assert refused < 300  # each of 300 would have met a wall of 64 otherwise


def test_who_is_crowded_out_while_others_are_answered_waits_for_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking_module, "_TRIES", 2)
    monkeypatch.setattr(asking_module, "_FIRST_WAIT", 0.02)

    def behave(body: dict[str, Any]) -> Response:  # one at a time
        return error(429) if server._now > 1 else Response(chat("fine").body, wait=0.005)

    server = ChatServer(behave)
    answers, one = ask(server, 60, max_concurrency=16)
    assert set(answers.values()) == {"fine"}
    assert one.spending.failed == 0


def test_a_rate_is_kept_to() -> None:
    start = time.monotonic()
    server = ChatServer(chat("fine"))
    ask(server, 30, max_requests_per_minute=600)
    seconds = time.monotonic() - start
    assert 1.8 <= seconds < 6  # ten a second, one second's worth at once
    start = time.monotonic()
    ask(ChatServer(chat("fine")), 10, max_tokens_per_minute=60 * 100)
    assert time.monotonic() - start > 1


def test_questions_are_read_as_they_are_needed() -> None:
    read_ahead = 0

    def questions() -> Iterator[Question[int, str]]:
        nonlocal read_ahead
        for number in range(5000):
            read_ahead = number
            yield question(number)

    with ChatServer(chat("fine")).running() as url:
        answers = asker(url).ask_all(questions())
        for _ in range(10):
            next(answers)
        assert read_ahead < 1000
        answers.close()  # type: ignore[attr-defined]


def test_the_audit_says_what_was_sent_to_whom(store: Store) -> None:
    with ChatServer(chat("fine")).running() as url:
        list(asker(url, store, price_input=1.0).ask_all([question(5)]))
        (call,) = store.replies.calls("p5")
    assert call.host in url
    assert (call.model, call.stage, call.sent) == ("m", "test", "question 5")
    assert call.cost == pytest.approx(1e-4)
    assert call.at.endswith("Z")
    assert store.replies.calls("p6") == []


def test_every_setting_of_a_model_is_checked() -> None:
    from tagmill.errors import SettingsError

    cases: Sequence[tuple[dict[str, Any], str]] = [
        ({}, "No large language model is set"),
        ({"base_url": "http://localhost:1/v1"}, "no model is named"),
        ({"base_url": "http://localhost:1/v1", "gguf": "a.gguf", "model": "m"}, "both set"),
    ]
    for values, says in cases:
        with pytest.raises(SettingsError, match=says):
            open_model(LanguageModelSettings(**values))
    with pytest.raises(LanguageModelError, match=r"no model file .*nowhere\.gguf"):
        open_model(LanguageModelSettings(gguf=Path("nowhere.gguf")))
