import json
from pathlib import Path

import pytest

from tests.cli.command import refusal, tagmill

EVENTS = Path(__file__).parents[2] / "examples" / "events.csv"


@pytest.fixture
def visited(own_shop: Path) -> Path:
    tagmill("events", "import", EVENTS, "-w", own_shop)
    return own_shop


def test_products_for_a_user_with_reasons(visited: Path) -> None:
    found = tagmill("recommend", "--user", "lin", "--limit", 5, "-w", visited, "--json").json()
    assert 0 < len(found) <= 5
    assert set(found[0]) >= {"id", "score", "why"}
    assert found[0]["why"]["because"]
    assert found[0]["why"]["tags"]
    shown = tagmill("recommend", "--user", "lin", "-w", visited, language="zh")
    assert "因为你" in shown.out.replace("\n", "")
    assert "because you" in " ".join(
        tagmill("recommend", "--user", "lin", "-w", visited).out.split()
    )
    without = tagmill(
        "recommend", "--user", "lin", "--exclude", "品类:连衣裙", "-w", visited, "--json"
    ).json()
    assert all("品类:连衣裙" not in one["why"]["tags"] for one in without)


def test_products_beside_a_product(visited: Path) -> None:
    found = tagmill(
        "recommend", "--product", "el-0028", "--limit", 3, "-w", visited, "--json"
    ).json()
    assert len(found) == 3
    assert found[0]["why"]["because"] == "el-0028"
    assert "No product has the id 'x'" in refusal("recommend", "--product", "x", "-w", visited)
    assert "one of" in refusal("recommend", "-w", visited)
    assert "one of" in refusal("recommend", "--user", "a", "--product", "b", "-w", visited)


def test_one_event_counts_in_the_next_recommendation(visited: Path) -> None:
    stranger = tagmill("recommend", "--user", "new", "-w", visited, "--json").json()
    assert not any(one["why"]["because"] for one in stranger)
    done = tagmill("events", "add", "new", "el-0028", "add to cart", "-w", visited, "--json").json()
    assert (done["kind"], done["new"]) == ("cart", True)
    found = tagmill("recommend", "--user", "new", "-w", visited, "--json").json()
    assert found[0]["why"]["because"] == "el-0028"
    at = ("--at", "2026-11-20T12:00:00+08:00")
    done = tagmill("events", "add", "new", "el-0030", *at, "-w", visited, "--json").json()
    assert (done["kind"], done["at"]) == ("view", "2026-11-20T04:00:00Z")
    again = tagmill("events", "add", "new", "el-0030", *at, "-w", visited)
    assert "1 event read, 0 after a search, 0 new" in again.out
    assert "'sniff' is not one of" in refusal("events", "add", "new", "a", "sniff", "-w", visited)
    chinese = tagmill("events", "add", "new", "a", "看", "-w", visited, code=1, language="zh").err
    assert "行为未存储：类型“看”不是其中之一：view, " in chinese
    early = tagmill("events", "add", "new", "not-yet", "-w", visited)
    assert "no product with the id 'not-yet' yet" in early.err
    assert "no user" in refusal("events", "add", " ", "a", "-w", visited)
    assert "'soon' is no time" in refusal("events", "add", "a", "b", "--at", "soon", "-w", visited)


def test_events_of_usual_names_and_bad_rows(own_shop: Path, tmp_path: Path) -> None:
    first = tagmill("events", "import", EVENTS, "-w", own_shop, "--json").json()
    assert first["new"] == first["read"] == 117
    assert first["searches"] == 6
    again = tagmill("events", "import", EVENTS, "-w", own_shop, "--json").json()
    assert (again["read"], again["new"]) == (first["read"], 0)
    path = tmp_path / "clicks.jsonl"
    rows = [
        {"user_id": 7, "item_id": "el-0028", "event": "click", "timestamp": 1764158400},
        {"user_id": 7, "item_id": "el-0030", "event": "buy", "timestamp": 1764158400123},
        {"user_id": 7, "item_id": "el-0031", "event": "sniff", "timestamp": 1764158400},
        {"user_id": 7, "item_id": "el-0031", "event": "click", "timestamp": "yesterday"},
        {"user_id": "", "item_id": "el-0031", "event": "click", "timestamp": 1},
        {"event": "search", "search_query": "telly", "timestamp": 1764158400},
        {"event": "search", "timestamp": 1764158400},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = tagmill("events", "import", path, "-w", own_shop)
    assert "2 events read, 0 after a search, 2 new; 1 search besides; 4 rejected" in done.out
    proposed = tagmill("library", "proposals", "-w", own_shop, "--json").json()
    telly = next(one for one in proposed if one["name"] == "telly")
    assert telly["clicked"]["of"] == telly["searches"] == 18
    assert "of 18 clicks" in " ".join(tagmill("library", "proposals", "-w", own_shop).out.split())
    rejects = [
        json.loads(x)
        for x in (own_shop / "clicks.jsonl.rejects.jsonl").read_text().split("\n")
        if x
    ]
    assert [one["line"] for one in rejects] == [3, 4, 5, 7]
    assert "kind 'sniff' is not one of view" in rejects[0]["reason"]
    assert "'yesterday' is no time" in rejects[1]["reason"]
    assert rejects[2]["reason"] == "no user"
    bad = tmp_path / "bad.csv"
    bad.write_text("who,what\na,b\n", encoding="utf-8")
    assert "no column 'user'" in refusal("events", "import", bad, "-w", own_shop)


def test_a_user_is_forgotten_by_one_command(visited: Path) -> None:
    before = tagmill("recommend", "--user", "wei", "-w", visited, "--json").json()
    assert (visited / "recommend").is_dir()
    gone = tagmill("user", "forget", "wei", "-w", visited, "--json").json()
    assert gone == {"user": "wei", "events": 10}
    bad = visited / "bad.csv"
    bad.write_text("user,product,kind,at\nwei,el-0166,stole,2026-11-01\n", encoding="utf-8")
    tagmill("events", "import", bad, "-w", visited)
    done = tagmill("user", "forget", "wei", "-w", visited)
    assert "There is no event of wei" in done.out
    assert "bad.csv.rejects.jsonl" in done.err
    assert not (visited / "recommend").exists()
    after = tagmill("recommend", "--user", "wei", "-w", visited, "--json").json()
    assert before != after
    assert all(one["why"]["because"] == "" for one in after)


def test_personal_tags(visited: Path) -> None:
    found = tagmill("user", "tags", "wei", "el-0028", "-w", visited, "--json").json()
    assert found[0]["affinity"] > 0
    assert found[0]["tag"].startswith("品类:")
    assert "Affinity" in tagmill("user", "tags", "wei", "el-0028", "-w", visited).out


def test_a_log_of_searches_alone(own_shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "searches.csv"
    path.write_text("keyword,time\ntelly,2026-11-20\nred frock,2026-11-20\n,2026-11-20\n")
    done = tagmill("events", "import", path, "-w", own_shop, "--json").json()
    assert done == {"read": 0, "new": 0, "after_searches": 0, "searches": 2, "rejected": 1}
    path.write_text("keyword,user\ntelly,lin\n")
    assert "has no column 'at'" in refusal("events", "import", path, "-w", own_shop)
    path.write_text("user,at\nlin,2026-11-20\n")
    assert "searches are query and at" in refusal("events", "import", path, "-w", own_shop)
