import pytest

from tagmill.errors import LibraryError, TagConflict, UnknownTag
from tagmill.library import Library
from tagmill.records import Facet, Tag, tag_id


@pytest.fixture
def library() -> Library:
    library = Library([], [Facet("颜色", {"en": "Color"}), Facet("品类", {"en": "Category"})])
    library.add("颜色", "红色", names={"en": "Red"}, aliases=("大红",))
    library.add("颜色", "橙色", names={"en": "Orange"})
    library.add("Category", "4K电视", names={"en": "4K TV"}, aliases=["超高清电视"])
    library.add("品类", "T恤", names={"en": "T-Shirt"})
    library.add("香味", "甜橙", names={"en": "Orange"})
    return library


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("颜色:红色", "红色"),
        ("颜色:紅色", "红色"),
        ("Color:red", "红色"),
        ("COLOR: Reds ", "红色"),
        ("颜色:大红", "红色"),
        ("红色", "红色"),
        ("４Ｋ電視", "4K电视"),
        ("category:4k tvs", "4K电视"),
        ("t shirts", "T恤"),
        ("T-SHIRT", "T恤"),
        ("Color:Orange", "橙色"),
    ],
)
def test_find_in_any_language_and_spelling(library: Library, written: str, name: str) -> None:
    found = library.find(written)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("written", ["Orange", "材质:红色", "蓝色", "", "颜色:", ":红色", "颜色"])
def test_find_nothing(library: Library, written: str) -> None:
    assert library.find(written) is None


def test_find_by_id_and_plain_names_with_a_colon() -> None:
    library = Library([])
    ratio = library.add("", "4:3屏幕")
    assert ratio.facet == ""
    assert library.find("4:3屏幕") == ratio
    assert library.find(":4:3屏幕") == ratio
    assert library.find(ratio.id) == ratio


def test_plain_name_of_no_facet_goes_first() -> None:
    library = Library([])
    plain = library.add("", "Sale")
    library.add("Reason", "Sale")
    assert library.find("sale") == plain
    assert library.find("reason:sale") != plain


def test_unknown_tag_lists_the_nearest(library: Library) -> None:
    with pytest.raises(
        UnknownTag, match=r"Unknown tag '4k电视机'\. Nearest: 品类:4K电视"
    ) as caught:
        library.resolve("4k电视机")
    assert caught.value.nearest[0] == "品类:4K电视"
    assert library.nearest("Color:Orang")[0] == "颜色:橙色"
    assert library.nearest("xyzzy") == ()
    assert library.nearest("红", limit=1) == ("颜色:红色",)
    library.add("品类", "口红")
    assert library.nearest("红", limit=2) == ("颜色:红色", "品类:口红")  # as like, begins so
    with pytest.raises(UnknownTag, match="tagmill library add 'FACET:红'"):
        library.resolve("红")
    library.add("材质", "钛合金")
    assert library.nearest("适合") == ()
    verbatim = Library.from_written(["gender:Men", "gender:Women", "gender:Unisex"])
    assert verbatim.nearest("gender:Mne")[0] == verbatim.nearest("Gender:men")[0] == "gender:Men"


def test_names_of_lists_each_spelling_once(library: Library) -> None:
    assert library.names_of(library.resolve("红色")) == ["红色", "Red", "大红"]


@pytest.mark.parametrize("name", ["RED", "大红", "紅色"])
def test_clash_names_both(library: Library, name: str) -> None:
    with pytest.raises(TagConflict, match=rf"'颜色:{name}' and '颜色:红色'"):
        library.add("Color", name)
    with pytest.raises(TagConflict, match=r"'颜色:橙色' and '颜色:红色'"):
        library.add_alias(library.resolve("颜色:橙色"), name)
    assert library.names_of(library.resolve("橙色")) == ["橙色", "Orange"]


def test_failed_change_leaves_no_name_behind(library: Library) -> None:
    with pytest.raises(TagConflict):
        library.add("颜色", "朱红", aliases=["朱砂红", "红色"])
    assert library.find("朱红") is None
    assert library.find("朱砂红") is None


def test_facets_by_any_name_and_their_clash(library: Library) -> None:
    assert library.facet_named("COLOR") == library.facet_named("颜色")
    assert library.facet_named("size") is None
    with pytest.raises(TagConflict, match="'颜色' and 'Colour' are both called 'Color'"):
        library.add_facet(Facet("Colour", {"en": "Color"}))
    library.add_facet(Facet("颜色", {"en": "Colour"}))
    assert library.facet_named("color") is None
    assert library.facet_named("colour") is not None
    assert library.add("Colour", "蓝色").facet == "颜色"


def test_alias_and_rename_keep_the_id(library: Library) -> None:
    red = library.resolve("红色")
    assert library.add_alias(red, "正红").id == red.id
    assert library.add_alias(red, "正红").aliases == (
        "大红",
        "正红",
    )  # a second time: no change
    renamed = library.update(red.id, name="中国红", names={"en": "China Red"})
    assert renamed.id == red.id == tag_id("颜色", "红色")
    assert library.find("颜色:红色") == renamed  # the former name
    assert library.find("China red") == renamed
    assert library.find("Red") is None


def test_retired_names_become_free_but_ids_never(library: Library) -> None:
    red = library.retire(library.resolve("红色"))
    assert red not in library.active()
    assert library.find("颜色:red") == red
    again = library.add("颜色", "红色")
    assert again.id != red.id
    assert library.find("红色") == again
    with pytest.raises(TagConflict):
        library.update(red, status="active")
    assert library.find("Red") == red  # only a former tag's name


def test_merged_tags_lead_to_their_target(library: Library) -> None:
    red, orange = library.resolve("红色"), library.resolve("橙色")
    coral = library.add("颜色", "珊瑚色")
    library.update(coral, status="retired", merged_into=red.id)
    library.update(red, status="retired", merged_into=orange.id)
    assert library.by_id(coral.id) == orange
    assert library.find("珊瑚色") == orange
    assert library.find("颜色:大红") == orange
    for target in (coral.id, "0" * 16):
        with pytest.raises(LibraryError, match="cannot be merged into"):
            library.update(orange, status="retired", merged_into=coral.id)
        assert target != orange.id
    with pytest.raises(UnknownTag):
        library.update("f" * 16, name="x")


def test_duplicate_ids_and_empty_names_are_refused() -> None:
    tag = Tag("1" * 16, "a", "b")
    with pytest.raises(TagConflict, match="Two tags have the id 1111"):
        Library([tag, Tag("1" * 16, "a", "c")])
    with pytest.raises(LibraryError, match="has no name"):
        Library([Tag("1" * 16, "a", " ")])


def test_from_written_verbatim() -> None:
    library = Library.from_written(["c:Red", "c:red", "C:Red", "plain", "c:Red"])
    assert [tag.text for tag in library.active()] == [
        "c:Red",
        "c:red",
        "C:Red",
        "plain",
    ]
    assert library.resolve("c:red").id == tag_id("c", "red")
    assert library.find("C:red") is None
    assert library.find("Plain") is None


def test_from_written_merging_variants() -> None:
    written = [
        "color:red",
        "Color:Red",
        "Color:Red",
        "Color:RED",
        "plain",
        "Plain",
        "Color:blue",
    ]
    library = Library.from_written(written, merge_variants=True)
    assert {tag.text for tag in library.active()} == {
        "Color:Red",
        "plain",
        "Color:blue",
    }
    red = library.resolve("COLOR:reds")
    assert red.id == tag_id("Color", "Red")
    assert red.aliases == ("red", "RED")


def test_order_is_that_of_arrival(library: Library) -> None:
    library.update(library.resolve("红色"), description="changed")
    assert [tag.name for tag in library.active()] == [
        "红色",
        "橙色",
        "4K电视",
        "T恤",
        "甜橙",
    ]


def test_facets_that_only_tags_name_are_changed_ones() -> None:
    given = [Facet("颜色"), Facet("材质")]
    library = Library([Tag("1", "颜色", "红色"), Tag("2", "形状", "圆")], given)
    assert library.changed_facets() == [Facet("形状")]
    library.add_facet(Facet("颜色", single=True))
    assert library.changed_facets() == [Facet("颜色", single=True), Facet("形状")]
