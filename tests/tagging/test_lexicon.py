import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from tagmill.library import Library, read_csv, starter_library
from tagmill.records import PRODUCT_SCHEMA, Facet
from tagmill.tagging.hits import Hits
from tagmill.tagging.lexicon import LexiconTagger

HERE = Path(__file__).parent


class Case(NamedTuple):
    """One product: exactly the tags `find` stand in it, by name or `facet:name`."""

    product: dict[str, object]
    find: list[str]
    never: list[str]
    exact: list[str] | None


def read_cases(file: str) -> list[Case]:
    cases = []
    for line in (HERE / file).read_text("utf-8").splitlines():
        row = json.loads(line) if line else {}
        if "find" in row:
            expected = row.pop("find"), row.pop("not", []), row.pop("exact", None)
            cases.append(Case(row, *expected))
    return cases


def batch_of(*products: Mapping[str, object]) -> pa.RecordBatch:
    rows = []
    for number, product in enumerate(products):
        row = {**dict.fromkeys(PRODUCT_SCHEMA.names), "id": f"p{number}", "title": "", **product}
        if isinstance(row["attributes"], dict):
            row["attributes"] = list(row["attributes"].items())
        rows.append(row)
    return pa.RecordBatch.from_pylist(rows, schema=PRODUCT_SCHEMA)


def names(library: Library, hits: Hits, *, exact: bool = False) -> set[str]:
    chosen = hits.tags[hits.exact] if exact else hits.tags
    return {library.tags[hits.tag_ids[tag]].text for tag in chosen}


def texts(library: Library, written: list[str]) -> set[str]:
    return {library.resolve(name).text for name in written}


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(*read_csv(HERE / "lexicon_library.csv"))


@pytest.fixture(scope="module")
def tagger(library: Library) -> LexiconTagger:
    return LexiconTagger(library)


@pytest.fixture(scope="module")
def starter() -> tuple[Library, LexiconTagger]:
    library = starter_library()
    return library, LexiconTagger(library)


CASES = read_cases("lexicon_cases.jsonl")
STARTER_CASES = read_cases("lexicon_cases_starter.jsonl")


def test_there_are_enough_cases_in_both_languages() -> None:
    cases = CASES + STARTER_CASES
    english = sum(json.dumps(case.product, ensure_ascii=False).isascii() for case in cases)
    assert len(cases) >= 250
    assert 0.35 < english / len(cases) < 0.65


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: json.dumps(case.product, ensure_ascii=False)
)
def test_small_library(library: Library, tagger: LexiconTagger, case: Case) -> None:
    hits = tagger.find(batch_of(case.product))
    assert names(library, hits) == texts(library, case.find)
    assert not names(library, hits) & texts(library, case.never)
    if case.exact is not None:
        assert names(library, hits, exact=True) == texts(library, case.exact)


@pytest.mark.parametrize(
    "case", STARTER_CASES, ids=lambda case: json.dumps(case.product, ensure_ascii=False)
)
def test_starter_library(starter: tuple[Library, LexiconTagger], case: Case) -> None:
    library, tagger = starter
    found = names(library, tagger.find(batch_of(case.product)))
    assert texts(library, case.find) <= found
    assert not found & texts(library, case.never)


def test_one_batch_finds_what_each_product_alone_does(tagger: LexiconTagger) -> None:
    together = tagger.find(batch_of(*(case.product for case in CASES)))
    for number, case in enumerate(CASES):
        alone = tagger.find(batch_of(case.product))
        mine = together.rows == number
        assert together.tags[mine].tolist() == alone.tags.tolist(), case.product
        assert together.starts[mine].tolist() == alone.starts.tolist()
        assert together.ends[mine].tolist() == alone.ends.tolist()
    assert (np.diff(together.rows) >= 0).all()


def test_threads_and_slices_find_what_one_batch_does(tagger: LexiconTagger) -> None:
    batch = batch_of(*(case.product for case in CASES))
    whole = tagger.find(batch)
    parts = [batch.slice(start, 7) for start in range(0, batch.num_rows, 7)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(tagger.find, parts * 3))
    for first in range(0, len(found), len(parts)):
        hits = found[first : first + len(parts)]
        pairs = [(part, batch.num_rows) for part, batch in zip(hits, parts, strict=True)]
        together = Hits.concatenate(pairs)
        assert together.rows.tolist() == whole.rows.tolist()
        for name in ("tags", "starts", "ends", "exact", "lengths"):
            keys = [
                sorted(zip(h.rows.tolist(), getattr(h, name).tolist(), strict=True))
                for h in (together, whole)
            ]
            assert keys[0] == keys[1], name


def test_evidence_beyond_the_basic_plane_and_of_fields_named_alike(
    library: Library, tagger: LexiconTagger
) -> None:
    padding = "é😀𠮷 " * 50  # longer than the block that offsets are counted by
    product = {
        "title": f"{padding}Ｗｏｏｌ 👩‍👩‍👧 红色",
        "attributes": [("备注", None), ("颜色", "𠮷 红色"), ("颜色", "白色"), ("颜色#2", "x 黑色")],
    }
    batch = batch_of({"title": "红色"}, product).slice(1)
    hits = tagger.find(batch)
    evidence = hits.evidence(batch, np.arange(len(hits))[::-1]).to_pylist()[::-1]
    texts = {"title": product["title"], "attributes.颜色": "𠮷 红色", "attributes.颜色#2": "x 黑色"}
    assert [row["text"] for row in evidence] == [
        str(texts[row["field"]])[row["start"] : row["end"]] for row in evidence
    ]
    assert [row["text"] for row in evidence if row["field"] == "title"] == ["Ｗｏｏｌ", "红色"]
    other = hits.evidence(batch_of({"title": ""}), np.arange(len(hits)))  # has none of it
    assert set(other.field("text").to_pylist()) == {""}


def test_spans_lead_to_the_original_text(library: Library, tagger: LexiconTagger) -> None:
    product = {
        "title": "Ｗomen’s ㎏ T-SHIRTS，高領 毛衣",
        "description": "  藍牙5.3耳機 ",
        "attributes": [("颜色", " 红色 、 黑 "), ("颜色", "白色"), ("备注", "x 夏季")],
    }
    batch = batch_of(product)
    hits = tagger.find(batch)
    evidence = hits.evidence(batch, np.arange(len(hits)))
    spelled = {
        (library.tags[hits.tag_ids[tag]].name, row["field"], row["text"])
        for tag, row in zip(hits.tags, evidence.to_pylist(), strict=True)
    }
    assert spelled == {
        ("女士", "title", "Ｗomen’s"),
        ("T恤", "title", "T-SHIRTS"),
        ("高领", "title", "高領"),
        ("毛衣", "title", "毛衣"),
        ("蓝牙", "description", "藍牙"),
        ("耳机", "description", "耳機"),
        ("红色", "attributes.颜色", "红色"),
        ("黑色", "attributes.颜色", "黑"),
        ("白色", "attributes.颜色#2", "白色"),
        ("夏季", "attributes.备注", "夏季"),
    }
    assert hits.lengths[hits.fields == 1].tolist() == [2, 2]


def test_scores_rise_with_better_and_more_hits(library: Library, tagger: LexiconTagger) -> None:
    products: list[dict[str, object]] = [
        {"description": "红色"},
        {"category": "红色"},
        {"title": "红色"},
        {"attributes": {"颜色": "红色"}},
        {"title": "红色", "description": "红色"},
        {"title": "红色", "attributes": {"颜色": "红色"}},
        {"title": "nothing"},
    ]
    scores = tagger.score(batch_of(*products))
    column = list(scores.tag_ids).index(library.resolve("红色").id)
    red = scores.values.toarray()[:, column]
    assert 0.3 < red[0] < red[1] < red[2] < red[3] < red[5] < 1
    assert red[2] < red[4]
    assert red[6] == 0
    assert scores.values.shape == (7, len(library.active()))
    assert scores.values.dtype == np.float32
    assert scores.product_ids.tolist() == [f"p{i}" for i in range(7)]
    assert not scores.calibrated
    # 0.75 × (0.7 + 0.3 × 2 / 6), as the module says
    assert red[2] == pytest.approx(0.6)


def test_longer_names_score_higher(library: Library, tagger: LexiconTagger) -> None:
    hits = tagger.find(batch_of({"title": "红色 米白色"}))
    scores = tagger.score_hits(hits, 1).toarray()[0]
    ids = list(tagger.tag_ids)
    short, long = (ids.index(library.resolve(name).id) for name in ("红色", "米白色"))
    assert 0 < scores[short] < scores[long]


def test_take_and_concatenate(tagger: LexiconTagger) -> None:
    first = batch_of({"title": "红色毛衣"}, {"title": "x", "attributes": {"Color": "Red"}})
    second = batch_of({"title": "x"}, {"title": "Wool", "attributes": {"Season": "Winter"}})
    both = Hits.concatenate([(tagger.find(first), 2), (tagger.find(second), 2)])
    assert both.rows.tolist() == [0, 0, 1, 3, 3]
    assert [both.field_names[i] for i in both.fields] == [
        "title",
        "title",
        "attributes.Color",
        "title",
        "attributes.Season",
    ]
    taken = both.take(np.array([3, 2, 0]))
    assert taken.rows.tolist() == [0, 0, 2, 2]
    assert taken.tags.tolist() == [*both.tags[3:], *both.tags[:2]]
    assert len(Hits.concatenate([])) == 0


def test_empty_batch_and_empty_library(tagger: LexiconTagger) -> None:
    assert len(tagger.find(batch_of())) == 0
    assert tagger.score(batch_of()).values.shape[0] == 0
    nothing = LexiconTagger(Library([]))
    assert len(nothing.find(batch_of({"title": "red dress", "attributes": {"a": "b"}}))) == 0
    assert nothing.score(batch_of({"title": "red"})).values.shape == (1, 0)


def test_only_active_tags_are_given() -> None:
    library = Library([], [Facet("颜色")])
    red = library.add("颜色", "红色")
    library.add("颜色", "蓝色", status="proposed")
    library.retire(library.add("颜色", "绿色"))
    tagger = LexiconTagger(library)
    assert tagger.tag_ids.tolist() == [red.id]
    hits = tagger.find(batch_of({"title": "红色 蓝色 绿色"}))
    assert names(library, hits) == {"颜色:红色"}


def test_two_spellings_of_a_verbatim_library_are_both_given() -> None:
    library = Library.from_written(["c:Red", "c:red", "d:RED"])
    hits = LexiconTagger(library).find(batch_of({"title": "red"}, {"attributes": {"D": "Red"}}))
    assert names(library, hits.take(np.array([0]))) == {"c:Red", "c:red", "d:RED"}
    assert names(library, hits.take(np.array([1]))) == {"d:RED"}


@pytest.mark.parametrize(
    "text", ["\n", " ", "，", "😀", "\ud800", "a\x00b", "㎏", "の", "无", "no", "不含"]
)
def test_odd_texts(tagger: LexiconTagger, text: str) -> None:
    if text == "\ud800":  # cannot be in an Arrow string
        text = "\U0001f600\ufffd"
    hits = tagger.find(
        batch_of({"title": text, "description": text * 50}, {"title": f"红色{text}"})
    )
    assert len(hits.take(np.array([1]))) <= 1
    assert len(hits.take(np.array([0]))) == 0
