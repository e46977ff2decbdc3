from __future__ import annotations

import pyarrow as pa
import pytest

from tagmill.records import PRODUCT_SCHEMA
from tagmill.store import Store, UpsertCounts
from tests.store.samples import (
    RED,
    entry,
    fill,
    names,
    pending_ids,
    product,
    product_batch,
    tag_run,
    tagged_batch,
)


def read_ids(store: Store, **options: bool) -> list[list[str]]:
    return [
        batch.column("id").to_pylist() for batch in store.products.batches(batch_size=2, **options)
    ]


def test_a_product_comes_back_as_it_went_in(store: Store) -> None:
    given = product(
        "p1", "Kettle “1.7 L”\\", description="水壶\n不锈钢", category="Home > Kitchen",
        attributes={"颜色": "银色", "Power": "2200 W"}, numbers={"price": 99.5, "库存": 0},
        image="https://img.example/1.jpg",
        tags=["颜色:银色", "a|b"],
    )  # fmt: skip
    batch = product_batch(given, product("p2"), product("p3", tags=[]))
    store.products.upsert(batch)
    (read,) = store.products.batches()
    assert read.schema == batch.schema
    assert read.to_pylist() == batch.to_pylist()
    stored = store.products.get("p1")
    assert stored is not None
    assert stored["attributes"] == [["颜色", "银色"], ["Power", "2200 W"]]
    assert not stored["gone"]
    assert store.products.get("p4") is None


def test_upsert_tells_new_changed_and_unchanged(store: Store) -> None:
    batch = product_batch(product("p1", attributes={"a": "1", "b": "2"}), product("p2"))
    assert store.products.upsert(batch) == UpsertCounts(new=2)
    assert store.products.upsert(batch) == UpsertCounts(unchanged=2)
    reordered = product_batch(product("p1", attributes={"b": "2", "a": "1"}))
    assert store.products.upsert(reordered) == UpsertCounts(unchanged=1)
    mixed = product_batch(product("p1", "蓝色衬衫"), product("p2"), product("p3"))
    assert store.products.upsert(mixed) == UpsertCounts(new=1, changed=1, unchanged=1)
    changed = store.products.get("p1")
    assert changed is not None
    assert changed["title"] == "蓝色衬衫"
    assert changed["attributes"] is None


def test_a_change_moves_text_between_fields(store: Store) -> None:
    store.products.upsert(product_batch(product("p1", "ab", description="c")))
    moved = product_batch(product("p1", "a", description="bc"))
    assert store.products.upsert(moved) == UpsertCounts(changed=1)


def test_of_equal_ids_in_a_batch_the_last_counts(store: Store) -> None:
    counts = store.products.upsert(product_batch(product("p1", "one"), product("p1", "two")))
    assert counts == UpsertCounts(new=1)
    stored = store.products.get("p1")
    assert stored is not None
    assert stored["title"] == "two"


def test_an_attribute_may_have_several_values(store: Store) -> None:
    pairs = [("材质", "棉"), ("材质", "涤纶"), ("产地", None)]
    row = {"id": "p1", "title": "t", "attributes": pairs}
    batch = pa.RecordBatch.from_pylist([row], schema=PRODUCT_SCHEMA)
    store.products.upsert(batch)
    (read,) = store.products.batches()
    assert read.column("attributes").to_pylist() == batch.column("attributes").to_pylist()
    fewer = pa.RecordBatch.from_pylist([{**row, "attributes": pairs[1:]}], schema=PRODUCT_SCHEMA)
    assert store.products.upsert(fewer) == UpsertCounts(changed=1)


def test_nul_characters_are_dropped(store: Store) -> None:
    dirty = product("p1", "a\0b", attributes={"k\0": "v\0"}, tags=["颜色:\0红色"])
    store.products.upsert(product_batch(dirty))
    stored = store.products.get("p1")
    assert stored is not None
    assert stored["title"] == "ab"
    assert stored["attributes"] == [["k", "v"]]
    assert stored["tags"] == ["颜色:红色"]


def test_labels_are_kept_when_an_import_has_none(store: Store) -> None:
    store.products.upsert(product_batch(product("p1", tags=["颜色:红色"])))
    assert store.products.upsert(product_batch(product("p1"))) == UpsertCounts(unchanged=1)
    assert store.products.upsert(product_batch(product("p1", "new"))) == UpsertCounts(changed=1)
    stored = store.products.get("p1")
    assert stored is not None
    assert stored["tags"] == ["颜色:红色"]
    relabelled = product_batch(product("p1", "new", tags=["颜色:蓝色"]))
    assert store.products.upsert(relabelled) == UpsertCounts(changed=1)
    assert [batch.column("tags").to_pylist() for batch in store.products.batches()] == [
        [["颜色:蓝色"]]
    ]


def test_new_labels_alone_do_not_make_a_product_pending(store: Store) -> None:
    fill(store, "p1")
    tag_run(store, {"p1": [entry(RED, 0.9)]}, "first")
    store.products.upsert(product_batch(product("p1", tags=["颜色:红色"])))
    assert pending_ids(store, "first") == []
    assert list(store.assignments.export(since=store.assignments.export().cursor)) == []


def test_batches_are_in_byte_order_of_the_ids(store: Store) -> None:
    ids = ["b", "A", "a10", "a9", "é", "中", "Z", "_"]
    store.products.upsert(product_batch(*(product(product_id) for product_id in ids)))
    read = [product_id for batch in read_ids(store) for product_id in batch]
    assert read == sorted(ids, key=str.encode)


def test_batches_can_be_those_with_or_without_labels(store: Store) -> None:
    store.products.upsert(
        product_batch(product("p1"), product("p2", tags=[]), product("p3", tags=["颜色:红色"]))
    )
    assert read_ids(store) == [["p1", "p2"], ["p3"]]
    assert read_ids(store, labelled=True) == [["p2", "p3"]]
    assert read_ids(store, labelled=False) == [["p1"]]
    assert store.products.count() == 3
    assert store.products.count(labelled=True) == 2
    assert store.products.count(labelled=False) == 1


def test_pending_is_what_the_signature_has_not_tagged(store: Store) -> None:
    fill(store, "p1", "p2", "p3")
    assert pending_ids(store, "first") == ["p1", "p2", "p3"]
    assert store.products.pending_count("first") == 3
    tag_run(store, {"p1": [entry(RED, 0.9)], "p2": []}, "first")
    assert pending_ids(store, "first") == ["p3"]
    assert pending_ids(store, "second") == ["p1", "p2", "p3"]
    store.products.upsert(product_batch(product("p1", "蓝色衬衫")))
    assert pending_ids(store, "first") == ["p1", "p3"]
    store.products.upsert(product_batch(product("p1")))
    assert pending_ids(store, "first") == ["p3"]
    assert store.products.pending_count("first") == 1


def test_pending_goes_on_while_its_products_are_written(store: Store) -> None:
    ids = [f"p{number:02}" for number in range(9)]
    fill(store, *ids)
    run = store.runs.start("tag", "first")
    met = []
    for batch in store.products.pending("first", batch_size=2):
        met += batch.column("id").to_pylist()
        tags = {product_id: [entry(RED, 0.9)] for product_id in batch.column("id").to_pylist()}
        store.assignments.write(run, batch, tagged_batch(tags), "model")
    assert met == ids
    assert pending_ids(store, "first") == []


def test_gone_products_leave_and_come_back_with_their_tags(store: Store) -> None:
    fill(store, "p1", "p2", "p3")
    tag_run(store, {"p2": [entry(RED, 0.9)]})
    assert store.products.mark_gone(["p1", "p3", "p1", "unknown"]) == 1
    assert store.products.mark_gone(iter(["p1", "p3"])) == 0
    assert read_ids(store) == [["p1", "p3"]]
    assert store.products.count() == 2
    assert "p2" not in pending_ids(store, "second")
    gone = store.products.get("p2")
    assert gone is not None
    assert gone["gone"]
    counts = store.products.upsert(product_batch(product("p2"), product("p3")))
    assert counts == UpsertCounts(unchanged=1, returned=1)
    assert names(store, "p2") == ["红色"]
    assert "p2" not in pending_ids(store, "first")


@pytest.mark.parametrize("count", [0, 10_000])
def test_mark_gone_takes_any_number_of_ids(store: Store, count: int) -> None:
    ids = [f"p{number:05}" for number in range(count)]
    store.products.upsert(product_batch(*(product(product_id) for product_id in ids)))
    store.products.upsert(product_batch(product("q")))
    assert store.products.mark_gone(ids) == 1
    assert store.products.count() == count
    assert store.products.mark_gone([]) == count
    assert store.products.count() == 0
