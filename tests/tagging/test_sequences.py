import numpy as np
import pyarrow as pa
import pytest

from tagmill.catalog.memory import products_to_batch
from tagmill.tagging.crf import forward_backward, local_scores
from tagmill.tagging.sequences import NO_NAMES, OwnNames, Sequences, names_table


def _tokens(text: str) -> list[str]:
    batch = products_to_batch([{"id": "1", "title": text}])
    sequences, (title,) = Sequences.of(batch, NO_NAMES), batch.column("title").to_pylist()
    bounds = zip(sequences.starts.tolist(), sequences.ends.tolist(), strict=True)
    return [title[start:end] for start, end in bounds]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("SEAPESCA Mini 4.5g", ["SEAPESCA", "Mini", "4.5g"]),
        ("Women's Red/Blue", ["Women", "'", "s", "Red", "/", "Blue"]),
        ("小米手机15 Pro", ["小", "米", "手", "机", "15", "Pro"]),
        ("1,200W. ½㎏", ["1,200W", ".", "½㎏"]),
        ("🙂a", ["🙂", "a"]),
        ("x \t　a", ["x", "a"]),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert _tokens(text) == tokens


def test_sequences_of_all_fields_in_order() -> None:
    rows = [
        {"id": "1", "title": "a b", "description": None, "attributes": {"Brand": "c d e"}},
        {"id": "2", "title": "", "description": "f"},
    ]
    sequences = Sequences.of(products_to_batch(rows), NO_NAMES)
    fields = [sequences.field_names[field] for field in sequences.fields]
    assert list(zip(sequences.rows.tolist(), fields, strict=True)) == [
        (0, "title"), (0, "attributes.Brand"), (1, "description"),
    ]  # fmt: skip
    assert np.diff(sequences.first).tolist() == [2, 3, 1]
    assert len(sequences.places) == len(sequences.starts) + 1


def _hashes(batch: pa.RecordBatch, token: int, *parts: object) -> set[int]:
    sequences = Sequences.of(batch, *parts)  # type: ignore[arg-type]
    own = slice(sequences.places[token], sequences.places[token + 1])
    return set(sequences.hashes[own].tolist())


def test_a_name_is_a_feature_of_its_tokens_unless_only_the_product_has_it() -> None:
    batch = products_to_batch([{"id": "1", "title": "Acme Tools red"}])
    plain = Sequences.of(batch, NO_NAMES)
    keys = plain.name_keys(np.array([0]), np.array([2]))
    once = names_table(keys, np.array([0], np.int32), np.array([1]))
    own = OwnNames(np.array([0, 1]), keys, np.array([0], np.int32))
    without = _hashes(batch, 1, NO_NAMES)
    assert len(_hashes(batch, 1, once) - without) == 2
    assert not _hashes(batch, 1, once, own) - without
    twice = names_table(keys, np.array([0], np.int32), np.array([2]))
    assert len(_hashes(batch, 1, twice, own) - without) == 2
    assert not _hashes(batch, 2, once) - _hashes(batch, 2, NO_NAMES)


def test_posteriors_are_those_of_all_labellings_added_up() -> None:
    """Two facets, three tokens: every labelling scored by hand."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 5)).astype(np.float32)
    transition, inside = rng.normal(size=(4, 3)), rng.normal(size=(2, 2))
    total, posterior = 0.0, np.zeros((3, 5))
    for code in range(5**3):
        states = [code // 5**t % 5 for t in range(3)]
        weight, before = 0.0, -1
        for t, state in enumerate(states):
            weight += scores[t, state]
            if state > 2:
                if before not in (state, state - 2):
                    weight = -np.inf
                    break
                weight += inside[int(before == state), state - 3]
            else:
                source = 3 if t == 0 else before - 2 if before > 2 else before
                weight += transition[source, state]
            before = state
        total += np.exp(weight)
        for t, state in enumerate(states):
            posterior[t, state] += np.exp(weight)
    parts = local_scores(scores, np.exp(transition), np.exp(inside), np.arange(2))
    alpha, beta, _, _ = forward_backward(*parts)
    assert np.allclose(alpha * beta, posterior / total, atol=1e-6)
