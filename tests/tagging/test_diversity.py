import numpy as np
import pyarrow as pa

from tagmill.learning import evaluate, train
from tagmill.library import Library
from tagmill.records import PRODUCT_SCHEMA
from tagmill.tagging.diversity import Diversity
from tagmill.tagging.folder import starter_model
from tagmill.tagging.model import facet_numbers


def _diversity(names: list[str]) -> tuple[Library, Diversity]:
    library = Library.from_written(names)
    none = np.zeros(0, np.int32)
    facets = facet_numbers(library, np.array([tag.id for tag in library.active()], object))
    return library, Diversity.of(library, facets, None, np.zeros(1, np.int64), none)


def _redundant(names: list[str]) -> set[frozenset[str]]:
    library, diversity = _diversity(names)
    written = [tag.text for tag in library.active()]
    owners = np.repeat(np.arange(len(written)), np.diff(diversity.indptr))
    pairs = zip(owners.tolist(), diversity.redundant.tolist(), strict=True)
    return {frozenset((written[a], written[b])) for a, b in pairs}


def test_names_alike_or_inside_one_another_are_redundant_within_a_facet() -> None:
    found = _redundant(
        ["Size:24 oz", "Size:24 Oz", "Colour:navy", "Colour:navy blue", "Kind:navy", "Colour:blue",
         "材质:真丝", "材质:桑蚕真丝", "材质:丝绒", "Size:4K", "Size:8K"]
    )  # fmt: skip
    assert found == {
        frozenset(("Size:24 oz", "Size:24 Oz")),
        frozenset(("Colour:navy", "Colour:navy blue")),
        frozenset(("Colour:blue", "Colour:navy blue")),
        frozenset(("材质:真丝", "材质:桑蚕真丝")),
    }


def _products(size: int) -> pa.RecordBatch:
    """Each has one colour; deep blue ones are also soft or hard, or both."""
    rows = []
    for i in range(size):
        colour = ("red", "blue", "deep blue")[i % 3]
        feels = ("soft", "hard", "soft hard")[i // 3 % 3]
        tags = [f"Colour:{colour}", *(f"Feel:{feel}" for feel in feels.split())]
        rows.append({"id": str(i), "title": f"{colour} {feels} thing", "tags": tags})
    return pa.RecordBatch.from_pylist(rows, PRODUCT_SCHEMA)


def test_a_diverse_list_keeps_to_the_usual_counts() -> None:
    model = train([_products(300)])
    product = [{"id": "1", "title": "red blue soft hard thing"}]
    every = model.tag(product, lane="all")[0]["tags"]
    assert sum(tag["facet"] == "Colour" for tag in every) == 3
    diverse = model.tag(product, lane="all", diverse=True)[0]["tags"]
    assert sum(tag["facet"] == "Colour" for tag in diverse) == 1
    assert sum(tag["facet"] == "Feel" for tag in diverse) == 2
    assert diverse[0] == every[0]
    assert [tag for tag in every if tag in diverse] == diverse


def test_what_people_give_together_is_not_redundant() -> None:
    rows = [
        {"id": str(i), "title": f"navy blue {i}", "tags": ["Colour:navy", "Colour:navy blue"]}
        for i in range(20)
    ]
    model = train([pa.RecordBatch.from_pylist(rows, PRODUCT_SCHEMA)])
    assert not len(model.diversity.redundant)


def test_without_training_only_names_count() -> None:
    assert starter_model().diversity.caps.min() > 1000


def test_evaluation_says_what_diversity_costs() -> None:
    model = train([_products(300)])
    report = evaluate(model, [_products(90)])["diversity"]
    assert set(report["diverse"]) == {
        "micro_f1", "tags_per_product", "facets_per_product", "redundant_share",
    }  # fmt: skip
    assert report["diverse"]["redundant_share"] == 0
    assert report["diverse"]["tags_per_product"] <= report["tags_per_product"]
