from collections import Counter

import pyarrow as pa
import pytest

from tagmill.records import PRODUCT_SCHEMA
from tagmill.tagging.feature_spans import feature_spans, field_texts, word_spans
from tagmill.tagging.features import extract

PRODUCTS: list[dict[str, object]] = [
    {"title": ""},
    {"title": "a"},
    {"title": "Soft red ＷＯＯＬ dress, T-shirt 2 x 蓝牙5.3耳机"},
    {"title": "高清液晶電視，4K分辨率，HDR功能"},
    {"title": "👗𠮷 \x00 ﷽ e\u0301 ½㎏", "description": "かな ABC中 文d"},
    {
        "title": "t",
        "category": "大家电/彩电",
        "attributes": [("颜色", "红 色"), ("Colour Name", "red wine"), ("颜色", "红"), ("x", None)],
    },
]


def _batch(product: dict[str, object]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"id": "1", **product}], schema=PRODUCT_SCHEMA)


@pytest.mark.parametrize("product", PRODUCTS, ids=range(len(PRODUCTS)))
def test_the_features_are_those_of_the_kernel(product: dict[str, object]) -> None:
    batch = _batch(product)
    found = Counter(
        feature
        for part in field_texts(batch)
        for seed in part.seeds
        for feature, _, _ in feature_spans(part.text, seed)
    )
    rows = extract(batch)
    assert found == dict(zip(rows.indices.tolist(), rows.values.tolist(), strict=True))


def test_a_span_is_what_the_feature_was_made_of() -> None:
    text = "ab 电视c"
    spans = [text[start:end] for _, start, end in feature_spans(text, 0)]
    # the word and its n-grams, 电 and 电视, the pair ab+电, 视, c, the pair 视+c
    assert spans == ["ab", "ab", "ab", "ab", "电", "电视", "ab 电", "视", "c", "视c"]


def test_words_cover_all_but_separators() -> None:
    text = "高清液晶电视，4K分辨率 (HDR)"
    words = [text[start:end] for start, end in word_spans(text)]
    assert words == ["高清", "液晶电视", "4K", "分辨率", "HDR"]
