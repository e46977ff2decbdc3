"""Descriptions state what the source says; the rest is flagged, kept apart, and never evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tagmill.catalog import products_to_batch
from tagmill.describe import Describer, Description
from tagmill.language import Asker, Request
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings, PrivacySettings
from tagmill.store import Store, open_store
from tagmill.tagging.folder import starter_model
from tests.cli.command import refusal, tagmill
from tests.language.server import ChatServer, chat, error

PRODUCT = {
    "id": "p1", "title": "纯棉连衣裙 红色 M码", "description": "夏季新款，圆领短袖，长度98cm",
    "category": "女装", "attributes": {"材质": "棉"},
}  # fmt: skip


class Writer:
    """A model that writes given sentences, and remembers what it was asked."""

    name = "writer"
    where = ""

    def __init__(self, *sentences: tuple[str, str]) -> None:
        self.sentences = sentences
        self.asked: list[str] = []

    async def ask(self, request: Request) -> Reply:
        self.asked.append("\n".join(m["content"] for m in request.messages))
        answer = {"sentences": [{"text": t, "quote": q} for t, q in self.sentences]}
        return Reply(json.dumps(answer, ensure_ascii=False))

    async def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def describing() -> Callable[..., tuple[Description, str]]:
    """Description of a product by a writer of sentences, and what was asked."""
    model = starter_model()

    def describe(
        *sentences: tuple[str, str], channel: str = "", season: str = "", language: str = ""
    ) -> tuple[Description, str]:
        writer = Writer(*sentences)
        asker = Asker(writer, LanguageModelSettings())
        describer = Describer(asker, model, channel, season, language or None)
        (written,) = describer.describe(products_to_batch([PRODUCT]))
        assert written.description is not None, written.reason
        return written.description, writer.asked[0]

    return describe


def test_only_what_the_source_says_is_in_the_text(
    describing: Callable[..., tuple[Description, str]],
) -> None:
    found, _ = describing(
        ("这款连衣裙采用纯棉面料。", "纯棉连衣裙"),
        ("裙长98cm，适合夏季。", "长度98cm"),
        ("裙长120cm。", "长度98cm"),  # another number
        ("荣获OEKO认证。", "夏季新款"),  # a Latin word that stands nowhere
        ("产自法国。", "法国进口"),  # no such words
        ("蓝色款同样好看。", "红色"),  # a tag that the source does not have
    )
    assert found.text == "这款连衣裙采用纯棉面料。裙长98cm，适合夏季。"
    flagged = {one.text: one.unsupported for one in found.sentences if one.flagged}
    assert flagged["裙长120cm。"] == ("120",)
    assert flagged["荣获OEKO认证。"] == ("OEKO",)
    assert flagged["产自法国。"] == ()
    assert "蓝色" in flagged["蓝色款同样好看。"]
    assert found.sentences[0].evidence == {
        "field": "title", "start": 0, "end": 5, "text": "纯棉连衣裙",
    }  # fmt: skip


def test_channel_and_season_change_what_is_asked(
    describing: Callable[..., tuple[Description, str]],
) -> None:
    sentence = ("这款连衣裙采用纯棉面料。", "纯棉连衣裙")
    asked = {
        describing(sentence, channel=channel, season=season)[1]
        for channel, season in (("", ""), ("直播", ""), ("直播", "冬季"), ("搜索页", "冬季"))
    }
    assert len(asked) == 4
    assert any("渠道：直播。季节：冬季。" in text for text in asked)


def test_the_language_asked_for_is_checked(
    describing: Callable[..., tuple[Description, str]],
) -> None:
    found, asked = describing(("It is a red dress for summer.", "红色"), language="en")
    assert "用英文写" in asked
    assert found.language == "en"
    assert found.text == "It is a red dress for summer."
    asker = Asker(Writer(("A red dress.", "红色")), LanguageModelSettings())
    (written,) = Describer(asker, starter_model()).describe(products_to_batch([PRODUCT]))
    assert written.description is None
    assert "not in the language asked for, zh" in written.reason


def test_no_other_language_is_published(
    describing: Callable[..., tuple[Description, str]],
) -> None:
    german = ("Das ist ein rotes Kleid für den Sommer.", "红色")
    japanese = ("これは赤いドレスです。", "红色")
    for language, sentences in (("zh", (german, german)), ("en", (german, japanese))):
        asker = Asker(Writer(*sentences), LanguageModelSettings())
        describer = Describer(asker, starter_model(), language=language)
        (written,) = describer.describe(products_to_batch([PRODUCT]))
        assert f"not in the language asked for, {language}" in written.reason
    chinese = ("红色连衣裙，M码。", "红色 M码")
    found, _ = describing(german, chinese, japanese, language="zh")
    assert [one.foreign for one in found.sentences] == [True, False, True]
    assert found.text == chinese[0]
    english = ("It is a red dress for the summer.", "红色")
    found, _ = describing(german, english, chinese, language="en")
    assert [one.foreign for one in found.sentences] == [True, False, True]
    assert found.text == english[0]


def test_brands_in_latin_letters_are_no_other_language() -> None:
    for title, *sentences in (
        (
            "Apple iPhone 15 Pro Max 手机 USB-C",
            "Apple iPhone 15 Pro Max 手机，配 USB-C。",
            "iPhone。",
        ),
        ("Le Creuset pot and lid of cast iron", "Le Creuset pot.", "It is a pot."),
    ):
        asker = Asker(Writer(*[(one, title) for one in sentences]), LanguageModelSettings())
        batch = products_to_batch([{"id": "p", "title": title}])
        (written,) = Describer(asker, starter_model()).describe(batch)
        assert written.description is not None
        assert [one.foreign for one in written.description.sentences] == [False, False]


def test_a_repeated_sentence_is_kept_once(
    describing: Callable[..., tuple[Description, str]],
) -> None:
    said, other = "这款连衣裙采用纯棉面料。", "圆领短袖。"
    found, _ = describing(
        (said, "法国进口"), (other, "圆领短袖"), *[(said, "纯棉连衣裙")] * 8, (said, "法国进口")
    )
    assert found.text == said + other
    assert len(found.sentences) == 2


def test_a_trained_model_tells_the_neighbours_tags(tmp_path: Path) -> None:
    import tagmill as package

    products = [
        {"id": f"{kind}{i}", "title": f"{kind} number {i} of the shop", "tags": [f"kind:{kind}"]}
        for kind in ("kettle", "teapot", "lamp")
        for i in range(30)
    ]
    model = package.train(products)
    writer = Writer(("It is a kettle.", "kettle"))
    describer = Describer(Asker(writer, LanguageModelSettings()), model)
    list(describer.describe(products_to_batch([{"id": "x", "title": "kettle number 99"}])))
    assert "among similar products: kettle" in writer.asked[0]


def test_neighbours_tags_leave_as_privacy_says() -> None:
    import tagmill as package

    products = [
        {"id": f"{kind}{i}", "title": f"{kind} number {i} of the shop", "tags": [f"maker:{maker}"]}
        for kind, maker in (("kettle", "Kettles 13800138000"), ("teapot", "Teapots"))
        for i in range(30)
    ]
    model = package.train(products)

    def asked(**settings: object) -> str:
        writer = Writer(("It is a kettle. Call [PHONE_2].", "kettle"))
        privacy = PrivacySettings.model_validate(settings)
        describer = Describer(Asker(writer, LanguageModelSettings()), model, privacy=privacy)
        product = {"id": "x", "title": "kettle number 99, tel 13911112222"}
        (written,) = describer.describe(products_to_batch([product]))
        assert written.description is not None
        restored = "13800138000" if "[PHONE_2]" in writer.asked[0] else "[PHONE_2]"
        assert written.description.sentences[0].text == f"It is a kettle. Call {restored}."
        return writer.asked[0]

    assert "among similar products: Kettles [PHONE_2]\n" in asked() + "\n"
    assert "among similar products: Kettles 13800138000" in asked(redact=False)
    assert "among similar products: –" in asked(never=["tags"])


def test_a_product_of_which_nothing_may_leave_is_not_asked_about() -> None:
    writer = Writer(("这款连衣裙采用纯棉面料。", "纯棉连衣裙"))
    asker = Asker(writer, LanguageModelSettings())
    describer = Describer(asker, starter_model(), privacy=PrivacySettings(send=("id", "category")))
    products = [{**PRODUCT, "id": "bare", "category": None}, PRODUCT]
    found = {one.id: one for one in describer.describe(products_to_batch(products))}
    assert len(writer.asked) == 1
    assert found["p1"].description is not None
    assert found["bare"].description is None
    assert "may leave" in found["bare"].reason


def test_descriptions_of_a_workspace_stand_apart(tmp_path: Path) -> None:
    tagmill("init", tmp_path)
    file = tmp_path / "products.jsonl"
    file.write_text(json.dumps(PRODUCT, ensure_ascii=False), encoding="utf-8")
    tagmill("catalog", "import", file, "-w", tmp_path)
    done = tagmill("describe", "p1", "--llm-model", "scripted", "-w", tmp_path, cwd=tmp_path)
    assert "纯棉连衣裙" in done.out
    with open_store(f"sqlite:///{tmp_path}/tagmill.db") as store:
        (kept,) = store.descriptions.of("p1")
        product = store.products.get("p1")
    assert kept["model"] == "scripted"
    assert kept["text"]
    assert product is not None
    assert product["description"] == PRODUCT["description"]
    assert "No product has the id 'nobody'" in refusal(
        "describe", "nobody", "--llm-model", "scripted", "-w", tmp_path, cwd=tmp_path
    )


def test_stored_descriptions_are_replaced(store: Store) -> None:
    line = {"id": "p", "language": "zh", "text": "一", "sentences": [], "model": "m", "prompt": "v"}
    store.descriptions.keep([line, {**line, "language": "en", "text": "one"}])
    store.descriptions.keep([{**line, "text": "二"}])
    assert [(one["language"], one["text"]) for one in store.descriptions.of("p")] == [
        ("en", "one"), ("zh", "二"),
    ]  # fmt: skip


def test_batch_files_describe_too(tmp_path: Path) -> None:
    common = ("describe", "--text", "red dress", "--llm-model", "m", "-o", "d.jsonl")
    done = tagmill(*common, "--batch-out", "requests.jsonl", cwd=tmp_path)
    assert "1 product waits" in done.err
    entry = json.loads((tmp_path / "requests.jsonl").read_text())
    assert entry["custom_id"].startswith("describe-")
    answer = {"sentences": [{"text": "It is a red dress.", "quote": "red dress"}]}
    body = {"choices": [{"message": {"content": json.dumps(answer)}, "finish_reason": "stop"}]}
    result = {"custom_id": entry["custom_id"], "response": {"status_code": 200, "body": body}}
    (tmp_path / "results.jsonl").write_text(json.dumps(result))
    tagmill(*common, "--batch-in", "results.jsonl", cwd=tmp_path)
    assert json.loads((tmp_path / "d.jsonl").read_text())["text"] == "It is a red dress."


def test_a_former_output_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text("former")
    with ChatServer(error(401, "who are you")).running() as url:
        refusal("describe", "--text", "red dress", "--llm-url", url, "--llm-model", "m",
                "-o", "d.jsonl", cwd=tmp_path)  # fmt: skip
    assert (tmp_path / "d.jsonl").read_text() == "former"
    assert not list(tmp_path.glob(".d.jsonl-*"))


def test_what_was_answered_before_a_stop_is_stored(tmp_path: Path) -> None:
    tagmill("init", tmp_path)
    file = tmp_path / "products.jsonl"
    lines = [json.dumps({"id": str(i), "title": f"red dress number {i}"}) for i in range(3)]
    file.write_text("\n".join(lines))
    tagmill("catalog", "import", file, "-w", tmp_path)
    answer = {"sentences": [{"text": "It is a red dress.", "quote": "red dress"}]}
    settings = tmp_path / "tagmill.toml"
    settings.write_text(settings.read_text().replace("[llm]", "[llm]\nmax_concurrency = 1"))
    with ChatServer(chat(json.dumps(answer)), error(401, "who are you")).running() as url:
        tagmill("describe", "--all", "--llm-url", url, "--llm-model", "m", "-w", tmp_path,
                cwd=tmp_path, code=1)  # fmt: skip
    with open_store(f"sqlite:///{tmp_path}/tagmill.db") as store:
        kept = [one["text"] for i in range(3) for one in store.descriptions.of(str(i))]
    assert kept == ["It is a red dress."]


def test_what_cannot_be_described(tmp_path: Path) -> None:
    assert "Say what to describe" in refusal("describe", cwd=tmp_path)
    assert "Say what to describe" in refusal("describe", "p", "--all", cwd=tmp_path)
    assert "Unknown --language 'fr'" in refusal("describe", "--text", "x", "--language", "fr")


def test_bad_rows_and_failed_products_are_named(tmp_path: Path) -> None:
    lines = [json.dumps({"id": "1", "title": "red dress"}), json.dumps({"id": "2"})]
    (tmp_path / "shop.jsonl").write_text("\n".join(lines) + "\n")
    common = ("describe", "--file", "shop.jsonl", "-o", "d.jsonl")
    done = tagmill(*common, "--llm-model", "scripted", cwd=tmp_path)
    assert "Could not be read: 1 row" in done.err
    assert "no title" in (tmp_path / "d.jsonl.rejects.jsonl").read_text()
    (tmp_path / "none.jsonl").write_text("")
    batch = ("--llm-model", "m", "--batch-in", "none.jsonl")
    done = tagmill(*common, *batch, cwd=tmp_path, code=1)
    assert "Failed and not described: 1 product." in done.err
    assert '"id": "1"' in (tmp_path / "d.jsonl.failed.jsonl").read_text()
