from __future__ import annotations

import pytest

from tagmill.errors import StoreError, UnknownTag
from tagmill.store import Store
from tests.store.samples import (
    BLUE,
    RED,
    SILK,
    entry,
    fill,
    product,
    product_batch,
    tag_run,
)


def test_the_latest_verdict_of_a_pair_counts(store: Store) -> None:
    fill(store, "p1", "p2")
    first = store.verdicts.add("p1", RED.id, True, who="lin", note="看图")
    second = store.verdicts.add("p1", RED.id, False, who="wei")
    other = store.verdicts.add("p2", BLUE.id, True)
    assert store.verdicts.list() == [second, other]
    assert store.verdicts.list("p1", superseded=True) == [first, second]
    assert store.verdicts.list(tag_id=BLUE.id) == [other]
    assert (first.who, first.note, first.accepted) == ("lin", "看图", True)
    assert store.verdicts.labels() == {"p1": {RED.id: False}, "p2": {BLUE.id: True}}
    assert store.verdicts.labels(["p2", "p3"]) == {"p2": {BLUE.id: True}}


def test_a_verdict_on_former_text_is_stale(store: Store) -> None:
    fill(store, "p1", "p2")
    store.verdicts.add("p1", RED.id, True)
    store.verdicts.add("p2", RED.id, True)
    store.products.upsert(product_batch(product("p1", "蓝色衬衫")))
    assert [(v.product_id, v.stale) for v in store.verdicts.list()] == [
        ("p1", True),
        ("p2", False),
    ]
    assert store.verdicts.labels()["p1"] == {RED.id: True}


def test_unknown_products_and_tags_are_refused(store: Store) -> None:
    fill(store, "p1")
    with pytest.raises(StoreError, match="'p9'"):
        store.verdicts.add("p9", RED.id, True)
    with pytest.raises(UnknownTag, match="0123"):
        store.verdicts.add("p1", "0123", True)
    assert store.verdicts.list(superseded=True) == []


def test_the_queue_has_the_most_uncertain_first(store: Store) -> None:
    fill(store, "p1", "p2", "p3")
    span = {"field": "title", "start": 0, "end": 2, "text": "红色"}
    tag_run(
        store,
        {
            "p1": [entry(RED, 0.9, "auto"), entry(SILK, 0.7)],
            "p2": [entry(BLUE, 0.45, evidence=[span]), entry(SILK, 0.2)],
            "p3": [entry(SILK, 0.5)],
        },
    )
    queue = store.verdicts.queue(10)
    assert [(item["product_id"], item["name"]) for item in queue] == [
        ("p3", "真丝"),
        ("p2", "蓝色"),
        ("p1", "真丝"),
        ("p2", "真丝"),
    ]
    assert queue[1]["evidence"] == [span]
    assert queue[1]["title"] == "红色真丝连衣裙"
    assert queue[1]["tag_id"] == BLUE.id
    assert set(queue[0]) == {
        "product_id", "title", "tag_id", "facet", "name", "probability", "calibration", "origin",
        "evidence",
    }  # fmt: skip
    assert [item["name"] for item in store.verdicts.queue(10, facet="颜色")] == ["蓝色"]
    assert store.verdicts.queue(1, language="en")[0]["name"] == "Silk"
    assert len(store.verdicts.queue(2)) == 2


def test_the_queue_leaves_out_what_is_settled(store: Store) -> None:
    fill(store, "p1", "p2", "p3")
    tag_run(store, {p: [entry(SILK, 0.5), entry(RED, 0.4)] for p in ("p1", "p2", "p3")}, "first")
    tag_run(store, {"p3": [entry(SILK, 0.5)]}, "second")
    store.verdicts.add("p1", SILK.id, False)
    store.products.mark_gone(["p1", "p3"])
    assert [(item["product_id"], item["name"]) for item in store.verdicts.queue(10)] == [
        ("p3", "真丝"),
        ("p1", "红色"),
    ]
