"""Numbered changes of the database, run by Alembic when a store is opened."""
