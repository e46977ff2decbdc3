"""A small tagged shop for the tests of search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tagmill.discover import Search, open_search
from tagmill.records import Facet, Tag
from tagmill.store import Store
from tests.store.samples import FACETS, entry, make_tag, product, product_batch, tag_run

RED = make_tag("颜色", "红色", "Red", aliases=("正红",))
BLUE = make_tag("颜色", "蓝色", "Blue")
SILK = make_tag("材质", "真丝", "Silk")
LEATHER = make_tag("材质", "真皮", "Leather")
DRESS = make_tag("品类", "连衣裙", "Dresses")
BAG = make_tag("品类", "手提包", "Handbags")
TV = make_tag("品类", "4K电视", "4K TVs")
TAGS = [RED, BLUE, SILK, LEATHER, DRESS, BAG, TV]

# id → title, tags with their probability
SHOP: dict[str, tuple[str, list[tuple[Tag, float]]]] = {
    "d1": ("红色真丝连衣裙", [(DRESS, 0.99), (RED, 0.98), (SILK, 0.9)]),
    "d2": ("法式收腰长裙", [(DRESS, 0.95), (RED, 0.6)]),
    "d3": ("蓝色连衣裙 夏季", [(DRESS, 0.99), (BLUE, 0.97)]),
    "b1": ("Red leather tote", [(BAG, 0.9), (RED, 0.95), (LEATHER, 0.98)]),
    "b2": ("蓝色帆布手提包", [(BAG, 0.97), (BLUE, 0.9)]),
    "t1": ("超高清电视 65英寸", [(TV, 0.96)]),
    "c1": ("儿童水杯 350ml", []),
    "c2": ("保温水杯 1.5L 大容量", []),
}


def fill_shop(store: Store, ids: Sequence[str] = tuple(SHOP)) -> None:
    """The library and the shop's products with their tags."""
    store.library.save(TAGS, [*FACETS, Facet("品类", {"zh": "品类", "en": "Category"})])
    store.products.upsert(product_batch(*(product(i, SHOP[i][0]) for i in ids)))
    tag_run(store, {i: [entry(tag, p) for tag, p in SHOP[i][1]] for i in ids})


def shop_search(store: Store, folder: Path) -> Search:
    fill_shop(store)
    return open_search(store, folder / "search")


def ids(search: Search, query: str, **options: object) -> list[str]:
    """The ids of what a query finds."""
    return [hit.id for hit in search.search(query, **options).hits]  # type: ignore[arg-type]
