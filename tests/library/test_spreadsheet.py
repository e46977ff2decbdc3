from pathlib import Path

import pytest

from tagmill.errors import LibraryError, TagConflict
from tagmill.library import Library, read_csv, write_csv
from tagmill.records import Facet, tag_id


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "library.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_only_facet_and_name_are_needed(tmp_path: Path) -> None:
    tags, facets = read_csv(write(tmp_path, "facet,name\n颜色,红色\n,促销\n"))
    assert [(tag.id, tag.text, tag.status) for tag in tags] == [
        (tag_id("颜色", "红色"), "颜色:红色", "active"),
        (tag_id("", "促销"), "促销", "active"),
    ]
    assert facets == [Facet("颜色"), Facet("")]


def test_round_trip_loses_nothing(tmp_path: Path) -> None:
    library = Library(
        [],
        [Facet("颜色", {"en": "Color", "zh-Hant": "顏色"}), Facet("空", {"en": "E"})],
    )
    red = library.add(
        "颜色",
        "红色",
        names={"en": "Red", "zh": "红"},
        aliases=["大|红", "a\\b", '"x"'],
    )
    library.update(red, description='Line 1\nline 2, "quoted"')
    old = library.add("颜色", "绛")
    library.update(old, status="retired", merged_into=red.id)
    library.add("尺码", "XL", status="proposed")
    library.add("", "no:facet")
    library.update(red, name="朱红")  # the id no longer follows from the name
    path = tmp_path / "library.csv"
    write_csv(path, library)
    again = Library(*read_csv(path))
    assert again.tags == library.tags
    assert list(again.tags) == list(library.tags)
    assert again.facets == library.facets
    assert path.read_bytes().startswith(b"\xef\xbb\xbfid,facet")  # for Excel
    assert [file.name for file in tmp_path.iterdir()] == ["library.csv"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheet_dialects(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = "facet,name,aliases,name_en\r\n颜色,红色,大红|正红,Red\r\n\r\n".replace(",", delimiter)
    tags, _ = read_csv(write(tmp_path, text, encoding))
    assert [(tag.name, tag.aliases, dict(tag.names)) for tag in tags] == [
        ("红色", ("大红", "正红"), {"en": "Red"})
    ]


def test_headers_may_be_chinese(tmp_path: Path) -> None:
    text = (
        "维度,名称,别名,说明,英文名称,上级,单值,取值,单位,维度英文名称\n"
        "颜色,红色,大红|正红,不含粉红,Red,,,,,\n"
        "颜色,酒红,,,,颜色:红色,,,,\n"
        "容量,,,,,,是,number,ml,Capacity\n"
    )
    tags, facets = read_csv(write(tmp_path, text, "gb18030"))
    red, wine = tags
    assert (red.text, red.aliases, red.description) == ("颜色:红色", ("大红", "正红"), "不含粉红")
    assert (red.names, wine.broader) == ({"en": "Red"}, ("颜色:红色",))
    capacity = Facet("容量", {"en": "Capacity"}, single=True, value_kind="number", unit="ml")
    assert facets == [Facet("颜色"), capacity]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("name,aliases\nx,y\n", "no column 'facet'"),
        ("facet,name,alias\na,b,c\n", "unknown column 'alias'"),
        ("一级,二级,别名\na,b,c\n", r"no column 'facet' in the header \(一级.* facet \(维度\)"),
        ("facet,维度,name\na,b,c\n", "has 2 columns named 'facet'"),
        ("facet,name\na,b,c\n", "line 2: 3 cells under 2 columns"),
        ("facet,name\na,b\na,\n", r"line 3: no name for a tag of the facet 'a'"),
        (
            "facet,name,status\na,b,gone\n",
            "line 2: status 'gone' is not one of proposed",
        ),
        ("facet,name\na,b\n\na,b\n", "line 4: 'a:b' has the same id as line 2"),
        (
            "facet,name,facet_en\na,b,X\na,c,Y\n",
            "line 3: the facet 'a' is called 'Y' here",
        ),
        ("facet,name,name_en\n,,x\n", "line 2: neither facet nor name"),
        ('facet,name,description\na,b,"x\ny"\na,,z\n', "line 4: no name"),
    ],
)
def test_bad_rows_are_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(LibraryError, match=message) as caught:
        read_csv(path)
    assert str(path) in str(caught.value)


def test_all_bad_rows_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "facet,name\na,b,c\na,b\na,b\n,\na,\nx,y,z\n")
    with pytest.raises(LibraryError, match=r"line 2: 3 cells.*; line 4: .*; line 6: .*; line 7: 3"):
        read_csv(path)


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"line 6: .*; and 15 more\. Nothing was read"):
        read_csv(write(tmp_path, "facet,name\n" + "a,\n" * 20))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"none\.csv cannot be read"):
        read_csv(tmp_path / "none.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\x89PNG\0\1")
    with pytest.raises(LibraryError, match="binary data"):
        read_csv(binary)
    binary.write_bytes(b"facet,name\n\xff\xff\xff,\xff")
    with pytest.raises(LibraryError, match="neither UTF-8 nor GB18030"):
        read_csv(binary)


def test_clash_in_a_file_names_both(tmp_path: Path) -> None:
    tags, facets = read_csv(write(tmp_path, "facet,name,aliases\na,Dress,\na,Gown,dresses\n"))
    with pytest.raises(TagConflict, match="'a:Gown' and 'a:Dress'"):
        Library(tags, facets)
