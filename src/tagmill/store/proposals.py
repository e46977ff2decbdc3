"""Names that products were said to have and the library lacks: their support, what became of them.

A name is one proposal a facet, in whatever spelling of its normal form it comes; what was decided
about it stays: a rejected name gains support, but is never open again.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from tagmill.errors import LibraryError, TagConflict
from tagmill.records import tag_text
from tagmill.store.connection import Database, Found, now, to_json
from tagmill.store.tables import proposal_support, proposals, tags
from tagmill.text import normal_form

__all__ = ["NewName", "Proposal", "ProposalStatus", "Proposals"]

ProposalStatus = Literal["open", "accepted", "merged", "rejected"]

_EXAMPLES = 3
_NEW = (
    "facet", "normal_form", "name", "status", "searches", "by_rule", "who", "why", "first_seen",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewName:
    """A name that a source gives a product; `evidence` is `{field, start, end, text}`."""

    product_id: str
    facet: str
    name: str
    source: str
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Proposal:
    """A name with its support: how many products, and how many searches, have it.

    `examples` are products with their evidence; `tag_id` is what it became, by the library's
    change `change`; `by_rule` where no person decided.
    """

    id: int
    facet: str
    name: str
    status: ProposalStatus
    support: int
    searches: int
    sources: Mapping[str, int]
    examples: Sequence[Mapping[str, Any]]
    tag_id: str | None
    change: int | None
    by_rule: bool
    who: str
    why: str
    first_seen: str
    decided: str | None


class Proposals:
    """The proposals of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, names: Iterable[NewName]) -> int:
        """Note names of products, each once; how many proposals are new."""
        given: dict[tuple[str, str], builtins.list[NewName]] = {}
        for new in names:
            given.setdefault((new.facet, normal_form(new.name)), []).append(new)
        if not given:
            return 0
        at = now()
        with self._database.write() as connection:
            known = self._known(connection, given)
            missing = [key for key in given if key not in known]
            rows = [(*key, given[key][0].name, "open", 0, False, "", "", at) for key in missing]
            self._database.insert(connection, proposals, _NEW, rows)
            known |= self._known(connection, missing)
            support = {
                (known[key], new.product_id): new for key, all_ in given.items() for new in all_
            }
            kept = proposal_support.c.proposal_id, proposal_support.c.product_id
            there = sa.select(*kept).where(
                self._database.among(kept[0], {number for number, _ in support})
            )
            old = {tuple(row) for row in connection.execute(there)}
            added = [
                (*pair, new.source, None if new.evidence is None else to_json(new.evidence), at)
                for pair, new in support.items()
                if pair not in old
            ]
            columns = ("proposal_id", "product_id", "source", "evidence", "at")
            self._database.insert(connection, proposal_support, columns, added)
        return len(missing)

    def count_searches(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Set how many searches named each (facet, name), and that none named the other open ones.

        Names that are new become proposals; open ones that nothing speaks for any more go.
        """
        at = now()
        forms = {(facet, normal_form(name)): (name, n) for (facet, name), n in counts.items()}
        with self._database.write() as connection:
            known = self._known(connection, forms)
            rows = [
                (*key, name, "open", n, False, "", "", at)
                for key, (name, n) in forms.items()
                if key not in known
            ]
            self._database.insert(connection, proposals, _NEW, rows)
            updates = [(n, known[key]) for key, (_, n) in forms.items() if key in known]
            self._database.update(connection, proposals, ("searches",), updates)
            still = self._known(connection, forms).values()
            others = sa.not_(self._database.among(proposals.c.id, still))
            is_open = proposals.c.status == "open"
            unnamed = sa.update(proposals).where(is_open, proposals.c.searches > 0, others)
            connection.execute(unnamed.values(searches=0))
            supported = sa.select(proposal_support.c.proposal_id)
            nothing = proposals.c.searches == 0, proposals.c.id.not_in(supported)
            connection.execute(sa.delete(proposals).where(is_open, *nothing))

    def list(
        self, status: ProposalStatus | None = "open", *, least: int = 1
    ) -> builtins.list[Proposal]:
        """The proposals of a status (None: all) with at least so much support or searches, the
        most useful first: by products and searches together."""
        counted = (
            sa.select(proposal_support.c.proposal_id, sa.func.count().label("support"))
            .group_by(proposal_support.c.proposal_id)
            .subquery()
        )
        support = sa.func.coalesce(counted.c.support, 0)
        useful = support + proposals.c.searches
        wanted = (
            sa.select(proposals, support.label("support"))
            .outerjoin(counted, counted.c.proposal_id == proposals.c.id)
            .where(useful >= least)
            .order_by(useful.desc(), proposals.c.id)
        )
        if status is not None:
            wanted = wanted.where(proposals.c.status == status)
        with self._database.read() as connection:
            return self._filled(connection, connection.execute(wanted).all())

    def get(self, number: int) -> Proposal:
        """The proposal of a number; LibraryError if there is none."""
        support = (
            sa.select(sa.func.count())
            .where(proposal_support.c.proposal_id == proposals.c.id)
            .scalar_subquery()
        )
        wanted = sa.select(proposals, support.label("support")).where(proposals.c.id == number)
        with self._database.read() as connection:
            found = self._filled(connection, connection.execute(wanted).all())
        if not found:
            raise LibraryError(f"There is no proposal {number}. See: tagmill library proposals")
        return found[0]

    def products(self, number: int) -> builtins.list[str]:
        """The ids of the products that a proposal is about."""
        wanted = sa.select(proposal_support.c.product_id).where(
            proposal_support.c.proposal_id == number
        )
        with self._database.read() as connection:
            return list(
                connection.execute(wanted.order_by(proposal_support.c.product_id)).scalars()
            )

    def decide(
        self,
        number: int,
        status: ProposalStatus,
        *,
        tag_id: str | None = None,
        by_rule: bool = False,
        who: str = "",
        why: str = "",
    ) -> Proposal:
        """The proposal, decided. Raises TagConflict where somebody decided otherwise before."""
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(proposals).where(proposals.c.id == number)
            ).one_or_none()
            if row is not None and row.status not in ("open", status):
                raise TagConflict(
                    f"Proposal {number} ('{row.name}') was {row.status} already by "
                    f"{row.who or 'the rule'} at {row.decided}. {_way_back(row)}"
                )
            decided = sa.update(proposals).where(proposals.c.id == number)
            connection.execute(
                decided.values(
                    status=status,
                    tag_id=tag_id,
                    by_rule=by_rule,
                    who=who,
                    why=why,
                    decided=None if status == "open" else now(),
                )
            )
        return self.get(number)

    def reopen_within(self, connection: sa.Connection, change: int) -> None:
        """Open the proposals again that a change of the library decided, which is taken back, and
        those that were merged into a tag which is gone with it."""
        there = sa.exists().where(tags.c.id == proposals.c.tag_id)
        undone = sa.update(proposals).where(
            sa.or_(
                proposals.c.change == change,
                sa.and_(proposals.c.tag_id.is_not(None), ~there),
            )
        )
        connection.execute(undone.values(status="open", tag_id=None, change=None, decided=None))

    def _known(
        self, connection: sa.Connection, keys: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], int]:
        """Numbers by facet and normal form."""
        wanted = set(keys)
        rows = connection.execute(
            sa.select(proposals.c.facet, proposals.c.normal_form, proposals.c.id).where(
                self._database.among(proposals.c.normal_form, {form for _, form in wanted})
            )
        )
        return {(facet, form): number for facet, form, number in rows if (facet, form) in wanted}

    def _filled(self, connection: sa.Connection, rows: Sequence[Found]) -> builtins.list[Proposal]:
        """Rows with their sources and some examples."""
        wanted = (
            sa.select(proposal_support)
            .where(self._database.among(proposal_support.c.proposal_id, [row.id for row in rows]))
            .order_by(proposal_support.c.proposal_id, proposal_support.c.product_id)
        )
        sources: dict[int, dict[str, int]] = {}
        examples: dict[int, builtins.list[dict[str, Any]]] = {}
        for entry in connection.execute(wanted):
            counts = sources.setdefault(entry.proposal_id, {})
            counts[entry.source] = counts.get(entry.source, 0) + 1
            shown = examples.setdefault(entry.proposal_id, [])
            if len(shown) < _EXAMPLES:
                shown.append({"id": entry.product_id, **(entry.evidence or {})})
        return [
            Proposal(
                row.id, row.facet, row.name, row.status, row.support, row.searches,
                sources.get(row.id, {}), examples.get(row.id, []), row.tag_id, row.change,
                row.by_rule, row.who, row.why, row.first_seen, row.decided,
            )
            for row in rows
        ]  # fmt: skip


def _way_back(row: Found) -> str:
    """How what was decided about a proposal is decided otherwise."""
    if row.status == "rejected":
        name = tag_text(row.facet or "FACET", row.name)
        return f"To have the name after all: tagmill library add '{name}'"
    if row.change is None:
        return f"See: tagmill library show {row.tag_id}"
    return f"To take that back: tagmill library undo {row.change}"
