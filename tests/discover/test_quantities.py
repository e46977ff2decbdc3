from __future__ import annotations

import math

import pytest

from tagmill.discover.quantities import (
    find_measures,
    find_quantities,
    find_ranges,
    plainly_said,
)


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
        ("10V, 2 packs", set()),  # only tags measure these
        ("9-14kg", {("g", 9000, 14000)}),
        ("500ml~1L", {("ml", 500, 1000)}),
        ("3 to 5 lbs", {("g", 1361, 2268)}),
        ("2024-500ml", {("ml", 500)}),
        ("6岁", {("year", 6)}),
        ("适合6-8岁", {("year", 6, 8)}),
        ("ages 3-6 years", {("year", 3, 6)}),
        ("0-24个月", {("year", 0, 2)}),
        ("2 year warranty, 保质期12个月", set()),
    ],
)
def test_quantities_of_a_text(text: str, found: set[tuple[object, ...]]) -> None:
    read = ((one, round(low), round(high)) for one, low, high in find_quantities(text))
    assert {(one, low) if low == high else (one, low, high) for one, low, high in read} == found


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
        ("半升以下", "ml", 0, 500), ("三千克以上", "g", 3000, math.inf),
        ("一到二十斤", "g", 500, 10_000), ("一到三十瓦", "w", 1, 30),
        ("三到五十岁", "year", 3, 50), ("一到三百瓦", "w", 100, 300), ("1-2万瓦", "w", 1e4, 2e4),
        ("十二到十五寸", "mm", 304.8, 381), ("5千克以内", "g", 0, 5000),
    ],
)  # fmt: skip
def test_a_range_in_words(query: str, dimension: str, low: float, high: float) -> None:
    ((asked,), _) = find_ranges(f"杯 {query}")
    assert asked.dimension == dimension
    assert (asked.low, asked.high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    "query",
    ["iphone 15 pro max 256gb", "500ml内胆", "500ml起泡酒", "5l mini fridge", "2kg+3kg",
     "thunder 5kg", "6人以上", "5kg-500ml", "千克以上"],
)  # fmt: skip
def test_what_is_no_range(query: str) -> None:
    assert find_ranges(query) == ([], query)


@pytest.mark.parametrize(
    ("said", "plainly"),
    [
        ("1米8的床", "1.8米的床"), ("一米五", "1.5米"), ("小米8", "小米8"), ("2米50", "2米50"),
        ("1.2米5", "1.2米5"), ("五百ｍｌ", "五百ml"),
        ("1米5不锈钢架", "1.5米不锈钢架"), ("一米七上衣", "1.7米上衣"), ("1米5五金", "1米5五金"),
        ("price" + " " * 200 + "x 1", "price x 1"),  # else the patterns take minutes
    ],
)  # fmt: skip
def test_lengths_as_they_are_said(said: str, plainly: str) -> None:
    assert plainly_said(said) == plainly


def test_what_only_tags_measure() -> None:
    ((asked,), _) = find_ranges("6人以上", ("person",))
    assert (asked.low, asked.high) == (6, math.inf)
    assert find_ranges("6-8岁 积木", ("year",), ("6-8岁", "68岁"))[0] == []


@pytest.mark.parametrize(
    ("query", "measured"),
    [
        ("7岁 裙子", [("7岁", "year", 7, 7)]), ("半升的保温杯", [("半升", "ml", 500, 500)]),
        ("五斤装 65寸", [("五斤装", "g", 2500, 2500), ("65寸", "mm", 1651, 1651)]),
        ("6-8岁", [("6-8岁", "year", 6, 8)]), ("三只松鼠 小米 14 5 in 1", []), ("5kg-500ml", []),
        ("Half a liter bottle", [("Half a liter", "ml", 500, 500)]), ("one piece", []),
        ("two liters", [("two liters", "ml", 2000, 2000)]),
        ("24 months old", [("24 months old", "year", 2, 2)]),
    ],
)  # fmt: skip
def test_a_quantity_without_a_bound_measures(
    query: str, measured: list[tuple[str, str, float, float]]
) -> None:
    found = find_measures(query)
    assert [(query[i:j], m.dimension, round(m.low), round(m.high)) for i, j, m in found] == measured


def test_a_value_is_shown_in_the_unit_that_was_asked_for() -> None:
    (asked,), rest = find_ranges("电视 55寸以上")
    assert rest.strip() == "电视"
    assert asked.shown(1651, 1651) == "65 寸"
    (small,), _ = find_ranges("under 0.5 L")
    assert small.shown(350, 350) == "0.35 L"
    assert small.shown(20_000_000, 20_000_000) == "20000 L"
    assert small.shown(350, 500) == "0.35–0.5 L"
    assert small.shown(500, math.inf) == "≥ 0.5 L"
