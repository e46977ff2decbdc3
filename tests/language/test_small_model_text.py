"""The text that the small model is trained on: what is asked, and that the answers are right."""

from __future__ import annotations

import itertools
import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "examples/small_model"))

from corpus import MOST, Node, Sources, trees
from products import Generator, Recorded

ROWS = [
    {"id": "1", "title": "Linen shirt navy", "tags": ["Material:Linen", "Colour:Navy", "fit:Slim"]},
    {
        "id": "2",
        "title": "Wool coat",
        "category": "Coats",
        "tags": ["material:wool", "season:Fall"],
    },
    {"id": "3", "title": "格纹亚麻衬衫", "tags": ["材质:亚麻", "图案:格纹"]},
    {"id": "4", "title": "No tag at all", "tags": []},
]
LIBRARY = """facet,name,name_en,name_zh
材质,亚麻,Linen,亚麻
品类,衬衫,Shirts,衬衫
品类,大衣,Coats,大衣
"""


@pytest.fixture
def tagged(tmp_path: Path) -> str:
    path = tmp_path / "tagged.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return str(path)


def _leaves(node: Node, before: str = "") -> list[tuple[str, str]]:
    """(prompt, answer) of every question of a tree."""
    text = before + node.text
    own = [(text, node.answer)] if node.answer else []
    return [*own, *(leaf for child in node.children for leaf in _leaves(child, text))]


def test_recorded_products_have_the_tags_that_people_gave(tagged: str) -> None:
    generator = Recorded(7, (tagged,))
    assert generator.languages == ("en", "zh")
    product = next(p for p in generator.products["en"] if p.title == "Linen shirt navy")
    assert {fact.words for fact in product.facts} == {"Linen", "navy"}
    assert [tag.name for tag in product.implied] == ["Slim"]
    materials = {tag.text for tags in generator.vocabulary.tags.values() for tag in tags}
    assert "Material:wool" in materials  # one facet, however it is written
    for _ in range(50):
        wrong = generator.wrong(product)
        assert wrong.name not in ("Linen", "Navy", "Slim")


def test_what_is_to_be_quoted_stands_in_the_text(tagged: str, tmp_path: Path) -> None:
    library = tmp_path / "library.csv"
    library.write_text(LIBRARY, encoding="utf-8")
    sources = Sources(str(library), (tagged,))
    assert len(sources.generators(1)) == 3
    asked = 0
    for tree in itertools.islice(trees(1, "propose", sources=sources), 40):
        for prompt, answer in _leaves(tree):
            shown = prompt[prompt.rindex("<product>") : prompt.rindex("</product>")]
            offered = re.findall(r"^\d+\. ", prompt, re.MULTILINE)
            assert len(offered) <= MOST
            given = json.loads(answer.removesuffix("<|im_end|>"))
            assert all(1 <= entry["number"] <= len(offered) for entry in given["tags"])
            assert all(e["quote"] in shown for e in [*given["tags"], *given["new"]])
            asked += len(given["tags"])
    assert asked > 200


def test_the_same_seed_writes_the_same() -> None:
    once, again = ([_leaves(tree) for tree in itertools.islice(trees(3), 5)] for _ in range(2))
    assert once == again
    assert Generator(3).product("zh") == Generator(3).product("zh")
