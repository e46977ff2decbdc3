from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from tagmill.errors import StoreError, UnknownTag
from tagmill.library.changes import merge
from tagmill.library.stored import load_library
from tagmill.records import Facet, Scores
from tagmill.store import CURRENT_SCHEMA, EXPORT_SCHEMA, Store
from tagmill.store.tables import assignments, changes
from tests.store.samples import (
    BLUE,
    RED,
    SILK,
    entry,
    fill,
    make_tag,
    names,
    product,
    product_batch,
    tag_run,
    tagged_batch,
    write,
)

SPAN = {"field": "title", "start": 0, "end": 2, "text": "红色"}
QUOTED = {"field": 'attributes.a"b', "start": 3, "end": 9, "text": 'line\n"\\'}


def current(store: Store, product_id: str, language: str = "") -> list[dict[str, Any]]:
    (row,) = store.assignments.current([product_id], language=language).to_pylist()
    tags: list[dict[str, Any]] = row["tags"]
    return tags


def exported(store: Store, since: int | None = None) -> list[dict[str, Any]]:
    export = store.assignments.export(since)
    rows = [row for batch in export for row in batch.to_pylist()]
    assert export.products == len(rows)
    return rows


def test_tags_come_back_as_they_were_written(store: Store) -> None:
    fill(store, "p1", "p2", "p3")
    given = [entry(RED, 0.95, "auto", [SPAN, QUOTED]), entry(SILK, 0.1, "review", [])]
    tag_run(store, {"p1": given, "p2": [], "p3": [entry(BLUE, 0.3)]})
    batch = store.assignments.current(["p3", "unknown", "p1", "p2"])
    assert batch.schema == CURRENT_SCHEMA
    rows = {row["id"]: row["tags"] for row in batch.to_pylist()}
    assert list(rows) == ["p3", "unknown", "p1", "p2"]
    assert rows["p1"] == tagged_like(given)
    assert rows["p3"] == tagged_like([entry(BLUE, 0.3)])
    assert rows["p2"] == rows["unknown"] == []


def tagged_like(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is read back of these entries: as float32, with an origin."""
    (row,) = tagged_batch({"p": entries}).to_pylist()
    return [{**tag, "origin": "model"} for tag in row["tags"]]


def test_a_slice_of_a_batch_is_written_as_itself(store: Store) -> None:
    fill(store)
    products = product_batch(
        *(product(f"p{n}", attributes={"n": str(n)}, tags=[f"颜色:{n}"]) for n in range(4))
    )
    tagged = tagged_batch({f"p{n}": [entry(RED, n / 10, evidence=[SPAN] * n)] for n in range(4)})
    store.products.upsert(products.slice(2, 2))
    stored = store.products.get("p3")
    assert stored is not None
    assert (stored["attributes"], stored["tags"]) == ([["n", "3"]], ["颜色:3"])
    run = store.runs.start("tag", "s")
    store.assignments.write(run, products.slice(2, 2), tagged.slice(2, 2), "model")
    assert [len(tag["evidence"]) for tag in current(store, "p3")] == [3]
    assert store.products.pending_count("s") == 0


def test_the_lane_rejected_is_not_stored(store: Store) -> None:
    fill(store, "p1")
    tags = [entry(RED, 0.9, "auto"), entry(BLUE, 0.5, "rejected"), entry(SILK, 0.4)]
    tag_run(store, {"p1": tags})
    assert names(store, "p1") == ["红色", "真丝"]
    with store.engine.connect() as connection:
        ranks = connection.execute(sa.select(assignments.c.rank).order_by(assignments.c.rank))
        assert ranks.scalars().all() == [0, 1]


def test_versions_are_only_added(store: Store) -> None:
    fill(store, "p1")
    tag_run(store, {"p1": [entry(RED, 0.9)]}, "first")
    tag_run(store, {"p1": [entry(BLUE, 0.8), entry(SILK, 0.7)]}, "second")
    with store.engine.connect() as connection:
        rows = connection.execute(sa.select(changes).order_by(changes.c.seq)).all()
        stored = connection.execute(sa.select(assignments.c.seq, assignments.c.tag_id)).all()
    assert [(row.kind, row.run_id, row.previous) for row in rows] == [
        ("tagged", 1, None),
        ("tagged", 2, rows[0].seq),
    ]
    assert {tuple(row) for row in stored} == {
        (rows[0].seq, RED.id),
        (rows[1].seq, BLUE.id),
        (rows[1].seq, SILK.id),
    }


def test_a_chunk_is_stored_whole_or_not_at_all(store: Store) -> None:
    fill(store, "p1")
    run = store.runs.start("tag", "s")
    products = product_batch(product("p1"), product("p2"))
    tagged = tagged_batch({"p1": [entry(RED, 0.9)], "p2": []})
    with pytest.raises(StoreError, match="No product has the id 'p2'"):
        store.assignments.write(run, products, tagged, "model")
    unknown = make_tag("颜色", "绿色")
    with pytest.raises(UnknownTag, match=unknown.id):
        write(store, run, {"p1": [entry(RED, 0.9), entry(unknown, 0.8)]})
    with pytest.raises(ValueError, match="same products"):
        store.assignments.write(run, products, tagged.slice(0, 1), "model")
    assert store.runs.get(run.id).counts == {}
    assert names(store, "p1") == []
    with store.engine.connect() as connection:
        assert connection.execute(sa.select(changes)).all() == []


def test_names_in_a_language(store: Store) -> None:
    store.library.save([RED, make_tag("材质", "棉")], [Facet("颜色", {"en": "Color"})])
    store.products.upsert(
        product_batch(product("p1", language="en"), product("p2"), product("p3", language=None))
    )
    tags = [entry(RED, 0.9), entry(make_tag("材质", "棉"), 0.8)]
    tag_run(store, {"p1": tags, "p2": tags, "p3": tags})

    def written(product_id: str, language: str) -> list[str]:
        return [f"{t['facet']}:{t['name']}" for t in current(store, product_id, language)]

    assert written("p2", "") == ["颜色:红色", "材质:棉"]
    assert written("p2", "en") == ["Color:Red", "材质:棉"]
    assert written("p1", "product") == ["Color:Red", "材质:棉"]
    assert written("p2", "product") == written("p3", "product") == ["颜色:红色", "材质:棉"]


def test_verdicts_lie_over_the_tags(store: Store) -> None:
    fill(store, "p1")
    tag_run(store, {"p1": [entry(RED, 0.6, evidence=[SPAN]), entry(SILK, 0.5)]})
    store.verdicts.add("p1", SILK.id, True)
    store.verdicts.add("p1", RED.id, False)
    store.verdicts.add("p1", BLUE.id, True)
    accepted = {tag["name"]: tag for tag in current(store, "p1")}
    assert set(accepted) == {"真丝", "蓝色"}
    for tag in accepted.values():
        assert (tag["lane"], tag["origin"], tag["probability"]) == ("auto", "person", 1.0)
    store.verdicts.add("p1", RED.id, True)
    store.verdicts.add("p1", BLUE.id, False)
    red = next(tag for tag in current(store, "p1") if tag["name"] == "红色")
    assert red["evidence"] == [SPAN]
    assert sorted(names(store, "p1")) == ["真丝", "红色"]


def test_merged_tags_lead_on_and_retired_ones_leave(store: Store) -> None:
    fill(store, "p1", "p2")
    scarlet = make_tag("颜色", "朱红")
    store.library.save([scarlet])
    tag_run(store, {"p1": [entry(scarlet, 0.9), entry(RED, 0.8)], "p2": [entry(SILK, 0.9)]})
    store.verdicts.add("p2", scarlet.id, True)
    retired = make_tag("颜色", "朱红", status="retired", merged_into=RED.id)
    store.library.save([retired, make_tag("材质", "真丝", "Silk", status="retired")])
    assert [(tag["name"], tag["probability"] > 0.85) for tag in current(store, "p1")] == [
        ("红色", True)
    ]
    assert names(store, "p2") == ["红色"]


def test_export_gives_every_product_that_has_output(store: Store) -> None:
    fill(store, "p1", "p2", "p3", "p4")
    tag_run(store, {"p2": [entry(RED, 0.9)], "p1": [], "p4": [entry(SILK, 0.9)]})
    store.products.mark_gone(["p1", "p2", "p3"])
    export = store.assignments.export(batch_size=1)
    batches = list(export)
    assert all(batch.schema == EXPORT_SCHEMA for batch in batches)
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert [(row["id"], len(row["tags"]), row["gone"]) for row in rows] == [
        ("p2", 1, False),
        ("p1", 0, False),
    ]
    assert export.products == 2
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert export.cursor >= rows[-1]["seq"]


def test_export_since_a_cursor_gives_what_changed(store: Store) -> None:
    fill(store, "p1", "p2", "p3", "p4")
    every = ("p1", "p2", "p3", "p4")
    first = tag_run(store, {p: [entry(RED, 0.9)] for p in every}, "first")
    cursor = store.assignments.export().cursor
    assert exported(store, cursor) == []
    second = tag_run(store, {"p1": [entry(BLUE, 0.9)]}, "second")
    store.verdicts.add("p2", RED.id, False)
    store.products.mark_gone(["p1", "p2", "p4"])
    rows = {row["id"]: row for row in exported(store, cursor)}
    assert {key: [tag["name"] for tag in row["tags"]] for key, row in rows.items()} == {
        "p1": ["蓝色"],
        "p2": [],
        "p3": [],
    }
    assert [key for key, row in rows.items() if row["gone"]] == ["p3"]
    cursor = store.assignments.export(cursor).cursor
    store.runs.undo(second.id)
    store.products.upsert(product_batch(product("p4", "edited"), product("p3")))
    assert [row["id"] for row in exported(store, cursor)] == ["p1", "p3", "p4"]
    assert first.counts["products"] == 4


def test_what_changes_during_an_export_comes_with_the_next(store: Store) -> None:
    fill(store, "p1", "p2", "p3")
    tag_run(store, {p: [entry(RED, 0.9)] for p in ("p1", "p2", "p3")})
    export = store.assignments.export(batch_size=1)
    assert next(export.batches).column("id").to_pylist() == ["p1"]
    store.verdicts.add("p2", RED.id, False)
    assert [batch.column("id").to_pylist() for batch in export] == [["p3"]]
    assert [row["id"] for row in exported(store, export.cursor)] == ["p2"]


def test_a_cursor_of_another_database_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="cursor 5 is ahead"):
        store.assignments.export(5)


def test_tag_counts_follow_verdicts_and_gone_products(store: Store) -> None:
    fill(store, "p1", "p2", "p3", "p4")
    tag_run(store, {p: [entry(RED, 0.9), entry(SILK, 0.4)] for p in ("p1", "p2", "p3")})
    assert store.assignments.tag_counts() == {RED.id: 3, SILK.id: 3}
    store.verdicts.add("p1", SILK.id, False)
    store.verdicts.add("p1", RED.id, True)
    store.verdicts.add("p4", RED.id, False)
    store.verdicts.add("p4", RED.id, True)
    store.verdicts.add("p4", BLUE.id, True)
    assert store.assignments.tag_counts() == {RED.id: 4, SILK.id: 2, BLUE.id: 1}
    store.products.mark_gone(["p1", "p4"])
    assert store.assignments.tag_counts() == {RED.id: 2, BLUE.id: 1}


def test_a_product_with_both_tags_of_a_merge_counts_once(store: Store) -> None:
    fill(store, "p1", "p2", "p3", "p4")
    store.products.upsert(product_batch(product("p5", tags=["颜色:红色", "颜色:蓝色"])))
    tag_run(store, {"p1": [entry(RED, 0.9), entry(BLUE, 0.4)], "p2": [entry(RED, 0.9)],
                    "p3": [entry(RED, 0.9)], "p4": [entry(BLUE, 0.4)]})  # fmt: skip
    store.verdicts.add("p3", BLUE.id, accepted=False)
    library = load_library(store)
    store.library.save(merge(library, library.tags[RED.id], library.tags[BLUE.id]))
    assert store.assignments.tag_counts() == {BLUE.id: 4}


def test_the_matrix_is_what_products_have_now(store: Store) -> None:
    fill(store, "a", "b", "c")
    tag_run(store, {"a": [entry(RED, 0.9), entry(SILK, 0.8)], "b": [entry(BLUE, 0.7)], "c": []})
    store.verdicts.add("b", BLUE.id, False)
    store.verdicts.add("c", SILK.id, True)
    matrix = store.assignments.matrix()
    assert sorted(matrix.product_ids) == ["a", "b", "c"]
    assert _counts(matrix) == {RED.id: 1, SILK.id: 2, BLUE.id: 0}
    store.library.save([replace(RED, status="retired", merged_into=BLUE.id)])
    assert _counts(store.assignments.matrix()) == {SILK.id: 2, BLUE.id: 1}


def _counts(matrix: Scores) -> dict[str, float]:
    sums = matrix.values.sum(axis=0).tolist()
    return dict(zip(matrix.tag_ids.tolist(), sums, strict=True))
