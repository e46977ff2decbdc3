from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tagmill.catalog import open_catalog
from tagmill.errors import CatalogError
from tests.catalog.reading import products


def fill(url: str) -> None:
    """A shop's table `goods` with three products, one of them without a name."""
    metadata = sa.MetaData()
    goods = sa.Table(
        "goods",
        metadata,
        sa.Column("sku", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("details", sa.JSON),
        sa.Column("labels", sa.Text),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("added", sa.DateTime),
    )
    sa.Table("orders", metadata, sa.Column("number", sa.Integer, primary_key=True))
    engine = sa.create_engine(url)
    metadata.create_all(engine)
    rows: list[dict[str, object]] = [
        {"sku": 1, "name": "高清液晶电视", "details": {"分辨率": "4K", "功能": ["HDR", "投屏"]},
         "labels": "类别:电视|new", "price": 1999},
        {"sku": 2, "name": None, "details": None, "labels": None, "price": None},
        {"sku": 3, "name": "100% cotton shirt", "details": {}, "labels": "", "price": 9.5},
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(sa.insert(goods), rows)
    engine.dispose()


MAPPING = {
    "id": "sku",
    "title": "name",
    "attributes": "details",
    "tags": "labels",
    "attributes.price": "price",
}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """A shop's database, of each kind in turn."""
    found = str(request.getfixturevalue(f"{request.param}_url"))
    fill(found)
    return found


def test_a_table(url: str, tmp_path: Path) -> None:
    rejects = tmp_path / "out.jsonl"
    catalog = open_catalog(url, table="goods", mapping=MAPPING, rejects=rejects)
    television, shirt = products(catalog)
    assert television["id"] == "1"
    assert television["language"] == "zh-Hans"
    assert television["attributes"] == [
        ("分辨率", "4K"), ("功能", "HDR"), ("功能", "投屏"), ("price", "1999"),
    ]  # fmt: skip
    assert television["tags"] == ["类别:电视", "new"]
    assert (shirt["tags"], shirt["attributes"]) == (None, [("price", "9.5")])
    assert catalog.unread_columns == ["added"]
    assert '"line": 2, "reason": "no title and no description"' in rejects.read_text()


def test_a_query_is_run_as_it_is_written(url: str) -> None:
    query = "SELECT sku AS id, name AS title, 'a:b' AS category FROM goods WHERE name LIKE '100%'"
    (shirt,) = products(open_catalog(url, query=query))
    assert (shirt["id"], shirt["title"], shirt["category"]) == ("3", "100% cotton shirt", "a:b")


def test_a_view_and_a_column_in_another_case(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'CREATE VIEW "shop.view" AS SELECT sku AS "ID", name AS title FROM goods'
        )
    engine.dispose()
    assert [row["id"] for row in products(open_catalog(url, table="shop.view"))] == ["1", "3"]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM orders RETURNING number AS id, 'x' AS title",
        "DELETE FROM orders",
        "DROP TABLE orders",
        "INSERT INTO orders VALUES (2)",
    ],
)
def test_nothing_can_be_written(url: str, query: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO orders VALUES (1)")
    with pytest.raises(CatalogError, match="Cannot read"):
        products(open_catalog(url, query=query))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM orders").scalar_one() == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("table", "query", "message"),
    [
        (None, None, "--table NAME or --query SQL, one of the two. Tables: goods, orders"),
        ("goods", "SELECT 1", "one of the two"),
        ("good", None, "has no table 'good'. Tables: goods, orders"),
        (None, "SELEC 1", "Cannot read"),
        (None, "SELECT * FROM nothing", "nothing"),
        ("goods", None, "no column 'id', 'title' or 'description'. Columns: sku, name, details, "
         "labels, price, added. Map it with: --map id=sku --map title=name"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_clear_error(
    url: str, table: str | None, query: str | None, message: str
) -> None:
    with pytest.raises(CatalogError) as caught:
        open_catalog(url, table=table, query=query)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_query_without_rows_is_refused(sqlite_url: str) -> None:
    fill(sqlite_url)
    with pytest.raises(CatalogError, match="'-- nothing' returns no rows"):
        open_catalog(sqlite_url, query="-- nothing")


def test_a_result_is_streamed(postgres_url: str) -> None:
    query = "SELECT generate_series(1, 1000000000000) AS id, 'x' AS title"
    batches = iter(open_catalog(postgres_url, query=query, batch_size=500))
    assert [next(batches).num_rows for _ in range(3)] == [500, 500, 500]


def test_a_schema_before_the_table(postgres_url: str) -> None:
    fill(postgres_url)
    short = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    catalog = open_catalog(short, table="public.goods", mapping=MAPPING)
    assert len(products(catalog)) == 2


def test_a_query_that_breaks_off_is_an_error(postgres_url: str) -> None:
    query = "SELECT i AS id, (100 / (3000 - i))::text AS title FROM generate_series(1, 5000) AS i"
    catalog = open_catalog(postgres_url, query=query, batch_size=100)
    with pytest.raises(CatalogError, match="division by zero"):
        products(catalog)
    assert catalog.counts.read >= 100


def test_urls_that_lead_nowhere(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with pytest.raises(CatalogError, match="there is no database file"):
        open_catalog(f"sqlite:///{missing}", table="goods")
    assert not missing.exists()
    with pytest.raises(CatalogError, match="an empty database in memory"):
        open_catalog("sqlite://", table="goods")
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(CatalogError, match="file is not a database"):
        open_catalog(f"sqlite:///{tmp_path / 'text.db'}", table="goods")
    with pytest.raises(CatalogError, match="no kind of database"):
        open_catalog("nosuch://host/shop", table="goods")
    with pytest.raises(CatalogError, match=r"database URL cannot be read") as caught:
        open_catalog("postgresql://me:secret@host:port/shop", table="goods")
    assert "secret" not in str(caught.value)


def test_messages_keep_the_password(tmp_path: Path) -> None:
    url = f"postgresql://me:secret@/shop?host={tmp_path}&password=secret"
    with pytest.raises(CatalogError, match="Cannot read postgresql") as caught:
        open_catalog(url, table="goods")
    assert "secret" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
