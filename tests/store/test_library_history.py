"""Random changes of the library, taken back again."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagmill.errors import LibraryError, TagConflict
from tagmill.library import Library, write_csv
from tagmill.library.changes import (
    alias,
    describe,
    merge,
    move,
    remove_name,
    rename,
    restore,
    split,
)
from tagmill.library.stored import load_library
from tagmill.records import Facet, Tag
from tagmill.store import Store, open_store

NAMES = ["红色", "大红", "正红", "蓝", "棉", "麻", "Red", "Blue"]
FACETS = ["颜色", "材质"]


def library_of(store: Store, version: int | None = None) -> Library:
    tags, facets, known = store.library.load(version)[:3]
    return Library(tags, facets, version=known)


def written(store: Store, folder: Path, version: int | None = None) -> bytes:
    path = folder / "library.csv"
    write_csv(path, library_of(store, version))
    return path.read_bytes()


def change(library: Library, kind: str, choose: random.Random) -> list[Tag]:
    tags = list(library.tags.values())
    one, other = choose.choice(tags), choose.choice(tags)
    name = choose.choice(NAMES) + choose.choice(["", "2"])
    changes: dict[str, Callable[[], list[Tag]]] = {
        "add": lambda: [library.add(choose.choice(FACETS), name)],
        "alias": lambda: alias(library, one, name),
        "remove": lambda: remove_name(library, one, choose.choice([name, *one.aliases])),
        "describe": lambda: describe(library, one, name),
        "rename": lambda: rename(library, one, name, choose.choice([None, "en"])),
        "merge": lambda: merge(library, one, other),
        "split": lambda: split(library, one, [name, other.text]),
        "retire": lambda: [library.retire(one)],
        "restore": lambda: restore(library, one),
        "move": lambda: move(library, one, choose.choice([*FACETS, name]), [other]),
        "facet": lambda: [],
    }
    if kind == "facet":
        library.add_facet(Facet("颜色", {"en": name}, single=choose.random() < 0.5))
    return changes[kind]()


KINDS = [
    "add",
    "alias",
    "remove",
    "describe",
    "rename",
    "merge",
    "split",
    "retire",
    "restore",
    "move",
    "facet",
]


@pytest.mark.parametrize("at_once", [10**9, 0], ids=["all names", "names one by one"])
@given(st.lists(st.sampled_from([*KINDS, "undo", "undo", "undo"]), max_size=14), st.integers())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_undoing_a_change_gives_the_library_before_it(
    tmp_path: Path, at_once: int, steps: list[str], seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagmill.store.library._NAMES_AT_ONCE", at_once)
        _do_and_undo(tmp_path, steps, random.Random(seed))


def _do_and_undo(tmp_path: Path, steps: list[str], choose: random.Random) -> None:
    with open_store("sqlite://", create=True) as store:
        first = Library([], [Facet(key) for key in FACETS])
        added = [first.add("颜色", "红色"), first.add("颜色", "蓝"), first.add("材质", "棉")]
        store.library.save(added, list(first.facets.values()))
        states = {0: written(store, tmp_path, 0), 1: written(store, tmp_path)}
        for kind in steps:
            before = store.library.latest()
            try:
                if kind == "undo":
                    undone = choose.randint(1, before)
                    store.library.undo(undone)
                    if undone == before:
                        assert written(store, tmp_path) == states[before - 1]
                elif (library := library_of(store)).tags:
                    changed = change(library, kind, choose)
                    store.library.save(changed, list(library.facets.values()), kind=kind)
            except LibraryError:
                assert store.library.latest() == before  # all or nothing
            states[store.library.latest()] = written(store, tmp_path)
        for version, state in states.items():
            assert written(store, tmp_path, version) == state
        for version in range(store.library.latest(), 1, -1):  # all the way back
            store.library.undo(version)
            assert written(store, tmp_path) == states[version - 1]


def test_a_tag_does_not_come_back_without_its_facet(store: Store) -> None:
    library = Library([], [Facet("颜色")])
    store.library.save([library.add("颜色", "红色")], list(library.facets.values()))
    store.library.save([library.add("颜色", "蓝")], kind="add")
    store.library.undo(2)
    store.library.undo(1)
    with pytest.raises(TagConflict, match="was taken out since, by change 4"):
        store.library.undo(3)
    store.library.undo(4)
    store.library.undo(3)
    assert [tag.name for tag in library_of(store).tags.values()] == ["红色", "蓝"]


def test_undo_is_refused_where_later_changes_rest_on_it(store: Store) -> None:
    library = Library([], [Facet("颜色")])
    red, blue = library.add("颜色", "红色"), library.add("颜色", "蓝")
    store.library.save([red, blue], list(library.facets.values()), kind="import")
    store.library.save([library.add_alias(red, "大红")], kind="alias", who="lin")
    wine = library.update(library.add("颜色", "酒红"), broader=[blue.id])
    store.library.save([wine], kind="add")
    with pytest.raises(TagConflict, match=r"change 2 \(alias by lin"):
        store.library.undo(1)
    store.library.undo(2)
    with pytest.raises(TagConflict, match="change 4"):
        store.library.undo(2)
    with pytest.raises(TagConflict, match="rest on it"):
        store.library.undo(1)  # blue is above wine
    assert store.library.undo(4) == 5  # the alias is there again
    assert library_of(store).resolve("颜色:大红").id == red.id
    with pytest.raises(LibraryError, match="no change 9"):
        store.library.undo(9)
    with pytest.raises(LibraryError, match="no version 9"):
        store.library.load(9)


def test_a_name_that_was_taken_since_stops_an_undo(store: Store) -> None:
    library = Library([], [Facet("颜色")])
    red = library.add("颜色", "红色")
    store.library.save([red], list(library.facets.values()))
    store.library.save([library.retire(red)], kind="retire")
    store.library.save([library.add("颜色", "红色")], kind="add")
    with pytest.raises(TagConflict, match="红色"):
        store.library.undo(2)
    assert store.library.latest() == 3


def test_an_editor_who_did_not_see_a_change_is_told(store: Store) -> None:
    library = Library([], [Facet("颜色")])
    red, blue = library.add("颜色", "红色"), library.add("颜色", "蓝")
    seen = store.library.save([red, blue], list(library.facets.values()))
    store.library.save([replace(red, description="x")], kind="describe", who="lin", seen=seen)
    with pytest.raises(TagConflict, match=r"change 2 \(describe by lin"):
        store.library.save([replace(red, aliases=("大红",))], seen=seen)
    assert store.library.save([replace(blue, aliases=("天蓝",))], seen=seen) == 3


def test_a_move_into_a_new_facet_is_undone_where_nothing_else_is_in_it(store: Store) -> None:
    library = Library([], [])
    red, silk = library.add("颜色", "红色"), library.add("材质", "真丝")
    store.library.save([red, silk], list(library.facets.values()))
    library = library_of(store)
    store.library.save(move(library, red, "新"), library.changed_facets(), kind="move")
    store.library.undo(2)
    assert [facet.key for facet in library_of(store).facets.values()] == ["颜色", "材质"]
    store.library.undo(3)
    library = library_of(store)
    store.library.save(move(library, silk, "新"), kind="move", who="lin")
    with pytest.raises(TagConflict, match=r"rest on it: change 5 \(move by lin"):
        store.library.undo(4)


def test_a_tag_does_not_move_back_into_a_facet_that_was_taken_out(store: Store) -> None:
    store.library.save([], [Facet("颜色"), Facet("新")])
    store.library.save([], [Facet("旧")], kind="facet")
    library = library_of(store)
    red = library.add("旧", "红色")
    store.library.save([red], kind="add")
    store.library.save(move(library, red, "新"), kind="move")
    store.library.undo(2)
    with pytest.raises(TagConflict, match="was taken out since, by change 5"):
        store.library.undo(4)


def test_two_people_cannot_make_one_facet_in_two_spellings(store: Store) -> None:
    store.library.save([], [Facet("颜色")])
    first, second, third = (library_of(store) for _ in range(3))
    store.library.save([first.add("Zeta", "one")], first.changed_facets(), seen=first.version)
    own = [second.add("zeta", "two")]
    with pytest.raises(TagConflict, match=r"facet 'Zeta' changed since .*version 1.*by change 2"):
        store.library.save(own, second.changed_facets(), seen=second.version)
    third.add_facet(Facet("颜色", {"en": "ZETA"}))
    with pytest.raises(TagConflict, match="by change 2"):
        store.library.save([], third.changed_facets(), seen=third.version)
    with pytest.raises(TagConflict, match="'Zeta' and 'zeta' are both called 'zeta'"):
        store.library.save(own, second.changed_facets())
    store.library.undo(2)
    store.library.save(own, second.changed_facets())
    with pytest.raises(TagConflict, match="both called"):
        store.library.undo(3)


def test_no_tag_is_stored_into_a_facet_that_somebody_took_out(store: Store) -> None:
    store.library.save([], [Facet("颜色")])
    store.library.save([], [Facet("新")], kind="facet")
    library = library_of(store)
    store.library.undo(2)
    added = library.add("新", "红色")
    with pytest.raises(TagConflict, match="facet '新' changed since .* by change 3"):
        store.library.save([added], library.changed_facets(), seen=library.version)


def test_a_library_that_holds_one_facet_twice_says_how_to_mend_it(store: Store) -> None:
    store.library.save([], [Facet("Zeta")])
    with pytest.MonkeyPatch.context() as patch:  # an earlier tagmill let this happen
        patch.setattr(type(store.library), "_refuse_shared_names", lambda *_: None)
        store.library.save([], [Facet("zeta")])
    with pytest.raises(TagConflict, match="both called 'zeta'.*tagmill library undo"):
        load_library(store)
    store.library.undo(2)
    assert list(load_library(store).facets) == ["Zeta"]


def test_two_people_cannot_put_tags_below_each_other(store: Store) -> None:
    library = Library([], [Facet("颜色")])
    red, blue, green = (library.add("颜色", name) for name in ("红色", "蓝", "绿"))
    store.library.save([red, library.update(blue, broader=[green.id]), green])
    first, second, third = (library_of(store) for _ in range(3))
    store.library.save(move(first, green, broader=[red]), kind="move", seen=first.version)
    with pytest.raises(TagConflict, match=r"changed since .*change 2 \(move"):
        store.library.save(move(second, red, broader=[blue]), kind="move", seen=second.version)
    store.library.save(move(third, blue, broader=[]), kind="move", seen=third.version)
    again = library_of(store)
    store.library.save(move(again, red, broader=[blue]), seen=again.version)
    with pytest.raises(TagConflict, match="rest on it: change 4"):
        store.library.undo(3)


_EDITOR = """
import sys
from tagmill.errors import TagConflict
from tagmill.library import Library
from tagmill.store import open_store
url, editor = sys.argv[1:]
done = conflicts = 0
with open_store(url) as store:
    while done < 10:
        tags, facets, version = store.library.load()[:3]
        library = Library(tags, facets, version=version)
        shared = library.resolve("颜色:红色")
        own = library.add_alias(shared, f"{editor}{done}")
        try:
            store.library.save([own], kind="alias", who=editor, seen=version)
            done += 1
        except TagConflict:
            conflicts += 1
print(done, conflicts)
"""


def test_two_processes_change_one_tag_and_nothing_is_lost(store: Store, store_url: str) -> None:
    library = Library([], [Facet("颜色")])
    store.library.save([library.add("颜色", "红色")], list(library.facets.values()))
    editors = [
        subprocess.Popen(
            [sys.executable, "-c", _EDITOR, store_url, editor], stdout=subprocess.PIPE, text=True
        )
        for editor in ("a", "b")
    ]
    outcomes = [editor.communicate(timeout=120)[0].split() for editor in editors]
    assert [done for done, _ in outcomes] == ["10", "10"]
    (tag,) = library_of(store).active()
    assert set(tag.aliases) == {f"{editor}{i}" for editor in "ab" for i in range(10)}
    assert store.library.latest() == 21
    assert {change.who for change in store.library.history()[1:]} == {"a", "b"}


def test_two_people_change_facets(store: Store) -> None:
    store.library.save([], [Facet("颜色"), Facet("材质")])
    first, second = library_of(store), library_of(store)
    first.add_facet(Facet("颜色", single=True))
    store.library.save([], first.changed_facets(), seen=first.version)
    added = second.add("材质", "棉")
    store.library.save([added], second.changed_facets(), seen=second.version)
    assert library_of(store).facets["颜色"].single  # the other one left it alone
    second.add_facet(Facet("颜色", {"en": "Colour"}))
    with pytest.raises(TagConflict, match=r"facet '颜色' changed since .*version 1.*by change 2"):
        store.library.save([], second.changed_facets(), seen=second.version)
    assert library_of(store).facets["颜色"] == Facet("颜色", single=True)
