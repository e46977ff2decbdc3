"""The libraries that ship with tagmill: common tags of products, articles and replies."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

from tagmill.errors import LibraryError
from tagmill.library.exchange import parse_csv, read_csv
from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag

if TYPE_CHECKING:
    from tagmill.language.profiles import Profile

__all__ = ["starter_library"]

_FOLDER = "data/starter"


def starter_library(profile: Profile | None = None) -> Library:
    """A fresh copy of the starter library of a profile, or of products.

    It has the profile's facets, also those without a tag yet. Raises LibraryError where a
    profile's own CSV file cannot be read, TagConflict where its facets share a name.
    """
    own = profile.library if profile is not None else None
    library = _of_products() if own is None else Library(*read_csv(own))
    for key, names in profile.facets.items() if profile is not None else ():
        known = library.facets.get(key)
        library.add_facet(Facet(key, {**names, **(known.names if known else {})}))
    return library


def _of_products() -> Library:
    """Read from the package's `data/starter/*.csv`.

    Canonical names and facet keys are Chinese; both have names for `zh` and `en`.
    """
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
