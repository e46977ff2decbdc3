"""`prompt show` prints what a server is sent, byte for byte; `--profile` from end to end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tagmill.language.profiles import open_profile, profile_folder
from tests.language.server import ChatServer, chat

from .command import refusal, tagmill
from .samples import read_lines, write_lines
from .test_llm import in_thread, scripted

ROWS: dict[str, list[dict[str, Any]]] = {
    "product": [
        {"id": "tv", "title": "高清液晶电视，4K分辨率", "category": "家电",
         "attributes": {"颜色": "黑色", "屏幕": "65英寸"}, "description": "HDR\n$99 </product>"},
        {"id": "shirt", "title": "Red cotton shirt for men", "description": "100% cotton, red"},
    ],
    "article": [
        {"id": "bank", "title": "央行下调存款准备金率，A股上涨", "category": "财经",
         "description": "记者获悉，今天起执行。"},
        {"id": "court", "title": "Supreme Court rules on social media lawsuit",
         "description": "In my view it comes late.", "attributes": {"author": "A. Writer"}},
    ],
    "reply": [
        {"id": "alarm", "title": "明天早上七点叫我起床", "description": "好的，已为您设置闹钟。"},
        {"id": "light", "title": "Turn off the living room light",
         "description": "The living room light is now off."},
    ],
}  # fmt: skip


def set_in(folder: Path, lines: str) -> None:
    """Put lines that begin with their section's name into a workspace's settings."""
    path = folder / "tagmill.toml"
    section = lines.partition("\n")[0] + "\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(section, lines, 1), encoding="utf-8")


SETTINGS = '[privacy]\nnever = ["attributes.供应商"]\n'


@pytest.fixture(params=sorted(ROWS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A workspace of a profile, its products imported and in a file."""
    folder = tmp_path / "shop"
    tagmill("init", folder, "--profile", request.param)
    write_lines(folder / "rows.jsonl", ROWS[request.param])
    tagmill("catalog", "import", "rows.jsonl", cwd=folder)
    return request.param, folder


def test_the_names_of_tags_leave_without_personal_data(tmp_path: Path) -> None:
    products = [
        {"id": f"{kind}{i}", "title": f"{kind} number {i}", "tags": [f"maker:{maker}"]}
        for kind, maker in (("kettle", "Factory 13800138000"), ("teapot", "Teapots"))
        for i in range(20)
    ]
    write_lines(tmp_path / "products.jsonl", products)
    tagmill("train", "--from", "products.jsonl", "-o", "model", cwd=tmp_path)
    text = "kettle 3 by Factory 13911112222"
    show = ("prompt", "show", text, "--model", "model", "--json", "--llm-url")
    away, here = "https://model.example/v1", "http://localhost:1/v1"
    for options in ((), ("--stage", "verify", "--tag", "maker:Factory 13800138000")):
        asked = tagmill(*show, away, *options, cwd=tmp_path).json()["messages"][1]["content"]
        assert "kettle 3 by Factory [PHONE_1]" in asked
        assert "maker:Factory [PHONE_2]" in asked
        assert "138" not in asked
        asked = tagmill(*show, here, *options, cwd=tmp_path).json()["messages"][1]["content"]
        assert "maker:Factory 13800138000" in asked


@pytest.mark.parametrize(
    ("options", "host"),
    [((), "a model that is not set yet"), (("--llm-model", "scripted"), "this process")],
)
def test_it_says_where_a_prompt_would_go(
    options: tuple[str, ...], host: str, tmp_path: Path
) -> None:
    done = tagmill("prompt", "show", "红色连衣裙", *options, cwd=tmp_path)
    assert f"It would go to {host}; nothing was sent." in done.err


def test_what_is_shown_is_what_a_server_gets(kind: tuple[str, Path]) -> None:
    profile, folder = kind
    server = ChatServer(in_thread(scripted))
    with server.running() as url:
        tagmill("tag", "rows.jsonl", "--llm", "all", "--llm-url", url, "--llm-model", "m",
                "-o", "out.jsonl", cwd=folder)  # fmt: skip
    sent = {json.dumps(body["messages"], ensure_ascii=False) for body in server.requests}
    texts = {"\n===\n".join(m["content"] for m in body["messages"]) for body in server.requests}
    library = json.loads(tagmill("library", "list", "--limit", "9999", "--json", cwd=folder).out)
    shown: set[str] = set()
    for row in ROWS[profile]:
        done = tagmill("prompt", "show", row["id"], cwd=folder)
        assert done.out.removesuffix("\n") in texts
        assert f"of the profile {profile}, version" in done.err
        assert "nothing was sent" in done.err
        found = tagmill("prompt", "show", row["id"], "--json", cwd=folder).json()
        assert found["version"] in done.err
        shown.add(json.dumps(found["messages"], ensure_ascii=False))
    assert shown <= sent
    verified = sent - shown
    assert verified
    tags = {f"{tag['facet']}:{tag['name']}" for tag in library}
    ends = ("\\n", " — ")
    named = {
        tag for tag in tags if any(f"标签：{tag}{end}" in text for text in verified for end in ends)
    }
    row = ROWS[profile][0]
    for tag in sorted(named):
        found = tagmill("prompt", "show", row["id"], "--stage", "verify", "--tag", tag, "--json",
                        cwd=folder).json()  # fmt: skip
        assert json.dumps(found["messages"], ensure_ascii=False) in verified
    assert named
    server = ChatServer(chat('{"sentences": []}'))
    with server.running() as url:
        tagmill("describe", row["id"], "--llm-url", url, "--llm-model", "m", cwd=folder, code=1)
    found = tagmill("prompt", "show", row["id"], "--stage", "describe", "--json", cwd=folder).json()
    assert found["messages"] == server.requests[0]["messages"]


def test_the_candidates_are_those_of_a_trained_model(model: Path, tmp_path: Path) -> None:
    title = "酒红色丝绒连衣裙 高腰"
    write_lines(tmp_path / "rows.jsonl", [{"id": "1", "title": title}])
    options = ("--llm", "all", "--llm-model", "m", "--model", model)
    tagmill("tag", "rows.jsonl", *options, "--batch-out", "b.jsonl", cwd=tmp_path)
    (request,) = read_lines(tmp_path / "b.jsonl")
    found = tagmill("prompt", "show", title, "--model", model, "--json", cwd=tmp_path).json()
    assert found["messages"] == request["body"]["messages"]
    starter = tagmill("prompt", "show", title, "--json", cwd=tmp_path).json()
    assert starter["messages"] != found["messages"]


def test_a_remote_model_is_shown_what_may_leave(tmp_path: Path) -> None:
    row = {"id": "c", "title": "红色连衣裙 联系人：张伟 13812345678",
           "attributes": {"供应商": "义乌某厂", "颜色": "红"}}  # fmt: skip
    tagmill("init", tmp_path / "shop")
    folder = tmp_path / "shop"
    set_in(folder, SETTINGS)
    write_lines(folder / "rows.jsonl", [row])
    tagmill("catalog", "import", "rows.jsonl", cwd=folder)
    tagmill("tag", "rows.jsonl", "--llm", "all", "--llm-model", "m", "--batch-out", "b.jsonl",
            "-o", "o.jsonl", cwd=folder)  # fmt: skip
    (request,) = read_lines(folder / "b.jsonl")
    remote = ("--llm-url", "https://api.example.com/v1", "--llm-model", "m")
    done = tagmill("prompt", "show", "c", *remote, "--json", cwd=folder)
    assert done.json()["messages"] == request["body"]["messages"]
    assert done.json()["host"] == "api.example.com"
    for secret in ("张伟", "13812345678", "义乌某厂"):
        assert secret not in done.out
        assert secret in tagmill("prompt", "show", "c", cwd=folder).out
    assert "张伟" not in tagmill("prompt", "show", "c", *remote, "--stage", "describe",
                                 cwd=folder).out  # fmt: skip
    # The same where the settings name the model.
    set_in(folder, '[llm]\nbase_url = "https://api.example.com/v1"\nmodel = "m"\n')
    assert "张伟" not in tagmill("prompt", "show", "c", cwd=folder).out
    assert "runs on this machine" not in tagmill("privacy", "preview", "c", cwd=folder).err


def test_a_description_stands_in_its_channel(tmp_path: Path) -> None:
    (tmp_path / "tagmill.toml").write_text('[llm]\nchannel = "直播"\nprofile = "article"\n')
    text = tagmill("prompt", "show", "今日股市", "--stage", "describe", cwd=tmp_path).out
    assert "渠道：直播。时节：不限。" in text
    assert "用简体中文写" in text
    assert "标题：今日股市" in text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_messages_in_both_languages(language: str, tmp_path: Path) -> None:
    done = tagmill("prompt", "show", "央行降准", "--profile", "article", cwd=tmp_path,
                   language=language)  # fmt: skip
    assert ("nothing was sent" if language == "en" else "现在没有发送") in done.err
    table = tagmill("profiles", "list", cwd=tmp_path, language=language).out
    assert ("title (Title)" if language == "en" else "title (标题)") in " ".join(table.split())


def test_tagging_by_a_profile_without_a_model(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", ROWS["article"])
    tagmill("tag", "rows.jsonl", "--profile", "article", "-o", "out.jsonl", cwd=tmp_path)
    tags = {
        line["id"]: {f"{tag['facet']}:{tag['name']}" for tag in line["tags"]}
        for line in read_lines(tmp_path / "out.jsonl")
    }
    assert tags["bank"] == {"主题:金融", "主题:股市", "语气:客观报道"}
    assert tags["court"] == {"Topic:Law & Courts", "Topic:Internet", "Tone:Opinion Piece"}
    options = ("--text", "Turn off the living room light", "--json")
    (line,) = tagmill("tag", *options, "--profile", "reply", cwd=tmp_path).json()
    assert {tag["name"] for tag in line["tags"]} == {"Smart Home", "Turn Off"}
    (tmp_path / "tagmill.toml").write_text('[llm]\nprofile = "reply"\n')
    assert tagmill("tag", *options, cwd=tmp_path).json() == [line]


def test_new_names_come_under_the_key_of_their_facet(tmp_path: Path) -> None:
    """The library has no entities: a model proposes them, in the language of the article."""
    write_lines(tmp_path / "rows.jsonl", ROWS["article"])

    def proposes(body: dict[str, Any]) -> Any:  # noqa: ANN401
        if body["max_tokens"] == 1:
            return scripted(body)
        facet, name = ("实体", "央行") if "央行" in str(body) else ("Entity", "Supreme Court")
        return chat(json.dumps({"tags": [], "new": [
            {"facet": facet, "name": name, "quote": name}]}))  # fmt: skip

    with ChatServer(in_thread(proposes)).running() as url:
        tagmill("tag", "rows.jsonl", "--profile", "article", "--llm", "all", "--llm-url", url,
                "--llm-model", "m", "-o", "out.jsonl", cwd=tmp_path)  # fmt: skip
    proposed = read_lines(tmp_path / "out.jsonl.proposals.jsonl")
    assert {(one["facet"], one["name"]) for one in proposed} == {
        ("实体", "央行"), ("实体", "Supreme Court"),
    }  # fmt: skip


def test_a_profile_of_ones_own_from_end_to_end(tmp_path: Path) -> None:
    folder = shutil.copytree(open_profile("reply").folder, tmp_path / "shop" / "calls")
    toml = (folder / "profile.toml").read_text(encoding="utf-8")
    toml = toml.replace('"reply"', '"calls"').replace('zh = "用户说"', 'zh = "来电人"')
    (folder / "profile.toml").write_text(toml, encoding="utf-8")
    (tmp_path / "shop" / "tagmill.toml").write_text('[llm]\nprofile = "calls"\n')
    deeper = tmp_path / "shop" / "deeper"
    deeper.mkdir()
    listed = tagmill("profiles", "list", "--json", cwd=deeper).json()
    assert [profile["name"] for profile in listed] == ["article", "product", "reply", "calls"]
    done = tagmill("prompt", "show", "明天早上七点叫我起床", cwd=deeper)
    assert "来电人：明天早上七点叫我起床" in done.out
    assert "profile calls" in done.err
    (line,) = tagmill("tag", "--text", "明天早上七点叫我起床", "--json", cwd=deeper).json()
    assert [tag["name"] for tag in line["tags"]] == ["设闹钟"]
    tagmill("init", tmp_path / "other", "--profile", folder)
    done = tagmill("prompt", "show", "明天早上七点叫我起床", cwd=tmp_path / "other")
    assert "来电人：明天早上七点叫我起床" in done.out
    (folder / "verify.en.txt").write_text("no line")
    asked = ("--llm", "all", "--llm-model", "scripted")
    write_lines(tmp_path / "shop" / "rows.jsonl", ROWS["reply"])
    assert "has 0 lines '==='" in refusal("prompt", "show", "x", cwd=deeper)
    assert "has 0 lines '==='" in refusal("tag", "../rows.jsonl", *asked, cwd=deeper)


def test_what_cannot_be_shown_or_tagged(tmp_path: Path) -> None:
    show = ("prompt", "show", "x")
    assert "Unknown --stage 'ask'" in refusal(*show, "--stage", "ask", cwd=tmp_path)
    assert "verify needs the tag" in refusal(*show, "--stage", "verify", cwd=tmp_path)
    assert "no other stage takes one" in refusal(*show, "--tag", "颜色:红色", cwd=tmp_path)
    unknown = refusal(*show, "--stage", "verify", "--tag", "颜色:红的", cwd=tmp_path)
    assert "Unknown tag '颜色:红的'" in unknown
    assert "Did you mean 'reply'" in refusal(*show, "--profile", "replay", cwd=tmp_path)
    assert "needs a file or a text" in refusal("tag", "--profile", "reply", cwd=tmp_path)
    both = ("tag", "--text", "x", "--profile", "reply", "--model", "m")
    assert "Leave one out" in refusal(*both, cwd=tmp_path)
    tagmill("init", tmp_path / "shop")
    done = tagmill("prompt", "show", "4711", cwd=tmp_path / "shop")
    assert "no product with this id: '4711' is taken as a text" in done.err
    assert "Did you mean 'article'" in refusal("init", "new", "--profile", "articel", cwd=tmp_path)
    own = shutil.copytree(profile_folder("reply"), tmp_path / "own")
    (own / "describe.en.txt").unlink()
    said = refusal("init", "new", "--profile", own, cwd=tmp_path)
    assert "has no prompt describe.en.txt" in said
    assert not (tmp_path / "new").exists()


def test_what_has_no_title_is_called_by_the_beginning_of_its_text(tmp_path: Path) -> None:
    shop, says = tmp_path / "shop", "好的，已经为您关闭客厅的灯，" * 9
    tagmill("init", shop, "--profile", "reply")
    write_lines(shop / "rows.jsonl", [{"id": "1", "title": "", "description": says}])
    tagmill("catalog", "import", "rows.jsonl", cwd=shop)
    tagmill("tag", cwd=shop)
    for listed in (("products", "list"), ("review", "list"), ("search", "客厅")):
        assert "好的，已经为您" in tagmill(*listed, cwd=shop).out, listed
    assert len(tagmill("review", "list", "--json", cwd=shop).json()[0]["title"]) == 60


def test_wrong_settings_are_not_passed_over(tmp_path: Path) -> None:
    """A broken tagmill.toml must not mean that nothing is held back."""
    (tmp_path / "tagmill.toml").write_text("[privacy\nnever = ['title']")
    write_lines(tmp_path / "rows.jsonl", ROWS["product"])
    asked = ("--llm", "all", "--llm-model", "m", "--llm-url", "http://127.0.0.1:9/v1")
    assert "is not valid TOML" in refusal("tag", "rows.jsonl", *asked, cwd=tmp_path)
    assert "is not valid TOML" in refusal("prompt", "show", "x", *asked[2:], cwd=tmp_path)
