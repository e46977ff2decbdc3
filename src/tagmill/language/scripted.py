"""A stand-in for a large language model: answers by looking for words, needs no model and no money.

It makes dry runs, tests and demos work end to end. A tag is chosen, and verified, where its name
or an alias stands in the product's text; nothing more is claimed for it.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache

from tagmill.language.client import Request, guess_tokens
from tagmill.language.profiles import open_profile, shipped_profiles
from tagmill.records import Reply
from tagmill.text import fold

__all__ = ["ScriptedModel"]

_PRODUCT = re.compile(r"<product>\n?(.*?)\n?</product>", re.DOTALL)
_OFFER = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)
_TAG = re.compile(r"^(?:Tag: |标签：)(.+)$", re.MULTILINE)
_PAIR = re.compile(
    r"^(?:First tag: |第一个标签：)(.+)\n(?:Second tag: |第二个标签：)(.+)$", re.MULTILINE
)
_SURE, _UNSURE = 0.95, 0.05


class ScriptedModel:
    """Answers the prompts of the shipped profiles, and of the library."""

    name = "scripted"
    where = ""

    async def ask(self, request: Request) -> Reply:
        """The answer, at once, and about how many tokens it has."""
        asked = request.messages[-1]["content"]
        found = _PRODUCT.search(asked)
        product = _labels().sub("", found.group(1)) if found else ""
        rest = asked[found.end() :] if found else asked
        logprobs: tuple[dict[str, float], ...] = ()
        if offered := _OFFER.findall(rest):
            text = _choose(product, offered)
        elif pair := _PAIR.search(rest):
            text, logprobs = _answer(_say_the_same(*pair.groups()), rest, request.top_logprobs > 0)
        elif tag := _TAG.search(rest):
            text, logprobs = _judge(product, tag.group(1), request.top_logprobs > 0)
        else:
            text = _describe(product)
        size = sum(guess_tokens(message["content"]) for message in request.messages)
        return Reply(text, logprobs, input_tokens=size, output_tokens=guess_tokens(text))

    async def close(self) -> None:
        """Nothing is open."""


@cache
def _labels() -> re.Pattern[str]:
    """The labels of fields at the beginning of lines, of all shipped profiles."""
    profiles = [open_profile(name) for name in shipped_profiles()]
    labels = {label for p in profiles for names in p.fields.values() for label in names.values()}
    written = "|".join(re.escape(label) for label in sorted(labels))
    return re.compile(rf"^(?:{written})(?:：|: )", re.MULTILINE)


def _choose(product: str, offered: list[tuple[str, str]]) -> str:
    quotes = ((int(number), _quote(product, line)) for number, line in offered)
    tags = [{"number": number, "quote": quote} for number, quote in quotes if quote]
    return json.dumps({"tags": tags, "new": []}, ensure_ascii=False)


def _judge(product: str, line: str, has_logprobs: bool) -> tuple[str, tuple[dict[str, float], ...]]:
    return _answer(bool(_quote(product, line)), line + product, has_logprobs)


def _say_the_same(first: str, second: str) -> bool:
    """Whether two tags are told in the same words, whatever their order."""
    words = ({*fold(line.partition(":")[2]).text.split()} for line in (first, second))
    return bool(set.intersection(*words))


def _answer(
    says_yes: bool, asked: str, has_logprobs: bool
) -> tuple[str, tuple[dict[str, float], ...]]:
    yes = _SURE if says_yes else _UNSURE
    chinese = re.search(r"[\u4e00-\u9fff]", asked) is not None
    words = ("是", "否") if chinese else ("yes", "no")
    text = words[yes < 0.5]
    alternatives = dict(zip(words, (math.log(yes), math.log(1 - yes)), strict=True))
    return text, ((alternatives,) if has_logprobs else ())


def _describe(product: str) -> str:
    lines = [line.strip() for line in product.splitlines()]
    sentences = [{"text": line, "quote": line} for line in lines if line]
    return json.dumps({"sentences": sentences}, ensure_ascii=False)


def _quote(product: str, line: str) -> str:
    """The words of the product that a tag's name consists of; empty where they are not there."""
    name = line.split(" — ")[0].split(":", 1)[-1]
    within, wanted = fold(product), fold(name).text.strip()
    start = f" {within.text} ".find(wanted) - 1 if wanted else -1
    if start < 0:
        return ""
    first, last = within.span(start, start + len(wanted))
    return product[first:last]
