"""Whether tags mean the same, by a large language model: for pairs that names leave in doubt.

Its P(yes) moves the odds of the names by half of its own; weights stated, not fitted. Answers are
kept by the store of the asker, so that a pair costs once as long as its names stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tagmill.language import Asker, Question, Request
from tagmill.language.client import ALTERNATIVES
from tagmill.language.privacy import text_to_send
from tagmill.language.prompts import library_prompt
from tagmill.language.redaction import Vault
from tagmill.language.replies import Verification, read_verification
from tagmill.library.duplicates import Duplicate
from tagmill.library.vocabulary import Library
from tagmill.records import Tag
from tagmill.settings import PrivacySettings
from tagmill.text import is_unspaced

__all__ = ["ask_about_pairs"]

_DOUBT = (0.02, 0.98)
_WEIGHT, _MOST = 0.5, 6.0  # of its log-odds, within these
_UNMEASURED = 1.5  # added or taken where the server gives no probability
_TOKENS, _NAMES = 16, 8


def ask_about_pairs(
    asker: Asker,
    library: Library,
    pairs: Sequence[Duplicate],
    privacy: PrivacySettings | None = None,
) -> list[Duplicate]:
    """The pairs, those in doubt with the model's opinion in their probability and reasons; the
    most probable first. One that is not answered stays as it is.

    Without `privacy` the model is on this machine, and nothing is held back.
    Raises LanguageModelError where asking on is in vain, BudgetExceeded.
    """
    judged = list(pairs)
    doubtful = [i for i, pair in enumerate(pairs) if _DOUBT[0] <= pair.probability <= _DOUBT[1]]
    for answer in asker.ask_all(_questions(library, pairs, doubtful, privacy)):
        if answer.value is not None:
            judged[answer.about] = _weighed(pairs[answer.about], answer.value)
    return sorted(judged, key=lambda one: (-one.probability, one.a.text, one.b.text))


def _questions(
    library: Library,
    pairs: Sequence[Duplicate],
    places: Iterable[int],
    privacy: PrivacySettings | None,
) -> Iterator[Question[int, Verification | None]]:
    for place in places:
        a, b = pairs[place].a, pairs[place].b
        language = "zh" if any(map(is_unspaced, a.name + b.name)) else "en"
        vault = Vault()
        first, second = (text_to_send(_told(library, tag), privacy, vault) for tag in (a, b))
        messages = library_prompt("same", language).messages(first=first, second=second)
        request = Request(messages, _TOKENS, top_logprobs=ALTERNATIVES)
        yield Question(place, f"{a.id} {b.id}", request, read_verification)


def _told(library: Library, tag: Tag) -> str:
    """A tag on one line, with its other names and its description."""
    others = library.names_of(tag)[1 : _NAMES + 1]
    text = f"{tag.text} ({', '.join(others)})" if others else tag.text
    return " ".join(f"{text} — {tag.description}".split()) if tag.description else text


def _weighed(pair: Duplicate, said: Verification) -> Duplicate:
    odds = math.log(said.probability / (1 - said.probability))
    if said.measured:
        moved = _WEIGHT * min(max(odds, -_MOST), _MOST)
    else:
        moved = math.copysign(_UNMEASURED, odds)
    before = math.log(pair.probability / (1 - pair.probability))
    reason = "model says yes" if odds > 0 else "model says no"
    probability = 1 / (1 + math.exp(-before - moved))
    return replace(pair, probability=probability, reasons=(*pair.reasons, reason))
