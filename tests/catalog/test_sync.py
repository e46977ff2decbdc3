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
    report = sync_products(store, shop(source, row(0), row(1), row(9)))
    assert report == SyncReport(new=1, unchanged=2, gone=3)
    assert store.products.count() == 3
    report = sync_products(store, shop(source, row(0), row(1), row(9), row(4)))
    assert report == SyncReport(unchanged=3, returned=1)
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


def test_a_source_that_lacks_most_is_asked_about(store: Store, source: Path) -> None:
    sync_products(store, shop(source, *map(row, range(220))))
    with pytest.raises(CatalogError, match="lacks 219 products of the workspace, more than half"):
        sync_products(store, shop(source, row(0, "coat")))
    assert store.products.count() == 220
    first = store.products.get("0")
    assert first is not None
    assert first["title"] == "coat 0"
    assert sync_products(store, shop(source, *map(row, range(110)))).gone == 110
    assert sync_products(store, shop(source, row(0)), many_gone=True).gone == 109
