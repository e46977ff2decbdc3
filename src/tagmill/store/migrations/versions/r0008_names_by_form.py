"""Names are found by their form alone, whatever facet they are of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "ALTER TABLE tag_names DROP CONSTRAINT tag_names_pkey, "
            "ADD PRIMARY KEY (normal_form, facet)"
        )
        return
    op.create_table(
        "tag_names_by_form",
        sa.Column("normal_form", sa.Text, primary_key=True),
        sa.Column("facet", sa.Text, primary_key=True),
        sa.Column("tag_id", sa.Text, nullable=False),
    )
    op.execute(
        "INSERT INTO tag_names_by_form (normal_form, facet, tag_id) "
        "SELECT normal_form, facet, tag_id FROM tag_names ORDER BY normal_form, facet"
    )
    op.drop_table("tag_names")
    op.rename_table("tag_names_by_form", "tag_names")
    op.create_index("tag_names_tag", "tag_names", ["tag_id"])
