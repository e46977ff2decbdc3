from __future__ import annotations

from pathlib import Path

import pytest

from tagmill.discover import QueryParser, clicked_words, log_searches
from tagmill.library.stored import load_library
from tagmill.proposing import merge_into, note_searches, reject, waiting
from tagmill.store import Store
from tagmill.store.events import Event
from tagmill.tagging.output import Selection
from tests.discover.shop import BAG, DRESS, RED, fill_shop

AT = "2026-11-20T00:00:00Z"


def _clicks(query: str, products: str, *, users: int = 6) -> list[Event]:
    return [
        Event(f"{query} {user}", product, "view", AT, query)
        for user in range(users)
        for product in products.split()
    ]


@pytest.fixture
def shop(store: Store) -> Store:
    fill_shop(store)
    store.events.add([Event(f"u{i}", "t1", "view", AT) for i in range(9)])
    return store


def test_a_word_after_which_one_tag_is_opened_may_be_its_name(shop: Store) -> None:
    shop.events.add(
        _clicks("frock", "d1 d2 d3") + _clicks("red carrier", "b1 b2") + _clicks("gift", "b1 d1 t1")
        + _clicks("mystery", "d1", users=20)
        + [Event("grump", "t1", "dislike", AT, "frock")]
    )  # fmt: skip
    found = clicked_words(shop, load_library(shop))
    count, clicked = found["frock"]
    assert clicked is not None
    assert (clicked.tag, clicked.clicks, clicked.of, count) == (DRESS, 18, 18, 18)
    _, carrier = found["carrier"]
    assert carrier is not None
    assert carrier.tag == BAG  # red is named in the query itself
    assert found["gift"] == (18, None)  # of all sorts
    assert found["mystery"] == (20, None)  # one product: perhaps its own word
    assert "red" not in found


def test_what_people_click_is_proposed_as_a_name_and_merged(shop: Store, tmp_path: Path) -> None:
    shop.events.add(_clicks("frock", "d1 d2 d3"))
    (first,) = waiting(shop, 2)
    assert first.proposal.name == "frock"
    assert first.proposal.searches == 18
    assert first.clicked is not None
    assert first.clicked.tag.id == DRESS.id
    merge_into(shop, tmp_path, first.proposal.id, DRESS.text, Selection())
    found = load_library(shop).find("品类:frock")
    assert found is not None
    assert found.id == DRESS.id
    assert waiting(shop, 1) == []


def test_a_word_of_somebody_forgotten_is_gone(shop: Store) -> None:
    shop.events.add(_clicks("frock", "d1 d2", users=1) + _clicks("purse", "b1 b2", users=2))
    assert {one.proposal.name for one in waiting(shop, 1)} == {"frock", "purse"}
    shop.events.forget(["frock 0"])
    note_searches(shop, load_library(shop))
    assert [one.name for one in shop.proposals.list()] == ["purse"]


def test_searches_made_elsewhere_are_logged_once(shop: Store) -> None:
    found, parser = [("red frock", AT), ("frock", AT)], QueryParser(load_library(shop))
    assert log_searches(shop, parser, found) == 2
    assert log_searches(shop, parser, [*found, ("frock", "2026-11-21T00:00:00Z")]) == 1
    (*_, first) = shop.searches.list()
    assert (first.query, first.tags, first.words) == ("red frock", (RED.id,), ("frock",))
    assert first.results is None
    assert log_searches(shop, parser, []) == 0


def test_few_clicks_say_nothing(shop: Store) -> None:
    shop.events.add(_clicks("frock", "d1 d2", users=2))
    assert clicked_words(shop, load_library(shop))["frock"] == (4, None)
    shop.events.add(_clicks("frock", "d3", users=2))
    _, clicked = clicked_words(shop, load_library(shop))["frock"]
    assert clicked is not None  # 0.6 ** 6 < 0.05
    assert clicked.tag == DRESS


def test_what_was_decided_keeps_its_searches(shop: Store) -> None:
    shop.events.add(_clicks("frock", "d1 d2"))
    (first,) = waiting(shop, 2)
    reject(shop, first.proposal.id)
    shop.events.forget([f"frock {user}" for user in range(6)])
    assert waiting(shop, 1) == []
    assert [(one.name, one.searches) for one in shop.proposals.list(None)] == [("frock", 12)]
