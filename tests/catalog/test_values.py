from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import numpy as np
import pytest

from tagmill.catalog.values import (
    attributes_of,
    category_of,
    image_of,
    numbers_of,
    tags_of,
    text_of,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12, "12"),
        (12.0, "12"),
        (0.5, "0.5"),
        (True, "true"),
        (float("nan"), None),
        (np.int64(7), "7"),
        (Decimal("12.00"), "12"),
        (Decimal("100"), "100"),
        (Decimal("1.50"), "1.5"),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (None, None),
        (" as it is ", " as it is "),
    ],
)
def test_single_values_become_text(value: object, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("value", [["a"], {"a": 1}, b"a"])
def test_what_is_no_single_value_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not text"):
        text_of(value)


@pytest.mark.parametrize(
    ("cell", "pairs"),
    [
        ("key=value; other:thing", [("key", "value"), ("other", "thing")]),
        ("颜色：红", [("颜色", "红")]),
        ("颜色：红；材质：棉", [("颜色", "红"), ("材质", "棉")]),
        ("颜色：红，材质：棉", [("颜色", "红"), ("材质", "棉")]),
        ("note: red, white and blue", [("note", "red, white and blue")]),
        ("材质=棉; 涤纶", [("材质", "棉"), ("材质", "涤纶")]),
        ("link=https://example.com/a:b", [("link", "https://example.com/a:b")]),
        ("size:", []),
        ("", []),
        ("soft and warm", [("attributes", "soft and warm")]),
        ('{"color": ["red", "blue"], "size": 12, "none": null}',
         [("color", "red"), ("color", "blue"), ("size", "12")]),
        ('[{"name": "color", "value": "red"}]', [("color", "red")]),
    ],
)  # fmt: skip
def test_attributes_of_a_cell(cell: str, pairs: list[tuple[str, str]]) -> None:
    assert attributes_of(cell) == pairs


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        ({"颜色": "红", "weight": 1.50, "parts": [1, "two", ""]},
         [("颜色", "红"), ("weight", "1.5"), ("parts", "1"), ("parts", "two")]),
        ([{"name": "a", "value": 1}, {"key": "b", "values": [2, 3]}, {"c": "4"}, ["d", 5]],
         [("a", "1"), ("b", "2"), ("b", "3"), ("c", "4"), ("d", "5")]),
        ({"box": {"width": 3}}, [("box", '{"width": 3}')]),
        ({"waterproof": True}, [("waterproof", "true")]),
        (np.array([["a", "b"]]), [("a", "b")]),
        (None, []),
        (float("nan"), []),
    ],
)  # fmt: skip
def test_attributes_of_a_value(value: object, pairs: list[tuple[str, str]]) -> None:
    assert attributes_of(value) == pairs


@pytest.mark.parametrize("value", [3, '{"a": ', [7], {"": "x"}])
def test_wrong_attributes_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="attributes"):
        attributes_of(value)


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ([], []),
        ("[]", []),
        ("颜色:红|季节: 夏", ["颜色:红", "季节:夏"]),
        (r"a\|b|c\:d", ["a|b", ":c:d"]),
        (["颜色:红", "颜色:红", "new", ":new"], ["颜色:红", "new"]),
        ([4], ["4"]),
        (["x", "  "], ["x"]),
        ('["颜色:红", "x"]', ["颜色:红", "x"]),
        ("[new]|x", ["[new]", "x"]),
        (np.array(["a", "b"]), ["a", "b"]),
    ],
)
def test_tags(value: object, tags: list[str] | None) -> None:
    assert tags_of(value) == tags


@pytest.mark.parametrize("value", [5, {"a": "b"}, ["颜色:"], [None], [["a"]]])
def test_wrong_tags_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"tag|text"):
        tags_of(value)


def test_a_category_path_and_the_first_image() -> None:
    assert category_of(["Home", None, "Kitchen"]) == "Home > Kitchen"
    assert category_of("Home") == "Home"
    assert image_of(["a.jpg", "b.jpg"]) == "a.jpg"
    assert image_of([]) is None


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ({"price": 199}, [("price", 199.0)]), ({"price": Decimal("9.90")}, [("price", 9.9)]),
        ({"price": "¥1,299.00"}, [("price", 1299.0)]), ({"price": "US$5"}, [("price", 5.0)]),
        ({"price": "199元起"}, [("price", 199.0)]), ({"价格": "１９９"}, [("价格", 199.0)]),
        ({"t": -4.5, "n": "1e3"}, [("t", -4.5), ("n", 1000.0)]), ({"stock": 0}, [("stock", 0.0)]),
        ({"price": [99, 199]}, [("price", 99.0), ("price", 199.0)]),
        ({"price": "¥99-¥199"}, [("price", 99.0), ("price", 199.0)]),
        ({"price": "1,099 ~ 1,199 元"}, [("price", 1099.0), ("price", 1199.0)]),
        ("price=99; stock: 3", [("price", 99.0), ("stock", 3.0)]),
        ({"price": "面议", "rating": "N/A", "stock": "-", "x": None, "y": float("nan")}, []),
        (None, []), ("", []),
    ],
)  # fmt: skip
def test_numbers(value: object, numbers: list[tuple[str, float]]) -> None:
    assert numbers_of(value) == numbers


@pytest.mark.parametrize("text", ["5-6-7", "4.5/5", "38,39,40", "3 of 5", "1e999", "2026-12-01"])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"numbers: price: '{text}' is not a number"):
        numbers_of({"price": text})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.299,00", 1299), ("1 299", 1299), ("1\u00a0299,50 €", 1299.5), ("12,99", 12.99),
        ("1\u202f299\u202f000", 1299000), ("CHF 1'299.00", 1299), ("1.299", 1.299),
        ("1,299", 1299), ("12,5", 12.5),
    ],
)  # fmt: skip
def test_numbers_as_europe_writes_them(text: str, number: float) -> None:
    assert numbers_of({"price": text}) == [("price", number)]
