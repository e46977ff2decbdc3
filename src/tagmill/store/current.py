"""A product's tags as they stand: its snapshot, with what people said laid over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import sqlalchemy as sa

from tagmill.records import TAGGED_SCHEMA
from tagmill.store.connection import Database, Found
from tagmill.store.given import GivenTags
from tagmill.store.tables import assignments, verdicts
from tagmill.store.verdicts import PERSON, UNDECIDED, latest_verdicts

__all__ = ["CURRENT_SCHEMA", "EXPORT_SCHEMA", "CurrentTags", "Entry", "Names", "Outlook"]

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


class Entry(NamedTuple):
    """One tag of a snapshot that is not stored; a row of `assignments` has these fields too."""

    tag_id: str
    probability: float
    calibration: str
    lane: str
    evidence: Any
    origin: str


class Names(Protocol):
    """What tag ids stand for in a library that may not be the stored one; see `TagNames`."""

    def load(self, connection: sa.Connection, tag_ids: Iterable[str]) -> None:
        """Read what will be asked of."""

    def target(self, tag_id: str) -> str | None:
        """The tag that counts in its place."""

    def facet(self, tag_id: str) -> str:
        """Its key."""

    def single_facet(self, tag_id: str) -> str | None:
        """Its key, where the facet has one value a product."""

    def asked_by(self, tag_id: str) -> set[str]:
        """The tags that its facet is only for."""

    def ancestors(self, tag_id: str) -> set[str]:
        """What it implies."""

    def parts(self, tag_id: str) -> Sequence[str]:
        """What it was split into."""

    def written(self, tag_id: str, language: str) -> tuple[str, str]:
        """Facet and name."""


@dataclass(frozen=True)
class Outlook:
    """What is not stored, to see what would be: a library, and tags of some products."""

    names: Names
    mean: Callable[[Iterable[str]], Mapping[str, str | None]]  # as `GivenTags.mean`
    tagged: Mapping[str, Sequence[Found | Entry]]  # by product id, in place of what is stored


class CurrentTags:
    """Reads current tags on one connection; `names` may serve several."""

    def __init__(
        self,
        database: Database,
        connection: sa.Connection,
        names: Names,
        language: str,
        outlook: Outlook | None = None,
    ) -> None:
        self._database = database
        self._connection = connection
        self._names = names
        self._language = language
        self._mean = outlook.mean if outlook else GivenTags(database, connection).mean
        self._tagged: Mapping[str, Sequence[Found | Entry]] = outlook.tagged if outlook else {}

    def read(self, rows: Sequence[Found | None]) -> pa.ListArray:
        """The tags of product rows (`id`, `language`, `snapshot`, `tags`), none for None; (n,)
        lists."""
        stored, judged = self._load([row for row in rows if row is not None])
        offsets, tags = [0], list[_Tag]()
        for row in rows:
            if row is not None:
                language = (row.language or "") if self._language == "product" else self._language
                own = self._tagged.get(row.id, stored.get(row.snapshot, ()))
                tags += self._lay_over(own, judged.get(row.id, {}), language)
            offsets.append(len(tags))
        columns = list(zip(*tags, strict=True)) or [()] * len(_TAG_FIELDS)
        arrays = [
            pa.array(values, field.type) for values, field in zip(columns, _TAG_FIELDS, strict=True)
        ]
        entries = pa.StructArray.from_arrays(arrays, fields=_TAG_FIELDS)
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), entries)
        return lists.cast(CURRENT_SCHEMA.field("tags").type)

    def ids(self, rows: Sequence[Found]) -> Iterator[set[str]]:
        """The ids of the tags of product rows (`id`, `snapshot`, `tags`), also of those that
        `read` leaves out for the sake of others: second values and implied ones."""
        stored, judged = self._load(rows)
        for row in rows:
            has = dict.fromkeys((entry.tag_id for entry in stored.get(row.snapshot, ())), True)
            says = {**has, **judged.get(row.id, {})}
            targets = {self._names.target(tag_id): said for tag_id, said in says.items()}
            yield {tag_id for tag_id, said in targets.items() if said and tag_id is not None}

    def _load(
        self, rows: Sequence[Found]
    ) -> tuple[dict[int, list[Found]], dict[str, dict[str, bool]]]:
        """What is stored by snapshot, and what people said by product; their tags' names."""
        stored = self._stored([row.snapshot for row in rows if row.snapshot is not None])
        judged = self._said(rows)
        used = {entry.tag_id for entries in stored.values() for entry in entries}
        used.update(tag_id for pairs in judged.values() for tag_id in pairs)
        self._names.load(self._connection, used)
        return stored, judged

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

    def _said(self, rows: Sequence[Found]) -> dict[str, dict[str, bool]]:
        """What people said, by product and tag: verdicts, over what the catalogue came with."""
        judged = self._judged([row.id for row in rows])
        texts = {text for row in rows for text in row.tags or ()}
        meaning = self._mean(texts) if texts else {}
        for row in rows:
            given = {i: True for text in row.tags or () if (i := meaning[text]) is not None}
            if given:
                own = judged.get(row.id, {})
                judged[row.id] = {i: True for i in given if i not in own} | own
        return judged

    def _judged(self, product_ids: list[str]) -> dict[str, dict[str, bool]]:
        wanted = latest_verdicts().where(self._database.among(verdicts.c.product_id, product_ids))
        judged: dict[str, dict[str, bool]] = {}
        # The latest last, also after a merge of tags.
        for row in self._connection.execute(wanted.order_by(verdicts.c.id)):
            judged.setdefault(row.product_id, {})[row.tag_id] = row.accepted
        return judged

    def _lay_over(
        self, entries: Sequence[Found | Entry], judged: dict[str, bool], language: str
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
                PERSON if accepted else entry.origin,
            )
        for target, accepted in verdict.items():
            if accepted and target not in tags:
                written = self._names.written(target, language)
                tags[target] = _Tag(target, *written, 1.0, "fitted", "auto", None, PERSON)
        for tag_id, accepted in judged.items():
            for part in self._names.parts(tag_id) if accepted else ():
                self._ask_about(part, tags, verdict, language)
        ordered = sorted(tags.values(), key=lambda tag: -tag.probability)
        return self._consistent(ordered, list(verdict))

    def _ask_about(
        self, part: str, tags: dict[str, _Tag], verdict: dict[str, bool], language: str
    ) -> None:
        """Have a person decide about a part of a tag that one accepted before it was split."""
        if part in verdict:
            return
        if part in tags:
            tags[part] = tags[part]._replace(lane="review")
        else:
            written = self._names.written(part, language)
            tags[part] = _Tag(part, *written, UNDECIDED, "prior", "review", None, PERSON)

    def _consistent(self, ordered: list[_Tag], judged: list[str]) -> list[_Tag]:
        """Without a second value of a facet that has one, what is only for products of another
        kind, and what a narrower tag implies.

        What people said comes first, the latest before what they said earlier; of several kinds
        and narrower or broader tags all stay that they said.
        """
        last_first = {tag_id: -place for place, tag_id in enumerate(judged)}
        kept: dict[str, _Tag] = {}
        taken: set[str] = set()
        for tag in sorted(ordered, key=lambda tag: last_first.get(tag.id, 1)):
            facet = self._names.single_facet(tag.id)
            if facet is None or facet not in taken:
                kept[tag.id] = tag
                taken.update(() if facet is None else (facet,))
        kept = {i: tag for i, tag in kept.items() if tag.origin == PERSON or self._fits(i, kept)}
        implied: set[str] = set()
        for tag in kept.values():
            wider = self._names.ancestors(tag.id) & kept.keys()
            implied.update(
                i for i in wider
                if kept[i].origin != PERSON and (tag.lane == "auto" or kept[i].lane != "auto")
            )  # fmt: skip
        return [tag for tag in ordered if tag.id in kept and tag.id not in implied]

    def _fits(self, tag_id: str, others: dict[str, _Tag]) -> bool:
        """Whether a product with these tags is one that the facet of a tag is for, or may be."""
        asked = self._names.asked_by(tag_id)
        if not asked:
            return True
        facets = {self._names.facet(one) for one in asked}
        return not facets & {self._names.facet(one) for one in others} or any(
            one in asked or asked & self._names.ancestors(one) for one in others
        )
