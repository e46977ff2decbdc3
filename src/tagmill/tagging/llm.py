"""What a large language model says of (product, tag) pairs, weighed beside the engine's own word.

`Consultant.consult` asks about a batch in two rounds. *Propose*: of each product its most probable
candidates are offered, in an order that no score decides; the model picks numbers, each with a
quote. *Verify*: P(yes) of each picked or probable pair, many questions over one shared prefix. What
was said of a pair is kept under all that decides it (product text, tag and definition, model,
prompt), so a retrain that moves scores or candidates asks only about pairs nobody asked about.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.errors import LanguageModelError
from tagmill.language.asking import Asker, Question
from tagmill.language.client import ALTERNATIVES, Request, Waiting
from tagmill.language.privacy import text_to_send, what_may_leave
from tagmill.language.profiles import Profile, open_profile
from tagmill.language.prompts import (
    load_prompt,
    offered_tags,
    prompt_language,
    says_something,
    tag_line,
    write_product,
)
from tagmill.language.redaction import Vault
from tagmill.language.replies import (
    CHOICES_SCHEMA,
    Choices,
    NewName,
    Verification,
    ground,
    read_choices,
    read_verification,
)
from tagmill.library.vocabulary import Library
from tagmill.records import Candidate, Reply, Span, Tag
from tagmill.settings import PrivacySettings
from tagmill.tagging.families import Agreement, FamilyAnswers, is_explored
from tagmill.tagging.llm_fusion import FEATURES, LlmFusion, log_odds

__all__ = ["VERIFIED_FROM", "AnswerStore", "Consultant", "Opinions"]

_OFFERED = 24  # candidates of a product in one prompt, whatever the size of the library
_PROPOSE_TOKENS, _VERIFY_TOKENS = 800, 1
VERIFIED_FROM = 0.05  # pairs at least so probable are verified also where they were not picked

_SUREST = 6.0  # log-odds of a yes, at the most


@dataclass(frozen=True)
class PairAnswer:
    """What the model said of one pair; None: it was not asked that."""

    chosen: bool | None = None
    evidence: Span | None = None
    yes: float | None = None
    measured: bool = False


class AnswerStore(Protocol):
    """Where answers about pairs are kept, as JSON by key; `tagmill.store` has one."""

    def find(self, keys: Sequence[str]) -> dict[str, Any]:
        """The answers there are."""
        ...

    def keep(self, answers: Mapping[str, Any]) -> None:
        """Store answers, in place of those there are."""
        ...


@dataclass
class Opinions:
    """The answers to a batch: of pairs (row, tag id), of rows, and what failed.

    A row with a question that has no answer, or none yet, has no pairs: it failed, or waits.
    """

    pairs: dict[tuple[int, str], PairAnswer] = field(default_factory=dict)
    new: dict[int, list[NewName]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)  # row → reason
    waiting: set[int] = field(default_factory=set)  # rows with a request in a batch file
    reused: int = 0  # pairs that took over the answer about a near-duplicate
    undecided: int = 0  # pairs of which the model, asked yes or no, said neither

    def fail(self, row: int, failure: LanguageModelError | None) -> None:
        """Note that a row has no answer, or none yet."""
        if isinstance(failure, Waiting):
            self.waiting.add(row)
        else:
            self.failed[row] = str(failure)

    def fail_with(self, leader: int, row: int) -> None:
        """Note that a row has no answer where the one that it takes answers over from has none."""
        if leader in self.waiting:
            self.waiting.add(row)
        elif leader in self.failed:
            self.failed[row] = self.failed[leader]

    def candidates(self) -> list[Candidate]:
        """The new names, by row; the model gives no probability of them."""
        return [
            Candidate(row, new.facet, new.name, None, new.evidence)
            for row, names in sorted(self.new.items())
            for new in names
        ]

    def features(
        self,
        rows: npt.NDArray[np.integer],
        tag_ids: Sequence[str],
        probability: npt.NDArray[np.floating],
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """`FEATURES` of pairs (p, 7), and which of them (p,) the model was asked about."""
        found = np.zeros((len(rows), len(FEATURES)))
        found[:, 0] = log_odds(probability)
        asked = np.zeros(len(rows), np.bool_)
        for i, (row, tag_id) in enumerate(zip(rows.tolist(), tag_ids, strict=True)):
            answer = self.pairs.get((row, tag_id))
            if answer is None:
                continue
            asked[i] = True
            if answer.chosen is not None:
                place = 3 if not answer.chosen else 1 if answer.evidence else 2
                found[i, place] = 1
            if answer.yes is not None and answer.measured:
                found[i, 4] = 1
                found[i, 5] = np.clip(log_odds(np.array(answer.yes)), -_SUREST, _SUREST)
            elif answer.yes is not None:
                found[i, 6] = 1 if answer.yes > 0.5 else -1
        return found, asked


@dataclass
class Consultant:
    """Asks one model about a library's tags. `closed`: new names are left out."""

    propose: Asker
    verify: Asker
    library: Library
    answers: AnswerStore | None = None
    profile: Profile = field(default_factory=lambda: open_profile("product"))
    closed: bool = False
    privacy: PrivacySettings | None = None  # None: it stays on this machine, nothing is held back

    @property
    def prompts(self) -> str:
        """The versions of the prompts it asks with."""
        stages = [(stage, language) for stage in ("propose", "verify") for language in ("zh", "en")]
        return "-".join(load_prompt(self.profile, *one).version for one in stages)

    def fusion(self, card: Mapping[str, Any]) -> LlmFusion:
        """The fit that an engine's card has of this model and these prompts, or the prior."""
        return LlmFusion.of_card(card, self.propose.model.name, self.prompts)

    def consult(
        self,
        batch: pa.RecordBatch,
        candidates: Mapping[int, Sequence[tuple[str, float]]],
        families: Mapping[tuple[int, str], str] = MappingProxyType({}),
    ) -> Opinions:
        """Answers about the candidates of some rows: (tag id, probability), the best first.

        `families` are texts that near-duplicates share, by row and facet: where that is safe,
        the answer about one holds for all. Raises LanguageModelError where asking on is in vain,
        BudgetExceeded.
        """
        products = {row: self._subject(batch, row) for row in candidates}
        # Of a product of which nothing may leave, the engine's own word stands.
        candidates = {r: c for r, c in candidates.items() if says_something(products[r].written)}
        opinions = Opinions()
        asked = {
            row: [tag_id for tag_id, _ in found[:_OFFERED]] for row, found in candidates.items()
        }
        shared = self._families(products, asked, families)
        told = self._propose(products, asked, opinions, shared)
        wanted = {
            (row, tag_id): (products[row], tag_id)
            for row, found in candidates.items()
            if row not in opinions.failed and row not in opinions.waiting
            for tag_id, probability in found[:_OFFERED]
            if opinions.pairs[row, tag_id].chosen or probability >= VERIFIED_FROM
            if (row, tag_id) not in shared.taken
        }
        self._verify(wanted, opinions)
        self._hand_on(shared, told, opinions)
        opinions.waiting.difference_update(opinions.failed)
        unanswered = {*opinions.failed, *opinions.waiting}
        opinions.pairs = {p: said for p, said in opinions.pairs.items() if p[0] not in unanswered}
        return opinions

    def _families(
        self,
        products: Mapping[int, _Subject],
        asked: Mapping[int, Sequence[str]],
        texts: Mapping[tuple[int, str], str],
    ) -> FamilyAnswers:
        """What may be taken over between the pairs; nothing without a store."""
        keys: dict[tuple[int, str], str] = {}
        for row, tag_ids in asked.items() if self.answers else ():
            for tag in map(self._tag, tag_ids):
                if (row, tag.facet) in texts:
                    subject = replace(products[row], written=texts[row, tag.facet])
                    keys[row, tag.id] = self._key("family", subject, tag)
        facets = {self._tag(tag_id).facet for _, tag_id in keys}
        counts = {facet: self._agreement_key(facet) for facet in facets}
        known = self._find([*keys.values(), *counts.values()])
        agreement = Agreement()
        for facet, key in counts.items():
            if key in known:
                agreement.same[facet] = known[key]["same"]
                agreement.compared[facet] = known[key]["compared"]
        explored = {row for row in asked if is_explored(products[row].written)}
        return FamilyAnswers(
            keys, known, lambda tag_id: self._tag(tag_id).facet, agreement, explored
        )

    def _find(self, keys: Sequence[str]) -> dict[str, Any]:
        return self.answers.find(keys) if self.answers else {}

    def _keep(self, found: Mapping[str, Any]) -> None:
        if self.answers and found:
            self.answers.keep(found)

    def _agreement_key(self, facet: str) -> str:
        parts = ["agreement", self.propose.model.name, self.prompts, facet]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]

    def _hand_on(
        self,
        shared: FamilyAnswers,
        told: Mapping[tuple[int, str], dict[str, Any]],
        opinions: Opinions,
    ) -> None:
        """What was verified goes to those that took the answer over, and is stored for others."""
        opinions.reused = len(shared.taken)
        for pair, leader in shared.taken.items():
            if leader is not None and pair in opinions.pairs:
                said = opinions.pairs[leader]
                opinions.pairs[pair] = replace(
                    opinions.pairs[pair], yes=said.yes, measured=said.measured
                )
                opinions.fail_with(leader[0], pair[0])
        for pair, answer in told.items():
            answer |= {"yes": opinions.pairs[pair].yes, "measured": opinions.pairs[pair].measured}
        facets = {self._tag(tag_id).facet for _, tag_id in told}
        counts = {
            self._agreement_key(facet): {
                "same": shared.agreement.same.get(facet, 0),
                "compared": shared.agreement.compared[facet],
            }
            for facet in facets
            if facet in shared.agreement.compared
        }
        whole = {
            pair: answer for pair, answer in told.items()
            if pair[0] not in opinions.failed and pair[0] not in opinions.waiting
        }  # fmt: skip
        self._keep({**shared.to_keep(whole), **counts})

    def _propose(
        self,
        products: Mapping[int, _Subject],
        asked: Mapping[int, Sequence[str]],
        opinions: Opinions,
        shared: FamilyAnswers,
    ) -> dict[tuple[int, str], dict[str, Any]]:
        """Fill in what was chosen; pairs with a stored answer are not asked again, nor those that
        take over one. What the model told of the others, as JSON."""
        keys = {
            (row, tag_id): self._key("propose", products[row], self._tag(tag_id))
            for row, tag_ids in asked.items()
            for tag_id in tag_ids
        }
        of_rows = {row: self._key("new names", products[row]) for row in asked}
        known = self._find([*keys.values(), *of_rows.values()])
        open_pairs = defaultdict[int, list[Tag]](list)
        for (row, tag_id), key in keys.items():
            if key in known:
                opinions.pairs[row, tag_id] = _from_json(known[key], products[row])
            elif not shared.takes_over((row, tag_id)):
                open_pairs[row].append(self._tag(tag_id))
        for row, key in of_rows.items():
            self._note_new(row, _new_names(known.get(key, ()), products[row]), opinions)

        def questions() -> Iterator[Question[int, Choices]]:
            for row, tags in open_pairs.items():
                yield self._proposal(row, products[row], tags)

        told: dict[tuple[int, str], dict[str, Any]] = {}
        for answer in self.propose.ask_all(questions()):
            row, choices = answer.about, answer.value
            if choices is None:
                opinions.fail(row, answer.failure)
                continue
            for tag in open_pairs[row]:
                pair = PairAnswer(tag.id in choices.chosen, choices.chosen.get(tag.id))
                opinions.pairs[row, tag.id] = pair
                quote = choices.quotes.get(tag.id, "")
                told[row, tag.id] = {"chosen": tag.id in choices.chosen, "quote": quote}
            self._note_new(row, choices.new, opinions)
            of_pairs = {keys[row, tag.id]: told[row, tag.id] for tag in open_pairs[row]}
            self._keep(of_pairs | _names_told(choices.new, of_rows[row], known))
        self._take_over(shared, told, products, opinions)
        return told

    def _take_over(
        self,
        shared: FamilyAnswers,
        told: Mapping[tuple[int, str], Mapping[str, Any]],
        products: Mapping[int, _Subject],
        opinions: Opinions,
    ) -> None:
        """Fill in the pairs whose family was answered, and see whether families agree."""
        shared.compare(told)
        for (row, tag_id), leader in shared.taken.items():
            if leader is None:
                stored = shared.known[shared.keys[row, tag_id]]
            elif leader in told:
                stored = told[leader]
            else:  # nothing came of it, or not yet
                opinions.fail_with(leader[0], row)
                continue
            opinions.pairs[row, tag_id] = _from_json(stored, products[row])

    def _note_new(self, row: int, names: Sequence[NewName], opinions: Opinions) -> None:
        """New names of a row, each once; none where only the library's count."""
        kept = opinions.new.setdefault(row, [])
        for new in () if self.closed else map(self._in_library, names):
            if all((new.facet, new.name) != (one.facet, one.name) for one in kept):
                kept.append(new)

    def _proposal(self, row: int, subject: _Subject, tags: Sequence[Tag]) -> Question[int, Choices]:
        vault = subject.vault.fork()
        facets = self.library.facets
        ordered, lines = offered_tags(
            tags, subject.language, facets, lambda line: text_to_send(line, self.privacy, vault)
        )
        prompt = load_prompt(self.profile, "propose", subject.language)
        messages = prompt.messages(product=subject.written, candidates=lines)
        request = Request(messages, _PROPOSE_TOKENS, CHOICES_SCHEMA)

        def read(reply: Reply) -> Choices:
            return read_choices(reply, ordered, subject.product, restore=vault.restore)

        return Question(row, subject.product["id"], request, read)

    def _verify(
        self, wanted: Mapping[tuple[int, str], tuple[_Subject, str]], opinions: Opinions
    ) -> None:
        """Fill in P(yes) of pairs; one of which the model says neither yes nor no stays without."""

        def questions() -> Iterator[Question[tuple[int, str], Verification | None]]:
            for pair, (subject, tag_id) in wanted.items():
                prompt = load_prompt(self.profile, "verify", subject.language)
                line = tag_line(self._tag(tag_id), subject.language, self.library.facets)
                line = text_to_send(line, self.privacy, subject.vault.fork())
                messages = prompt.messages(product=subject.written, tag=line)
                request = Request(messages, _VERIFY_TOKENS, top_logprobs=ALTERNATIVES)
                yield Question(pair, subject.product["id"], request, read_verification)

        for answer in self.verify.ask_all(questions()):
            if answer.failure is not None:
                opinions.fail(answer.about[0], answer.failure)
                continue
            if answer.value is None:
                opinions.undecided += 1
                continue
            before = opinions.pairs[answer.about]
            opinions.pairs[answer.about] = PairAnswer(
                before.chosen, before.evidence, answer.value.probability, answer.value.measured
            )

    def _in_library(self, new: NewName) -> NewName:
        """A new name with the key of its facet, whatever language the model named that in."""
        facet = self.library.facet_named(new.facet)
        return new if facet is None else replace(new, facet=facet.key)

    def _tag(self, tag_id: str) -> Tag:
        return self.library.tags[tag_id]

    def _subject(self, batch: pa.RecordBatch, row: int) -> _Subject:
        """A product as it is sent."""
        product: dict[str, Any] = batch.slice(row, 1).drop_columns(["tags"]).to_pylist()[0]
        language = prompt_language(product["language"])
        leaving, vault = product, Vault()
        if self.privacy is not None:
            leaving, vault = what_may_leave(product, self.privacy)
        return _Subject(product, language, write_product(leaving, language, self.profile), vault)

    def _key(self, what: str, subject: _Subject, tag: Tag | None = None) -> str:
        """32 hex digits of all that decides what is said of a product, or of it and a tag."""
        language = subject.language
        parts = [
            what, self.propose.model.name, load_prompt(self.profile, "propose", language).version,
            subject.written,
        ]  # fmt: skip
        if tag is not None:
            parts += [tag.id, tag_line(tag, language, self.library.facets)]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class _Subject:
    """A product, and how it stands in prompts: without what may not leave."""

    product: dict[str, Any]
    language: str  # of the prompts
    written: str
    vault: Vault  # what was redacted


def _names_told(names: Sequence[NewName], key: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of new names, by their key, beside those there: as the model wrote them, what
    was redacted not restored."""
    told = [{"facet": new.facet, "name": new.name, "quote": new.quote} for new in names]
    return {key: [*known.get(key, ()), *told]} if told else {}


def _from_json(answer: Mapping[str, Any], subject: _Subject) -> PairAnswer:
    """A stored answer, about a product that was sent in these words or is of its family."""
    span = (
        ground(subject.vault.restore(answer["quote"]), subject.product) if answer["quote"] else None
    )
    return PairAnswer(
        answer["chosen"], span, answer.get("yes"), bool(answer.get("measured", False))
    )


def _new_names(stored: Sequence[Mapping[str, str]], subject: _Subject) -> list[NewName]:
    """Stored new names whose words stand in the product."""
    found = []
    for new in stored:
        span = ground(subject.vault.restore(new["quote"]), subject.product)
        if span is not None:
            found.append(NewName(new["facet"], new["name"], span, new["quote"]))
    return found
