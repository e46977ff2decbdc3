"""JSON Lines out of Arrow batches: what Python's `json` reads is what was in them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagmill.catalog.json_text import json_lines
from tagmill.catalog.writers import tag_lines
from tagmill.records import TAGGED_SCHEMA

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SPAN = st.fixed_dictionaries(
    {"field": TEXT, "start": st.integers(0, 2**31 - 1), "end": st.integers(0, 9), "text": TEXT}
)
TAG = st.fixed_dictionaries(
    {
        "id": TEXT, "facet": TEXT, "name": TEXT, "probability": st.floats(0, 1, width=32),
        "calibration": TEXT, "lane": TEXT, "evidence": st.none() | st.lists(SPAN, max_size=3),
    }
)  # fmt: skip
ROW = st.fixed_dictionaries({"id": TEXT, "tags": st.lists(TAG, max_size=4)})


def read(batch: pa.RecordBatch) -> list[Any]:
    written = json_lines(batch)
    assert written.endswith(b"\n") or not batch.num_rows
    return [json.loads(line) for line in written.split(b"\n")[:-1]]


@settings(deadline=None)  # kernels are compiled first
@given(st.lists(ROW, max_size=6), st.integers(0, 3))
def test_tagged_products_are_what_python_would_write(rows: list[dict[str, Any]], cut: int) -> None:
    batch = pa.RecordBatch.from_pylist(rows, schema=TAGGED_SCHEMA)
    assert read(batch) == tag_lines(batch)
    assert read(batch.slice(cut)) == tag_lines(batch.slice(cut))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('a"b\\c\n\t\x01\x7f/é😀', '"a\\"b\\\\c\\n\\t\\u0001\x7f/é😀"'), (None, "null"), ("", '""'),
        (0, "0"), (-1234567890123456789, "-1234567890123456789"), (True, "true"), (False, "false"),
        (0.0, "0.0"), (1.0, "1.0"), (0.5, "0.5"), (0.1234567, "0.123457"), (0.000001, "0.000001"),
        (1e-9, "0.0"), (0.0078125, "0.007812"), (-2.25, "-2.25"), (1234.5, "1234.5"),
        ([], "[]"), ([1, None, 3], "[1,null,3]"), ({"a b": 1, "c": None}, '{"a b":1,"c":null}'),
        ([{"x": "y"}, None], '[{"x":"y"},null]'),
    ],
)  # fmt: skip
def test_values_of_each_type(value: object, written: str) -> None:
    column = pa.array([value, None], None if value is not None else pa.string())
    batch = pa.RecordBatch.from_arrays([column], ["v"])
    assert json_lines(batch).decode() == f'{{"v":{written}}}\n{{"v":null}}\n'


def test_other_columns_are_a_programming_error() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([b"x"])], ["v"])
    with pytest.raises(TypeError, match="binary"):
        json_lines(batch)
