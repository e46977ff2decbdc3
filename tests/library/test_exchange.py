"""Libraries to other formats and back, and what strangers' files say."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagmill.errors import LibraryError, TagConflict
from tagmill.library import Library, export_library, import_file, import_tags, write_csv
from tagmill.library.changes import facet_names, merge, move, rename, split
from tagmill.library.stored import load_library
from tagmill.records import Facet, Tag
from tagmill.store import Store

WORDS = [
    "红色",
    "Red",
    "深 蓝",
    "C++",
    'q"uote',
    "a|b",
    "x:y",
    "<tag>",
    "é",
    "50%",
    "line\\n",
    "猫",
]


def _random_library(seed: int) -> Library:
    choose = random.Random(seed)
    library = Library(
        [],
        [Facet("颜色", {"en": "Color", "zh-Hant": "顏色"}, single=True, matches=("urn:x:1",)),
         Facet("尺寸", value_kind="range", unit="mm"), Facet("空", {"en": "Empty"})],
    )  # fmt: skip
    for number in range(choose.randrange(1, 9)):
        word = choose.choice(WORDS)
        tag = library.add(
            choose.choice(["颜色", "尺寸", "空/ 隙"]), f"{word} {number}",
            names={"en": f"n{number}", "zh": f"名{number}"} if choose.random() < 0.5 else {},
            aliases=[f"{w} {number}a" for w in choose.sample(WORDS, choose.randrange(3))],
            description=choose.choice(["", "two\nlines"]),
        )  # fmt: skip
        library.update(
            tag,
            broader=choose.sample(list(library.tags)[:-1], min(number, choose.randrange(3))),
            matches=[f"http://example.org/{w}{number}" for w in ("b", "a")][: choose.randrange(3)],
        )
    tags = library.active()
    if len(tags) > 3:
        merge(library, tags[0], tags[1])
        split(library, library.tags[tags[2].id], ["part 1", "part 2"])
        library.update(tags[3].id, status="proposed")
    return library


@pytest.mark.parametrize("ending", [".csv", ".ttl", ".rdf"])
def test_a_round_trip_keeps_any_id_and_language(tmp_path: Path, ending: str) -> None:
    ids = ["a b", 'x"<y>|', "100%41", "红:1", "a/b#c"]
    tags = [Tag(i, "F", f"n{i}", {"zh": f"{i}一", "zh-CN": f"{i}二"}) for i in ids]
    tags[0] = replace(tags[0], broader=tuple(ids[1:]), names={"zh-TW": "三", "EN-gb": "x"})
    tags.append(Tag("gone", "F", "gone", status="retired", split_into=tuple(ids)))
    library = Library(tags, [Facet("F", {"zh-CN": "乙"}, only_for=('x"<y>|',))])
    path = tmp_path / f"library{ending}"
    export_library(library, path)
    back = Library([])
    report = import_file(back, path)
    assert (back.tags, back.facets) == (library.tags, library.facets)
    assert sum(report.notes.values()) == 0


def _bytes(library: Library, folder: Path) -> bytes:
    write_csv(folder / "compare.csv", library)
    return (folder / "compare.csv").read_bytes()


@pytest.mark.parametrize("ending", [".csv", ".ttl", ".rdf"])
@given(seed=st.integers(0, 10**6))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_round_trip_loses_nothing(tmp_path: Path, ending: str, seed: int) -> None:
    library = _random_library(seed)
    path = tmp_path / f"library{ending}"
    assert sum(export_library(library, path).values()) == 0
    back = Library([])
    report = import_file(back, path)
    assert sum(report.notes.values()) == 0
    assert _bytes(back, tmp_path) == _bytes(library, tmp_path)


STRANGER = """
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix ex: <http://example.org/> .
ex:fruit a skos:ConceptScheme ; skos:prefLabel "Fruit"@en .
ex:citrus a skos:Concept ; skos:inScheme ex:fruit ; skos:prefLabel "Citrus"@en, "柑橘"@zh-CN ;
    skos:narrower ex:lemon ; skos:scopeNote "sour" .
ex:lemon a skos:Concept ; skos:inScheme ex:fruit ; skos:prefLabel "Lemon"@en ;
    skos:altLabel "Citron"@fr, "lemon fruit"@en ; skos:definition "A fruit."@en, "水果"@zh ;
    skos:exactMatch <http://other.org/7> .
ex:loose a skos:Concept ; skos:prefLabel "Loose"@en .
"""


def test_a_strangers_thesaurus_is_read_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "fruit.ttl"
    path.write_text(STRANGER, encoding="utf-8")
    library = Library([])
    report = import_file(library, path)
    lemon, citrus = library.resolve("Fruit:Lemon"), library.resolve("Fruit:柑橘")
    assert lemon.broader == (citrus.id,)
    assert set(lemon.aliases) == {"Citron", "lemon fruit"}
    assert lemon.description == "A fruit."
    assert lemon.matches == ("http://example.org/lemon", "http://other.org/7")
    assert library.resolve("category:Loose").broader == ()
    assert dict(report.notes) == {
        "scopeNote": 1, "languages of aliases": 2, "definitions in other languages": 1,
    }  # fmt: skip
    again = import_file(library, path)
    assert (len(library.tags), again.changed) == (3, [])
    chinese = Library([])
    import_file(chinese, path, language="zh")
    assert chinese.resolve("Fruit:Citrus").name == "柑橘"


def test_names_that_another_tool_added_are_read(tmp_path: Path) -> None:
    path = tmp_path / "library.ttl"
    tag = Tag("i1", "F", "alpha", aliases=("b", "a"))
    export_library(Library([tag]), path)
    added = path.read_text("utf-8").replace('skos:altLabel "a"', 'skos:altLabel "c", "a"')
    path.write_text(added, encoding="utf-8")
    library = Library([tag])
    import_file(library, path)
    assert library.tags["i1"].aliases == ("b", "a", "c")


def test_several_labels_of_a_language_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "labels.ttl"
    text = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
    <http://example.org/1> a skos:Concept ; skos:prefLabel "Red"@en, "Scarlet"@en ,
        "红"@zh-CN, "红色"@zh, "紅"@zh-TW ."""
    path.write_text(text, encoding="utf-8")
    library = Library([])
    report = import_file(library, path)
    red = library.resolve("Red")
    assert red.name == "Red"
    assert red.names == {"en": "Red", "zh": "红色", "zh-CN": "红", "zh-Hant": "紅"}
    assert red.aliases == ("Scarlet",)
    assert dict(report.notes) == {"languages of aliases": 1}


ELSEWHERE = """
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix ex: <http://example.org/> .
ex:a a skos:Concept ; skos:prefLabel "A" ; skos:broader ex:b, <http://other.org/1> .
ex:b a skos:Concept ; skos:prefLabel "B" ; skos:broader ex:a .
ex:c a skos:Concept ; skos:prefLabel "C" ; skos:broader ex:c ;
    <http://purl.org/dc/terms/isReplacedBy> ex:a .
"""


def test_what_a_thesaurus_points_to_and_is_not_there_or_itself_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "loops.ttl"
    path.write_text(ELSEWHERE, encoding="utf-8")
    library = Library([])
    report = import_file(library, path)
    assert dict(report.notes) == {"unknown_references": 1, "loops": 2, "isReplacedBy": 1}
    a, b, c = (library.resolve(name) for name in "ABC")
    assert (a.broader, b.broader, c.broader, c.status) == ((), (a.id,), (), "active")
    assert {a.id, c.id} == report.incomplete
    assert list(report.rows) == [b.id]  # the others come again
    path.write_text(ELSEWHERE + 'ex:c <urn:tagmill:terms#status> "bogus" .', encoding="utf-8")
    with pytest.raises(LibraryError, match="http://example.org/c: status 'bogus' is not one of"):
        import_file(Library([]), path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "i1,F,a,,,i2\ni2,F,b,,,i1\n",
            "line 2: 'F:a' is below 'F:b', which is below it or the same",
        ),
        ("i1,F,a,,,F:a\n", "line 2: 'F:a' is below 'F:a', which is below it or the same"),
        ("i1,F,a,,,\ni2,F,b,,,i0\n", "line 3: broader: Unknown tag 'i0'"),
        ("i1,F,a,retired,i7,\n", "line 2: merged_into: Unknown tag 'i7'"),
        ("i1,F,a,retired,i2,\ni2,F,b,retired,i1,\n", "'F:a' is merged into itself by 'F:b'"),
        ("i1,F,a,,i2,\ni2,F,b,,,\n", "line 2: merged_into and split_into are of retired tags"),
        ("".join(f"i{n},F,{n},,,{n}x\n" for n in range(9)), "line 6: .*; and 4 more. Nothing was"),
    ],
)
def test_rows_that_point_to_nothing_or_to_themselves(
    tmp_path: Path, rows: str, message: str
) -> None:
    path = tmp_path / "tags.csv"
    path.write_text(f"id,facet,name,status,merged_into,broader\n{rows}", encoding="utf-8")
    with pytest.raises(LibraryError, match=message):
        import_file(Library([]), path)


def test_a_row_may_be_merged_into_a_later_one(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    text = "id,facet,name,aliases,status,merged_into\n{0}i1,F,a,,retired,i2\ni2,F,b,a,,\n"
    path.write_text("id,facet,name\ni1,F,a\ni2,F,b\n", encoding="utf-8")
    library = Library([])
    import_file(library, path)
    path.write_text(text.format(""), encoding="utf-8")
    import_file(library, path)
    assert library.resolve("F:a").id == "i2"
    assert library.tags["i1"].merged_into == "i2"


@pytest.mark.parametrize("text", ["not turtle {", ""])
def test_what_is_no_thesaurus(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.ttl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LibraryError, match="x.ttl"):
        import_file(Library([]), path)


def _shopify(folder: Path) -> Path:
    files = {
        "categories.en": "Category/ap : Animals\nCategory/ap-1 : Animals > Toys\n"
        "Category/bt : Baby\nCategory/bt-1 : Baby > Toys",
        "categories.zh-CN": "Category/ap : 动物\nCategory/ap-1 : 动物 > 玩具\n"
        "Category/bt : 母婴\nCategory/bt-1 : 母婴 > 玩具",
        "attributes.en": "Attribute/1 : Color\nAttribute/2 : Ear style",
        "attributes.zh-CN": "Attribute/1 : 颜色\nAttribute/2 : 耳机款式",
        "attribute_values.en": "Value/1 : Red [Color]\nValue/2 : Ear hook [Ear style]\n"
        "Value/3 : Ear hooks [Ear style]",
        "attribute_values.zh-TW": "Value/1 : 紅色 [顏色]",
    }
    for name, text in files.items():
        lines = [f"gid://shopify/Taxonomy{line}" for line in text.split("\n")]
        content = "# Shopify Product Taxonomy\n\n" + "\n".join(lines) + "\n"
        (folder / f"{name}.txt").write_text(content, encoding="utf-8")
    return folder


def test_shopifys_taxonomy_in_three_languages_on_one_id(tmp_path: Path) -> None:
    library = Library([], [Facet("颜色", {"en": "Color"}), Facet("品类", {"en": "Category"})])
    report = import_file(library, _shopify(tmp_path), "shopify")
    assert dict(report.notes)["renamed"] == 1  # two values are called the same
    toys = library.resolve("品类:Baby > Toys")
    assert toys.names == {"en": "Baby > Toys", "zh": "母婴 > 玩具"}
    assert toys.broader == (library.resolve("品类:Baby").id,)
    red = library.resolve("颜色:紅色")
    assert (red.name, red.names["zh-Hant"]) == ("Red", "紅色")
    assert red.matches == ("gid://shopify/TaxonomyValue/1",)
    assert library.resolve("Ear style:Ear hooks (3)").matches[0].endswith("/3")
    assert library.facets["颜色"].matches == ("gid://shopify/TaxonomyAttribute/1",)
    size = len(library.tags)
    again = import_file(library, tmp_path, "shopify")
    assert (len(library.tags), again.changed) == (size, [])
    out = tmp_path / "out"
    lost = export_library(library, out, "shopify")
    assert sum(lost.values()) == 0
    assert "TaxonomyCategory/bt-1 : 母婴 > 玩具" in (out / "categories.zh-CN.txt").read_text(
        "utf-8"
    )
    assert "TaxonomyValue/1 : Red [Color]" in (out / "attribute_values.en.txt").read_text("utf-8")
    back = Library([])
    import_file(back, out, "shopify")
    assert back.resolve("Color:紅色").matches == red.matches


def test_shopifys_names_that_clash_come_back_as_they_were(tmp_path: Path) -> None:
    _shopify(tmp_path)
    clashing = {
        "categories.en": [
            "Category/b : Boys' Pants",
            "Category/a : Girls > Girls' Pants",
            "Category/g : Girls",
        ],
        "categories.zh-CN": ["Category/b : 童裤", "Category/a : 女童 > 童裤", "Category/g : 女童"],
        "attributes.en": ["Attribute/1 : Color", "Attribute/2 : Ear style", "Attribute/3 : Hue"],
        "attributes.zh-CN": ["Attribute/1 : 颜色", "Attribute/2 : 款式", "Attribute/3 : 颜色"],
        "attribute_values.en": ["Value/1 : M16 [Color]", "Value/2 : M16 [Color]"],
        "attribute_values.zh-CN": ["Value/1 : M16 [颜色]", "Value/5 : 红 [颜色]"],
        "attribute_values.zh-TW": ["Value/1 : M16 [Color]"],
    }
    for name, values in clashing.items():
        lines = [f"gid://shopify/Taxonomy{value}\n" for value in values]
        (tmp_path / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    library, out = Library([]), tmp_path / "out"
    assert import_file(library, tmp_path, "shopify").notes == {"renamed": 1}
    assert library.resolve("Girls' Pants").names["zh"] == "女童 > 童裤"
    assert library.facets["Hue"].names["zh"] == "颜色 (3)"
    assert library.resolve("Girls' Pants").broader == (library.resolve("category:Girls").id,)
    red = library.resolve("Color:红")
    library.update(red, names={})
    assert sum(export_library(library, out, "shopify", "zh").values()) == 0
    for name in clashing:
        written = (out / f"{name}.txt").read_text("utf-8").splitlines()[2:]
        assert {*written} == {f"gid://shopify/Taxonomy{value}" for value in clashing[name]}, name


def test_googles_taxonomy_by_number(tmp_path: Path) -> None:
    english, chinese = tmp_path / "taxonomy.en-US.txt", tmp_path / "taxonomy.zh-CN.txt"
    english.write_text("# Google\n1 - Pets\n2 - Pets > Cat Food\n", encoding="utf-8")
    chinese.write_text("# Google\n1 - 宠物\n2 - 宠物 > 猫粮\n", encoding="utf-8")
    library = Library([])
    import_file(library, tmp_path, "google")
    food = library.resolve("category:猫粮")
    assert (food.name, food.matches) == ("Cat Food", ("google_product_category:2",))
    library.add("category", "Ours")
    out = tmp_path / "out.txt"
    assert export_library(library, out, "google", "zh")["without_id"] == 1
    assert "2 - 宠物 > 猫粮" in out.read_text("utf-8")
    bare = tmp_path / "bare.txt"
    bare.write_text("Toys\nToys > Puzzles\n", encoding="utf-8")
    import_file(library, bare, "google")
    assert library.resolve("category:Puzzles").broader == (library.resolve("category:Toys").id,)
    other = tmp_path / "attributes.txt"
    other.write_text("gid://shopify/TaxonomyAttribute/1 : Colour\n", encoding="utf-8")
    with pytest.raises(LibraryError, match="is no entry of it"):
        import_file(library, other, "google")


def test_synonyms_for_search_engines(tmp_path: Path) -> None:
    library = Library([])
    library.add("颜色", "红色", names={"en": "Red, bright"}, aliases=["大红"])
    library.add("颜色", "蓝")
    path = tmp_path / "synonyms"
    assert export_library(library, path, "elasticsearch") == {"one_name": 1}
    assert path.read_text("utf-8") == "红色, red\\, bright, 大红\n"
    export_library(library, path, "meilisearch")
    assert json.loads(path.read_text("utf-8"))["大红"] == ["红色", "red, bright"]
    export_library(library, path, "typesense")
    (line,) = path.read_text("utf-8").splitlines()
    assert json.loads(line)["synonyms"] == ["红色", "red, bright", "大红"]


def test_what_was_merged_or_retired_stays_so(tmp_path: Path) -> None:
    library = Library([])
    red, crimson = library.add("颜色", "红色"), library.add("颜色", "绯红")
    gone = library.add("颜色", "褪色")
    path = tmp_path / "before.csv"
    write_csv(path, library)
    merge(library, crimson, red)
    library.retire(gone)
    report = import_file(library, path)
    assert [tag.name for tag in report.retired] == ["褪色"]
    assert library.tags[crimson.id].status == "retired"
    assert library.resolve("颜色:绯红").id == red.id
    assert library.tags[red.id].name == "红色"


def test_shopifys_ids_are_made_of_names_and_take_no_rename_back(tmp_path: Path) -> None:
    library = Library([])
    import_file(library, _shopify(tmp_path), "shopify")
    (crimson,) = rename(library, library.resolve("Color:Red"), "Crimson")
    import_file(library, tmp_path, "shopify")  # as if for the first time: nothing is `known`
    assert library.tags[crimson.id] == crimson


@pytest.mark.parametrize("format_", ["csv", "skos", "shopify"])
def test_a_merged_tags_names_are_aliases_at_most(tmp_path: Path, format_: str) -> None:
    library = Library([])
    import_file(library, _shopify(tmp_path), "shopify")
    before = library.resolve("Color:Red")
    path = tmp_path
    if format_ != "shopify":
        path = tmp_path / "before"
        navy = library.add("Color", "Navy", names={"en": "Navy", "zh": "海军蓝"}, description="x")
        library.update(navy, broader=[library.add("Color", "Dark").id])
        export_library(library, path, format_)
    else:
        file = tmp_path / "attribute_values.en.txt"
        line = "gid://shopify/TaxonomyValue/9 : Navy [Color]\n"
        file.write_text(file.read_text("utf-8") + line, encoding="utf-8")
        import_file(library, path, format_)
    merge(library, library.resolve("Color:Navy"), before)
    red = library.update(before.id, broader=())
    assert import_file(library, path, format_).changed == []
    assert library.tags[red.id] == red
    library.update(red, names=before.names, aliases=())
    import_file(library, path, format_)
    assert library.resolve("Color:Navy").id == red.id
    assert library.tags[red.id].names == before.names


def _ids(library: Library) -> dict[str, str]:
    return {tag.id: tag.name for tag in library.active()}


ALPHA_BETA = "id,facet,name\ni1,F,alpha\ni2,F,beta\n"


@pytest.mark.parametrize("ending", [".csv", ".ttl"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "rows",
    [
        {"i4": "alpha", "i1": "delta", "i2": "beta"},  # a new tag takes the former name
        {"i1": "beta", "i2": "alpha"},  # a swap
        {"i1": "beta", "i2": "gamma", "i3": "alpha"},
    ],
)
def test_names_may_move_between_tags_in_any_order(
    tmp_path: Path, ending: str, rows: dict[str, str], turned: bool
) -> None:
    library, path = Library([]), tmp_path / "first.csv"
    path.write_text(ALPHA_BETA, encoding="utf-8")
    import_file(library, path)
    order = list(reversed(rows.items())) if turned else list(rows.items())
    path = tmp_path / f"second{ending}"
    export_library(Library([Tag(i, "F", name) for i, name in order]), path)
    report = import_file(library, path)
    assert _ids(library) == rows
    assert sum(report.notes.values()) == 0
    if "i4" in rows:
        assert library.resolve("F:alpha").id == "i4"
        assert library.tags["i1"].aliases == ()


def test_two_tags_of_a_file_with_one_name_are_no_single_tag(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("id,facet,name\ni1,F,alpha\ni4,F,Alpha\n", encoding="utf-8")
    with pytest.raises(TagConflict, match=r"'F:Alpha' and 'F:alpha' \(id i1\)"):
        import_file(Library([]), path)
    library = Library([Tag("i0", "F", "alpha")])
    path.write_text("id,facet,name,aliases\ni1,F,alpha,first\n", encoding="utf-8")
    import_file(library, path)  # another id for what is here
    assert library.resolve("F:first").id == "i0"


def test_a_tag_retired_here_and_one_of_its_name_are_two(tmp_path: Path) -> None:
    library, path = Library([]), tmp_path / "tags.csv"
    library.retire(library.add("F", "alpha"))
    library.add("F", "alpha")
    write_csv(path, library)
    back = Library([])
    import_file(back, path)
    assert back.tags == library.tags


def test_a_new_tag_called_as_an_alias_of_one_that_waits_is_refused() -> None:
    library = Library([Tag("i1", "F", "a", {}, ("d",)), Tag("i2", "F", "b")])
    rows = [Tag("i3", "F", "d"), Tag("i1", "F", "b"), Tag("i2", "F", "a")]
    with pytest.raises(TagConflict, match=r"'F:d' and 'F:a' \(id i1\) would both be called 'd'"):
        import_tags(library, rows, [])


def test_an_import_that_renames_keeps_the_former_names(tmp_path: Path) -> None:
    library, path = Library([]), tmp_path / "tags.csv"
    for name, english in (("delta", "D"), ("daleth", "Da")):
        path.write_text(f"id,facet,name,name_en\ni1,F,{name},{english}\n", encoding="utf-8")
        import_file(library, path)
    tag = library.tags["i1"]
    assert (tag.name, dict(tag.names), tag.aliases) == ("daleth", {"en": "Da"}, ("delta", "D"))
    assert import_file(library, path).changed == []
    path.write_text("id,facet,name\ni1,F,delta\n", encoding="utf-8")
    import_file(library, path)
    assert (library.tags["i1"].name, library.tags["i1"].aliases) == ("delta", ("D", "daleth"))


def test_unknown_formats_and_places(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="Unknown format 'xls'. Known: csv, skos"):
        import_file(Library([]), tmp_path, "xls")
    with pytest.raises(LibraryError, match="no Shopify taxonomy"):
        import_file(Library([]), tmp_path, "shopify")


def _import(
    store: Store, path: Path, format_: str | None = None
) -> tuple[list[str], dict[str, int]]:
    """Import as the command does; the names of changed tags, and the rows that were read."""
    library = load_library(store)
    report = import_file(library, path, format_, known=store.library.imported())
    version = store.library.save(report.changed, list(library.facets.values()), kind="import")
    store.library.note_imported(report.rows, version)
    return [tag.name for tag in report.changed], report.rows


def test_rows_that_would_change_nothing_are_passed_over(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    head, red, blue = "facet,name,name_en\n", "颜色,红色,Red\n", "颜色,蓝色,Blue\n"
    path.write_text(head + red + blue)
    assert _import(store, path)[0] == ["红色", "蓝色"]
    assert _import(store, path) == ([], {})
    path.write_text(head + red + "颜色,蓝色,Azure\n" + "颜色,绿色,\n")
    changed, rows = _import(store, path)
    assert (changed, len(rows)) == (["蓝色", "绿色"], 2)
    assert load_library(store).find("颜色:Azure") is not None
    path.write_text(head + red + blue)  # the older file: its rows are not what came last
    assert _import(store, path)[0] == ["蓝色"]
    path.write_text("facet,facet_en,name\n颜色,Colour,绿色\n")
    _import(store, path)  # another name of the facet: its rows are looked at again
    path.write_text(head + red + blue)
    assert len(_import(store, path)[1]) == 2
    path.write_text(head + red + "颜色,红色,Scarlet\n")
    with pytest.raises(LibraryError, match="line 3: '颜色:红色' has the same id as line 2"):
        _import(store, path)


def test_what_somebody_changed_meanwhile_is_not_noted(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("facet,name\n颜色,红色\n")
    library = load_library(store)
    report = import_file(library, path)
    store.library.save(report.changed, list(library.facets.values()), kind="import")
    store.library.save([replace(library.resolve("颜色:红色"), description="x")])
    store.library.note_imported(report.rows, 1)
    assert store.library.imported() == {}
    assert len(_import(store, path)[1]) == len(store.library.imported()) == 1
    store.library.undo(2)
    assert store.library.imported() == {}


@pytest.mark.parametrize("format_", ["csv", "shopify"])
def test_what_a_person_changed_stays_where_the_row_has_not_changed(
    store: Store, tmp_path: Path, format_: str
) -> None:
    path = tmp_path
    if format_ == "csv":
        path = tmp_path / "tags.csv"
        path.write_text("id,facet,facet_en,name,name_en\n1,Color,Color,Red,Red\n")
    else:
        _shopify(tmp_path)
    _import(store, path, format_)
    library = load_library(store)
    renamed = rename(library, library.resolve("Color:Red"), "Crimson")
    store.library.save([*renamed, *rename(library, renamed[0], "Scarlet", "en")])
    names = facet_names(library.facets["Color"], {"en": "Colour"})
    store.library.save([], [replace(library.facets["Color"], names=names)])
    crimson = load_library(store).resolve("Color:Crimson")
    assert _import(store, path, format_) == ([], {})
    assert load_library(store).tags[crimson.id] == crimson
    assert load_library(store).facets["Color"].names == names


@pytest.mark.parametrize("ending", [".ttl", ".rdf"])
def test_ids_of_other_vocabularies_are_no_file_names(tmp_path: Path, ending: str) -> None:
    library = Library([], [Facet("category")])
    tag = library.add("category", "Animals")
    library.update(tag, matches=["google_product_category:1", "https://example.org/1"])
    path = tmp_path / f"library{ending}"
    export_library(library, path)
    other = Library([])
    import_file(other, path)
    assert other.tags[tag.id].matches == ("google_product_category:1", "https://example.org/1")


def test_a_file_without_ids_takes_no_rename_back(tmp_path: Path) -> None:
    path = tmp_path / "library.csv"
    path.write_text("facet,name,name_en,aliases\n颜色,红色,Red,正红\n", encoding="utf-8")
    library = Library([])
    import_file(library, path)
    (red,) = library.active()
    renamed = library.update(red, name="大红")
    again = import_file(library, path)
    assert (again.changed, library.tags[red.id]) == ([], renamed)
    path.write_text("facet,name,aliases\n颜色,红色,朱红\n", encoding="utf-8")
    import_file(library, path)
    assert (library.tags[red.id].name, library.find("颜色:朱红")) == ("大红", library.tags[red.id])
    with_ids = tmp_path / "ids.csv"
    export_library(library, with_ids)
    text = with_ids.read_text(encoding="utf-8").replace("大红", "绯红")
    with_ids.write_text(text, encoding="utf-8")
    import_file(library, with_ids)
    assert library.tags[red.id].name == "绯红"  # a name that is given with the id


def test_languages_are_read_with_a_hyphen(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("facet,name,name_zh_CN,facet_zh_CN\nF,a,甲,乙\n", encoding="utf-8")
    library = Library([])
    import_file(library, path)
    assert library.resolve("乙:甲").names == {"zh-CN": "甲"}
    (tag,) = rename(library, library.resolve("F:a"), "丙", "zh_CN")
    assert (tag.names, tag.aliases) == ({"zh-CN": "丙"}, ("甲",))
    with pytest.raises(LibraryError, match="'any string' is no language code"):
        rename(library, tag, "x", "any string")
    with pytest.raises(LibraryError, match="'any string' is no language code"):
        library.add_facet(Facet("F", {"any string": "x"}))
    path.write_text("facet,name,name_any string\nF,a,b\n", encoding="utf-8")
    with pytest.raises(LibraryError, match="'any string' is no language code"):
        import_file(library, path)


def test_the_language_of_canonical_names_may_be_called_as_there(tmp_path: Path) -> None:
    library = Library([])
    import_file(library, _shopify(tmp_path), "shopify", "zh_CN")
    assert library.resolve("category:动物").name == "动物"
    with pytest.raises(LibraryError, match="'x y' is no language code"):
        export_library(library, tmp_path / "out", "google", "x y")
    old = Library([Tag("i1", "F", "a", {"zh_TW": "甲"})])  # as was accepted once
    export_library(old, tmp_path / "old.ttl")
    assert '"甲"@zh-TW' in (tmp_path / "old.ttl").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("id,facet,name\ni1,G,a\n", {"facet_kept": 1}),
        ("id,facet,name,description\ni1,F,a,\n", {"not_taken_away": 1}),
        ("id,facet,name,aliases\ni1,F,a,y\n", {"not_taken_away": 1}),
        ("id,facet,name,broader\ni1,F,a,\n", {"not_taken_away": 1}),
        ("id,facet,name\ni1,F,a\n", {}),  # a file that does not speak of them
        ("id,facet,name,description\ni1,F,a,z\n", {}),
    ],
)
def test_what_a_row_cannot_change_is_noted(
    tmp_path: Path, text: str, notes: dict[str, int]
) -> None:
    library = Library([Tag("i2", "F", "b"), Tag("i1", "F", "a", {}, ("x", "y"), "d")])
    library.update("i1", broader=["i2"])
    path = tmp_path / "tags.csv"
    path.write_text(text, encoding="utf-8")
    assert import_file(library, path).notes == notes


def test_names_are_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text('facet,name,aliases\nF,"light\n blue","#1\nblue"\n', encoding="utf-8")
    library = Library([])
    import_file(library, path)
    tag = library.resolve("F:light blue")
    assert (tag.name, tag.aliases) == ("light blue", ("#1 blue",))
    path.write_text("facet,name\nF,a\x07\n,\x01\nF,b\n", encoding="utf-8")
    with pytest.raises(LibraryError, match=r"line 2: 'a\\x07' cannot be a name.*; .* line 3: "):
        import_file(library, path)
    library.update(tag, name="#1 blue", names={"en": "#1\u2028filter"}, aliases=())
    synonyms = tmp_path / "synonyms"
    export_library(library, synonyms, "elasticsearch")
    assert synonyms.read_text("utf-8") == "\\#1 blue, #1 filter\n"


def test_a_facet_has_no_colon(tmp_path: Path) -> None:
    path, library = tmp_path / "tags.csv", Library([])
    for header, row in (("facet,name", "Size: EU,42"), ("facet,facet_en,name", "Size: EU,x,42")):
        path.write_text(f"{header}\n{row}\n", encoding="utf-8")
        with pytest.raises(LibraryError, match="'Size: EU' has a colon.*: Size EU"):
            import_file(library, path)
    path = tmp_path / "strange.ttl"
    text = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
    <http://x.org/s> a skos:ConceptScheme ; skos:prefLabel "Size: EU"@en .
    <http://x.org/1> a skos:Concept ; skos:inScheme <http://x.org/s> ; skos:prefLabel "42" ."""
    path.write_text(text, encoding="utf-8")
    import_file(library, path)
    assert library.resolve("Size EU:42").facet == "Size EU"
    with pytest.raises(LibraryError, match="a colon"):
        move(library, library.resolve("Size EU:42"), "Size: UK")
