"""Names that the library lacks: counted over a pass, or kept as the workspace's proposals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow as pa

from tagmill.library import Library
from tagmill.library.matching import Matcher
from tagmill.library.stored import load_library
from tagmill.records import Candidate, parse_tag, tag_text
from tagmill.store import NewName, Store
from tagmill.text import normal_form

__all__ = ["NameKeeper", "NewNames", "keep_given", "named_by"]

_EXAMPLES = 3  # of products, for each new name


@dataclass
class NewNames:
    """Names that are not in the library, by any proposer."""

    entries: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.entries)

    def count(self, products: pa.RecordBatch, candidates: Iterable[Candidate]) -> None:
        """Add the names that a batch's products gave."""
        ids = products.column("id")
        for one in candidates:
            entry = self.entries.setdefault(
                (one.facet, normal_form(one.name)),
                {"facet": one.facet, "name": one.name, "products": 0, "examples": []},
            )
            entry["products"] += 1
            if len(entry["examples"]) < _EXAMPLES and one.evidence is not None:
                example = {"id": ids[one.row].as_py(), **asdict(one.evidence)}
                entry["examples"].append(example)

    def proposals(self) -> list[dict[str, Any]]:
        """`{"facet", "name", "products", "examples"}` of each, the most frequent first."""
        return sorted(self.entries.values(), key=lambda entry: -entry["products"])


class NameKeeper:
    """Keeps names that a library lacks as the workspace's proposals.

    A name that differs from a tag's only in how it is written is no proposal. A facet is noted
    under its key, whatever language it is named in.
    """

    def __init__(self, store: Store, library: Library) -> None:
        self._store, self._library = store, library
        self._matcher: Matcher | None = None

    def keep(self, names: Iterable[NewName]) -> int:
        """How many of the names are new."""
        new = []
        for one in names:
            facet = self._library.facet_named(one.facet)
            known = one if facet is None else replace(one, facet=facet.key)
            if self._library.find(tag_text(known.facet, known.name)) is None:
                self._matcher = self._matcher or Matcher(self._library)
                match = self._matcher.match(known.name, known.facet)
                if match is None or not match.certain:
                    new.append(known)
        return self._store.proposals.add(new) if new else 0


def keep_given(store: Store) -> int:
    """Keep what people wrote on products of the catalogue and the library lacks; how many names
    are new."""
    library = load_library(store)
    unknown = {text for text in store.assignments.written() if library.find(text) is None}
    keeper, new = NameKeeper(store, library), 0
    for batch in store.products.of_ids(store.assignments.products_of(unknown)):
        columns = (batch.column(name).to_pylist() for name in ("id", "tags"))
        new += keeper.keep(
            NewName(product_id, *parse_tag(text), "person")
            for product_id, tags in zip(*columns, strict=True)
            for text in tags or ()
            if text in unknown
        )
    return new


def named_by(
    products: pa.RecordBatch, candidates: Iterable[Candidate], source: str
) -> Iterator[NewName]:
    """The candidates of a batch, each with its product and who named it."""
    ids = products.column("id")
    for one in candidates:
        evidence = None if one.evidence is None else asdict(one.evidence)
        yield NewName(ids[one.row].as_py(), one.facet, one.name, source, evidence)
