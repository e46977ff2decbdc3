"""How the library fares: what is unused, says nothing, says the same, or goes wrong.

Each finding names tags and the command that mends it; nothing is changed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tagmill.library import Library
from tagmill.library.duplicates import find_duplicates
from tagmill.library.stored import load_library
from tagmill.proposing import waiting
from tagmill.records import Tag
from tagmill.store import LibraryChange, Store, Verdict

__all__ = ["Finding", "Health", "library_health"]

_EVERYWHERE = 0.5  # share of all products: a tag that says so little of them
_ALWAYS = 0.95  # of the products of a tag: another one that always comes along
_FEWEST = 20  # products, or verdicts, below which nothing is said
_LEVEL = 0.05  # of the test that precision fell
_LIKELY = 0.9  # that two tags mean the same
_SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """One line of the report: what, how many, the first of them, and what mends it.

    `kind` is a key of the interface's messages; `examples` are tags as written, or pairs with
    what is said of them, or products; `command` is for the first example.
    """

    kind: str
    count: int
    examples: Sequence[str]
    command: str


@dataclass
class Health:
    """The report. Shares are in [0, 1]; `facets` by facet, `growth` by month."""

    version: int
    tags: dict[str, int]  # by status
    products: int
    tagged: int  # products with at least one tag
    tags_per_product: float
    facets_per_product: float
    findings: list[Finding] = field(default_factory=list)
    facets: list[dict[str, Any]] = field(default_factory=list)
    growth: list[dict[str, Any]] = field(default_factory=list)


def library_health(store: Store, least: int = 1) -> Health:
    """Look at the library, the tags of products, verdicts and history; `least` is the support
    from which a proposal is shown."""
    library = load_library(store)
    products, ids, matrix = _tags_of_products(store, library)
    counts = dict(zip(ids.tolist(), np.asarray(matrix.sum(axis=0), np.int64).tolist(), strict=True))
    total = store.products.count()
    sizes = np.diff(matrix.indptr)
    facets = _by_facet(library, ids, matrix, counts, total)
    covered = sum(entry["products"] for entry in facets)
    tagged = int((sizes > 0).sum())
    report = Health(
        library.version,
        dict(Counter(tag.status for tag in library.tags.values())),
        total,
        tagged,
        float(sizes.sum() / max(tagged, 1)),
        covered / max(tagged, 1),
        facets=facets,
        growth=_growth(store.library.history()),
    )
    report.findings = [
        *_by_use(library, counts, total),
        *_together(library, ids, matrix),
        *_alike(library),
        *_falling(library, store.verdicts.list(superseded=True)),
        *_overlapping(library),
        *_searched(library, counts, store, least),
        *_open(store, least),
        *_untagged(store, {*products[sizes > 0].tolist()}),
    ]
    return report


def _tags_of_products(
    store: Store, library: Library
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_], sparse.csr_array]:
    """Products (n,), the active tags (m,), and which have which, csr (n, m) of 1."""
    ids = np.array([tag.id for tag in library.active()], object)
    stored = store.assignments.matrix()
    place = {tag_id: i for i, tag_id in enumerate(ids)}
    entries = sparse.coo_array(stored.values)
    columns = np.array([place.get(tag_id, -1) for tag_id in stored.tag_ids], np.int64)[entries.col]
    kept = columns >= 0
    shape = len(stored.product_ids), len(ids)
    pairs = entries.data[kept], (entries.row[kept], columns[kept])
    return stored.product_ids, ids, sparse.csr_array(pairs, shape=shape)


def _by_facet(
    library: Library,
    ids: npt.NDArray[np.object_],
    matrix: sparse.csr_array,
    counts: dict[str, int],
    total: int,
) -> list[dict[str, Any]]:
    """Of each facet its tags, those used, and the share of products that have one."""
    entries = []
    active = library.active()
    owner = np.array([library.tags[tag_id].facet for tag_id in ids], object)
    for key in library.facets:
        own = [tag for tag in active if tag.facet == key]
        columns = np.flatnonzero(owner == key)
        given = np.diff(sparse.csr_array(matrix[:, columns]).indptr)
        products = int((given > 0).sum())
        entries.append(
            {
                "facet": key,
                "tags": len(own),
                "used": sum(counts.get(tag.id, 0) > 0 for tag in own),
                "products": products,
                "coverage": products / max(total, 1),
                "tags_per_product": float(given.sum() / max(products, 1)),
            }
        )
    return entries


def _by_use(library: Library, counts: dict[str, int], total: int) -> list[Finding]:
    """Tags of no product, of one, and of so many that they tell nothing apart."""
    active = library.active()
    broader = {identifier for tag in active for identifier in tag.broader}
    unused = [t for t in active if not counts.get(t.id) and t.id not in broader]
    once = [t for t in active if counts.get(t.id) == 1]
    wide = [t for t in active if total >= _FEWEST and counts.get(t.id, 0) > _EVERYWHERE * total]
    return [
        *_of_tags("unused", unused, "tagmill library retire '{}'"),
        *_of_tags("used_once", once, "tagmill library show '{}'"),
        *_of_tags("everywhere", wide, "tagmill library split '{}' …"),
    ]


def _together(
    library: Library, ids: npt.NDArray[np.object_], matrix: sparse.csr_array
) -> list[Finding]:
    """Tags that come with another nearly always: they imply it, or both are one."""
    both = sparse.coo_array(matrix.T @ matrix)
    counts = np.asarray(matrix.sum(axis=0))
    share = both.data / counts[both.row]
    often = (both.row != both.col) & (share >= _ALWAYS) & (counts[both.row] >= _FEWEST)
    pairs = {(int(a), int(b)) for a, b in zip(both.row[often], both.col[often], strict=True)}
    implied, same = [], []
    for a, b in sorted(pairs, key=lambda pair: -counts[pair[0]]):
        narrow, wide = library.tags[ids[a]], library.tags[ids[b]]
        if wide.id in library.ancestors(narrow) or narrow.facet != wide.facet:
            continue
        if (b, a) not in pairs:
            implied.append((narrow, wide))
        elif a < b:
            same.append((narrow, wide))
    return [
        *_of_pairs("implied", implied, "tagmill library move '{}' --broader '{}'"),
        *_of_pairs("together", same, "tagmill library merge '{}' '{}' --dry-run"),
    ]


def _alike(library: Library) -> list[Finding]:
    """Tags of a facet that mean the same by their names."""
    pairs = [one for one in find_duplicates(library) if one.probability >= _LIKELY]
    command = "tagmill library merge '{}' '{}' --dry-run"
    return _of_pairs("duplicates", [(one.a, one.b) for one in pairs], command)


def _falling(library: Library, verdicts: Sequence[Verdict]) -> list[Finding]:
    """Tags that people refuse more often lately than before (Fisher's exact test)."""
    from scipy.stats import fisher_exact

    given: dict[str, list[bool]] = {}
    for verdict in verdicts:
        tag = library.by_id(verdict.tag_id)
        if tag is not None and tag.status != "retired":
            given.setdefault(tag.id, []).append(verdict.accepted)
    falling: list[tuple[float, Tag, str]] = []
    for tag_id, outcomes in given.items():
        middle = len(outcomes) // 2
        before, lately = outcomes[:middle], outcomes[middle:]
        if len(outcomes) < _FEWEST:
            continue
        table = np.array([[sum(part), len(part) - sum(part)] for part in (before, lately)])
        if fisher_exact(table, alternative="greater").pvalue < _LEVEL:
            was, now = sum(before) / len(before), sum(lately) / len(lately)
            falling.append((now - was, library.tags[tag_id], f"{was:.0%} → {now:.0%}"))
    falling.sort(key=lambda entry: entry[0])
    if not falling:
        return []
    shown = [f"{tag.text} {change}" for _, tag, change in falling[:_SHOWN]]
    command = f"tagmill review list --facet '{falling[0][1].facet}'"
    return [Finding("falling", len(falling), shown, command)]


def _overlapping(library: Library) -> list[Finding]:
    """Names that tags of several facets share."""
    owners: dict[str, dict[str, Tag]] = {}
    for tag in library.active():
        for name in library.names_of(tag):
            owners.setdefault(library.form(name), {}).setdefault(tag.facet, tag)
    pairs: dict[tuple[str, str], tuple[Tag, Tag]] = {}
    for tags in owners.values():
        first, *others = tags.values()
        for other in others:
            pairs.setdefault((first.id, other.id), (first, other))
    command = "tagmill library duplicates --across-facets"
    return _of_pairs("overlapping", list(pairs.values()), command)


def _searched(
    library: Library, counts: dict[str, int], store: Store, least: int
) -> Iterable[Finding]:
    """Tags that people search for and hardly a product has."""
    asked: Counter[str] = Counter()
    for page in store.searches.pages():
        for search in page:
            found = (library.by_id(tag_id) for tag_id in search.tags)
            asked.update({tag.id for tag in found if tag is not None and tag.status == "active"})
    rare = [(n, library.tags[i]) for i, n in asked.most_common() if counts.get(i, 0) < n >= least]
    if rare:
        shown = [f"{tag.text} ({n}/{counts.get(tag.id, 0)})" for n, tag in rare[:_SHOWN]]
        yield Finding("searched", len(rare), shown, f"tagmill search '{rare[0][1].name}'")


def _open(store: Store, least: int) -> Iterable[Finding]:
    """What waits for people."""
    proposals = [one.proposal for one in waiting(store, least, neighbours=0)]
    if proposals:
        shown = [f"{one.facet}:{one.name}" for one in proposals[:_SHOWN]]
        yield Finding("proposals_open", len(proposals), shown, "tagmill library proposals")


def _untagged(store: Store, tagged: Set[str]) -> Iterable[Finding]:
    """Products without a tag, of which nobody said that none applies: a run tags those that it has
    not seen, a person the others."""
    lacking = [one for one in store.products.unlabelled() if one[0] not in tagged]
    unseen = [one for one, is_seen in lacking if not is_seen]
    if lacking:
        shown = (unseen or [one for one, _ in lacking])[:_SHOWN]
        command = "tagmill tag" if unseen else f"tagmill review accept '{shown[0]}' FACET:NAME"
        yield Finding("untagged", len(lacking), shown, command)


def _growth(history: Sequence[LibraryChange]) -> list[dict[str, Any]]:
    """Tags added and taken out by month, and how many were active at its end."""
    months: dict[str, Counter[str]] = {}
    for change in history:
        month = months.setdefault(change.at[:7], Counter())
        for entry in change.entries:
            if entry.tag_id is None:
                continue
            old, new = entry.before or {}, entry.after or {}
            before, after = old.get("status") == "active", new.get("status") == "active"
            merged = before and not after and new.get("merged_into") is not None
            month["added"] += after and not before
            month["merged"] += merged
            month["retired"] += before and not after and not merged
    entries, active = [], 0
    for name, month in sorted(months.items()):
        active += month["added"] - month["merged"] - month["retired"]
        changes = {key: month[key] for key in ("added", "merged", "retired")}
        entries.append({"month": name, **changes, "active": active})
    return entries


def _of_tags(kind: str, tags: Sequence[Tag], command: str) -> list[Finding]:
    if not tags:
        return []
    shown = [tag.text for tag in tags[:_SHOWN]]
    return [Finding(kind, len(tags), shown, command.format(shown[0]))]


def _of_pairs(kind: str, pairs: Sequence[tuple[Tag, Tag]], command: str) -> list[Finding]:
    if not pairs:
        return []
    shown = [f"{a.text} · {b.text}" for a, b in pairs[:_SHOWN]]
    return [Finding(kind, len(pairs), shown, command.format(pairs[0][0].text, pairs[0][1].text))]
