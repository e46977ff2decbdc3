from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from tagmill.errors import TaggerError, UnknownTagger
from tagmill.learning.training import train
from tagmill.library import Library
from tagmill.records import PRODUCT_SCHEMA, Scores, Tagger
from tagmill.tagging import ENTRY_POINTS, TAGGERS, make_tagger
from tagmill.tagging.candidates import FEATURES
from tagmill.tagging.folder import load_model, save_model


class Oracle:
    """A stranger's tagger: knows a secret mark that no word of the text tells."""

    def __init__(self, library: Library) -> None:
        self.tag = library.resolve("Secret:yes")

    def score(self, batch: pa.RecordBatch) -> Scores:
        marked = np.array(
            [str(image or "").endswith("!") for image in batch.column("image").to_pylist()]
        )
        values = sparse.csr_array(marked[:, None].astype(np.float32))
        ids = np.array(batch.column("id").to_pylist(), object)
        return Scores(ids, np.array([self.tag.id], object), values)


class Shuffler(Oracle):
    def score(self, batch: pa.RecordBatch) -> Scores:
        scores = super().score(batch)
        return Scores(scores.product_ids[::-1], scores.tag_ids, scores.values)


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with three entry points, one of which leads nowhere."""
    installed = tmp_path / "site" / "strangers-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    points = {"oracle": "Oracle", "shuffler": "Shuffler", "gone": "Missing"}
    lines = [f"{name} = {__name__}:{kind}" for name, kind in points.items()]
    (installed / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINTS}]", *lines]))
    monkeypatch.syspath_prepend(str(installed.parent))


def _products(size: int, seed: int) -> pa.RecordBatch:
    rng = np.random.default_rng(seed)
    marked = rng.random(size) < 0.4
    return pa.RecordBatch.from_pylist(
        [
            {
                "id": str(i),
                "title": f"thing {rng.integers(20)}",
                "image": "a.jpg!" if marked[i] else "a.jpg",
                "tags": ["Kind:thing"] + (["Secret:yes"] if marked[i] else []),
            }
            for i in range(size)
        ],
        schema=PRODUCT_SCHEMA,
    )


def _small_library() -> Library:
    return Library.from_written(["Kind:thing", "Secret:yes"])


@pytest.mark.parametrize("name", TAGGERS)
def test_every_row_of_the_table_is_a_tagger(name: str) -> None:
    tagger: Tagger = make_tagger(name, _small_library())
    batch = _products(3, 0)
    scores = tagger.score(batch)
    assert scores.values.shape == (3, len(scores.tag_ids))
    assert scores.values.dtype == np.float32
    assert scores.product_ids.tolist() == ["0", "1", "2"]


@pytest.mark.usefixtures("strangers")
def test_an_unknown_tagger_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownTagger, match="'orakle'.*lexicon, oracle"):
        make_tagger("orakle", _small_library())
    with pytest.raises(UnknownTagger, match="'gone'.*cannot be loaded"):
        make_tagger("gone", _small_library())


@pytest.mark.usefixtures("strangers")
def test_a_strangers_tagger_enters_the_fusion(tmp_path: Path) -> None:
    with_oracle = train([_products(300, 0)], taggers=["oracle"])
    save_model(with_oracle, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.trained is not None
    assert loaded.trained.fusion.first.feature.max() >= len(FEATURES)
    without = train([_products(300, 0)])
    new = _products(200, 1)
    truth = np.array(["Secret:yes" in tags for tags in new.column("tags").to_pylist()])
    errors = {}
    for name, model in (("with", loaded), ("without", without)):
        column = model.tag_ids.tolist().index(model.library.resolve("Secret:yes").id)
        probability = model.score(new).values[:, [column]].toarray().ravel()
        errors[name] = np.mean((probability - truth) ** 2)
    assert errors["with"] < 0.01 < 0.15 < errors["without"]


@pytest.mark.usefixtures("strangers")
def test_scores_of_other_products_are_refused() -> None:
    with pytest.raises(TaggerError, match="Shuffler answered 300 products in another order"):
        train([_products(300, 0)], taggers=["shuffler"])
