"""Run by Alembic: the revisions, on the connection and in the transaction it was handed."""

from __future__ import annotations

import logging

from alembic import context

from tagmill.store.tables import VERSION_TABLE

logging.getLogger("alembic").setLevel(logging.WARNING)

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
