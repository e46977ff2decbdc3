"""Names of a stored library that are read when they are asked for; on both databases."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tagmill.errors import LibraryError, TagConflict
from tagmill.library import Library, import_tags
from tagmill.library.changes import merge
from tagmill.library.stored import load_library
from tagmill.records import Facet
from tagmill.store import Store
from tagmill.store.library_names import StoredNames
from tests.store.samples import make_tag

FACETS = ("颜色", "材质", "")
WORDS = ("红", "蓝", "绿", "Teal", "Navy Blue", "teal", "真丝")


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagmill.store.library._NAMES_AT_ONCE", 0)


def _fill(store: Store, choose: random.Random) -> None:
    library = Library([], [Facet(key) for key in FACETS if key])
    for number in range(40):
        name = f"{choose.choice(WORDS)}{choose.choice(['', number])}"
        aliases = [f"{choose.choice(WORDS)} {choose.randrange(60)}"]
        try:
            tag = library.add(choose.choice(FACETS), name, aliases=aliases)
            if choose.random() < 0.2:
                library.retire(tag)
        except TagConflict:
            continue
    store.library.save(library.tags.values(), list(library.facets.values()))


def _answers(library: Library, steps: list[tuple[str, str, str]]) -> list[Any]:
    """What a library says and does, step by step."""
    said: list[Any] = []
    for what, facet, name in steps:
        text = f"{facet}:{name}" if facet else name
        try:
            if what == "find":
                said.append(library.find(text))
            elif what == "nearest":
                said.append(library.nearest(text))
            elif what == "alias":
                tag = sorted(library.active(), key=lambda one: one.id)[0]
                said.append(library.add_alias(tag, name))
            elif what == "retire":
                said.append(library.retire(library.resolve(text)))
            elif what == "merge":
                first, second = sorted(library.active(), key=lambda one: one.id)[:2]
                said.append(merge(library, first, second))
            else:
                said.append(library.add(facet, name))
        except LibraryError as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize("seed", range(8))
def test_a_library_answers_as_if_all_were_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    choose = random.Random(seed)
    _fill(store, choose)
    kinds = ("find", "find", "find", "alias", "retire", "add", "merge", "nearest")
    steps = [
        (choose.choice(kinds), choose.choice(FACETS),
         choose.choice([choose.choice(WORDS), f"{choose.choice(WORDS)} {choose.randrange(60)}"]))
        for _ in range(60)
    ]  # fmt: skip
    whole = load_library(store)
    monkeypatch.setattr("tagmill.store.library._NAMES_AT_ONCE", 0)
    assert isinstance(store.library.load().names, StoredNames)
    lazy = load_library(store)
    expected = _answers(whole, steps)
    assert _answers(lazy, steps) == expected
    monkeypatch.setattr("tagmill.library.vocabulary._PATIENCE", 0)
    impatient = load_library(store)
    assert _answers(impatient, steps) == expected
    assert impatient._living.store is None


def test_an_import_asks_for_many_names_at_once(store: Store, one_by_one: None) -> None:
    old = [make_tag("颜色", f"色{i}", f"Shade {i}") for i in range(50)]
    store.library.save(old, [Facet("颜色")])
    asked: list[int] = []

    class Counting(StoredNames):
        def of(self, forms: Any) -> Any:  # noqa: ANN401
            asked.append(len(forms))
            return super().of(forms)

    stored = store.library.load()
    names = Counting(store._database, stored.tags)
    library = Library(stored.tags, stored.facets, version=stored.version, names=names)
    changed = [replace(tag, names={"en": f"Tone {i}"}) for i, tag in enumerate(old)]
    report = import_tags(library, [*changed, make_tag("颜色", "新")], [])
    assert len(report.changed) == 51
    assert len(asked) == 1
    store.library.save(report.changed, seen=library.version)
    assert load_library(store).resolve("颜色:tone 7").id == old[7].id


def test_what_somebody_adds_meanwhile_is_no_tag_of_this_library(
    store: Store, one_by_one: None
) -> None:
    store.library.save([make_tag("颜色", "红色")], [Facet("颜色")])
    library = load_library(store)
    store.library.save([make_tag("颜色", "蓝色")])
    assert library.find("颜色:蓝色") is None
    added = library.add("颜色", "蓝色")
    with pytest.raises(TagConflict, match="蓝色|changed since"):
        store.library.save([replace(added, id="another")], seen=library.version)
