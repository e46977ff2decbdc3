import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.metrics import average_precision_score
from sklearn.svm import LinearSVC

from tagmill.errors import CatalogError
from tagmill.learning import train
from tagmill.learning.dataset import LabelMatrix
from tagmill.learning.one_vs_rest import OneVsRest, train_linear
from tagmill.records import PRODUCT_SCHEMA
from tagmill.tagging.features import Rows
from tests.learning.conftest import make_products


def _problem(n: int, seed: int = 0) -> tuple[Rows, LabelMatrix]:
    """Rows of length one with six tags, each of one feature; every fifth tag is noise."""
    rng = np.random.default_rng(seed)
    dense = rng.random((n, 80)) * (rng.random((n, 80)) < 0.1)
    dense[:, 0] += 1e-3
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    accepted = dense[:, 1:7] > 0.25
    accepted ^= rng.random(accepted.shape) < 0.002
    matrix = sparse.csr_array(dense.astype(np.float32))
    rows = Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
    return rows, LabelMatrix(sparse.csr_array(accepted.astype(np.float32)), np.ones(n, bool))


def test_a_sample_and_hard_negatives_do_as_well_as_all_rows() -> None:
    rows, labels = _problem(20_000)
    new_rows, new_labels = _problem(4_000, seed=1)
    solution = OneVsRest.solve(rows, labels)
    assert len(solution.entries.rows) < 0.35 * len(rows) * 6  # of all pairs of rows and tags
    ours = solution.index().margins(new_rows)
    matrix, new_matrix = (r.matrix()[:, :80].toarray() for r in (rows, new_rows))
    right = new_labels.values.toarray() > 0
    for tag in range(6):
        target = labels.values[:, [tag]].toarray().ravel() > 0
        theirs = LinearSVC().fit(matrix, target).decision_function(new_matrix)
        reached = average_precision_score(right[:, tag], ours[:, tag])
        assert reached > average_precision_score(right[:, tag], theirs) - 0.01


def test_without_the_held_out_is_as_if_they_had_never_been_there() -> None:
    rows, labels = _problem(2_000)
    held_out = np.arange(2_000) % 4 == 0
    inside = np.flatnonzero(held_out)
    warm = OneVsRest.solve(rows, labels).without(held_out).index().margins(rows.take(inside))
    outside = np.flatnonzero(~held_out)
    cold = train_linear(rows.take(outside), labels.subset(outside)).margins(rows.take(inside))
    for tag in range(6):
        assert np.corrcoef(warm[:, tag], cold[:, tag])[0, 1] > 0.98
        assert abs(warm[:, tag].mean() - cold[:, tag].mean()) < 0.05


def test_a_tag_that_only_the_held_out_have_has_no_model_without_them() -> None:
    rows, labels = _problem(200)
    values = sparse.lil_array(labels.values)
    values[:, 2] = 0
    values[7, 2] = 1
    solution = OneVsRest.solve(rows, LabelMatrix(sparse.csr_array(values), labels.complete))
    held_out = np.arange(200) == 7
    assert np.isfinite(solution.index().bias[2])
    assert np.isnan(solution.without(held_out).index().bias[2])


def test_a_soft_label_is_between_right_and_wrong() -> None:
    """Of rows that look alike, what a teacher says with 0.8 ends nearer to right than 0.2."""
    ones = np.ones(300, np.float32)
    rows = Rows(np.arange(301), np.repeat([1, 2, 3], 100).astype(np.int32), ones)
    said = np.repeat([2 * 0.8 - 1, 2 * 0.2 - 1, -1], 100).astype(np.float32)[:, None]
    labels = LabelMatrix(sparse.csr_array(said), np.zeros(300, bool))
    margins = train_linear(rows, labels).margins(rows)[:, 0]
    high, low, wrong = margins[0], margins[100], margins[200]
    assert high == pytest.approx(0.6, abs=0.1)
    assert low == pytest.approx(-0.6, abs=0.1)
    assert wrong < low


def test_where_they_disagree_a_person_weighs_more_than_a_teacher() -> None:
    ones = np.ones(200, np.float32)
    rows = Rows(np.arange(201), np.ones(200, np.int32), ones)
    said = np.repeat([1, -0.999], 100).astype(np.float32)[:, None]
    for person, expected in ((1, True), (-1, False)):
        labels = LabelMatrix(sparse.csr_array(person * said), np.zeros(200, bool))
        assert (train_linear(rows, labels).margins(rows)[0, 0] > 0) == expected


def test_a_teacher_is_believed_as_far_as_it_says() -> None:
    products = make_products(400)
    rows = products.to_pylist()
    teacher = {}
    model = train([products])
    winter = model.library.resolve("Season:winter").id
    taught = []
    for number, row in enumerate(rows[:300]):
        if "wool" in row["title"]:
            taught.append({**row, "id": f"t{number}", "title": f"{row['title']} hygge",
                           "tags": None})  # fmt: skip
            teacher[f"t{number}"] = {winter: 0.7}
    both = pa.RecordBatch.from_pylist([*rows, *taught], PRODUCT_SCHEMA)
    learned = train([both], model.library, verdicts=teacher)
    assert learned.trained is not None
    assert learned.trained.held_out.sampled == len(learned.trained.held_out.right)
    assert model.trained is not None
    taught_rows = np.char.startswith(learned.trained.memory.ids, "t")
    remembered = np.diff(learned.trained.memory.tag_indptr)
    assert taught_rows.any()
    assert not remembered[taught_rows].any()
    assert remembered[~taught_rows].all()
    # Nothing of the teacher's is among what lanes are promised on.
    assert learned.trained.held_out.gold_total == model.trained.held_out.gold_total


@pytest.mark.parametrize("said", [1.7, -0.1, float("nan")])
def test_a_teacher_says_a_probability_or_is_refused(said: float) -> None:
    products = make_products(20)
    model = train([products])
    tag = model.library.resolve("Season:winter").id
    product = products.column("id")[3].as_py()
    with pytest.raises(CatalogError, match=rf"{tag} of product {product} is .*in \[0, 1\]"):
        train([products], model.library, verdicts={product: {tag: said}})
