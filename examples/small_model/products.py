"""Invented products for the small model's training text, each with the facts that are true of it.

A product is made the other way round: tags are drawn from the starter library first, then a text is
written around words that state them, so every answer and quote is known. No line of
`catalogue.jsonl`, which tests and the demo use, is read. One tag in ten is kept out of training.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache

import words

from tagmill.library import Library, starter_library
from tagmill.records import Tag, tag_id

LANGUAGES = ("zh", "en")
_HAN = re.compile(r"[\u3400-\u9fff]")
_SUFFIX = re.compile(r"(?<=..)(色|风|款|质|味)$")


@dataclass
class Fact:
    """A tag that the product has, and the words of its text that state it."""

    tag: Tag
    words: str
    attribute: str = ""  # the attribute whose value the words are


@dataclass
class Product:
    """A product as `write_product` takes it, with what is true of it."""

    language: str
    title: str
    description: str
    category: str
    attributes: list[tuple[str, str]]
    facts: list[Fact]

    @property
    def fields(self) -> dict[str, object]:
        """The fields of PRODUCT_SCHEMA that a prompt shows."""
        return {
            "title": self.title, "description": self.description, "category": self.category,
            "attributes": self.attributes,
        }  # fmt: skip

    @property
    def text(self) -> str:
        """All words of the product."""
        values = [value for _, value in self.attributes]
        return "\n".join([self.title, self.description, self.category, *values])


@cache
def library() -> Library:
    """The starter library, read once."""
    return starter_library()


@cache
def facet_names() -> dict[str, dict[str, str]]:
    """Names per language of each facet."""
    return {facet.key: dict(facet.names) for facet in library().facets.values()}


@cache
def _forms() -> dict[tuple[str, str], list[str]]:
    """(tag id, language) → words that state the tag, its name twice."""
    forms = {}
    for tag in library().active():
        for language in LANGUAGES:
            name = tag.name_in(language)
            aliases = [a for a in tag.aliases if bool(_HAN.search(a)) is (language == "zh")]
            short = _SUFFIX.sub("", name) if language == "zh" else ""
            if language == "en" and tag.facet == "品类":
                short = name.removesuffix("s")
            forms[tag.id, language] = [name, name, *aliases, *([short] if short else [])]
    return forms


def forms_of(tag: Tag, language: str) -> list[str]:
    """Words that state a tag in a language."""
    return _forms().get((tag.id, language), [tag.name])


@cache
def _letters() -> str:
    names = "".join(tag.name for tag in library().active())
    return "".join(sorted(set(_HAN.findall(names))))


def _kept_out(tag: Tag) -> bool:
    return int(tag.id, 16) % 10 == 0 and tag.name not in words.TELEVISION["zh"]


class Generator:
    """Products from one stream of random numbers; `new_tags`: only of tags kept out of training."""

    def __init__(self, seed: int, *, new_tags: bool = False) -> None:
        self.random = random.Random(seed)
        self.televisions = not new_tags
        self.tags = [tag for tag in library().active() if _kept_out(tag) is new_tags]
        self.by_facet: dict[str, list[Tag]] = {}
        for tag in self.tags:
            self.by_facet.setdefault(tag.facet, []).append(tag)

    def product(self, language: str) -> Product:
        """A product with two to seven facts."""
        if self.televisions and self.random.random() < 0.12:
            return self._write(language, *self._television(language))
        return self._write(language, *self._any(language))

    def offer(self, product: Product, size: int) -> list[Tag]:
        """Tags to offer: most of the true ones, and others that the text does not support."""
        true = [fact.tag for fact in product.facts if self.random.random() < 0.85][:size]
        wrong = {tag.id: tag for tag in (self.wrong(product) for _ in range(size - len(true)))}
        return true + list(wrong.values())

    def wrong(self, product: Product) -> Tag:
        """A tag that no word of the text states, often of the facet of a true one."""
        pick, text = self.random, product.text.casefold()
        true = {fact.tag.id for fact in product.facts}
        while True:
            like = pick.choice(product.facts).tag
            facet = self.by_facet.get(like.facet, self.tags)
            chance = pick.random()
            if chance < 0.2:  # shares letters with the true one
                near = pick.sample(facet, min(30, len(facet)))
                tag = max(near, key=lambda other: len(set(other.name) & set(like.name)))
            elif chance < 0.3:
                tag = self.invented(product.language)
            else:
                tag = pick.choice(facet if chance < 0.7 else self.tags)
            forms = [*forms_of(tag, "zh"), *forms_of(tag, "en")]
            if tag.id not in true and not any(form.casefold() in text for form in forms):
                return tag

    def invented(self, language: str) -> Tag:
        """A tag with a name that nobody has seen: only its letters can tell whether it applies."""
        pick = self.random
        facet = pick.choice(words.INVENTED_FACETS[language])
        if language == "zh":
            name = "".join(pick.choices(_letters(), k=pick.randint(2, 4)))
        else:
            parts = ("".join(pick.choices(words.SYLLABLES, k=pick.randint(2, 3))) for _ in range(2))
            name = " ".join(part.capitalize() for part in list(parts)[: pick.randint(1, 2)])
        return Tag(id=tag_id(facet, name), facet=facet, name=name)

    def _any(self, language: str) -> tuple[str, list[Fact]]:
        """A noun of a category, and facts of some other facets."""
        pick = self.random
        kind = pick.choice(self.by_facet["品类"])
        others = [facet for facet in self.by_facet if facet != "品类"]
        tags = [pick.choice(self.by_facet[f]) for f in pick.sample(others, pick.randint(2, 5))]
        if pick.random() < 0.35:
            tags.append(self.invented(language))
        noun = pick.choice(forms_of(kind, language))
        facts = [Fact(tag, pick.choice(forms_of(tag, language))) for tag in tags]
        return noun, [Fact(kind, noun), *facts]

    def _television(self, language: str) -> tuple[str, list[Fact]]:
        """A television: what it states implies more than the tags that are named."""
        pick, stated = self.random, words.TELEVISION[language]
        known = {tag.name: tag for tag in library().active() if tag.facet == "品类"}
        facts: dict[str, Fact] = {}
        for name in pick.sample(list(stated), pick.randint(2, 5)):
            form = pick.choice(stated[name])
            for implied in (name, *words.IMPLIED.get(name, ())):
                facts.setdefault(implied, Fact(known[implied], form))
        return pick.choice(words.TELEVISION_NOUNS[language]), list(facts.values())

    def _write(self, language: str, noun: str, facts: list[Fact]) -> Product:
        """State every fact's words once: in the title, the description or an attribute."""
        pick, statements = self.random, words.STATEMENTS[language]
        title, said = [noun], []
        attributes: list[tuple[str, str]] = []
        for form in dict.fromkeys(fact.words for fact in facts if fact.words != noun):
            fact = next(fact for fact in facts if fact.words == form)
            place = pick.random()
            if place < 0.45:
                title.insert(pick.randint(0, len(title)), form)
            elif place < 0.75 or fact.tag.facet == "品类":
                pattern = pick.choice(statements.get(fact.tag.facet, statements[""]))
                small = form.istitle() and pick.random() < 0.8
                said.append(pattern.format(v=form.lower() if small else form))
            else:
                facet = fact.tag.facet
                fact.attribute = facet_names().get(facet, {}).get(language, facet)
                attributes.append((fact.attribute, form))
        for _ in range(pick.choice((0, 0, 1, 2))):
            title.insert(pick.randint(0, len(title)), pick.choice(words.TITLE_WORDS[language]))
        if pick.random() < 0.5:
            title.insert(0, pick.choice(words.BRANDS[language]))
        for name in pick.sample(list(words.ATTRIBUTES[language]), pick.choice((0, 0, 0, 1, 2))):
            values = words.ATTRIBUTES[language][name] or words.BRANDS[language]
            attributes.insert(pick.randint(0, len(attributes)), (name, pick.choice(values)))
        between = " " if language == "en" else pick.choice(("", " ", " ", "，"))
        root = pick.choice(words.CATEGORY_ROOTS[language])
        product = Product(
            language, between.join(title), self._description(said, language),
            pick.choice(("", root, f"{root}/{noun}")), attributes, facts,
        )  # fmt: skip
        for fact in facts:  # a description may write the words small or large
            start = product.text.casefold().index(fact.words.casefold())
            if fact.words not in product.text:
                fact.words = product.text[start : start + len(fact.words)]
        return product

    def _description(self, said: list[str], language: str) -> str:
        """Statements as sentences of one to three, with sentences that say nothing between."""
        pick = self.random
        comma, stop = ("，", "。") if language == "zh" else (", ", ".")
        sentences = []
        while said:
            take = pick.randint(1, 3)
            text = comma.join(said[:take]) + stop
            sentences.append(text[0].upper() + text[1:])
            said = said[take:]
        for _ in range(pick.choice((0, 0, 1, 1, 2))):
            sentences.insert(pick.randint(0, len(sentences)), pick.choice(words.FILLERS[language]))
        return (" " if language == "en" else "").join(sentences)
