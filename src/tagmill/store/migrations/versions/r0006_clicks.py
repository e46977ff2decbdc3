"""Events say which search they came from; events and forgetting are counted as they happen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO counters (name, value) SELECT 'events', count(*) FROM events")
    op.execute("INSERT INTO counters (name, value) VALUES ('forgotten', 0)")
    op.add_column("events", sa.Column("query", sa.Text))
    clicked = sa.text("query IS NOT NULL")
    op.create_index(
        "events_query", "events", ["id"], sqlite_where=clicked, postgresql_where=clicked
    )
    with op.batch_alter_table("searches") as searches:
        searches.alter_column("results", existing_type=sa.BigInteger, nullable=True)
