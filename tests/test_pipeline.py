"""From the catalogue to stored tags: killed and taken up, undone, changed; on both databases."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tagmill.errors import NotTrained
from tagmill.language import Asker, Request
from tagmill.language.scripted import ScriptedModel
from tagmill.library.stored import load_library
from tagmill.pipeline import TagSummary, consult_workspace, tag_batches, tag_workspace
from tagmill.records import PRODUCT_SCHEMA, Reply
from tagmill.settings import LanguageModelSettings
from tagmill.store import Run, Store, open_store
from tagmill.store.tables import assignments, changes, products
from tagmill.tag_runs import run_signature
from tagmill.tagging.llm import Consultant
from tagmill.tagging.model import Model
from tagmill.tagging.output import Selection
from tagmill.workspace import current_model, train_workspace
from tests.cli.command import start_process, tagmill
from tests.cli.samples import catalogue_rows, read_lines, write_lines
from tests.store.samples import BLUE, RED, SILK, fill, names, product, product_batch

CHUNK = 2048  # what a run stores at once
COPIES = 14
PRODUCTS = 496 * COPIES  # of the sample catalogue


def _model(store: Store, folder: Path) -> Model:
    return current_model(store, folder / "models")


def _tag(store: Store, folder: Path, top_k: int = 10) -> tuple[Run | None, TagSummary]:
    return tag_workspace(store, _model(store, folder), Selection(top_k=top_k))


# Killed and taken up.


@pytest.fixture
def large_workspace(store_url: str, tmp_path: Path) -> Path:
    """A workspace of some thousand products, on each kind of database in turn."""
    folder = tmp_path / "workspace"
    tagmill("init", folder, "--database-url", store_url)
    rows = catalogue_rows()
    many = [
        {**row, "id": f"{row['id']}-{copy}", "tags": None} for copy in range(COPIES) for row in rows
    ]
    source = write_lines(tmp_path / "large.jsonl", many)
    counts = tagmill("catalog", "import", source, "-w", folder, "--json").json()
    assert counts["new"] == len(many) == PRODUCTS
    return folder


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    """A connection of the test's own, that does not go through the store."""
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def _tagged_products(engine: sa.Engine) -> int:
    counted = sa.select(sa.func.count()).select_from(changes).where(changes.c.kind == "tagged")
    with engine.connect() as connection:
        return int(connection.execute(counted).scalar_one())


def _kill_after_the_first_chunk(folder: Path, engine: sa.Engine) -> None:
    process = start_process("tag", "-w", folder, cwd=folder)
    try:
        while _tagged_products(engine) == 0:
            with pytest.raises(subprocess.TimeoutExpired):  # it must not end before
                process.wait(0.01)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL


def test_a_killed_run_is_taken_up(large_workspace: Path, engine: sa.Engine, tmp_path: Path) -> None:
    _kill_after_the_first_chunk(large_workspace, engine)
    stored = _tagged_products(engine)
    assert 0 < stored < PRODUCTS
    assert stored % CHUNK == 0  # whole chunks only
    (run,) = tagmill("runs", "list", "-w", large_workspace, "--json").json()
    assert (run["id"], run["status"], run["finished"]) == (1, "running", None)
    assert run["counts"]["products"] == stored

    rest = tagmill("tag", "-w", large_workspace, "--json").json()
    assert (rest["run"], rest["products"]) == (1, PRODUCTS - stored)
    (run,) = tagmill("runs", "list", "-w", large_workspace, "--json").json()
    assert (run["id"], run["status"]) == (1, "finished")
    assert run["counts"]["products"] == PRODUCTS
    with engine.connect() as connection:
        logged = connection.execute(
            sa.select(changes.c.product_id, changes.c.run_id).where(changes.c.kind == "tagged")
        ).all()
        snapshots = connection.execute(sa.select(products.c.snapshot)).scalars().all()
        held = connection.execute(sa.select(sa.func.count()).select_from(assignments)).scalar_one()
    assert len(logged) == len({row.product_id for row in logged}) == PRODUCTS
    assert {row.run_id for row in logged} == {1}
    assert len(set(snapshots)) == PRODUCTS
    assert None not in snapshots
    assert held == run["counts"]["tags"]

    goal = tmp_path / "out.jsonl"
    tagmill("export", "-o", goal, "-w", large_workspace)
    by_text: dict[str, set[str]] = {}
    for line in read_lines(goal):
        texts = {f"{tag['id']} {tag['probability']}" for tag in line["tags"]}
        by_text.setdefault(line["id"].rpartition("-")[0], set()).add(" ".join(sorted(texts)))
    assert len(by_text) == 496
    assert all(len(kinds) == 1 for kinds in by_text.values())  # before the kill as after it

    assert (
        tagmill("runs", "undo", 1, "-w", large_workspace, "--json").json()["products"] == PRODUCTS
    )
    tagmill("export", "-o", goal, "-w", large_workspace)
    assert all(line["tags"] == [] for line in read_lines(goal))


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_killed_run_can_be_undone_as_it_is(large_workspace: Path, engine: sa.Engine) -> None:
    _kill_after_the_first_chunk(large_workspace, engine)
    stored = _tagged_products(engine)
    undone = tagmill("runs", "undo", 1, "-w", large_workspace, "--json").json()
    assert undone["products"] == stored
    again = tagmill("tag", "-w", large_workspace, "--json").json()
    assert (again["run"], again["products"]) == (2, PRODUCTS)


# What is tagged again, and what is not.


def _all_runs(store: Store) -> list[tuple[int, str, int]]:
    return [(run.id, run.status, run.counts["products"]) for run in store.runs.list()]


def test_only_what_changed_is_tagged_again(store: Store, engine: sa.Engine, tmp_path: Path) -> None:
    fill(store, "a", "b", "c")
    run, summary = _tag(store, tmp_path)
    assert run is not None
    assert (run.status, run.counts["products"], summary.products) == ("finished", 3, 3)
    assert summary.tags == summary.review == 6
    assert names(store, "a") == ["红色", "真丝"]
    assert _tag(store, tmp_path) == (None, TagSummary())
    store.products.upsert(product_batch(product("a"), product("b", "蓝色连衣裙"), product("d")))
    run, summary = _tag(store, tmp_path)
    assert run is not None
    assert (run.id, summary.products) == (2, 2)
    assert names(store, "b") == ["蓝色"]
    assert _all_runs(store) == [(2, "finished", 2), (1, "finished", 3)]
    with engine.connect() as connection:
        wanted = sa.select(changes.c.product_id).where(changes.c.kind == "tagged")
        tagged = Counter(connection.execute(wanted).scalars())
    assert tagged == {"a": 1, "b": 2, "c": 1, "d": 1}


def test_another_selection_tags_all_again_and_a_new_tag_what_names_it(
    store: Store, tmp_path: Path
) -> None:
    fill(store, "a", "b")
    store.products.upsert(product_batch(product("c", "蓝色长裤")))
    _tag(store, tmp_path)
    library = load_library(store)
    store.library.save([library.add("品类", "连衣裙")], list(library.facets.values()))
    run, summary = _tag(store, tmp_path)
    assert run is not None
    assert (run.library_version, summary.products) == (load_library(store).version, 2)
    assert set(names(store, "a")) == {"红色", "真丝", "连衣裙"}
    assert _tag(store, tmp_path) == (None, TagSummary())
    assert _tag(store, tmp_path, top_k=1)[1].products == 3
    assert len(names(store, "a")) == 1
    assert _tag(store, tmp_path, top_k=1)[0] is None


def test_an_earlier_library_tags_as_it_did_then(store: Store, tmp_path: Path) -> None:
    fill(store, "a")
    before = load_library(store).version
    _tag(store, tmp_path)
    library = load_library(store)
    store.library.save([library.retire(library.resolve("颜色:红色"))])
    _tag(store, tmp_path)
    assert names(store, "a") == ["真丝"]
    then = current_model(store, tmp_path / "models", load_library(store, before))
    fixed = {"library": str(before)}
    run, _ = tag_workspace(store, then, Selection(), fixed=fixed)
    assert run is not None
    assert run.library_version == before
    (stored,) = store.runs.list("tag")[:1]
    assert stored.counts["tags"] == 2
    assert tag_workspace(store, then, Selection(), fixed=fixed)[0] is None
    assert _tag(store, tmp_path)[1].products == 1  # the newest library again


def test_a_cut_off_run_of_another_model_is_given_up(store: Store, tmp_path: Path) -> None:
    fill(store, "a")
    cut_off = store.runs.start("tag", "of a model that is gone")
    run, _ = _tag(store, tmp_path)
    assert run is not None
    assert run.id != cut_off.id
    assert store.runs.get(cut_off.id).status == "failed"


def test_what_a_person_tagged_waits_to_be_asked_for(store: Store, tmp_path: Path) -> None:
    fill(store, "a")
    store.products.upsert(product_batch(product("b", tags=["颜色:红色"]), product("c", tags=[])))
    model = _model(store, tmp_path)
    assert tag_workspace(store, model, Selection())[1].products == 1
    assert tag_workspace(store, model, Selection(), labelled=True)[1].products == 2
    assert tag_workspace(store, model, Selection(), labelled=True)[0] is None


def test_a_discontinued_product_is_not_tagged(store: Store, tmp_path: Path) -> None:
    fill(store, "a", "b")
    store.products.mark_gone(["a"])
    assert _tag(store, tmp_path)[1].products == 1
    store.products.upsert(product_batch(product("b")))
    assert _tag(store, tmp_path)[1].products == 1


def test_a_workspace_stores_both_lanes_whatever_is_asked_for(store: Store, tmp_path: Path) -> None:
    fill(store, "a")
    tag_workspace(store, _model(store, tmp_path), Selection(lane="auto"))
    assert names(store, "a") == ["红色", "真丝"]


# Undo, and what a person said.


def test_undo_gives_back_what_was_before(store: Store, tmp_path: Path) -> None:
    fill(store, "a", "b")
    _tag(store, tmp_path)
    before = store.assignments.current(["a", "b"])
    store.products.upsert(product_batch(product("b", "蓝色连衣裙")))
    _tag(store, tmp_path, top_k=1)
    assert (len(names(store, "a")), names(store, "b")) == (1, ["蓝色"])
    assert store.runs.undo(2).products == 2
    assert store.assignments.current(["a", "b"]) == before
    assert store.runs.undo(1).products == 2
    assert names(store, "a") == names(store, "b") == []
    assert _tag(store, tmp_path)[1].products == 2
    assert (names(store, "a"), names(store, "b")) == (["红色", "真丝"], ["蓝色"])


def test_a_verdict_survives_another_run_an_edit_and_undo(store: Store, tmp_path: Path) -> None:
    fill(store, "a")
    _tag(store, tmp_path)
    store.verdicts.add("a", RED.id, False, "mei")
    store.verdicts.add("a", BLUE.id, True, "mei")

    def check(*others: str) -> None:
        (row,) = store.assignments.current(["a"]).to_pylist()
        tags = {tag["name"]: tag for tag in row["tags"]}
        assert set(tags) == {"蓝色", *others}
        blue = tags["蓝色"]
        assert (blue["origin"], blue["lane"], blue["probability"]) == ("person", "auto", 1.0)

    check("真丝")
    assert _tag(store, tmp_path, top_k=5)[1].products == 1
    check("真丝")
    store.products.upsert(product_batch(product("a", "红色连衣裙")))
    assert _tag(store, tmp_path, top_k=5)[1].products == 1
    check()
    assert {verdict.stale for verdict in store.verdicts.list("a")} == {True}
    store.runs.undo(3)
    check("真丝")
    store.runs.undo(2)
    store.runs.undo(1)
    check()


# The pieces.


def test_batches_come_out_in_order(store: Store, tmp_path: Path) -> None:
    fill(store)
    sizes = [700, 1, 30, 500, 2, 900, 1, 1, 40]
    batches = [
        product_batch(*(product(f"{batch}-{row}") for row in range(size)))
        for batch, size in enumerate(sizes)
    ]
    pairs = list(tag_batches(_model(store, tmp_path), batches, Selection()))
    assert [pair[0] for pair in pairs] == batches
    for given, tagged in pairs:
        assert tagged.column("id") == given.column("id")


def test_a_bad_batch_is_not_swallowed(store: Store, tmp_path: Path) -> None:
    fill(store)
    batch = pa.RecordBatch.from_pylist(
        [{"id": "1"}], schema=pa.schema([PRODUCT_SCHEMA.field("id")])
    )
    with pytest.raises(KeyError):
        list(tag_batches(_model(store, tmp_path), [batch], Selection()))


class Meanwhile(ScriptedModel):
    """Somebody stores another product when the model is first asked."""

    def __init__(self, store: Store) -> None:
        self._store: Store | None = store

    async def ask(self, request: Request) -> Reply:
        if self._store is not None:
            self._store.products.upsert(product_batch(product("z")))
            self._store = None
        return await super().ask(request)


def test_a_product_stored_while_others_are_asked_about(store: Store, tmp_path: Path) -> None:
    """It was not chosen, and is tagged all the same."""
    fill(store, "a", "b", "c")
    model = _model(store, tmp_path)
    asker = Asker(Meanwhile(store), LanguageModelSettings())
    consultant = Consultant(asker, asker, model.library)
    _, summary, report = consult_workspace(store, model, consultant, Selection(), share=1.0)
    assert (summary.products, report.asked) == (4, 3)
    assert len(store.assignments.current(["z"])["tags"][0]) > 0


def test_the_signature_is_what_tags_depend_on(store: Store, tmp_path: Path) -> None:
    fill(store)
    model = _model(store, tmp_path)
    first = run_signature(model, Selection())
    assert run_signature(model, Selection(language="en")) == first
    others = {
        run_signature(model, Selection(top_k=3)), run_signature(model, Selection(precision=0.9)),
    }  # fmt: skip
    assert len({first, *others}) == 3
    library = load_library(store)
    store.library.save([library.add_alias(library.resolve("颜色:红色"), "酒红")])
    assert run_signature(_model(store, tmp_path), Selection()) == first  # see Touched


def test_the_newest_model_is_the_current_one(store: Store, tmp_path: Path) -> None:
    fill(store)
    rows: list[dict[str, Any]] = [
        product(f"{tag.name}{number}", f"{tag.name}连衣裙 {number}", tags=[tag.text])
        for number in range(30)
        for tag in (RED, BLUE, SILK)
    ]
    store.products.upsert(product_batch(*rows, product("new", "红色真丝裙")))
    assert _model(store, tmp_path).trained is None
    models = tmp_path / "models"
    (models / "notes").mkdir(parents=True)
    for number in (1, 2):
        _, folder = train_workspace(store, models, seed=number)
        assert folder == models / f"{number:04d}"
        assert current_model(store, models).card["seed"] == number
    run, _ = _tag(store, tmp_path)
    assert run is not None
    assert run.model == "0002"
    (row,) = store.assignments.current(["new"]).to_pylist()
    assert {tag["origin"] for tag in row["tags"]} == {"model"}
    assert "红色" in names(store, "new")


def test_tags_of_a_model_that_is_missing_are_not_replaced(store: Store, tmp_path: Path) -> None:
    fill(store)
    rows = [
        product(f"{tag.name}{number}", f"{tag.name}连衣裙 {number}", tags=[tag.text])
        for number in range(30)
        for tag in (RED, BLUE, SILK)
    ]
    store.products.upsert(product_batch(*rows, product("new", "红色真丝裙")))
    models, restored = tmp_path / "models", tmp_path / "restored" / "models"
    train_workspace(store, models)
    run, _ = _tag(store, tmp_path)
    assert run is not None
    with pytest.raises(NotTrained, match=f"Run {run.id} tagged with model 0001, which {restored}"):
        current_model(store, restored)
    _, folder = train_workspace(store, restored)
    assert folder == restored / "0002"
    assert current_model(store, restored).card["name"] == "0002"
    store.runs.undo(run.id)
    assert current_model(store, tmp_path / "none").trained is None


def test_a_store_opened_again_goes_on(store_url: str, tmp_path: Path) -> None:
    with open_store(store_url, create=True) as store:
        fill(store, "a")
        _tag(store, tmp_path)
    with open_store(store_url) as store:
        assert names(store, "a") == ["红色", "真丝"]
        assert _tag(store, tmp_path)[0] is None
