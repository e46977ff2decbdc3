"""Three profiles ship, each with its library; one's own is a folder, and what is wrong is named."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from tagmill.errors import SettingsError
from tagmill.language.client import Request
from tagmill.language.profiles import open_profile, profile_folder, shipped_profiles
from tagmill.language.prompts import load_prompt, write_product
from tagmill.language.scripted import ScriptedModel
from tagmill.library import starter_library
from tagmill.tagging.folder import starter_model

CHINESE = re.compile("[\u3400-\u9fff]")
TOML = """\
[row]
zh = "工单"
en = "ticket"
[fields]
title = { zh = "主题", en = "Subject" }
[facets]
"原因" = { zh = "原因", en = "Cause" }
"""


def own(folder: Path, text: str = TOML) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "profile.toml").write_text(text, encoding="utf-8")
    return folder


def test_three_profiles_ship() -> None:
    assert shipped_profiles() == ["article", "product", "reply"]
    for name in shipped_profiles():
        profile = open_profile(name)
        assert profile.name == name
        assert set(profile.facets) == set(starter_library(profile).facets)
        for facet in starter_library(profile).facets.values():
            assert facet.names["en"] == profile.facets[facet.key]["en"]
        for names in (profile.row, *profile.fields.values(), *profile.facets.values()):
            assert CHINESE.search(names["zh"])
            assert not CHINESE.search(names["en"])


@pytest.mark.parametrize("name", ["article", "reply"])
def test_the_libraries_are_bilingual_and_name_nothing_twice(name: str) -> None:
    library = starter_library(open_profile(name))
    for tag in library.active():
        assert CHINESE.search(tag.name), tag
        assert tag.names["en"].strip(), tag
        assert not CHINESE.search(tag.names["en"]), tag
        spellings = [library.form(text) for text in (tag.name, *tag.aliases)]
        assert len(spellings) == len(set(spellings)), tag
        facet = library.facets[tag.facet].names["en"]
        assert library.find(f"{facet}:{tag.names['en']}") == tag
        for alias in tag.aliases:
            assert library.find(f"{tag.facet}:{alias}") == tag


def test_the_sizes_are_worth_the_name() -> None:
    counts: dict[str, int] = {}
    for name in ("article", "reply"):
        for tag in starter_library(open_profile(name)).active():
            key = f"{name} {tag.facet}"
            counts[key] = counts.get(key, 0) + 1
    assert counts["article 主题"] >= 20
    assert "article 实体" not in counts  # open: only names of the user's own
    assert all(count >= 9 for count in counts.values())
    assert len(counts) == 6


@pytest.mark.parametrize(
    ("profile", "title", "description", "tags"),
    [
        ("article", "央行下调存款准备金率，A股三大股指上涨", "记者获悉，今天起执行。",
         {"主题:金融", "主题:股市", "语气:客观报道"}),
        ("article", "一文读懂碳中和：气候变化与你有关", None, {"主题:气候变化", "语气:科普"}),
        ("article", "Supreme Court rules on social media lawsuit", "In my view it is late.",
         {"Topic:Law & Courts", "Topic:Internet", "Tone:Opinion Piece"}),
        ("article", "今天随便说说", None, set()),
        ("reply", "明天早上七点叫我起床", "好的，已为您设置明天早上七点的闹钟。",
         {"领域:闹钟提醒", "意图:设闹钟", "后续:已完成"}),
        ("reply", "我今天心情不好", "别难过，会好起来的。", {"意图:倾诉", "语气:安慰"}),
        ("reply", "放一首歌", "抱歉，暂时无法播放，请先登录。",
         {"领域:音乐", "意图:播放", "语气:道歉", "后续:未能完成", "后续:需要授权登录"}),
        ("reply", "Turn off the living room light", "The living room light is now off.",
         {"Domain:Smart Home", "Intent:Turn Off", "Follow-up:Completed"}),
        ("reply", "What's the weather?", "Sorry, for which city?",
         {"Domain:Weather", "Intent:Look Up", "Tone:Apologetic", "Follow-up:Needs Information"}),
    ],
)  # fmt: skip
def test_the_lexicon_alone_tags_in_both_languages(
    profile: str, title: str, description: str | None, tags: set[str]
) -> None:
    model = starter_model(open_profile(profile))
    (line,) = model.tag([{"id": "1", "title": title, "description": description}])
    assert {f"{tag['facet']}:{tag['name']}" for tag in line["tags"]} == tags
    assert all(tag["evidence"] and tag["calibration"] == "prior" for tag in line["tags"])


@pytest.mark.parametrize("name", ["article", "reply"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_stand_in_answers_every_profile(name: str, language: str) -> None:
    profile = open_profile(name)
    row = {"title": "天气 weather", "description": "晴 sunny"}
    written = write_product(row, language, profile)

    def ask(stage: str, **values: str) -> str:
        messages = load_prompt(profile, stage, language).messages(product=written, **values)
        return asyncio.run(ScriptedModel().ask(Request(messages, 100))).text

    offered = ask("propose", candidates="1. 领域:天气\n2. Domain:weather\n3. x:正文")
    assert [tag["number"] for tag in json.loads(offered)["tags"]] == [1, 2]
    assert ask("verify", tag="Domain:Weather") in ("是", "yes")
    fixed = {"language": "x", "channel": "x", "season": "x", "neighbours": "x"}
    sentences = json.loads(ask("describe", **fixed))["sentences"]
    assert [sentence["quote"] for sentence in sentences] == ["天气 weather", "晴 sunny"]


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    profile = open_profile(own(tmp_path / "tickets"))
    assert (profile.name, profile.row["zh"], profile.library) == ("tickets", "工单", None)
    assert profile.facet_names("en") == "Cause"
    assert write_product({"title": "Broken", "category": "unused"}, "en", profile) == (
        "<product>\nSubject: Broken\n</product>"
    )
    (tmp_path / "tickets" / "tags.csv").write_text("facet,name\n原因,缺货\n", encoding="utf-8")
    profile = open_profile(own(tmp_path / "tickets", 'library = "tags.csv"\n' + TOML))
    library = starter_library(profile)
    assert [tag.text for tag in library.active()] == ["原因:缺货"]
    assert (
        library.find("Cause:缺货") is not None
    )  # the file does not name the facet, the profile does
    profile = open_profile(own(tmp_path / "tickets", 'library = "reply"\n' + TOML))
    assert profile.library == open_profile("reply").library
    assert profile_folder("tickets", tmp_path) == tmp_path / "tickets"
    assert profile_folder("reply", tmp_path) == open_profile("reply").folder


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[row]", "[row", "is not valid TOML"),
        ("title =", "titel =", "unknown field 'titel'. Did you mean 'title'"),
        ("title =", "image =", "unknown field 'image'. Known: title, description"),
        ("[facets]", "[facetts]", "unknown key 'facetts'. Did you mean 'facets'"),
        ('title = { zh = "主题", en = "Subject" }', "", "names no field"),
        ('en = "Subject"', 'en = ""', "fields.title has no name in 'en'"),
        ('en = "ticket"', "", "row has no name in 'en'"),
        ('en = "Cause"', 'en = "Cause", fr = "Cause"', "unknown language of facets.原因 'fr'"),
        ('"原因" =', '"原:因" =', "a facet cannot be called '原:因'"),
        ("[row]", 'library = "tags.csv"\n[row]', "library is 'tags.csv', which is no CSV file"),
        ("[row]", "library = 3\n[row]", "library is 3"),
        ("[row]", 'name = ""\n[row]', "name is ''"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in TOML
    with pytest.raises(SettingsError, match=rf"profile\.toml.*{re.escape(said)}"):
        open_profile(own(tmp_path, TOML.replace(before, after)))


def test_what_is_no_profile_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Did you mean 'article'\? Shipped: article, product"):
        open_profile("artikel")
    with pytest.raises(SettingsError, match="is missing. Copy it from .*product"):
        open_profile(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="is no profile"):
        open_profile(tmp_path / "file")
