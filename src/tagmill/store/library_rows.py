"""Tags and facets as rows, as values, and as the plain form that the library's history keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, repeat
from operator import ge
from sys import intern
from typing import Any, cast

import sqlalchemy as sa

from tagmill.records import Facet, Tag, TagStatus
from tagmill.store.connection import Found, to_json
from tagmill.store.tables import tags

__all__ = [
    "FACET_FIELDS",
    "TAG_FIELDS",
    "Plain",
    "facet_of",
    "plain_facet",
    "plain_tag",
    "read_tags",
    "select_tags",
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
# Of TAG_FIELDS, kept as JSON → what it is where nothing is there, as of most tags.
_EMPTY = {"names": "{}", "aliases": "[]", "broader": "[]", "matches": "[]", "split_into": "[]"}

_PAGE = 10_000

Plain = dict[str, Any]  # a tag or a facet, all its fields and its position


def stored_tag(row: Found) -> Plain:
    """The plain form of a row of `tags`."""
    return {
        "id": row.id, "facet": row.facet, "name": row.name, "names": row.names,
        "aliases": row.aliases, "description": row.description, "status": row.status,
        "merged_into": row.merged_into, "broader": row.broader, "matches": row.matches,
        "split_into": row.split_into, "position": row.position,
    }  # fmt: skip


def select_tags() -> sa.Select[Any]:
    """All tags, their JSON as text: rows for `read_tags`, in whatever order is fastest."""
    columns = (
        sa.cast(tags.c[name], sa.Text) if name in _EMPTY else tags.c[name] for name in TAG_FIELDS
    )
    return sa.select(tags.c.id, *columns, tags.c.position)


def read_tags(rows: Iterable[Any]) -> list[Tag]:
    """The tags of rows of `select_tags`, in the order they came in.

    What many share is held once, and JSON is read by the column: of a million tags both matter.
    """
    rows = iter(rows)
    found: list[Tag] = []
    positions: list[int] = []
    while page := list(islice(rows, _PAGE)):
        ids, in_facets, own, names, aliases, descriptions, statuses, merged, *lists, places = zip(
            *page, strict=True
        )
        texts = [_listed(column) for column in (aliases, *lists)]
        mappings = json.loads(f"[{','.join(names)}]")  # a page's mappings share their keys
        found += map(
            Tag, ids, map(intern, in_facets), own, mappings, texts[0], descriptions,
            cast("Iterable[TagStatus]", map(intern, statuses)), merged, *texts[1:],
        )  # fmt: skip
        positions += places
    if any(map(ge, positions, islice(positions, 1, None))):
        order = sorted(range(len(found)), key=lambda i: (positions[i], found[i].id))
        return [found[i] for i in order]
    return found


def _listed(column: Sequence[str]) -> Iterable[tuple[str, ...]]:
    if column.count("[]") == len(column):  # as of most tags
        return repeat((), len(column))
    return map(tuple, json.loads(f"[{','.join(column)}]"))


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
    return tuple([_EMPTY[key] if not plain[key] and key in _EMPTY else
                  to_json(plain[key]) if key in _EMPTY else plain[key]
                  for key in TAG_FIELDS])  # fmt: skip


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
