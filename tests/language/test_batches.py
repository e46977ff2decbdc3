"""What a batch file's answers are to who asks: one after another, and the same to everyone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tagmill.errors import BadReply
from tagmill.language.asking import Answer, Asker, Question
from tagmill.language.batches import BatchModel, BatchReplies, BatchRequests, BatchResults
from tagmill.language.client import Request, Unasked, Waiting
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings
from tagmill.store import open_store

from .server import Response, chat, error

ASKED = Request([{"role": "user", "content": "What is it?"}], 9)
SETTINGS = LanguageModelSettings(model="m")


def read(reply: Reply) -> str:
    if reply.text.startswith("bad"):
        raise BadReply(f"cannot be used: {reply.text}")
    return reply.text


def ask(folder: Path, *answers: Response, is_last: bool = False) -> list[Answer[int, str]]:
    """What two products with the same request are told, one after the other."""
    path, custom_id = folder / "results.jsonl", f"test-{ASKED.key('m')}"
    lines = [
        {"custom_id": custom_id,
         "response": {"status_code": answer.status, "body": json.loads(answer.body)}}
        for answer in answers
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)))
    results = BatchResults([path])
    requests = BatchRequests(folder / "requests.jsonl", SETTINGS)
    asked = BatchModel("m", "test", results, None if is_last else requests)
    with open_store(f"sqlite:///{folder / 'store.db'}", create=True) as store:
        replies = BatchReplies(store.replies, results)
        one = Asker(asked, SETTINGS, replies, "test", readings=results.most + 1, keeps_budget=False)
        told = [
            answer
            for number in range(2)
            for answer in one.ask_all([Question(number, str(number), ASKED, read)])
        ]
    requests.close(0.0, ["test"])
    return told


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_a_usable_answer_counts_wherever_it_stands(tmp_path: Path, order: tuple[int, ...]) -> None:
    answers = (chat("bad 1"), chat("bad 2", finish="length"), chat("good"), error(429))
    told = ask(tmp_path, *(answers[i] for i in order))
    assert [answer.value for answer in told] == ["good", "good"]


def test_each_product_is_told_why_the_answers_cannot_be_used(tmp_path: Path) -> None:
    for bad in (chat("bad"), chat(None, refusal="no"), error(400, "too long")):
        told = ask(tmp_path, bad, error(500))
        assert len({str(answer.failure) for answer in told}) == 1
        assert all(type(answer.failure) is BadReply for answer in told)


def test_what_has_no_answer_waits_and_without_a_next_round_nobody_is_asked(tmp_path: Path) -> None:
    for missing in ((), (error(429),), (error(503), error(500))):
        assert all(isinstance(one.failure, Waiting) for one in ask(tmp_path, *missing))
    assert all(type(one.failure) is Unasked for one in ask(tmp_path, is_last=True))
    told = ask(tmp_path, error(429, "slow down"), is_last=True)
    assert all("answered 429: slow down" in str(answer.failure) for answer in told)


def test_the_budget_holds_back_what_begins_other_products(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"price_input": 1e6 / 10, "budget": 3.5})
    requests = BatchRequests(tmp_path / "requests.jsonl", settings)
    for stage, number in (("first", 1), ("first", 2), ("second", 3), ("first", 4)):
        text = f"{number} " + "x" * 37  # about ten tokens: a unit of money
        request = Request([{"role": "user", "content": text}], 1)
        asyncio.run(requests.write(f"{stage}-{number}", request))
    requests.close(0.9, ["first", "second"])
    kept = [json.loads(line)["custom_id"] for line in requests.path.read_text().splitlines()]
    assert kept == ["first-1", "second-3"]
    assert (requests.held, list(requests.written)) == (2, kept)
