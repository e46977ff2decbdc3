"""From text to scores: one file per source, `fusion` to weigh them, `model` to keep them.

`TAGGERS` is the table of sources that need no training of their own. A package adds one by an
entry point of the group `tagmill.taggers`; `tagmill train --tagger NAME` puts it to use.
`PROPOSERS` is the table of what finds names that no library has.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, cast

from tagmill.errors import UnknownTagger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tagmill.library.vocabulary import Library
    from tagmill.records import Proposer, Tagger

__all__ = ["ENTRY_POINTS", "PROPOSERS", "TAGGERS", "make_proposer", "make_tagger"]

TAGGERS: dict[str, str] = {
    "lexicon": "tagmill.tagging.lexicon:LexiconTagger",
}
PROPOSERS: dict[str, str] = {
    "spans": "tagmill.tagging.proposer:SpanProposer",  # of a trained model
    "llm": "tagmill.tagging.proposer:LlmProposer",  # of a model and who asks a large one
}
ENTRY_POINTS = "tagmill.taggers"


def make_tagger(name: str, library: Library) -> Tagger:
    """The tagger of a name for a library; UnknownTagger lists the known names."""
    found = {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}
    known = TAGGERS | found
    if name not in known:
        raise UnknownTagger(f"Unknown tagger '{name}'. Known: {', '.join(sorted(known))}")
    make = cast("Callable[[Library], Tagger]", _load(f"tagger '{name}'", known[name]))
    return make(library)


def make_proposer(name: str, *parts: object) -> Proposer:
    """The proposer of a name, of the parts it is made of: see `PROPOSERS`.

    Raises UnknownTagger with the known names, NotTrained for a model without an extractor.
    """
    if name not in PROPOSERS:
        raise UnknownTagger(f"Unknown proposer '{name}'. Known: {', '.join(sorted(PROPOSERS))}")
    make = cast("Callable[..., Proposer]", _load(f"proposer '{name}'", PROPOSERS[name]))
    return make(*parts)


def _load(what: str, path: str) -> object:
    """What stands at `module:attribute`; UnknownTagger where there is nothing."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UnknownTagger(f"The {what} ({path}) cannot be loaded: {error}") from error
