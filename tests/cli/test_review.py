from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.command import refusal, tagmill
from tests.cli.samples import write_lines


def _tags(product: str, workspace: Path) -> dict[str, dict[str, Any]]:
    shown = tagmill("products", "show", product, "-w", workspace, "--json").json()
    return {f"{tag['facet']}:{tag['name']}": tag for tag in shown["tags"]}


def test_the_most_uncertain_come_first(shop: Path) -> None:
    queue = tagmill("review", "list", "--limit", 30, "-w", shop, "--json").json()
    assert len(queue) == 30
    distances = [abs(entry["probability"] - 0.5) for entry in queue]
    assert distances == sorted(distances)
    assert {"product_id", "title", "tag_id", "facet", "name", "evidence"} <= set(queue[0])
    done = tagmill("review", "list", "--limit", 2, "-w", shop)
    assert queue[0]["product_id"] in done.out
    assert "tagmill review accept" in done.err


def test_one_facet_in_any_language(shop: Path) -> None:
    chinese = tagmill("review", "list", "--facet", "功能", "-w", shop, "--json").json()
    english = tagmill("review", "list", "--facet", "feature", "-w", shop, "--json").json()
    assert chinese == english
    assert len(chinese) > 0
    assert "Unknown facet 'foo'" in refusal("review", "list", "--facet", "foo", "-w", shop)


def test_a_verdict_leaves_the_queue_and_stays(own_shop: Path, tmp_path: Path) -> None:
    wrong, right = tagmill("review", "list", "--limit", 2, "-w", own_shop, "--json").json()
    rejected = tagmill(
        "review", "reject", wrong["product_id"], wrong["tag_id"], "--note", "no", "-w", own_shop,
        "--json",
    ).json()  # fmt: skip
    assert rejected["accepted"] is False
    done = tagmill("review", "accept", right["product_id"], right["tag_id"], "-w", own_shop)
    assert done.out.startswith("Accepted: ")
    tagmill("review", "accept", "el-0166", "颜色:黑色", "-w", own_shop)
    queue = tagmill("review", "list", "--limit", 999, "-w", own_shop, "--json").json()
    pairs = {(entry["product_id"], entry["tag_id"]) for entry in queue}
    assert pairs.isdisjoint({(e["product_id"], e["tag_id"]) for e in (wrong, right)})

    def check() -> None:
        assert wrong["tag_id"] not in {
            tag["id"] for tag in _tags(wrong["product_id"], own_shop).values()
        }
        kept = {tag["id"]: tag for tag in _tags(right["product_id"], own_shop).values()}
        assert (kept[right["tag_id"]]["lane"], kept[right["tag_id"]]["origin"]) == (
            "auto", "person",
        )  # fmt: skip
        assert _tags("el-0166", own_shop)["颜色:黑色"]["probability"] == 1

    check()
    tagmill("tag", "--top-k", 9, "-w", own_shop)
    check()
    edited = [{"id": "el-0166", "title": "OLED电视 77英寸"}]
    tagmill("catalog", "import", write_lines(tmp_path / "edit.jsonl", edited), "-w", own_shop)
    assert tagmill("tag", "--top-k", 9, "-w", own_shop, "--json").json()["products"] == 1
    assert "品类:OLED电视" in _tags("el-0166", own_shop)
    check()
    tagmill("runs", "undo", 3, "-w", own_shop)
    tagmill("runs", "undo", 2, "-w", own_shop)
    check()


def test_a_person_may_change_their_mind(own_shop: Path) -> None:
    tagmill("review", "reject", "el-0166", "品类:4K电视", "-w", own_shop)
    assert "品类:4K电视" not in _tags("el-0166", own_shop)
    tagmill("review", "accept", "el-0166", "Category:4K TV", "-w", own_shop)
    assert _tags("el-0166", own_shop)["品类:4K电视"]["origin"] == "person"


def test_nothing_waits(workspace: Path) -> None:
    assert tagmill("review", "list", "-w", workspace, "--json").json() == []
    assert "Nothing waits" in tagmill("review", "list", "-w", workspace).out


def test_unknown_products_and_tags(shop: Path) -> None:
    assert "'nope'" in refusal("review", "accept", "nope", "品类:4K电视", "-w", shop)
    message = refusal("review", "reject", "el-0166", "品类:4k电视机", "-w", shop)
    assert "Unknown tag '品类:4k电视机'. Nearest: 品类:4K电视" in message


def test_a_verdict_can_be_taken_back(own_shop: Path) -> None:
    before = _tags("el-0166", own_shop)
    tagmill("review", "reject", "el-0166", "品类:4K电视", "-w", own_shop)
    done = tagmill("review", "reopen", "el-0166", "品类:4K电视", "-w", own_shop)
    assert done.out == "Undecided again: 品类:4K电视 for el-0166.\n"
    assert _tags("el-0166", own_shop) == before
    message = refusal("review", "reopen", "el-0166", "品类:4K电视", "-w", own_shop)
    assert "tagmill products show el-0166" in message
