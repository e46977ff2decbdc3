"""Deciding about new names; on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagmill.errors import LibraryError, TagConflict
from tagmill.library.stored import load_library
from tagmill.naming import NameKeeper
from tagmill.pipeline import tag_workspace
from tagmill.proposing import (
    accept,
    accept_by_rule,
    holding_support,
    merge_into,
    propose,
    reject,
    waiting,
)
from tagmill.records import Facet
from tagmill.store import NewName, Store
from tagmill.store.searches import LoggedSearch
from tagmill.tagging.output import Selection
from tagmill.upkeep import take_back
from tagmill.workspace import current_model
from tests.store.samples import RED, fill, names, product, product_batch


@pytest.fixture
def models(store: Store, tmp_path: Path) -> Path:
    """Where models would be; the store has three products, tagged by the lexicon."""
    fill(store)
    titles = {"a": "蜜瓜绿衬衫", "b": "蜜瓜绿裙子", "c": "红色衬衫"}
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    tag_workspace(store, current_model(store, tmp_path), Selection())
    span = {"field": "title", "start": 0, "end": 3, "text": "蜜瓜绿"}
    found = [NewName(i, "Color", "蜜瓜绿", "llm", span) for i in "ab"]
    found.append(NewName("c", "颜色", "RED", "llm"))  # the library has it
    assert NameKeeper(store, load_library(store)).keep(found) == 1
    return tmp_path


def test_what_waits_has_its_facet_and_its_nearest_tags(store: Store, models: Path) -> None:
    (one,) = waiting(store, 1)
    assert (one.proposal.facet, one.proposal.name, one.proposal.support) == ("颜色", "蜜瓜绿", 2)
    assert waiting(store, 3) == []
    assert propose(store, "颜色:大红", ["c"]) is None
    assert propose(store, "Color:Red", ["c"]) == RED
    assert [w.proposal.name for w in waiting(store, 1)] == ["蜜瓜绿", "大红"]
    with pytest.raises(LibraryError, match="names no tag"):
        propose(store, "颜色:", ["c"])


def test_an_accepted_name_is_a_tag_and_its_products_have_it(store: Store, models: Path) -> None:
    (one,) = waiting(store, 1)
    decided, done = accept(store, models, one.proposal.id, Selection(), who="lin")
    assert (decided.status, decided.who, done.summary.products) == ("accepted", "lin", 2)
    assert names(store, "a") == names(store, "b") == ["蜜瓜绿"]
    assert waiting(store, 1) == []
    back = f"tagmill library undo {done.version}$"
    with pytest.raises(TagConflict, match=f"accepted already by lin at .* {back}"):
        reject(store, one.proposal.id)
    take_back(store, models, done.version, Selection())
    assert names(store, "a") == []
    assert [w.proposal.id for w in waiting(store, 1)] == [one.proposal.id]


def test_another_name_or_facet(store: Store, models: Path) -> None:
    (one,) = waiting(store, 1)
    accept(store, models, one.proposal.id, Selection(), facet="风格", name="哈密瓜绿")
    tag = load_library(store).resolve("风格:蜜瓜绿")
    assert (tag.name, tag.aliases) == ("哈密瓜绿", ("蜜瓜绿",))
    assert names(store, "a") == ["哈密瓜绿"]


def test_a_name_merged_into_a_tag_is_an_alias(store: Store, models: Path) -> None:
    (one,) = waiting(store, 1)
    decided, done = merge_into(store, models, one.proposal.id, "颜色:红色", Selection())
    assert (decided.status, decided.tag_id) == ("merged", RED.id)
    assert done.summary.products == 3  # c has the tag
    assert names(store, "a") == ["红色"]
    with pytest.raises(TagConflict, match="merged already"):
        reject(store, one.proposal.id)


def test_no_name_is_merged_into_a_retired_tag(store: Store, models: Path) -> None:
    (one,) = waiting(store, 1)
    library = load_library(store)
    store.library.save([library.retire(library.resolve("颜色:红色"))])
    with pytest.raises(LibraryError, match="'颜色:红色' is retired. Bring it back first"):
        merge_into(store, models, one.proposal.id, "颜色:红色", Selection())
    assert [w.proposal.id for w in waiting(store, 1)] == [one.proposal.id]


def test_the_rule_accepts_what_people_show_it_to(store: Store, models: Path) -> None:
    nobody_decided_yet = accept_by_rule(store, models, Selection(), precision=0.95, least=2)
    assert nobody_decided_yet == []
    for number in range(60):  # people accept what ten products have, and refuse the rest
        often = number % 2 == 0
        products = [f"p{i}" for i in range(10 if often else 3)]
        store.proposals.add([NewName(p, "颜色", f"试色{number}", "llm") for p in products])
    for one in store.proposals.list(least=3):
        store.proposals.decide(one.id, "accepted" if one.support >= 10 else "rejected", who="lin")
    assert holding_support(store.proposals.list(None), 0.9) == 10
    assert holding_support(store.proposals.list(None), 0.99) == float("inf")
    wide = [NewName(f"p{i}", "颜色", "雾霾蓝", "llm") for i in range(12)]
    unknown_facet = [NewName(f"p{i}", "香调", "木质", "llm") for i in range(12)]
    NameKeeper(store, load_library(store)).keep([*wide, *unknown_facet])
    accepted = accept_by_rule(store, models, Selection(), precision=0.9, least=2)
    assert [(one.name, one.by_rule) for one in accepted] == [("雾霾蓝", True)]
    assert "support of 10" in accepted[0].why
    library = load_library(store)
    assert library.find("颜色:雾霾蓝") is not None
    library.add_facet(Facet("容量", value_kind="number"))
    store.library.save([], library.changed_facets())
    one_quantity = [
        NewName(f"p{i}", "容量", n, "llm") for i in range(12) for n in ("500ml", "0.5L")
    ]
    NameKeeper(store, load_library(store)).keep(one_quantity)
    accepted = accept_by_rule(store, models, Selection(), precision=0.9, least=2)
    assert [one.name for one in accepted] == ["500ml"]
    assert "0.5L" not in {w.proposal.name for w in waiting(store, 2)}  # another name of it
    assert accept_by_rule(store, models, Selection(), precision=0.9, least=2) == []


def test_words_that_people_search_and_no_tag_covers_are_proposals(
    store: Store, models: Path
) -> None:
    log = [LoggedSearch(0, "显白 red 7", (RED.id,), ("显白", "7", "红色"), 0, "")] * 3
    store.searches.log(log)
    (first, second, *_) = waiting(store, 2)
    assert (first.proposal.facet, first.proposal.name, first.proposal.searches) == ("", "显白", 3)
    assert second.proposal.name == "蜜瓜绿"
    assert "红色" not in {w.proposal.name for w in waiting(store, 1)}  # a tag
    store.searches.log([LoggedSearch(0, "显白", (), ("显白",), None, "")])
    assert waiting(store, 1)[0].proposal.searches == 4
    decided, _ = accept(store, models, first.proposal.id, Selection(), facet="功效")
    assert load_library(store).find("功效:显白") is not None
    assert decided.status == "accepted"
    assert "显白" not in {w.proposal.name for w in waiting(store, 1)}
