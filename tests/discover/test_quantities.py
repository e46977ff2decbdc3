from __future__ import annotations

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
    ],
)
def test_quantities_of_a_text(text: str, found: set[tuple[str, float]]) -> None:
    assert {(dimension, round(value)) for dimension, value in find_quantities(text)} == found


def test_a_value_is_shown_in_the_unit_that_was_asked_for() -> None:
    (asked,), rest = find_ranges("电视 55寸以上")
    assert rest.strip() == "电视"
    assert asked.shown(1651) == "65 寸"
    (small,), _ = find_ranges("under 0.5 L")
    assert small.shown(350) == "0.35 L"
