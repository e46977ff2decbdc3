from __future__ import annotations

import math

import pytest

from tagmill.discover.quantities import find_quantities, find_ranges


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("65英寸OLED电视", {("mm", 1651)}),
        ("5gb", {("byte", 5e9)}),  # no 5 g
        ("500ml水杯", {("ml", 500)}),
        ("bottle 17 oz", {("g", 482), ("ml", 503)}),  # of weight or of volume
        ("16 fl oz", {("ml", 473)}),
        ("model x350ml", set()),
        ("50-inch TV, 65-Inch", {("mm", 1270), ("mm", 1651)}),
        ("7-in-1, 5 in 1, size 8-M", set()),
        ("保温杯 1,500ml", {("ml", 1500)}),
        ("２，０００ｍＡｈ", {("mah", 2000)}),
        ("10V, 6岁, 2 packs", set()),  # only tags measure these
    ],
)
def test_quantities_of_a_text(text: str, found: set[tuple[str, float]]) -> None:
    assert {(dimension, round(value)) for dimension, value in find_quantities(text)} == found


@pytest.mark.parametrize(
    ("query", "dimension", "low", "high"),
    [
        ("500ml-1L", "ml", 500, 1000), ("500ml到1.5升", "ml", 500, 1500),
        ("500 ml - 1 l", "ml", 500, 1000), ("1L-500ml", "ml", 500, 1000),
        ("3-5kg", "g", 3000, 5000), ("between 50 and 60 inches", "mm", 1270, 1524),
        ("50到60寸之间", "mm", 1270, 1524), ("under 1,200 ml", "ml", 0, 1200),
        ("５００ｍｌ以下", "ml", 0, 500), ("under 60-inch", "mm", 0, 1524),
        *((f"{bound} 2 kg", "g", 0, 2000) for bound in (
            "不大于", "小于等于", "不高于", "不多于", "少于", "not over", "no more than",
            "not more than", "maximum", "不超过", "at most", "不要超过",
        )),
        *((f"{bound} 2 kg", "g", 2000, math.inf) for bound in (
            "不小于", "大于等于", "不低于", "不少于", "多于", "no less than", "not less than",
            "at least", "minimum", "more than",
        )),
        *((f"2kg{bound}", "g", 0, 2000) for bound in ("或以下", " or under", "内的")),
        *((f"2kg{bound}", "g", 2000, math.inf) for bound in ("或以上", " and up", "+")),
    ],
)  # fmt: skip
def test_a_range_in_words(query: str, dimension: str, low: float, high: float) -> None:
    ((asked,), _) = find_ranges(f"杯 {query}")
    assert asked.dimension == dimension
    assert (asked.low, asked.high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    "query",
    ["iphone 15 pro max 256gb", "500ml内胆", "500ml起泡酒", "5l mini fridge", "2kg+3kg",
     "thunder 5kg", "6岁以上", "5kg-500ml"],
)  # fmt: skip
def test_what_is_no_range(query: str) -> None:
    assert find_ranges(query) == ([], query)


def test_what_only_tags_measure() -> None:
    ((asked,), _) = find_ranges("6岁以上", ("year",))
    assert (asked.low, asked.high) == (6, math.inf)
    assert find_ranges("6-8岁 积木", ("year",), ("6-8岁", "68岁"))[0] == []


def test_a_value_is_shown_in_the_unit_that_was_asked_for() -> None:
    (asked,), rest = find_ranges("电视 55寸以上")
    assert rest.strip() == "电视"
    assert asked.shown(1651, 1651) == "65 寸"
    (small,), _ = find_ranges("under 0.5 L")
    assert small.shown(350, 350) == "0.35 L"
    assert small.shown(350, 500) == "0.35–0.5 L"
    assert small.shown(500, math.inf) == "≥ 0.5 L"
