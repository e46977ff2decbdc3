from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tagmill.discover.documents import ENGINES, write_documents
from tagmill.errors import SearchError
from tagmill.records import Facet
from tagmill.store import Store
from tagmill.store.events import Event
from tests.discover.shop import SHOP, fill_shop
from tests.store.samples import make_tag, product, product_batch


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
    assert body["tag_weights"] == [
        {"tag": "Category:Dresses", "weight": 0.95},
        {"tag": "Color:Red", "weight": 0.6},
    ]
    assert body["facets"] == {"Category": ["Dresses"], "Color": ["Red"]}


def _fields(value: object, path: str = "") -> set[str]:
    """The fields that Elasticsearch makes of a document."""
    if isinstance(value, list):
        return set().union(*(_fields(item, path) for item in value))
    if not isinstance(value, dict):
        return {path}
    return {path}.union(*(_fields(item, f"{path}.{name}") for name, item in value.items()))


def test_elasticsearch_has_few_fields_and_none_with_a_dot(store: Store, tmp_path: Path) -> None:
    fill_shop(store)
    numbered = [make_tag("技术", f"HDMI {number / 10}") for number in range(40)]
    more = [make_tag("", "新品"), make_tag("规格 v1.2", "大")]
    store.library.save([*numbered, *more], [Facet("技术"), Facet("规格 v1.2")])
    rows = [
        product(
            f"n{number}", "线", tags=[tag.text, "新品", "规格 v1.2:大"],
            attributes={f"参数{number}.a": "1"}, numbers={"price.cny": number},
        )
        for number, tag in enumerate(numbered)
    ]  # fmt: skip
    store.products.upsert(product_batch(*rows))
    write_documents(store, tmp_path / "bulk.ndjson", "elasticsearch")
    bodies = _lines(tmp_path / "bulk.ndjson")[1::2]
    fields = set().union(*map(_fields, bodies))
    assert {".facets.技术", ".facets._", ".facets.规格 v1_2", ".numbers.price_cny"} < fields
    assert all(field.count(".") <= 2 and not field.endswith(".") for field in fields - {""})
    assert len(fields) < 30
    mapping = json.loads((tmp_path / "bulk.ndjson.mapping.json").read_text())["mappings"]
    assert set(mapping["properties"]) == {name for body in bodies for name in body}
    (body,) = (body for body in bodies if body["product"] == "n21")
    assert {"tag": "技术:HDMI 2.1", "weight": 1.0} in body["tag_weights"]
    assert body["attributes"] == [{"name": "参数21.a", "value": "1"}]


@pytest.mark.parametrize("engine", ["elasticsearch", "meilisearch", "typesense"])
def test_ids_that_an_engine_refuses_have_a_key(store: Store, tmp_path: Path, engine: str) -> None:
    ids = ["a b", "中文", "a,b", "1.0", "../etc", "x" * 3000, "x" * 2999, "fit_1-A"]
    fill_shop(store, ())
    store.products.upsert(product_batch(*(product(one) for one in ids)))
    path = tmp_path / "docs.jsonl"
    first = write_documents(store, path, engine)
    lines = _lines(path)
    if engine == "elasticsearch":
        bodies = [
            {"id": a["index"]["_id"], **b} for a, b in zip(lines[::2], lines[1::2], strict=True)
        ]
        assert all(len(body["id"].encode()) <= 512 for body in bodies)
    else:
        bodies = lines
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,511}", body["id"]) for body in bodies)
    keys = {body["product"]: body["id"] for body in bodies}
    assert set(keys) == set(ids)
    assert len(set(keys.values())) == len(ids)
    assert keys["fit_1-A"] == "fit_1-A"
    store.products.mark_gone(["fit_1-A"])
    write_documents(store, path, engine, since=first.cursor)
    if engine == "elasticsearch":
        gone = [line["delete"]["_id"] for line in _lines(path)]
    else:
        gone = json.loads((tmp_path / "docs.jsonl.deleted.json").read_text())
    assert sorted(gone) == sorted(keys[one] for one in ids[:-1])


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
