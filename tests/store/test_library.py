from __future__ import annotations

from dataclasses import replace

import pytest

from tagmill.errors import TagConflict
from tagmill.library import Library
from tagmill.records import Facet
from tagmill.store import Store
from tests.store.samples import BLUE, FACETS, RED, SILK, TAGS, make_tag


def test_the_library_comes_back_as_it_went_in(store: Store) -> None:
    assert store.library.load()[:3] == ([], [], 0)
    full = replace(SILK, aliases=("桑蚕丝", "mulberry|silk"), description="“丝”", status="proposed")
    version = store.library.save([RED, BLUE, full], FACETS, kind="import", who="lin", why="start")
    tags, facets, loaded = store.library.load()[:3]
    assert tags == [RED, BLUE, full]
    assert facets == FACETS
    assert version == loaded == 1


def test_tags_keep_their_order_when_they_change(store: Store) -> None:
    store.library.save(TAGS, FACETS)
    store.library.save([replace(RED, description="x")])
    store.library.save([make_tag("颜色", "绿色")])
    tags, _, _ = store.library.load()[:3]
    assert [tag.name for tag in tags] == ["红色", "蓝色", "真丝", "绿色"]


def test_only_changes_make_versions_and_history(store: Store) -> None:
    first = store.library.save(TAGS, FACETS, kind="import")
    assert store.library.save(TAGS, FACETS, kind="import") == first
    renamed = replace(RED, name="大红", aliases=("红色",))
    second = store.library.save([renamed, BLUE], FACETS, kind="rename", who="lin", why="better")
    assert second == first + 1
    added, changed = store.library.history(RED.id)
    (entry,) = added.entries
    assert entry.after is not None
    assert (added.kind, entry.before, entry.after["name"]) == ("import", None, "红色")
    (entry,) = changed.entries
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["name"], entry.after["name"]) == ("红色", "大红")
    assert (changed.version, changed.who, changed.why) == (second, "lin", "better")
    store.library.save([], [Facet("颜色", {"en": "Colour"})])
    (entry,) = store.library.history()[-1].entries
    assert entry.after is not None
    assert (entry.tag_id, entry.after["names"]) == (None, {"en": "Colour"})
    assert [change.version for change in store.library.history()] == list(range(1, second + 2))


def test_two_tags_of_a_facet_cannot_share_a_name(store: Store) -> None:
    store.library.save(TAGS, FACETS)
    clash = make_tag("颜色", "赤", aliases=("RED ",))
    with pytest.raises(TagConflict) as conflict:
        store.library.save([make_tag("颜色", "绿色"), clash])
    assert "'颜色:赤'" in str(conflict.value)
    assert "'颜色:红色'" in str(conflict.value)
    assert "'RED '" in str(conflict.value)
    tags, _, version = store.library.load()[:3]
    assert (len(tags), version) == (3, 1)
    twins = [make_tag("颜色", "T-Shirt"), make_tag("颜色", "t shirts")]
    with pytest.raises(TagConflict, match="t shirts"):
        store.library.save(twins)
    store.library.save([make_tag("材质", "红色")])


def test_names_are_swapped_in_one_save_and_freed_by_retiring(store: Store) -> None:
    store.library.save(TAGS, FACETS)
    store.library.save([replace(RED, names={}, aliases=("Blue",)), replace(BLUE, names={})])
    store.library.save([replace(RED, status="retired")])
    store.library.save([make_tag("颜色", "深蓝", aliases=("blue", "正红", "红色"))])
    with pytest.raises(TagConflict, match="深蓝"):
        store.library.save([RED])


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_a_name_of_several_facets_is_loaded_for_each(
    store: Store, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    facets = ["颜色", "系列", "品牌"]
    tags = [make_tag(facet, f"{facet}红", "Red", aliases=(facet,)) for facet in facets]
    store.library.save([*tags, make_tag("颜色", "Blue")])
    monkeypatch.setattr("tagmill.store.library_names._PAGE", page)
    names = store.library.load().names
    assert isinstance(names, dict)
    assert names["red"] == {tag.facet: tag.id for tag in tags}
    assert {form: owner for form, owner in names.items() if form != "red"} == {
        **{tag.facet: (tag.facet, tag.id) for tag in tags},
        **{f"{tag.facet}红": (tag.facet, tag.id) for tag in tags},
        "blue": ("颜色", make_tag("颜色", "Blue").id),
    }


def test_a_merged_tag_keeps_its_id_and_where_it_went(store: Store) -> None:
    store.library.save(TAGS, FACETS)
    merged = replace(BLUE, status="retired", merged_into=RED.id)
    store.library.save([merged])
    tags, _, _ = store.library.load()[:3]
    assert tags[1] == merged


def test_names_that_are_known_are_taken_as_they_are(store: Store) -> None:
    library = Library(
        [make_tag("颜色", "红色", "Red", aliases=("正红",)), make_tag("颜色", "蓝色")]
    )
    everything = library.active()
    ids = {tag.id for tag in everything}
    assert store.library.save(everything, names=library.forms_of(ids)) == 1
    assert store.library.find("颜色", "RED") == everything[0].id
    library.add_alias(everything[1], "靛")
    changed = library.active()  # the first is as it is stored
    assert store.library.save(changed, names=library.forms_of(ids)) == 2
    assert store.library.find("颜色", "靛") == everything[1].id
    stale = Library([make_tag("颜色", "绯红", aliases=("red",))])
    own = {tag.id for tag in stale.active()}
    with pytest.raises(TagConflict, match="would both be called 'red'"):
        store.library.save(stale.active(), names=stale.forms_of(own))
    assert store.library.latest() == 2
