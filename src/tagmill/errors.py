"""Every error tagmill raises on purpose, in one tree.

TagmillError
├── SettingsError            tagmill.toml or a TAGMILL_* variable is wrong
├── CatalogError             a source of products cannot be read (file, row)
├── LanguageModelError       a large language model cannot be asked, or its reply not be used
│   ├── NeedsKey             the server wants a key, or refuses the one it was given
│   ├── BadReply             an answer that cannot be used: broken, cut off, refused, empty
│   ├── BudgetExceeded       the run has spent what it may; what was answered is stored
│   └── Offline              the settings forbid what would leave the machine
├── LibraryError             the tag library refuses
│   ├── UnknownTag           no tag of that name or id
│   └── TagConflict          two things claim the same name, or later changes depend on this one
├── TaggerError              a tagger or a model cannot do its work
│   ├── UnknownTagger        not a row of the table of taggers
│   ├── NotTrained           no model, or a damaged model folder
│   └── MissingExtra         an optional dependency is not installed
├── SearchError              a search is asked for what there is not: a sort, a cursor
│   └── UnknownProduct       no product of that id
└── StoreError               the database cannot be reached, or is not a tagmill database

A message names the thing, shows the value and says the next step.
"""

from __future__ import annotations

__all__ = [
    "BadReply",
    "BudgetExceeded",
    "CatalogError",
    "LanguageModelError",
    "LibraryError",
    "MissingExtra",
    "NeedsKey",
    "NotTrained",
    "Offline",
    "SearchError",
    "SettingsError",
    "StoreError",
    "TagConflict",
    "TaggerError",
    "TagmillError",
    "UnknownProduct",
    "UnknownTag",
    "UnknownTagger",
]


class TagmillError(Exception):
    """Root of the tree: catch it to catch all of them."""


class SettingsError(TagmillError):
    """A setting is missing, unknown or out of range."""


class CatalogError(TagmillError):
    """A source of products cannot be read; `file` and `row` say where (row counts from 1)."""

    def __init__(self, message: str, *, file: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.file = file
        self.row = row


class LanguageModelError(TagmillError):
    """A large language model cannot be asked, or its reply cannot be used; `model` names it."""

    def __init__(self, message: str, *, model: str = "") -> None:
        super().__init__(message)
        self.model = model


class NeedsKey(LanguageModelError):
    """The server wants a key, or refuses the one it was given."""


class BadReply(LanguageModelError):
    """The answer cannot be used: broken, cut off, refused or empty. The product has failed.

    `tokens` (input, cached input, output) are what the server counts for it all the same, 0 where
    it does not say; None: it was not billed.
    """

    def __init__(
        self, message: str, *, model: str = "", tokens: tuple[int, int, int] | None = None
    ) -> None:
        super().__init__(message, model=model)
        self.tokens = tokens


class BudgetExceeded(LanguageModelError):
    """The next request could cost more than is left; both in the currency of the prices."""

    def __init__(self, spent: float, budget: float, *, model: str = "") -> None:
        super().__init__(
            f"{spent:.4g} of the budget of {budget:.4g} are spent, and the next request may cost "
            "more than the rest. All answers so far are stored: to go on run the same command "
            "again, each time may spend as much, or with another --budget (llm.budget)",
            model=model,
        )
        self.spent = spent
        self.budget = budget


class Offline(LanguageModelError):
    """A call would leave the machine, and `privacy.offline` forbids it."""


class LibraryError(TagmillError):
    """The tag library refuses a change or a file."""


class UnknownTag(LibraryError):
    """No tag has that name or id; `nearest` lists the closest written forms."""

    def __init__(self, tag: str, nearest: tuple[str, ...] = ()) -> None:
        hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
        has_facets = any(":" in other for other in nearest)  # without one no tag is added there
        whole = f"FACET:{tag}" if has_facets and ":" not in tag else tag
        super().__init__(f"Unknown tag '{tag}'.{hint} Add it with: tagmill library add '{whole}'")
        self.tag = tag
        self.nearest = nearest


class TagConflict(LibraryError):
    """Two things claim the same name, or later changes depend on what should be undone."""


class TaggerError(TagmillError):
    """A tagger or a model cannot do its work."""


class UnknownTagger(TaggerError):
    """The name is no row of the table of taggers."""


class NotTrained(TaggerError):
    """There is no model, or its folder is damaged."""


class MissingExtra(TaggerError):
    """An optional dependency is not installed."""

    def __init__(self, needed_by: str, package: str, extra: str) -> None:
        super().__init__(
            f"{needed_by} needs {package}. Install with: pip install 'tagmill[{extra}]'"
        )
        self.package = package
        self.extra = extra


class SearchError(TagmillError):
    """A search is asked for something there is not: an unknown order, a broken cursor."""


class UnknownProduct(SearchError):
    """No product of that id."""

    def __init__(self, product: str) -> None:
        super().__init__(f"No product has the id '{product}'. See: tagmill products list")
        self.product = product


class StoreError(TagmillError):
    """The database cannot be reached, is locked, or is not a tagmill database."""
