from __future__ import annotations

import json
from pathlib import Path

import pytest

from tagmill.catalog import (
    Catalog,
    ImportReport,
    SyncReport,
    import_products,
    open_catalog,
    sync_products,
)
from tagmill.errors import CatalogError
from tagmill.store import Store


def shop(path: Path, *lines: object) -> Catalog:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return open_catalog(str(path), batch_size=2)


def row(number: int, title: str = "shirt") -> dict[str, object]:
    return {"id": number, "title": f"{title} {number}"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "shop.jsonl"


def test_an_import_adds_and_updates_and_takes_nothing_away(store: Store, source: Path) -> None:
    first = import_products(store, shop(source, *map(row, range(5)), "{"))
    assert first == ImportReport(new=5, rejected=1)
    second = import_products(store, shop(source, row(0), row(1, "coat"), row(7)))
    assert second == ImportReport(new=1, changed=1, unchanged=1)
    assert store.products.count() == 6
    product = store.products.get("1")
    assert product is not None
    assert product["title"] == "coat 1"


def test_a_sync_marks_what_is_gone_and_what_came_back(store: Store, source: Path) -> None:
    assert sync_products(store, shop(source, *map(row, range(5)))) == SyncReport(new=5)
    report = sync_products(store, shop(source, row(0), row(1), row(2), row(9)))
    assert report == SyncReport(new=1, unchanged=3, gone=2)
    assert store.products.count() == 4
    report = sync_products(store, shop(source, row(0), row(1), row(2), row(9), row(4)))
    assert report == SyncReport(unchanged=4, returned=1)
    gone = store.products.get("3")
    assert gone is not None
    assert gone["gone"]


def test_a_rejected_row_with_an_id_is_not_gone(store: Store, source: Path) -> None:
    sync_products(store, shop(source, *map(row, range(5))))
    report = sync_products(store, shop(source, row(0), {"id": 3, "title": ["broken"]}, "{", row(4)))
    assert report == SyncReport(unchanged=2, rejected=2, gone=2)
    assert [bool((store.products.get(str(i)) or {})["gone"]) for i in range(5)] == [
        False, True, True, False, False,
    ]  # fmt: skip


def test_nothing_is_gone_without_a_readable_row(store: Store, source: Path) -> None:
    sync_products(store, shop(source, *map(row, range(5))))
    report = sync_products(store, shop(source, {"id": "a"}, {"title": "b"}))
    assert report == SyncReport(rejected=2)
    header_only = source.with_suffix(".csv")
    header_only.write_text("id,title\n")
    assert sync_products(store, open_catalog(str(header_only))) == SyncReport()
    assert store.products.count() == 5


def test_nothing_is_gone_when_the_source_breaks_off(store: Store, source: Path) -> None:
    sync_products(store, shop(source, *map(row, range(5))))
    catalog = shop(source, *(row(i, "new") for i in range(2000)))
    source.write_bytes(source.read_bytes()[:60_000] + b"\xff")
    with pytest.raises(CatalogError, match="not valid utf-8 throughout"):
        sync_products(store, catalog)
    assert store.products.count() > 1000
    assert all(not (store.products.get(str(i)) or {})["gone"] for i in range(5))


def test_ids_of_any_text_are_recognised(store: Store, source: Path) -> None:
    ids = ["a\nb", 'quote"d', "编号 1", "a\\nb", "12"]
    lines = [{"id": product_id, "title": "x"} for product_id in ids]
    assert sync_products(store, shop(source, *lines)).new == 5
    assert sync_products(store, shop(source, *lines)) == SyncReport(unchanged=5)


@pytest.mark.parametrize("count", [6, 220])
def test_a_source_that_lacks_most_is_asked_about(store: Store, source: Path, count: int) -> None:
    sync_products(store, shop(source, *map(row, range(count))))
    lacks = f"lacks {count - 1} products of the workspace, more than half"
    others = [row(number) for number in range(count, 3 * count)]  # new ones make no half
    with pytest.raises(CatalogError, match=lacks):
        sync_products(store, shop(source, row(0, "coat"), *others))
    assert store.products.count() == 3 * count
    first = store.products.get("0")
    assert first is not None
    assert first["title"] == "coat 0"
    rest = 3 * count // 2
    assert sync_products(store, shop(source, *map(row, range(rest)))).gone == rest
    assert sync_products(store, shop(source, row(0)), many_gone=True).gone == rest - 1


def feed(store: Store, path: Path, text: str, **mapping: str) -> ImportReport:
    path.write_text(text, encoding="utf-8")
    names = {ours.replace("_", "."): theirs for ours, theirs in mapping.items()}
    known = store.products.known if store.products.count() else None
    return import_products(store, open_catalog(str(path), mapping=names, known=known))


def test_a_column_that_is_not_there_leaves_what_is_stored(store: Store, tmp_path: Path) -> None:
    full = "id,title,description,category,image,attributes,numbers,tags,language\n"
    full += "9,Red silk dress,Long,Dresses,a.jpg,cut=long;cloth=silk,price=9;stock=3,颜色:红色,fr\n"
    feed(store, tmp_path / "full.csv", full)
    before = store.products.get("9")
    assert before is not None
    assert feed(store, tmp_path / "title.csv", "id,title\n9,Red silk dress\n").unchanged == 1
    assert store.products.get("9") == before

    prices = feed(store, tmp_path / "p.csv", "id,p\n9,12\n8,5\n", numbers_price="p")
    assert prices == ImportReport(changed=1, rejected=1)  # 8 is not known and has no text
    product = store.products.get("9")
    assert product is not None
    assert product["numbers"] == [["price", 12.0], ["stock", 3.0]]
    assert {**product, "numbers": 0, "updated": 0} == {**before, "numbers": 0, "updated": 0}
    again = feed(store, tmp_path / "p.csv", "id,p\n9,12\n", numbers_price="p")
    assert again == ImportReport(unchanged=1)

    cuts = "id,title,c,description,category,p\n9,Red silk dress,short,,,\n"
    feed(store, tmp_path / "cuts.csv", cuts, attributes_cut="c", numbers_price="p")
    product = store.products.get("9")
    assert product is not None
    assert product["attributes"] == [["cut", "short"], ["cloth", "silk"]]
    assert product["numbers"] == [["stock", 3.0]]  # empty cells clear
    assert (product["description"], product["category"]) == (None, None)
    assert (product["image"], product["tags"]) == ("a.jpg", ["颜色:红色"])
    assert product["language"] == "fr"  # not what the text tells, so somebody said it


def test_an_empty_language_is_what_all_texts_tell(store: Store, tmp_path: Path) -> None:
    feed(store, tmp_path / "full.csv", "id,title,description\na,红色连衣裙,好看\n")
    feed(store, tmp_path / "prices.csv", "id,language,price\na,,77\n", **{"numbers.price": "price"})
    (batch,) = store.products.batches()
    assert batch.column("language").to_pylist() == ["zh-Hans"]


def test_a_name_that_a_line_lacks_leaves_what_is_stored(store: Store, source: Path) -> None:
    lines = [
        {"id": 1, "title": "Red coat", "description": "warm", "category": "Coats"},
        {"id": 2, "title": "红色大衣", "category": "大衣"},
    ]
    feed(store, source, "\n".join(map(json.dumps, lines)))
    lines = [
        {"id": 1, "category": None, "numbers": {"price": 3}},
        {"id": 2, "title": "Blue coat"},
        {"id": 3, "title": "New coat"},
    ]
    assert feed(store, source, "\n".join(map(json.dumps, lines))) == ImportReport(1, 2)
    rows = [store.products.get(str(i)) or {} for i in (1, 2)]
    wanted = ("title", "description", "category", "numbers", "language")
    assert [[row[name] for name in wanted] for row in rows] == [
        ["Red coat", "warm", None, [["price", 3.0]], "en"],
        ["Blue coat", None, "大衣", None, "en"],
    ]


def stored_hashes(store: Store) -> dict[str, str]:
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT id, content_hash FROM products").all()
    return {row.id: row.content_hash for row in rows}


def test_what_is_new_of_a_known_product_is_tagged_again(store: Store, tmp_path: Path) -> None:
    feed(store, tmp_path / "a.csv", "id,title,description\n1,Red coat,warm\n2,Red hat,soft\n")
    hashes = stored_hashes(store)
    feed(store, tmp_path / "b.csv", "id,description,category\n1,warm,\n2,thin,\n")
    later = stored_hashes(store)
    assert later["1"] == hashes["1"]
    assert later["2"] != hashes["2"]


def test_a_source_without_texts_needs_known_products(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="has no column 'title' or 'description'"):
        feed(store, tmp_path / "p.csv", "id,numbers\n9,price=12\n")
    feed(store, tmp_path / "a.csv", "id,title\n1,Red coat\n")
    with pytest.raises(CatalogError, match="has no column 'title' or 'description'"):
        feed(store, tmp_path / "p.csv", "id,product_name\n1,Red coat\n")
