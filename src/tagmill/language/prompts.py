"""What a large language model is asked: text files, filled in for one product.

A profile is a folder of `STAGE.LANGUAGE.txt` files, each a fixed part and, behind a line `===`, the
part that changes: servers keep the fixed part in their prefix caches. Its version is the hash of
the file, so a changed prompt asks again only what it concerns. One request holds one product,
between marks that its own text cannot write: what stands there can only concern itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from tagmill.errors import SettingsError
from tagmill.records import Tag, tag_text

__all__ = [
    "PROFILES",
    "Prompt",
    "load_prompt",
    "offered_tags",
    "prompt_language",
    "tag_line",
    "write_product",
]

PROFILES = Path(__file__).parent / "prompts"
_SEPARATOR = re.compile(r"^===$", re.MULTILINE)
_MARKS = re.compile(r"<(?=\s*/?\s*product\s*>)", re.IGNORECASE)
_LABELS = {
    "zh": {"title": "标题", "category": "类目", "attributes": "属性", "description": "描述"},
    "en": {
        "title": "Title",
        "category": "Category",
        "attributes": "Attributes",
        "description": "Description",
    },
}
_COLON = {"zh": "：", "en": ": "}
_BETWEEN = {"zh": "；", "en": "; "}
_DESCRIPTION_CHARACTERS = 4000


@dataclass(frozen=True)
class Prompt:
    """One prompt file. `version` is 16 hex digits of its SHA-256."""

    stage: str
    language: str
    system: str
    user: str
    version: str

    def messages(self, **values: str) -> list[dict[str, str]]:
        """The chat messages, with `$names` of both parts filled in."""
        return [
            {"role": "system", "content": Template(self.system).substitute(values)},
            {"role": "user", "content": Template(self.user).substitute(values)},
        ]


@cache
def load_prompt(profile: Path, stage: str, language: str) -> Prompt:
    """The prompt of a stage in a language, zh or en. SettingsError where the file is missing."""
    path = profile / f"{stage}.{language}.txt"
    try:
        data = path.read_bytes()
    except OSError as error:
        known = ", ".join(sorted(p.name for p in profile.glob("*.txt"))) or "none"
        raise SettingsError(
            f"The profile {profile} has no prompt {path.name} ({error.strerror}). It has: {known}"
        ) from error
    parts = _SEPARATOR.split(data.decode("utf-8"))
    if len(parts) != 2:
        raise SettingsError(
            f"{path} has {len(parts) - 1} lines '==='. Write the fixed part, one such line, and "
            "the part with the product"
        )
    system, user = (part.strip() for part in parts)
    return Prompt(stage, language, system, user, hashlib.sha256(data).hexdigest()[:16])


def prompt_language(language: str | None) -> str:
    """The language of the prompts for a product: zh for any Chinese, else en."""
    return "zh" if (language or "").startswith("zh") else "en"


def write_product(product: Mapping[str, Any], language: str) -> str:
    """A product as it stands in a prompt: labelled lines between marks it cannot write itself.

    `product` has the fields of `PRODUCT_SCHEMA`, its attributes as pairs.
    """
    labels, colon = _LABELS[language], _COLON[language]
    attributes = _BETWEEN[language].join(
        f"{name}={value}" for name, value in product.get("attributes") or () if value
    )
    description = (product.get("description") or "")[:_DESCRIPTION_CHARACTERS]
    values = {**product, "attributes": attributes, "description": description}
    lines = [
        f"{label}{colon}{_MARKS.sub('‹', values[field])}"
        for field, label in labels.items()
        if values.get(field)
    ]
    return "\n".join(["<product>", *lines, "</product>"])


def tag_line(tag: Tag, language: str) -> str:
    """A tag as prompts name it: facet and name in the language, with its description."""
    text = tag_text(tag.facet, tag.name_in(language))
    return f"{text} — {tag.description}" if tag.description else text


def offered_tags(tags: Sequence[Tag], language: str) -> tuple[list[Tag], str]:
    """Tags in the order of their ids, which no score decides, and their numbered lines."""
    ordered = sorted(tags, key=lambda tag: tag.id)
    lines = [f"{number}. {tag_line(tag, language)}" for number, tag in enumerate(ordered, start=1)]
    return ordered, "\n".join(lines)
