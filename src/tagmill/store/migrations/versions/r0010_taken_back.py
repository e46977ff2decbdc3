"""What a person decided can be taken back: a verdict that is neither accept nor reject."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("verdicts") as table:  # SQLite copies it
        table.alter_column("accepted", existing_type=sa.Boolean, nullable=True)
