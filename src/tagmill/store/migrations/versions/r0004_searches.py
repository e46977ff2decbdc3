"""Logged searches, and the number by which search notices a product that has no tags yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("products", sa.Column("text_change", _Number))
    op.create_index("products_text_change", "products", ["text_change"])
    op.create_table(
        "searches",
        sa.Column("id", _Number, primary_key=True),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("words", sa.JSON, nullable=False),
        sa.Column("results", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
