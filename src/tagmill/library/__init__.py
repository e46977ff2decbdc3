"""The tag vocabulary: names to tags, changes, exchange with files, the starter library."""

from tagmill.library.exchange import export_library, import_file, read_csv, write_csv
from tagmill.library.importing import Imported, import_tags
from tagmill.library.starter import starter_library
from tagmill.library.vocabulary import Library

__all__ = [
    "Imported",
    "Library",
    "export_library",
    "import_file",
    "import_tags",
    "read_csv",
    "starter_library",
    "write_csv",
]
