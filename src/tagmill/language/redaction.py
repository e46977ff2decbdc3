"""Personal data in a text, and placeholders that stand for it on the way to a language model.

This is ours because presidio, the usual library, has no good recognisers for mainland China: its
mobile numbers, identity cards, bank cards, addresses and names, written as merchants write them.
`redact` is no proof of absence: the field policy (`privacy`) keeps back what must never leave.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from tagmill.language.personal_accounts import emails, qq_accounts, wechat_accounts
from tagmill.language.personal_addresses import chinese_addresses, english_addresses
from tagmill.language.personal_names import names
from tagmill.language.personal_numbers import bank_cards, id_cards, phones
from tagmill.text import traditional_to_simplified

__all__ = ["KINDS", "Span", "Vault", "find_personal_data", "legible", "redact"]

# The order in which kinds take a stretch of text that several claim, and the digits each needs.
_RECOGNISERS = (
    ("email", 0, emails),
    ("id_card", 14, id_cards),
    ("bank_card", 13, bank_cards),
    ("phone", 7, phones),
    ("wechat", 0, wechat_accounts),
    ("qq", 5, qq_accounts),
    ("address", 0, chinese_addresses),
    ("address", 1, english_addresses),
)
_DIGIT = re.compile(r"\d")
KINDS = ("phone", "id_card", "bank_card", "email", "address", "name", "wechat", "qq")
_LITERAL = "text"  # what looked like a placeholder before


@dataclass(frozen=True, order=True)
class Span:
    """Characters `[start, end)` of a text that are personal data of a kind, one of `KINDS`."""

    start: int
    end: int
    kind: str


def find_personal_data(text: str) -> list[Span]:
    """Personal data of a text, in its order and without overlaps; offsets count characters."""
    plain = legible(text)
    taken = bytearray(len(plain))
    spans: list[Span] = []
    digits = len(_DIGIT.findall(plain))
    for kind, least, recognise in _RECOGNISERS:
        for start, end in recognise(plain) if digits >= least else ():
            _take(spans, taken, Span(start, end, kind))
    others: dict[str, list[tuple[int, int]]] = {}
    for span in spans:
        others.setdefault(span.kind, []).append((span.start, span.end))
    for start, end in names(plain, others):
        _take(spans, taken, Span(start, end, "name"))
    return sorted(spans)


def _take(spans: list[Span], taken: bytearray, span: Span) -> None:
    if not any(taken[span.start : span.end]):
        taken[span.start : span.end] = b"\1" * (span.end - span.start)
        spans.append(span)


@cache
def _folding() -> dict[int, str]:
    """Character → the one that recognisers know: half width, Simplified, plain marks."""
    table = dict(traditional_to_simplified())
    table |= {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    table |= dict.fromkeys(map(ord, "\u3000\xa0\u2002\u2003\u2009\u200b\u200c\u200d\ufeff\t"), " ")
    table |= dict.fromkeys(map(ord, "‐‑‒–—―−－"), "-")
    table |= dict.fromkeys(map(ord, "•‧・"), "·")
    table |= dict(zip(map(ord, "⓪①②③④⑤⑥⑦⑧⑨"), "0123456789", strict=True))
    table[ord("臺")] = "台"
    return table


_NUMERALS = "〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖"
_SPELLED = re.compile(f"[{_NUMERALS}](?:[ -]?[{_NUMERALS}]){{6,}}")
_SPELLED_DIGITS = str.maketrans(_NUMERALS, "001234567891123456789")


def legible(text: str) -> str:
    """The text with the same number of characters, each in its plain form.

    Full width becomes half width, Traditional becomes Simplified, an invisible space a space,
    一三八零零… digits: merchants write so past the filters of platforms.
    """
    plain = text.translate(_folding())
    return _SPELLED.sub(lambda match: match.group().translate(_SPELLED_DIGITS), plain)


def _written(kind: str) -> str:
    return kind.upper().replace("_", r"[\s_＿\\-]*")


# As models give placeholders back: [PHONE_1], [phone 1], 【PHONE_1】, PHONE_1.
_WRITTEN_KINDS = "|".join(map(_written, (*KINDS, _LITERAL)))
_PLACEHOLDER = re.compile(
    rf"[\[［【〔]\s*(?i:(?P<kind>{_WRITTEN_KINDS}))[\s_＿\\-]*(?P<number>\d{{1,6}})\s*[\]］】〕]"
    rf"|(?<![A-Za-z0-9_])(?P<bare>{'|'.join((*KINDS, _LITERAL)).upper()})"
    r"_(?P<bare_number>\d{1,6})(?![A-Za-z0-9_])"
)


class Vault:
    """What the placeholders of one request stand for. It stays in the process and is not stored."""

    def __init__(self) -> None:
        self._placeholders: dict[tuple[str, str], str] = {}
        self._values: dict[tuple[str, int], str] = {}
        self._counts: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"Vault({self.counts})"  # a log must not show the values

    @property
    def counts(self) -> dict[str, int]:
        """How many different values of each kind it holds; for the record of what was sent."""
        return {kind: self._counts[kind] for kind in KINDS if self._counts[kind]}

    def fork(self) -> Vault:
        """One that begins with what this one holds: what either learns later, only it knows.

        So the placeholders of a prompt do not depend on the prompts before it.
        """
        fork = Vault()
        fork._placeholders, fork._values = self._placeholders.copy(), self._values.copy()
        fork._counts = self._counts.copy()
        return fork

    def placeholder(self, kind: str, value: str) -> str:
        """What stands for a value as it is written: `[PHONE_1]`, for the same value the same."""
        key = (kind, value)
        if key not in self._placeholders:
            self._counts[kind] += 1
            self._values[kind, self._counts[kind]] = value
            self._placeholders[key] = f"[{kind.upper()}_{self._counts[kind]}]"
        return self._placeholders[key]

    def restore(self, text: str) -> str:
        """The text with the original of each placeholder; others, which models make up, stay.

        `restore(redact(text, vault))` is the text. A quote of the redacted text becomes a quote of
        the original, to be found in it.
        """
        return _PLACEHOLDER.sub(self._original, text)

    def _original(self, match: re.Match[str]) -> str:
        kind = re.sub(r"[\s_＿\\-]+", "_", match["kind"] or match["bare"]).lower()
        kind = {"idcard": "id_card", "bankcard": "bank_card"}.get(kind, kind)
        number = int(match["number"] or match["bare_number"])
        return self._values.get((kind, number), match.group())


def redact(text: str, vault: Vault, label: str = "") -> str:
    """The text with a placeholder for each piece of personal data, whose originals `vault` keeps.

    `label` is what the text is the value of, such as the name of an attribute: after 收货人 a name
    is a person's. What looks like a placeholder already is replaced by one as well.
    """
    before = f"{label}:" if label else ""
    spans = [
        Span(max(0, span.start - len(before)), span.end - len(before), span.kind)
        for span in find_personal_data(before + text)
        if span.end > len(before)
    ]
    pieces: list[str] = []
    done = 0
    for span in spans:
        pieces.append(_escaped(text[done : span.start], vault))
        pieces.append(vault.placeholder(span.kind, text[span.start : span.end]))
        done = span.end
    return "".join([*pieces, _escaped(text[done:], vault)])


def _escaped(text: str, vault: Vault) -> str:
    return _PLACEHOLDER.sub(lambda match: vault.placeholder(_LITERAL, match.group()), text)
