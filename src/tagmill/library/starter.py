"""The library that ships with tagmill: common product tags in Chinese and English."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from tagmill.errors import LibraryError
from tagmill.library.exchange import parse_csv, read_csv
from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag

__all__ = ["starter_library"]

_FOLDER = "data/starter"


def starter_library(file: Path | None = None) -> Library:
    """A fresh copy of the starter library, read from the package's `data/starter/*.csv`.

    Canonical names and facet keys are Chinese; both have names for `zh` and `en`. With a `file`,
    such as `Profile.library`, the library of that file as it is.
    """
    if file is not None:
        return Library(*read_csv(file))
    folder = files("tagmill").joinpath(_FOLDER)
    parts = sorted(part.name for part in folder.iterdir() if part.name.endswith(".csv"))
    if not parts:
        raise LibraryError(f"The starter library is missing: no CSV file in {folder}. Reinstall")
    tags: list[Tag] = []
    facets: dict[str, Facet] = {}
    for part in parts:
        read_tags, read_facets = parse_csv(folder.joinpath(part).read_text("utf-8"), part)
        tags += [replace(tag, names={"zh": tag.name, **tag.names}) for tag in read_tags]
        for facet in read_facets:
            earlier = facets.get(facet.key, facet)
            names = {"zh": facet.key, **earlier.names, **facet.names}
            facets[facet.key] = replace(facet, names=names)
    return Library(tags, facets.values())
