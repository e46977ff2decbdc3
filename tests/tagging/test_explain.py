import json
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest

from tagmill.errors import LibraryError, SettingsError, UnknownTag
from tagmill.learning.training import train
from tagmill.library import Library
from tagmill.records import PRODUCT_SCHEMA
from tagmill.tagging.candidates import FEATURES, Candidates, build_candidates
from tagmill.tagging.context import CONTEXT, look_around
from tagmill.tagging.explain import SOURCES, Explanation, Reasons, explain
from tagmill.tagging.extraction import SPAN_FEATURES
from tagmill.tagging.features import extract
from tagmill.tagging.folder import shipped_prior, starter_model
from tagmill.tagging.model import Model
from tagmill.tagging.options import TrainingOptions
from tests.learning.conftest import make_products

TAGS = ("Kind:dress", "Kind:shirt", "Colour:red", "Colour:green", "Season:winter")


@pytest.fixture(scope="module")
def model() -> Model:
    return train([make_products(400)])


def _batch(title: str, **fields: object) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"id": "1", "title": title, **fields}], PRODUCT_SCHEMA)


DRESS = _batch(
    "Soft red wool dress, red",
    description="a dress of wool",
    category="Clothes/Dresses",
    attributes=[("Colour", "red"), ("Fabric", "soft wool")],
)


def _fusion(explanation: Explanation) -> Reasons:
    assert explanation.fusion is not None
    return explanation.fusion


def _candidates(model: Model, batch: pa.RecordBatch) -> Candidates:
    assert model.trained is not None
    return build_candidates(
        model.trained.idf.apply(extract(batch)), model.trained.linear, 20,
        model.lexicon.find(batch), model.trained.statistics,
    )  # fmt: skip


def _with_context(model: Model, candidates: Candidates) -> np.ndarray:
    """Features of the candidates and what the others say of each."""
    assert model.trained is not None
    fusion = model.trained.fusion
    first = fusion.first.log_odds(candidates.features).astype(np.float32)
    context = look_around(
        candidates.rows, candidates.tags, first, np.ones(len(candidates), bool),
        model.trained.statistics.facets, fusion.together,
    )  # fmt: skip
    return np.concatenate([candidates.features, context], axis=1)


@pytest.mark.parametrize("tag", TAGS)
def test_the_parts_add_up(model: Model, tag: str) -> None:
    assert model.trained is not None
    fusion = _fusion(explain(model, DRESS, tag))
    candidates = _candidates(model, DRESS)
    features = candidates.features
    odds = model.trained.fusion.log_odds(candidates, model.trained.statistics.facets)
    own = model.tag_ids[candidates.tags] == model.library.resolve(tag).id
    assert fusion.log_odds == pytest.approx(odds[own][0])
    assert fusion.baseline == pytest.approx(odds.mean())
    assert fusion.baseline + sum(fusion.sources.values()) == pytest.approx(fusion.log_odds)
    assert fusion.margin == pytest.approx(features[own, FEATURES.index("linear")][0], abs=1e-5)
    assert fusion.bias + sum(word.weight for word in fusion.words) == pytest.approx(fusion.margin)


def test_it_says_what_tagging_says(model: Model) -> None:
    line = model.tag(DRESS.to_pylist(), lane="all", top_k=20)[0]
    assert len(line["tags"]) >= len(TAGS)
    for tag in line["tags"]:
        found = explain(model, DRESS, tag["id"])
        assert found.candidate
        assert found.tag_id == tag["id"]
        assert found.probability == pytest.approx(tag["probability"], abs=1e-6)
        assert (found.lane, found.calibration) == (tag["lane"], tag["calibration"])
        assert found.evidence[:3] == (tag["evidence"] or [])


def test_sources_have_their_shapley_values(model: Model) -> None:
    """Against the definition: the mean over all orders in which sources become known."""
    assert model.trained is not None
    fusion = _fusion(explain(model, DRESS, "Season:winter"))
    candidates = _candidates(model, DRESS)
    background = _with_context(model, candidates)
    row = background[model.tag_ids[candidates.tags] == model.library.resolve("Season:winter").id][0]
    players = [name for name in SOURCES if name not in ("taggers", "spans")]
    expected = dict.fromkeys(players, 0.0)
    orders = list(permutations(players))
    names = [*FEATURES, *CONTEXT]
    fusion_of_model, width = model.trained.fusion, len(FEATURES)

    def mean(rows: np.ndarray) -> float:
        return float(fusion_of_model.in_context(rows[:, :width], rows[:, width:]).mean())

    for order in orders:
        mixed = background.copy()
        before = mean(mixed)
        for name in order:
            own = [names.index(feature) for feature in SOURCES[name]]
            mixed[:, own] = row[own]
            after = mean(mixed)
            expected[name] += (after - before) / len(orders)
            before = after
    assert fusion.sources == pytest.approx(expected)
    sizes = [abs(value) for value in fusion.sources.values()]
    assert sizes == sorted(sizes, reverse=True)


def test_every_feature_has_a_source() -> None:
    parts = [feature for parts in SOURCES.values() for feature in parts]
    assert sorted(parts) == sorted([*FEATURES, *CONTEXT, *SPAN_FEATURES])


@pytest.mark.parametrize(
    ("title", "tag", "word"),
    [
        ("Soft red wool dress", "Season:winter", "wool"),
        ("Soft red wool dress", "Kind:dress", "dress"),
        ("Soft red wool dress", "Colour:red", "red"),
        ("Classic GREEN linen shirt", "Colour:green", "GREEN"),
    ],
)
def test_the_word_that_matters_comes_first(model: Model, title: str, tag: str, word: str) -> None:
    first = _fusion(explain(model, _batch(title), tag)).words[0]
    assert first.text == word
    assert first.weight > 0
    assert title[first.start : first.end] == word


def test_a_word_may_speak_against(model: Model) -> None:
    words = _fusion(explain(model, _batch("Soft red linen dress"), "Season:winter")).words
    assert words[0].text == "linen"
    assert words[0].weight < 0


def test_words_are_found_in_every_field(model: Model) -> None:
    words = _fusion(explain(model, DRESS, "Season:winter")).words
    fields = {word.field for word in words if word.text == "wool"}
    assert fields == {"title", "description", "attributes.Fabric"}
    for word in words:
        name, _, attribute = word.field.partition(".")
        value = DRESS.to_pylist()[0][name]
        text = dict(value)[attribute] if attribute else value
        assert text[word.start : word.end] == word.text


def test_share_and_evidence(model: Model) -> None:
    found = explain(model, _batch("Soft red wool dress"), "Kind:dress")
    labels = make_products(400).column("tags").to_pylist()
    assert found.share == sum("Kind:dress" in tags for tags in labels) / 400
    assert found.evidence == [{"field": "title", "start": 14, "end": 19, "text": "dress"}]
    assert json.loads(json.dumps(found.as_dict()))["fusion"]["words"][0]["text"] == "dress"


def test_a_tag_that_is_no_candidate_is_judged_all_the_same() -> None:
    model = train([make_products(200)], options=TrainingOptions(candidates=1))
    batch = _batch("Soft linen dress")
    winter = model.library.resolve("Season:winter").id
    assert winter not in model.tag_ids[model.score(batch).values.indices]
    found = explain(model, batch, "Season:winter")
    assert not found.candidate
    assert found.lane == "rejected"
    assert found.probability == 0
    fusion = _fusion(found)
    assert fusion.baseline + sum(fusion.sources.values()) == pytest.approx(fusion.log_odds)


def test_a_further_tagger_is_a_source() -> None:
    model = train([make_products(200)], taggers=["lexicon"])
    fusion = _fusion(explain(model, DRESS, "Kind:dress"))
    assert set(fusion.sources) == set(SOURCES) - {"spans"}
    assert fusion.baseline + sum(fusion.sources.values()) == pytest.approx(fusion.log_odds)


def test_a_prior_probability_comes_of_names_alone() -> None:
    named = explain(starter_model(), _batch("红色真丝连衣裙"), "Color:Red")
    assert (named.tag, named.calibration, named.fusion, named.share) == (
        "颜色:红色", "prior", None, None,
    )  # fmt: skip
    assert [span["text"] for span in named.evidence] == ["红色"]
    absent = explain(starter_model(), _batch("红色真丝连衣裙"), "颜色:蓝色")
    assert (absent.probability, absent.evidence, absent.candidate) == (0, [], False)


def test_nothing_in_the_product_has_to_do_with_the_tag() -> None:
    rows = [
        {"id": str(i), "title": "", "tags": [tag]}
        for i, tag in enumerate(["Kind:dress", "Kind:shirt"])
    ]
    model = train([pa.RecordBatch.from_pylist(rows, PRODUCT_SCHEMA)])
    found = explain(model, _batch("red"), "Kind:dress")
    assert (found.calibration, found.probability, found.share) == ("fitted", 0, 0.5)
    assert (found.candidate, found.fusion) == (False, None)
    named = _fusion(explain(model, _batch("dress"), "Kind:dress"))  # without a linear model of it
    assert (named.bias, named.words) == (-10, [])
    assert named.baseline + sum(named.sources.values()) == pytest.approx(named.log_odds)


def test_what_cannot_be_explained(model: Model) -> None:
    with pytest.raises(UnknownTag, match="Nearest: Kind:dress"):
        explain(model, DRESS, "Kind:dresss")
    with pytest.raises(SettingsError, match="precision"):
        explain(model, DRESS, "Kind:dress", precision=0)
    library = Library.from_written(["Kind:dress"])
    library.retire(library.resolve("Kind:dress"))
    with pytest.raises(LibraryError, match="is retired"):
        explain(Model(library, shipped_prior()), DRESS, "Kind:dress")
