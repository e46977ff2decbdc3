"""Tags and facets as rows, as values, and as the plain form that the library's history keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tagmill.records import Facet, Tag
from tagmill.store.connection import Found, to_json

__all__ = [
    "FACET_FIELDS",
    "TAG_FIELDS",
    "Plain",
    "facet_of",
    "plain_facet",
    "plain_tag",
    "stored_facet",
    "stored_tag",
    "tag_of",
    "tag_values",
]

TAG_FIELDS = (
    "facet", "name", "names", "aliases", "description", "status", "merged_into", "broader",
    "matches", "split_into",
)  # fmt: skip
FACET_FIELDS = ("names", "single", "only_for", "value_kind", "unit", "matches")
_LISTS = ("names", "aliases", "broader", "matches", "split_into")  # of TAG_FIELDS, kept as JSON

Plain = dict[str, Any]  # a tag or a facet, all its fields and its position


def stored_tag(row: Found) -> Plain:
    """The plain form of a row of `tags`."""
    return {
        "id": row.id, "facet": row.facet, "name": row.name, "names": row.names,
        "aliases": row.aliases, "description": row.description, "status": row.status,
        "merged_into": row.merged_into, "broader": row.broader, "matches": row.matches,
        "split_into": row.split_into, "position": row.position,
    }  # fmt: skip


def plain_tag(tag: Tag, position: int) -> Plain:
    """The plain form of a tag, as `stored_tag` gives it once stored."""
    return {
        "id": tag.id, "facet": tag.facet, "name": tag.name, "names": dict(tag.names),
        "aliases": list(tag.aliases), "description": tag.description, "status": tag.status,
        "merged_into": tag.merged_into, "broader": list(tag.broader),
        "matches": list(tag.matches), "split_into": list(tag.split_into), "position": position,
    }  # fmt: skip


def tag_of(plain: Mapping[str, Any]) -> Tag:
    """The tag of a plain form."""
    return Tag(
        plain["id"], plain["facet"], plain["name"], plain["names"], tuple(plain["aliases"]),
        plain["description"], plain["status"], plain["merged_into"],
        tuple(plain.get("broader", ())), tuple(plain.get("matches", ())),
        tuple(plain.get("split_into", ())),
    )  # fmt: skip


def tag_values(plain: Plain) -> tuple[Any, ...]:
    """The values of `TAG_FIELDS` as columns hold them."""
    return tuple(to_json(plain[key]) if key in _LISTS else plain[key] for key in TAG_FIELDS)


def stored_facet(row: Found) -> Plain:
    """The plain form of a row of `facets`."""
    return {"key": row.key, "position": row.position, **{k: row._mapping[k] for k in FACET_FIELDS}}


def plain_facet(facet: Facet, position: int) -> Plain:
    """The plain form of a facet, as `stored_facet` gives it once stored."""
    return {
        "key": facet.key, "position": position, "names": dict(facet.names),
        "single": facet.single, "only_for": list(facet.only_for),
        "value_kind": facet.value_kind, "unit": facet.unit,
        "matches": list(facet.matches),
    }  # fmt: skip


def facet_of(plain: Mapping[str, Any]) -> Facet:
    """The facet of a plain form."""
    return Facet(
        plain["key"], plain["names"], plain.get("single", False),
        tuple(plain.get("only_for", ())), plain.get("value_kind", "text"), plain.get("unit", ""),
        tuple(plain.get("matches", ())),
    )  # fmt: skip
