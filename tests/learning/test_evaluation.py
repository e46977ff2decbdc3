import pyarrow as pa
import pytest

from tagmill.errors import CatalogError
from tagmill.learning.evaluation import evaluate
from tagmill.learning.training import train
from tagmill.records import PRODUCT_SCHEMA
from tagmill.tagging.folder import starter_model
from tagmill.tagging.model import Model


@pytest.fixture(scope="module")
def model(products: pa.RecordBatch) -> Model:
    return train([products])


def test_a_good_model_on_new_products(model: Model, new_products: pa.RecordBatch) -> None:
    report = evaluate(model, [new_products.slice(0, 100), new_products.slice(100)])
    assert report["products"] == report["products_with_tags"] == 300
    assert report["p_at_1"] > 0.99
    assert report["micro_f1"] > 0.95
    assert report["ece"] < 0.02
    assert report["achieved_precision_at_095"] > 0.93
    assert report["coverage_at_095"] > 0.5
    assert set(report["per_facet"]) == {"Kind", "Colour", "Season"}
    season = report["per_facet"]["Season"]
    assert season["recall"] > 0.95
    assert 0.8 < season["precision"] < 0.97  # one wool product in ten is not tagged so
    gold = sum(len(tags) for tags in new_products.column("tags").to_pylist())
    assert report["gold_tags"] == sum(part["gold"] for part in report["per_facet"].values()) == gold
    assert report["per_tag"]["Kind:dress"]["f1"] > 0.99
    assert report["diversity"]["facets_per_product"] > 2


def test_the_lexicon_stands_beside_it(model: Model, new_products: pa.RecordBatch) -> None:
    baseline = evaluate(model, [new_products])["baseline"]
    assert baseline["name"] == "lexicon"
    assert baseline["precision"] > 0.99
    assert baseline["recall"] < 0.9  # no word of the text says winter


def _rows(*rows: tuple[str, list[str] | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"id": str(i), "title": title, "tags": tags} for i, (title, tags) in enumerate(rows)],
        schema=PRODUCT_SCHEMA,
    )


def test_an_unknown_gold_tag_is_a_miss_and_an_empty_list_a_judgement(model: Model) -> None:
    known = _rows(("Soft red linen dress", ["Kind:dress", "Colour:red"]))
    unknown = _rows(("Soft red linen dress", ["Kind:dress", "Colour:red", "Brand:Acme"]))
    none = _rows(("Soft red linen dress", []))
    unjudged = _rows(("Soft red linen dress", ["Kind:dress", "Colour:red"]), ("green", None))
    assert evaluate(model, [known])["recall"] == 1
    with_unknown = evaluate(model, [unknown])
    assert with_unknown["recall"] == pytest.approx(2 / 3)
    assert with_unknown["unknown_gold_tags"] == 1
    assert with_unknown["per_facet"]["Brand"]["recall"] == 0
    assert evaluate(model, [none])["precision"] == 0
    assert evaluate(model, [unjudged])["products"] == 1


def test_confusions_name_what_stood_in_for_what(model: Model) -> None:
    wrong = _rows(*[("Soft red linen dress", ["Kind:dress", "Colour:blue"])] * 3)
    assert evaluate(model, [wrong])["confusions"][0] == {
        "missed": "Colour:blue", "published": "Colour:red", "products": 3,
    }  # fmt: skip


def test_without_any_tagged_product_there_is_nothing_to_measure(model: Model) -> None:
    with pytest.raises(CatalogError, match="'tags' column"):
        evaluate(model, [_rows(("a", None))])


def test_the_starter_library_can_be_measured_and_promises_nothing() -> None:
    report = evaluate(starter_model(), [_rows(("红色连衣裙", ["颜色:红色", "品类:连衣裙"]))])
    assert report["recall"] == 1
    assert report["coverage_at_095"] == 0
    assert report["achieved_precision_at_095"] is None


def test_products_of_the_training_are_counted(
    model: Model, products: pa.RecordBatch, new_products: pa.RecordBatch
) -> None:
    assert evaluate(model, [products])["seen_in_training"] == products.num_rows
    # The same ids, and 90 titles in all: a few say the same by chance.
    assert evaluate(model, [new_products])["seen_in_training"] < 20


def test_what_tag_would_leave_out_is_not_published(
    model: Model, new_products: pa.RecordBatch
) -> None:
    for top_k in (1, 2, 10):
        report = evaluate(model, [new_products], top_k=top_k)
        written = model.tag(new_products.drop_columns("tags").to_pylist(), top_k=top_k)
        tags = [tag for line in written for tag in line["tags"]]
        assert report["diversity"]["tags_per_product"] * 300 == pytest.approx(len(tags))
        auto = sum(part["auto"] for part in report["per_facet"].values())
        assert auto == sum(tag["lane"] == "auto" for tag in tags)
