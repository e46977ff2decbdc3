from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tagmill.learning.training import train
from tagmill.library import Library
from tagmill.records import PRODUCT_SCHEMA, Facet, Tag, tag_id
from tagmill.tagging.explain import explain
from tagmill.tagging.folder import load_model, save_model
from tagmill.tagging.model import Model
from tagmill.tagging.similarity import NOTHING_SIMILAR, fit_similarity
from tests.learning.conftest import make_products


@pytest.fixture(scope="module")
def model() -> Model:
    return train([make_products(400)])


def test_a_new_tag_is_found_by_its_description(model: Model, tmp_path_factory: object) -> None:
    folder = tmp_path_factory.mktemp("similarity") / "model"  # type: ignore[attr-defined]
    save_model(model, folder)
    cosy = Tag(tag_id("Feel", "cosy"), "Feel", "cosy", description="made of soft wool for winter")
    library = Library(
        [*model.library.tags.values(), cosy], [*model.library.facets.values(), Facet("Feel")]
    )
    grown = load_model(folder, library)
    assert grown.trained is not None
    # As if likeness had told something of the tags that have been used.
    curve = fit_similarity(
        np.arange(200), np.linspace(0.05, 1, 200).astype(np.float32), np.arange(200) > 60
    )
    grown.trained = replace(grown.trained, similarity=curve)
    soft = grown.tag([{"id": "1", "title": "Soft wool dress"}], lane="all", top_k=20)[0]["tags"]
    (found,) = [tag for tag in soft if tag["name"] == "cosy"]
    assert 0 < found["probability"] < 0.9
    assert (found["calibration"], found["evidence"]) == ("prior", None)
    assert found["lane"] != "auto"
    linen = grown.tag([{"id": "1", "title": "green linen"}], lane="all", top_k=20)[0]["tags"]
    assert "cosy" not in [tag["name"] for tag in linen]


def test_likeness_is_doubted() -> None:
    keys, cosines = np.arange(100), np.full(100, 0.8, np.float32)
    curve = fit_similarity(keys, cosines, np.ones(100, bool))
    assert curve(np.array([0.06]))[0] < 0.3
    assert 0.5 < curve(np.array([0.8]))[0] < 1
    assert fit_similarity(keys[:10], cosines[:10], np.ones(10, bool)) is NOTHING_SIMILAR
    assert fit_similarity(keys, cosines, np.zeros(100, bool)) is NOTHING_SIMILAR


def test_explain_shows_similar_products(model: Model) -> None:
    product = make_products(1).slice(0, 1)
    found = explain(model, product, product.column("tags")[0].as_py()[0])
    best = found.similar[0]
    assert best["similarity"] == pytest.approx(1, abs=1e-5)
    assert best["has_tag"] is True
    assert [other["similarity"] for other in found.similar] == sorted(
        (other["similarity"] for other in found.similar), reverse=True
    )
    nothing = pa.RecordBatch.from_pylist([{"id": "x", "title": "qqq"}], PRODUCT_SCHEMA)
    assert explain(model, nothing, "Kind:dress").similar == []
