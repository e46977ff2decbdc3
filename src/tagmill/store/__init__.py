"""The one database: tables, migrations, products, assignments, runs, verdicts, library."""

from tagmill.store.assignments import Export
from tagmill.store.current import CURRENT_SCHEMA, EXPORT_SCHEMA
from tagmill.store.database import Store, has_store, open_store
from tagmill.store.library import LibraryChange, LibraryEntry
from tagmill.store.products import UpsertCounts
from tagmill.store.proposals import NewName, Proposal
from tagmill.store.runs import Run, UndoReport
from tagmill.store.verdicts import PERSON, Verdict

__all__ = [
    "CURRENT_SCHEMA",
    "EXPORT_SCHEMA",
    "PERSON",
    "Export",
    "LibraryChange",
    "LibraryEntry",
    "NewName",
    "Proposal",
    "Run",
    "Store",
    "UndoReport",
    "UpsertCounts",
    "Verdict",
    "has_store",
    "open_store",
]
