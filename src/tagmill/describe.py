"""Fuller, factual descriptions by a large language model, each sentence checked against the source.

The model writes sentences, each with the words of the product that support it. A sentence is
flagged where those words are nowhere, where it names a number, a Latin word or a tag of the
library that the product's own text does not, or where it is in another language than asked for:
flagged sentences are kept in the record, left out of the text, and never become evidence. What is
written stands apart from the merchant's own text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.catalog.memory import products_to_batch
from tagmill.errors import BadReply
from tagmill.language.asking import Asker, Question
from tagmill.language.client import Request, Waiting
from tagmill.language.privacy import neighbour_tags_to_send, what_may_leave
from tagmill.language.profiles import Profile, open_profile
from tagmill.language.prompts import load_prompt, prompt_language, says_something, write_product
from tagmill.language.replies import DESCRIPTION_SCHEMA, Sentence, read_sentences
from tagmill.records import Reply
from tagmill.settings import PrivacySettings
from tagmill.tagging.model import Model
from tagmill.tagging.similarity import similarities
from tagmill.text import detect_language

__all__ = ["Checked", "Describer", "Description", "Written"]

_TOKENS = 800
_NEIGHBOURS, _NEIGHBOUR_TAGS = 8, 6
_ALIKE = 0.2  # cosine from which a product is a neighbour
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_LANGUAGES = {"zh": {"zh": "简体中文", "en": "英文"}, "en": {"zh": "Chinese", "en": "English"}}
_NOTHING = {"zh": "不限", "en": "any"}


@dataclass(frozen=True)
class Checked:
    """A sentence; `unsupported` are the words in it that the source does not have."""

    text: str
    evidence: dict[str, Any] | None  # field, start, end, text
    unsupported: tuple[str, ...] = ()
    foreign: bool = False  # not in the language asked for

    @property
    def flagged(self) -> bool:
        """Whether the source does not say so, or it is in another language."""
        return self.evidence is None or bool(self.unsupported) or self.foreign


@dataclass(frozen=True)
class Description:
    """What was written of one product, in `language` zh or en."""

    id: str
    language: str
    sentences: tuple[Checked, ...]
    model: str
    prompt: str  # version of the prompt file

    @property
    def text(self) -> str:
        """The sentences that the source supports."""
        kept = [one.text for one in self.sentences if not one.flagged]
        return ("" if self.language == "zh" else " ").join(kept)

    def as_dict(self) -> dict[str, Any]:
        """A line of the output."""
        sentences = [{**asdict(one), "flagged": one.flagged} for one in self.sentences]
        return {
            "id": self.id, "language": self.language, "text": self.text, "sentences": sentences,
            "model": self.model, "prompt": self.prompt,
        }  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What came of one product: a description, or why there is none; or it `waits` for a batch."""

    id: str
    description: Description | None
    reason: str = ""
    waits: bool = False


@dataclass
class Describer:
    """Describes products for a channel and a season; `model` knows tags and similar products."""

    asker: Asker
    model: Model
    channel: str = ""
    season: str = ""
    language: str | None = None  # zh or en; None: the product's own
    profile: Profile = field(default_factory=lambda: open_profile("product"))
    privacy: PrivacySettings | None = None  # None: it stays on this machine

    def describe(self, batch: pa.RecordBatch) -> Iterator[Written]:
        """What came of each product of a batch.

        They come as they are answered. Raises BudgetExceeded, or LanguageModelError where asking
        on is in vain.
        """
        products = batch.drop_columns(["tags"]).to_pylist()
        neighbours = self._neighbours(batch)
        silent: list[str] = []

        def questions() -> Iterator[Question[str, Description]]:
            for product, tags in zip(products, neighbours, strict=True):
                question = self._question(product, tags)
                if question is None:
                    silent.append(product["id"])
                else:
                    yield question

        for answer in self.asker.ask_all(questions()):
            failure = answer.failure
            waits = isinstance(failure, Waiting)
            yield Written(
                answer.about, answer.value, "" if failure is None else str(failure), waits
            )
        for product_id in silent:
            yield Written(product_id, None, "Nothing of it may leave this machine: privacy.send")

    def _question(
        self, product: dict[str, Any], neighbours: Sequence[str]
    ) -> Question[str, Description] | None:
        """What is asked about a product; None where nothing of it may leave."""
        of_prompt = prompt_language(product["language"])
        language = self.language or of_prompt
        prompt = load_prompt(self.profile, "describe", of_prompt)
        leaving, restore = product, str
        if self.privacy is not None:
            leaving, vault = what_may_leave(product, self.privacy)
            neighbours = neighbour_tags_to_send(neighbours, self.privacy, vault)
            restore = vault.restore  # type: ignore[assignment]
        written = write_product(leaving, of_prompt, self.profile)
        if not says_something(written):
            return None
        nothing = _NOTHING[of_prompt]
        messages = prompt.messages(
            product=written,
            language=_LANGUAGES[of_prompt][language],
            channel=self.channel or nothing,
            season=self.season or nothing,
            neighbours=", ".join(neighbours) or "–",
        )

        def read(reply: Reply) -> Description:
            sentences = read_sentences(reply, product, restore=restore)
            checked = _once(self._check(one, product, language) for one in sentences)
            if all(one.foreign for one in checked):
                raise BadReply(f"The description is not in the language asked for, {language}")
            name = self.asker.model.name
            return Description(product["id"], language, checked, name, prompt.version)

        request = Request(messages, _TOKENS, DESCRIPTION_SCHEMA)
        return Question(product["id"], product["id"], request, read)

    def _check(self, sentence: Sentence, product: Mapping[str, Any], language: str) -> Checked:
        attributes = [part for pair in product["attributes"] or () for part in pair if part]
        fields = (product["title"], product["description"], product["category"], *attributes)
        source = "\n".join(text for text in fields if text)
        missing = [*_missing(sentence.text, source), *self._claimed(sentence.text, product)]
        evidence = asdict(sentence.evidence) if sentence.evidence else None
        own = source if (product["language"] or "").startswith(language) else ""
        foreign = _is_foreign(sentence.text, language, own)
        return Checked(sentence.text, evidence, tuple(dict.fromkeys(missing)), foreign)

    def _claimed(self, sentence: str, product: Mapping[str, Any]) -> list[str]:
        """Names of tags that stand in the sentence and not in the product."""
        attributes = [{"name": n, "value": v} for n, v in product["attributes"] or () if n and v]
        rows = [
            {"id": "0", "title": sentence},
            {**product, "id": "1", "language": None, "attributes": attributes or None},
        ]
        hits = self.model.lexicon.find(products_to_batch(rows))
        said = set(hits.tags[hits.rows == 0].tolist()) - set(hits.tags[hits.rows == 1].tolist())
        library, ids = self.model.library, self.model.tag_ids
        return [library.tags[ids[tag]].name for tag in sorted(said)]

    def _neighbours(self, batch: pa.RecordBatch) -> list[list[str]]:
        """Tags that similar products of the training have most often, by product."""
        remembered = self._remembered
        if remembered is None:
            return [[] for _ in range(batch.num_rows)]
        rows, tags_of = remembered
        trained = self.model.trained
        assert trained is not None
        from tagmill.tagging.features import extract

        own = trained.idf.apply(extract(batch))
        found = []
        for i in range(batch.num_rows):
            cosines = similarities(own.take(np.array([i])), rows)
            nearest = np.argsort(-cosines)[:_NEIGHBOURS]
            counts: dict[str, float] = {}
            for place in nearest[cosines[nearest] >= _ALIKE].tolist():
                for name in tags_of[place]:
                    counts[name] = counts.get(name, 0) + float(cosines[place])
            ordered = sorted(counts, key=lambda name: (-counts[name], name))
            found.append(ordered[:_NEIGHBOUR_TAGS])
        return found

    @cached_property
    def _remembered(self) -> tuple[Any, list[list[str]]] | None:
        """The rows of the remembered training products, and the names of their tags."""
        trained = self.model.trained
        if trained is None:
            return None
        memory = trained.memory
        names = [self.model.library.tags[tag_id].name for tag_id in self.model.tag_ids]
        kept: npt.NDArray[np.bool_] = memory.accepted
        tags_of = [
            [names[tag] for tag in memory.tags[a:b][kept[a:b]].tolist()]
            for a, b in zip(memory.tag_indptr[:-1], memory.tag_indptr[1:], strict=True)
        ]
        return trained.idf.apply(memory.counts), tags_of


def _missing(sentence: str, source: str) -> list[str]:
    """Numbers, and Latin words of Chinese sentences, that the source does not have as such."""
    patterns = [_NUMBER]
    if prompt_language(detect_language(sentence)) == "zh":
        patterns.append(_LATIN)
    found = []
    for pattern in patterns:
        own = {_plain(match.group()) for match in pattern.finditer(source)}
        words = (match.group() for match in pattern.finditer(sentence))
        found += [word for word in words if _plain(word) not in own]
    return found


def _is_foreign(sentence: str, language: str, source: str) -> bool:
    """Whether it is in another language; words of a `source` in the right one, such as brands, are
    not."""
    if detect_language(sentence).startswith(language):
        return False
    own = {_plain(word) for word in _WORD.findall(source)}
    others = [word for word in _WORD.findall(sentence) if _plain(word) not in own]
    return bool(others) and not detect_language(" ".join(others)).startswith(language)


def _plain(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()


def _once(sentences: Iterable[Checked]) -> tuple[Checked, ...]:
    """What a model repeats, once: in its first place, not flagged if it ever is not."""
    found: dict[str, Checked] = {}
    for one in sentences:
        form = _plain(one.text).strip(" .。!")
        if form not in found or found[form].flagged:
            found[form] = one
    return tuple(found.values())
