"""Products for the small model's training text, each with the facts that are true of it.

An invented product is made the other way round: tags are drawn from a library first, then a text is
written around words that state them, so every answer and quote is known. No line of
`catalogue.jsonl`, which tests and the demo use, is read. One tag in ten is kept out of training.
`Recorded` takes products that people tagged instead.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import words

from tagmill.library import Library, starter_library
from tagmill.library.exchange.spreadsheet import read_csv
from tagmill.records import Tag, tag_id
from tagmill.text import normal_form

LANGUAGES = ("zh", "en")
KIND = "品类"  # the facet of what a product is, in the starter library and in imported taxonomies
_HAN = re.compile(r"[\u3400-\u9fff]")
_SUFFIX = re.compile(r"(?<=..)(色|风|款|质|味)$")
_TELLING = re.compile(r"[\u3400-\u9fff]{2}|\w{3}|\d")  # a name short of it says too little
_SAYING_NOTHING = {"Other", "Yes", "No", "None"}


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
    implied: list[Tag] = field(default_factory=list)  # tags that it has, and no word of it states

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


class Vocabulary:
    """The tags of a library as words: what states each, and which are kept out of training."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.facet_names = {f.key: dict(f.names) for f in library.facets.values()}
        self.kinds = {tag.name: tag for tag in library.active() if tag.facet == KIND}
        self.tags: dict[bool, list[Tag]] = {True: [], False: []}  # by whether they are kept out
        self.by_facet: dict[bool, dict[str, list[Tag]]] = {True: {}, False: {}}
        self._forms: dict[tuple[str, str], list[str]] = {}
        for tag in library.active():
            names = [tag.name_in(language) for language in LANGUAGES]
            if not all(_TELLING.search(n) and n not in _SAYING_NOTHING for n in names):
                continue
            out = _kept_out(tag)
            self.tags[out].append(tag)
            self.by_facet[out].setdefault(tag.facet, []).append(tag)
        names = [tag.name_in("zh") for tags in self.tags.values() for tag in tags]
        self.letters = "".join(sorted(set(_HAN.findall("".join(names)))))

    def forms(self, tag: Tag, language: str) -> list[str]:
        """Words that state a tag in a language, its name twice."""
        known = self._forms.get((tag.id, language))
        if known is None:
            name = tag.name_in(language)
            aliases = [a for a in tag.aliases if bool(_HAN.search(a)) is (language == "zh")]
            short = _SUFFIX.sub("", name) if language == "zh" else ""
            if language == "en" and tag.facet == KIND:
                short = name.removesuffix("s")
            known = [name, name, *aliases, *([short] if short else [])]
            self._forms[tag.id, language] = known
        return known


@cache
def vocabulary(path: str = "") -> Vocabulary:
    """The vocabulary of a library's CSV file, or of the starter library, read once."""
    return Vocabulary(Library(*read_csv(path)) if path else starter_library())


def _kept_out(tag: Tag) -> bool:
    return int(tag.id, 16) % 10 == 0 and tag.name not in words.TELEVISION["zh"]


class Generator:
    """Products from one stream of random numbers; `new_tags`: only of tags kept out of training."""

    languages: tuple[str, ...] = LANGUAGES

    def __init__(
        self, seed: int, words_of: Vocabulary | None = None, *, new_tags: bool = False
    ) -> None:
        self.random = random.Random(seed)
        self.vocabulary = words_of or vocabulary()
        known = words.TELEVISION["zh"].keys() <= self.vocabulary.kinds.keys()
        self.televisions = known and not new_tags
        self.tags = self.vocabulary.tags[new_tags]
        self.by_facet = self.vocabulary.by_facet[new_tags]

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
        true = {fact.tag.id for fact in product.facts} | {tag.id for tag in product.implied}
        has = [fact.tag for fact in product.facts] + product.implied
        while True:
            like = pick.choice(has)
            facet = self.by_facet.get(like.facet, self.tags)
            chance = pick.random()
            if chance < 0.2:  # shares letters with the true one
                near = pick.sample(facet, min(30, len(facet)))
                tag = max(near, key=lambda other: len(set(other.name) & set(like.name)))
            elif chance < 0.3:
                tag = self.invented(product.language)
            else:
                tag = pick.choice(facet if chance < 0.7 else self.tags)
            forms = [form for one in LANGUAGES for form in self.vocabulary.forms(tag, one)]
            if tag.id not in true and not any(form.casefold() in text for form in forms):
                return tag

    def invented(self, language: str) -> Tag:
        """A tag with a name that nobody has seen: only its letters can tell whether it applies."""
        pick = self.random
        facet = pick.choice(words.INVENTED_FACETS[language])
        if language == "zh":
            name = "".join(pick.choices(self.vocabulary.letters, k=pick.randint(2, 4)))
        else:
            parts = ("".join(pick.choices(words.SYLLABLES, k=pick.randint(2, 3))) for _ in range(2))
            name = " ".join(part.capitalize() for part in list(parts)[: pick.randint(1, 2)])
        return Tag(id=tag_id(facet, name), facet=facet, name=name)

    def _any(self, language: str) -> tuple[str, list[Fact]]:
        """A noun of a category, and facts of some other facets."""
        pick = self.random
        kind = pick.choice(self.by_facet.get(KIND) or self.tags)
        others = [facet for facet in self.by_facet if facet != kind.facet]
        some = pick.sample(others, min(len(others), pick.randint(2, 5)))
        tags = [pick.choice(self.by_facet[facet]) for facet in some]
        if pick.random() < 0.35:
            tags.append(self.invented(language))
        noun = pick.choice(self.vocabulary.forms(kind, language))
        facts = [Fact(tag, pick.choice(self.vocabulary.forms(tag, language))) for tag in tags]
        return noun, [Fact(kind, noun), *facts]

    def _television(self, language: str) -> tuple[str, list[Fact]]:
        """A television: what it states implies more than the tags that are named."""
        pick, stated = self.random, words.TELEVISION[language]
        facts: dict[str, Fact] = {}
        for name in pick.sample(list(stated), pick.randint(2, 5)):
            form = pick.choice(stated[name])
            for implied in (name, *words.IMPLIED.get(name, ())):
                facts.setdefault(implied, Fact(self.vocabulary.kinds[implied], form))
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
            elif place < 0.75 or fact.tag.facet == KIND:
                pattern = pick.choice(statements.get(fact.tag.facet, statements[""]))
                small = form.istitle() and pick.random() < 0.8
                said.append(pattern.format(v=form.lower() if small else form))
            else:
                facet = fact.tag.facet
                fact.attribute = self.vocabulary.facet_names.get(facet, {}).get(language, facet)
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


class Recorded(Generator):
    """Products that people tagged, drawn from files, in place of invented ones.

    A line of a file is a product as `tagmill train` takes it, its tags as `facet:name`. A tag whose
    name stands in the text is a fact with that quote; any other is true, and nothing states it.
    """

    def __init__(self, seed: int, paths: tuple[str, ...]) -> None:
        words_of, products = _recorded(paths)
        super().__init__(seed, words_of)
        self.products = products
        self.languages = tuple(products)

    def product(self, language: str) -> Product:
        """One of the products, any as often as another."""
        return self.random.choice(self.products[language])


@cache
def _recorded(paths: tuple[str, ...]) -> tuple[Vocabulary, dict[str, list[Product]]]:
    """The tags of all files, and their products by language; those without a tag are left out."""
    tags: dict[str, Tag] = {}
    facets: dict[str, str] = {}
    products: dict[str, list[Product]] = {}
    for path in paths:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["tags"]:
                product = _as_product(row, _tags_of(row["tags"], tags, facets))
                products.setdefault(product.language, []).append(product)
    return Vocabulary(Library(tags.values())), products


def _tags_of(texts: Iterable[str], known: dict[str, Tag], facets: dict[str, str]) -> list[Tag]:
    """Tags by name; what differs only in how it is written is one."""
    tags = []
    for text in texts:
        facet, _, name = text.rpartition(":")
        facet = facets.setdefault(normal_form(facet), facet or "tag")
        made = Tag(id=tag_id(facet, name), facet=facet, name=name)
        tags.append(known.setdefault(f"{facet}:{normal_form(name)}", made))
    return tags


def _as_product(row: dict[str, str], tags: list[Tag]) -> Product:
    language = "zh" if _HAN.search(row["title"]) else "en"
    made = Product(
        language, row["title"], row.get("description", ""), row.get("category", ""), [], []
    )
    for tag in tags:
        word = re.escape(tag.name)
        if language == "en":
            word = rf"(?<!\w){word}(?!\w)"
        found = re.search(word, made.text, re.IGNORECASE)
        if found:
            made.facts.append(Fact(tag, found[0]))
        else:
            made.implied.append(tag)
    return made
