"""What a large language model is asked: text files, filled in for one product.

The prompts of a profile are the files `STAGE.LANGUAGE.txt` of its folder, each a fixed part and,
behind a line `===`, the part that changes: servers keep the fixed part in their prefix caches. A
`$name` is a placeholder (`STAGES`), `$$` a dollar sign. A prompt's version is a hash of its text,
so a changed one asks again only what it concerns. One request holds one product, between marks
that its own text cannot write: what stands there can only concern itself.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any

from tagmill.errors import SettingsError
from tagmill.language.profiles import LANGUAGES, Profile
from tagmill.records import Facet, Tag, name_in, tag_text

__all__ = [
    "STAGES",
    "Prompt",
    "check_prompts",
    "library_prompt",
    "load_prompt",
    "offered_tags",
    "prompt_language",
    "says_something",
    "tag_line",
    "write_product",
]

# What each stage fills in: for every product anew, so only behind the line `===` …
STAGES: dict[str, tuple[str, ...]] = {
    "propose": ("product", "candidates"),
    "verify": ("product", "tag"),
    "describe": ("product", "neighbours"),
}
# … (of prompts about the library: for every pair) …
LIBRARY_STAGES: dict[str, tuple[str, ...]] = {"same": ("first", "second")}
# … and what stays the same for many, so it may stand anywhere.
_FIXED = {"propose": (), "verify": (), "describe": ("language", "channel", "season")}
_OF_LIBRARY = Path(__file__).parent / "prompts/library"
_OF_PROFILE = ("row", "facets")
_OPTIONAL = ("neighbours",)

_SEPARATOR = re.compile(r"^===[ \t]*$", re.MULTILINE)
_MARKS = re.compile(r"<(?=\s*/?\s*product\s*>)", re.IGNORECASE)
_COLON = {"zh": "：", "en": ": "}
_BETWEEN = {"zh": "；", "en": "; "}
_DESCRIPTION_CHARACTERS = 4000


@dataclass(frozen=True)
class Prompt:
    """One prompt file. `version` is 16 hex digits of a SHA-256 of its text and `constant`s."""

    stage: str
    language: str
    system: str
    user: str
    version: str
    constant: Mapping[str, str]  # placeholders that the profile fills

    def messages(self, **values: str) -> list[dict[str, str]]:
        """The chat messages, with `$names` of both parts filled in."""
        values = {**self.constant, **values}
        return [
            {"role": "system", "content": Template(self.system).substitute(values)},
            {"role": "user", "content": Template(self.user).substitute(values)},
        ]


@lru_cache(maxsize=64)
def load_prompt(profile: Profile, stage: str, language: str) -> Prompt:
    """The prompt of a stage in a language, zh or en. SettingsError where it is missing or wrong."""
    constant = {"row": profile.row[language], "facets": profile.facet_names(language)}
    known = (*_FIXED[stage], *_OF_PROFILE)
    return _read_prompt(profile.folder, stage, language, STAGES[stage], known, constant)


@lru_cache(maxsize=8)
def library_prompt(stage: str, language: str) -> Prompt:
    """A prompt about the library itself, whatever the profile."""
    return _read_prompt(_OF_LIBRARY, stage, language, LIBRARY_STAGES[stage], (), {})


def _read_prompt(
    folder: Path,
    stage: str,
    language: str,
    changing: Sequence[str],
    fixed: Sequence[str],
    constant: Mapping[str, str],
) -> Prompt:
    """The prompt of a folder, which fills in what is `changing` and may what is `fixed`."""
    path = folder / f"{stage}.{language}.txt"
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        known = ", ".join(sorted(p.name for p in folder.glob("*.txt"))) or "none"
        raise SettingsError(
            f"The folder {folder} has no prompt {path.name} ({error.strerror}). It has: {known}"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8. Save it as UTF-8") from error
    parts = _SEPARATOR.split(text)
    if len(parts) != 2:
        raise SettingsError(
            f"{path} has {len(parts) - 1} lines '==='. Write the fixed part, one such line, and "
            "the part with the product"
        )
    system, user = (part.strip() for part in parts)
    _check_placeholders(str(path), stage, changing, fixed, Template(system), Template(user))
    digest = hashlib.sha256(data)
    for name in Template(f"{system} {user}").get_identifiers():
        digest.update(constant.get(name, "").encode())
    return Prompt(stage, language, system, user, digest.hexdigest()[:16], constant)


def check_prompts(profile: Profile) -> None:
    """Raise SettingsError where one of the profile's prompts is missing or wrong."""
    for stage in STAGES:
        for language in LANGUAGES:
            load_prompt(profile, stage, language)


def _check_placeholders(
    path: str,
    stage: str,
    changing: Sequence[str],
    fixed: Sequence[str],
    system: Template,
    user: Template,
) -> None:
    known = (*changing, *fixed)
    for part in (system, user):
        if not part.is_valid():
            raise SettingsError(
                f"{path} has a '$' without a name behind it. Write $$ for a dollar sign"
            )
        for name in part.get_identifiers():
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean '${nearest[0]}'? " if nearest else ""
                raise SettingsError(
                    f"{path}: '{stage}' has nothing to put in the place of ${name}. {hint}Known: "
                    f"{', '.join('$' + one for one in known)}; write $$ for a dollar sign"
                )
    for name in changing:
        if name in system.get_identifiers():
            raise SettingsError(
                f"{path} has ${name} before the line '===', where nothing may change from one "
                "product to the next. Write it behind the line"
            )
        if name not in user.get_identifiers() and name not in _OPTIONAL:
            raise SettingsError(f"{path} has no ${name}. Write it behind the line '==='")


def prompt_language(language: str | None) -> str:
    """The language of the prompts for a product: zh for any Chinese, else en."""
    return "zh" if (language or "").startswith("zh") else "en"


def write_product(product: Mapping[str, Any], language: str, profile: Profile) -> str:
    """A product as it stands in a prompt: labelled lines between marks it cannot write itself.

    `product` has the fields of `PRODUCT_SCHEMA`, its attributes as pairs.
    """
    colon = _COLON[language]
    attributes = _BETWEEN[language].join(
        f"{name}={value}" for name, value in product.get("attributes") or () if value
    )
    description = (product.get("description") or "")[:_DESCRIPTION_CHARACTERS]
    values = {**product, "attributes": attributes, "description": description}
    lines = [
        f"{labels[language]}{colon}{_MARKS.sub('‹', values[field])}"
        for field, labels in profile.fields.items()
        if values.get(field)
    ]
    return "\n".join(["<product>", *lines, "</product>"])


def says_something(written: str) -> bool:
    """Whether a product as `write_product` gives it has a line."""
    return written.count("\n") > 1


def tag_line(tag: Tag, language: str, facets: Mapping[str, Facet]) -> str:
    """A tag as prompts name it: facet and name in the language, with its description."""
    names = facets[tag.facet].names if tag.facet in facets else {}
    text = tag_text(name_in(names, tag.facet, language), tag.name_in(language))
    return f"{text} — {tag.description}" if tag.description else text


def offered_tags(
    tags: Sequence[Tag],
    language: str,
    facets: Mapping[str, Facet],
    redacted: Callable[[str], str] = str,
) -> tuple[list[Tag], str]:
    """Tags in the order of their ids, which no score decides, and their numbered lines, each
    `redacted`."""
    ordered = sorted(tags, key=lambda tag: tag.id)
    lines = [
        f"{number}. {redacted(tag_line(tag, language, facets))}"
        for number, tag in enumerate(ordered, start=1)
    ]
    return ordered, "\n".join(lines)
