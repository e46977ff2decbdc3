from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tagmill.records import tag_id
from tests.cli.command import refusal, tagmill
from tests.language.server import ChatServer, Response, error

ENTRY_KEYS = {
    "id", "facet", "name", "names", "aliases", "description", "status", "merged_into",
    "split_into", "broader", "matches",
}  # fmt: skip


def test_list_and_show_count_the_products(shop: Path) -> None:
    listed = tagmill("library", "list", "--search", "4k电视", "-w", shop, "--json").json()
    (television,) = [tag for tag in listed if tag["name"] == "4K电视"]
    assert set(television) == {*ENTRY_KEYS, "products"}
    assert television["products"] > 0
    for text in ("品类:4K电视", "Category:4K TV", television["id"]):
        assert tagmill("library", "show", text, "-w", shop, "--json").json() == television
    assert "4K电视" in tagmill("library", "show", "品类:4K电视", "-w", shop).out


def test_a_slip_makes_no_tag(workspace: Path, tmp_path: Path) -> None:
    assert "'颜色' is named without a facet" in refusal("library", "add", "颜色", "-w", workspace)
    said = refusal("library", "add", "Colr:Teal", "-w", workspace)
    assert "no facet 'Colr', but 'Color'. Write that, or" in said
    move = ("library", "move", "颜色:红色", "--facet", "Colr", "-w", workspace, "--dry-run")
    assert refusal(*move) == said
    tagmill(*move, "--new-facet")
    tagmill("library", "add", "Colr:Teal", "--new-facet", "-w", workspace)
    tagmill("library", "add", "Zodiac:Leo", "-w", workspace)  # like none there is
    tagmill("init", tmp_path / "bare", "--empty")
    tagmill("library", "add", "teal", "-w", tmp_path / "bare")
    tagmill("library", "add", "Colour:teal", "-w", tmp_path / "bare")
    tagmill("library", "add", "green", "-w", tmp_path / "bare")  # others have no facet either
    mixed = tagmill("library", "merge", "Zodiac:Leo", "材质:真丝", "--dry-run", "-w", workspace)
    assert "two facets: Zodiac:Leo, 材质:真丝" in mixed.err


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


def test_names_are_listed_as_they_are_but_not_at_any_length(tmp_path: Path) -> None:
    tagmill("init", tmp_path, "--empty")
    for name in ("a\\", "[b]\\[c]", "x" * 10_000):
        tagmill("library", "add", f"C:{name}", "-w", tmp_path)
    shown = tagmill("library", "list", "-w", tmp_path).out
    assert " a\\ " in shown
    assert " [b]\\[c] " in shown
    assert "x" * 79 + "…" in shown.replace(" ", "").replace("\n", "")
    assert len(shown) < 2000


def test_add_alias_and_retire_change_what_is_found(workspace: Path, tmp_path: Path) -> None:
    tagmill("catalog", "import", _one_product(tmp_path), "-w", workspace)
    tagmill("tag", "-w", workspace)
    new = tagmill(
        "library", "add", "风格:蒸汽波", "--en", "Vaporwave", "--alias", "vapor wave",
        "--description", "霓虹与复古", "-w", workspace, "--json",
    ).json()  # fmt: skip
    assert set(new) == {"version", "kind", "tags", "products", "run"}
    (tag,) = new["tags"]
    assert set(tag) == ENTRY_KEYS
    assert tag["id"] == tag_id("风格", "蒸汽波")
    assert tag["names"] == {"en": "Vaporwave"}
    assert (tag["status"], tag["aliases"]) == ("active", ["vapor wave"])
    assert (new["products"], new["run"]) == (0, None)
    assert _tags_of_the_product(workspace) == []
    aliased = tagmill(
        "library", "alias", "Style:Vaporwave", "蒸气波", "-w", workspace, "--json"
    ).json()
    assert aliased["version"] == new["version"] + 1
    assert aliased["tags"][0]["aliases"] == ["vapor wave", "蒸气波"]
    assert aliased["products"] == 1
    assert _tags_of_the_product(workspace) == ["蒸汽波"]
    assert tagmill("tag", "-w", workspace, "--json").json()["run"] is None
    retired = tagmill("library", "retire", "风格:蒸汽波", "-w", workspace, "--json").json()
    assert retired["tags"][0]["status"] == "retired"
    assert _tags_of_the_product(workspace) == []
    shown = tagmill("library", "show", tag["id"], "-w", workspace, "--json").json()
    assert (shown["status"], shown["products"]) == ("retired", 0)
    back = tagmill("library", "undo", "-w", workspace, "--json").json()
    assert (back["undone"], back["restored"]) == (retired["version"], 1)
    assert _tags_of_the_product(workspace) == ["蒸汽波"]
    tagmill("library", "undo", "-w", workspace)  # the alias, as the last is undone
    assert _tags_of_the_product(workspace) == []


def test_a_merge_is_previewed_made_and_undone(workspace: Path, tmp_path: Path) -> None:
    rows = ["id,title", "1,绀色衬衫", "2,红色衬衫", "3,白衬衫"]
    path = tmp_path / "three.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    tagmill("library", "add", "颜色:绀色", "-w", workspace)
    tagmill("catalog", "import", path, "-w", workspace)
    tagmill("tag", "-w", workspace)
    pair = ("library", "merge", "颜色:绀色", "颜色:红色", "-w", workspace)
    seen = tagmill(*pair, "--dry-run", "--json").json()
    assert seen["dry_run"] is True
    assert [tag["name"] for tag in seen["tags"]] == ["绀色", "红色"]
    assert seen["products"] >= seen["changed"] > 0
    shown = tagmill(*pair, "--dry-run").out
    assert "Nothing is changed yet" in shown
    assert "+ 颜色:红色" in shown
    before = tagmill("library", "history", "-w", workspace, "--json").json()
    done = tagmill(*pair, "--why", "the same", "-w", workspace)
    assert "颜色:绀色 → 颜色:红色.\n" in done.out  # once
    *rest, last = tagmill("library", "history", "-w", workspace, "--json").json()
    assert rest == before
    assert (last["kind"], last["why"], last["size"]) == ("merge", "the same", 2)
    (changed,) = [
        one
        for one in tagmill("library", "diff", last["version"] - 1, "-w", workspace, "--json").json()
        if one["after"]["name"] == "绀色"
    ]
    assert (changed["before"]["status"], changed["after"]["status"]) == ("active", "retired")
    assert "aliases" in tagmill("library", "diff", last["version"] - 1, "-w", workspace).out
    diff = ("library", "diff", last["version"] - 1, "-w", workspace)
    assert "别名：" in tagmill(*diff, language="zh").out.replace(":", "：")
    history = tagmill("library", "history", "-w", workspace, language="zh").out
    assert "入门标签库" in history
    again = refusal("library", "merge", "颜色:绀色", "颜色:蓝色", "-w", workspace)
    assert "was merged into '颜色:红色'. If you mean that one, write '颜色:红色'" in again
    for command in (["rename", "颜色:绀色", "黑"], ["retire", "颜色:绀色"],
                    ["describe", "颜色:绀色", "x"], ["alias", "颜色:绀色", "x"],
                    ["split", "颜色:绀色", "颜色:黑", "颜色:灰"],
                    ["move", "颜色:绀色", "--top"]):  # fmt: skip
        assert "was merged into" in refusal("library", *command, "-w", workspace)
    table = tagmill("library", "history", "颜色:绀色", "-w", workspace).out
    assert "merge" in table
    undone = tagmill("library", "undo", last["version"], "-w", workspace)
    assert f"Change {last['version']} is undone" in undone.out
    assert tagmill("library", "show", "颜色:绀色", "-w", workspace, "--json").json()["status"] == (
        "active"
    )
    assert "undone already" in refusal("library", "undo", last["version"], "-w", workspace)
    listed = tagmill("library", "history", "-w", workspace).out
    assert f"undone by {last['version'] + 1}" in listed


def test_the_other_changes(workspace: Path) -> None:
    def changed(*command: object) -> dict[str, Any]:
        tags: list[dict[str, Any]] = tagmill("library", *command, "-w", workspace, "--json").json()[
            "tags"
        ]
        return tags[0] if tags else {}

    assert changed("rename", "颜色:红色", "本命红")["aliases"][-1] == "红色"
    assert changed("rename", "颜色:红色", "Scarlet", "--language", "en")["names"]["en"] == "Scarlet"
    assert "Scarlet" not in changed("alias", "颜色:红色", "Scarlet", "--remove")["names"].values()
    assert changed("describe", "颜色:红色", "正红到深红")["description"] == "正红到深红"
    assert changed("describe", "颜色:红色", "")["description"] == ""
    assert len(changed("split", "颜色:红色", "浅本命红", "深本命红")["split_into"]) == 2
    assert changed("restore", "颜色:本命红")["status"] == "active"
    wine = changed("add", "颜色:本命酒红", "--broader", "颜色:本命红")
    assert len(wine["broader"]) == 1
    assert changed("move", wine["id"], "--top")["broader"] == []
    assert changed("move", wine["id"], "--facet", "风格")["facet"] == "风格"
    assert "Where to?" in refusal("library", "move", wine["id"], "-w", workspace)
    changed("facet", "季节", "--single", "--only-for", "颜色:本命红")
    first = tagmill("library", "history", "-w", workspace, "--json").json()[-1]
    (entry,) = first["entries"]
    assert (entry["before"]["single"], entry["after"]["single"]) == (False, True)
    assert entry["after"]["only_for"]
    assert "Unknown tag" in refusal("library", "retire", "颜色:没有", "-w", workspace)


def test_a_command_that_changes_nothing_says_so(workspace: Path) -> None:
    tagmill("library", "add", "风格:蒸汽波", "--alias", "蒸气波", "-w", workspace)
    for command in (
        ("move", "风格:蒸汽波", "--top"),
        ("alias", "风格:蒸汽波", "蒸气波"),
        ("facet", "风格", "--many"),
    ):
        done = tagmill("library", *command, "-w", workspace)
        assert "Nothing to change, it is so already: 风格" in done.out
        assert "Nothing to change" in tagmill("library", *command, "--dry-run", "-w", workspace).out
        done = tagmill("library", *command, "-w", workspace, "--json").json()
        assert (done["version"], done["tags"]) == (2, [])
    tagmill("library", "retire", "风格:蒸汽波", "-w", workspace)
    assert "Nothing to change" in tagmill("library", "retire", "风格:蒸汽波", "-w", workspace).out
    assert len(tagmill("library", "history", "-w", workspace, "--json").json()) == 3


def test_undo_says_what_it_takes_back_and_takes_no_library_unasked(workspace: Path) -> None:
    tagmill("library", "facet", "颜色", "--single", "-w", workspace)
    done = tagmill("library", "undo", "-w", workspace)
    assert "Change 2 is undone (facet: 颜色): library version 3" in done.out
    before = len(tagmill("library", "list", "-w", workspace, "--limit", 9999, "--json").json())
    message = refusal("library", "undo", "-w", workspace)
    assert "The latest change is change 1 (import of 1," in message
    assert message.endswith("If you mean it: tagmill library undo 1")
    chinese = tagmill("library", "undo", "-w", workspace, language="zh", code=1)
    assert "最近的改动是改动 1（导入，" in chinese.err
    tagmill("library", "undo", 0, "-w", workspace, code=2)
    assert before == len(
        tagmill("library", "list", "-w", workspace, "--limit", 9999, "--json").json()
    )
    assert "undone (import: " in tagmill("library", "undo", 1, "-w", workspace).out
    assert tagmill("library", "list", "-w", workspace, "--json").json() == []


def test_a_renamed_tag_is_shown_so_in_every_language_that_had_the_name(
    workspace: Path, tmp_path: Path
) -> None:
    tagmill("library", "add", "风格:Vaporwave", "--en", "Vaporwave", "-w", workspace)
    path = tmp_path / "one.csv"
    path.write_text("id,title\n1,a vaporwave shirt\n", encoding="utf-8")
    tagmill("catalog", "import", path, "-w", workspace)
    tagmill("tag", "-w", workspace)
    assert _tags_of_the_product(workspace) == ["Vaporwave"]
    before = tagmill("library", "show", "风格:Vaporwave", "-w", workspace, "--json").json()
    done = tagmill("library", "rename", "风格:Vaporwave", "Steamwave", "-w", workspace)
    assert done.err == ""
    assert _tags_of_the_product(workspace) == ["Steamwave"]
    tagmill("library", "undo", "-w", workspace)
    assert tagmill("library", "show", before["id"], "-w", workspace, "--json").json() == before
    done = tagmill("library", "rename", "颜色:红色", "本命红", "-w", workspace)
    assert "Names in other languages stay (en: Red)" in done.err


def test_a_change_of_a_facet_names_it(workspace: Path) -> None:
    done = tagmill("library", "facet", "Color", "--single", "-w", workspace)
    assert "Library version 2: 颜色." in done.out
    assert "Give one of them" in refusal(
        "library", "facet", "颜色", "--many", "--single", "-w", workspace
    )
    tagmill("library", "facet", "颜色", "--en", "Colour", "-w", workspace)
    library = tagmill("library", "diff", 0, "-w", workspace, "--json").json()
    (facet,) = [one["after"] for one in library if one["after"].get("key") == "颜色"]
    assert facet["single"]  # stays, as nothing was said of it


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
    assert written == {"output": str(second), "tags": read["tags"], "lost": {}}
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


def test_proposals_are_listed_and_decided(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "melon.csv"
    rows = ["id,title", "1,蜜瓜绿衬衫", "2,蜜瓜绿裙子"]
    path.write_text("\n".join(rows), encoding="utf-8")
    tagmill("catalog", "import", path, "-w", workspace)
    tagmill("tag", "-w", workspace)
    assert "No proposal" in tagmill("library", "proposals", "-w", workspace).out
    known = tagmill("library", "propose", "颜色:红色", "--product", "1", "-w", workspace)
    assert "颜色:红色 is in the library already" in known.out
    for product in ("1", "2"):
        tagmill("library", "propose", "颜色:蜜瓜绿", "--product", product, "-w", workspace)
    tagmill("library", "propose", "颜色:雾霾蓝灰", "--product", "2", "-w", workspace)
    (melon,) = tagmill("library", "proposals", "-w", workspace, "--json").json()
    assert (melon["facet"], melon["name"], melon["support"]) == ("颜色", "蜜瓜绿", 2)
    shown = tagmill("library", "proposals", "--min-support", 1, "-w", workspace)
    assert "蜜瓜绿" in shown.out
    assert "雾霾蓝灰" in shown.out
    assert "accept N" in shown.err
    tagmill("library", "propose", "蜜瓜绿", "--product", "1", "-w", workspace)
    waiting = tagmill("library", "proposals", "--min-support", 1, "-w", workspace, "--json").json()
    (loose,) = [one for one in waiting if one["facet"] == ""]
    refused = refusal("library", "accept", loose["id"], "-w", workspace)
    assert f"tagmill library accept {loose['id']} --facet FACET (颜色, " in refused
    tagmill("library", "reject", loose["id"], "-w", workspace)
    decisions = (("accept", melon["id"]), ("merge-into", melon["id"], "颜色:红色"))
    for decision, gained in zip(decisions, ("颜色:蜜瓜绿", "颜色:红色"), strict=True):
        command = ("library", *decision, "--dry-run", "-w", workspace)
        seen = tagmill(*command, "--json").json()
        assert (seen["dry_run"], len(seen["tags"]), seen["gained"]) == (True, 1, 2)
        assert f"+ {gained}" in tagmill(*command).out
    done = tagmill("library", "accept", melon["id"], "-w", workspace, "--json").json()
    assert (done["status"], done["version"]) == ("accepted", done["change"])
    (other,) = tagmill("library", "proposals", "--min-support", 1, "-w", workspace, "--json").json()
    rejected = tagmill("library", "reject", other["id"], "--why", "too fine", "-w", workspace)
    assert "never comes back" in rejected.out
    late = ("library", "merge-into", other["id"], "颜色:蓝色", "-w", workspace)
    assert "rejected already" in refusal(*late)
    assert "rejected already" in refusal(*late, "--dry-run")
    statuses = tagmill(
        "library", "proposals", "--all", "--min-support", 1, "-w", workspace, "--json"
    ).json()
    assert [one["status"] for one in statuses] == ["accepted", "rejected", "rejected"]


def test_the_report_says_what_mends_it(workspace: Path, tmp_path: Path) -> None:
    tagmill("catalog", "import", _one_product(tmp_path), "-w", workspace)
    page = tmp_path / "health.html"
    shown = tagmill("library", "report", "--html", page, "-w", workspace)
    assert "no product has it" in shown.out
    assert "tagmill library retire" in shown.out
    assert "<table>" in page.read_text(encoding="utf-8")
    assert str(page) in shown.err
    chinese = tagmill("library", "report", "-w", workspace, language="zh")
    assert "没有商品使用" in chinese.out
    assert "tagmill tag" in chinese.out  # of the product that no run has seen
    report = tagmill("library", "report", "-w", workspace, "--json").json()
    assert {"version", "findings", "facets", "growth"} <= set(report)
    assert "Cannot write" in refusal(
        "library", "report", "--html", tmp_path / "no" / "x.html", "-w", workspace
    )


def test_duplicates_are_shown_with_what_merges_them(workspace: Path, tmp_path: Path) -> None:
    tagmill("library", "add", "颜色:Navy dusk", "-w", workspace)
    tagmill("library", "add", "颜色:Dusk navy", "-w", workspace)
    (pair,) = tagmill("library", "duplicates", "--facet", "color", "-w", workspace, "--json").json()
    assert {pair["a"], pair["b"]} == {"颜色:Navy dusk", "颜色:Dusk navy"}
    assert pair["probability"] > 0.9
    assert "order" in pair["reasons"]
    shown = tagmill("library", "duplicates", "-w", workspace)
    assert "the same words" in shown.out
    assert "tagmill library merge" in shown.err
    assert "词序不同" in tagmill("library", "duplicates", "-w", workspace, language="zh").out
    path = tmp_path / "theirs.csv"
    path.write_text("facet,name\nColor,Navy\nColor,NAVY \nColor,Red\n", encoding="utf-8")
    (pair,) = tagmill("library", "duplicates", "--file", path, "--json").json()
    assert {pair["a"], pair["b"]} == {"Color:Navy", "Color:NAVY"}
    path.write_text("facet,name\nColor,Navy\nColor,Red\n", encoding="utf-8")
    assert "No two tags" in tagmill("library", "duplicates", "--file", path).out


def test_a_language_model_is_asked_about_doubtful_pairs_once(tmp_path: Path) -> None:
    path = tmp_path / "library.csv"
    names = ["保湿", "补水", "Stainless steel", "Stainess steel", "T-shirt", "T恤"]
    path.write_text("facet,name\n" + "".join(f"功能,{name}\n" for name in names), "utf-8")
    command = ("library", "duplicates", "--file", path, "--json", "--min-probability", 0)
    before = {(p["a"], p["b"]): p for p in tagmill(*command).json()}
    cache = ("--llm-cache", tmp_path / "cache.db")
    asked = tagmill(*command, "--llm", "--llm-model", "scripted", *cache)
    after = {(p["a"], p["b"]): p for p in asked.json()}
    assert set(before) == set(after) != set()
    doubtful = [pair for pair, one in before.items() if 0.02 <= one["probability"] <= 0.98]
    assert f"{len(doubtful)} calls (0 failed), 0 answers reused" in asked.err
    for pair in doubtful:
        says_yes = "model says yes" in after[pair]["reasons"]
        assert says_yes != ("model says no" in after[pair]["reasons"])
        assert (after[pair]["probability"] > before[pair]["probability"]) == says_yes
    again = tagmill(*command, "--llm", "--llm-model", "scripted", *cache)
    assert again.json() == asked.json()
    assert f"0 calls (0 failed), {len(doubtful)} answers reused" in again.err
    told = tagmill(
        "library", "duplicates", "--file", path, "--llm", "--llm-model", "scripted", *cache
    )
    assert "the language model says" in told.out.replace("\n", " ")


def test_other_formats_go_out_and_come_back(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "library.ttl"
    tagmill("library", "export", path, "-w", workspace)
    tagmill("init", tmp_path / "other", "--empty")
    other = ("-w", tmp_path / "other", "--json")
    seen = tagmill("library", "import", path, "--dry-run", *other).json()
    assert (seen["dry_run"], seen["products"], seen["notes"]) == (True, 0, {})
    read = tagmill("library", "import", path, *other).json()
    assert read["tags"] == seen["tags"] > 1000
    tagmill("library", "merge", "颜色:大红色", "颜色:红色", *other)
    merged = tmp_path / "merged.ttl"
    tagmill("library", "export", merged, *other)
    again = tagmill("library", "import", merged, *other).json()
    assert (again["tags"], again["notes"]) == (0, {})
    tagmill("library", "add", "颜色:独此一名", "-w", workspace)
    lost = tagmill(
        "library", "export", tmp_path / "s.txt", "--format", "elasticsearch", "-w", workspace
    )
    assert "tag of one name" in lost.err
    assert "红色" in (tmp_path / "s.txt").read_text(encoding="utf-8")
    assert "Unknown format" in refusal(
        "library", "export", path, "--format", "xls", "-w", workspace
    )


def test_a_file_does_not_bring_back_what_was_retired(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "red.csv"
    path.write_text("facet,name\n颜色,红色\n", encoding="utf-8")
    tagmill("library", "retire", "颜色:红色", "-w", workspace)
    done = tagmill("library", "import", path, "-w", workspace)
    assert "1 tag of the file is retired here and left so" in done.err
    tag = tagmill(
        "library", "list", "--search", "红色", "--facet", "颜色", "-w", workspace, "--json"
    )
    assert "retired" in {entry["status"] for entry in tag.json() if entry["name"] == "红色"}


def test_a_changed_facet_is_a_difference(workspace: Path) -> None:
    tagmill("library", "facet", "颜色", "--single", "--en", "Colour", "-w", workspace)
    (entry,) = tagmill("library", "diff", 1, 2, "-w", workspace, "--json").json()
    assert (entry["id"], entry["after"]["key"], entry["after"]["single"]) == (None, "颜色", True)
    shown = tagmill("library", "diff", 1, 2, "-w", workspace).out
    assert "颜色" in shown
    assert "single: False → True" in shown
    known = tagmill("library", "show", "Color:Red", "-w", workspace, "--json").json()
    assert tagmill("library", "show", "Colour:Red", "-w", workspace, "--json").json() == known


def test_a_facet_of_quantities(workspace: Path) -> None:
    tagmill("library", "add", "容量:500ml", "-w", workspace)
    facet = ("library", "facet", "容量")
    assert "--values number" in refusal(*facet, "--unit", "ml", "-w", workspace)
    tagmill(*facet, "--values", "number", "--unit", "ml", "-w", workspace)
    (change,) = tagmill("library", "history", "-w", workspace, "--json").json()[-1:]
    assert change["entries"][0]["after"]["value_kind"] == "number"
    tagmill("library", "propose", "容量:0.5 升", "--product", "x", "-w", workspace)
    assert (
        tagmill("library", "proposals", "-w", workspace, "--min-support", 1, "--json").json() == []
    )
    found = tagmill("library", "show", "容量:50 cl", "-w", workspace, "--json").json()
    assert found["name"] == "500ml"
    assert "same quantity" in refusal("library", "add", "容量:0.5升", "-w", workspace)
    assert "is none of" in refusal(*facet, "--values", "x", "-w", workspace)


def test_an_encoder_finds_what_is_written_quite_differently(tmp_path: Path) -> None:
    path = tmp_path / "library.csv"
    path.write_text("facet,name\n食品,羊角面包\n食品,可颂\n食品,吐司\n", encoding="utf-8")
    near = {"羊角面包": [1.0, 0.1, 0.0], "可颂": [2.0, 0.1, 0.1], "吐司": [0.0, 1.0, 0.0]}

    def embeds(asked: dict[str, Any]) -> Response:
        assert asked["model"] == "bge"
        data = [{"index": i, "embedding": near[text]} for i, text in enumerate(asked["input"])]
        return Response(json.dumps({"data": data[::-1]}).encode())  # in any order

    command = ("library", "duplicates", "--file", path, "--json")
    assert tagmill(*command).json() == []
    server = ChatServer(error(429), embeds)
    with server.running() as url:
        server_options = ("--embed", "--llm-url", url, "--llm-model", "bge")
        (pair,) = tagmill(*command, *server_options).json()
        assert len(server.requests) == 2
    assert {pair["a"], pair["b"]} == {"食品:羊角面包", "食品:可颂"}
    assert pair["reasons"] == ["embedding"]
    with ChatServer(Response(b'{"data": []}')).running() as url:
        message = refusal(*command, "--embed", "--llm-url", url, "--llm-model", "bge")
    assert "0 embeddings for 3 texts" in message
    assert "llm.base_url" in refusal(*command, "--embed")


def test_an_import_says_what_has_no_facet(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("facet,name\n颜色,测试色\n,散的\n", "utf-8")
    done = tagmill("library", "import", tmp_path / "tags.csv", "-w", workspace)
    assert "1 tag of no facet, such as 散的" in done.err
