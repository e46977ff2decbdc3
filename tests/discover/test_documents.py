from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tagmill.discover.documents import ENGINES, write_documents
from tagmill.errors import SearchError
from tagmill.store import Store
from tagmill.store.events import Event
from tests.discover.shop import SHOP, fill_shop
from tests.store.samples import product, product_batch


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_elasticsearch_takes_it_as_bulk(store: Store, tmp_path: Path) -> None:
    fill_shop(store)
    report = write_documents(store, tmp_path / "bulk.ndjson", "elasticsearch", language="en")
    lines = _lines(tmp_path / "bulk.ndjson")
    assert report.products == len(SHOP) == len(lines) / 2
    actions, bodies = lines[::2], lines[1::2]
    body = dict(zip((a["index"]["_id"] for a in actions), bodies, strict=True))["d2"]
    assert body["title"] == "法式收腰长裙"
    assert body["tag_weights"] == {"Category:Dresses": 0.95, "Color:Red": 0.6}
    assert body["facets"] == {"Category": ["Dresses"], "Color": ["Red"]}


@pytest.mark.parametrize("engine", ["meilisearch", "typesense"])
def test_only_what_changed(store: Store, tmp_path: Path, engine: str) -> None:
    fill_shop(store)
    path = tmp_path / "docs.jsonl"
    first = write_documents(store, path, engine)
    assert {line["id"] for line in _lines(path)} == set(SHOP)
    store.products.upsert(product_batch(product("d3", "蓝色连衣裙 冬季")))
    store.products.mark_gone([i for i in SHOP if i != "b1"])
    again = write_documents(store, path, engine, since=first.cursor)
    assert [line["title"] for line in _lines(path) if line["id"] == "d3"] == ["蓝色连衣裙 冬季"]
    assert again.products == len(_lines(path)) < len(SHOP)
    assert again.cursor > first.cursor
    assert again.gone == 1
    assert json.loads((tmp_path / "docs.jsonl.deleted.json").read_text()) == ["b1"]
    assert write_documents(store, path, engine, since=again.cursor).products == 0


def test_gorse_has_items_and_feedback(store: Store, tmp_path: Path) -> None:
    fill_shop(store)
    store.events.add([Event("u", "d1", "like", "2026-11-20T00:00:00Z")])
    report = write_documents(store, tmp_path / "items.jsonl", "gorse")
    item = next(line for line in _lines(tmp_path / "items.jsonl") if line["ItemId"] == "d1")
    assert item["Labels"] == {"品类": ["连衣裙"], "颜色": ["红色"], "材质": ["真丝"]}
    assert item["IsHidden"] is False
    assert _lines(tmp_path / "items.jsonl.feedback.jsonl") == [
        {"FeedbackType": "like", "UserId": "u", "ItemId": "d1", "Timestamp": "2026-11-20T00:00:00Z"}
    ]
    assert report.events == 1


def test_an_unknown_engine_and_a_folder_that_is_none(store: Store, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=f"Known: {ENGINES[0]}"):
        write_documents(store, tmp_path / "x", "solr")
    with pytest.raises(SearchError, match="Cannot write"):
        write_documents(store, tmp_path / "none" / "x", "gorse")
