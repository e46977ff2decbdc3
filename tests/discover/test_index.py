from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tagmill.discover import Search, open_search
from tagmill.store import Store
from tests.discover.shop import BAG, DRESS, LEATHER, RED, SHOP, SILK, ids, shop_search
from tests.store.samples import entry, make_tag, product, product_batch, tag_run


@pytest.fixture
def search(store: Store, tmp_path: Path) -> Search:
    return shop_search(store, tmp_path)


def test_what_changes_is_found_within_a_second(store: Store, search: Search) -> None:
    assert ids(search, "帆布鞋") == []
    started = time.monotonic()
    store.products.upsert(product_batch(product("n1", "帆布鞋")))  # without any tag yet
    assert ids(search, "帆布鞋") == ["n1"]
    tag_run(store, {"n1": [entry(RED, 0.9)]}, "second")
    assert "n1" in ids(search, "红色")
    store.products.upsert(product_batch(product("n1", "球鞋")))
    assert ids(search, "帆布鞋") == []
    assert ids(search, "球鞋") == ["n1"]
    assert time.monotonic() - started < 4  # four searches, each within a second of its change


def test_gone_products_are_not_found_until_they_return(store: Store, search: Search) -> None:
    store.products.mark_gone([i for i in SHOP if i != "d1"])
    assert ids(search, "真丝") == []
    assert search.search("").total == len(SHOP) - 1
    store.products.upsert(product_batch(product("d1", SHOP["d1"][0])))
    assert ids(search, "真丝") == ["d1"]


def test_verdicts_and_undone_runs_count(store: Store, search: Search) -> None:
    store.verdicts.add("d2", RED.id, False)
    store.verdicts.add("c1", SILK.id, True)
    assert ids(search, "red dress") == ["d1"]
    assert search.search("silk").hits[0].why.tags[0]["probability"] in (1.0, 0.9)
    assert set(ids(search, "silk")) == {"d1", "c1"}
    run = tag_run(store, {"c2": [entry(DRESS, 0.9)]}, "second")
    assert "c2" in ids(search, "连衣裙")
    store.runs.undo(run.id)
    assert "c2" not in ids(search, "连衣裙")


def test_tags_a_person_wrote_on_a_product_count(store: Store, search: Search) -> None:
    store.products.upsert(product_batch(product("p1", "纱巾", tags=["Material:silk", "颜色:新"])))
    hit = next(hit for hit in search.search("silk").hits if hit.id == "p1")
    assert hit.why.tags == ({"tag": "材质:真丝", "probability": 1.0},)
    store.verdicts.add("p1", SILK.id, False)
    assert "p1" not in ids(search, "silk")


def test_a_merged_tag_counts_for_its_target(store: Store, search: Search) -> None:
    assert ids(search, "leather") == ["b1"]
    store.library.save([replace(LEATHER, status="retired", merged_into=SILK.id)])
    assert set(ids(search, "silk")) == {"b1", "d1"}
    store.library.save([LEATHER])
    assert ids(search, "silk") == ["d1"]


def test_a_retired_tag_is_neither_found_nor_counted(store: Store, search: Search) -> None:
    assert "品类" in search.search("red").facets
    for tag in (DRESS, BAG):
        store.library.save([replace(tag, status="retired")])
    assert "品类" not in search.search("red").facets


def test_a_tag_that_an_undone_change_brought_is_no_more(
    store: Store, search: Search, tmp_path: Path
) -> None:
    new = make_tag("颜色", "酒红")
    version = store.library.save([new])
    store.products.upsert(product_batch(product("n1", "长裙"), product("n2", "酒红长裙")))
    tag_run(store, {"n1": [entry(new, 0.9)]}, "second")
    store.verdicts.add("n2", new.id, accepted=True)
    chosen = {"颜色": ["酒红"]}
    assert {hit.id for hit in search.search("长裙", facets=chosen).hits} == {"n1", "n2"}
    later = open_search(store, tmp_path / "search")  # as another process reads it
    assert ids(later, "酒红") == ["n2", "n1"]
    store.library.undo(version)
    for one in (search, later, open_search(store, tmp_path / "search")):
        assert {hit.id for hit in one.search("长裙").hits} == {"n1", "n2", "d2"}
        assert "酒红" not in {count.name for count in one.search("").facets.get("颜色", ())}
        assert ids(one, "酒红") == ["n2"]  # by the word
    search.index.rebuild()
    assert ids(search, "酒红") == ["n2"]


def test_a_new_alias_is_understood_at_once(store: Store, search: Search) -> None:
    assert ids(search, "绯") == []
    store.library.save([replace(RED, aliases=("正红", "绯"))])
    assert set(ids(search, "绯")) == {"d1", "d2", "b1"}


def test_generated_descriptions_are_searched(store: Store, search: Search) -> None:
    written = {
        "id": "c1", "language": "zh", "text": "杯身印有恐龙图案", "sentences": [], "model": "m",
        "prompt": "p",
    }  # fmt: skip
    store.descriptions.keep([written])
    (hit,) = search.search("恐龙").hits
    assert hit.id == "c1"
    assert hit.why.words == ({"word": "恐龙", "fields": ["generated"]},)


def test_an_index_brought_up_to_date_ranks_as_one_built_anew(
    store: Store, search: Search, tmp_path: Path
) -> None:
    search.search("")
    for number in range(12):
        store.products.upsert(
            product_batch(product(f"n{number % 7}", f"红色 水杯 {number}号 连衣裙"))
        )
        search.search("红色")
    tag_run(store, {"n3": [entry(RED, 0.8)], "d1": [entry(RED, 0.2)]}, "second")
    anew = open_search(store, tmp_path / "anew")
    for query in ("红色", "水杯", "red dress", "3号", ""):
        assert search.search(query, limit=30) == anew.search(query, limit=30)


def test_the_index_is_found_again_and_another_process_sees_it(
    store: Store, search: Search, tmp_path: Path
) -> None:
    found = search.search("red dress")
    folder = tmp_path / "search"
    built = sorted(folder.glob("segment-*"))
    again = open_search(store, folder)
    assert again.search("red dress") == found
    assert sorted(folder.glob("segment-*")) == built
    store.products.upsert(product_batch(product("n1", "red dress")))
    assert "n1" in ids(again, "red dress")
    assert "n1" in ids(search, "red dress")
    assert "n1" in ids(open_search(store, folder), "red dress")


@pytest.mark.parametrize("damage", ["missing", "broken", "other"])
def test_a_damaged_or_foreign_index_is_built_again(
    store: Store, search: Search, tmp_path: Path, damage: str
) -> None:
    found = search.search("red dress")
    folder = tmp_path / "search"
    manifest = folder / "manifest.json"
    if damage == "missing":
        next(folder.glob("segment-*/hashes.npy")).unlink()
    elif damage == "broken":
        manifest.write_text("{")
    else:
        entries = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**entries, "database": "sqlite:///other.db"}))
    assert open_search(store, folder).search("red dress") == found


def test_rebuild_reports_how_many(store: Store, search: Search) -> None:
    done: list[int] = []
    assert search.index.rebuild(done.append).products == len(SHOP)
    assert sum(done) == len(SHOP)


def test_an_empty_store_has_nothing(store: Store, tmp_path: Path) -> None:
    search = open_search(store, tmp_path / "search")
    assert search.search("red").total == 0
    assert search.search("").hits == ()
    assert search.complete("r") == []
