"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_products()
    _create_assignments()
    _create_runs()
    _create_library()
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "seq", "value": 0}])
    meta = op.create_table(
        "meta",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.bulk_insert(meta, [{"key": "application", "value": "tagmill"}])


def _create_products() -> None:
    op.create_table(
        "products",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("gone", sa.Boolean, nullable=False),
        sa.Column("snapshot", _Number),
        sa.Column("last_change", _Number),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("category", sa.Text),
        sa.Column("attributes", sa.JSON),
        sa.Column("image", sa.Text),
        sa.Column("language", sa.Text),
        sa.Column("tags", sa.JSON),
        sa.Column("first_seen", sa.Text, nullable=False),
        sa.Column("updated", sa.Text, nullable=False),
    )
    op.create_index("products_last_change", "products", ["last_change"])
    op.create_table(
        "changes",
        sa.Column("seq", _Number, primary_key=True, autoincrement=False),
        sa.Column("product_id", _Id, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("run_id", sa.Integer),
        sa.Column("content_hash", sa.Text),
        sa.Column("snapshot", _Number),
        sa.Column("previous", _Number),
        sa.Column("at", sa.Text, nullable=False),
    )


def _create_assignments() -> None:
    op.create_table(
        "assignments",
        sa.Column("seq", _Number, primary_key=True, autoincrement=False),
        sa.Column("rank", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tag_id", sa.Text, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("calibration", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("evidence", sa.JSON),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "verdicts",
        sa.Column("id", _Number, primary_key=True),
        sa.Column("product_id", _Id, nullable=False),
        sa.Column("tag_id", sa.Text, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_index("verdicts_pair", "verdicts", ["product_id", "tag_id", "id"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("library_version", sa.BigInteger, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
    )


def _create_library() -> None:
    op.create_table(
        "facets",
        sa.Column("key", _Id, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("names", sa.JSON, nullable=False),
    )
    op.create_table(
        "tags",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("facet", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("names", sa.JSON, nullable=False),
        sa.Column("aliases", sa.JSON, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("merged_into", sa.Text),
        sa.Column("created", sa.Text, nullable=False),
    )
    op.create_table(
        "tag_names",
        sa.Column("facet", sa.Text, primary_key=True),
        sa.Column("normal_form", sa.Text, primary_key=True),
        sa.Column("tag_id", sa.Text, nullable=False),
    )
    op.create_index("tag_names_tag", "tag_names", ["tag_id"])
    op.create_table(
        "library_changes",
        sa.Column("version", _Number, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("tag_id", sa.Text),
        sa.Column("before", sa.JSON),
        sa.Column("after", sa.JSON, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
