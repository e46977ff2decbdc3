import numpy as np
import pyarrow as pa
import pytest

from tagmill.records import PRODUCT_SCHEMA
from tagmill.tagging.features import Rows, extract, fit_idf


def _batch(*rows: dict[str, object]) -> pa.RecordBatch:
    full = [{"id": str(i), "title": "", **row} for i, row in enumerate(rows)]
    return pa.RecordBatch.from_pylist(full, schema=PRODUCT_SCHEMA)


def _row(rows: Rows, index: int) -> dict[int, float]:
    part = slice(rows.indptr[index], rows.indptr[index + 1])
    return dict(zip(rows.indices[part].tolist(), rows.values[part].tolist(), strict=True))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Red Dress", "red   DRESS!"),
        ("高清電視", "高清电视"),
        ("ＬＥＤ 灯", "led 灯"),
        ("a,b", "a b"),
    ],
)
def test_case_width_script_and_marks_do_not_matter(one: str, other: str) -> None:
    rows = extract(_batch({"title": one}, {"title": other}))
    assert _row(rows, 0) == _row(rows, 1) != {}


def test_counts_words_pairs_and_ngrams_once_each() -> None:
    # "ab": word, 3-grams <ab ab>, 4-gram <ab>
    assert sum(_row(extract(_batch({"title": "ab"})), 0).values()) == 4
    # of two Chinese characters: two single ones and the pair
    assert sum(_row(extract(_batch({"title": "电视"})), 0).values()) == 3
    # the same word twice: counts of two, and the pair of both
    twice = _row(extract(_batch({"title": "ab ab"})), 0)
    assert sorted(twice.values()) == [1, 2, 2, 2, 2]


def test_word_order_makes_other_pairs() -> None:
    rows = extract(_batch({"title": "red dress"}, {"title": "dress red"}))
    one, other = set(_row(rows, 0)), set(_row(rows, 1))
    assert len(one - other) == len(other - one) == 1


def test_fields_are_told_apart_only_where_they_mean_something_else() -> None:
    rows = extract(
        _batch(
            {"title": "red"},
            {"description": "red"},
            {"category": "red"},
            {"attributes": {"Colour": "red"}},
            {"attributes": {"Lining": "red"}},
        )
    )
    title, description, category, colour, lining = (set(_row(rows, i)) for i in range(5))
    assert title == description
    assert not title & category
    assert title < colour
    assert title < lining
    assert colour & lining == title


def test_a_slice_and_nulls_do_not_shift_rows() -> None:
    batch = _batch(
        {"title": "one", "attributes": {"a": "x"}},
        {"title": "two", "description": "long text", "category": "c"},
        {"title": "three", "attributes": {"a": "y", "b": "z"}},
        {"title": ""},
    )
    whole, part = extract(batch), extract(batch.slice(1))
    assert len(part) == 3
    for index in range(3):
        assert _row(part, index) == _row(whole, index + 1)
    assert _row(part, 2) == {}


def test_broken_text_and_rare_characters_are_only_text() -> None:
    rows = extract(_batch({"title": "👗𠮷 \x00 ﷽ e\u0301"}, {"title": "a" * 5000}))
    assert len(_row(rows, 0)) > 0
    assert len(_row(rows, 1)) > 0


def test_tf_idf_rows_have_length_one_and_drop_unseen_features() -> None:
    counts = extract(_batch({"title": "red dress"}, {"title": "blue dress"}))
    weighted = fit_idf(counts).apply(counts)
    for index in range(2):
        assert np.linalg.norm(list(_row(weighted, index).values())) == pytest.approx(1, abs=1e-6)
    unseen = fit_idf(counts).apply(extract(_batch({"title": "xyzzy"}, {"title": "红"})))
    assert len(unseen.indices) == 0
    assert unseen.indptr.tolist() == [0, 0, 0]
