from __future__ import annotations

from dataclasses import replace

import pytest

from tagmill.errors import LibraryError, TagConflict
from tagmill.library import Library
from tagmill.library.changes import (
    alias,
    facet_names,
    meant,
    merge,
    move,
    remove_name,
    rename,
    restore,
    split,
)
from tagmill.records import Facet, Tag


@pytest.fixture
def library() -> Library:
    library = Library([], [Facet("颜色", {"en": "Color"}), Facet("品类")])
    red = library.add("颜色", "红色", names={"en": "Red"}, aliases=["大红"])
    library.add("颜色", "正红", names={"ja": "赤"})
    library.update(library.add("颜色", "酒红"), broader=[red.id])
    library.add("品类", "连衣裙")
    return library


def tag(library: Library, text: str) -> Tag:
    return library.resolve(text)


def test_a_former_name_stays_an_alias(library: Library) -> None:
    (renamed,) = rename(library, tag(library, "颜色:红色"), "中国红")
    assert (renamed.name, renamed.aliases) == ("中国红", ("大红", "红色"))
    (renamed,) = rename(library, renamed, "Crimson", "en")
    assert (renamed.names, renamed.aliases[-1]) == ({"en": "Crimson"}, "Red")
    assert tag(library, "颜色:red").id == renamed.id
    with pytest.raises(TagConflict, match="酒红"):
        rename(library, renamed, "酒红")


def test_a_name_that_was_shown_in_a_language_is_renamed_with_the_canonical_one() -> None:
    library = Library([], [])
    names = {"en": "Red", "de": "RED", "zh": "红色"}
    red = library.add("Color", "Red", names=names, aliases=["Scarlet"])
    (renamed,) = rename(library, red, "Crimson")
    assert renamed.names == {"en": "Crimson", "de": "Crimson", "zh": "红色"}
    assert renamed.aliases == ("Scarlet", "Red")
    (back,) = rename(library, renamed, "Red")
    assert (back.name, back.aliases) == ("Red", ("Scarlet", "Crimson"))  # none twice, nor its own


def test_the_own_facet_before_a_new_name_is_no_part_of_it(library: Library) -> None:
    (renamed,) = rename(library, tag(library, "颜色:红色"), "Color: 大红")
    assert renamed.text == "颜色:大红"
    (other,) = rename(library, renamed, "材质:红")  # a facet it is not in is part of the name
    assert other.text == "颜色:材质:红"


def test_a_name_is_taken_away(library: Library) -> None:
    red = library.update(tag(library, "颜色:红色"), aliases=["大红", "RED"])
    (after,) = remove_name(library, red, "RED")  # this spelling only
    assert (after.names, after.aliases) == ({"en": "Red"}, ("大红",))
    (after,) = remove_name(library, after, "ｒｅｄ")
    (after,) = remove_name(library, after, "大紅")
    assert (after.names, after.aliases) == ({}, ())
    assert library.find("颜色:大红") is library.find("颜色:Red") is None
    library.add("颜色", "大红")  # the name is free
    with pytest.raises(LibraryError, match="canonical name of '颜色:红色'"):
        remove_name(library, after, "红色")
    with pytest.raises(LibraryError, match="not called '绿'. Its other names: none"):
        remove_name(library, after, "绿")


def test_what_was_merged_is_not_changed_under_its_name(library: Library) -> None:
    red, crimson = tag(library, "颜色:红色"), tag(library, "颜色:正红")
    merge(library, red, crimson)
    for text in ("颜色:红色", "Color:红色", "红色", red.id):
        with pytest.raises(
            LibraryError, match="'颜色:红色' was merged into '颜色:正红'.*write '颜色:正红'"
        ):
            meant(library, text)
    for text in ("颜色:正红", "颜色:大红", crimson.id):  # an alias it has now
        assert meant(library, text).id == crimson.id


def test_a_merged_tag_leads_to_the_one_that_has_its_names(library: Library) -> None:
    source, target = tag(library, "颜色:红色"), tag(library, "颜色:正红")
    library.add_facet(Facet("季节", only_for=(source.id,)))
    changed = merge(library, source, target)
    assert [one.name for one in changed] == ["红色", "正红", "酒红"]
    after = library.tags[target.id]
    assert after.names == {"ja": "赤", "en": "Red"}
    assert set(after.aliases) == {"红色", "大红"}
    for name in ("红色", "red", "大红"):
        assert tag(library, f"颜色:{name}").id == target.id
    assert library.by_id(source.id) == after
    assert library.tags[tag(library, "颜色:酒红").id].broader == (target.id,)
    assert library.facets["季节"].only_for == (target.id,)


@pytest.mark.parametrize("into", ["颜色:红色", "颜色:裸粉"])
def test_what_cannot_be_merged_is_said(library: Library, into: str) -> None:
    library.retire(library.add("颜色", "裸粉"))
    with pytest.raises(LibraryError):
        merge(library, tag(library, "颜色:红色"), tag(library, into))
    assert tag(library, "颜色:红色").status == "active"


def test_a_merge_never_puts_a_tag_below_itself(library: Library) -> None:
    red, wine = tag(library, "颜色:红色"), tag(library, "颜色:酒红")
    merge(library, red, wine)
    assert library.tags[wine.id].broader == ()
    deep = library.update(library.add("颜色", "勃艮第"), broader=[wine.id])
    deeper = library.update(library.add("颜色", "深勃艮第"), broader=[deep.id])
    with pytest.raises(LibraryError, match="between"):
        merge(library, library.tags[wine.id], deeper)


def test_a_split_tag_gives_way_to_its_parts(library: Library) -> None:
    red = tag(library, "颜色:红色")
    changed = split(library, red, ["浅红", "颜色:正红"])
    parts = [tag(library, "颜色:浅红").id, tag(library, "颜色:正红").id]
    assert library.tags[red.id].status == "retired"
    assert library.tags[red.id].split_into == tuple(parts)
    assert library.tags[tag(library, "颜色:酒红").id].broader == ()
    assert {one.id for one in changed} == {red.id, parts[0], tag(library, "颜色:酒红").id}
    with pytest.raises(LibraryError, match="two or more"):
        split(library, tag(library, "颜色:正红"), ["浅红"])


def test_a_part_may_take_the_name(library: Library) -> None:
    red = tag(library, "颜色:红色")
    split(library, red, ["红色", "粉红"])
    part = tag(library, "颜色:红色")
    assert part.id != red.id
    assert library.tags[red.id].split_into[0] == part.id


def test_a_retired_tag_comes_back_unless_its_name_is_gone(library: Library) -> None:
    red = library.retire(tag(library, "颜色:红色"))
    (back,) = restore(library, red)
    assert back.status == "active"
    with pytest.raises(LibraryError, match="not retired"):
        restore(library, back)
    merge(library, back, tag(library, "颜色:正红"))
    with pytest.raises(TagConflict, match="undo"):
        restore(library, library.tags[red.id])


def test_a_tag_moves_to_a_facet_and_below_another(library: Library) -> None:
    wine, red = tag(library, "颜色:酒红"), tag(library, "颜色:红色")
    with pytest.raises(LibraryError, match="below"):
        move(library, red, broader=[wine])
    (moved,) = move(library, wine, facet="风格")
    assert (moved.facet, moved.id, moved.broader) == ("风格", wine.id, (red.id,))
    assert library.find("颜色:酒红") is None
    (moved,) = move(library, moved, broader=[])
    assert moved.broader == ()
    assert library.ancestors(moved) == []


def test_a_retired_tag_is_not_changed_but_brought_back(library: Library) -> None:
    red, wine = tag(library, "颜色:红色"), tag(library, "颜色:酒红")
    gone = library.retire(red)
    for change in (
        lambda: alias(library, gone, "朱红"),
        lambda: rename(library, gone, "朱红"),
        lambda: move(library, gone, facet="风格"),
        lambda: move(library, wine, broader=[gone]),
        lambda: merge(library, gone, wine),
        lambda: split(library, wine, ["颜色:红色", "颜色:正红"]),
    ):
        with pytest.raises(LibraryError, match=f"'颜色:红色' is retired.* restore {red.id}"):
            change()
    assert library.find("颜色:朱红") is None


def test_ancestors_follow_merges_and_end(library: Library) -> None:
    red, wine = tag(library, "颜色:红色"), tag(library, "颜色:酒红")
    deep = library.update(library.add("颜色", "勃艮第"), broader=[wine.id])
    assert library.ancestors(deep) == [wine.id, red.id]
    library.put(Tag(red.id, "颜色", "红色", broader=(deep.id,)))  # a file may say so
    assert library.ancestors(deep) == [wine.id, red.id]


def test_a_facet_is_found_by_its_former_names() -> None:
    facet = Facet("颜色", {"zh": "颜色", "en": "Color"})
    for name in ("Colour", "Hue", "Hue"):
        facet = replace(facet, names=facet_names(facet, {"en": name}))
    assert facet.names["en"] == "Hue"
    library = Library([], [facet])
    red = library.add("颜色", "Red")
    for name in ("Color", "Colour", "Hue", "颜色"):
        assert library.find(f"{name}:red") == red
    assert facet_names(facet, {"zh": "色彩"})["zh-x-former"] == "颜色"
