from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event as Signal

import numpy as np
import pytest
from scipy import sparse

from tagmill.discover import fitted
from tagmill.discover.item_model import fit_items, rarity_of, unit_rows
from tagmill.discover.recommend import Recommender, _varied, open_recommender
from tagmill.discover.shelf import Shelf, read_shelf
from tagmill.errors import SearchError, UnknownTag
from tagmill.library.changes import merge
from tagmill.library.stored import load_library
from tagmill.store import Store
from tagmill.store.events import Event, Kind
from tagmill.store.searches import StoredDocument
from tests.discover.shop import BAG, BLUE, DRESS, RED, SHOP, fill_shop
from tests.store.samples import entry, product, product_batch, tag_run

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def _event(user: str, product_id: str, kind: Kind = "view", day: int = 20) -> Event:
    return Event(user, product_id, kind, f"2026-11-{day:02}T00:00:00Z")


@pytest.fixture
def recommender(store: Store, tmp_path: Path) -> Recommender:
    fill_shop(store)
    store.events.add(
        [_event(f"u{i}", product_id) for i in range(60) for product_id in ("d1", "b1")]
        + [_event("bag fan", "b2", "like"), _event("dress fan", "d3")]
    )
    return open_recommender(store, tmp_path / "recommend")


def _ids(
    recommender: Recommender, user: str, *, limit: int = 20, exclude: Sequence[str] = ()
) -> list[str]:
    found = recommender.for_user(user, now=NOW, limit=limit, exclude=exclude)
    return [one.id for one in found]


def test_people_and_tags_speak_together(recommender: Recommender) -> None:
    recommender._store.events.add([_event("new", "d1")])
    found = recommender.for_user("new", now=NOW)
    assert found[0].id == "b1"  # sixty people had both
    assert found[0].why.because == "d1"
    assert found[0].why.kind == "view"
    assert "颜色:红色" in found[0].why.tags
    assert "d2" in [one.id for one in found]  # nobody met it: by its tags alone
    assert set(_ids(recommender, "dress fan")[:3]) & {"d1", "d2"}


def test_a_product_of_a_minute_ago_is_recommended_by_its_tags(recommender: Recommender) -> None:
    _ids(recommender, "dress fan")
    store = recommender._store
    store.products.upsert(product_batch(product("new", "蓝色 长款 连衣裙")))
    tag_run(store, {"new": [entry(DRESS, 0.98), entry(BLUE, 0.97)]})
    (first, *_) = recommender.for_user("dress fan", now=NOW)
    assert first.id == "new"
    assert first.why.because == "d3"
    assert set(first.why.tags) == {"品类:连衣裙", "颜色:蓝色"}
    assert [one.id for one in recommender.beside("new", limit=1)] == ["d3"]


def test_what_was_bought_or_disliked_never_comes_again(recommender: Recommender) -> None:
    store = recommender._store
    store.events.add(
        [_event("u", "d1"), _event("u", "b1", "purchase"), _event("u", "d3", "dislike")]
    )
    assert not {"b1", "d3"} & set(_ids(recommender, "u"))
    store.events.add([_event("v", "d1")])
    assert "b1" in _ids(recommender, "v")
    assert not {"b1", "b2"} & set(_ids(recommender, "v", exclude=["品类:手提包"]))
    with pytest.raises(UnknownTag):
        _ids(recommender, "v", exclude=["品类:没有"])


def test_rules_of_the_shop(recommender: Recommender, tmp_path: Path) -> None:
    store = recommender._store
    store.events.add([_event("v", "d1", day=1), _event("v", "b1", day=1)])
    usual = recommender.for_user("v", now=NOW)
    assert {"b1", "b2"} & {one.id for one in usual}
    ruled = open_recommender(store, tmp_path / "r", exclude=["品类:手提包"], half_life=1)
    found = ruled.for_user("v", now=NOW)
    assert found
    assert not {"b1", "b2"} & {one.id for one in found}
    assert not {"b1", "b2"} & {one.id for one in ruled.for_user("nobody", now=NOW)}
    assert found[0].score < 0.001 * usual[0].score


def test_what_was_bought_long_ago_stays_away(recommender: Recommender) -> None:
    store = recommender._store
    store.events.add([_event("u", "b1", "purchase", 1)])
    times = (f"2026-11-10T{i // 60:02}:{i % 60:02}:00Z" for i in range(600))
    store.events.add([Event("u", "d1", "view", at) for at in times])
    assert len(store.events.of_user("u")) == 500
    assert "b1" not in _ids(recommender, "u")


def test_somebody_who_only_dislikes_gets_what_others_like(recommender: Recommender) -> None:
    recommender._store.events.add([_event("grump", "d1", "dislike")])
    assert _ids(recommender, "grump", limit=1) == ["b1"]


def test_an_event_takes_effect_at_the_next_call_and_fades(recommender: Recommender) -> None:
    store = recommender._store
    store.events.add([_event("w", "d3", day=1)])
    before = recommender.for_user("w", now=NOW)
    store.events.add([_event("w", "b2", "cart", 25)])
    after = recommender.for_user("w", now=NOW)
    assert [one.id for one in before] != [one.id for one in after]
    later = recommender.for_user("w", now=datetime(2027, 11, 26, tzinfo=UTC))
    best = {one.id: one.score for one in after}
    assert all(one.score < best[one.id] for one in later if one.id in best)


def test_somebody_unknown_gets_what_people_like(recommender: Recommender) -> None:
    found = recommender.for_user("nobody", now=NOW, limit=2)
    assert {one.id for one in found} == {"d1", "b1"}
    assert found[0].why.because == ""


def test_a_list_is_varied(recommender: Recommender) -> None:
    shelf = recommender._ready().shelf
    scores = np.zeros(len(shelf.ids), np.float32)
    for product_id, score in (("d1", 1.0), ("d2", 0.9), ("b2", 0.8)):
        scores[shelf.place(product_id)] = score
    pool = np.argsort(-scores)[:3]
    chosen = _varied(shelf, scores, pool, 3)
    assert [shelf.ids[place] for place in chosen] == ["d1", "b2", "d2"]


def test_what_hardly_goes_with_a_product_fills_no_list(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would come for its variety, and be said to be alike."""
    joined = recommender._ready()
    scores = np.zeros(len(joined.shelf.ids), np.float32)
    for product_id, score in (("d2", 0.5), ("d3", 0.1), ("c1", 0.011), ("b2", 0.009)):
        scores[joined.shelf.place(product_id)] = score
    monkeypatch.setattr(type(joined), "scores", lambda self, weights: scores.copy())
    found = [one.id for one in recommender.beside("d1")]
    assert found == ["d2", "d3", "c1"]  # d3 is like d2, and comes before what is hardly like d1


def test_personal_tags(recommender: Recommender) -> None:
    store = recommender._store
    assert {one.affinity for one in recommender.personal_tags("nobody", "b2", now=NOW)} == {0.0}
    for number in range(3):
        store.events.add([_event("blue", "d3", "like", 10 + number)])
    found = recommender.personal_tags("blue", "b2", now=NOW)
    assert [one.tag for one in found] == ["颜色:蓝色", "品类:手提包"]
    assert found[0].affinity > found[1].affinity == 0
    with pytest.raises(SearchError, match="No product has the id 'x'"):
        recommender.personal_tags("blue", "x")


def test_a_forgotten_user_leaves_nothing(recommender: Recommender, tmp_path: Path) -> None:
    store = recommender._store
    store.events.add([_event("only", "t1"), _event("only", "b2")])
    assert _ids(recommender, "only")
    store.events.forget(["only"])
    recommender.forget()
    assert not (tmp_path / "recommend").exists()
    assert store.events.of_user("only") == []
    nobody = recommender.for_user("nobody", now=NOW)
    assert [one.id for one in recommender.for_user("only", now=NOW)] == [one.id for one in nobody]
    content = b"".join(
        p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and "recommend" in str(p)
    )
    assert b"only" not in content


def test_what_was_fitted_serves_another_process(recommender: Recommender, tmp_path: Path) -> None:
    store = recommender._store
    first = recommender.for_user("u1", now=NOW)
    fitted = (tmp_path / "recommend" / "fitted.npz").stat().st_mtime_ns
    again = open_recommender(store, tmp_path / "recommend")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.searches, "documents", None)  # the products are not read again
        assert again.for_user("u1", now=NOW) == first
    assert (tmp_path / "recommend" / "fitted.npz").stat().st_mtime_ns == fitted
    (tmp_path / "recommend" / "fitted.npz").write_bytes(b"damaged")
    assert open_recommender(store, tmp_path / "recommend").for_user("u1", now=NOW) == first


def test_past_the_closed_form_tags_still_speak(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitted, "fit_items", partial(fit_items, dense=0))
    store = recommender._store
    store.events.add([_event("new", "d1")])
    assert not recommender._ready().fitted.model.closed
    found = recommender.for_user("new", now=NOW)
    assert found[0].id == "b1"  # sixty people had both
    assert found[0].why.because == "d1"
    assert "d2" in [one.id for one in found]  # nobody met it: by its tags
    store.products.upsert(product_batch(product("fresh", "红色 长款 连衣裙")))
    tag_run(store, {"fresh": [entry(DRESS, 0.98), entry(RED, 0.97)]})
    again = {one.id: one.score for one in recommender.for_user("new", now=NOW)}
    assert again["fresh"] > again["d2"] > 0  # d2 may be red, and may be not
    assert recommender.beside("fresh", limit=1)[0].id in ("d1", "d2")


def test_several_threads_are_served_while_products_change(recommender: Recommender) -> None:
    store = recommender._store
    store.events.add([_event("u", "d1"), _event("u", "b1", "purchase")])
    done = Signal()

    def ask(_: int) -> int:
        count = 0
        while not done.is_set() or not count:
            found = _ids(recommender, "u")
            assert found
            assert "b1" not in found
            count += 1
        return count

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask, i) for i in range(4)]
        for n in range(12):
            store.products.upsert(product_batch(product(f"n{n}", f"裙 {n}"), product("b1", f"{n}")))
            tag_run(store, {f"n{n}": [entry(DRESS, 0.9)]}, f"run {n}")
        done.set()
        assert all(one.result() for one in asking)


def test_processes_may_fit_and_forget_at_once(recommender: Recommender, tmp_path: Path) -> None:
    store, folder = recommender._store, tmp_path / "recommend"
    recommender.rebuild()
    others = [open_recommender(store, folder) for _ in range(4)]
    with ThreadPoolExecutor(5) as threads:
        working = [threads.submit(one.rebuild) for _ in range(5) for one in others]
        working += [threads.submit(recommender.forget) for _ in range(10)]
        for one in working:
            one.result()
    recommender.rebuild()
    assert {path.name for path in folder.iterdir()} >= {"fitted.npz", "shelf.npz"}
    assert _ids(open_recommender(store, folder), "dress fan")


def test_what_was_done_long_ago_still_tells(recommender: Recommender) -> None:
    recommender._store.events.add([Event("old", "d3", "like", "1999-01-01T00:00:00Z")])
    assert set(_ids(recommender, "old")[:2]) & {"d1", "d2"}
    assert recommender.for_user("old", now=NOW)[0].why.because == "d3"


def test_a_shelf_that_grew_says_what_a_new_one_says(
    recommender: Recommender, tmp_path: Path
) -> None:
    store = recommender._store
    store.events.add([_event("w", "d3"), _event("w", "b2", "cart")])
    recommender.for_user("w", now=NOW)
    for count in (1, 150):  # the second is packed anew
        store.products.upsert(product_batch(*(product(f"n{i}", f"裙 {i}") for i in range(count))))
        tag_run(store, {f"n{i}": [entry(DRESS, 0.5 + i / 400)] for i in range(count)})
        tag_run(store, {"d1": [entry(BAG, 0.9)]})
        store.products.mark_gone(i for i in (*SHOP, *(f"n{n}" for n in range(150))) if i != "c1")
        found = _ids(recommender, "w", limit=200)
        assert "n0" in found
        assert "c1" not in found
        grown, new = recommender._ready().shelf, read_shelf(store)
        assert [one for one in grown.first | grown.later if grown.place(one) is not None] == [
            one for one in grown.first | grown.later if new.place(one) is not None
        ]
        assert {one for one in new.ids if grown.place(one) is None} == set()
        for product_id in new.ids:
            assert _tags_of(grown, product_id) == _tags_of(new, product_id)
        assert grown.gone.any() == (count == 1)
    assert {one.id for one in recommender.beside("d1", limit=2)} & {"b1", "b2"}


def test_a_change_of_the_library_reads_what_it_moves(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = recommender._store
    _ids(recommender, "u1")
    read: list[str] = []
    usual = store.searches.documents_of

    def documents_of(product_ids: Iterable[str]) -> Iterator[list[StoredDocument]]:
        ids = list(product_ids)
        read.extend(ids)
        return usual(ids)

    monkeypatch.setattr(store.searches, "documents_of", documents_of)
    library = load_library(store)
    store.library.save([library.add_alias(library.resolve(BAG.text), "tote")])
    assert recommender._ready().shelf.library.find("品类:tote") is not None
    assert read == []
    late = shutil.copytree(tmp_path / "recommend", tmp_path / "late")  # of another process
    library = load_library(store)
    store.library.save(merge(library, library.resolve(BLUE.text), library.resolve(RED.text)))
    for one in (recommender, open_recommender(store, late)):
        read.clear()
        shelf = one._ready().shelf
        assert sorted(set(read)) == sorted(read) == ["b2", "d3"]
        assert RED.id in _tags_of(shelf, "d3")
        assert BLUE.id not in _tags_of(shelf, "d3")


def _tags_of(shelf: Shelf, product_id: str) -> dict[str, float]:
    place = shelf.place(product_id)
    assert place is not None
    row = shelf.tags[[place]]
    return {shelf.tag_ids[i]: p for i, p in zip(row.indices, row.data, strict=True)}


def test_another_process_forgets_too(recommender: Recommender, tmp_path: Path) -> None:
    store = recommender._store
    other = open_recommender(store, tmp_path / "recommend")
    assert _ids(other, "u1") == _ids(recommender, "u1")
    recommender.forget()
    store.events.forget(["bag fan"])
    store.events.add([_event("somebody else", "b2", "like")])
    other.for_user("u1", now=NOW)
    assert other._ready().fitted.state.forgotten == 1


def test_an_empty_shop(store: Store, tmp_path: Path) -> None:
    assert open_recommender(store, tmp_path / "r").for_user("u") == []
    store.products.upsert(product_batch(*(product(i, SHOP[i][0]) for i in SHOP)))
    assert len(open_recommender(store, tmp_path / "r").for_user("u")) == len(SHOP)


@pytest.mark.parametrize("dense", [0, 100])
def test_closed_form_and_neighbours(dense: int) -> None:
    rng = np.random.default_rng(0)
    given = (rng.random((60, 12)) < 0.2).astype(np.float32)
    given[:, 1] = given[:, 0]
    events = sparse.csr_array(given)
    tags = sparse.csr_array(np.eye(12, 4, dtype=np.float32))
    unit = unit_rows(tags, rarity_of(tags))
    model = fit_items(events, unit, dense=dense, regularisation=10)
    assert model.weights.diagonal().max() == 0
    assert model.weights[[0]].toarray().argmax() == 1
    if dense:  # against the definition
        rows = np.vstack([events.toarray(), np.sqrt(15) * unit.toarray().T])
        inverse = np.linalg.inv(rows.T @ rows + 10 * np.eye(12))
        expected = -inverse / np.diag(inverse)
        np.fill_diagonal(expected, 0)
        assert np.allclose(model.weights.toarray(), expected, atol=1e-4)


def test_tags_that_go_with_nothing(recommender: Recommender) -> None:
    assert BAG.id in recommender._ready().shelf.tag_numbers
    assert _ids(recommender, "bag fan")[0] in ("b1", "d3")


def test_what_is_fitted_anew_holds_nobody_up(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_shop(store)
    store.events.add([_event("u", "d1"), _event("u", "b1")])
    recommender = open_recommender(store, tmp_path / "r", patience=0.2)
    recommender.prepare()
    going_on, begun = Signal(), Signal()
    fit = fitted.Fitted.fit

    def slow(*given: object) -> fitted.Fitted:
        begun.set()
        assert going_on.wait(20)
        return fit(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(fitted.Fitted, "fit", slow)
    store.events.add([_event(f"v{i}", one) for i in range(9) for one in ("d1", "c2")])
    before = recommender._joined
    assert "b1" in _ids(recommender, "v1")
    assert begun.wait(20)
    assert recommender._joined is not None
    assert before is not None
    assert recommender._joined.fitted is before.fitted
    thread = recommender._fitting._thread
    _ids(recommender, "v1")
    assert recommender._fitting._thread is thread  # one at a time
    going_on.set()
    assert thread is not None
    thread.join(20)
    assert _ids(recommender, "new", limit=1) == ["d1"]
    assert recommender._joined.fitted.state.added == 20


def test_what_was_fitted_with_somebody_forgotten_is_not_kept(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_shop(store)
    store.events.add([_event("u", "d1")])
    recommender = open_recommender(store, tmp_path / "r", patience=0.2)
    recommender.prepare()
    fit = fitted.Fitted.fit

    def late(*given: object) -> fitted.Fitted:
        found = fit(*given)  # type: ignore[arg-type]
        store.events.forget(["u"])
        return found

    monkeypatch.setattr(fitted.Fitted, "fit", late)
    store.events.add([_event(f"v{i}", "c2") for i in range(9)])
    recommender.prepare()
    assert recommender._fitting._thread is not None
    recommender._fitting._thread.join(20)
    kept = fitted.Fitted.load(tmp_path / "r", store.searches.database)
    assert kept is not None
    assert kept.state.added == 1
