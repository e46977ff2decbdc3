"""The stand-in model that ships with the tests, in a real llama.cpp: shapes, not quality."""

from __future__ import annotations

import json
import math
import urllib.request
from pathlib import Path
from typing import Any, Protocol

import pytest

from tagmill.language.profiles import open_profile
from tagmill.language.prompts import load_prompt, offered_tags, tag_line, write_product
from tagmill.library import starter_library
from tagmill.records import Tag
from tests.cli.command import tagmill as command

xllamacpp = pytest.importorskip(
    "xllamacpp", reason="llama.cpp is not installed: pip install xllamacpp"
)

MODEL = Path(__file__).parent.parent / "data" / "small-model.gguf"
PROFILE = open_profile("product")
PRODUCTS: dict[str, dict[str, Any]] = {
    "zh": {
        "title": "纯棉圆领T恤 黑色",
        "description": "采用亚麻，适合送礼。七天无理由退换。",
        "attributes": [("图案", "格纹")],
    },
    "en": {
        "title": "Linen Shirt Navy Blue",
        "description": "Made of bamboo fiber, for gifting. Ships within 48 hours.",
        "attributes": [("Pattern", "Plaid")],
    },
}
TRUE = {
    "zh": ["颜色:黑色", "领型:圆领", "材质:亚麻", "图案:格纹"],
    "en": ["颜色:藏青色", "材质:亚麻", "材质:竹纤维", "图案:格纹"],
}
FALSE = ["颜色:红色", "品类:4K电视", "品类:电饭煲", "材质:不锈钢", "季节:冬季", "技术:主动降噪技术"]


def _list_of(most: int, **fields: dict[str, Any]) -> dict[str, Any]:
    """The schema of a list of objects with those fields."""
    return {"type": "array", "maxItems": most, "items": _object(**fields)}


def _object(**fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": fields, "required": list(fields),
        "additionalProperties": False,
    }  # fmt: skip


WORDS = {"type": "string", "maxLength": 60}
NUMBER = {"type": "integer", "minimum": 1, "maximum": 10}
PROPOSED = _object(
    tags=_list_of(12, number=NUMBER, quote=WORDS),
    new=_list_of(4, facet=WORDS, name=WORDS, quote=WORDS),
)
DESCRIBED = _object(sentences=_list_of(5, text=WORDS, quote=WORDS))


class Server(Protocol):
    """What is used of xllamacpp's server."""

    listening_address: str

    def handle_chat_completions(self, body: dict[str, Any]) -> dict[str, Any]: ...


@pytest.fixture(scope="module")
def server() -> Server:
    """The model, loaded once; when the last reference is gone, the server stops."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(MODEL)
    parameters.n_ctx = 2048
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.cache_ram_mib = 0
    parameters.warmup = False
    parameters.verbosity = -1
    started: Server = xllamacpp.Server(parameters)
    return started


def _tags(language: str) -> tuple[list[Tag], list[Tag]]:
    """The tags that are true of the product, and others."""
    library = starter_library()
    return [library.resolve(text) for text in TRUE[language]], [library.resolve(t) for t in FALSE]


def _chat(server: Server, messages: list[dict[str, str]], **options: object) -> dict[str, Any]:
    body = {"messages": messages, "temperature": 0, "seed": 1, "max_tokens": 300, **options}
    choice: dict[str, Any] = server.handle_chat_completions(body)["choices"][0]
    return choice


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    named = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _proposing(language: str) -> tuple[list[Tag], list[dict[str, str]]]:
    true, false = _tags(language)
    ordered, lines = offered_tags([*true, *false], language, starter_library().facets)
    shown = write_product(PRODUCTS[language], language, PROFILE)
    prompt = load_prompt(PROFILE, "propose", language)
    return ordered, prompt.messages(product=shown, candidates=lines)


def _verifying(language: str, tag: Tag) -> list[dict[str, str]]:
    shown = write_product(PRODUCTS[language], language, PROFILE)
    prompt = load_prompt(PROFILE, "verify", language)
    return prompt.messages(product=shown, tag=tag_line(tag, language, starter_library().facets))


def test_the_file_is_small() -> None:
    assert MODEL.stat().st_size < 5_000_000


@pytest.mark.parametrize("language", ["zh", "en"])
def test_propose_answers_in_the_shape_asked_for(server: Server, language: str) -> None:
    ordered, messages = _proposing(language)
    choice = _chat(server, messages, **_format(PROPOSED))
    assert choice["finish_reason"] == "stop"
    answer = json.loads(choice["message"]["content"])
    assert set(answer) == {"tags", "new"}
    chosen = {ordered[entry["number"] - 1].text for entry in answer["tags"]}
    assert chosen & set(TRUE[language])
    assert all(entry["quote"] for entry in answer["tags"])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_propose_needs_no_schema(server: Server, language: str) -> None:
    _, messages = _proposing(language)
    answer = json.loads(_chat(server, messages)["message"]["content"])
    assert set(answer) == {"tags", "new"}


@pytest.mark.parametrize(("language", "yes", "no"), [("zh", "是", "否"), ("en", "yes", "no")])
def test_verify_answers_with_one_token_and_its_probability(
    server: Server, language: str, yes: str, no: str
) -> None:
    def probability(tag: Tag) -> float:
        messages = _verifying(language, tag)
        choice = _chat(server, messages, max_tokens=1, logprobs=True, top_logprobs=5)
        assert choice["message"]["content"] in (yes, no)
        entries = choice["logprobs"]["content"][0]["top_logprobs"]
        found = {entry["token"]: math.exp(entry["logprob"]) for entry in entries}
        assert found[yes] + found[no] == pytest.approx(1, abs=0.02)
        return found[yes]

    true, false = ([probability(tag) for tag in tags] for tags in _tags(language))
    assert sum(a > b for a in true for b in false) / (len(true) * len(false)) > 0.9


def test_describe_answers_in_the_shape_asked_for(server: Server) -> None:
    asked = {"language": "中文", "channel": "不限", "season": "不限", "neighbours": "无"}
    shown = write_product(PRODUCTS["zh"], "zh", PROFILE)
    messages = load_prompt(PROFILE, "describe", "zh").messages(product=shown, **asked)
    choice = _chat(server, messages, **_format(DESCRIBED))
    assert choice["finish_reason"] == "stop"
    sentences = json.loads(choice["message"]["content"])["sentences"]
    assert sentences
    assert all(set(sentence) == {"text", "quote"} for sentence in sentences)


def test_a_schema_it_never_saw_is_honoured(server: Server) -> None:
    schema = _object(size={"enum": ["small", "large"]}, fits={"type": "boolean"})
    messages = [{"role": "user", "content": "大吗？"}]
    answer = json.loads(_chat(server, messages, **_format(schema))["message"]["content"])
    assert answer["size"] in ("small", "large")
    assert isinstance(answer["fits"], bool)


def test_the_same_over_http(server: Server) -> None:
    tag = _tags("en")[0][0]
    messages = _verifying("en", tag)
    body = {"messages": messages, "max_tokens": 1, "temperature": 0}
    request = urllib.request.Request(
        server.listening_address + "/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:
        answer = json.load(reply)
    assert answer["choices"][0]["message"] == _chat(server, messages, max_tokens=1)["message"]


def test_tags_descriptions_and_the_check_through_llama_cpp(tmp_path: Path) -> None:
    """The whole way with the embedded server: schema, logprobs, prefix cache, store."""
    model = ("--llm-model", str(MODEL.resolve()))
    found = command("llm", "check", *model, "--json", cwd=tmp_path).json()
    assert found["json_schema"] is True
    assert found["logprobs"] is True
    assert found["prefix_cache"] is True
    rows = [
        {"id": "1", "title": "高清液晶电视，4K分辨率，HDR功能"},
        {"id": "2", "title": "Red cotton shirt for men"},
    ]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (tmp_path / "products.jsonl").write_text("".join(lines), encoding="utf-8")
    tag = ("tag", "products.jsonl", "-o", "tags.jsonl", "--llm", "all", *model)
    done = command(*tag, cwd=tmp_path)
    assert "(0 failed)" in done.err
    tagged = [json.loads(line) for line in (tmp_path / "tags.jsonl").read_text().splitlines()]
    library = {tag.id for tag in starter_library().active()}
    assert [line["id"] for line in tagged] == ["1", "2"]
    assert {tag["id"] for line in tagged for tag in line["tags"]} <= library
    assert "0 calls" in command(*tag, cwd=tmp_path).err
    calls = command("privacy", "audit", "--json", cwd=tmp_path).json()
    assert {call["stage"] for call in calls} == {"propose", "verify"}
    assert {call["host"] for call in calls} == {""}  # it stayed in this process
