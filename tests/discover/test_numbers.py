"""Prices, stock, ratings: searched and sorted by, and no reason to tag a product again."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagmill.discover import Search
from tagmill.discover.quantities import find_numbers, number_meant, read_range
from tagmill.discover.recommend import open_recommender
from tagmill.errors import SearchError
from tagmill.store import Store
from tagmill.store.events import Event
from tests.discover.shop import SHOP, fill_shop, ids, shop_search
from tests.store.samples import pending_ids, product, product_batch

PRICES: dict[str, dict[str, float]] = {
    "d1": {"价格": 199, "评分": 4.8}, "d2": {"价格": 89.9, "评分": 3},
    "d3": {"价格": 129, "库存": 0}, "b1": {"价格": 560, "评分": 4.1}, "b2": {"价格": 79},
    "t1": {"价格": 3299}, "c1": {"价格": 19.9},
}  # fmt: skip


def price(store: Store, **numbers: dict[str, float]) -> None:
    """Give products numbers; all else is as it was."""
    rows = [product(i, SHOP[i][0], numbers=own) for i, own in numbers.items()]
    store.products.upsert(product_batch(*rows))


@pytest.fixture
def search(store: Store, tmp_path: Path) -> Search:
    search = shop_search(store, tmp_path)
    price(store, **PRICES)
    return search


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("连衣裙 150元以下", ["d2", "d3"]), ("dress under $100", ["d2"]),
        ("连衣裙 100-200元", ["d1", "d3"]),
        ("价格100到200的连衣裙", ["d1", "d3"]), ("price at least 500", ["b1", "t1"]),
        ("售价不超过79", ["b2", "c1"]), ("评分4以上", ["b1", "d1"]), ("连衣裙 评分 < 4", ["d2"]),
        ("库存0以上", ["d3"]), ("库存大于0", []),
        ("price > 199 连衣裙", []), ("评分超过4.1", ["d1"]),
        ("80块左右", ["b2", "d2"]), ("水杯 20元以内 500ml以下", ["c1"]),
        ("￥１，０００以上", ["t1"]), ("rating over 4.5", ["d1"]),
        ("between 500 and 600 yuan", ["b1"]), ("RMB 30以下", ["c1"]),
        ("一百元以下", ["b2", "c1", "d2"]), ("两百块左右", ["d1"]),
        ("价格一百到两百五", ["d1", "d3"]), ("百元以内 连衣裙", ["d2"]), ("3千元以上", ["t1"]),
        ("2到4千元", ["t1"]), ("二到四千元", ["t1"]), ("100到3千元", ["b1", "d1", "d3"]),
        ("五到九十元", ["b2", "c1", "d2"]), ("三到六百块", ["b1"]), ("一到二百元", ["d1", "d3"]),
        ("3元到4千元 电视", ["t1"]), ("1-2百元 连衣裙", ["d1", "d3"]),
        ("评分4.5分以上", ["d1"]), ("4.5星以上", ["d1"]), ("4.5 stars and up", ["d1"]),
        ("连衣裙 100以内", ["d2"]), ("连衣裙100以内", ["d2"]), ("dress under 100", ["d2"]),
        ("连衣裙 不超过100", ["d2"]), ("一百三左右的连衣裙", ["d3"]),
    ],
)  # fmt: skip
def test_a_query_asks_for_numbers(search: Search, query: str, found: list[str]) -> None:
    assert sorted(ids(search, query)) == found


def test_how_far_numbers_of_what_is_found_reach(search: Search, store: Store) -> None:
    def reach(
        query: str, ranges: dict[str, tuple[float, float]] | None = None
    ) -> dict[str, tuple[float, float]]:
        numbers = search.search(query, ranges=ranges).numbers
        return {name: (one.least, one.most) for name, one in numbers.items()}

    dresses = {"价格": (89.9, 199.0), "评分": (3.0, 4.8), "库存": (0.0, 0.0)}
    assert reach("连衣裙") == dresses
    assert reach("连衣裙", ranges={"价格": (100, 150)}) == {"价格": (129, 129), "库存": (0, 0)}
    assert reach("不存在的词") == {}
    price(store, d1={"价格": 2000, "价格 ": 5})
    assert reach("连衣裙")["价格"] == (89.9, 2000)


@pytest.mark.parametrize(
    "query",
    [
        "iphone 15",
        "评分 4",
        "5元硬币",
        "$50",
        "65寸以下",
        "2000 pieces or more",
        "价格 500ml以上",
        "身高160以下",
        "5以下",
        "100以上",
        "under 50 people",
        "toys for kids under 12",
        "跑鞋 42左右",
        "boots under 45",
        "尺码 42以下",
    ],
)
def test_what_asks_for_no_number(query: str) -> None:
    assert find_numbers(query, ["价格", "评分"]) == ([], query)


@pytest.mark.parametrize(
    ("names", "query", "meant"),
    [
        (["销量"], "sales over 100", "销量"), (["sales"], "销量100以上", "sales"),
        (["sales"], "SALES over 100", "sales"), (["★", "价格"], "價格 100以上", "价格"),
        (["Screen_Sizes"], "screen sizes over 5", "Screen_Sizes"),
        (["weights (g)"], "weights (g) over 5", "weights (g)"),
    ],
)  # fmt: skip
def test_names_of_numbers_as_they_are_written(names: list[str], query: str, meant: str) -> None:
    ((asked,), rest) = find_numbers(query, names)
    assert asked.dimension == meant
    assert not rest.strip()


def test_more_is_asked_than_a_mask_has_bits(search: Search) -> None:
    words = " ".join(f"w{i}" for i in range(40))
    quantities = " ".join(f"{i}-{i + 9} kg" for i in range(12))
    ranges = {"价格": (0.0, 200.0)}
    assert search.search(f"{words} {quantities}", ranges=ranges).total == 0
    query = "连衣裙 200元以下 100元以上 评分4以上 评分5以下"
    assert ids(search, query, ranges=ranges) == ["d1"]


def test_a_currency_means_nothing_where_nothing_has_a_price() -> None:
    assert find_numbers("100元以下", []) == ([], "100元以下")
    assert find_numbers("100元以下", ["评分"]) == ([], "100元以下")


def test_ranges_are_exact_and_narrow_facets(search: Search) -> None:
    result = search.search("连衣裙", ranges={"价格": (89.9, 129)})
    assert {hit.id for hit in result.hits} == {"d2", "d3"}
    assert {"asked": "价格", "found": "129"} in [
        q for hit in result.hits for q in hit.why.quantities
    ]
    counts = {one.name: one.count for one in result.facets["颜色"]}
    assert counts == {"红色": 1, "蓝色": 1}
    assert ids(search, "", ranges={"价格": (89.91, 128.99)}) == []
    both = {"价格": (0, 200), "评分": (4, math.inf)}
    assert ids(search, "", ranges=both, facets={"颜色": ["红色"]}) == ["d1"]


def test_sorted_by_a_number_page_by_page(search: Search) -> None:
    up = ["c1", "b2", "d2", "d3", "d1", "b1", "t1", "c2"]  # c2 has no price
    down = [*up[-2::-1], "c2"]
    for sort, order in (("价格", up), ("-价格", down)):
        found: list[str] = []
        after = None
        while True:
            page = search.search("", sort=sort, limit=3, after=after)
            found += [hit.id for hit in page.hits]
            after = page.next
            if after is None:
                break
        assert found == order
    hits = search.search("连衣裙", sort="价格").hits
    assert hits[0].why.quantities == ({"asked": "价格", "found": "89.9"},)
    without = search.search("水杯 1.5L", sort="价格").hits[0].why.quantities
    assert [one["asked"] for one in without] == ["1.5L"]


def test_a_product_with_variants_comes_by_the_nearest_price(store: Store, search: Search) -> None:
    row = product("v1", "红色水杯")
    batch = product_batch(row).to_pylist()[0] | {"numbers": [("价格", 50.0), ("价格", 150.0)]}
    store.products.upsert(product_batch(row).from_pylist([batch], product_batch(row).schema))
    assert ids(search, "水杯", sort="价格") == ["c1", "v1", "c2"]
    assert ids(search, "", sort="-价格")[2:4] == ["d1", "v1"]
    assert ids(search, "水杯 100元以上") == ["v1"]


def test_a_new_price_is_found_at_once_and_nothing_is_tagged_again(
    store: Store, search: Search
) -> None:
    assert ids(search, "连衣裙 100元以下") == ["d2"]
    assert not pending_ids(store, "first")
    price(store, d1={"价格": 59})
    assert ids(search, "连衣裙 100元以下", sort="价格") == ["d1", "d2"]
    assert not pending_ids(store, "first")
    price(store, d1={})
    assert ids(search, "连衣裙 100元以下") == ["d2"]


def test_numbers_outlive_merges_of_segments(store: Store, search: Search) -> None:
    for value in range(60, 30, -1):
        price(store, d1={"价格": value})
        assert ids(search, "", sort="价格")[:2] == ["c1", "d1"]
    assert ids(search, "", ranges={"价格": (31, 31)}) == ["d1"]
    search.index.rebuild()
    assert ids(search, "", sort="价格")[:3] == ["c1", "d1", "b2"]


@pytest.mark.parametrize(
    ("written", "names", "meant"),
    [
        ("price", ["库存", "售价"], "售价"), ("价格", ["Unit Price"], "Unit Price"),
        ("价格", ["售价", "价格"], "价格"), ("售價", ["售价", "价格"], "售价"),
        ("rating", ["评分"], "评分"), ("库存", ["stock"], "stock"), ("Prices", ["price"], "price"),
        ("Preis", ["price"], None),
    ],
)  # fmt: skip
def test_a_number_is_known_by_other_names(
    written: str, names: list[str], meant: str | None
) -> None:
    assert number_meant(written, names) == meant


def test_a_number_is_sorted_and_ranged_by_another_name(search: Search) -> None:
    assert ids(search, "连衣裙", sort="-price") == ["d1", "d3", "d2"]
    assert ids(search, "连衣裙", ranges={"售价": (100, 150)}) == ["d3"]


def test_an_unknown_number_is_named(store: Store, search: Search, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="no number 'Preis'|No product has a number 'Preis'"):
        search.search("", ranges={"Preis": (0, 1)})
    with pytest.raises(
        SearchError, match="Known: relevance, newest, popular, id, 价格, 评分, 库存"
    ):
        search.search("", sort="-Preis")


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("stock=..0", (-math.inf, 0)), ("price=100..", (100, math.inf)), ("t=-5..-1.5", (-5, -1.5)),
        ("price=9.9", (9.9, 9.9)), ("price=20..10", (10, 20)),
    ],
)  # fmt: skip
def test_a_range_as_options_write_it(text: str, ends: tuple[float, float]) -> None:
    asked = read_range(text)
    assert asked is not None
    assert (asked.low, asked.high) == ends


@pytest.mark.parametrize(
    "text", ["价格", "price=", "price=..", "=..5", "人群:a=1..2", "a=1..x", ""]
)
def test_what_is_no_range(text: str) -> None:
    assert read_range(text) is None


def test_what_is_out_of_stock_is_recommended_to_nobody(store: Store, tmp_path: Path) -> None:
    fill_shop(store)
    price(store, d2={"Stock": 0}, d3={"stock": 3})
    recommender = open_recommender(store, tmp_path / "r", exclude=["stock=..0"])
    assert [one.id for one in recommender.beside("d1", limit=2)] == ["d3", "b1"]
    price(store, d2={"stock": 1}, d3={"stock": 0})
    assert "d2" in [one.id for one in recommender.beside("d1", limit=2)]
    assert "d3" not in [one.id for one in recommender.beside("d1", limit=20)]
    price(store, d3={"库存": 0})
    assert "d3" not in [one.id for one in recommender.beside("d1", limit=20)]
    barred = recommender.beside("d1", limit=20, exclude=["stock=1.."])
    assert not {"d2", "d3"} & {one.id for one in barred}


def test_popular_is_what_people_lately_had(store: Store, search: Search) -> None:
    def seen(user: str, product_id: str, days: float, kind: str = "view") -> Event:
        at = datetime.now(UTC) - timedelta(days=days)
        return Event(user, product_id, kind, at.strftime("%Y-%m-%dT%H:%M:%SZ"))  # type: ignore[arg-type]

    assert ids(search, "", sort="popular") == sorted(SHOP)
    long_ago = [seen(f"u{i}", "b1", 600) for i in range(20)]
    robot = [seen("robot", "b2", i / 100_000) for i in range(50)]
    hated = [seen(f"u{i}", "c1", 1, "dislike") for i in range(9)]
    lately = [seen(f"u{i}", "d3", 2) for i in range(4)] + [seen("u9", "d2", 1), seen("u8", "d2", 0)]
    store.events.add([*long_ago, *robot, *hated, *lately])
    assert ids(search, "", sort="popular")[:4] == ["d3", "d2", "b2", "b1"]
    assert ids(search, "红色", sort="popular")[:2] == ["d2", "b1"]
    store.events.forget([f"u{i}" for i in range(4)])
    assert ids(search, "", sort="popular")[:2] == ["d2", "b2"]
