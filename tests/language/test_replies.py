"""Whatever a reply holds, only what was offered comes out, and only evidence that stands there."""

from __future__ import annotations

import json
import random

import pytest

from tagmill.errors import BadReply
from tagmill.language.client import read_body
from tagmill.language.replies import (
    Choices,
    ground,
    read_choices,
    read_sentences,
    read_verification,
)
from tagmill.records import Reply, Tag, tag_id

PRODUCT = {
    "title": "高清液晶电视 65寸，4K分辨率",
    "description": "HDR功能，超薄机身。Smart TV with remote control",
    "category": "家电 > 电视",
    "attributes": [("分辨率", "3840x2160"), ("颜色", "黑"), ("颜色", "银 灰")],
}
TAGS = [Tag(tag_id("品类", name), "品类", name) for name in ("4K电视", "液晶电视", "冰箱")]


def choices(answer: object, *, closed: bool = False) -> Choices:
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return read_choices(Reply(text), TAGS, PRODUCT, closed=closed)


def chosen(answer: object) -> dict[str, str | None]:
    names = {tag.id: tag.name for tag in TAGS}
    found = choices(answer).chosen
    return {names[key]: span.text if span else None for key, span in found.items()}


def test_choices_with_their_evidence() -> None:
    answer = {"tags": [{"number": 1, "quote": "4K分辨率"}, {"number": 2, "quote": "液晶电视"}]}
    assert chosen(answer) == {"4K电视": "4K分辨率", "液晶电视": "液晶电视"}
    span = choices(answer).chosen[TAGS[0].id]
    assert span is not None
    assert (span.field, span.start, span.end) == ("title", 11, 16)
    assert PRODUCT["title"][11:16] == "4K分辨率"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"tags": []}, {}),
        ({"tags": [{"number": 0, "quote": "4K"}, {"number": 4, "quote": "4K"}]}, {}),
        ({"tags": [{"number": -1}, {"number": 1.0}, {"number": True}, {"number": None}]}, {}),
        ({"tags": [{"number": "2", "quote": "液晶"}]}, {"液晶电视": "液晶"}),
        ({"tags": [{"number": 3, "quote": "双门冰箱"}]}, {"冰箱": None}),  # nowhere in the text
        ({"tags": [{"number": 3}]}, {"冰箱": None}),
        ({"tags": [{"number": 1}, {"number": 1, "quote": "4K"}]}, {"4K电视": "4K"}),
        ({"tags": [1, "2", None, ["number", 3]]}, {}),
        ({"tags": [{"name": "冰箱", "number": "冰箱"}]}, {}),
        ({"tags": [{"number": 10**400}]}, {}),
        ('```json\n{"tags": [{"number": 2, "quote": ""}]}\n```', {"液晶电视": None}),
        ('<think>{"tags": [{"number": 3}]}</think>{"tags": []} and more', {}),
        ({"tags": [{"number": i, "quote": "4K"} for i in range(10_000)]}, {
            "4K电视": "4K", "液晶电视": "4K", "冰箱": "4K"}),
    ],
)  # fmt: skip
def test_only_what_was_offered_comes_out(answer: object, expected: dict[str, str | None]) -> None:
    assert chosen(answer) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "no", '{"tags": [{"number": 1', '{"tags"', "[1, 2]", '{"tags": "1, 2"}', "{}",
        '{"new": []}', '{"tags": {"number": 1}}', "null", "{" * 5000, '{"tags": [1e', "\x00",
    ],
)  # fmt: skip
def test_what_is_no_answer_is_said_to_be_none(text: str) -> None:
    with pytest.raises(BadReply):
        choices(text)


def test_a_reply_that_was_cut_off_says_so() -> None:
    with pytest.raises(BadReply, match="cut off"):
        read_choices(Reply('{"tags": [', complete=False), TAGS, PRODUCT)


def test_new_names_need_evidence_and_closed_means_closed() -> None:
    new = [
        {"facet": "功能", "name": "HDR", "quote": "HDR功能"},
        {"facet": "功能", "name": "hdr", "quote": "HDR功能"},  # the same name
        {"facet": "功能", "name": "防水", "quote": "防水等级IP68"},  # the text does not say so
        {"facet": "a:b", "name": "超薄\n机身", "quote": "超薄机身"},
        {"facet": "功能", "name": "x" * 500, "quote": "HDR"},
        {"name": "", "quote": "HDR"},
        {"facet": 3, "name": ["HDR"], "quote": "HDR"},
    ]
    found = choices({"tags": [], "new": new}).new
    assert [(one.facet, one.name) for one in found] == [("功能", "HDR"), ("a b", "超薄 机身")]
    assert choices({"tags": [], "new": new}, closed=True).new == ()


def test_a_flood_of_new_names_is_cut() -> None:
    new = [{"facet": "f", "name": f"name{i}", "quote": "HDR"} for i in range(1000)]
    assert len(choices({"tags": [], "new": new}).new) == 10


def test_random_garbage_never_leaves_the_offer() -> None:
    """Broken, truncated and shuffled answers: each is refused, or names offered tags only."""
    chance = random.Random(5)
    whole = json.dumps(
        {"tags": [{"number": 1, "quote": "4K"}, {"number": 2, "quote": "液晶"}],
         "new": [{"facet": "功能", "name": "HDR", "quote": "HDR功能"}]},
        ensure_ascii=False,
    )  # fmt: skip
    offered = {tag.id for tag in TAGS}
    read = 0
    for _ in range(3000):
        letters = list(whole)
        for _ in range(chance.randrange(4)):
            place = chance.randrange(len(letters))
            letters[place] = chance.choice('{}[]",:0123456789e-\\ntru冰箱\x00')
        whole_length = chance.random() < 0.5
        text = "".join(letters if whole_length else letters[: chance.randrange(len(letters))])
        try:
            found = choices(text)
        except BadReply:
            continue
        read += 1
        assert set(found.chosen) <= offered
        fields = {"title", "description", "category", "attributes.分辨率"}
        for span in [*found.chosen.values(), *(one.evidence for one in found.new)]:
            assert span is None or span.field in fields
    assert read > 100


@pytest.mark.parametrize(
    ("quote", "field", "text"),
    [
        ("smart tv", "description", "Smart TV"),
        ("“remote control”", "description", "remote control"),
        ("4k 分辨率", "title", "4K分辨率"),
        ("银灰", "attributes.颜色#2", "银 灰"),
        ("3840x2160", "attributes.分辨率", "3840x2160"),
        ("家电", "category", "家电"),
    ],
)
def test_a_quote_is_found_also_where_it_is_written_otherwise(
    quote: str, field: str, text: str
) -> None:
    span = ground(quote, PRODUCT)
    assert span is not None
    assert (span.field, span.text) == (field, text)


@pytest.mark.parametrize("quote", [None, 3, "", "  ", "。", "mote cont", "384", "冰箱", ["4K"]])
def test_a_quote_that_stands_nowhere(quote: object) -> None:
    assert ground(quote, PRODUCT) is None


def test_part_of_a_word_is_no_evidence() -> None:
    product = {"title": "a hundred red shoes"}
    span = ground("red", product)
    assert span is not None
    assert span.start == 10


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [
        ([{"是": -0.1, "否": -3.0}], 0.948),
        ([{"yes": -1.0, "Yes": -1.5, "no": -2.0, "No": -9.0}], 0.8135),
        ([{"\n": -0.1}, {"否": -0.05, "是": -4.0}], 0.019),
        ([{"no": -0.0}], 1e-6),
        ([{"maybe": -0.1, "yes": -3.0, "no": -3.0}], 0.5),
    ],
)
def test_the_probability_of_yes(logprobs: list[dict[str, float]], expected: float) -> None:
    found = read_verification(Reply("?", tuple(logprobs)))
    assert found is not None
    assert found.measured
    assert found.probability == pytest.approx(expected, abs=1e-3)


def test_logprobs_count_also_where_the_token_is_blank() -> None:
    tokens = [{"token": "\n", "logprob": -0.1, "top_logprobs": [{"token": "是", "logprob": -1.0}]}]
    choice = {"message": {"content": ""}, "finish_reason": "length"}
    body = {"choices": [{**choice, "logprobs": {"content": tokens}}]}
    found = read_verification(read_body(200, body, "m"))
    assert found is not None
    assert found.probability > 0.9


def test_noise_among_the_alternatives_is_no_probability() -> None:
    found = read_verification(Reply("否", ({"<think>": -1e-9, "Yes": -20.0, "No": -16.0},)))
    assert found is not None
    assert not found.measured
    assert found.probability < 0.5
    told = read_verification(Reply("是的", ({"是的": -0.02, "否": -5.3},)))
    assert told is not None
    assert told.measured
    assert told.probability > 0.9


@pytest.mark.parametrize(
    ("text", "yes"),
    [("是", True), ("是的，适用。", True), ("Yes.", True), ("不适用", False), ("No, it is", False),
     ("<think>yes?</think>否", False), ("不是", False), ("**Yes**", True),
     ("對", True), ("沒有", False), ("答案：是", True), ("答案是：否", False),
     ("Answer: no", False), ("**Answer:** Yes", True), ("The answer is no.", False),
     ("No, yes-men", False), ("是，否则不会", True)],
)  # fmt: skip
def test_without_logprobs_the_text_counts(text: str, yes: bool) -> None:
    found = read_verification(Reply(text))
    assert found is not None
    assert not found.measured
    assert (found.probability > 0.5) == yes


@pytest.mark.parametrize(
    "text", ["maybe", "", "42", "yesterday", "它很好", "是否", "yes/no", "Yes or No", "是/否",
             "是不是适用？", "答案：", "answers"],
)  # fmt: skip
def test_neither_yes_nor_no(text: str) -> None:
    assert read_verification(Reply(text)) is None


def test_sentences_keep_what_the_text_supports() -> None:
    answer = {"sentences": [
        {"text": "这是一台4K电视。", "quote": "4K分辨率"},
        {"text": "它获得了欧盟认证。", "quote": "CE认证"},
        {"text": " ", "quote": "4K"},
    ]}  # fmt: skip
    found = read_sentences(Reply(json.dumps(answer)), PRODUCT)
    assert [(one.text, one.evidence is not None) for one in found] == [
        ("这是一台4K电视。", True), ("它获得了欧盟认证。", False),
    ]  # fmt: skip
    with pytest.raises(BadReply, match="no sentence"):
        read_sentences(Reply('{"sentences": []}'), PRODUCT)
