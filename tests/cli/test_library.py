from __future__ import annotations

from pathlib import Path

from tagmill.records import tag_id
from tests.cli.command import refusal, tagmill

ENTRY_KEYS = {
    "id", "facet", "name", "names", "aliases", "description", "status", "merged_into",
}  # fmt: skip


def test_list_and_show_count_the_products(shop: Path) -> None:
    listed = tagmill("library", "list", "--search", "4k电视", "-w", shop, "--json").json()
    (television,) = [tag for tag in listed if tag["name"] == "4K电视"]
    assert set(television) == {*ENTRY_KEYS, "products"}
    assert television["products"] > 0
    for text in ("品类:4K电视", "Category:4K TV", television["id"]):
        assert tagmill("library", "show", text, "-w", shop, "--json").json() == television
    assert "4K电视" in tagmill("library", "show", "品类:4K电视", "-w", shop).out


def test_list_by_facet_in_any_language(shop: Path) -> None:
    command = ("library", "list", "-w", shop, "--limit", 9999, "--json")
    chinese = tagmill(*command, "--facet", "颜色").json()
    assert len(chinese) > 20
    assert tagmill(*command, "--facet", "color").json() == chinese
    assert {tag["facet"] for tag in chinese} == {"颜色"}
    assert "Unknown facet 'foo'. Known: " in refusal(*command, "--facet", "foo")
    shown = tagmill("library", "list", "--limit", 3, "-w", shop)
    assert "--limit" in shown.err
    assert "--limit" not in shown.out


def test_add_alias_and_retire_change_what_is_found(workspace: Path, tmp_path: Path) -> None:
    tagmill("catalog", "import", _one_product(tmp_path), "-w", workspace)
    new = tagmill(
        "library", "add", "风格:蒸汽波", "--en", "Vaporwave", "--alias", "vapor wave",
        "--description", "霓虹与复古", "-w", workspace, "--json",
    ).json()  # fmt: skip
    assert set(new) == {*ENTRY_KEYS, "version"}
    assert new["id"] == tag_id("风格", "蒸汽波")
    assert new["names"] == {"en": "Vaporwave"}
    assert (new["status"], new["aliases"]) == ("active", ["vapor wave"])
    assert _tags_of_the_product(workspace) == []
    tagmill("tag", "-w", workspace)
    assert _tags_of_the_product(workspace) == []
    aliased = tagmill(
        "library", "alias", "Style:Vaporwave", "蒸气波", "-w", workspace, "--json"
    ).json()
    assert aliased["version"] > new["version"]
    assert aliased["aliases"] == ["vapor wave", "蒸气波"]
    tagmill("tag", "-w", workspace)
    assert _tags_of_the_product(workspace) == ["蒸汽波"]
    retired = tagmill("library", "retire", "风格:蒸汽波", "-w", workspace, "--json").json()
    assert retired["status"] == "retired"
    assert _tags_of_the_product(workspace) == []
    shown = tagmill("library", "show", new["id"], "-w", workspace, "--json").json()
    assert (shown["status"], shown["products"]) == ("retired", 0)


def _one_product(folder: Path) -> Path:
    path = folder / "one.csv"
    path.write_text("id,title\n1,蒸气波\n", encoding="utf-8")
    return path


def _tags_of_the_product(workspace: Path) -> list[str]:
    product = tagmill("products", "show", "1", "-w", workspace, "--json").json()
    return [tag["name"] for tag in product["tags"]]


def test_a_name_that_is_taken(workspace: Path) -> None:
    message = refusal("library", "add", "品类:4k 电视", "-w", workspace)
    assert "'品类:4k 电视'" in message
    assert "'品类:4K电视'" in message
    message = refusal("library", "alias", "颜色:红色", "蓝色", "-w", workspace)
    assert "'颜色:蓝色'" in message
    assert "names no tag" in refusal("library", "add", "颜色:", "-w", workspace)


def test_export_and_import_lose_nothing(workspace: Path, tmp_path: Path) -> None:
    retired = tagmill("library", "retire", "颜色:红色", "-w", workspace, "--json").json()
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    done = tagmill("library", "export", first, "-w", workspace)
    assert done.out == ""
    assert str(first) in done.err
    tagmill("init", tmp_path / "other", "--empty")
    read = tagmill("library", "import", first, "-w", tmp_path / "other", "--json").json()
    written = tagmill("library", "export", second, "-w", tmp_path / "other", "--json").json()
    assert written == {"output": str(second), "tags": read["tags"]}
    assert second.read_bytes() == first.read_bytes()
    again = tagmill("library", "import", first, "-w", workspace, "--json").json()
    assert again["version"] == retired["version"]


def test_import_also_names_facets(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "facets.csv"
    path.write_text("facet,name,facet_en,facet_fr\n颜色,,Color,Couleur\n", encoding="utf-8")
    tagmill("library", "import", path, "-w", workspace)
    found = tagmill("library", "list", "--facet", "couleur", "-w", workspace, "--json").json()
    assert {tag["facet"] for tag in found} == {"颜色"}


def test_import_adds_and_changes(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("facet,name,aliases\n风格,蒸汽波,蒸气波\n颜色,红色,可乐红\n", encoding="utf-8")
    assert tagmill("library", "import", path, "-w", workspace, "--json").json()["tags"] == 2
    red = tagmill("library", "show", "颜色:可乐红", "-w", workspace, "--json").json()
    assert red["name"] == "红色"
    path.write_text("facet,name\n风格,\n,\n颜色,深空灰黑\n", encoding="utf-8")
    message = refusal("library", "import", path, "-w", workspace)
    assert "line 2" in message
