from __future__ import annotations

from dataclasses import replace

import pytest

from tagmill.errors import StoreError, UnknownTag
from tagmill.library.changes import merge
from tagmill.library.stored import load_library
from tagmill.records import Facet
from tagmill.store import Store, open_store
from tests.store.samples import (
    BLUE,
    FACETS,
    RED,
    SILK,
    entry,
    fill,
    make_tag,
    names,
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
    queue = store.review.queue(10)
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
    assert [item["name"] for item in store.review.queue(10, facet="颜色")] == ["蓝色"]
    assert store.review.queue(1, language="en")[0]["name"] == "Silk"
    assert len(store.review.queue(2)) == 2


def test_the_queue_leaves_out_what_is_settled(store: Store) -> None:
    fill(store, "p1", "p2", "p3")
    tag_run(store, {p: [entry(SILK, 0.5), entry(RED, 0.4)] for p in ("p1", "p2", "p3")}, "first")
    tag_run(store, {"p3": [entry(SILK, 0.5)]}, "second")
    store.verdicts.add("p1", SILK.id, False)
    store.products.mark_gone(["p1", "p3"])
    assert [(item["product_id"], item["name"]) for item in store.review.queue(10)] == [
        ("p3", "真丝"),
        ("p1", "红色"),
    ]


def test_review_asks_only_what_is_open_in_the_output(store: Store) -> None:
    fill(store, "p1", "p2")
    single = replace(FACETS[0], single=True)
    store.products.upsert(product_batch(product("p3", tags=["颜色:红色"])))
    tag_run(
        store,
        {
            "p1": [entry(RED, 0.5), entry(SILK, 0.6)],
            "p2": [entry(BLUE, 0.55), entry(RED, 0.45)],
            "p3": [entry(RED, 0.5), entry(BLUE, 0.4)],
        },
    )

    def asked() -> set[tuple[str, str]]:
        return {(item["product_id"], item["name"]) for item in store.review.queue(10)}

    # What p3 came with is a person's word.
    assert asked() == {
        ("p1", "红色"), ("p1", "真丝"), ("p2", "蓝色"), ("p2", "红色"), ("p3", "蓝色"),
    }  # fmt: skip
    store.library.save([], [single])
    assert asked() == {("p1", "红色"), ("p1", "真丝"), ("p2", "蓝色")}
    store.verdicts.add("p1", RED.id, accepted=False)
    library = load_library(store)
    store.library.save(merge(library, library.tags[RED.id], library.tags[BLUE.id]))
    assert asked() == {("p1", "真丝"), ("p2", "蓝色")}  # p1 was refused red, which is blue now
    assert {item["tag_id"] for item in store.review.queue(10, facet="颜色")} == {BLUE.id}


def test_a_facet_is_only_for_products_of_its_kind_whoever_says_of_which_they_are(
    store: Store,
) -> None:
    dress, maxi, mug = (make_tag("品类", name) for name in ("连衣裙", "长裙", "马克杯"))
    maxi = replace(maxi, broader=(dress.id,))
    long = make_tag("袖长", "长袖")
    kinds = [Facet("品类"), Facet("袖长", only_for=(dress.id,))]
    store.library.save([dress, maxi, mug, long], kinds)
    ids = ("p1", "p2", "p3", "p4", "p5")
    store.products.upsert(product_batch(*map(product, ids)))
    kind = {"p1": dress, "p2": maxi, "p3": mug, "p4": dress}
    tags = {i: [entry(one, 0.9), entry(long, 0.8)] for i, one in kind.items()}
    tag_run(store, {**tags, "p5": [entry(long, 0.8)]})
    assert [names(store, i) for i in ids] == [
        ["连衣裙", "长袖"], ["长裙", "长袖"], ["马克杯"], ["连衣裙", "长袖"], ["长袖"],
    ]  # fmt: skip
    store.verdicts.add("p3", long.id, accepted=True)  # a person's word stands
    store.verdicts.add("p4", dress.id, accepted=False)
    assert names(store, "p4") == ["长袖"]  # of no kind that anybody knows
    store.verdicts.add("p4", mug.id, accepted=True)
    assert [names(store, i) for i in ("p3", "p4")] == [["长袖", "马克杯"], ["马克杯"]]
    assert {item["product_id"] for item in store.review.queue(10, facet="袖长")} == {
        "p1", "p2", "p5",
    }  # fmt: skip
    library = load_library(store)
    store.library.save(merge(library, library.tags[dress.id], library.tags[mug.id]),
                       library.changed_facets())  # fmt: skip
    assert names(store, "p4") == ["马克杯", "长袖"]


def test_parts_of_what_was_given_are_asked_first(store: Store) -> None:
    fill(store, "p1")
    store.products.upsert(product_batch(product("p2", tags=["材质:真丝"])))
    tag_run(store, {"p1": [entry(RED, 0.5)]})
    parts = [make_tag("材质", "桑蚕丝"), make_tag("材质", "柞蚕丝")]
    gone = replace(SILK, status="retired", split_into=tuple(part.id for part in parts))
    store.library.save([*parts, gone])
    queue = [(item["product_id"], item["name"]) for item in store.review.queue(10)]
    assert queue == [("p2", "桑蚕丝"), ("p2", "柞蚕丝"), ("p1", "红色")]
    store.verdicts.add("p2", parts[0].id, accepted=True)
    assert ("p2", "桑蚕丝") not in {(q["product_id"], q["name"]) for q in store.review.queue(10)}


def test_a_verdict_that_was_taken_back_counts_no_more(store: Store) -> None:
    fill(store, "p1", "p2")
    store.products.upsert(product_batch(product("p2", tags=["材质:真丝"])))
    tag_run(store, {"p1": [entry(RED, 0.5), entry(BLUE, 0.8, "auto")], "p2": []})
    before = store.assignments.current(["p1", "p2"]).to_pylist()
    counts, queue = store.assignments.tag_counts(), store.review.queue(10)
    for product_id, tag, accepted in (
        ("p1", RED, True), ("p1", BLUE, False), ("p2", SILK, False), ("p2", RED, True),
    ):  # fmt: skip
        store.verdicts.add(product_id, tag.id, accepted)
        cursor = store.assignments.export().cursor
        store.verdicts.reopen(product_id, tag.id, who="lin", note="slip")
        changed = [i for b in store.assignments.export(cursor) for i in b.column("id").to_pylist()]
        assert changed == [product_id]
    assert store.assignments.current(["p1", "p2"]).to_pylist() == before
    assert (store.assignments.tag_counts(), store.review.queue(10)) == (counts, queue)
    assert store.assignments.matrix().values.sum() == 3
    assert (store.verdicts.list(), store.verdicts.labels()) == ([], {})
    assert len(store.verdicts.list(superseded=True)) == 4
    (document, *_) = [one for page in store.searches.documents_of(["p2"]) for one in page]
    assert document.refused == frozenset()
    with pytest.raises(StoreError, match=r"No verdict on '颜色:红色' of the product 'p1'.*p1$"):
        store.verdicts.reopen("p1", RED.id)
    store.verdicts.add("p1", RED.id, True)
    assert store.verdicts.labels() == {"p1": {RED.id: True}}


def test_what_was_said_of_a_merged_tag_is_taken_back_with_it(store: Store) -> None:
    fill(store, "p1")
    tag_run(store, {"p1": [entry(BLUE, 0.5)]})
    store.verdicts.add("p1", RED.id, False)
    store.verdicts.add("p1", BLUE.id, True)
    library = load_library(store)
    store.library.save(merge(library, library.tags[RED.id], library.tags[BLUE.id]))
    assert store.review.queue(10) == []
    store.verdicts.reopen("p1", BLUE.id)
    assert [item["name"] for item in store.review.queue(10)] == ["蓝色"]


def test_the_part_of_a_split_tag_is_asked_again(store: Store) -> None:
    fill(store)
    store.products.upsert(product_batch(product("p1", tags=["材质:真丝"])))
    parts = [make_tag("材质", "桑蚕丝"), make_tag("材质", "柞蚕丝")]
    gone = replace(SILK, status="retired", split_into=tuple(part.id for part in parts))
    store.library.save([*parts, gone])
    store.verdicts.add("p1", parts[0].id, accepted=True)
    store.verdicts.reopen("p1", parts[0].id)
    assert [item["name"] for item in store.review.queue(10)] == ["桑蚕丝", "柞蚕丝"]


def test_verdicts_of_before_they_could_be_taken_back_are_kept(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("tagmill.store.database.HEAD", "0009")
        with open_store(store_url, create=True) as store:
            fill(store, "p1")
            given = store.verdicts.add("p1", RED.id, True, who="lin")
    with open_store(store_url) as store:
        assert store.verdicts.list() == [given]
        store.verdicts.reopen("p1", RED.id)
        assert store.verdicts.list() == []
        assert store.verdicts.add("p1", RED.id, True).id == given.id + 2
