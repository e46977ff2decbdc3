from __future__ import annotations

import pytest

from tagmill.errors import LibraryError, TagConflict
from tagmill.store import NewName, Store

SPAN = {"field": "title", "start": 0, "end": 2, "text": "蜜瓜"}


def _new(product: str, name: str = "蜜瓜绿", facet: str = "颜色", source: str = "llm") -> NewName:
    return NewName(product, facet, name, source, SPAN)


def test_a_name_is_one_proposal_in_whatever_spelling(store: Store) -> None:
    assert store.proposals.add([_new("a", "T Shirt", "品类"), _new("b", "t-shirts", "品类")]) == 1
    assert store.proposals.add([_new("b", "T SHIRT", "品类", "extractor"), _new("c")]) == 1
    shirt, melon = store.proposals.list()
    assert (shirt.name, shirt.support, shirt.sources) == ("T Shirt", 2, {"llm": 2})
    assert shirt.examples == [{"id": "a", **SPAN}, {"id": "b", **SPAN}]
    assert (melon.facet, melon.name, melon.status, melon.support) == ("颜色", "蜜瓜绿", "open", 1)
    assert [one.name for one in store.proposals.list(least=2)] == ["T Shirt"]
    assert store.proposals.products(shirt.id) == ["a", "b"]
    assert store.proposals.add([]) == 0


def test_the_most_useful_come_first_searches_included(store: Store) -> None:
    store.proposals.add([_new("a"), _new("b"), _new("a", "雾蓝")])
    store.proposals.count_searches({("颜色", "雾蓝"): 40, ("", "显白"): 7})
    assert [(one.name, one.support, one.searches) for one in store.proposals.list()] == [
        ("雾蓝", 1, 40), ("显白", 0, 7), ("蜜瓜绿", 2, 0),
    ]  # fmt: skip
    store.proposals.count_searches({("颜色", "雾蓝"): 41})
    assert store.proposals.list()[0].searches == 41


def test_what_is_rejected_never_comes_back(store: Store) -> None:
    store.proposals.add([_new("a")])
    (proposal,) = store.proposals.list()
    rejected = store.proposals.decide(proposal.id, "rejected", who="lin", why="a joke")
    assert (rejected.status, rejected.who, rejected.why) == ("rejected", "lin", "a joke")
    assert store.proposals.add([_new("b", "蜜瓜 绿"), _new("c")]) == 0
    assert store.proposals.list() == []
    (seen,) = store.proposals.list(None)
    assert (seen.status, seen.support) == ("rejected", 3)
    with pytest.raises(
        TagConflict, match="rejected already by lin at .* library add '颜色:蜜瓜绿'"
    ):
        store.proposals.decide(proposal.id, "accepted")
    with pytest.raises(LibraryError, match="no proposal 99"):
        store.proposals.get(99)


def test_a_proposal_is_open_again_when_its_change_is_undone(store: Store) -> None:
    from tests.store.samples import FACETS, RED

    store.proposals.add([_new("a", "红色")])
    (proposal,) = store.proposals.list()
    version = store.library.save([RED], FACETS, decides=proposal.id)
    store.proposals.decide(proposal.id, "accepted", tag_id=RED.id)
    assert store.proposals.list() == []
    store.undo_change(version)
    (again,) = store.proposals.list()
    assert (again.status, again.tag_id, again.decided) == ("open", None, None)


def test_a_change_that_decided_nothing_opens_no_proposal(store: Store) -> None:
    from tests.store.samples import BLUE, FACETS, RED

    first = store.library.save([RED], FACETS)
    second = store.library.save([BLUE], [])
    store.proposals.add([_new("a", "正红")])
    (proposal,) = store.proposals.list()
    assert store.library.save([RED], FACETS, decides=proposal.id) == second  # it has that alias
    store.proposals.decide(proposal.id, "merged", tag_id=RED.id)
    store.undo_change(second)
    assert store.proposals.list() == []
    store.undo_change(first)  # the tag is gone
    assert [one.id for one in store.proposals.list()] == [proposal.id]
