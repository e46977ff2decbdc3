from __future__ import annotations

import json
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from http.client import HTTPConnection
from pathlib import Path
from threading import Event as Signal

import pytest

from tagmill.discover import aside, fitted, open_search
from tagmill.errors import SettingsError, StoreError, TaggerError
from tagmill.records import Scores
from tagmill.serve import Shop, open_server
from tagmill.settings import Settings
from tagmill.store import Store, open_store
from tests.discover.shop import BLUE, DRESS, fill_shop
from tests.serve.conftest import Service, mounted, serving
from tests.store.samples import entry, product, product_batch, tag_run


def test_a_search_is_what_the_function_finds(service: Service, tmp_path: Path) -> None:
    answer = service.get("search", q="红色 连衣裙", limit=5)
    assert answer.status == 200
    own = open_search(service.store, tmp_path / "other").search("红色 连衣裙", limit=5)
    assert answer.body["hits"] == [
        {**asdict(hit), "highlights": [list(span) for span in hit.highlights],
         "why": {key: list(found) for key, found in asdict(hit.why).items()}}
        for hit in own.hits
    ]  # fmt: skip
    assert answer.body["total"] == 2
    assert [one["id"] for one in answer.body["hits"]] == ["d1", "d2"]


def test_choices_pages_and_languages(service: Service) -> None:
    first = service.get("search", facet=["颜色=红色", "Color=blue"], limit=2, sort="id").body
    assert first["total"] == 5
    assert {one["name"] for one in first["facets"]["颜色"] if one["chosen"]} == {"红色", "蓝色"}
    second = service.get(
        "search", facet=["颜色=红色", "Color=blue"], limit=2, sort="id", after=first["next"]
    ).body
    ids = [hit["id"] for page in (first, second) for hit in page["hits"]]
    assert ids == ["b1", "b2", "d1", "d2"]
    english = service.get("search", q="真丝", language="en").body
    assert english["hits"][0]["why"]["tags"][0]["tag"].endswith("Silk")
    begun = service.get("complete", q="lea", language="en").body
    assert begun[0] == {"text": "Leather", "products": 1, "facet": "Material"}


def test_what_is_stored_is_found_by_the_next_request(service: Service) -> None:
    assert service.get("search", q="帆布鞋").body["total"] == 0
    service.store.products.upsert(product_batch(product("n1", "帆布鞋")))
    assert [hit["id"] for hit in service.get("search", q="帆布鞋").body["hits"]] == ["n1"]


def test_searches_are_kept_and_paging_is_no_search(service: Service) -> None:
    found = service.get("search", q="蓝色", limit=1).body
    service.get("search", q="蓝色", limit=1, after=found["next"])
    service.get("search", q="真皮", log=False)
    service.shop.close()
    kept = [search.query for page in service.store.searches.pages() for search in page]
    assert kept == ["蓝色"]


def test_an_event_counts_in_the_next_recommendation(service: Service) -> None:
    assert service.get("recommend", user="lin").body[0]["why"]["because"] == ""
    posted = service.post("events", {"user": "lin", "product": "d3", "kind": "cart"})
    assert posted.body == {"new": 1, "searches": 0, "unknown": [], "rejected": []}
    said = {
        None: "because of your cart: ", "zh-CN,en;q=0.8": "因为你加购过 ", "fr": "because of ",
        "zh;q=0.1, en;q=0.9": "because of your cart: Blue",
    }  # fmt: skip
    for language, begin in said.items():
        headers = {"Accept-Language": language} if language else {}
        (first, *_) = service.get("recommend", headers, user="lin", limit=3).body
        assert first["why"]["because"] == "d3"
        assert first["why"]["text"].startswith(begin)
    beside = service.get("recommend", product="d3", exclude="品类:手提包").body
    assert {one["id"] for one in beside} == {"d1", "d2"}
    tags = service.get("tags", product="d2", user="lin", limit=1).body
    assert tags[0]["tag"] == "品类:连衣裙"
    assert tags[0]["affinity"] > 0


def test_a_bad_event_stops_no_other(service: Service) -> None:
    rows = [
        {"user": "a", "product": "d1", "at": "2026-11-20T10:00:00+08:00"},
        {"user": "a"},
        "d1",
        {"user": "a", "product": "d1", "kind": "stare"},
        {"user": "a", "product": "d1", "price": 3},
        {"user": 7, "product": "not yet there", "at": 1763600000, "query": "红色"},
        {"kind": "search", "query": "显瘦 连衣裙"},
        {"user": "a", "product": ["d1"]},
        {"user": "a", "product": "d1", "at": "2999-01-01"},
    ]
    answer = service.post("events", rows)
    assert answer.status == 200
    assert (answer.body["new"], answer.body["searches"]) == (2, 1)
    assert answer.body["unknown"] == ["not yet there"]
    reasons = {one["row"]: one["reason"] for one in answer.body["rejected"]}
    assert reasons.keys() == {1, 2, 3, 4, 7, 8}
    assert reasons[1] == "no product"
    assert reasons[3].startswith("kind 'stare' is not one of view, cart")
    assert reasons[4].startswith("it has no use for price. Known: user, product")
    assert [one.at for one in service.store.events.of_user("a")] == ["2026-11-20T02:00:00Z"]
    assert service.store.events.of_user("7")[0].query == "红色"
    chinese = service.post("events", [{"user": "a"}], {"Accept-Language": "zh"})
    assert chinese.body["rejected"] == [{"row": 0, "reason": "没有商品"}]
    alone = service.post("events", {"user": "a"})
    assert (alone.status, alone.body["detail"]) == (400, "The event is not stored: no product")
    assert service.post("events", rows[:1] * 10_001).status == 400


def test_a_user_is_forgotten(service: Service) -> None:
    service.post("events", [{"user": "lin/1", "product": one} for one in ("d1", "d3")])
    assert service.get("recommend", user="lin/1").body[0]["why"]["because"]
    answer = service.ask("DELETE", "/v1/users/lin/1")
    assert answer.body == {"user": "lin/1", "events": 2}
    assert service.store.events.of_user("lin/1") == []
    assert not service.get("recommend", user="lin/1").body[0]["why"]["because"]


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("search", {"facet": "红色"}, 400, "'红色' is no choice of a tag. Write FACET=TAG"),
        ("search", {"facet": "颜色=没有"}, 400, "Unknown tag '颜色:没有'"),
        ("search", {"range": "price=x"}, 400, "'price=x' is no range of a number"),
        ("search", {"sort": "beauty"}, 400, "beauty"),
        ("search", {"after": "%%%"}, 400, "is no cursor"),
        ("search", {"limit": "many"}, 422, "limit: "),
        ("recommend", {}, 400, "Give one of: user, product"),
        ("recommend", {"product": "none"}, 404, "No product has the id 'none'"),
        ("tags", {}, 422, "product: "),
        ("nowhere", {}, 404, "There is nothing here. See: /openapi.json"),
        ("users", {}, 404, "There is nothing here"),
        ("events", {}, 405, "Method Not Allowed"),
    ],
)
def test_every_error_is_a_problem_document(
    service: Service, path: str, query: dict[str, object], status: int, said: str
) -> None:
    answer = service.get(path, None, **query)
    assert answer.status == answer.body["status"] == status
    assert said in answer.body["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_errors_are_said_in_the_language_of_the_request(service: Service) -> None:
    said = service.get("search", {"Accept-Language": "zh-CN,zh;q=0.9"}, facet="颜色=没有").body
    assert "未知的标签" in said["detail"]
    assert said["type"] == "urn:tagmill:UnknownTag"
    body = service.ask("POST", "/v1/events", b"user=lin").body
    assert body["detail"].startswith("The body is no JSON object or list")


def test_a_fault_of_ours_says_so(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **more: object) -> None:
        raise RuntimeError("the secret is 7")

    monkeypatch.setattr(service.shop.search, "search", broken)
    answer = service.get("search", q="red")
    assert (answer.status, answer.body["type"]) == (500, "urn:tagmill:RuntimeError")
    assert "7" not in answer.body["detail"]


def test_hostile_queries_are_answered(service: Service) -> None:
    for query in ("x" * 10_000, "\"'; DROP TABLE", "((((", "🍎👗", "\x00", "NEAR/3 AND OR"):
        assert service.get("search", q=query).status == 200, query
        assert service.get("complete", q=query).status == 200, query


def test_large_and_unmeasured_bodies_are_refused(service: Service) -> None:
    for header, value, status in (
        ("Content-Length", str(8 * 1024 * 1024 + 1), 413),
        ("Transfer-Encoding", "chunked", 411),
        ("X-No", "length", 411),
    ):
        connection = HTTPConnection(service.url.removeprefix("http://"), timeout=20)
        connection.putrequest("POST", "/v1/events")
        connection.putheader(header, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert json.load(answer)["status"] == answer.status == status
        connection.close()


def test_a_key_is_asked_for(store: Store, tmp_path: Path) -> None:
    fill_shop(store)
    with serving(store, tmp_path, key="secret") as service:
        for shown in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
            refused = service.get("search", shown, q="红色")
            assert (refused.status, refused.body["title"]) == (401, "Unauthorized")
            assert refused.headers["www-authenticate"] == "Bearer"
        assert service.get("search", {"Authorization": "Bearer secret"}, q="红色").status == 200
        assert service.ask("GET", "/").status == 200  # the page, which asks for the key


def test_only_this_machine_without_a_key(service: Service) -> None:
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", ""):
        refused = service.get("status", {"Host": host})
        assert refused.status == 421, host
        assert refused.body["detail"].startswith("Nothing is served by that name. Without a key")
    for host in ("localhost:1", "LOCALHOST.", "127.0.0.1", "[::1]:8000", "[::1]"):
        assert service.get("status", {"Host": host}).status == 200, host
    with pytest.raises(SettingsError, match="can be reached from other machines"):
        open_server(service.shop, "0.0.0.0", 0)
    port = int(service.url.rpartition(":")[2])
    with pytest.raises(SettingsError, match=f"Port {port} of 127.0.0.1 is taken"):
        open_server(service.shop, "127.0.0.1", port)
    with pytest.raises(SettingsError, match="cannot be had"):
        open_server(service.shop, "no.such.host.invalid", 0)


def test_the_page_may_load_nothing_from_elsewhere(service: Service) -> None:
    page = service.ask("GET", "/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "page.js" in page.body
    assert service.ask("GET", "/page.js").headers["content-type"].startswith("text/javascript")
    assert service.ask("GET", "/page.css").status == 200
    assert service.ask("GET", "/app.js").status == 404


def test_the_api_is_described(service: Service) -> None:
    paths = service.ask("GET", "/openapi.json").body["paths"]
    assert {"/v1/search", "/v1/complete", "/v1/recommend", "/v1/events"} <= paths.keys()
    assert all(one.get("description") for path in paths.values() for one in path.values())


def test_many_at_once_while_products_change(service: Service) -> None:
    def change(number: int) -> None:
        service.store.products.upsert(product_batch(product(f"p{number}", f"蓝色 长裙 {number}")))
        tag_run(service.store, {f"p{number}": [entry(DRESS, 0.9), entry(BLUE, 0.9)]}, f"r{number}")

    with ThreadPoolExecutor(8) as pool:
        changes = [pool.submit(change, 0)]
        for number in range(1, 6):
            asked = [pool.submit(service.get, "search", q="蓝色 连衣裙") for _ in range(8)]
            asked += [pool.submit(service.get, "recommend", user="lin") for _ in range(4)]
            changes[-1].result()
            changes.append(pool.submit(change, number))
            assert {one.result().status for one in asked} == {200}
        changes[-1].result()
    assert service.get("search", q="蓝色 连衣裙", limit=50).body["total"] == 7


def test_a_search_does_not_wait_for_a_large_change(store: Store, tmp_path: Path) -> None:
    fill_shop(store)
    shop = Shop(Settings(root=tmp_path), store)
    shop.prepare()
    going_on, begun = Signal(), Signal()
    inner = shop.search.index._score
    assert inner is not None

    def slow(batch: object, candidates: int) -> Scores:
        begun.set()
        assert going_on.wait(20)
        return inner(batch, candidates)

    try:
        assert shop.search.search("帆布鞋").total == 0
        shop.search.index._score = slow
        store.products.upsert(product_batch(product("n1", "帆布鞋")))
        for _ in range(3):
            assert shop.search.search("帆布鞋").total == 0  # the state before
        assert begun.is_set()
        started = time.monotonic()
        shop.search.search("红色")
        shop.recommender.for_user("lin")
        assert time.monotonic() - started < 10  # and not until `going_on`
        going_on.set()
        deadline = time.monotonic() + 20
        while not shop.search.search("帆布鞋").total:
            assert time.monotonic() < deadline
    finally:
        going_on.set()
        shop.close()


def test_what_fails_aside_stops_no_search(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(aside, "_RETRY", 0.3)
    fill_shop(store)
    with serving(store, tmp_path) as service:
        shop = service.shop
        shop.prepare()
        inner, tried = shop.search.index._score, []

        def failing(batch: object, candidates: int) -> Scores:
            tried.append(candidates)
            raise TaggerError("the model is damaged")

        shop.search.index._score = failing
        store.products.upsert(product_batch(product("n1", "帆布鞋")))
        for _ in range(5):
            assert service.get("search", q="红色").body["total"] == 3  # of the state before
        assert len(tried) < 3
        assert service.get("status").body["problem"] is True
        assert "the model is damaged" in caplog.text
        shop.search.index._score = inner
        deadline = time.monotonic() + 20
        while not service.get("search", q="帆布鞋").body["total"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert service.get("status").body["problem"] is False


def test_searches_go_on_while_somebody_writes_for_long(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url, create=True) as store:
        fill_shop(store)
        with serving(store, tmp_path) as service, ThreadPoolExecutor(30) as pool:
            service.shop.prepare()
            other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            waiting = [
                pool.submit(service.post, "events", {"user": f"u{i}", "product": "d1"})
                for i in range(25)
            ]
            for number in range(50):
                assert service.get("search", q=f"红色 {number}").status == 200
            assert not any(one.done() for one in waiting)
            other.execute("ROLLBACK")
            other.close()
            assert {one.result().status for one in waiting} == {200}
            service.shop.close()
            kept = [search for page in store.searches.pages() for search in page]
            assert len(kept) == 50


def test_a_database_that_is_away_is_no_caller_s_business(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(aside, "_RETRY", 0.1)
    service.get("search", q="red")

    def away(*given: object) -> None:
        raise StoreError("postgresql://secret@host/db: connection refused")

    with monkeypatch.context() as while_away:
        while_away.setattr(service.store.searches, "state", away)
        while_away.setattr(service.store.events, "of_user", away)
        assert service.get("search", q="red").body["total"] == 3  # out of the index
        answer = service.get("recommend", user="lin")
        assert (answer.status, answer.body["type"]) == (503, "urn:tagmill:StoreError")
        assert "secret" not in answer.body["detail"]
        assert "secret" in caplog.text
        assert service.get("status").body["problem"] is True
    deadline = time.monotonic() + 20
    while service.get("status").body["problem"]:
        assert time.monotonic() < deadline
        service.get("recommend", user="lin")
        time.sleep(0.05)


def test_users_are_named_alike_everywhere(service: Service) -> None:
    service.post("events", {"user": " lin\0 ", "product": "d3", "kind": "like"})
    assert service.get("recommend", user="lin ").body[0]["why"]["because"] == "d3"
    assert service.ask("DELETE", "/v1/users/%20lin%20").body == {"user": "lin", "events": 1}
    fitting = service.shop.recommender._fitting
    thread = fitting._thread
    assert thread is not None
    thread.join(20)
    assert service.ask("DELETE", "/v1/users/nobody").body["events"] == 0
    assert fitting._thread is thread  # nothing to fit anew
    assert service.ask("DELETE", "/v1/users").status == 404
    assert service.ask("DELETE", "/v1/users/").status == 422


def test_one_bad_row_stops_no_other_whatever_it_holds(service: Service) -> None:
    body = (
        '[{"user": "a", "product": "d1", "query": "\\ud800"},'
        '{"user": "a", "product": "d2", "at": "0001-01-01T00:00:00+14:00"},'
        '{"user": "\\ud800", "product": "d2"}, {"user": "a", "product": "d3", "at": 1e300}]'
    )
    answer = service.ask("POST", "/v1/events", body.encode(), {"Content-Type": "application/json"})
    assert answer.body["new"] == 1
    assert [one["row"] for one in answer.body["rejected"]] == [1, 2, 3]


def test_pages_of_other_sites_may_not_ask(service: Service) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert service.get("search", foreign, q="spam").status == 403
    assert service.get("search", {"Sec-Fetch-Site": "same-origin"}, q="red").status == 200
    service.shop.close()
    kept = [search.query for page in service.store.searches.pages() for search in page]
    assert kept == ["red"]


def test_long_paths_and_values_are_refused_at_once(service: Service) -> None:
    chinese = {"Accept-Language": "zh"}
    started = time.monotonic()
    assert service.get(": is " * 2000, chinese).status == 404
    said = service.get("search", chinese, facet=": is '. " * 1000).body["detail"]
    assert time.monotonic() - started < 10
    assert "is no choice of a tag" in said


def test_the_app_can_stand_below_another(service: Service) -> None:
    with mounted(service) as below:
        assert below.get("search", q="red").body["total"] == 3
        page = below.ask("GET", "/")
        assert page.status == below.ask("GET", "/page.js").status == 200
        assert "content-security-policy" in page.headers
        assert below.get("status", {"Host": "evil.example"}).status == 421


def test_what_another_process_swept_is_written_again(store: Store, tmp_path: Path) -> None:
    fill_shop(store)
    one, other = (open_search(store, tmp_path / "search") for _ in range(2))
    one.search("")
    store.products.upsert(product_batch(product("n1", "帆布鞋")))
    assert one.search("帆布鞋").total == 1
    folders = {path.name for path in (tmp_path / "search").glob("segment-*")}
    other.search("")
    for name in folders:  # as a sweep does that another manifest came before
        shutil.rmtree(tmp_path / "search" / name)
    store.products.upsert(product_batch(product("n2", "帆布包")))
    assert one.search("帆布").total == 3
    fresh = open_search(store, tmp_path / "search", _never_asked)
    assert fresh.search("帆布").total == 3


def _never_asked(batch: object, candidates: int) -> Scores:
    raise AssertionError("the index was built anew")


def test_forgetting_somebody_holds_nobody_up(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"user": user, "product": one} for user in ("lin", "wu") for one in ("d1", "d3")]
    service.post("events", rows)
    service.get("recommend", user="lin")
    recommender = service.shop.recommender
    recommender.rebuild()
    going_on = Signal()
    fit = fitted.Fitted.fit

    def slow(*given: object) -> fitted.Fitted:
        assert going_on.wait(20)
        return fit(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(fitted.Fitted, "fit", slow)
    assert service.ask("DELETE", "/v1/users/lin").body["events"] == 2
    assert not (tmp_path / "recommend" / "fitted.npz").exists()
    for _ in range(3):
        assert not service.get("recommend", user="lin").body[0]["why"]["because"]
        assert service.get("recommend", user="wu").status == 200
    going_on.set()
    deadline = time.monotonic() + 20
    while recommender._ready().fitted.state.forgotten == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert recommender._ready().fitted.degrees.sum() == 2  # wu's alone
