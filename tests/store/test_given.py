"""Tags that products came with are output like any other; on both databases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tagmill.library import Library
from tagmill.library.changes import merge
from tagmill.library.stored import load_library
from tagmill.store import PERSON, Store
from tagmill.store.given import GivenTags
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


def _give(store: Store, **tags: list[str] | None) -> None:
    store.products.upsert(product_batch(*(product(i, tags=own) for i, own in tags.items())))


def _exported(store: Store, since: int | None = None) -> dict[str, list[str]]:
    rows = [row for batch in store.assignments.export(since) for row in batch.to_pylist()]
    return {row["id"]: [tag["name"] for tag in row["tags"]] for row in rows}


def test_they_are_a_persons_and_certain(store: Store) -> None:
    fill(store)
    _give(store, p1=["颜色:红色", "Material:silk", "形状:圆"], p2=[], p3=None)
    (row,) = store.assignments.current(["p1"]).to_pylist()
    found = {(t["name"], t["probability"], t["lane"], t["origin"]) for t in row["tags"]}
    assert found == {("红色", 1.0, "auto", PERSON), ("真丝", 1.0, "auto", PERSON)}
    assert _exported(store) == {"p1": ["红色", "真丝"], "p2": []}
    assert store.assignments.tagged_ids(9) == ["p1", "p2"]


def test_they_stand_over_a_run_and_under_a_verdict(store: Store) -> None:
    fill(store, "p2")
    _give(store, p1=["颜色:红色", "材质:真丝"])
    tag_run(store, {"p1": [entry(RED, 0.3), entry(BLUE, 0.6)], "p2": [entry(BLUE, 0.9)]})
    store.verdicts.add("p1", SILK.id, accepted=False)
    assert names(store, "p1") == ["红色", "蓝色"]
    assert store.assignments.tag_counts() == {RED.id: 1, BLUE.id: 2}
    matrix = store.assignments.matrix()
    sizes = np.asarray(matrix.values.sum(axis=1)).tolist()
    assert dict(zip(matrix.product_ids.tolist(), sizes, strict=True)) == {"p1": 2, "p2": 1}
    assert store.assignments.products_with([RED.id]) == {"p1"}
    assert store.searches.products_with([BLUE.id]) == ["p1", "p2"]


def test_what_changes_them_comes_with_the_next_export(store: Store) -> None:
    fill(store, "p0")
    _give(store, p1=["颜色:红色"], p2=["颜色:蓝色"], p3=["颜色:酒红"])
    cursor = store.assignments.export().cursor
    _give(store, p1=["颜色:蓝色"])
    assert _exported(store, cursor) == {"p1": ["蓝色"]}
    cursor = store.assignments.export().cursor
    wine = make_tag("颜色", "酒红")
    version = store.library.save([wine])
    assert _exported(store, cursor) == {"p3": ["酒红"]}
    cursor = store.assignments.export().cursor
    library = load_library(store)
    merged = store.library.save(merge(library, library.tags[BLUE.id], library.tags[RED.id]))
    assert merged > version
    assert _exported(store, cursor) == {"p1": ["红色"], "p2": ["红色"]}
    cursor = store.assignments.export().cursor
    store.library.undo(merged)
    assert _exported(store, cursor) == {"p1": ["蓝色"], "p2": ["蓝色"]}
    cursor = store.assignments.export().cursor
    store.library.save([replace(SILK, aliases=("桑蚕丝",))])  # nobody was given it
    assert _exported(store, cursor) == {}


TEXTS = (
    "颜色:红色", "Color: RED", "红色", "正红", "真丝", "颜色:真丝", "尺码:红色", "4:3屏幕",
    RED.id, "比例:4:3", ":红色", "平纹", "颜色:", "", "旧名",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_written_tag_means_what_the_library_finds(store: Store, text: str) -> None:
    screen, twice = make_tag("", "4:3屏幕"), (make_tag("颜色", "平纹"), make_tag("材质", "平纹"))
    store.library.save([RED, BLUE, SILK, screen, *twice], FACETS)
    library: Library = load_library(store)
    with store.engine.connect() as connection:
        meaning = GivenTags(store._database, connection).mean([text])
    found = library.find(text)
    assert meaning == {text: found.id if found else None}


def _mirrored(store: Store, mirror: dict[str, list[str]], cursor: int) -> int:
    """Bring a mirror up to date by what changed after a cursor; it must be the whole export."""
    export = store.assignments.export(cursor)
    for row in (row for batch in export for row in batch.to_pylist()):
        mirror[row["id"]] = [tag["name"] for tag in row["tags"]]
    assert mirror == _exported(store)
    return export.cursor


def test_a_mirror_of_changes_is_the_whole_export(store: Store) -> None:
    fill(store, "tagged", "stale", "judged")
    _give(store, given=["颜色:红色", "颜色:蓝色"], split=["材质:真丝"])
    tag_run(store, {"tagged": [entry(RED, 0.9)], "stale": [entry(BLUE, 0.8), entry(RED, 0.7)]})
    store.products.upsert(product_batch(product("stale", "other words")))
    store.verdicts.add("judged", RED.id, accepted=True)
    mirror: dict[str, list[str]] = {}
    cursor = _mirrored(store, mirror, 0)
    store.library.save([], [replace(FACETS[0], single=True)], kind="facet")
    cursor = _mirrored(store, mirror, cursor)
    assert len(mirror["given"]) == 1
    store.library.save([replace(RED, name="大红", aliases=("红色",))], kind="rename")
    cursor = _mirrored(store, mirror, cursor)
    assert mirror["judged"] == mirror["tagged"] == ["大红"]
    parts = [make_tag("材质", "桑蚕丝"), make_tag("材质", "柞蚕丝")]
    gone = replace(SILK, status="retired", split_into=tuple(part.id for part in parts))
    split = store.library.save([*parts, gone], kind="split")
    cursor = _mirrored(store, mirror, cursor)
    assert mirror["split"] == ["桑蚕丝", "柞蚕丝"]  # for a person to choose from
    lanes = store.assignments.current(["split"]).to_pylist()[0]["tags"]
    assert {tag["lane"] for tag in lanes} == {"review"}
    store.library.save([replace(BLUE, status="retired")], kind="retire")
    cursor = _mirrored(store, mirror, cursor)
    store.library.undo(split)
    cursor = _mirrored(store, mirror, cursor)
    assert mirror["split"] == ["真丝"]
    store.library.undo(2)
    cursor = _mirrored(store, mirror, cursor)
    narrow, middle, wide = (make_tag("", name) for name in ("窄", "中", "宽"))
    narrow = replace(narrow, broader=(middle.id,))
    store.library.save([narrow, middle, wide])
    store.products.upsert(product_batch(product("late", "其他")))
    tag_run(store, {"late": [entry(narrow, 0.9), entry(wide, 0.8)]}, "second")
    cursor = _mirrored(store, mirror, cursor)
    assert mirror["late"] == ["窄", "宽"]
    store.library.save([replace(middle, broader=(wide.id,))], kind="move")
    _mirrored(store, mirror, cursor)
    assert mirror["late"] == ["窄"]  # implies the wide one through the one between
