import numpy as np
from scipy import sparse
from sklearn.svm import LinearSVC

from tagmill.learning.dataset import LabelMatrix
from tagmill.learning.one_vs_rest import train_linear
from tagmill.tagging.features import FEATURE_BITS, Rows
from tagmill.tagging.linear import DENSE_TAGS, LinearModel


def _problem(
    seed: int = 0, n: int = 300, features: int = 60, tags: int = 4
) -> tuple[Rows, LabelMatrix]:
    """Rows of length one whose tags depend linearly on a few of their features."""
    rng = np.random.default_rng(seed)
    dense = rng.random((n, features)) * (rng.random((n, features)) < 0.2)
    dense[:, 0] += 1e-3
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    truth = rng.normal(size=(features, tags))
    margins = dense @ truth
    accepted = margins > np.quantile(margins, 0.7, axis=0)
    matrix = sparse.csr_array(dense.astype(np.float32))
    rows = Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
    return rows, LabelMatrix(sparse.csr_array(accepted.astype(np.int8)), np.ones(n, bool))


def _dense_scores(rows: Rows, labels: LabelMatrix, **options: float) -> np.ndarray:
    model = train_linear(rows, labels, **options)  # type: ignore[arg-type]
    return model.margins(rows)


def test_finds_the_same_machine_as_liblinear() -> None:
    rows, labels = _problem()
    ours = _dense_scores(rows, labels)
    matrix = rows.matrix()[:, :60].toarray()
    for tag in range(labels.values.shape[1]):
        target = labels.values[:, [tag]].toarray().ravel() > 0
        reference = LinearSVC(C=1.0, tol=1e-4, max_iter=10_000).fit(matrix, target)
        theirs = reference.decision_function(matrix)
        assert np.corrcoef(ours[:, tag], theirs)[0, 1] > 0.995
        assert np.mean((ours[:, tag] > 0) == (theirs > 0)) > 0.98


def test_same_seed_same_model() -> None:
    rows, labels = _problem(1)
    one, other = train_linear(rows, labels, seed=3), train_linear(rows, labels, seed=3)
    assert np.array_equal(one.postings, other.postings)
    assert np.array_equal(one.bias, other.bias)


def test_an_unjudged_product_is_no_negative() -> None:
    rows, labels = _problem(2)
    dense = labels.values.toarray()
    dense[:150] = 0
    unknown = sparse.csr_array(dense)
    half = np.arange(300) >= 150
    as_unknown = train_linear(rows, LabelMatrix(unknown, half)).margins(rows)
    only_half = train_linear(rows.take(np.flatnonzero(half)), labels.subset(np.flatnonzero(half)))
    assert np.allclose(as_unknown, only_half.margins(rows), atol=0.15)
    as_negative = train_linear(rows, LabelMatrix(unknown, np.ones(300, bool)))
    assert as_negative.margins(rows).mean() < as_unknown.mean() - 0.05


def test_a_tag_without_examples_has_no_model() -> None:
    rows, labels = _problem(3)
    emptied = sparse.lil_array(labels.values)
    emptied[:, 1] = 0
    model = train_linear(rows, LabelMatrix(sparse.csr_array(emptied), labels.complete))
    assert np.isnan(model.bias[1])
    assert 1 not in model.unpack()[1]
    assert np.isnan(model.margins(rows)[:, 1]).all()


def test_index_covers_all_features() -> None:
    rows, labels = _problem(5)
    model = train_linear(rows, labels)
    assert len(model.indptr) == (1 << FEATURE_BITS) + 1
    assert model.indptr[-1] == len(model.postings)


def test_tags_can_move_and_be_dropped() -> None:
    rows, labels = _problem(6)
    model = train_linear(rows, labels)
    moved = model.moved(np.array([5, -1, 0, 1]), 6)
    before, after = model.margins(rows), moved.margins(rows)
    assert np.allclose(after[:, [5, 0, 1]], before[:, [0, 2, 3]], atol=1e-5)
    assert np.isnan(after[:, [2, 3, 4]]).all()


def test_weights_survive_packing() -> None:
    """Of features that few tags weigh as postings, of others as the levels of all tags."""
    rng = np.random.default_rng(0)
    for tags in (1, 7, 300, DENSE_TAGS + 1):
        chosen = rng.random((40, tags)) < np.linspace(0.01, 1, 40)[:, None]
        features, numbers = np.nonzero(chosen)
        levels = rng.integers(1, 128, len(features)) * rng.choice([-1, 1], len(features))
        none = np.ones(tags, np.float32)
        order = rng.permutation(len(features))
        model = LinearModel.pack(features[order], numbers[order], levels[order], none, none)
        for packed, given in zip(model.unpack(), (features, numbers, levels), strict=True):
            assert np.array_equal(packed, given)
        if tags == 300:
            assert len(model.postings) < len(features) / 2
