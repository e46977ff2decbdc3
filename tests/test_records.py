import hashlib

import pytest

from tagmill.records import Tag, parse_tag, parse_tag_cell, tag_id, tag_text, write_tag_cell


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("颜色:红色", ("颜色", "红色")),
        ("Ratio:4:3", ("Ratio", "4:3")),
        ("peace", ("", "peace")),
        (":a:b", ("", "a:b")),
    ],
)
def test_a_written_tag_is_split_at_the_first_colon(text: str, parsed: tuple[str, str]) -> None:
    assert parse_tag(text) == parsed
    assert parse_tag(tag_text(*parsed)) == parsed


@pytest.mark.parametrize("text", ["", "颜色:", "  ", ":"])
def test_a_tag_needs_a_name(text: str) -> None:
    with pytest.raises(ValueError, match="names no tag"):
        parse_tag(text)


def test_id_is_the_hash_of_the_written_form() -> None:
    assert tag_id("颜色", "红色") == hashlib.sha256("颜色:红色".encode()).hexdigest()[:16]
    assert tag_id("", "peace") == hashlib.sha256(b"peace").hexdigest()[:16]


@pytest.mark.parametrize(
    "tags",
    [["颜色:红色", "plain"], ["x|y", "F:a:b"], [":a:b"], ["规格:1|2:3"], []],
)
def test_tags_survive_a_csv_cell(tags: list[str]) -> None:
    assert parse_tag_cell(write_tag_cell(tags)) == tags


def test_blank_parts_of_a_cell_are_no_tags() -> None:
    assert parse_tag_cell(" 颜色:红色 | | plain |") == ["颜色:红色", "plain"]


def test_name_in_a_language_falls_back() -> None:
    tag = Tag("1", "颜色", "红色", {"en": "Red", "zh": "红色"})
    assert tag.name_in("en") == "Red"
    assert tag.name_in("zh-Hant") == "红色"
    assert tag.name_in("fr") == "红色"
