"""A student learns from a teacher's answers about the products worth asking about."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import tagmill
from tagmill.catalog import as_batches
from tagmill.errors import BadReply, LanguageModelError, NeedsKey, NotTrained
from tagmill.language import Asker, Request
from tagmill.learning import evaluate
from tagmill.learning.distil import Distilled, choose_to_label, distil
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings
from tagmill.tagging.cascade import Portions
from tagmill.tagging.llm import Consultant
from tagmill.tagging.model import Model
from tests.cli.command import tagmill as command

from .test_llm_fit import Teacher, colour_of

WORDS = {"red": "ruby", "blue": "azure", "green": "emerald", "black": "onyx"}


class Wise(Teacher):
    """Is never wrong."""

    def says(self, number: int, colour: str) -> bool:
        return colour_of(number) == colour


def products(first: int, last: int, *, tagged: bool) -> list[dict[str, object]]:
    """Every second title names its colour by a word that only the teacher knows, some by none."""
    found: list[dict[str, object]] = []
    for i in range(first, last):
        colour = colour_of(i)
        word = "plain" if i % 7 == 0 else WORDS[colour] if i % 2 else colour
        row: dict[str, object] = {"id": str(i), "title": f"item {i} {word} shirt"}
        found.append({**row, "tags": [f"colour:{colour}"]} if tagged else row)
    return found


def batches(first: int, last: int, *, tagged: bool = False) -> list[pa.RecordBatch]:
    return list(as_batches(products(first, last, tagged=tagged)))


@pytest.fixture(scope="module")
def model() -> Model:
    """Knows the plain words only."""
    plain = [row for row in products(1000, 1480, tagged=True) if int(str(row["id"])) % 2 == 0]
    return tagmill.train(plain)


def test_the_student_knows_what_the_teacher_told(model: Model) -> None:
    asker = Asker(Wise(), LanguageModelSettings())
    consultant = Consultant(asker, asker, model.library)
    people = [row for row in products(1000, 1480, tagged=True) if int(str(row["id"])) % 2 == 0]
    found = distil(
        model, consultant, lambda: batches(2000, 3000), lambda: list(as_batches(people)), count=300,
        rounds=2,
    )  # fmt: skip
    assert found.asked == 300
    assert found.failed == []
    test = batches(5000, 5400, tagged=True)
    before, after = (evaluate(one, test)["micro_f1"] for one in (model, found.model))
    assert before < 0.75
    assert after > before + 0.1


def test_a_label_is_what_the_teacher_says_alone(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the engine believes already would teach a student nothing."""
    told: list[dict[str, dict[str, float]]] = []

    def train(*_: object, verdicts: dict[str, dict[str, float]], **__: object) -> Model:
        told.append(verdicts)
        return model

    monkeypatch.setattr("tagmill.learning.distil.train", train)
    asker = Asker(Wise(), LanguageModelSettings())
    consultant = Consultant(asker, asker, model.library)
    people = list(as_batches(products(1000, 1100, tagged=True)))
    distil(model, consultant, lambda: batches(2000, 2200), lambda: people, count=100, rounds=1)
    by_name = {tag.id: tag.name for tag in model.library.active()}
    right = [p for i, said in told[0].items() for tag, p in said.items()
             if by_name[tag] == colour_of(int(i))]  # fmt: skip
    wrong = [p for i, said in told[0].items() for tag, p in said.items()
             if by_name[tag] != colour_of(int(i))]  # fmt: skip
    assert len(told[0]) == 100
    assert min(right) > 0.9
    assert max(wrong) < 0.1
    assert len({round(p, 6) for p in (*right, *wrong)}) <= 4  # whatever the engine thinks


def test_doubtful_products_are_chosen(model: Model) -> None:
    pool = batches(2000, 3000)
    (chosen,) = choose_to_label(model, pool, 200)
    assert chosen.sum() == 200
    ids = pool[0].column("id").to_pylist()
    numbers = np.array([int(i) for i in ids])
    unknown = (numbers % 2 == 1) | (numbers % 7 == 0)
    assert chosen[unknown].mean() > 2 * chosen[~unknown].mean()
    again = choose_to_label(model, pool, 200)
    assert (again[0] == chosen).all()
    assert (choose_to_label(model, pool, 200, seed=1)[0] != chosen).any()
    assert choose_to_label(model, pool, 5000)[0].all()
    assert choose_to_label(model, [], 5) == []
    without = set(ids[:990])
    assert (
        choose_to_label(model, pool, 200, without=without)[0].tolist()
        == [False] * 990 + [True] * 10
    )


def test_each_round_asks_about_others(model: Model) -> None:
    """Nobody is asked about twice, nor what people have tagged; the pool may be small."""
    asker = Asker(Wise(), LanguageModelSettings())
    consultant = Consultant(asker, asker, model.library)
    people = list(as_batches(products(2000, 2020, tagged=True)))
    done: list[int] = []
    found = distil(
        model, consultant, lambda: batches(2000, 2100), lambda: people, count=60, rounds=3,
        progress=done.append,
    )  # fmt: skip
    assert (found.asked, sum(done)) == (60, 60)
    every = distil(
        model, consultant, lambda: batches(2000, 2100), lambda: people, count=500, rounds=2
    )
    assert every.asked == 80


class Speechless(Wise):
    """Has no usable answer about every third product, whenever it is asked."""

    async def ask(self, request: Request) -> Reply:
        number = re.search(r"item (\d+)", request.messages[-1]["content"])
        assert number is not None
        return Reply("…") if int(number.group(1)) % 3 == 0 else await super().ask(request)


def test_who_failed_is_named_once(model: Model) -> None:
    asker = Asker(Speechless(), LanguageModelSettings())
    consultant = Consultant(asker, asker, model.library)
    found = distil(
        model,
        consultant,
        lambda: batches(2000, 2060),
        lambda: batches(1000, 1100, tagged=True),
        count=60,
        rounds=3,
    )
    failed = [int(one["id"]) for one in found.failed]
    assert sorted(failed) == list(range(2001, 2060, 3))
    assert found.asked == 40
    calls = consultant.propose.spending.calls
    with pytest.raises(NotTrained, match="--from"):
        distil(model, consultant, lambda: batches(2000, 2060), lambda: [], count=60)
    assert consultant.propose.spending.calls == calls  # nothing was paid for it


class Silent(Wise):
    """Answers nothing, as `how` says."""

    def __init__(self, how: LanguageModelError) -> None:
        self.how = how

    async def ask(self, request: Request) -> Reply:
        raise self.how


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [(NeedsKey("who are you"), NeedsKey, "who are you"),
     (BadReply("I refuse"), NotTrained, "None of 10 products .* because I refuse")],
)  # fmt: skip
def test_a_teacher_that_says_nothing_makes_no_student(
    model: Model, how: LanguageModelError, kind: type[Exception], says: str
) -> None:
    asker = Asker(Silent(how), LanguageModelSettings())
    consultant = Consultant(asker, asker, model.library)
    people = batches(1000, 1020, tagged=True)
    with pytest.raises(kind, match=says):
        distil(model, consultant, lambda: batches(2000, 2010), lambda: people, count=10)


def test_a_student_learns_what_the_budget_paid_for(model: Model) -> None:
    prices = {"price_input": 1.0, "price_output": 1.0, "max_concurrency": 4}
    asker = Asker(Wise(), LanguageModelSettings(**prices, budget=0.2))
    asker.spending.cost = 0.2 - 0.06  # what is left pays for a few
    consultant = Consultant(asker, asker, model.library)
    people = list(as_batches(products(2000, 2020, tagged=True)))
    found = distil(
        model, consultant, lambda: batches(2000, 2100), lambda: people, count=60, rounds=1
    )
    assert "of the budget" in found.stopped
    assert 0 < found.asked < 60


def test_the_price_of_a_product_is_that_of_those_in_a_portion(model: Model) -> None:
    settings = LanguageModelSettings(price_input=1.0, budget=1.0, max_concurrency=8)
    asker = Asker(Wise(), settings)
    portions = Portions(Consultant(asker, asker, model.library), 64)
    sizes = []
    for batch in (*batches(2000, 2001), *batches(2001, 2065)):
        for portion in portions.of(batch):
            asker.spending.cost += 0.1 * portion.num_rows
            sizes.append(portion.num_rows)
            if asker.spending.cost >= 0.5:
                break
    assert sizes[:2] == [1, 4]  # 0.1 each, and 0.9 are left


def test_the_command_writes_a_model_and_says_what_it_brought(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "old")
    for name, rows in (
        ("pool", products(2000, 2200, tagged=False)), ("test", products(5000, 5100, tagged=True)),
        ("people", products(1000, 1100, tagged=True)),
    ):  # fmt: skip
        lines = [json.dumps(row) + "\n" for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    done = command(
        "distil", "pool.jsonl", "--model", "old", "-o", "new", "--labels", "50", "--from",
        "people.jsonl", "--test", "test.jsonl", "--llm-model", "scripted", "--json", cwd=tmp_path,
    )  # fmt: skip
    report = done.json()
    assert report["asked"] == 50
    assert report["labels"] >= 50
    assert 0 <= report["micro_f1_before"] <= 1
    assert report["micro_f1"] > report["micro_f1_before"]  # people's rows have the other words
    assert tagmill.load(tmp_path / "new").trained is not None
    again = command(
        "distil", "pool.jsonl", "--model", "old", "-o", "newer", "--labels", "50", "--from",
        "people.jsonl", "--llm-model", "scripted", cwd=tmp_path,
    )  # fmt: skip
    assert "0 calls" in again.err
    more = command(
        "distil", "pool.jsonl", "--model", "new", "-o", "newest", "--labels", "20", "--from",
        "people.jsonl", "--llm-model", "scripted", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert (more.json()["asked"], more.json()["before"]) == (20, 50)
    assert more.json()["labels"] > report["labels"]


def test_a_student_that_is_distilled_again_forgets_nothing(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[set[str]] = []

    def train(*_: object, verdicts: dict[str, dict[str, float]], **__: object) -> Model:
        told.append(set(verdicts))
        return replace(model, card={})

    monkeypatch.setattr("tagmill.learning.distil.train", train)
    asker = Asker(Wise(), LanguageModelSettings())
    consultant = Consultant(asker, asker, model.library)

    def again(student: Model, pool: list[pa.RecordBatch]) -> Distilled:
        people = batches(1000, 1020, tagged=True)
        return distil(student, consultant, lambda: pool, lambda: people, count=30, rounds=1)

    first = again(model, batches(2000, 2100))
    card = json.loads(json.dumps(first.model.card))
    calls = asker.spending.calls
    second = again(replace(model, card=card), batches(2000, 2100))
    assert (second.before, second.asked, len(told[1])) == (30, 30, 60)
    assert told[0] < told[1]
    assert asker.spending.calls < 3 * calls  # about the 30 others
    assert len(second.model.card["distilled"]) == 60
    rows = products(2000, 2100, tagged=False)
    others = list(as_batches([{**row, "title": f"new {row['title']}"} for row in rows]))
    assert again(replace(model, card=card), others).before == 0  # other products by these ids
    with pytest.raises(NotTrained, match="no product to ask about"):
        again(model, batches(1000, 1020))
