"""The small model's training text: the prompts that tagmill sends, and the answers it wants.

Prompts come from `tagmill.language.prompts`, byte for byte. Many questions share their first part
(the fixed part of the prompt, for *verify* the product too), so questions are a tree: a shared part
is read once in training, as it is by a server with a prefix cache.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import words
from products import Generator, Product, Recorded, vocabulary

from tagmill.language.profiles import open_profile
from tagmill.language.prompts import load_prompt, offered_tags, tag_line, write_product
from tagmill.records import Tag

PROFILE = open_profile("product")
# Share of the training text.
STAGES = {"propose": 0.45, "verify": 0.4, "describe": 0.15}
MOST = 24  # tags that one prompt offers
YES_NO = {"zh": ("是", "否"), "en": ("yes", "no")}
END = "<|im_end|>"
_MARK = "\x00"


@dataclass
class Node:
    """Text that follows its parent's text. Only `answer` is to be learnt."""

    text: str
    answer: str = ""
    children: list[Node] = field(default_factory=list)


def chat(messages: list[dict[str, str]]) -> str:
    """What the chat template makes of messages, up to where the assistant speaks."""
    said = [f"<|im_start|>{m['role']}\n{m['content']}{END}\n" for m in messages]
    return "".join(said) + "<|im_start|>assistant\n"


@dataclass
class Question:
    """Chat messages and what is known of their answer, for training and for measuring."""

    stage: str
    product: Product
    messages: list[dict[str, str]]
    answer: str


def propose(generator: Generator, language: str, most: int = MOST) -> Question:
    """Which of some tags the text supports, with quotes; attributes without a tag are new."""
    product = generator.product(language)
    size = round(math.exp(generator.random.uniform(math.log(3), math.log(most))))
    offer = generator.offer(product, size)
    ordered, lines = offered_tags(offer, language, generator.vocabulary.library.facets)
    stated = {fact.tag.id: fact.words for fact in product.facts}
    tags = [
        {"number": number, "quote": stated[tag.id]}
        for number, tag in enumerate(ordered, start=1)
        if tag.id in stated
    ]
    offered = {stated.get(tag.id) for tag in ordered}
    new = [
        {"facet": fact.attribute, "name": fact.words, "quote": fact.words}
        for fact in product.facts
        if fact.attribute and fact.words not in offered
    ]
    prompt = load_prompt(PROFILE, "propose", language)
    shown = write_product(product.fields, language, PROFILE)
    return Question(
        "propose", product, prompt.messages(product=shown, candidates=lines),
        json.dumps({"tags": tags, "new": new}, ensure_ascii=False),
    )  # fmt: skip


def verify(generator: Generator, product: Product, *, true: bool) -> Question:
    """Whether one tag applies to a product."""
    wanted: Tag = generator.wrong(product)
    if true:
        wanted = generator.random.choice([f.tag for f in product.facts] + product.implied)
    language = product.language
    prompt = load_prompt(PROFILE, "verify", language)
    shown = write_product(product.fields, language, PROFILE)
    line = tag_line(wanted, language, generator.vocabulary.library.facets)
    messages = prompt.messages(product=shown, tag=line)
    return Question("verify", product, messages, YES_NO[language][0 if true else 1])


def describe(generator: Generator, language: str, asked: dict[str, str]) -> Question:
    """One to five sentences, each with the words that support it."""
    pick, product = generator.random, generator.product(language)
    patterns = words.SENTENCES[language]
    shown = write_product(product.fields, language, PROFILE)
    stated = {fact.words: fact.tag.facet for fact in product.facts}
    sentences = []
    for quote in sorted(stated, key=shown.index)[:5]:
        facet = stated[quote]
        pattern = patterns.get(facet, patterns[""])
        name = generator.vocabulary.facet_names.get(facet, {}).get(language, facet)
        sentences.append({"text": pattern.format(v=quote, f=name), "quote": quote})
    names = [tag.name_in(language) for tag in generator.offer(product, pick.randint(0, 6))]
    prompt = load_prompt(PROFILE, "describe", language)
    values = {
        "product": shown,
        "neighbours": ", ".join(names) or "–",
        **asked,
    }
    answer = json.dumps({"sentences": sentences}, ensure_ascii=False)
    return Question("describe", product, prompt.messages(**values), answer)


def asking(pick: random.Random, language: str) -> dict[str, str]:
    """Channel, season and language of a description."""
    return {
        "channel": pick.choice(words.CHANNELS[language]),
        "season": pick.choice(words.SEASONS[language]),
        "language": pick.choice(words.LANGUAGES[language]),
    }


@dataclass(frozen=True)
class Sources:
    """What products are made of: the starter library, and where given a larger library (a CSV
    file) and products that people tagged (JSON Lines), a third of the text each."""

    library: str = ""
    recorded: tuple[str, ...] = ()

    def generators(self, seed: int) -> list[Generator]:
        """One of each source."""
        made = [Generator(seed)]
        if self.library:
            made.append(Generator(seed + 1, vocabulary(self.library)))
        if self.recorded:
            made.append(Recorded(seed + 2, self.recorded))
        return made


STARTER = Sources()


def trees(
    seed: int,
    only: str = "",
    *,
    sources: Sources = STARTER,
    most: int = MOST,
    echoes: float = 0.05,
) -> Iterator[Node]:
    """Trees without end, of all stages or one: a fixed part, and questions that share it.

    `most`: how many tags are offered at the most; `echoes`: share of texts that are only repeated.
    """
    generators = sources.generators(seed)
    pick = random.Random(seed)
    while True:
        generator = pick.choice(generators)
        stage = only or pick.choices(list(STAGES), list(STAGES.values()))[0]
        language = pick.choice(generator.languages)
        if not only and pick.random() < echoes:
            yield Node("", children=[_echo(generator, language) for _ in range(16)])
            continue
        if stage == "verify":
            yield _verify_tree(generator, language)
            continue
        asked = asking(pick, language)
        questions = [
            propose(generator, language, most)
            if stage == "propose"
            else describe(generator, language, asked)
            for _ in range(6)
        ]
        first = chat(questions[0].messages[:1]).removesuffix("<|im_start|>assistant\n")
        root = Node(_varied(first, pick))
        for question in questions:
            assert question.messages[0] == questions[0].messages[0]
            root.children.append(Node(chat(question.messages[1:]), question.answer + END))
        yield root


def _echo(generator: Generator, language: str) -> Node:
    """Words without sense, and the same again: nothing but copying helps."""
    pick = generator.random
    names = [generator.invented(language).name for _ in range(pick.randint(2, 6))]
    tags = pick.choices(generator.tags, k=2)
    names += [pick.choice(generator.vocabulary.forms(tag, language)) for tag in tags]
    pick.shuffle(names)
    text = ("" if language == "zh" else " ").join(names)
    return Node(chat([{"role": "user", "content": text}]), text + END)


def _verify_tree(generator: Generator, language: str) -> Node:
    """The fixed part, some products, some questions about each."""
    pick = generator.random
    root: Node | None = None
    for _ in range(5):
        product = generator.product(language)
        shared: Node | None = None
        for _ in range(pick.randint(4, 10)):
            question = verify(generator, product, true=pick.random() < 0.5)
            first = chat(question.messages[:1]).removesuffix("<|im_start|>assistant\n")
            root = root or Node(_varied(first, pick))
            text = chat(question.messages[1:])
            cut = text.index("</product>\n") + len("</product>\n")
            if shared is None:
                shared = Node(text[:cut])
                root.children.append(shared)
            shared.children.append(Node(text[cut:], question.answer + END))
    assert root is not None
    return root


def _varied(system: str, pick: random.Random) -> str:
    """Now and then a sentence less, so that a reworded prompt does not confuse the model."""
    sentences = re.split(r"(?<=[。.])(?=.)|(?<=\n)", system)
    if pick.random() > 0.12 or len(sentences) < 4:
        return system
    del sentences[pick.randint(1, len(sentences) - 2)]
    return "".join(sentences)
