"""Rows of files that were imported and would change nothing if they came again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "imported_rows",
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.Column("tag_id", _Id, nullable=False),
    )
    op.create_index("imported_rows_tag", "imported_rows", ["tag_id"])
