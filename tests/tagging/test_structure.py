from __future__ import annotations

from dataclasses import replace

from tagmill.library import Library
from tagmill.records import Facet
from tagmill.tagging.folder import shipped_prior
from tagmill.tagging.model import Model


def _model() -> Model:
    library = Library([], [Facet("颜色"), Facet("品类", {"en": "Category"}), Facet("袖长")])
    clothing = library.add("品类", "服装")
    dress = library.update(library.add("品类", "连衣裙"), broader=[clothing.id])
    library.update(library.add("品类", "碎花连衣裙"), broader=[dress.id])
    library.add("品类", "电视")
    for name in ("红色", "蓝色"):
        library.add("颜色", name)
    library.add("袖长", "长袖")
    return Model(library, shipped_prior())


def _tags(model: Model, title: str, *, top_k: int = 10, broader: bool = False) -> set[str]:
    product = {"id": "1", "title": title}
    (line,) = model.tag([product], lane="all", top_k=top_k, broader=broader)
    return {tag["name"] for tag in line["tags"]}


def test_a_narrower_tag_stands_for_the_broader_ones() -> None:
    model = _model()
    title = "服装 连衣裙 碎花连衣裙 红色"
    assert _tags(model, title) == {"碎花连衣裙", "红色"}
    assert _tags(model, title, broader=True) == {"碎花连衣裙", "连衣裙", "服装", "红色"}
    assert _tags(model, "碎花连衣裙", broader=True) == {"碎花连衣裙", "连衣裙", "服装"}
    assert _tags(model, "服装 红色") == {"服装", "红色"}
    assert len(_tags(model, title, top_k=1)) == 1


def test_what_is_implied_is_at_least_as_probable() -> None:
    (line,) = _model().tag([{"id": "1", "title": "碎花连衣裙"}], lane="all", broader=True)
    probability = {tag["name"]: tag["probability"] for tag in line["tags"]}
    assert probability["服装"] >= probability["碎花连衣裙"]
    assert [tag["evidence"] is None for tag in line["tags"] if tag["name"] == "服装"] == [True]


def test_a_facet_of_one_value_gives_one() -> None:
    model = _model()
    assert {"红色", "蓝色"} <= _tags(model, "红色 蓝色 连衣裙")
    facet = model.library.facets["颜色"]
    model.library.add_facet(replace(facet, single=True))
    fresh = Model(model.library, model.prior)
    assert len({"红色", "蓝色"} & _tags(fresh, "红色 蓝色 连衣裙")) == 1


def test_a_facet_only_for_some_products() -> None:
    model = _model()
    assert "长袖" in _tags(model, "长袖 电视")
    clothing = model.library.resolve("品类:服装")
    facet = model.library.facets["袖长"]
    model.library.add_facet(replace(facet, only_for=(clothing.id,)))
    fresh = Model(model.library, model.prior)
    assert "长袖" not in _tags(fresh, "长袖 电视")
    assert "长袖" in _tags(fresh, "长袖 碎花连衣裙")  # below 服装
    assert "长袖" in _tags(fresh, "长袖 服装")
    assert "长袖" in _tags(fresh, "长袖 红色")  # nobody knows what it is


def test_a_library_without_structure_costs_nothing() -> None:
    library = Library([])
    library.add("颜色", "红色")
    assert Model(library, shipped_prior()).structure is None
