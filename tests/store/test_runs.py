from __future__ import annotations

import pytest
import sqlalchemy as sa

from tagmill.errors import StoreError, TagConflict
from tagmill.store import Store, open_store
from tagmill.store.tables import assignments, changes
from tests.store.samples import (
    BLUE,
    RED,
    SILK,
    entry,
    fill,
    names,
    pending_ids,
    product,
    product_batch,
    tag_run,
    tagged_batch,
    write,
)


def test_a_run_keeps_versions_settings_and_counts(store: Store) -> None:
    fill(store, "p1", "p2")
    run = store.runs.start(
        "tag", "s1", model="model 3", library_version=7, settings={"top_k": 10, "语言": "中文"}
    )
    assert (run.status, run.finished) == ("running", None)
    write(store, run, {"p1": [entry(RED, 0.9, "auto"), entry(SILK, 0.5)]})
    write(store, run, {"p2": [entry(BLUE, 0.4, "rejected")]})
    finished = store.runs.finish(run, {"cost": 2})
    assert finished == store.runs.get(run.id)
    assert finished.status == "finished"
    assert finished.finished is not None
    assert finished.finished >= finished.started
    assert (finished.model, finished.library_version) == ("model 3", 7)
    assert finished.settings == {"top_k": 10, "语言": "中文"}
    assert finished.counts == {"products": 2, "tags": 2, "auto": 1, "review": 1, "cost": 2}


def test_an_unfinished_run_of_the_same_signature_is_taken_up(store: Store) -> None:
    run = store.runs.start("tag", "s1")
    assert store.runs.start("tag", "s1") == run
    other = store.runs.start("tag", "s2")
    imported = store.runs.start("import", "s1")
    assert len({run.id, other.id, imported.id}) == 3
    store.runs.finish(run)
    assert store.runs.start("tag", "s1").id not in (run.id, other.id, imported.id)
    assert [entry.id for entry in store.runs.list()] == [4, 3, 2, 1]
    assert [entry.id for entry in store.runs.list("import")] == [imported.id]


def test_an_ended_run_takes_nothing_more(store: Store) -> None:
    fill(store, "p1")
    run = store.runs.finish(store.runs.start("tag", "s1"))
    with pytest.raises(StoreError, match="Run 1 is finished"):
        write(store, run, {"p1": [entry(RED, 0.9)]})
    with pytest.raises(StoreError, match="Run 1 is finished"):
        store.runs.finish(run)
    failed = store.runs.fail(store.runs.start("tag", "s2"))
    assert failed.status == "failed"
    with pytest.raises(StoreError, match="There is no run 9"):
        store.runs.get(9)


def test_undo_gives_the_former_tags_back(store: Store) -> None:
    fill(store, "p1", "p2", "p3")
    tag_run(store, {"p1": [entry(RED, 0.9)], "p3": [entry(SILK, 0.9)]}, "first")
    second = tag_run(store, {"p1": [entry(BLUE, 0.9)], "p2": [entry(BLUE, 0.8)]}, "second")
    report = store.runs.undo(second.id)
    assert (report.run, report.products) == (second.id, 2)
    assert [names(store, product_id) for product_id in ("p1", "p2", "p3")] == [
        ["红色"], [], ["真丝"],
    ]  # fmt: skip
    assert store.runs.get(second.id).status == "undone"
    assert pending_ids(store, "first") == ["p2"]
    with pytest.raises(StoreError, match="undone already"):
        store.runs.undo(second.id)


def test_undo_only_adds_rows(store: Store) -> None:
    fill(store, "p1")
    tag_run(store, {"p1": [entry(RED, 0.9)]}, "first")
    second = tag_run(store, {"p1": [entry(BLUE, 0.9)]}, "second")
    with store.engine.connect() as connection:
        before = connection.execute(sa.select(changes).order_by(changes.c.seq)).all()
        stored = connection.execute(sa.select(assignments)).all()
    store.runs.undo(second.id)
    with store.engine.connect() as connection:
        after = connection.execute(sa.select(changes).order_by(changes.c.seq)).all()
        assert connection.execute(sa.select(assignments)).all() == stored
    assert after[:-1] == before
    inverse = after[-1]
    assert (inverse.kind, inverse.run_id) == ("undone", second.id)
    assert (inverse.previous, inverse.snapshot) == (before[1].seq, before[0].seq)


def test_undo_is_refused_where_later_runs_depend_on_it(store: Store) -> None:
    fill(store, "p1", "p2", "p3")
    first = tag_run(store, {p: [entry(RED, 0.9)] for p in ("p1", "p2", "p3")}, "first")
    second = tag_run(store, {"p1": [entry(BLUE, 0.9)]}, "second")
    third = tag_run(store, {"p2": [entry(SILK, 0.9)], "p3": []}, "third")
    with pytest.raises(TagConflict) as conflict:
        store.runs.undo(first.id)
    assert f"run {second.id} (1 products)" in str(conflict.value)
    assert f"run {third.id} (2 products)" in str(conflict.value)
    assert f"tagmill runs undo {third.id}" in str(conflict.value)
    assert names(store, "p1") == ["蓝色"]
    assert store.runs.get(first.id).status == "finished"
    store.runs.undo(third.id)
    store.runs.undo(second.id)
    assert store.runs.undo(first.id).products == 3
    assert names(store, "p1") == []


def test_runs_over_other_products_do_not_hinder_an_undo(store: Store) -> None:
    fill(store, "p1", "p2")
    first = tag_run(store, {"p1": [entry(RED, 0.9)]}, "first")
    tag_run(store, {"p2": [entry(BLUE, 0.9)]}, "second")
    assert store.runs.undo(first.id).products == 1
    assert names(store, "p2") == ["蓝色"]


def test_undo_of_a_run_that_tagged_a_product_twice(store: Store) -> None:
    fill(store, "p1", "p2")
    tag_run(store, {"p1": [entry(RED, 0.9)]}, "first")
    run = store.runs.start("tag", "second")
    write(store, run, {"p1": [entry(BLUE, 0.9)], "p2": [entry(BLUE, 0.9)]})
    store.products.upsert(product_batch(product("p1", "edited"), product("p2", "edited")))
    write(store, run, {"p1": [entry(SILK, 0.9)], "p2": [entry(SILK, 0.9)]})
    store.products.upsert(product_batch(product("p1", "edited again")))
    write(store, run, {"p1": []})
    assert store.runs.undo(run.id).products == 2
    assert names(store, "p1") == ["红色"]
    assert names(store, "p2") == []


def test_verdicts_survive_an_undo(store: Store) -> None:
    fill(store, "p1")
    run = tag_run(store, {"p1": [entry(RED, 0.6), entry(SILK, 0.5)]})
    store.verdicts.add("p1", SILK.id, True, who="lin")
    store.verdicts.add("p1", RED.id, False, who="lin")
    store.runs.undo(run.id)
    assert names(store, "p1") == ["真丝"]
    tag_run(store, {"p1": [entry(RED, 0.99, "auto")]}, "second")
    assert names(store, "p1") == ["真丝"]


def test_a_killed_run_can_be_undone_and_then_takes_no_more(store: Store) -> None:
    fill(store, "p1", "p2")
    run = store.runs.start("tag", "s1")
    write(store, run, {"p1": [entry(RED, 0.9)]})
    assert store.runs.undo(run.id).products == 1
    with pytest.raises(StoreError, match="is undone"):
        write(store, run, {"p2": [entry(RED, 0.9)]})
    assert store.runs.start("tag", "s1").id != run.id


def test_undo_of_many_products(store: Store) -> None:
    ids = [f"p{number:05}" for number in range(9000)]
    fill(store, *ids)
    run = tag_run_of(store, ids)
    assert store.runs.undo(run).products == 9000
    assert store.assignments.tag_counts() == {}


def tag_run_of(store: Store, ids: list[str]) -> int:
    run = store.runs.start("tag", "s1")
    for batch in store.products.pending("s1"):
        tags = {product_id: [entry(RED, 0.9)] for product_id in batch.column("id").to_pylist()}
        store.assignments.write(run, batch, tagged_batch(tags), "model")
    return store.runs.finish(run).id


def test_one_at_a_time_has_the_right_to_tag(store_url: str) -> None:
    with open_store(store_url, create=True) as store, open_store(store_url) as other:
        for _ in range(2):  # whoever is done leaves it to others
            with store.tagging():
                with pytest.raises(StoreError, match="Another process is tagging"):
                    other.tagging().__enter__()
                fill(other, "p1")  # everything else goes on
                with (
                    other.describing(),
                    pytest.raises(StoreError, match="has all products of .* described"),
                ):
                    store.describing().__enter__()
            with other.tagging():
                pass
