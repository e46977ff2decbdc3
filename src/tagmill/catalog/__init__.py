"""Where products come from: files, SQL databases, and what is in memory."""

from tagmill.catalog.memory import as_batches, products_to_batch
from tagmill.catalog.source import Catalog, Counts, open_catalog
from tagmill.catalog.sync import ImportReport, SyncReport, import_products, sync_products

__all__ = [
    "Catalog",
    "Counts",
    "ImportReport",
    "SyncReport",
    "as_batches",
    "import_products",
    "open_catalog",
    "products_to_batch",
    "sync_products",
]
