"""Changes of the library and what they do to stored tags; on both databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tagmill.errors import TagConflict
from tagmill.library import Library
from tagmill.library.changes import merge, split
from tagmill.library.stored import load_library
from tagmill.pipeline import TagSummary, tag_into, tag_workspace
from tagmill.records import Tag
from tagmill.store import Store
from tagmill.store.searches import LoggedSearch
from tagmill.tag_runs import start_run
from tagmill.tagging.output import Selection
from tagmill.upkeep import Governed, forecast, govern, take_back
from tagmill.workspace import current_model
from tests.store.samples import BLUE, RED, SILK, fill, names, product, product_batch


@pytest.fixture
def models(store: Store, tmp_path: Path) -> Path:
    """Where models would be; the store has four products, tagged by the lexicon."""
    fill(store)
    titles = {"red": "红色衬衫", "crimson": "绯红衬衫", "blue": "蓝色衬衫", "silk": "真丝衬衫"}
    store.products.upsert(product_batch(*(product(i, title) for i, title in titles.items())))
    _tag(store, tmp_path)
    return tmp_path


def _tag(store: Store, models: Path) -> TagSummary:
    return tag_workspace(store, current_model(store, models), Selection())[1]


def _all(store: Store) -> dict[str, list[str]]:
    return {i: names(store, i) for i in ("red", "crimson", "blue", "silk")}


def _govern(
    store: Store, models: Path, library: Library, changed: Sequence[Tag], *, again: bool = True
) -> Governed:
    return govern(store, models, library, changed, Selection(), kind="test", who="lin", again=again)


def _current(store: Store) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.assignments.current(
        ["red", "crimson", "blue", "silk"]
    ).to_pylist()
    return rows


def test_only_the_products_that_a_change_touches_are_tagged_again(
    store: Store, models: Path
) -> None:
    library = load_library(store)
    changed = [library.add_alias(library.resolve("颜色:红色"), "绯红")]
    done = _govern(store, models, library, changed)
    assert done.summary.products == 2  # the one that has the tag, and the one that names it now
    assert _all(store) == {
        "red": ["红色"], "crimson": ["红色"], "blue": ["蓝色"], "silk": ["真丝"],
    }  # fmt: skip
    assert done.run is not None
    assert (done.run.library_change, done.run.library_version) == (done.version, done.version)
    assert _tag(store, models) == TagSummary()


def test_a_forecast_says_what_happens_then_and_changes_nothing(store: Store, models: Path) -> None:
    before, version = _current(store), store.library.latest()
    library = load_library(store)
    red = library.resolve("颜色:红色")
    changed = [library.add_alias(red, "绯红")]
    for query, tag_ids in (("绯红 衬衫", []), ("red shirt", [red.id]), ("蓝色", [BLUE.id])):
        store.searches.log([LoggedSearch(0, query, tuple(tag_ids), (), 1, "")])
    seen = forecast(store, models, library, Selection())
    assert (seen.products, seen.changed, seen.gained, seen.lost, seen.moved) == (2, 1, 1, 0, 0)
    assert seen.searches == 2
    assert seen.examples == [
        {"id": "crimson", "title": "绯红衬衫", "gained": ["颜色:红色"], "lost": [], "moved": []}
    ]
    assert (_current(store), store.library.latest()) == (before, version)
    _govern(store, models, library, changed)
    assert forecast(store, models, load_library(store), Selection()).products == 0


def test_a_merge_and_its_undo(store: Store, models: Path) -> None:
    store.verdicts.add("blue", BLUE.id, True, "lin")
    store.verdicts.add("silk", BLUE.id, False, "lin")
    before = _current(store)
    library = load_library(store)
    red, blue = library.resolve("颜色:红色"), library.resolve("颜色:蓝色")
    changed = merge(library, blue, red)
    seen = forecast(store, models, library, Selection())
    assert (seen.products, seen.gained, seen.lost) == (3, 1, 1)  # its verdict moves along
    done = _govern(store, models, library, changed)
    assert _all(store)["blue"] == ["红色"]
    assert store.verdicts.labels() == {"blue": {RED.id: True}, "silk": {RED.id: False}}
    with pytest.raises(TagConflict, match="undone already|rest on it"):
        take_back(store, models, 1, Selection())
    back = take_back(store, models, done.version, Selection(), who="lin")
    assert [report.run for report in back.undone] == [2]
    assert _current(store) == before
    assert back.governed.run is None  # all have the tags of before


def test_what_was_tagged_after_a_change_is_tagged_again_when_it_is_undone(
    store: Store, models: Path
) -> None:
    library = load_library(store)
    done = _govern(store, models, library, [library.add_alias(SILK, "绯红")])
    store.products.upsert(product_batch(product("red", "绯红裙子")))
    assert _tag(store, models).products == 1
    assert names(store, "red") == ["真丝"]
    back = take_back(store, models, done.version, Selection())
    assert back.governed.summary.products == 1
    assert names(store, "red") == []
    again = take_back(store, models, back.version, Selection())  # have it back after all
    assert again.governed.version == back.version + 1
    assert (names(store, "red"), names(store, "crimson")) == (["真丝"], ["真丝"])


def test_a_change_can_wait_for_the_next_run(store: Store, models: Path) -> None:
    library = load_library(store)
    done = _govern(store, models, library, [library.add("品类", "衬衫")], again=False)
    assert (done.run, _all(store)["red"]) == (None, ["红色"])
    assert _tag(store, models).products == 4
    assert set(_all(store)["red"]) == {"红色", "衬衫"}
    assert _tag(store, models) == TagSummary()


def test_a_cut_off_run_of_a_change_goes_on(store: Store, models: Path) -> None:
    from tagmill import upkeep

    library = load_library(store)
    changed = [library.add("品类", "衬衫")]

    def killed(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        govern(store, models, library, changed, Selection(), kind="add", progress=killed)
    (run, _) = store.runs.list("tag")
    assert run.status == "running"
    store.products.upsert(product_batch(product("late", "长裤")))
    done = upkeep.retag(store, models, Selection(), library_change=run.library_change)
    assert done.summary.products == 0  # all four were stored before it was cut off
    assert _tag(store, models).products == 1


def test_what_was_accepted_of_a_split_tag_goes_to_review(store: Store, models: Path) -> None:
    store.verdicts.add("silk", RED.id, True, "lin")
    library = load_library(store)
    changed = split(library, library.resolve("颜色:红色"), ["绯红", "颜色:蓝色"])
    done = _govern(store, models, library, changed)
    assert done.summary.products == 3  # red, crimson by its text, silk by its verdict
    crimson = load_library(store).resolve("颜色:绯红")
    (row,) = store.assignments.current(["silk"]).to_pylist()
    lanes = {tag["name"]: (tag["lane"], tag["origin"]) for tag in row["tags"]}
    assert lanes == {
        "真丝": ("review", "lexicon"), "绯红": ("review", "person"), "蓝色": ("review", "person"),
    }  # fmt: skip
    queue = [(q["product_id"], q["name"]) for q in store.review.queue(10)]
    assert queue[:2] == [("silk", "绯红"), ("silk", "蓝色")]
    store.verdicts.add("silk", crimson.id, True, "lin")
    store.verdicts.add("silk", BLUE.id, False, "lin")
    assert ("silk", "蓝色") not in [(q["product_id"], q["name"]) for q in store.review.queue(10)]
    assert names(store, "silk") == ["绯红", "真丝"]


def test_a_facet_of_one_value_never_has_two(store: Store, models: Path) -> None:
    store.products.upsert(product_batch(product("red", "红色蓝色衬衫")))
    _tag(store, models)
    assert set(names(store, "red")) == {"红色", "蓝色"}
    library = load_library(store)
    library.add_facet(replace(library.facets["颜色"], single=True))
    _govern(store, models, library, [])
    assert len(names(store, "red")) == 1
    store.verdicts.add("red", RED.id, True, "lin")
    assert names(store, "red") == ["红色"]
    store.verdicts.add("red", BLUE.id, True, "lin")
    assert names(store, "red") == ["蓝色"]  # the latest counts


def test_a_forecast_counts_the_tags_that_people_gave(store: Store, models: Path) -> None:
    given = {"given": ["颜色:红色"], "both": ["颜色:红色", "颜色:蓝色"], "other": ["材质:真丝"]}
    store.products.upsert(product_batch(*(product(i, "衬衫", tags=t) for i, t in given.items())))
    library = load_library(store)
    changed = merge(library, library.resolve("颜色:红色"), library.resolve("颜色:蓝色"))
    seen = forecast(store, models, library, Selection())
    # The product tagged red gains blue and loses red, as does the given one; one had both.
    assert (seen.products, seen.changed, seen.gained, seen.lost) == (4, 3, 2, 3)
    assert {one["id"] for one in seen.examples} == {"red", "given", "both"}
    _govern(store, models, library, changed)
    assert [names(store, i) for i in ("red", "given", "both", "other")] == [
        ["蓝色"], ["蓝色"], ["蓝色"], ["真丝"],
    ]  # fmt: skip


def _facet(library: Library, **changes: Any) -> list[Tag]:  # noqa: ANN401
    library.add_facet(replace(library.facets["颜色"], **changes))
    return []


@pytest.mark.parametrize(
    "change",
    [
        lambda library: _facet(library, single=True),
        lambda library: _facet(library, only_for=(library.resolve("材质:真丝").id,)),
        lambda library: _facet(library, names={"en": "Colour"}),
        lambda library: split(library, library.resolve("颜色:红色"), ["酒红", "绯红"]),
        lambda library: [library.retire(library.resolve("颜色:红色"))],
        lambda library: merge(library, library.resolve("颜色:红色"), library.resolve("颜色:蓝色")),
        lambda library: [library.add_alias(library.resolve("颜色:蓝色"), "绯红")],
        lambda library: [library.update(BLUE, broader=(RED.id,))],
        lambda library: [library.update(RED, facet="材质")],
    ],
)
def test_a_forecast_says_what_then_happens(
    store: Store, models: Path, change: Callable[[Library], list[Tag]]
) -> None:
    given = {
        "given": ["颜色:红色"],
        "both": ["颜色:红色", "颜色:蓝色"],
        "new": ["材质:真丝", "绯红"],
    }
    store.products.upsert(product_batch(*(product(i, "衬衫", tags=t) for i, t in given.items())))
    for tag in (RED, BLUE):
        store.verdicts.add("silk", tag.id, accepted=True)
    store.verdicts.add("red", RED.id, accepted=True)
    store.verdicts.add("blue", RED.id, accepted=False)
    before = _lists(store)
    library = load_library(store)
    changed = change(library)
    seen = forecast(store, models, library, Selection())
    assert _lists(store) == before
    _govern(store, models, library, changed)
    after = _lists(store)
    pairs = [(before[i], after[i]) for i in before]
    assert (seen.gained, seen.lost) == (
        sum(len(new.keys() - old.keys()) for old, new in pairs),
        sum(len(old.keys() - new.keys()) for old, new in pairs),
    )
    assert seen.moved == sum(
        new[i] != old[i] for old, new in pairs for i in new.keys() & old.keys()
    )
    assert seen.changed == sum(old != new for old, new in pairs)


def _lists(store: Store) -> dict[str, dict[str, str]]:
    """Product → tag id → lane."""
    rows = [row for batch in store.assignments.export() for row in batch.to_pylist()]
    return {row["id"]: {tag["id"]: tag["lane"] for tag in row["tags"]} for row in rows}


def test_a_change_of_the_library_leaves_a_run_alone_that_goes_on(
    store: Store, models: Path
) -> None:
    store.products.upsert(product_batch(product("late", "绯红外套")))
    model = current_model(store, models)
    running = start_run(store, model, Selection())
    library = load_library(store)
    _govern(store, models, library, [library.add_alias(library.resolve("颜色:红色"), "绯红")])
    assert names(store, "crimson") == ["红色"]
    batches = store.products.of_ids(["late"])
    tag_into(store, running, model, batches, Selection(), TagSummary())  # by the old library
    store.runs.finish(running)
    assert names(store, "late") == []
    _tag(store, models)
    assert names(store, "late") == ["红色"]
