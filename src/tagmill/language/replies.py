"""What a model's reply says, once nothing in it is taken on trust.

A choice counts when its number was offered; a quote when it stands in the product's text. Anything
else in a reply, whatever a product's text talked the model into, has no effect.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tagmill.errors import BadReply
from tagmill.records import Reply, Span, Tag
from tagmill.text import fold, normal_form

__all__ = [
    "CHOICES_SCHEMA",
    "DESCRIPTION_SCHEMA",
    "Choices",
    "NewName",
    "Sentence",
    "Verification",
    "ground",
    "read_choices",
    "read_sentences",
    "read_verification",
]

_YES = frozenset("是 对 适用 符合 yes y true correct applies".split())
_NO = frozenset("否 不 不是 不适用 不符合 没有 no n false incorrect not".split())
_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_LATIN = re.compile(r"[^\W\d_\u2e80-\U0003ffff]{2}|\d{2}")  # two of one word or number
_NEW_NAMES, _NAME_CHARACTERS = 10, 60  # of one product
_SENTENCES = 20
_WORD = re.compile(r"[a-z]+|[\u4e00-\u9fff]+")
_LEAD = re.compile(r"^(?:(?:the )?(?:final )?answer(?: is)?\b[\s:*]*|答案[是为]?\s*[:：][\s*]*)")
# The two words of the question: who says both, or asks back, has not decided.
_BOTH = re.compile(
    r"(?:yes|是)\s*(?:[/|、]|or|或者?)\s*(?:no\b|否|不是)|(?:no|否)\s*(?:[/|、]|or|或者?)\s*(?:yes\b|是)"
    r"|是否|是不是|对不对|适不适用|符不符合"
)
_MARKS = " \t\r\n*_`'\"“”‘’.。,，:：#"
_TOLD = 0.05  # of a token's mass that must say yes or no: less is noise
_LEAST = 1e-6  # a probability that a model calls certain is not

_TEXT = {"type": "string"}


def _object(**properties: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list_of(**properties: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": "array", "items": _object(**properties)}


CHOICES_SCHEMA = _object(
    tags=_list_of(number={"type": "integer"}, quote=_TEXT),
    new=_list_of(facet=_TEXT, name=_TEXT, quote=_TEXT),
)
DESCRIPTION_SCHEMA = _object(sentences=_list_of(text=_TEXT, quote=_TEXT))


@dataclass(frozen=True)
class NewName:
    """A name that is not in the library, for a proposal; its words stand in the product."""

    facet: str
    name: str
    evidence: Span
    quote: str = ""  # as the model wrote it: what was redacted is not restored


@dataclass(frozen=True)
class Choices:
    """The offered tags that were chosen, each with its evidence where the quote was found."""

    chosen: Mapping[str, Span | None]  # by tag id
    new: tuple[NewName, ...] = ()
    quotes: Mapping[str, str] = field(default_factory=dict)  # as the model wrote them, by tag id


@dataclass(frozen=True)
class Verification:
    """P(yes) in (0, 1); without `measured` the server gave no logprobs and it is all or nothing."""

    probability: float
    measured: bool


@dataclass(frozen=True)
class Sentence:
    """A sentence of a description, and where the product's text says so; None: it does not."""

    text: str
    evidence: Span | None


def read_choices(
    reply: Reply,
    offered: Sequence[Tag],
    product: Mapping[str, Any],
    *,
    closed: bool = False,
    restore: Callable[[str], str] = str,
) -> Choices:
    """The choices among `offered`, numbered from 1, and new names where not `closed`.

    `restore` puts back what was redacted before it was sent. Raises BadReply where the reply is no
    JSON of this shape at all.
    """
    answer = _json_of(reply)
    chosen: dict[str, Span | None] = {}
    quotes: dict[str, str] = {}
    for entry in _entries(answer, "tags"):
        number = _number(entry.get("number"))
        if number is None or not 1 <= number <= len(offered):
            continue
        span = ground(_restored(entry.get("quote"), restore), product)
        tag_id = offered[number - 1].id
        if chosen.setdefault(tag_id, span) is None and span is not None:
            chosen[tag_id] = span
        if span is not None:
            quotes.setdefault(tag_id, _plain(entry.get("quote")))
    if closed:
        return Choices(chosen, (), quotes)
    new: dict[tuple[str, str], NewName] = {}
    for entry in _entries(answer, "new"):
        name, facet = _plain(entry.get("name")), _plain(entry.get("facet")).replace(":", " ")
        span = ground(_restored(entry.get("quote"), restore), product)
        short = len(name) <= _NAME_CHARACTERS and len(facet) <= _NAME_CHARACTERS
        if name and short and span is not None and len(new) < _NEW_NAMES:
            quote = _plain(entry.get("quote"))
            new.setdefault((facet, normal_form(name)), NewName(facet, name, span, quote))
    return Choices(chosen, tuple(new.values()), quotes)


def read_verification(reply: Reply) -> Verification | None:
    """P(yes) from the first token that says yes or no, or else from the text; None: neither says
    so."""
    for alternatives in reply.logprobs:
        mass = {True: 0.0, False: 0.0}
        for text, logprob in alternatives.items():
            says = _says(text)
            if says is not None:
                mass[says] += math.exp(logprob)
        total = mass[True] + mass[False]
        if total >= _TOLD:
            return Verification(min(max(mass[True] / total, _LEAST), 1 - _LEAST), measured=True)
    says = _says(_THOUGHT.sub("", reply.text))
    if says is None:
        return None
    return Verification(1 - _LEAST if says else _LEAST, measured=False)


def _says(text: str) -> bool | None:
    """Whether a text begins with a word for yes (True) or no (False); None: with neither."""
    said = _LEAD.sub("", text.casefold().strip(_MARKS), count=1)
    start = _WORD.match(fold(said.strip(_MARKS)).text.strip())
    if start is None or _BOTH.match(said):
        return None
    word = start.group()
    if word.isascii():
        return True if word in _YES else False if word in _NO else None
    for words, says in ((_NO, False), (_YES, True)):  # 不是 begins with no word for yes
        if any(word.startswith(one) for one in words if not one.isascii()):
            return says
    return None


def read_sentences(
    reply: Reply, product: Mapping[str, Any], *, restore: Callable[[str], str] = str
) -> list[Sentence]:
    """The sentences of a description, each with the place its quote stands. Raises BadReply."""
    sentences = [
        Sentence(restore(text), ground(_restored(entry.get("quote"), restore), product))
        for entry in _entries(_json_of(reply), "sentences")[:_SENTENCES]
        if (text := _plain(entry.get("text")))
    ]
    if not sentences:
        raise BadReply("The answer has no sentence")
    return sentences


def ground(quote: object, product: Mapping[str, Any]) -> Span | None:
    """Where a quote stands in the product: word for word, else as folded text; None: nowhere."""
    if not isinstance(quote, str) or not (wanted := quote.strip().strip("\"'“”‘’…。.")):
        return None
    fields = _fields(product)
    for name, text in fields:
        start = _find(text, wanted)
        if start >= 0:
            return Span(name, start, start + len(wanted), wanted)
    folded = fold(wanted).text.strip()
    for name, text in fields if folded else ():
        within = fold(text)
        start = _find(within.text, folded)
        if start >= 0:
            first, last = within.span(start, start + len(folded))
            return Span(name, first, last, text[first:last])
    return None


def _find(text: str, wanted: str) -> int:
    """Where `wanted` stands first, not within a longer Latin word or number; -1: nowhere."""
    start = text.find(wanted)
    while start >= 0:
        before, after = text[start - 1 : start], text[start + len(wanted) :][:1]
        inside = _LATIN.match(before + wanted[0]) or _LATIN.match(wanted[-1] + after)
        if not inside:
            return start
        start = text.find(wanted, start + 1)
    return -1


def _fields(product: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and text of each field; a repeated attribute is numbered: `attributes.颜色#2`."""
    fields = [(name, product.get(name) or "") for name in ("title", "description", "category")]
    seen: dict[str, int] = {}
    for name, value in product.get("attributes") or ():
        seen[name] = seen.get(name, 0) + 1
        number = f"#{seen[name]}" if seen[name] > 1 else ""
        fields.append((f"attributes.{name}{number}", value or ""))
    return [(name, text) for name, text in fields if text]


def _json_of(reply: Reply) -> Mapping[str, Any]:
    """The first JSON object of a reply, whatever stands around it."""
    text = _THOUGHT.sub("", reply.text)
    start = text.find("{")
    try:
        answer, _ = json.JSONDecoder().raw_decode(text, max(start, 0))
    except (ValueError, RecursionError) as error:
        cut = "" if reply.complete else "it was cut off, "
        raise BadReply(f"The answer is not JSON ({cut}{error}): {reply.text[:80]!r}") from error
    if not isinstance(answer, Mapping):
        raise BadReply(f"The answer is not a JSON object: {reply.text[:80]!r}")
    return answer


def _entries(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list; BadReply where there is no list."""
    listed = answer.get(name, [] if name == "new" else None)
    if not isinstance(listed, list):
        raise BadReply(f"The answer has no list '{name}': {str(answer)[:80]}")
    return [entry for entry in listed if isinstance(entry, Mapping)]


def _restored(value: object, restore: Callable[[str], str]) -> object:
    return restore(value) if isinstance(value, str) else value


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value.strip()[:9])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _plain(value: object) -> str:
    """Text on one line without null characters; empty for anything else."""
    if not isinstance(value, str):
        return ""
    text = value.encode("utf-8", "replace").decode()  # JSON may escape half a character
    return " ".join(text.replace("\0", "").split())
