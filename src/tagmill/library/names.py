"""What may be a name, a facet and a language of the library; all that comes in is read by it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from tagmill.errors import LibraryError
from tagmill.records import Facet, Tag

__all__ = ["clean_facet", "clean_name", "clean_tag", "language_code", "without_colon"]

_LANGUAGE = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]+)*")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BREAK = re.compile("\\s*[\t-\r\x85\u2028\u2029]\\s*")


@lru_cache
def language_code(text: str) -> str:
    """A language code of the shape of BCP 47: zh, zh-Hant, en-GB; zh_CN is zh-CN.

    Raises LibraryError for what is none.
    """
    code = text.strip().replace("_", "-")
    if not _LANGUAGE.fullmatch(code):
        raise LibraryError(
            f"{text!r} is no language code. Write one such as zh, en, zh-Hant, pt-BR"
        )
    return code


def clean_name(name: str) -> str:
    """A name on one line; LibraryError where it is empty, or has characters that cannot be read."""
    if _CONTROL.search(name):
        name = _BREAK.sub(" ", name)
        if _CONTROL.search(name):
            raise LibraryError(
                f"{name!r} cannot be a name: it has control characters, or is not UTF-8. Write it "
                "without"
            )
    if not name.strip():
        raise LibraryError("A name cannot be empty. Write one")
    return name


def clean_tag(tag: Tag, before: Tag | None = None) -> Tag:
    """A tag with its names and languages cleaned, the very same where they are; LibraryError where
    they, or its id, cannot be. The languages that it had `before` may stay."""
    if _CONTROL.search(tag.id):
        raise LibraryError(
            f"{tag.id!r} cannot be an id: it has control characters. Write it without"
        )
    name = clean_name(tag.name)
    names = _clean_names(tag.names, {} if before is None else before.names)
    aliases = tuple(clean_name(alias) for alias in tag.aliases if alias.strip())
    if (name, names, aliases) == (tag.name, tag.names, tag.aliases):
        return tag
    return replace(tag, name=name, names=names, aliases=aliases)


def clean_facet(facet: Facet, before: Facet | None = None) -> Facet:
    """`clean_tag` for a facet; LibraryError for a key that is new and has a colon."""
    if before is None and facet.key:
        if ":" in facet.key:
            raise LibraryError(
                f"The facet '{facet.key}' has a colon, at which facet:name is divided. Write it "
                f"without: {without_colon(facet.key)}"
            )
        if clean_name(facet.key) != facet.key:
            raise LibraryError(f"The facet {facet.key!r} has a line break. Write it without")
    names = _clean_names(facet.names, {} if before is None else before.names)
    return facet if names == facet.names else replace(facet, names=names)


def without_colon(name: str) -> str:
    """A name that can be one of a facet."""
    return " ".join(name.replace(":", " ").split())


def _clean_names(names: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    return {
        code if code in before else language_code(code): clean_name(name)
        for code, name in names.items()
    }
