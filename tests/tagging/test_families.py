"""Answers about one product hold for its near-duplicates, where the model is seen to agree."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from tagmill.catalog import products_to_batch
from tagmill.errors import BadReply
from tagmill.language import Asker, Request
from tagmill.language.profiles import open_profile
from tagmill.library import Library
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings
from tagmill.tagging.cascade import Consulted, consult_batch
from tagmill.tagging.families import Agreement, family_texts, is_explored
from tagmill.tagging.folder import shipped_prior
from tagmill.tagging.llm import Consultant
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection

COLOURS = ("red", "blue", "green")


def library() -> Library:
    found = Library([])
    for name in COLOURS:
        found.add("colour", name)
    for name in ("linen", "silk"):
        found.add("material", name)
    return found


class Memory:
    """Answers in a dictionary."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}

    def find(self, keys: Sequence[str]) -> dict[str, Any]:
        return {key: self.answers[key] for key in keys if key in self.answers}

    def keep(self, answers: Mapping[str, Any]) -> None:
        self.answers |= json.loads(json.dumps(answers))


class Reader:
    """Picks what stands in the text; of material, if `fickle`, by chance of the whole text."""

    name = "reader"
    where = ""

    def __init__(self, *, fickle: bool = False) -> None:
        self.fickle = fickle
        self.offered: list[tuple[str, str]] = []  # (product, facet)
        self.names: list[str] = []

    def asked(self, facet: str) -> int:
        """Products that were asked about."""
        return sum(one == facet for _, one in self.offered)

    async def ask(self, request: Request) -> Reply:
        text = request.messages[-1]["content"]
        product = text[text.index("<product>") : text.index("</product>")]
        offers = re.findall(r"^(\d+)\. (\w+):(\w+)", text, re.MULTILINE)
        if not offers:
            return Reply("yes")
        self.offered += {(product, facet): None for _, facet, _ in offers}
        self.names += [name for _, _, name in offers]
        odd = self.fickle and hashlib.sha256(product.encode()).digest()[0] % 3 == 0
        tags = [
            {"number": int(number), "quote": name}
            for number, facet, name in offers
            if (name in product) != (odd and facet == "material")
        ]
        return Reply(json.dumps({"tags": tags, "new": []}))

    async def close(self) -> None:
        pass


def shirts(count: int, first: int = 0) -> pa.RecordBatch:
    """One shirt in three colours and so many lots, which say nothing."""
    return products_to_batch(
        [
            {
                "id": f"{i}",
                "title": f"linen shirt {COLOURS[i % 3]}",
                "description": f"{COLOURS[i % 3]} " * (i // 3),
            }
            for i in range(first, first + count)
        ]
    )


def consult(reader: Reader, memory: Memory | None, *batches: pa.RecordBatch) -> list[Consulted]:
    known = library()
    asker = Asker(reader, LanguageModelSettings())
    consultant = Consultant(asker, asker, known, memory)
    model = Model(known, shipped_prior())
    return [consult_batch(model, consultant, batch, Selection(lane="all")) for batch in batches]


def test_products_of_a_family_differ_in_other_facets() -> None:
    batch = products_to_batch(
        [
            {"id": "1", "title": "Linen shirt, RED", "attributes": {"colour": "red"}},
            {"id": "2", "title": "linen  shirt, Blue", "attributes": {"colour": "blue"}},
            {"id": "3", "title": "silk shirt, red", "attributes": {"colour": "red"}},
        ]
    )
    model = Model(library(), shipped_prior())
    hits = model.lexicon.find(batch)
    tags = model.library.tags
    facets = [tags[tag_id].facet for tag_id in hits.tag_ids]
    wanted = {row: ("colour", "material") for row in range(3)}
    texts = family_texts(batch, hits, facets, wanted, open_profile("product"))
    assert texts[0, "material"] == texts[1, "material"] != texts[2, "material"]
    assert texts[0, "colour"] == texts[2, "colour"] != texts[1, "colour"]


def test_safe_is_what_agreed_often_enough() -> None:
    agreement = Agreement()
    assert not agreement.is_safe("material")
    for count in range(95):
        assert agreement.is_safe("material") == (count >= 90)  # 0.95 ** 90 < 0.01
        agreement.note("material", same=True)
    for _ in range(3):
        agreement.note("material", same=False)
    assert not agreement.is_safe("material")


def test_a_family_is_asked_about_until_it_agrees() -> None:
    memory, reader = Memory(), Reader()
    consult(reader, memory, shirts(120))
    assert reader.asked("material") == 120  # nothing was known of this facet
    known = consult(reader, memory, shirts(300, 120))[0]
    asked = reader.asked("material") - 120
    explored = sum(is_explored(text) for text in map(written_of, shirts(300, 120).to_pylist()))
    assert 0 < explored < 12
    assert asked == explored
    assert reader.asked("colour") == 420  # red says nothing of blue
    assert known.opinions.reused == 300 - explored
    alone = consult(Reader(), None, shirts(300, 120))[0]
    assert known.tagged.column("tags") == alone.tagged.column("tags")


def written_of(product: dict[str, Any]) -> str:
    from tagmill.language.prompts import prompt_language, write_product

    return write_product(product, prompt_language(product["language"]), open_profile("product"))


def test_within_a_batch_the_first_speaks_for_the_others() -> None:
    memory, reader = Memory(), Reader()
    consult(reader, memory, shirts(120))
    silk = products_to_batch(
        [{"id": f"{i}", "title": f"silk tie {COLOURS[i % 3]}"} for i in range(3)]
    )
    found = consult(reader, memory, silk)[0]
    assert reader.names.count("silk") == 1
    assert found.opinions.reused == 2
    assert [
        next(tag["name"] for tag in tags if tag["facet"] == "material")
        for tags in found.tagged.column("tags").to_pylist()
    ] == ["silk"] * 3


@pytest.mark.parametrize("fickle", [False, True])
def test_a_model_that_disagrees_with_itself_is_asked_on(fickle: bool) -> None:
    memory, reader = Memory(), Reader(fickle=fickle)
    consult(reader, memory, *(shirts(60, first) for first in range(0, 360, 60)))
    if fickle:
        assert reader.asked("material") == 360
    else:
        assert reader.asked("material") < 160


def test_that_neither_has_a_tag_does_not_make_a_facet_safe() -> None:
    class Blind(Reader):
        """Sees no material."""

        async def ask(self, request: Request) -> Reply:
            reply = await super().ask(request)
            return Reply('{"tags": [], "new": []}' if "{" in reply.text else reply.text)

    memory, reader = Memory(), Blind()
    consult(reader, memory, *(shirts(60, first) for first in range(0, 240, 60)))
    assert reader.asked("material") == 240


def test_a_failed_answer_is_not_handed_on() -> None:
    memory, reader = Memory(), Reader()
    consult(reader, memory, shirts(120))

    class Broken(Reader):
        async def ask(self, request: Request) -> Reply:
            return Reply("no JSON at all")

    silk = products_to_batch([{"id": "1", "title": "silk tie"}, {"id": "2", "title": "silk tie"}])
    found = consult(Broken(), memory, silk)[0]
    assert set(found.opinions.failed) == {0, 1}
    assert found.products.num_rows == 0


def test_an_answer_that_was_not_verified_is_not_handed_on() -> None:
    memory, reader = Memory(), Reader()
    consult(reader, memory, shirts(120))

    class Unsure(Reader):
        async def ask(self, request: Request) -> Reply:
            if request.max_tokens == 1:
                raise BadReply("no questions of that kind")
            return await super().ask(request)

    silk = products_to_batch([{"id": "1", "title": "silk tie"}, {"id": "2", "title": "silk tie"}])
    found = consult(Unsure(), memory, silk)[0].opinions
    assert set(found.failed) == {0, 1}
    assert not found.pairs
    again = consult(Reader(), memory, silk)[0].opinions
    assert not again.failed
    verified = {row for (row, _), answer in again.pairs.items() if answer.yes is not None}
    assert verified == {0, 1}
