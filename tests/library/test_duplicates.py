from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from tagmill.language import Asker
from tagmill.language.batches import BatchModel, BatchRequests, BatchResults
from tagmill.library import Library
from tagmill.library.duplicates import Duplicate, clusters, find_duplicates
from tagmill.library.matching import Matcher, probability_of
from tagmill.library.second_opinion import ask_about_pairs
from tagmill.records import Scores, Tag
from tagmill.settings import LanguageModelSettings, PrivacySettings

SAME = [
    ("连衣裙", "連衣裙"), ("软件", "軟體"), ("T恤", "Ｔ恤"), ("T-Shirt", "t shirts"),
    ("Light blue", "Blue light"), ("红", "红色"), ("红色", "red"), ("500ml", "0.5 升"),
    ("500毫升", "500 ML"), ("13.3英寸", '13.3"'), ("Café", "cafe"), ("L'Oréal", "Loreal"),
    ("Stainless steel", "Stainess steel"), ("6-8岁", "6~8 years"), ("wi-fi", "WiFi"),
]  # fmt: skip
SIBLINGS = [
    ("纯棉", "纯麻"), ("4K", "8K"), ("S", "XS"), ("iPhone 14", "iPhone 15"), ("C", "C++"),
    ("with hood", "without hood"), ("含糖", "无糖"), ("Vitamin A", "Vitamin C"), ("16:9", "9:16"),
    ("male to female", "female to male"), ("500ml", "500g"), ("6-8岁", "6-9岁"), ("A", "A+"),
    ("Lace", "Face"), ("单人", "双人"), ("1/2 inch", "12 inch"), ("-20°C", "20°C"), ("10%", "10"),
    ("1-2", "12"), ("<5", ">5"), ("2套", "2件"), ("1,5 L", "15 L"), ("€50", "$50"),
    ("红色", "橙色"), ("brown", "crown"),
]  # fmt: skip


def _library(*names: str, facet: str = "颜色") -> Library:
    tags = [Tag(f"{i}", facet, name) for i, name in enumerate(names)]
    return Library(tags, verbatim=True)


@pytest.mark.parametrize(("a", "b"), SAME)
def test_two_ways_of_writing_one_thing_are_found(a: str, b: str) -> None:
    (pair,) = find_duplicates(_library(a, b))
    assert pair.probability >= 0.5
    assert pair.reasons
    match = Matcher(_library(a)).match(b, "颜色")
    assert match is not None
    assert match.tag.name == a


@pytest.mark.parametrize(("a", "b"), SIBLINGS)
def test_siblings_that_look_alike_are_not(a: str, b: str) -> None:
    assert find_duplicates(_library(a, b)) == []
    assert Matcher(_library(a)).match(b, "颜色") is None


@given(st.lists(st.sampled_from([*sum(SAME, ()), *sum(SIBLINGS, ())]), unique=True))
def test_the_order_of_tags_does_not_matter(names: list[str]) -> None:
    def found(order: list[str]) -> set[tuple[frozenset[str], float]]:
        pairs = find_duplicates(_library(*order))
        return {(frozenset((p.a.name, p.b.name)), p.probability) for p in pairs}

    assert found(names) == found(names[::-1])


@given(st.text(st.characters(categories=("Lu", "Ll", "Nd", "Lo")), min_size=1, max_size=12))
def test_any_name_matches_itself_however_it_is_spaced(name: str) -> None:
    match = Matcher(_library(name)).match(f"  {name} ", "颜色")
    assert match is not None
    assert match.certain


def test_facets_are_kept_apart_unless_asked() -> None:
    library = Library([Tag("1", "颜色", "米色"), Tag("2", "材质", "米色 ")], verbatim=True)
    assert find_duplicates(library) == []
    assert len(find_duplicates(library, across_facets=True)) == 1
    matcher = Matcher(library)
    assert [m.tag.id for m in matcher.nearest("米色", "材质")] == ["2"]
    assert {m.tag.id for m in matcher.nearest("米色")} == {"1", "2"}
    assert matcher.nearest("米色", "没有") == []


def test_names_of_every_language_and_aliases_count() -> None:
    library = Library(
        [
            Tag("1", "颜色", "雾蓝", {"en": "Mist blue"}),
            Tag("2", "颜色", "B7", aliases=("blue mist",)),
        ],
        verbatim=True,
    )
    (pair,) = find_duplicates(library)
    assert pair.reasons == ("order",)


def test_what_looks_mistyped_in_one_language_and_differs_in_another_is_two() -> None:
    tags = [
        Tag("1", "x", "筷子", {"en": "Chopstick"}),
        Tag("2", "x", "润唇膏", {"en": "Chapstick"}),
    ]
    (pair,) = find_duplicates(Library(tags))
    assert pair.probability < 0.01
    assert "told apart" in pair.reasons
    tags = [Tag("1", "色", "铜色", {"en": "Bronze"}), Tag("2", "色", "铜", {"en": "Copper"})]
    assert find_duplicates(Library(tags))[0].probability < 0.5
    assert find_duplicates(Library([tags[0], Tag("2", "色", "铜")]))[0].probability > 0.5


def test_an_ending_adds_nothing_only_where_the_facet_says_so() -> None:
    assert find_duplicates(_library("桃", "桃色", facet="水果")) == []
    assert find_duplicates(_library("台风", "台", facet="颜色")) == []
    assert len(find_duplicates(_library("桃", "桃色", facet="主色"))) == 1
    assert Matcher(_library("法式风", facet="风格")).match("法式", "风格") is not None


def test_what_very_many_tags_share_is_not_lost() -> None:
    tags = [Tag(f"{i}", f"facet {i}", "Red") for i in range(60)]
    pairs = find_duplicates(Library(tags, verbatim=True), across_facets=True)
    assert len(clusters(pairs)) == 1
    assert {p.a.id for p in pairs} | {p.b.id for p in pairs} == {tag.id for tag in tags}


def test_what_products_have_speaks_too() -> None:
    library = _library("Light blue", "Blue light", "other", "more")
    (alone,) = find_duplicates(library)

    def with_products(rows: list[list[int]]) -> float:
        matrix = np.zeros((len(rows) * 12, 4), np.float32)
        for i, row in enumerate(rows * 12):
            matrix[i, row] = 1
        given = Scores(
            np.arange(len(matrix)).astype(str).astype(object),
            np.array(list("0123"), object),
            sparse.csr_array(matrix),
        )
        (pair,) = find_duplicates(library, given=given)
        return pair.probability

    assert with_products([[0, 1]]) < alone.probability
    assert with_products([[0, 2], [1, 3]]) < alone.probability
    assert with_products([[0, 2], [1, 2]]) > alone.probability


def test_an_encoder_finds_what_is_written_quite_differently() -> None:
    def embed(names: list[str]) -> npt.NDArray[np.float32]:
        near = {"羊角面包": 0.0, "可頌": 0.1, "面条": 1.5}
        angles = np.array([near[name] for name in names])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    library = _library("羊角面包", "可頌", "面条")
    assert find_duplicates(library) == []
    (pair,) = find_duplicates(library, embed=embed)
    assert (pair.a.name, pair.b.name, pair.reasons) == ("羊角面包", "可頌", ("embedding",))


def test_pairs_make_groups() -> None:
    pairs = find_duplicates(_library("T-Shirt", "t shirts", "ＴＳＨＩＲＴ", "红", "红色"))
    groups = sorted(sorted(tag.name for tag in group) for group in clusters(pairs))
    assert groups == [["T-Shirt", "t shirts", "ＴＳＨＩＲＴ"], ["红", "红色"]]


def test_the_surest_reason_decides() -> None:
    assert probability_of(("spelling", "order")) == probability_of(("order",))
    assert probability_of(()) == 0
    assert 0 < probability_of(("spelling",)) < probability_of(("order",)) < 1


def test_a_model_elsewhere_is_asked_without_personal_data(tmp_path: Path) -> None:
    a, b = Tag("1", "厂家", "王记 13800138000"), Tag("2", "厂家", "王記 13800138000")
    pairs = [Duplicate(a, b, 0.5, ())]
    library = Library([a, b], verbatim=True)
    for privacy, told in ((None, "王记 13800138000"), (PrivacySettings(), "王记 [PHONE_1]")):
        requests = BatchRequests(tmp_path / "requests.jsonl", LanguageModelSettings())
        asker = Asker(BatchModel("m", "same", BatchResults([]), requests), LanguageModelSettings())
        ask_about_pairs(asker, library, pairs, privacy)
        requests.close(0.0, ["same"])
        assert f"厂家:{told}" in requests.path.read_text(encoding="utf-8")
