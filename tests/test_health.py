from __future__ import annotations

import pytest

from tagmill.health import Finding, Health, library_health
from tagmill.library.stored import load_library
from tagmill.records import Facet
from tagmill.store import NewName, Store
from tagmill.store.searches import LoggedSearch
from tests.store.samples import BLUE, RED, entry, fill, make_tag, product, product_batch, tag_run

WINE = make_tag("颜色", "酒红色")


@pytest.fixture
def filled(store: Store) -> Store:
    """Thirty products: wine is always red too, blue on one that people tagged."""
    fill(store)
    store.library.save([WINE, make_tag("材质", "红色")])
    ids = [f"p{i}" for i in range(28)]
    store.products.upsert(product_batch(*(product(i) for i in ids)))
    store.products.upsert(product_batch(product("given", tags=["颜色:蓝色", "颜色:没有"])))
    store.products.upsert(product_batch(product("none")))
    both = [entry(RED, 0.9), entry(WINE, 0.8)]
    tag_run(store, {i: both if n < 22 else both[:1] for n, i in enumerate(ids)})
    return store


def _findings(health: Health) -> dict[str, Finding]:
    return {finding.kind: finding for finding in health.findings}


def test_what_is_unused_rare_everywhere_and_implied_is_found(filled: Store) -> None:
    health = library_health(filled)
    assert (health.products, health.tagged, health.tags["active"]) == (30, 29, 5)
    assert health.tags_per_product == pytest.approx((28 + 22 + 1) / 29)
    found = _findings(health)
    assert set(found["unused"].examples) == {"材质:真丝", "材质:红色"}
    assert found["used_once"].examples == ["颜色:蓝色"]
    assert found["everywhere"].examples == ["颜色:红色", "颜色:酒红色"]
    assert found["implied"].examples == ["颜色:酒红色 · 颜色:红色"]
    assert found["implied"].command == "tagmill library move '颜色:酒红色' --broader '颜色:红色'"
    assert found["overlapping"].count == 1
    assert found["untagged"] == Finding("untagged", 1, ["none"], "tagmill tag")
    colour, material = health.facets
    assert (colour["facet"], colour["tags"], colour["used"], colour["products"]) == (
        "颜色", 3, 3, 29,
    )  # fmt: skip
    assert (material["used"], material["coverage"]) == (0, 0)
    assert health.growth[-1]["active"] == 5


def test_a_product_of_which_a_run_found_nothing_is_for_a_person(filled: Store) -> None:
    filled.products.upsert(product_batch(product("empty", tags=[])))  # somebody looked
    tag_run(filled, {"none": []}, "second")
    untagged = _findings(library_health(filled))["untagged"]
    command = "tagmill review accept 'none' FACET:NAME"
    assert untagged == Finding("untagged", 1, ["none"], command)
    filled.verdicts.add("none", RED.id, True)
    assert "untagged" not in _findings(library_health(filled))


def test_what_was_mended_is_found_no_more(filled: Store) -> None:
    library = load_library(filled)
    filled.library.save([library.update(WINE.id, broader=[RED.id])])
    filled.library.save([library.retire(library.resolve("材质:红色"))])
    found = _findings(library_health(filled))
    assert "implied" not in found
    assert "overlapping" not in found
    assert library_health(filled).growth[-1]["retired"] == 1


def test_tags_that_come_together_always_may_be_one(filled: Store) -> None:
    tag_run(filled, {f"p{i}": [entry(RED, 0.9), entry(WINE, 0.8)] for i in range(28)}, "second")
    found = _findings(library_health(filled))
    assert found["together"].examples == ["颜色:红色 · 颜色:酒红色"]
    assert found["together"].command.startswith("tagmill library merge")


def test_a_tag_that_is_refused_more_often_lately(filled: Store) -> None:
    for number in range(24):
        filled.verdicts.add(f"p{number}", RED.id, number < 12)
        filled.verdicts.add(f"p{number}", BLUE.id, number % 2 == 0)
    (example,) = _findings(library_health(filled))["falling"].examples
    assert example == "颜色:红色 100% → 0%"


def test_new_names_that_wait(filled: Store) -> None:
    filled.proposals.add([NewName(i, "颜色", "蜜瓜绿", "llm") for i in ("p1", "p2")])
    assert _findings(library_health(filled, 2))["proposals_open"].examples == ["颜色:蜜瓜绿"]
    assert "proposals_open" not in _findings(library_health(filled, 3))


def test_what_is_searched_and_rare(filled: Store) -> None:
    tag = load_library(filled).active()[0]
    for _ in range(50):
        filled.searches.log([LoggedSearch(0, tag.name, (tag.id,), (), 1, "")])
    (found,) = [one for one in library_health(filled).findings if one.kind == "searched"]
    assert found.count == 1
    assert found.examples[0].startswith(f"{tag.text} (50/")


def test_an_empty_library_is_healthy(store: Store) -> None:
    store.library.save([], [Facet("颜色")])
    assert library_health(store).findings == []
