from __future__ import annotations

from pathlib import Path

import pytest

from tagmill.discover import FacetCount, Search
from tagmill.errors import SearchError, UnknownTag
from tagmill.records import Facet
from tagmill.store import Store
from tests.discover.shop import BLUE, DRESS, LEATHER, RED, SHOP, fill_shop, ids, shop_search
from tests.store.samples import make_tag, product, product_batch


@pytest.fixture
def search(store: Store, tmp_path: Path) -> Search:
    """The shop, on each kind of database."""
    return shop_search(store, tmp_path)


@pytest.mark.parametrize(
    "query", ["红色 连衣裙", "红色连衣裙", "red dress", "dresses RED", "紅色連衣裙"]
)
def test_tags_are_found_in_any_language_best_first(search: Search, query: str) -> None:
    result = search.search(query)
    assert [hit.id for hit in result.hits] == ["d1", "d2"]
    assert result.total == 2
    assert not result.relaxed
    assert result.hits[0].score > result.hits[1].score


@pytest.mark.parametrize("query", ["tv 4k", "4K电视", "4k tv", "電視 4K"])
def test_the_words_of_a_name_may_stand_in_any_order(search: Search, query: str) -> None:
    assert ids(search, query)[0] == "t1"


def test_why_names_words_fields_and_probabilities(search: Search) -> None:
    hit = search.search("red dress").hits[0]
    assert hit.id == "d1"
    assert {"tag": "颜色:红色", "probability": 0.98} in hit.why.tags
    assert {"word": "红色", "fields": ["title"]} in hit.why.words
    assert [hit.title[start:end] for start, end in hit.highlights] == ["红色", "连衣裙"]
    english = search.search("red dress", language="en").hits[0]
    assert english.why.tags[0] == {"tag": "Category:Dresses", "probability": 0.99}


def test_words_that_are_no_tags_are_found(search: Search) -> None:
    assert ids(search, "水杯") == ["c1", "c2"]
    assert ids(search, "tote") == ["b1"]


@pytest.mark.parametrize("query", ["café crème", "cafe creme", "CAFE\u0301 Creme", "creme brûlée"])
def test_accents_are_typed_or_not(store: Store, search: Search, query: str) -> None:
    store.library.save([make_tag("风格", "Café Crème")], [])
    store.products.upsert(product_batch(product("k1", "Tasse Café Crème brulee")))
    result = search.search(query)
    assert [hit.id for hit in result.hits] == ["k1"]
    (hit,) = result.hits
    marked = [hit.title[start:end] for start, end in hit.highlights]
    assert "Crème" in "".join(marked)
    assert ids(search, f'tasse -"{query}"') == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("连衣裙 -真丝", ["d2", "d3"]),
        ("连衣裙 不要真丝", ["d2", "d3"]),
        ("dress without silk", ["d2", "d3"]),
        ("red -皮", ["d1", "d2"]),  # of the head word: 真皮
        ("手提包 不含 红色", ["b2"]),
        ("连衣裙 不真丝", ["d2", "d3"]),  # 不 before the name of a tag
        ("非红色 手提包", ["b2"]),
    ],
)
def test_negation(search: Search, query: str, found: list[str]) -> None:
    assert sorted(ids(search, query)) == sorted(found)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("不要红色的连衣裙", ["d3"]), ("除了红色的连衣裙", ["d3"]), ("不是红色连衣裙", ["d3"]),
        ("连衣裙 不要太红色的", ["d3"]), ("不要恐龙水杯", ["c1", "c2"]),
        ("壳 -\"iphone 14\"", ["n2"]), ("壳 -“iPhone14”", ["n2"]),
        ("女包 -皮", ["n4"]), ("不要皮女包", ["n4"]), ("背包 不防水", ["n6"]),
        ("背包 防水", ["n5", "n6"]), ("可乐 不含糖", ["n7"]), ("可乐 -糖", ["n7"]),
        ("没有糖的可乐", ["n7"]), ("可乐 不加糖", ["n7"]), ("背包 非防水", ["n6"]),
        ("手机 非iPhone", ["n11"]), ("手机壳非苹果", ["n1", "n2"]), ("非洲 鼓", ["n12"]),
        ("手作 非遗", ["n13"]), ("watering can", ["n14"]),
        ("canvas without leather", ["n9"]), ("canvas -leather", ["n9"]),
    ],
)  # fmt: skip
def test_what_is_negated(store: Store, search: Search, query: str, found: list[str]) -> None:
    titles = {
        "n1": "iPhone 14 手机 壳", "n2": "iPhone 15 手机 壳", "n3": "PU皮女包", "n4": "帆布女包",
        "n5": "背包 防水", "n6": "背包 不防水", "n7": "无糖可乐", "n8": "可乐 含糖",
        "n9": "Canvas sack, no leather", "n10": "Canvas sack with leather",
        "n11": "苹果 手机 套", "n12": "非洲 鼓", "n13": "手作 非遗", "n14": "Watering can",
        "n15": "Watering hose", "n16": "手作 灯",
    }  # fmt: skip
    store.library.save([make_tag("品类", "女包"), make_tag("功能", "防水")], [Facet("功能")])
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    assert sorted(ids(search, query)) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("水杯 500ml以下", ["c1"]),
        ("水杯 under 0.5 L", ["c1"]),
        ("水杯 1升以上", ["c2"]),
        ("水杯 300-400毫升", ["c1"]),
        ("品类 500ml以下", ["c1"]),  # the name of a facet
        ("category under 0.5 L", ["c1"]),
        ("电视 60寸以上", ["t1"]),
        ("电视 70寸以上", []),
        ("电视 over 60 inch", ["t1"]),
    ],
)
def test_units(search: Search, query: str, found: list[str]) -> None:
    assert ids(search, query) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("7岁 积木", ["q1"]), ("8岁的积木", ["q1"]), ("9岁 积木", ["q2"]),
        ("5-9岁 积木", ["q1", "q2"]),
        ("6岁以上 积木", ["q1", "q2"]), ("10-11kg", ["q3"]), ("14公斤", ["q3"]), ("半升", ["q4"]),
        ("0.5L", ["q4"]), ("500ml", ["q4"]), ("积木 -7岁", ["q2"]), ("15kg", []),
    ],
)  # fmt: skip
def test_a_quantity_is_found_in_whatever_unit_or_range_a_title_writes_it(
    store: Store, search: Search, query: str, found: list[str]
) -> None:
    titles = {
        "q1": "积木 6-8岁", "q2": "积木 9岁", "q3": "纸尿裤 L 9-14kg", "q4": "杯 500ml",
    }  # fmt: skip
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    result = search.search(query)
    assert sorted(hit.id for hit in result.hits) == found
    assert not result.relaxed


def test_why_says_which_quantity_was_in_the_range(search: Search) -> None:
    (hit,) = search.search("500ml以下").hits
    assert hit.why.quantities == ({"asked": "500ml以下", "found": "350 ml"},)
    assert search.search("水杯").hits[0].why.quantities == ()
    (screen,) = search.search("55寸以上").hits
    assert screen.why.quantities == ({"asked": "55寸以上", "found": "65 寸"},)


def test_a_word_is_found_where_a_title_is_cut_across_it(store: Store, search: Search) -> None:
    titles = {"s1": "碎花泡泡袖收腰显瘦气质雪纺长裙", "s2": "显瘦 牛仔裤", "s3": "毛衣和服装"}
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    result = search.search("显瘦")
    assert [hit.id for hit in result.hits] == ["s2", "s1"]  # a word before what may be one
    cut_across = result.hits[1]
    assert cut_across.why.words == ({"word": "显瘦", "fields": ["title"]},)
    assert [cut_across.title[start:end] for start, end in cut_across.highlights] == ["显瘦"]
    assert sorted(ids(search, "长裙 显瘦")) == ["s1"]
    assert "s1" not in ids(search, "长裙 -显瘦")
    assert "显瘦" in [one.text for one in search.complete("显")]
    assert all(one.text.isprintable() for one in search.complete("显"))
    assert search.complete("\x1f") == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("500ml", ["m1", "m2"]), ("500 ml", ["m1", "m2"]), ("steel 500 ml", ["m2"]),
        ("iphone15", ["m3"]), ("iPhone15手机壳", ["m3"]), ("iphone 16", ["m4"]),
        ("16", []), ("s24ultra", ["m5"]), ("usb c", ["m6"]),
    ],
)  # fmt: skip
def test_digits_and_letters_are_found_together_and_apart(
    store: Store, search: Search, query: str, found: list[str]
) -> None:
    titles = {
        "m1": "Bottle 500 ml", "m2": "Steel bottle 500ml", "m3": "iPhone 15 手机壳",
        "m4": "iPhone16 手机壳", "m5": "S24 Ultra case", "m6": "USBC cable",
    }  # fmt: skip
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    assert sorted(ids(search, query)) == found


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("iphone 15 case", "j2"), ("iphone15 case", "j2"), ("case iPhone 15", "j2"),
        ("iphone 14 case", "j1"), ("小米 14 手机壳", "j4"), ("小米14手机壳", "j4"),
        ("15 pro case", "j3"), ("iphone15pro", "j3"),
    ],
)  # fmt: skip
def test_a_number_tells_more_beside_its_word(
    store: Store, search: Search, query: str, first: str
) -> None:
    titles = {
        "j0": "Case 15", "j1": "iphone 14 case 15", "j2": "iPhone 15 case 14 with a stand",
        "j3": "Case, iPhone 15 Pro 14 with a long title and a stand",
        "j4": "手机壳 适用 小米 14 送 15 元券",
        "j5": "小米 15 手机壳 14", "j6": "15 iphone pro case",
    }  # fmt: skip
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    hit = search.search(query).hits[0]
    assert hit.id == first
    assert all("\x1f" not in word["word"] for word in hit.why.words)
    assert ids(search, '-"iphone 15" case') == ["j0"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("鞋", ["h1", "h2", "h3", "h4"]), ("鞋子", ["h1", "h2", "h3", "h4"]),
        ("杯", ["c1", "c2", "h5", "h6"]), ("杯子", ["c1", "c2", "h5", "h6"]),
        ("男 鞋", ["h1"]), ("运动 鞋", ["h1"]), ("糖", ["h8"]), ("男鞋", ["h1"]),
    ],
)  # fmt: skip
def test_one_character_stands_for_the_words_that_end_with_it(
    store: Store, search: Search, query: str, found: list[str]
) -> None:
    titles = {
        "h1": "运动鞋 男", "h2": "老爹鞋女", "h3": "皮女鞋", "h4": "凉鞋子", "h5": "塑料杯",
        "h6": "杯子 陶瓷", "h7": "无糖饮料", "h8": "水果糖", "h9": "杯垫",
    }  # fmt: skip
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    result = search.search(query)
    assert sorted(hit.id for hit in result.hits if hit.id != "h9") == found
    assert result.hits[0].why.words[0]["fields"] == ["title"]
    assert result.did_you_mean is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("男朋友礼物", ["g1"]), ("送男朋友的礼物", ["g1"]), ("gift for my boyfriend", ["g4"]),
        ("女友 礼盒", ["g2"]), ("适合妈妈的礼物", ["g3"]), ("给妈妈买的礼物", ["g3"]),
        ("i want a gift for mum", ["g5"]), ("推荐一款适合爸爸用的手表", ["g6"]), ("朋友", ["g2"]),
        ("给", ["g7"]),  # nothing else is asked
    ],
)  # fmt: skip
def test_what_is_asked_for_whom(store: Store, search: Search, query: str, found: list[str]) -> None:
    titles = {
        "g1": "香水 送男友 礼物", "g2": "永生花 礼盒 送女朋友", "g3": "母亲节礼物 披肩",
        "g4": "Boyfriend gift", "g5": "Gift for mother", "g6": "手表 父亲节", "g7": "给 力 贴纸",
    }  # fmt: skip
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    result = search.search(query)
    assert [hit.id for hit in result.hits] == found
    assert not result.relaxed


def test_a_query_that_nothing_matches_whole_matches_in_part(search: Search) -> None:
    result = search.search("真皮 连衣裙")
    assert result.relaxed
    assert {hit.id for hit in result.hits} == {"d1", "d2", "d3", "b1"}
    assert ids(search, "红色 水杯", match_any=True)[0] in ("c1", "c2", "b1", "d1")


def test_what_is_improbable_in_all_is_no_part(store: Store, search: Search) -> None:
    from tests.store.samples import entry, tag_run

    tag_run(store, {"c1": [entry(DRESS, 0.01), entry(LEATHER, 0.01)]}, "second")
    result = search.search("真皮 连衣裙")
    assert {hit.id for hit in result.hits} == {"d1", "d2", "d3", "b1"}
    first = search.search("真皮 连衣裙", limit=3)
    assert first.next is not None
    assert len(search.search("真皮 连衣裙", limit=3, after=first.next).hits) == 1
    assert "c1" in ids(search, "真皮 连衣裙", match_any=True)
    dress = search.complete("连衣")[0]
    assert (dress.text, dress.products) == ("连衣裙", 3)


def test_facets_count_what_is_found_and_what_another_choice_would_add(search: Search) -> None:
    result = search.search("连衣裙")
    assert result.facets["颜色"] == (FacetCount("红色", 2), FacetCount("蓝色", 1))
    chosen = search.search("连衣裙", facets={"Color": ["red"]})
    assert [hit.id for hit in chosen.hits] == ["d1", "d2"]
    # Within the facet the other colour stays; elsewhere only red dresses count.
    assert chosen.facets["颜色"] == (FacetCount("红色", 2, True), FacetCount("蓝色", 1))
    assert chosen.facets["材质"] == (FacetCount("真丝", 1),)
    both = search.search("连衣裙", facets={"颜色": ["红色", "蓝色"]})
    assert both.total == 3
    narrow = search.search("", facets={"颜色": ["红色"], "品类": ["手提包"]})
    assert [hit.id for hit in narrow.hits] == ["b1"]
    assert {c.name: c.count for c in narrow.facets["品类"]} == {"手提包": 1, "连衣裙": 2}
    with pytest.raises(UnknownTag, match="红色"):
        search.search("连衣裙", facets={"颜色": ["红色色"]})


def test_an_unlikely_tag_ranks_but_is_not_counted(store: Store, search: Search) -> None:
    from tests.store.samples import entry, tag_run

    tag_run(store, {"c1": [entry(DRESS, 0.3)]}, "second")
    result = search.search("连衣裙")
    assert [hit.id for hit in result.hits][-1] == "c1"
    assert result.facets["品类"] == (FacetCount("连衣裙", 3),)


def test_what_a_tag_is_unlikely_for_does_not_make_it_common(store: Store, search: Search) -> None:
    from tests.store.samples import entry, tag_run

    before = search.search("red").hits[0].score
    tag_run(store, {i: [entry(RED, 0.01)] for i in ("c1", "c2", "t1")}, "second")
    assert search.search("red").hits[0].score == pytest.approx(before, rel=0.02)


@pytest.mark.parametrize("sort", ["relevance", "newest", "id"])
def test_pages_follow_each_other(search: Search, sort: str) -> None:
    whole = ids(search, "", sort=sort)
    assert sorted(whole) == sorted(SHOP)
    pages, after = [], None
    while True:
        page = search.search("", sort=sort, limit=3, after=after)
        assert page.total == len(SHOP)
        pages += [hit.id for hit in page.hits]
        after = page.next
        if after is None:
            break
    assert pages == whole
    if sort == "id":
        assert whole == sorted(SHOP)


def test_pages_of_equal_scores_go_by_id(store: Store, tmp_path: Path) -> None:
    search = shop_search(store, tmp_path)
    store.products.upsert(product_batch(*(product(f"x{n}", "帆布鞋") for n in range(9))))
    first = search.search("帆布鞋", limit=4)
    second = search.search("帆布鞋", limit=4, after=first.next)
    third = search.search("帆布鞋", limit=4, after=second.next)
    found = [hit.id for page in (first, second, third) for hit in page.hits]
    assert found == [f"x{n}" for n in range(9)]
    assert third.next is None


@pytest.mark.parametrize("sort", ["relevance", "newest", "id"])
@pytest.mark.parametrize("title", ["dress new", "something else", ""])
def test_pages_follow_each_other_while_products_come_and_go(
    store: Store, tmp_path: Path, sort: str, title: str
) -> None:
    search = shop_search(store, tmp_path)
    titles = {f"p{n}": f"dress {'long ' * n}" for n in range(9)}
    others = {f"q{n}": f"shirt {n}" for n in range(20)}
    store.products.upsert(product_batch(*(product(i, t) for i, t in (titles | others).items())))
    found: list[str] = []
    after, step = None, 0
    while step == 0 or after is not None:
        page = search.search("dress", sort=sort, limit=2, after=after)
        found += [hit.id for hit in page.hits if hit.id in titles]
        after, step = page.next, step + 1
        changed = product(f"a{step}", title) if title else product(page.hits[-1].id, "of no kind")
        store.products.upsert(product_batch(changed))
    assert sorted(found) == sorted(titles)


def test_a_wrong_sort_or_cursor_is_named(search: Search) -> None:
    with pytest.raises(SearchError, match="'price'.*relevance"):
        search.search("裙", sort="price")
    with pytest.raises(SearchError, match="'abc' is no cursor"):
        search.search("裙", after="abc")
    page = search.search("", limit=1)
    with pytest.raises(SearchError, match="sorted by relevance"):
        search.search("", limit=1, sort="id", after=page.next)


@pytest.mark.parametrize(
    "query",
    [
        "红" * 10_000, "a" * 10_000, "dress " * 2_000, "- " * 5_000, "!!! ??? 。。。", "🦄🦄", "-",
        'title:red AND (dress OR "silk', "red^2~ [a TO b] {*}", "'; DROP TABLE products; --",
        "NEAR(red dress)", "\x00\x01", "\ud800", "不要", "-皮-皮",
        "500ml以下" * 100, "1e999ml", "*", "\\",
    ],
)  # fmt: skip
def test_any_text_is_a_query(search: Search, query: str) -> None:
    result = search.search(query, log=True)
    assert result.total >= len(result.hits)
    search.search(query, match_any=True)
    search.complete(query)
    assert search.store.products.count() == len(SHOP)


def test_what_means_nothing_finds_nothing(search: Search) -> None:
    assert search.search("！！！").total == 0
    assert search.search("  ").total == len(SHOP)


def test_did_you_mean(search: Search) -> None:
    assert search.search("lether").did_you_mean == "leather"
    assert search.search("连衣群").did_you_mean == "连衣裙"
    assert search.search("leather").did_you_mean is None
    assert search.search("letter").did_you_mean is None  # no name is that near
    assert search.search("皮 水杯").did_you_mean is None  # not 真皮 水杯


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("冰厢", "冰箱"), ("冰相", "冰箱"), ("蓝芽耳机", "蓝牙耳机"), ("lianyiqun", "连衣裙"),
        ("hongse 连衣裙", "红色 连衣裙"), ("保温壶", None), ("冰箱", None),
        ("连衣群", "连衣裙"),  # one product is misspelled as well
        ("手标", None),  # as many have it
        ("mate50", None),
    ],
)  # fmt: skip
def test_what_was_misspelled_by_ear(
    store: Store, search: Search, query: str, meant: str | None
) -> None:
    titles = ["冰箱", "蓝牙 耳机", "有线 耳机", "连衣群 雪纺", "手标", "手表", "mate60 套"]
    rows = [product(f"e{i}", title) for i, title in enumerate(titles)]
    rows += [product(f"f{i}", "连衣裙") for i in range(10)]
    store.products.upsert(product_batch(*rows))
    assert search.search(query).did_you_mean == meant


def test_did_you_mean_finds_something(store: Store, search: Search) -> None:
    assert search.search("lether", facets={"品类": ["手提包"]}).did_you_mean == "leather"
    assert search.search("lether", facets={"品类": ["连衣裙"]}).did_you_mean is None
    assert search.search("lether 5kg以上").did_you_mean is None
    store.products.mark_gone([i for i in SHOP if i != "b1"])
    assert search.search("lether").did_you_mean is None
    store.library.save([make_tag("品类", "雨伞")])
    assert search.search("雨傘架").did_you_mean is None


def test_completion(search: Search) -> None:
    first = search.complete("红")[0]
    assert (first.text, first.products, first.facet) == ("红色", 3, "颜色")
    assert search.complete("red dr")[0].text == "red Dresses"
    assert search.complete("红色连")[0].text == "红色连衣裙"
    assert "tote" in [one.text for one in search.complete("to")]
    store = search.store
    store.library.save([make_tag("材质", f"leather {n}") for n in range(12)])
    assert [one.text for one in search.complete("lea", limit=3)][:2] == ["Leather", "leather 0"]
    store.products.upsert(product_batch(product("n1", "Lean lamp")))
    texts = [one.text for one in search.complete("lea", limit=3)]
    assert texts[:2] == ["Leather", "lean"]  # tags that no product has come last
    assert search.complete("zzz") == []


def test_searches_are_logged(search: Search) -> None:
    search.search("red 水杯", log=True)
    search.search("not logged")
    (logged,) = search.store.searches.list()
    assert (logged.query, logged.tags, logged.words) == ("red 水杯", (RED.id,), ("水杯",))
    assert logged.results == search.search("red 水杯").total


def test_both_databases_rank_the_same(sqlite_url: str, postgres_url: str, tmp_path: Path) -> None:
    from tagmill.store import open_store
    from tests.store.samples import entry, tag_run

    found = []
    for name, url in (("a", sqlite_url), ("b", postgres_url)):
        with open_store(url, create=True) as store:
            fill_shop(store)
            search = Search(store, tmp_path / name)
            (tmp_path / name).mkdir()
            search.search("red")
            store.products.upsert(product_batch(product("n1", "红色 蓝色 长裙 水杯")))
            tag_run(store, {"d3": [entry(BLUE, 0.4)], "c2": [entry(RED, 0.7)]}, "second")
            queries = ("red", "蓝色 连衣裙", "水杯", "", "裙")
            found.append([search.search(query, match_any=True) for query in queries])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("red or blue dress", ["d1", "d2", "d3"]), ("红色或蓝色 手提包", ["b1", "b2"]),
        ("真丝或者真皮", ["b1", "d1"]), ("silk or blue", []),  # of two facets: both words
        ("水杯 350ml or 1.5L", []), ("or red", ["b1", "d1", "d2"]),
        ("正红, leather or silk 手提包", ["b1"]), ("连衣裙, 手提包或4K电视 蓝色", ["b2", "d3"]),
        ("红色的或蓝色的手提包", ["b1", "b2"]), ("红色的或者是蓝色的 手提包", ["b1", "b2"]),
        ("handbag in red or in a blue", ["b1", "b2"]), ("red or 正红 handbag", ["b1"]),
        ('"red" or "blue" handbag', ["b1", "b2"]), ('"red or blue" handbag', []),
        ("red blue or silk", []), ("真丝连衣裙或手提包", ["d1"]),
        ("red handbag or blue dress", []),
    ],
)  # fmt: skip
def test_or_between_tags_of_a_facet_is_any_of_them(
    search: Search, query: str, found: list[str]
) -> None:
    result = search.search(query)
    assert sorted(hit.id for hit in result.hits if not result.relaxed) == found


def test_what_any_is_asked_of_is_explained_logged_and_corrected_alike(search: Search) -> None:
    either, other = (search.search(query, log=True) for query in ("red or blue", "blue or red"))
    assert [hit.id for hit in either.hits] == [hit.id for hit in other.hits]
    assert [hit.score for hit in either.hits] == [hit.score for hit in other.hits]
    assert {tag["tag"] for hit in either.hits for tag in hit.why.tags} == {"颜色:红色", "颜色:蓝色"}
    assert {word["word"] for hit in either.hits for word in hit.why.words} >= {"红色", "蓝色"}
    logged = search.store.searches.list()
    assert {frozenset(one.tags) for one in logged} == {frozenset({RED.id, BLUE.id})}
    search.store.library.save(
        [make_tag("材质", "天鹅绒", "Velvett"), make_tag("材质", "羊羔绒")], []
    )
    search.store.products.upsert(product_batch(product("v1", "velvet cushion")))
    assert search.search("velvett or 羊羔绒").did_you_mean == "velvet or 羊羔绒"
    assert search.search("羊羔绒 or velvett").did_you_mean == "羊羔绒 or velvet"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("苹果手机或华为手机", ["w1", "w2"]), ("小米手机或者小米平板", ["w3"]),
        ("hdmi or vga to hdmi adapter", ["w5"]), ("vga or hdmi to hdmi adapter", ["w5"]),
        ("samsung tv or lg tv", ["w6", "w7", "w8"]), ("samsung or an lg tv", ["w6", "w7", "w8"]),
        ("mug for mom or for dad", ["w9", "w10"]), ("s码或m码", ["w18", "w19"]),
        ("黑的或白的手机壳", ["w20", "w21"]),
        ("红的或者蓝的长靴", ["w22", "w23"]), ("送男的或女的礼物", ["w24", "w25"]),
        ("鞋子或帽子", ["w11", "w12"]), ("帽子或鞋子", ["w11", "w12"]),
        ("iphone 14 case or screen protector", ["w16", "w17"]),
    ],
)  # fmt: skip
def test_or_between_other_words_says_nothing(
    store: Store, search: Search, query: str, found: list[str]
) -> None:
    """Which words are a thing, the library does not tell: what has most of them comes first."""
    titles = [
        "苹果手机 128G", "华为手机 256G", "小米手机", "hdmi to hdmi adapter", "vga to hdmi adapter",
        "samsung tv", "lg tv", "an old tv lg", "mom mug", "dad mug", "透气运动鞋", "棒球帽 黑",
        "headphones stereo", "now hiring poster", "never again poster", "iphone 14 case",
        "iphone 14 screen protector", "卫衣 s码", "卫衣 m码", "黑 手机壳 硅胶", "白 手机壳 硅胶",
        "红 长靴", "蓝 长靴", "男 礼物", "女 礼物",
    ]  # fmt: skip
    products = (product(f"w{i}", title) for i, title in enumerate(titles, 1))
    store.products.upsert(product_batch(*products))
    assert set(ids(search, query)[: len(found)]) == set(found)


def test_words_beside_or_are_corrected_and_logged(store: Store, search: Search) -> None:
    titles = {"w1": "headphones stereo", "w2": "earbuds mini"}
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    assert search.search("headphons or earbudz").did_you_mean == "headphone or earbud"
    search.search("usb or hdmi", log=True)
    assert search.store.searches.list()[0].words == ("usb", "hdmi")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("外套 不要皮或毛的", ["n3", "n4"]), ("不要毛或皮的外套", ["n3", "n4"]),
        ('poster -"now or never"', ["n5", "n6", "n8"]), ("poster -red or blue", []),
        ('poster -"red or blue"', ["n5", "n6", "n7"]),
    ],
)  # fmt: skip
def test_what_is_negated_is_no_choice(
    store: Store, search: Search, query: str, found: list[str]
) -> None:
    titles = {
        "n1": "真皮外套", "n2": "羊毛外套", "n3": "棉外套", "n4": "纱外套 手洗或机洗",
        "n5": "now hiring poster", "n6": "never again poster", "n7": "now or never poster",
        "n8": "red or blue poster",
    }  # fmt: skip
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    result = search.search(query)
    assert sorted([] if result.relaxed else [hit.id for hit in result.hits]) == found
