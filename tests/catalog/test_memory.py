from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tagmill.catalog import as_batches, products_to_batch
from tagmill.errors import CatalogError
from tagmill.records import PRODUCT_SCHEMA

ROWS: list[dict[str, Any]] = [
    {
        "id": 1, "title": "红色  连衣裙", "tags": ["颜色:红"], "attributes": {"材质": "棉"},
        "numbers": {"price": 99},
    },
    {
        "id": 2, "title": "red shirt", "description": "<i>soft</i>", "tags": None,
        "attributes": None, "numbers": None,
    },
]  # fmt: skip
EXPECTED = [
    {
        "id": "1", "title": "红色 连衣裙", "description": None, "category": None,
        "attributes": [("材质", "棉")], "numbers": [("price", 99.0)], "image": None,
        "language": "zh-Hans", "tags": ["颜色:红"],
    },
    {
        "id": "2", "title": "red shirt", "description": "soft", "category": None,
        "attributes": None, "numbers": None, "image": None, "language": "en", "tags": None,
    },
]  # fmt: skip


def listed(products: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    batches = list(as_batches(products))
    assert all(batch.schema.equals(PRODUCT_SCHEMA) for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def test_every_kind_of_products_gives_the_same() -> None:
    table = pa.Table.from_pylist(ROWS, schema=pa.schema(
        [("id", pa.int64()), ("title", pa.string()), ("description", pa.string()),
         ("tags", pa.list_(pa.string())), ("attributes", pa.struct([("材质", pa.string())])),
         ("numbers", pa.struct([("price", pa.int64())]))]
    ))  # fmt: skip
    kinds: dict[str, Any] = {
        "dicts": ROWS,
        "a generator": (dict(row) for row in ROWS),
        "a table": table,
        "a batch": table.to_batches()[0],
        "batches": iter(table.to_batches(max_chunksize=1)),
        "a reader": table.to_reader(),
        "pandas": pd.DataFrame(ROWS),
        "pandas records": pd.DataFrame(ROWS).astype({"id": "Int64"}).to_dict("records"),
        "polars": pl.DataFrame(ROWS),
        "numpy values": [
            {**row, "id": np.int64(row["id"]), "tags": row["tags"] and np.array(row["tags"])}
            for row in ROWS
        ],
        "products": products_to_batch(ROWS),
    }
    for kind, products in kinds.items():
        assert listed(products) == EXPECTED, kind


def test_a_frame_that_only_has_to_arrow() -> None:
    class Frame:
        def to_arrow(self) -> pa.Table:
            return pa.table({"ID": ["a"], "title": ["x"]})

    assert [row["id"] for row in listed(Frame())] == ["a"]


def test_batches_stream_and_have_the_asked_size() -> None:
    taken = []

    def rows() -> Iterator[dict[str, object]]:
        for i in range(100):
            taken.append(i)
            yield {"id": i, "title": "x"}

    batches = as_batches(rows(), batch_size=30)
    assert next(batches).num_rows == 30
    assert len(taken) == 30
    assert [batch.num_rows for batch in batches] == [30, 30, 10]
    assert products_to_batch(rows()).num_rows == 100


def test_no_products_are_an_empty_batch() -> None:
    kinds: list[Any] = [[], pl.DataFrame({"id": [], "title": []}), iter(())]
    for nothing in kinds:
        batch = products_to_batch(nothing)
        assert batch.schema.equals(PRODUCT_SCHEMA)
        assert batch.num_rows == 0


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"title": "x"}, "no id"),
        ({"id": "b"}, "no title and no description"),
        ({"id": "a", "title": "x"}, "id 'a' was there before"),
        ({"id": "b", "title": ["x"]}, "title: ['x'] is a list, not text"),
        ({"id": "b", "title": "x", "tags": ["颜色:"]}, "names no tag"),
        ("b", "not a dict"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_bad_row_is_an_error_that_names_it(bad: object, reason: str, batch_size: int) -> None:
    with pytest.raises(CatalogError) as caught:
        list(as_batches([{"id": "a", "title": "x"}, bad], batch_size))
    assert str(caught.value).startswith("Product 2 ")
    assert reason in str(caught.value)
    assert caught.value.row == 2


def test_a_bad_row_of_a_frame_is_named_across_batches() -> None:
    frame = pl.DataFrame({"id": [*map(str, range(50)), None], "title": ["x"] * 51})
    with pytest.raises(CatalogError, match="Product 51 cannot be used: no id"):
        list(as_batches(frame, 20))


def test_what_holds_no_products_is_refused() -> None:
    with pytest.raises(CatalogError, match="from a single dict"):
        listed({"id": "a", "title": "x"})
    with pytest.raises(CatalogError, match="from a single int"):
        listed(5)
    with pytest.raises(
        CatalogError, match=r"no column 'title'.*Rename the column 'name' to 'title'"
    ):
        listed(pd.DataFrame({"id": [1], "name": ["x"]}))
    with pytest.raises(CatalogError, match="DataFrame cannot be turned into Arrow"):
        listed(pd.DataFrame({"id": [1, 2], "title": ["x", 3]}))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("<p>电话：138&nbsp;0013&#160;8002</p>", "电话：138 0013 8002"),
        ("Home &gt; Kitchen<br/>x", "Home > Kitchen x"),
        ("<span class='a'>Tom</span> &amp; <b>Jerry</b>", "Tom & Jerry"),
        *(
            (plain, plain)
            for plain in ("A < B", "AT&T", "R&D; x", "I <3 you", "T恤 <M> <XL> <A>款")
        ),
    ],
)
def test_html_is_no_part_of_a_title_category_or_attribute(written: str, kept: str) -> None:
    values = [written, "plain"]
    maps = pa.map_(pa.string(), pa.string())
    table = pa.table({
        "id": ["1", "2"], "title": values, "category": values,
        "attributes": pa.array([[("a", value)] for value in values], maps),
    })  # fmt: skip
    for products in (table, table.to_pylist(maps_as_pydicts="strict")):
        row, plain = listed(products)
        assert row["title"] == row["category"] == kept
        assert " ".join(row["attributes"][0][1].split()) == kept
        assert plain["attributes"] == [("a", "plain")]


def test_an_entity_does_not_end_an_attribute() -> None:
    cell = "电话=138&nbsp;0013&nbsp;8005;品牌=A&amp;B<br>颜色=红"
    (row,) = listed([{"id": "1", "title": "x", "attributes": cell}])
    assert row["attributes"] == [("电话", "138 0013 8005"), ("品牌", "A&B"), ("颜色", "红")]
