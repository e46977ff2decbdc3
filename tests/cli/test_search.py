from pathlib import Path

from tests.cli.command import refusal, tagmill


def test_words_and_tags_with_facets_and_reasons(shop: Path) -> None:
    found = tagmill("search", "4K电视", "-w", shop, "--json").json()
    assert found["total"] >= len(found["hits"]) > 0
    best = found["hits"][0]
    assert set(best) >= {"id", "title", "score", "why"}
    assert "品类:4K电视" in {tag["tag"] for tag in best["why"]["tags"]}
    english = tagmill("search", "tv 4k", "-w", shop, "--json").json()
    assert best["id"] in [hit["id"] for hit in english["hits"]]
    assert "品类:4K电视" in {tag["tag"] for tag in english["hits"][0]["why"]["tags"]}
    chosen = tagmill("search", "", "--facet", "颜色=红色", "-w", shop, "--json").json()
    (count,) = [c for c in chosen["facets"]["颜色"] if c["chosen"]]
    assert (count["name"], count["count"]) == ("红色", chosen["total"])
    either = tagmill(
        "search", "", "--facet", "Color=Red", "--facet", "颜色=黑色", "-w", shop, "--json"
    ).json()
    assert either["total"] > chosen["total"]


def test_pages_follow_one_another(shop: Path) -> None:
    whole = tagmill("search", "", "--limit", 30, "-w", shop, "--json").json()
    ids: list[str] = []
    after: tuple[str, ...] = ()
    for _ in range(3):
        page = tagmill("search", "", "--limit", 10, *after, "-w", shop, "--json").json()
        ids += [hit["id"] for hit in page["hits"]]
        after = ("--after", page["next"])
    assert ids == [hit["id"] for hit in whole["hits"]]
    shown = tagmill("search", "连衣裙", "--limit", 1, "-w", shop)
    assert "--after" in shown.err
    assert "连衣裙" in shown.out


def test_what_was_stored_is_found_at_the_next_call(own_shop: Path) -> None:
    assert tagmill("search", "鸢尾", "-w", own_shop, "--json").json()["total"] == 0
    new = own_shop / "new.jsonl"
    new.write_text('{"id": "new-1", "title": "鸢尾花图案马克杯 500ml"}\n', encoding="utf-8")
    tagmill("catalog", "import", new, "-w", own_shop)
    (hit,) = tagmill("search", "鸢尾", "-w", own_shop, "--json").json()["hits"]
    assert hit["id"] == "new-1"
    found = tagmill("search", "马克杯 500ml以下", "-w", own_shop, "--json").json()
    assert "new-1" in {hit["id"] for hit in found["hits"]}
    tagmill("tag", "-w", own_shop)
    tagged = tagmill("search", "mug", "-w", own_shop, "--json").json()
    assert "new-1" in {hit["id"] for hit in tagged["hits"]}


def test_completion_and_a_better_spelling(shop: Path) -> None:
    completed = tagmill("search", "--complete", "连衣", "-w", shop, "--json").json()
    assert completed[0]["text"] == "连衣裙"
    assert completed[0]["products"] > 0
    assert "连衣裙" in tagmill("search", "连衣群", "-w", shop).err
    assert "Nothing" in tagmill("search", "🦄🦄", "-w", shop).err


def test_refusals(shop: Path) -> None:
    assert "颜色=红色" in refusal("search", "dress", "--facet", "颜色", "-w", shop)
    assert "Known: relevance" in refusal("search", "dress", "--sort", "preis", "-w", shop)
    assert "no cursor" in refusal("search", "dress", "--after", "xyz", "-w", shop)
    assert "one of" in refusal("search", "-w", shop)


def test_a_query_needs_no_quotes(shop: Path) -> None:
    quoted = tagmill("search", "连衣裙 -红色", "-w", shop, "--json").json()
    assert quoted["total"] > 0
    assert tagmill("search", "连衣裙", "-红色", "-w", shop, "--json").json() == quoted
    without = tagmill("search", "-红色", "--sort", "-price", "-w", shop, "--json").json()
    assert 0 < without["total"] < tagmill("search", "", "-w", shop, "--json").json()["total"]
    white = tagmill("search", "-white", "-w", shop, "--json").json()
    assert white == tagmill("search", "-w", shop, "--json", "--", "-white").json()
    assert "--limt" in tagmill("search", "dress", "--limt", "3", "-w", shop, code=2).err
