from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tagmill.catalog import open_catalog
from tagmill.errors import CatalogError
from tests.catalog.reading import products, read


def write(folder: Path, text: str, name: str = "shop.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_all_fields_of_a_row(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "id,title,description,category,attributes,numbers,image,language,tags\n"
        "1, 高清  液晶\t电视 ,<p>4K&amp;HDR</p><p>新</p>,家电,颜色：黑; 品牌=甲,"
        "price=¥99; 库存: 3,a.jpg,,颜色:黑|新品\n",
    )
    assert read(path) == (
        [
            {
                "id": "1",
                "title": "高清 液晶 电视",
                "description": "4K&HDR\n新",
                "category": "家电",
                "attributes": [("颜色", "黑"), ("品牌", "甲")],
                "numbers": [("price", 99.0), ("库存", 3.0)],
                "image": "a.jpg",
                "language": "zh-Hans",
                "tags": ["颜色:黑", "新品"],
            }
        ],
        [],
    )


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "\x01", "^", "~"])
@pytest.mark.parametrize("header", ["id{}title{}price", "sku{}name{}price"])
def test_any_separator_is_found(tmp_path: Path, separator: str, header: str) -> None:
    rows = [f"{i}{separator}Red dress, size {i} (new); a/b{separator}9.5" for i in range(9)]
    if separator in ",;":
        rows = [f'{i}{separator}"Red dress, a; b"{separator}9.5' for i in range(9)]
    text = "\n".join([header.replace("{}", separator), *rows])
    mapping = {"id": "sku", "title": "name"} if header.startswith("sku") else None
    found, bad = read(write(tmp_path, text), mapping=mapping)
    assert [row["id"] for row in found] == [str(i) for i in range(9)]
    assert all(row["title"].startswith("Red dress, ") for row in found)
    assert not bad


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "gbk", "utf-32"]
)
def test_encodings_are_found(tmp_path: Path, encoding: str) -> None:
    text = "id\ttitle\n1\t夏季连衣裙，纯棉\n2\tplain ASCII\n3\t高清液晶电视\n"
    if encoding == "utf-16-le":
        text = "\ufeff" + text
    found, bad = read(write(tmp_path, text, "shop.tsv", encoding))
    assert [row["title"] for row in found] == ["夏季连衣裙，纯棉", "plain ASCII", "高清液晶电视"]
    assert not bad


@pytest.mark.parametrize(
    ("encoding", "titles"),
    [
        ("big5", ["紅色連衣裙", "夏季新款純棉長袖襯衫"]),
        ("big5hkscs", ["紅色連衣裙", "靚嘅波鞋"]),
        ("shift_jis", ["レディース ワンピース", "液晶テレビ 4K 高画質"]),
        ("gb18030", ["紅色連衣裙", "夏季新款純棉長袖襯衫"]),
        ("gb18030", ["红色连衣裙", "日系 ワンピース 新品"]),
        ("gb18030", ["翡翠貔貅", "龘靐齉"]),
    ],
)
def test_code_pages_are_told_by_their_usual_characters(
    tmp_path: Path, encoding: str, titles: list[str]
) -> None:
    text = "\n".join(["id,title", *(f"{i},{title}" for i, title in enumerate(titles))])
    found, bad = read(write(tmp_path, text, encoding=encoding))
    assert [row["title"] for row in found] == titles
    assert not bad


def test_degrees_of_another_code_page_are_no_characters_of_big5(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes("id,title\n1,Kettle up to 100°C\n2,Wash at 30°C\n".encode("cp1252"))
    with pytest.raises(CatalogError, match="may be Windows-1252"):
        read(path)


def test_a_broken_line_of_big5_is_a_reject(tmp_path: Path) -> None:
    lines = [f"{i},紅色連衣裙 夏季新款".encode("big5") for i in range(9)]
    lines[4] = b"4,\xff\xff"
    path = tmp_path / "shop.csv"
    path.write_bytes(b"\n".join([b"id,title", *lines]))
    found, bad = read(path)
    assert {row["title"] for row in found} == {"紅色連衣裙 夏季新款"}
    assert [row["line"] for row in bad] == [6]


def test_gb18030_far_behind_a_megabyte_of_ascii(tmp_path: Path) -> None:
    lines = [f"{i},an ordinary product name number {i}" for i in range(40_000)]
    text = "\n".join(["id,title", *lines, "last,红色连衣裙"])
    assert len(text) > 1 << 20
    catalog = open_catalog(str(write(tmp_path, text, encoding="gb18030")))
    assert products(catalog)[-1]["title"] == "红色连衣裙"
    assert catalog.total_hint == catalog.counts.read == 40_001


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_line_of_broken_bytes_is_a_reject(tmp_path: Path, encoding: str) -> None:
    lines = [f"{i},红色连衣裙".encode(encoding) for i in range(9)]
    lines[4] = b"4,\xe7\xba\xff\xff"
    path = tmp_path / "shop.csv"
    path.write_bytes(b"\n".join([b"id,title", *lines]))
    found, bad = read(path)
    assert [row["id"] for row in found] == ["0", "1", "2", "3", "5", "6", "7", "8"]
    assert {row["title"] for row in found} == {"红色连衣裙"}
    assert [(row["line"], row["reason"][:6]) for row in bad] == [(6, "title:")]


def test_a_stray_nul_does_not_make_a_file_binary(tmp_path: Path) -> None:
    found, bad = read(write(tmp_path, "id,title\n1,red\0dress\n2,shirt\n"))
    assert [row["title"] for row in found] == ["red dress", "shirt"]
    assert not bad


def test_western_code_pages_are_not_taken_for_chinese(tmp_path: Path) -> None:
    path = write(tmp_path, "id,title\n1,crème brûlée\n2,café au lait\n", encoding="cp1252")
    with pytest.raises(CatalogError, match="neither UTF-8 nor GB18030"):
        open_catalog(str(path))


def test_quoted_newlines_and_physical_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'id,title,description\r\n1,"A ""big"" TV","one\r\ntwo, three"\r\n\r\n'
        ",no id,x\r\n2,plain,y\r\n2,again,z\r\n",
    )
    found, bad = read(path)
    assert [(row["id"], row["title"], row["description"]) for row in found] == [
        ("1", 'A "big" TV', "one\r\ntwo, three"),
        ("2", "plain", "y"),
    ]
    assert [(row["line"], row["reason"]) for row in bad] == [
        (5, "no id"),
        (7, "id '2' was there before: the first row counts"),
    ]
    assert bad[0]["file"] == str(path)
    assert bad[0]["row"] == {"id": "", "title": "no id", "description": "x"}


def test_too_many_and_too_few_cells(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "title,id,tags\nfine,1,a\ntoo few,2\nmany,3,a,b\nblank ends,4,a,,\nid lost\n",
    )
    found, bad = read(path)
    assert [(row["id"], row["tags"]) for row in found] == [("1", ["a"]), ("2", None), ("4", ["a"])]
    assert [(row["line"], row["reason"]) for row in bad] == [
        (4, "4 cells, but the header names 3 columns"),
        (6, "no id"),
    ]


@pytest.mark.parametrize("quote_later", [False, True])
def test_an_unclosed_quote_costs_one_row(tmp_path: Path, quote_later: bool) -> None:
    rows = [f"{i},title {i},text" for i in range(2000)]
    rows[7] = '7,"never closed,text'
    if quote_later:
        rows[9] = '9,"title, 9",text'
    found, bad = read(write(tmp_path, "\n".join(["id,title,description", *rows])))
    assert [row["id"] for row in found] == [str(i) for i in range(2000) if i != 7]
    assert [(row["line"], row["reason"], row["row"]) for row in bad] == [
        (9, "a quote is not closed", '7,"never closed,text')
    ]


def test_an_unclosed_quote_in_the_last_row(tmp_path: Path) -> None:
    found, bad = read(write(tmp_path, 'id,title\n1,a\n2,"b'))
    assert [row["id"] for row in found] == ["1"]
    assert [row["line"] for row in bad] == [3]


def test_a_quote_inside_a_cell_is_kept(tmp_path: Path) -> None:
    found, bad = read(write(tmp_path, 'id,title\n1,55" TV with 4K\n'))
    assert found[0]["title"] == '55" TV with 4K'
    assert not bad


def test_long_cells_are_read(tmp_path: Path) -> None:
    text = "word " * 60_000
    found, _ = read(write(tmp_path, f'id,title,description\n1,a,"{text}"\n2,b,c\n'))
    assert found[0]["description"] == text.strip()
    assert found[1]["id"] == "2"


def test_a_cell_longer_than_a_megabyte_is_a_reject(tmp_path: Path) -> None:
    found, bad = read(write(tmp_path, f"id,title\n1,{'x' * (1 << 20)}y\n2,b\n"))
    assert [row["id"] for row in found] == ["2"]
    assert bad[0]["line"] == 2
    assert "limit" in bad[0]["reason"]
    assert len(bad[0]["row"]) == 2000


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv.gz"
    path.write_bytes(gzip.compress("id;title\n1;红\n".encode("gb18030")))
    assert read(path)[0][0]["title"] == "红"
    path.write_bytes(gzip.compress(b"id;title\n1;a\n" * 1000)[:-20])
    with pytest.raises(CatalogError, match="damaged gzip"):
        open_catalog(str(path))


def test_columns_as_attributes_and_unread_ones(tmp_path: Path) -> None:
    path = write(tmp_path, "sku,name,brand,颜色,price,\n1,a,X,,3,\n2,b,,红,4,\n")
    catalog = open_catalog(
        str(path),
        mapping={
            "id": "sku",
            "title": "name",
            "attributes.brand": "brand",
            "attributes.色": "颜色",
        },
    )
    assert [row["attributes"] for row in products(catalog)] == [[("brand", "X")], [("色", "红")]]
    assert catalog.unread_columns == ["price"]


def test_a_header_alone_has_no_products(tmp_path: Path) -> None:
    assert read(write(tmp_path, "id,title\n")) == ([], [])


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_batches_have_the_asked_size(tmp_path: Path, size: int) -> None:
    path = write(tmp_path, "id,title\n" + "".join(f"{i},t\n" for i in range(20)))
    sizes = [batch.num_rows for batch in open_catalog(str(path), batch_size=size)]
    assert sum(sizes) == 20
    assert set(sizes[:-1]) <= {size}
    assert sizes[-1] <= size
