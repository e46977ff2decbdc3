"""A change of the library has entries; facets and tags have structure; new names wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "library_entries",
        sa.Column("version", _Number, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tag_id", sa.Text),
        sa.Column("before", sa.JSON),
        sa.Column("after", sa.JSON),
    )
    op.create_index("library_entries_tag", "library_entries", ["tag_id"])
    op.execute(
        "INSERT INTO library_entries (version, entry, tag_id, before, after) "
        "SELECT version, 0, tag_id, before, after FROM library_changes"
    )
    for name in ("tag_id", "before", "after"):
        op.drop_column("library_changes", name)
    op.add_column("library_changes", sa.Column("undoes", _Number))
    for column in (
        sa.Column("single", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("only_for", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("value_kind", sa.Text, nullable=False, server_default="text"),
        sa.Column("unit", sa.Text, nullable=False, server_default=""),
        sa.Column("matches", sa.JSON, nullable=False, server_default="[]"),
    ):
        op.add_column("facets", column)
    for name in ("broader", "matches", "split_into"):
        op.add_column("tags", sa.Column(name, sa.JSON, nullable=False, server_default="[]"))
    op.add_column("runs", sa.Column("library_change", sa.BigInteger))
    op.add_column("runs", sa.Column("valid_to", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE runs SET valid_to = library_version")
    _create_proposals()


def _create_proposals() -> None:
    op.create_table(
        "proposals",
        sa.Column("id", _Number, primary_key=True),
        sa.Column("facet", sa.Text, nullable=False),
        sa.Column("normal_form", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("tag_id", sa.Text),
        sa.Column("change", sa.BigInteger),
        sa.Column("searches", sa.BigInteger, nullable=False),
        sa.Column("by_rule", sa.Boolean, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("first_seen", sa.Text, nullable=False),
        sa.Column("decided", sa.Text),
        sa.UniqueConstraint("facet", "normal_form", name="proposals_name"),
    )
    op.create_table(
        "proposal_support",
        sa.Column("proposal_id", _Number, primary_key=True, autoincrement=False),
        sa.Column("product_id", _Id, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("evidence", sa.JSON),
        sa.Column("at", sa.Text, nullable=False),
    )
