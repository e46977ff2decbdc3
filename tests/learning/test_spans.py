from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tagmill.catalog.memory import products_to_batch
from tagmill.errors import NotTrained, UnknownTagger
from tagmill.learning import evaluate, train
from tagmill.learning.dataset import load_dataset
from tagmill.learning.span_fit import cross_fit_spans
from tagmill.learning.span_labels import label_spans
from tagmill.records import PRODUCT_SCHEMA, Candidate, Proposer
from tagmill.tagging import PROPOSERS, make_proposer, spellings
from tagmill.tagging.candidates import MISSING
from tagmill.tagging.extraction import Values, _values_of, read_values, texts_of_values
from tagmill.tagging.folder import load_model, save_model
from tagmill.tagging.model import Model
from tagmill.tagging.options import TrainingOptions
from tagmill.tagging.proposer import SpanProposer
from tagmill.tagging.sequences import NO_NAMES, Sequences
from tagmill.tagging.spellings import Spellings
from tests.brands import branded_batch, chinese_brands, english_brands
from tests.learning.conftest import make_products

NEW = [
    {"id": "en", "title": f"{english_brands()[-1]} blue quiet fan 450W"},
    {"id": "zh", "title": f"{chinese_brands()[-1]}红色静音台灯300W"},
]


@pytest.fixture(scope="module")
def branded() -> Model:
    return train([branded_batch(400)])


def _brands(model: Model, batch: pa.RecordBatch) -> dict[int, Candidate]:
    found = SpanProposer(model).propose(batch)
    return {one.row: one for one in found if one.facet == "Brand"}


def test_a_brand_nobody_listed_is_found_in_english_and_chinese(branded: Model) -> None:
    batch = products_to_batch(NEW)
    found = _brands(branded, batch)
    for row, (brand, product) in enumerate(
        zip((english_brands()[-1], chinese_brands()[-1]), NEW, strict=True)
    ):
        one = found[row]
        assert one.name == brand
        assert branded.library.find(f"Brand:{brand}") is None
        assert one.score is not None
        assert 0.3 < one.score <= 1
        span = one.evidence
        assert span is not None
        assert (span.field, span.start, span.end) == ("title", 0, len(brand))
        assert product["title"][span.start : span.end] == span.text == brand


def test_known_names_are_not_proposed(branded: Model) -> None:
    names = {(one.facet, one.name) for one in SpanProposer(branded).propose(branded_batch(200, 1))}
    assert names
    assert all(branded.library.find(f"{facet}:{name}") is None for facet, name in names)


def test_spans_in_descriptions_and_attributes_keep_their_place() -> None:
    batch = branded_batch(400)
    titles = batch.column("title").to_pylist()
    rows = batch.to_pylist(maps_as_pydicts="lossy")
    for row, title in zip(rows, titles, strict=True):
        brand = next(tag for tag in row["tags"] if tag.startswith("Brand:"))[6:]
        row["title"], row["description"] = "New in our shop", f"Here: {title}"
        row["attributes"] = {"Maker": brand}
    model = train([products_to_batch(rows)])
    new = english_brands()[-1]
    asked = {
        "id": "1", "title": "New in our shop", "description": f"Here: {new} blue quiet fan 450W",
        "attributes": {"Maker": new},
    }  # fmt: skip
    batch = products_to_batch([asked])
    values = model.read_values(batch)
    place = texts_of_values(values, batch).index(new)
    field = values.field_names[values.fields[place]]
    assert field in ("description", "attributes.Maker")
    start = 6 if field == "description" else 0
    assert (values.starts[place], values.ends[place]) == (start, start + len(new))
    assert _brands(model, batch)[0].name == new


def test_the_same_seed_gives_the_same_extractor(branded: Model) -> None:
    again = train([branded_batch(400)])
    assert np.array_equal(branded.extraction.crf.rows, again.extraction.crf.rows)
    assert np.array_equal(branded.extraction.crf.weights, again.extraction.crf.weights)
    other = train([branded_batch(400)], seed=1)
    assert not np.array_equal(branded.extraction.crf.rows, other.extraction.crf.rows)
    assert not np.array_equal(branded.extraction.crf.weights, other.extraction.crf.weights)
    batch = products_to_batch(NEW)
    assert SpanProposer(branded).propose(batch) == SpanProposer(again).propose(batch)


def test_a_saved_model_proposes_the_same(branded: Model, tmp_path: Path) -> None:
    save_model(branded, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    batch = branded_batch(100, 2)
    assert SpanProposer(loaded).propose(batch) == SpanProposer(branded).propose(batch)
    assert loaded.score(batch).values.data.tolist() == branded.score(batch).values.data.tolist()
    spans = np.load(tmp_path / "model" / "spans_weights.npy", mmap_mode="r")
    assert len(spans) == len(branded.extraction.crf.weights)


def test_a_name_accepted_since_is_no_longer_proposed(branded: Model, tmp_path: Path) -> None:
    save_model(branded, tmp_path / "model")
    library = load_model(tmp_path / "model").library
    library.add("Brand", english_brands()[-1])
    grown = load_model(tmp_path / "model", library)
    assert set(_brands(grown, products_to_batch(NEW))) == {1}


def test_values_of_several_batches_are_those_of_one(branded: Model) -> None:
    whole = branded_batch(90, 3)
    rows = [np.arange(0, 90, 3), np.flatnonzero(np.arange(90) % 3)]
    parts = [branded.read_values(whole.take(pa.array(own))) for own in rows]
    joined, expected = Values.concatenate(parts, rows), branded.read_values(whole)
    assert texts_of_values(joined, whole) == texts_of_values(expected, whole)
    assert joined.rows.tolist() == expected.rows.tolist()
    for part, own in zip(parts, rows, strict=True):
        taken = joined.take(own)
        of_part = whole.take(pa.array(own))
        assert texts_of_values(taken, of_part) == texts_of_values(part, of_part)
        assert taken.keys().tolist() == part.keys().tolist()
        assert [taken.field_names[f] for f in taken.fields] == [
            part.field_names[f] for f in part.fields
        ]


def test_what_spellings_say_is_forgotten_when_there_are_too_many(
    branded: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = branded_batch(200, 3)
    expected = branded.read_values(batch)
    monkeypatch.setattr(spellings, "_REMEMBERED", 8)
    few = Spellings(branded.library, branded.tag_ids, branded.extraction.facets)
    for start in (0, 0, 100, 50):
        part = batch.slice(start, 100)
        values = read_values(branded.extraction.crf, few, part)
        own = expected.take(np.arange(start, start + 100))
        assert values.tags.tolist() == own.tags.tolist()
        assert values.alike.tolist() == own.alike.tolist()
        assert values.spans.tolist() == own.spans.tolist()
        assert texts_of_values(values, part) == texts_of_values(own, part)
        assert few._used == np.count_nonzero(few._known["key"]) <= 8


def test_spans_that_say_the_same_are_one_value() -> None:
    random = np.random.default_rng(7)
    size = 300
    rows = np.sort(random.integers(0, 40, size)).astype(np.int32)
    facets, says = random.integers(0, 3, size).astype(np.int32), random.integers(-2, 3, size)
    posterior = random.permutation(np.linspace(0.05, 1, size))
    best, counts, ranks, rivals = _values_of(rows, facets, says, posterior)
    spans: dict[tuple[int, int], dict[int, list[int]]] = {}
    for i in range(size):
        spans.setdefault((rows[i], facets[i]), {}).setdefault(says[i], []).append(i)
    place = 0
    for _, values in sorted(spans.items()):
        groups = sorted(values.values(), key=lambda own: -max(posterior[own]))
        likeliest = [own[int(np.argmax(posterior[own]))] for own in groups]
        for rank, own in enumerate(groups):
            others = [posterior[i] for i in likeliest if i != likeliest[rank]]
            assert best[place] == likeliest[rank]
            assert (counts[place], ranks[place]) == (len(own), rank)
            assert rivals[place] == max(others, default=0)
            place += 1
    assert place == len(best)


def test_where_no_value_is_found_columns_are_missing(branded: Model) -> None:
    nothing = branded.read_values(branded_batch(2)).take(np.zeros(0, np.int64))
    assert not len(nothing.rows)
    asked = np.zeros(3, np.int32), np.arange(3, dtype=np.int32)
    assert (nothing.columns(*asked) == MISSING).all()
    assert not len(nothing.keys())


def test_empty_very_long_and_strange_texts(branded: Model) -> None:
    brand = english_brands()[-1]
    rows = [
        {"id": "1", "title": "", "description": ""},
        {"id": "2", "title": f"{brand} blue quiet fan 450W " + "very quiet " * 50_000},
        {"id": "3", "title": "★ 🙂 \u0000 ½㎏ 𠮷野家", "attributes": [("Brand", "")]},
        {"id": "4", "title": "。" * 300},
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=PRODUCT_SCHEMA)
    assert 0 not in branded.read_values(batch).rows
    (found,) = SpanProposer(branded).propose(batch)
    assert (found.row, found.facet, found.name) == (1, "Brand", brand)
    assert SpanProposer(branded).propose(batch.slice(0, 0)) == []


def test_unseen_names_count_in_the_evaluation(branded: Model) -> None:
    rows = [
        {"id": brand, "title": f"{brand} blue quiet fan 450W",
         "tags": [f"Brand:{brand}", "Colour:blue", "Kind:fan"]}
        for brand in english_brands()[-12:]
    ]  # fmt: skip
    batch = products_to_batch(rows)
    report = evaluate(branded, [batch], new_names=True)
    assert report["unknown_gold_tags"] == 12
    assert report["open"]["unknown_gold"] == 12
    assert report["open"]["unknown_recall"] > 0.7
    assert report["open"]["micro_f1"] > report["micro_f1"]
    assert report["open"]["proposed_right"] <= report["open"]["proposed"]


def test_no_extractor_where_tags_do_not_stand_in_texts() -> None:
    rows = [
        {"id": str(i), "title": f"thing {i % 7}", "tags": ["Mood:calm" if i % 2 else "Mood:wild"]}
        for i in range(200)
    ]
    model = train([products_to_batch(rows)])
    assert model.trained is not None
    assert model.trained.extraction is None
    with pytest.raises(NotTrained, match="finds no new names"):
        SpanProposer(model)


def test_an_extractor_that_does_not_help_is_no_source(branded: Model) -> None:
    """All names are known: the lexicon says all, and tagging keeps its speed."""
    model = train([make_products(400)])
    assert not model.extraction.fused
    without = train([make_products(400)], options=TrainingOptions(spans=False))
    batch = make_products(100, seed=3)
    assert np.allclose(model.score(batch).values.data, without.score(batch).values.data)
    assert branded.extraction.new.start.shape == (1,)


def test_a_library_without_names_in_the_texts_gives_no_labels() -> None:
    row = {"id": "1", "title": "", "tags": ["A:x"]}
    dataset = load_dataset([pa.RecordBatch.from_pylist([row], schema=PRODUCT_SCHEMA)])
    sequences = Sequences.of(dataset.batches[0], NO_NAMES)
    labels = label_spans(sequences, dataset.labels, dataset.library, dataset.tag_ids)
    assert (len(sequences), labels.named, labels.pairs) == (0, 0, 1)
    assert cross_fit_spans(dataset, np.zeros(1, np.int8), 0) is None


def test_the_table_of_proposers(branded: Model) -> None:
    proposer: Proposer = make_proposer("spans", branded)
    assert proposer.propose(products_to_batch(NEW))
    assert set(PROPOSERS) == {"spans", "llm"}
    with pytest.raises(UnknownTagger, match="Known: llm, spans"):
        make_proposer("oracle", branded)
