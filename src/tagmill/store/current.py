"""A product's tags as they stand: its snapshot, with verdicts laid over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from tagmill.records import TAGGED_SCHEMA
from tagmill.store.connection import Database, Found
from tagmill.store.names import TagNames
from tagmill.store.tables import assignments, verdicts

__all__ = ["CURRENT_SCHEMA", "EXPORT_SCHEMA", "CurrentTags"]

_TAG_FIELDS = [
    *TAGGED_SCHEMA.field("tags").type.value_type,
    pa.field("origin", pa.string(), nullable=False),  # lexicon, model …, or person
]
CURRENT_SCHEMA = pa.schema(
    [
        TAGGED_SCHEMA.field("id"),
        pa.field("tags", pa.list_(pa.struct(_TAG_FIELDS)), nullable=False),
    ]
)
EXPORT_SCHEMA = pa.schema(
    [
        *CURRENT_SCHEMA,
        pa.field("seq", pa.int64(), nullable=False),  # of the product's newest change
        pa.field("gone", pa.bool_(), nullable=False),  # no longer in the catalogue
    ]
)

_PERSON = "person"


class _Tag(NamedTuple):
    """In the order of `_TAG_FIELDS`."""

    id: str
    facet: str
    name: str
    probability: float
    calibration: str
    lane: str
    evidence: Any
    origin: str


class CurrentTags:
    """Reads current tags on one connection; `names` may serve several."""

    def __init__(
        self, database: Database, connection: sa.Connection, names: TagNames, language: str
    ) -> None:
        self._database = database
        self._connection = connection
        self._names = names
        self._language = language

    def read(self, rows: Sequence[Found | None]) -> pa.ListArray:
        """The tags of product rows (`id`, `language`, `snapshot`), none for None; (n,) lists."""
        found = [row for row in rows if row is not None]
        stored = self._stored([row.snapshot for row in found if row.snapshot is not None])
        judged = self._judged([row.id for row in found])
        used = {entry.tag_id for entries in stored.values() for entry in entries}
        used.update(tag_id for pairs in judged.values() for tag_id in pairs)
        self._names.load(self._connection, used)
        offsets, tags = [0], list[_Tag]()
        for row in rows:
            if row is not None:
                language = (row.language or "") if self._language == "product" else self._language
                tags += self._lay_over(
                    stored.get(row.snapshot, ()), judged.get(row.id, {}), language
                )
            offsets.append(len(tags))
        columns = list(zip(*tags, strict=True)) or [()] * len(_TAG_FIELDS)
        arrays = [
            pa.array(values, field.type) for values, field in zip(columns, _TAG_FIELDS, strict=True)
        ]
        entries = pa.StructArray.from_arrays(arrays, fields=_TAG_FIELDS)
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), entries)
        return lists.cast(CURRENT_SCHEMA.field("tags").type)

    def _stored(self, snapshots: list[int]) -> dict[int, list[Found]]:
        wanted = (
            sa.select(assignments)
            .where(self._database.among(assignments.c.seq, snapshots))
            .order_by(assignments.c.seq, assignments.c.rank)
        )
        stored: dict[int, list[Found]] = {}
        for row in self._connection.execute(wanted):
            stored.setdefault(row.seq, []).append(row)
        return stored

    def _judged(self, product_ids: list[str]) -> dict[str, dict[str, bool]]:
        wanted = (
            sa.select(verdicts.c.product_id, verdicts.c.tag_id, verdicts.c.accepted)
            .where(self._database.among(verdicts.c.product_id, product_ids))
            .order_by(verdicts.c.id)
        )
        judged: dict[str, dict[str, bool]] = {}
        for product_id, tag_id, accepted in self._connection.execute(wanted):
            pairs = judged.setdefault(product_id, {})
            pairs.pop(tag_id, None)  # the latest last, also after a merge of tags
            pairs[tag_id] = accepted
        return judged

    def _lay_over(
        self, entries: Sequence[Found], judged: dict[str, bool], language: str
    ) -> list[_Tag]:
        verdict = {
            target: accepted
            for tag_id, accepted in judged.items()
            if (target := self._names.target(tag_id)) is not None
        }
        tags: dict[str, _Tag] = {}
        for entry in entries:
            target = self._names.target(entry.tag_id)
            if target is None or target in tags or verdict.get(target) is False:
                continue
            accepted = verdict.get(target, False)
            tags[target] = _Tag(
                target,
                *self._names.written(target, language),
                1.0 if accepted else entry.probability,
                entry.calibration,
                "auto" if accepted else entry.lane,
                entry.evidence,
                _PERSON if accepted else entry.origin,
            )
        for target, accepted in verdict.items():
            if accepted and target not in tags:
                written = self._names.written(target, language)
                tags[target] = _Tag(target, *written, 1.0, "fitted", "auto", None, _PERSON)
        return sorted(tags.values(), key=lambda tag: -tag.probability)
