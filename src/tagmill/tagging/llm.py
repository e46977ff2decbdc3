"""What a large language model says of (product, tag) pairs, weighed beside the engine's own word.

`Consultant.consult` asks about a batch in two rounds. *Propose*: of each product its most probable
candidates are offered, in an order that no score decides; the model picks numbers, each with a
quote. *Verify*: P(yes) of each picked or probable pair, many questions over one shared prefix. What
was said of a pair is kept under all that decides it (product text, tag and definition, model,
prompt), so a retrain that moves scores or candidates asks only about pairs nobody asked about.

`LlmFusion` turns the engine's log-odds and the answers into probabilities. As shipped it is a
linear rule, a prior, and its probabilities are marked so; trees and a curve that `learning.llm_fit`
fitted on products whose tags are known are in the card of the engine's folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagmill.errors import LanguageModelError
from tagmill.language.asking import Asker, Question
from tagmill.language.client import ALTERNATIVES, Request, Waiting
from tagmill.language.privacy import what_may_leave
from tagmill.language.profiles import Profile, open_profile
from tagmill.language.prompts import (
    load_prompt,
    offered_tags,
    prompt_language,
    tag_line,
    write_product,
)
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
from tagmill.probability import Curve, lane_threshold
from tagmill.records import Candidate, Reply, Span, Tag
from tagmill.settings import PrivacySettings
from tagmill.tagging.fusion import Trees

__all__ = ["FEATURES", "PRIOR_WEIGHTS", "AnswerStore", "Consultant", "LlmFusion", "Opinions"]

_OFFERED = 24  # candidates of a product in one prompt, whatever the size of the library
_PROPOSE_TOKENS, _VERIFY_TOKENS = 800, 1
_DOUBTFUL = 0.05  # pairs at least so probable are verified also where they were not picked

# What `LlmFusion` adds up, each with the weight it has where nothing was fitted: in log-odds.
FEATURES: tuple[str, ...] = (
    "engine",  # log-odds of the probability without the model
    "chosen_grounded",  # 1: picked, with words that stand in the text
    "chosen_ungrounded",  # 1: picked, without
    "passed_over",  # 1: offered and not picked
    "verified",  # 1: P(yes) is known
    "yes",  # its log-odds, within ±6; 0 where it is not known
    "yes_unmeasured",  # 1 or −1: said yes or no, and the server gives no probability
)
PRIOR_WEIGHTS = np.array([0.8, 2.0, 0.5, -1.5, 0.0, 0.5, 1.0])
_SUREST = 6.0
_TREES = {  # arrays of `Trees` and their types
    "feature": np.int32, "threshold": np.float32, "leaf": np.float32, "baseline": np.float64,
    "hopeless": np.float64,
}  # fmt: skip


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
    """The answers to a batch: of pairs (row, tag id), of rows, and what failed."""

    pairs: dict[tuple[int, str], PairAnswer] = field(default_factory=dict)
    new: dict[int, list[NewName]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)  # row → reason
    waiting: set[int] = field(default_factory=set)  # rows with a request in a batch file

    def fail(self, row: int, failure: LanguageModelError | None) -> None:
        """Note that a row has no answer, or none yet."""
        if isinstance(failure, Waiting):
            self.waiting.add(row)
        else:
            self.failed[row] = str(failure)

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
        found[:, 0] = _log_odds(probability)
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
                found[i, 5] = np.clip(_log_odds(np.array(answer.yes)), -_SUREST, _SUREST)
            elif answer.yes is not None:
                found[i, 6] = 1 if answer.yes > 0.5 else -1
        return found, asked


@dataclass(frozen=True)
class LlmFusion:
    """Probabilities with what a language model said: trees, a curve, and held-out pairs."""

    trees: Trees | None = None  # None: nothing was fitted, `PRIOR_WEIGHTS` apply
    curve: Curve | None = None  # log-odds → probability; None: their sigmoid
    model: str = ""  # what the language model is called; empty: nothing was fitted
    prompts: str = ""  # versions of the prompts
    probability: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))  # held out
    right: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    review_start: float = 0.5  # probability of the best micro-F1 on held-out pairs

    def log_odds(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Of feature rows (p, 7)."""
        if self.trees is not None:
            return self.trees.log_odds(features.astype(np.float32))
        total: npt.NDArray[np.float64] = features @ PRIOR_WEIGHTS
        return total

    def __call__(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Probabilities (p,) of feature rows (p, 7)."""
        log_odds = self.log_odds(features)
        if self.curve is not None:
            return self.curve(log_odds)
        sigmoid: npt.NDArray[np.float64] = 1 / (1 + np.exp(-log_odds))
        return sigmoid

    def auto_start(self, precision: float) -> float:
        """The probability from which the lane auto holds `precision`; inf where none is shown."""
        return lane_threshold(self.probability, self.right, precision)

    def as_card(self) -> dict[str, Any]:
        """What the card of a model folder keeps."""
        assert self.trees is not None
        assert self.curve is not None
        trees = {f.name: getattr(self.trees, f.name).tolist() for f in fields(Trees)}
        return {
            "model": self.model, "prompts": self.prompts, "trees": trees,
            "x": self.curve.x.tolist(), "y": self.curve.y.tolist(),
            "probability": self.probability.round(6).tolist(),
            "right": self.right.astype(int).tolist(), "review_start": self.review_start,
        }  # fmt: skip

    @staticmethod
    def for_consultant(card: Mapping[str, Any], consultant: Consultant) -> LlmFusion:
        """The fit that a card has of this language model and these prompts, or else the prior."""
        kept = card.get("llm")
        wanted = consultant.propose.model.name, consultant.prompts
        if not kept or (kept["model"], kept["prompts"]) != wanted:
            return LlmFusion()
        trees = {name: np.array(kept["trees"][name], kind) for name, kind in _TREES.items()}
        return LlmFusion(
            Trees(**trees), Curve(np.array(kept["x"]), np.array(kept["y"])), *wanted,
            np.array(kept["probability"]), np.array(kept["right"], np.bool_),
            float(kept["review_start"]),
        )  # fmt: skip


def _log_odds(probability: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    clipped = np.clip(np.asarray(probability, np.float64), 1e-4, 1 - 1e-4)
    odds: npt.NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds


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

    def consult(
        self, batch: pa.RecordBatch, candidates: Mapping[int, Sequence[tuple[str, float]]]
    ) -> Opinions:
        """Answers about the candidates of some rows: (tag id, probability), the best first.

        Raises LanguageModelError where asking on is in vain, BudgetExceeded.
        """
        products = {row: self._subject(batch, row) for row in candidates}
        # Of a product of which nothing may leave, the engine's own word stands.
        candidates = {r: c for r, c in candidates.items() if products[r].written.count("\n") > 1}
        opinions = Opinions()
        asked = {
            row: [tag_id for tag_id, _ in found[:_OFFERED]] for row, found in candidates.items()
        }
        self._propose(products, asked, opinions)
        wanted = {
            (row, tag_id): (products[row], tag_id)
            for row, found in candidates.items()
            if row not in opinions.failed and row not in opinions.waiting
            for tag_id, probability in found[:_OFFERED]
            if opinions.pairs[row, tag_id].chosen or probability >= _DOUBTFUL
        }
        self._verify(wanted, opinions)
        return opinions

    def _propose(
        self,
        products: Mapping[int, _Subject],
        asked: Mapping[int, Sequence[str]],
        opinions: Opinions,
    ) -> None:
        """Fill in what was chosen; pairs with a stored answer are not asked again."""
        keys = {
            (row, tag_id): self._key("propose", products[row], self._tag(tag_id))
            for row, tag_ids in asked.items()
            for tag_id in tag_ids
        }
        of_rows = {row: self._key("new names", products[row]) for row in asked}
        known = self.answers.find([*keys.values(), *of_rows.values()]) if self.answers else {}
        open_pairs: dict[int, list[Tag]] = {}
        for (row, tag_id), key in keys.items():
            if key in known:
                opinions.pairs[row, tag_id] = _from_json(known[key], products[row])
            else:
                open_pairs.setdefault(row, []).append(self._tag(tag_id))
        for row, key in of_rows.items():
            self._note_new(row, _new_names(known.get(key, ()), products[row]), opinions)

        def questions() -> Iterator[Question[int, Choices]]:
            for row, tags in open_pairs.items():
                yield self._proposal(row, products[row], tags)

        for answer in self.propose.ask_all(questions()):
            row, choices = answer.about, answer.value
            if choices is None:
                opinions.fail(row, answer.failure)
                continue
            for tag in open_pairs[row]:
                pair = PairAnswer(tag.id in choices.chosen, choices.chosen.get(tag.id))
                opinions.pairs[row, tag.id] = pair
            self._note_new(row, choices.new, opinions)
            if self.answers:
                pairs = {tag.id: keys[row, tag.id] for tag in open_pairs[row]}
                self.answers.keep(_as_told(choices, pairs, of_rows[row], known))

    def _note_new(self, row: int, names: Sequence[NewName], opinions: Opinions) -> None:
        """New names of a row, each once; none where only the library's count."""
        kept = opinions.new.setdefault(row, [])
        for new in () if self.closed else map(self._in_library, names):
            if all((new.facet, new.name) != (one.facet, one.name) for one in kept):
                kept.append(new)

    def _proposal(self, row: int, subject: _Subject, tags: Sequence[Tag]) -> Question[int, Choices]:
        ordered, lines = offered_tags(tags, subject.language, self.library.facets)
        prompt = load_prompt(self.profile, "propose", subject.language)
        messages = prompt.messages(product=subject.written, candidates=lines)
        request = Request(messages, _PROPOSE_TOKENS, CHOICES_SCHEMA)

        def read(reply: Reply) -> Choices:
            return read_choices(reply, ordered, subject.product, restore=subject.restore)

        return Question(row, subject.product["id"], request, read)

    def _verify(
        self, wanted: Mapping[tuple[int, str], tuple[_Subject, str]], opinions: Opinions
    ) -> None:
        """Fill in P(yes) of pairs; one that cannot be told stays without."""

        def questions() -> Iterator[Question[tuple[int, str], Verification]]:
            for pair, (subject, tag_id) in wanted.items():
                prompt = load_prompt(self.profile, "verify", subject.language)
                line = tag_line(self._tag(tag_id), subject.language, self.library.facets)
                messages = prompt.messages(product=subject.written, tag=line)
                request = Request(messages, _VERIFY_TOKENS, top_logprobs=ALTERNATIVES)
                yield Question(pair, subject.product["id"], request, read_verification)

        for answer in self.verify.ask_all(questions()):
            if answer.value is None:  # missing is missing: the pair keeps what it has
                if isinstance(answer.failure, Waiting):
                    opinions.waiting.add(answer.about[0])
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
        if self.privacy is None:
            written = write_product(product, language, self.profile)
            return _Subject(product, language, written, str)
        leaving, vault = what_may_leave(product, self.privacy)
        written = write_product(leaving, language, self.profile)
        return _Subject(product, language, written, vault.restore)

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
    restore: Callable[[str], str]  # puts back what was redacted


def _as_told(
    choices: Choices, pairs: Mapping[str, str], of_row: str, known: Mapping[str, Any]
) -> dict[str, Any]:
    """What is stored of an answer, by key: as the model wrote it, what was redacted not restored.

    `pairs` are the keys by tag id, `of_row` that of the product's new names.
    """
    told: dict[str, Any] = {
        key: {"chosen": tag_id in choices.chosen, "quote": choices.quotes.get(tag_id, "")}
        for tag_id, key in pairs.items()
    }
    if choices.new:
        new = [{"facet": n.facet, "name": n.name, "quote": n.quote} for n in choices.new]
        told[of_row] = [*known.get(of_row, []), *new]
    return told


def _from_json(answer: Mapping[str, Any], subject: _Subject) -> PairAnswer:
    """A stored answer, about a product that was sent in these words."""
    return PairAnswer(answer["chosen"], ground(subject.restore(answer["quote"]), subject.product))


def _new_names(stored: Sequence[Mapping[str, str]], subject: _Subject) -> list[NewName]:
    """Stored new names whose words stand in the product."""
    found = []
    for new in stored:
        span = ground(subject.restore(new["quote"]), subject.product)
        if span is not None:
            found.append(NewName(new["facet"], new["name"], span, new["quote"]))
    return found
