from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.command import refusal, tagmill


def test_list_and_show(shop: Path) -> None:
    (run,) = tagmill("runs", "list", "-w", shop, "--json").json()
    assert (run["id"], run["kind"], run["status"], run["model"]) == (1, "tag", "finished", "0001")
    assert run["counts"]["products"] == 99
    assert run["counts"]["tags"] == run["counts"]["auto"] + run["counts"]["review"]
    assert run["library_version"] > 0
    assert run["settings"] == {
        "top_k": 10, "precision": 0.95, "per_facet": False, "diverse": False,
        "broader": False,
    }  # fmt: skip
    assert run["started"] <= run["finished"]
    assert tagmill("runs", "show", 1, "-w", shop, "--json").json() == run
    assert "finished" in tagmill("runs", "list", "-w", shop).out
    assert "Signature" in tagmill("runs", "show", 1, "-w", shop).out


def test_undo_gives_back_what_was_before(own_shop: Path) -> None:
    command = ("products", "list", "--limit", 999, "-w", own_shop, "--json")

    def tagged() -> list[dict[str, Any]]:
        """The products that have other tags than those they came with."""
        lines: list[dict[str, Any]] = tagmill(*command).json()
        return [one for one in lines if any(tag["origin"] != "person" for tag in one["tags"])]

    first = tagged()
    tagmill("tag", "--top-k", 2, "-w", own_shop)
    second = tagged()
    assert max(len(line["tags"]) for line in second) == 2
    message = refusal("runs", "undo", 1, "-w", own_shop)
    assert "run 2 (99 products)" in message
    assert "tagmill runs undo 2" in message
    undone = tagmill("runs", "undo", 2, "-w", own_shop, "--json").json()
    assert undone == {"run": 2, "products": 99}
    assert tagged() == first
    assert "99 products" in tagmill("runs", "undo", 1, "-w", own_shop).out
    assert tagged() == []
    statuses = [run["status"] for run in tagmill("runs", "list", "-w", own_shop, "--json").json()]
    assert statuses == ["undone", "undone"]
    assert tagmill("tag", "-w", own_shop, "--json").json()["products"] == 99


def test_runs_that_cannot_be_undone(own_shop: Path) -> None:
    assert "There is no run 99" in refusal("runs", "undo", 99, "-w", own_shop)
    tagmill("runs", "undo", 1, "-w", own_shop)
    assert "undone already" in refusal("runs", "undo", 1, "-w", own_shop)
    assert "There is no run 99" in refusal("runs", "show", 99, "-w", own_shop)


def test_states_and_kinds_are_in_the_terminals_language(shop: Path) -> None:
    chinese = tagmill("runs", "show", 1, "-w", shop, language="zh").out
    assert "状态            已完成" in chinese
    assert "类型            打标签" in chinese
    assert "数量            商品数 " in chinese
    listed = tagmill("runs", "list", "-w", shop, language="zh").out
    assert "已完成" in listed
    english = tagmill("runs", "show", 1, "-w", shop).out
    assert "Status          finished" in english
    assert "For change      –" in english
