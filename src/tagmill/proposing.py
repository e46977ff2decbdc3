"""New names for the library: what waits for a decision, and deciding.

Names come from large models, the extractor, people and searches (`store.proposals`). Those that
the library has under another spelling never wait; of the others people decide, or a rule, where
its precision on what people decided allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tagmill.discover import Clicked, clicked_words
from tagmill.errors import LibraryError
from tagmill.library import Library
from tagmill.library.changes import alias
from tagmill.library.matching import Match, Matcher
from tagmill.library.stored import load_library
from tagmill.naming import NameKeeper
from tagmill.pipeline import Progress
from tagmill.probability import longest_passing
from tagmill.records import Tag, parse_tag, tag_text
from tagmill.store import NewName, Proposal, Store
from tagmill.store.proposals import ProposalStatus
from tagmill.tagging.output import Selection
from tagmill.text import normal_form
from tagmill.upkeep import Forecast, Governed, forecast, govern, retag

__all__ = [
    "Waiting", "accept", "accept_by_rule", "foresee", "holding_support", "merge_into",
    "note_searches", "propose", "reject", "waiting",
]  # fmt: skip

Work = Callable[[Library, Proposal], Tag]  # changes the library as a proposal is decided

_DELTA = 0.1  # how often a rule may hold less than it promises


@dataclass(frozen=True)
class Waiting:
    """An open proposal, with the tags that it may be another name of, and those spelled most
    like it, the nearest first; `clicked` is the tag whose products people open after searching
    for it."""

    proposal: Proposal
    matches: Sequence[Match]
    nearest: Sequence[str]
    clicked: Clicked | None = None


def waiting(store: Store, least: int, *, neighbours: int | None = None) -> list[Waiting]:
    """The open proposals with at least so much support, the most useful first.

    The first `neighbours` of them, or all, with the tags that they are like.
    """
    library = load_library(store)
    clicked = note_searches(store, library)
    listed = _open(store, library, least)
    near = listed if neighbours is None else listed[:neighbours]
    matcher = Matcher(library) if near else None
    found = [
        Waiting(
            one, matcher.nearest(one.name, one.facet),
            library.nearest(tag_text(one.facet, one.name)), clicked.get(normal_form(one.name)),
        )
        for one in near
        if matcher is not None
    ]  # fmt: skip
    return found + [Waiting(one, (), ()) for one in listed[len(near) :]]


def _open(store: Store, library: Library, least: int) -> list[Proposal]:
    """The open proposals of names that the library does not have by now."""
    return [
        one
        for one in store.proposals.list(least=least)
        if library.find(tag_text(one.facet, one.name)) is None
    ]


def note_searches(store: Store, library: Library) -> dict[str, Clicked]:
    """Count the words, in logged searches and those that clicks came from, that no tag covers:
    they are proposals too. Normal form of a word → the tag whose products are opened after it.

    Nothing says which facet such a word belongs to: it has none until it is accepted into one.
    """
    clicked = clicked_words(store, library)
    counts: Counter[str] = Counter()
    for page in store.searches.pages():
        counts.update(word for search in page for word in dict.fromkeys(search.words))
    # A search that was logged and clicked is one.
    counts |= Counter({word: count for word, (count, _) in clicked.items()})
    asked = {
        ("", word): count
        for word, count in counts.items()
        if len(word) > 1 and not word.isdigit() and library.find(word) is None
    }
    store.proposals.count_searches(asked)
    return {normal_form(word): tag for word, (_, tag) in clicked.items() if tag is not None}


def propose(store: Store, text: str, products: Sequence[str]) -> Tag | None:
    """Propose a name, written `facet:name`, for products; the tag that it names already, if any."""
    try:
        facet, name = parse_tag(text)
    except ValueError as error:
        raise LibraryError(str(error)) from error
    library = load_library(store)
    known = library.find(text)
    if known is None:
        NameKeeper(store, library).keep(NewName(i, facet, name, "person") for i in products)
    return known


def accept(
    store: Store,
    models: Path,
    number: int,
    selection: Selection,
    *,
    facet: str | None = None,
    name: str | None = None,
    who: str = "",
    why: str = "",
    by_rule: bool = False,
    again: bool = True,
    progress: Progress = lambda done: None,
) -> tuple[Proposal, Governed]:
    """Make a proposal a tag, in its facet or another, and tag the products again that name it."""
    return _decide(
        store, models, number, selection, _as_tag(facet, name), "accepted", who=who, why=why,
        by_rule=by_rule, again=again, progress=progress,
    )  # fmt: skip


def _as_tag(facet: str | None, name: str | None) -> Work:
    def work(library: Library, proposal: Proposal) -> Tag:
        aliases = [proposal.name] if name and name != proposal.name else []
        if facet is None:
            _refuse_without_facet(library, proposal)
        return library.add(
            facet if facet is not None else proposal.facet, name or proposal.name, aliases=aliases
        )

    return work


def _refuse_without_facet(library: Library, proposal: Proposal) -> None:
    """LibraryError for a proposal without a facet, where all tags have one."""
    facets = [key for key in library.facets if key]
    if not proposal.facet and facets and not any(tag.facet == "" for tag in library.active()):
        raise LibraryError(
            f"Proposal {proposal.id} ('{proposal.name}') says no facet. Say which: tagmill library "
            f"accept {proposal.id} --facet FACET ({', '.join(facets)}); or make it another name of "
            f"a tag: tagmill library merge-into {proposal.id} TAG"
        )


def merge_into(
    store: Store,
    models: Path,
    number: int,
    tag: str,
    selection: Selection,
    *,
    who: str = "",
    why: str = "",
    again: bool = True,
    progress: Progress = lambda done: None,
) -> tuple[Proposal, Governed]:
    """Make a proposal another name of a living tag, and tag the products again that name it."""
    return _decide(
        store, models, number, selection, _as_alias(tag), "merged", who=who, why=why, again=again,
        progress=progress,
    )  # fmt: skip


def _as_alias(tag: str) -> Work:
    return lambda library, proposal: alias(library, library.resolve(tag), proposal.name)[0]


def foresee(
    store: Store,
    models: Path,
    number: int,
    selection: Selection,
    *,
    facet: str | None = None,
    name: str | None = None,
    into: str | None = None,
    progress: Progress = lambda done: None,
) -> tuple[Tag, Forecast]:
    """What `accept` of a proposal would do, or where a tag is named `merge_into`; the tag as it
    would be. Nothing is stored."""
    if into is None:
        library, tag = _decided(store, number, _as_tag(facet, name), "accepted")
    else:
        library, tag = _decided(store, number, _as_alias(into), "merged")
    return tag, forecast(store, models, library, selection, progress)


def reject(store: Store, number: int, *, who: str = "", why: str = "") -> Proposal:
    """Refuse a proposal for ever."""
    return store.proposals.decide(number, "rejected", who=who, why=why)


def accept_by_rule(
    store: Store,
    models: Path,
    selection: Selection,
    *,
    precision: float,
    least: int,
    progress: Progress = lambda done: None,
) -> list[Proposal]:
    """Accept the open proposals whose support is enough to be right so often; those accepted.

    Only names whose facet the library has. What the library refuses waits: of two names of one
    quantity the second is known once the first is a tag.
    """
    enough = max(holding_support(store.proposals.list(None), precision), least)
    library = load_library(store)
    chosen = [
        one.id
        for one in _open(store, library, least)
        if one.support >= enough and one.facet in library.facets
    ]
    why = f"support of {enough:g} or more was right in {precision:.0%} of what people decided"
    accepted = []
    for number in chosen:
        with suppress(LibraryError):
            done = accept(store, models, number, selection, why=why, by_rule=True, again=False)
            accepted.append(done[0])
    if accepted:
        retag(store, models, selection, progress=progress)
    return accepted


def holding_support(decided: Sequence[Proposal], precision: float) -> float:
    """The support from which accepting holds `precision`, by what people decided; inf where it
    cannot be shown: a binomial bound, as for the lane auto."""
    people = [one for one in decided if one.status != "open" and not one.by_rule]
    ordered = sorted(people, key=lambda one: -one.support)
    support = np.array([one.support for one in ordered], np.float64)
    wrong = np.cumsum([one.status != "accepted" for one in ordered], dtype=np.int64)
    passing = longest_passing(support, wrong, 0, precision, _DELTA)
    return float(support[passing - 1]) if passing else float("inf")


def _decide(
    store: Store,
    models: Path,
    number: int,
    selection: Selection,
    work: Work,
    status: ProposalStatus,
    *,
    who: str,
    why: str,
    again: bool,
    progress: Progress,
    by_rule: bool = False,
) -> tuple[Proposal, Governed]:
    library, tag = _decided(store, number, work, status)
    done = govern(
        store, models, library, [tag], selection, kind=f"proposal {status}", who=who, why=why,
        decides=number, again=again, progress=progress,
    )  # fmt: skip
    decided = store.proposals.decide(
        number, status, tag_id=tag.id, by_rule=by_rule, who=who, why=why
    )
    return decided, done


def _decided(store: Store, number: int, work: Work, status: ProposalStatus) -> tuple[Library, Tag]:
    """The library as a decision would have it, and its tag; TagConflict for another decision."""
    proposal = store.proposals.get(number)
    if proposal.status not in ("open", status):
        store.proposals.decide(number, status)  # says why not
    library = load_library(store)
    return library, work(library, proposal)
