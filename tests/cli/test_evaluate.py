from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import tagmill as package
from tagmill.cli.evaluation_page import render_report
from tagmill.cli.messages import MESSAGES
from tests.cli.command import interface, refusal, tagmill
from tests.cli.samples import CATALOGUE

RATES = {
    "p_at_1", "p_at_3", "p_at_5", "r_at_5", "r_at_10", "ndcg_at_5", "psp_at_5",
    "precision", "recall", "micro_f1", "macro_f1", "example_f1", "ece", "brier",
    "coverage_at_095", "coverage_at_090",
}  # fmt: skip
OTHERS = {
    "achieved_precision_at_095", "achieved_precision_at_090", "per_facet", "per_tag",
    "per_frequency", "baseline", "risk_coverage", "reliability", "diversity", "confusions",
    "products", "gold_tags",
}  # fmt: skip


@pytest.fixture(scope="module")
def held_out(shop: Path) -> Any:  # noqa: ANN401
    """What `evaluate` says of a workspace, trained again without a fifth of it."""
    return tagmill("evaluate", "-w", shop, "--json").json()


def test_the_keys_are_those_of_the_measures(held_out: dict[str, Any]) -> None:
    assert set(held_out) >= RATES | OTHERS
    assert all(0 <= held_out[name] <= 1 for name in RATES)
    assert held_out["diversity"]["facets_per_product"] > 1
    covered = [share for share, _ in held_out["risk_coverage"]]
    assert covered == sorted(covered)
    assert sum(size for _, _, size in held_out["reliability"]) == held_out["products"] * 10
    assert 60 <= held_out["products"] <= 100


def test_it_is_better_than_the_lexicon_beside_it(held_out: dict[str, Any]) -> None:
    baseline = held_out["baseline"]
    assert baseline["name"] == "lexicon"
    assert held_out["p_at_1"] > 0.9
    for name in ("r_at_5", "ndcg_at_5", "micro_f1", "example_f1"):
        assert held_out[name] > baseline[name], name
    assert held_out["ece"] < 0.1


def test_facets_and_tags_add_up(held_out: dict[str, Any]) -> None:
    facets, tags = held_out["per_facet"], held_out["per_tag"]
    assert {"品类", "颜色", "材质"} <= set(facets)
    gold = held_out["gold_tags"]
    assert sum(facet["gold"] for facet in facets.values()) == gold
    assert sum(tag["gold"] for tag in tags.values()) == gold
    assert all(":" in name for name in tags)
    for part in (*facets.values(), *tags.values()):
        assert {"gold", "published", "precision", "recall", "f1"} <= set(part)


def test_a_file_with_a_model_as_from_python(model: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = tagmill("evaluate", CATALOGUE, "--model", model, "--json", "--html", page)
    report = done.json()
    assert report["products"] == 397
    assert str(page) in done.err
    from_python = package.evaluate(package.load(model), CATALOGUE)
    assert report["micro_f1"] == from_python["micro_f1"]
    assert report["per_tag"] == from_python["per_tag"]
    html = page.read_text(encoding="utf-8")
    assert html.lower().startswith("<!doctype html>")
    assert html.count("<svg") >= 2
    assert "品类:4K电视" in html
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//|\.)""", html)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_whole_and_in_the_readers_language(
    held_out: dict[str, Any], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {**held_out["per_facet"]["颜色"], "gold": 0, "published": 0, "auto_precision": None}
    facets = {**held_out["per_facet"], "<script>alert(1)</script>": nothing}
    with interface(monkeypatch, language):
        page = render_report({**held_out, "per_facet": facets})
    assert page.count("<svg") == 2
    assert "http" not in page  # self-contained
    assert "<script>" not in page
    assert f"{held_out['micro_f1']:.3f}" in page
    assert page.count('<td class="n">–</td>') >= 5  # of the facet without a tag
    for key in ("published_set", "reliability", "by_facet", "share_found", "given", "missed"):
        english, chinese = MESSAGES[key]
        shown, hidden = (english, chinese) if language == "en" else (chinese, english)
        assert shown in page
        assert hidden not in page


def test_without_a_model_the_starter_library_is_measured() -> None:
    done = tagmill("evaluate", CATALOGUE)
    assert re.search(r"P@1 +0\.9\d\d +0\.9\d\d", done.out)
    assert "品类" in done.out
    assert re.search(r"gets \d\.\d tags of \d\.\d facets.* micro-F1 would be 0\.\d", done.out)
    assert "P@1" not in done.err


def test_what_cannot_be_measured(workspace: Path, shop: Path, model: Path, tmp_path: Path) -> None:
    assert "needs a file" in refusal("evaluate", "--model", model, "-w", shop)
    assert "precision is 1.5" in refusal("evaluate", CATALOGUE, "--precision", 1.5)
    page = tmp_path / "nowhere" / "report.html"
    assert "nowhere" in refusal("evaluate", CATALOGUE, "--html", page)
    untagged = tmp_path / "untagged.csv"
    untagged.write_text("id,title\n1,red dress\n", encoding="utf-8")
    assert "No product has tags" in refusal("evaluate", untagged)
    for folder, option in ((workspace, ()), (shop, ("--precision", "0.4"))):
        done = tagmill("evaluate", "-w", folder, *option, code=1)
        assert done.out == ""
        assert "Traceback" not in done.err
