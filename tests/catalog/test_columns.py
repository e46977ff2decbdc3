from __future__ import annotations

import pytest

from tagmill.catalog.columns import choose_columns
from tagmill.errors import CatalogError


def test_fields_are_found_by_name_in_any_case() -> None:
    columns = choose_columns("x.csv", ["ID", " Title ", "price", "tags"], {})
    assert columns.fields == {"id": "ID", "title": " Title ", "tags": "tags"}


def test_mapped_columns_are_not_used_twice() -> None:
    columns = choose_columns(
        "x.csv",
        ["sku", "description", "brand", "sale"],
        {"id": "sku", "title": "description", "attributes.品牌": "brand", "numbers.price": "sale"},
    )
    assert columns.fields == {"id": "sku", "title": "description"}
    assert columns.attributes == {"品牌": "brand"}
    assert columns.numbers == {"price": "sale"}
    assert columns.read == ["sku", "description", "brand", "sale"]


@pytest.mark.parametrize(
    ("available", "message"),
    [
        (["sku", "title"], "no column 'id'. Columns: sku, title. Map it with: --map id=sku"),
        (["id", "product_name"], "--map title=product_name"),
        (
            ["商品编号", "商品名称"],
            "no column 'id', 'title' or 'description'. Columns: 商品编号, 商品名称. "
            "Map it with: --map id=商品编号 --map title=商品名称",
        ),
        (["id", "商品名称", "价格"], "--map title=商品名称"),
        (["id", "Produkt_Title"], "--map title=Produkt_Title"),
        (["id", "prodct_name"], "--map title=prodct_name"),
        (["id", "price"], "no column 'title' or 'description'. Columns: id, price"),
    ],
)
def test_a_missing_column_names_those_there_are_and_the_likely_one(
    available: list[str], message: str
) -> None:
    with pytest.raises(CatalogError) as caught:
        choose_columns("x.csv", available, {})
    assert str(caught.value).startswith("x.csv has no column")
    assert message in str(caught.value)


def test_wrong_mappings_are_refused() -> None:
    with pytest.raises(CatalogError, match=r"no field 'titel'.*Did you mean 'title'"):
        choose_columns("x.csv", ["id", "name"], {"titel": "name"})
    with pytest.raises(CatalogError, match=r"no column 'nam', which is mapped to title"):
        choose_columns("x.csv", ["id", "name"], {"title": "nam"})
    with pytest.raises(CatalogError, match="2 columns named 'title'"):
        choose_columns("x.csv", ["id", "title", "title"], {})


def test_an_open_ended_source_may_bring_columns_later() -> None:
    columns = choose_columns("x.jsonl", ["id", "title"], {"image": "photo"}, open_ended=True)
    assert columns.fields["image"] == "photo"
    assert columns.fields["description"] == "description"
    with pytest.raises(CatalogError, match="no column 'id'"):
        choose_columns("x.jsonl", ["title"], {}, open_ended=True)
