"""The tag vocabulary: names to tags, changes, exchange with files, the starter library."""

from tagmill.library.exchange import Imported, import_tags, merge_csv, read_csv, write_csv
from tagmill.library.starter import starter_library
from tagmill.library.vocabulary import Library

__all__ = [
    "Imported",
    "Library",
    "import_tags",
    "merge_csv",
    "read_csv",
    "starter_library",
    "write_csv",
]
