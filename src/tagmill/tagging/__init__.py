"""From text to scores: one file per source, `fusion` to weigh them, `model` to keep them.

`TAGGERS` is the table of sources that need no training of their own. A package adds one by an
entry point of the group `tagmill.taggers`; `tagmill train --tagger NAME` puts it to use.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, cast

from tagmill.errors import UnknownTagger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tagmill.library.vocabulary import Library
    from tagmill.records import Tagger

__all__ = ["ENTRY_POINTS", "TAGGERS", "make_tagger"]

TAGGERS: dict[str, str] = {
    "lexicon": "tagmill.tagging.lexicon:LexiconTagger",
}
ENTRY_POINTS = "tagmill.taggers"


def make_tagger(name: str, library: Library) -> Tagger:
    """The tagger of a name for a library; UnknownTagger lists the known names."""
    found = {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}
    known = TAGGERS | found
    if name not in known:
        raise UnknownTagger(f"Unknown tagger '{name}'. Known: {', '.join(sorted(known))}")
    module, _, attribute = known[name].partition(":")
    try:
        make = cast("Callable[[Library], Tagger]", getattr(import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise UnknownTagger(
            f"The tagger '{name}' ({known[name]}) cannot be loaded: {error}"
        ) from error
    return make(library)
