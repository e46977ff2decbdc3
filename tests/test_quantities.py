"""Quantities as names of tags: compared, looked up, found in texts, searched for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagmill.discover import open_search
from tagmill.errors import TagConflict
from tagmill.library import Library
from tagmill.library.stored import load_library
from tagmill.quantities import read_quantity, writings
from tagmill.records import Facet, Tag
from tagmill.store import Store
from tagmill.tagging.lexicon import LexiconTagger
from tests.store.samples import entry, names, product, product_batch, tag_run

VOLUME = Facet("容量", {"en": "Volume"}, value_kind="number", unit="ml")
SIZE = Facet("尺寸", value_kind="number", unit="寸")
AGE = Facet("年龄", value_kind="range", unit="岁")
POWER = Facet("光通量", value_kind="number", unit="lm")


@pytest.mark.parametrize(
    ("text", "key"),
    [("500ml", "500..500 ml"), ("0.5 升", "500..500 ml"), ("6-8岁", "6..8 year"),
     ("13.3 英寸", "337.82..337.82 mm"), ("2斤", "1000..1000 g"), ("500ml以下", "..500 ml"),
     ("8岁以上", "8.. year"), ("1,000 g", "1000..1000 g"),
     ("500ml-1L", "500..1000 ml")],
)  # fmt: skip
def test_quantities_are_compared_in_one_unit(text: str, key: str) -> None:
    quantity = read_quantity(text)
    assert quantity is not None
    assert quantity.key == key


@pytest.mark.parametrize(
    "text", ["4K", "S", "红色", "iPhone 14", "2-in-1", "10", "8-6岁", "", "9" * 40 + "ml"]
)
def test_what_is_no_quantity(text: str) -> None:
    assert read_quantity(text) is None


def _library() -> Library:
    library = Library([], [VOLUME, SIZE, AGE, POWER])
    for facet, name in [
        ("容量", "500ml"), ("容量", "1.5L"), ("尺寸", "55"), ("年龄", "6-8岁"), ("光通量", "800"),
        ("容量", "大容量"),
    ]:  # fmt: skip
        library.add(facet, name)
    return library


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("容量:0.5 升", "500ml"), ("Volume:500", "500ml"), ("0.5升", "500ml"), ("1,500 ml", "1.5L"),
        ("尺寸:55英寸", "55"), ("尺寸:1397mm", "55"), ("年龄:6~8 years old", "6-8岁"),
        ("年龄:6至8", "6-8岁"), ("光通量:800LM", "800"), ("容量:大容量", "大容量"),
    ],
)  # fmt: skip
def test_a_name_is_found_by_what_it_measures(written: str, name: str) -> None:
    found = _library().find(written)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("written", ["容量:0.51L", "尺寸:55mm", "年龄:6-9岁", "容量:500g", "500"])
def test_what_measures_otherwise_is_not_found(written: str) -> None:
    assert _library().find(written) is None


def test_two_tags_of_one_quantity_are_refused() -> None:
    library = _library()
    with pytest.raises(TagConflict, match=r"'容量:0.5升' and '容量:500ml' .* same quantity"):
        library.add("容量", "0.5升")
    assert library.find("容量:500ml") is not None
    retired = library.retire(library.resolve("容量:500ml"))
    assert library.add("容量", "0.5升").id != retired.id
    assert library.resolve("容量:500ml").name == "0.5升"


def test_a_facet_becomes_one_of_quantities_where_no_two_tags_are_one() -> None:
    library = Library([], [Facet("容量")])
    library.add("容量", "500ml")
    half = library.add("容量", "0.5 升")
    assert library.find("容量:50cl") is None
    with pytest.raises(TagConflict, match="tagmill library duplicates"):
        library.add_facet(VOLUME)
    assert library.facets["容量"].value_kind == "text"
    assert library.resolve("容量:0.5 升") == half
    library.retire(half)
    library.add_facet(VOLUME)
    assert library.resolve("容量:50cl").name == "500ml"
    assert library.nearest("容量:400ml") == ("容量:500ml",)
    library.add_facet(Facet("容量"))
    assert library.find("容量:50cl") is None


def test_what_is_looked_for_in_texts() -> None:
    spelled = writings(["500ml"], VOLUME)
    assert {"500ml", "500 ml", "500毫升", "0.5l", "50 cl"} < {*spelled}
    assert len(spelled) == len({*spelled})
    assert not {"16.91fl oz", "0.5 in"} & {*spelled}
    assert "5,000mah" in writings(["5000mAh"], Facet("电量", value_kind="number"))
    assert writings(["55"], SIZE)[0] != "55"  # a bare number may count anything
    assert not any(one.endswith(("in", '"')) for one in writings(["55"], SIZE))
    assert writings(["3岁以上"], AGE) == ["3岁以上"]
    assert writings(["500ml"], Facet("容量")) == ["500ml"]


@pytest.mark.parametrize(
    ("title", "attributes", "name"),
    [
        ("矿泉水 0.5 升 装", {}, "500ml"), ("Water 1.5 liters", {}, "1.5L"),
        ("水 1500毫升", {}, "1.5L"), ("55英寸电视", {}, "55"), ("积木 6~8岁", {}, "6-8岁"),
        ("Blocks 6-8 years old", {}, "6-8岁"),
        ("水杯", {"容量": "0.50 L"}, "500ml"), ("电视", {"尺寸": "55"}, "55"),
        ("滴管 2.500ml", {}, None), ("水壶 15000ml", {}, None), ("电视 55个", {}, None),
    ],
)  # fmt: skip
def test_a_text_says_a_quantity_in_any_unit(
    title: str, attributes: dict[str, str], name: str | None
) -> None:
    library = _library()
    scores = LexiconTagger(library).score(
        product_batch(product("p1", title, attributes=attributes))
    )
    found = [library.tags[scores.tag_ids[tag]].name for tag in scores.values.indices]
    assert found == ([] if name is None else [name])


def test_it_is_stored_given_and_undone(store: Store) -> None:
    half, litre = Tag("half", "容量", "500ml"), Tag("litre", "容量", "1L")
    store.library.save([half, litre], [Facet("容量", {"en": "Volume"})])
    store.products.upsert(product_batch(product("p1", tags=["容量:0.5 升", "Volume:1000"])))
    assert store.library.find("容量", "0.5 升") is None
    assert names(store, "p1") == []
    cursor = store.searches.state().cursor
    version = store.library.save([], [VOLUME], kind="facet")
    assert store.library.find("容量", "0.5 升") == "half"
    assert store.library.find("容量", "1000") == "litre"
    assert store.library.find("容量", "2升") is None
    assert names(store, "p1") == ["500ml", "1L"]
    pages = store.searches.documents(cursor, store.searches.state().cursor)
    assert [one.id for page in pages for one in page] == ["p1"]
    with pytest.raises(TagConflict, match="same quantity"):
        store.library.save([Tag("other", "容量", "0.5升")])
    store.library.save([Tag("half", "容量", "250ml")])
    store.library.save([Tag("half", "容量", "500ml")])
    with pytest.raises(TagConflict, match="same quantity"):
        store.library.save([Tag("half", "容量", "500ml", aliases=("1000毫升",))])
    assert load_library(store).resolve("容量:1 升").id == "litre"
    store.library.undo(version)
    assert store.library.find("容量", "0.5 升") is None
    assert names(store, "p1") == []
    store.library.save([Tag("other", "容量", "0.5升")])
    with pytest.raises(TagConflict, match="same quantity"):
        store.library.save([], [VOLUME])
    assert load_library(store).facets["容量"].value_kind == "text"


def test_a_search_finds_ranges_that_overlap(store: Store, tmp_path: Path) -> None:
    weight = Facet("体重", value_kind="range", unit="kg")
    volt = Facet("电压", value_kind="number", unit="V")
    tags = [
        Tag("small", "体重", "1-5kg"), Tag("large", "体重", "5kg以上"),
        Tag("young", "年龄", "3-6岁"), Tag("old", "年龄", "6岁以上"), Tag("volt", "电压", "12V"),
    ]  # fmt: skip
    store.library.save(tags, [weight, volt, AGE])
    store.products.upsert(product_batch(*(product(tag.id, "商品") for tag in tags)))
    tag_run(store, {tag.id: [entry(tag, 0.9)] for tag in tags})
    search = open_search(store, tmp_path / "search")
    expected = {
        "2-3kg": ["small"], "10kg以上": ["large"], "商品 4-8kg": ["large", "small"],
        "5kg以下": ["small"], "7岁以上": ["old"], "5-9岁": ["old", "young"], "3-6岁": ["young"],
        "10V以上": ["volt"], "24V以上": [],
    }  # fmt: skip
    assert {q: sorted(hit.id for hit in search.search(q).hits) for q in expected} == expected
    (hit,) = search.search("2-3kg").hits
    assert hit.why.quantities == ({"asked": "2-3kg", "found": "1–5 kg"},)
    store.products.upsert(product_batch(product("small", "商品 改名")))
    assert [hit.id for hit in search.search("2-3kg").hits] == ["small"]


def test_a_search_compares_what_tags_measure(store: Store, tmp_path: Path) -> None:
    half, big = Tag("half", "容量", "500"), Tag("big", "容量", "1.5L")
    store.library.save([half, big], [VOLUME])
    store.products.upsert(product_batch(product("a", "水杯"), product("b", "水壶")))
    tag_run(store, {"a": [entry(half, 0.9)], "b": [entry(big, 0.9)]})
    search = open_search(store, tmp_path / "search")
    found = {
        q: [hit.id for hit in search.search(q).hits] for q in ("0.5升", "1升以上", "600ml以下")
    }
    assert found == {"0.5升": ["a"], "1升以上": ["b"], "600ml以下": ["a"]}
