"""What may leave: the field policy, redaction of what does, and offline."""

from pathlib import Path
from typing import Any

import pytest

from tagmill.errors import LanguageModelError, Offline, SettingsError
from tagmill.language.privacy import check_online, is_on_this_machine, what_may_leave
from tagmill.records import PRODUCT_SCHEMA
from tagmill.settings import PRODUCT_FIELDS, PrivacySettings, load_settings

PRODUCT: dict[str, Any] = {
    "id": "p-1",
    "title": "真丝围巾 加微信 13588889999",
    "description": "Call 415-555-0198 for a custom size",
    "category": "配饰>围巾",
    "attributes": [
        ("材质", "桑蚕丝"),
        ("材质", "羊毛"),
        ("供应商", "某某丝绸厂"),
        ("联系人", "王建国"),
        ("货号", "13812345678"),
        ("产地", None),
    ],
    "image": "https://example.com/1.jpg",
    "language": "zh-Hans",
    "tags": ["材质:真丝"],
    "cost": 12,
}


def leaving(**settings: bool | list[str]) -> dict[str, Any]:
    return what_may_leave(PRODUCT, PrivacySettings.model_validate(settings))[0]


def test_by_default_the_text_leaves_without_personal_data() -> None:
    sent, vault = what_may_leave(PRODUCT, PrivacySettings())
    assert set(sent) == {"title", "description", "category", "attributes"}
    assert sent["title"] == "真丝围巾 加微信 [PHONE_1]"
    assert sent["description"] == "Call [PHONE_2] for a custom size"
    assert ("联系人", "[NAME_1]") in sent["attributes"]
    assert vault.counts == {"phone": 2, "name": 1}
    assert vault.restore(sent["title"]) == PRODUCT["title"]
    assert [(n, v and vault.restore(v)) for n, v in sent["attributes"]] == PRODUCT["attributes"]


def test_the_name_of_an_attribute_says_what_its_value_is() -> None:
    attributes = dict(leaving()["attributes"])
    assert attributes["货号"] == "13812345678"  # an article number that looks like a mobile
    assert attributes["材质"] == "羊毛"


def test_only_listed_fields_leave() -> None:
    assert leaving(send=["title"], redact=False) == {"title": PRODUCT["title"]}
    assert "image" in leaving(send=["image"])
    assert leaving(send=["id", "language", "tags"]) == {
        "id": "p-1", "language": "zh-Hans", "tags": ["材质:真丝"],
    }  # fmt: skip
    assert leaving(send=[]) == {}


def test_never_wins_over_send() -> None:
    assert "title" not in leaving(never=["title"])
    assert "attributes" not in leaving(never=["attributes"])
    assert "attributes" not in leaving(send=["attributes.材质"], never=["attributes"])


def test_one_attribute_can_be_kept_or_sent() -> None:
    kept = leaving(never=["attributes.供应商", "attributes.联系人"])
    assert {name for name, _ in kept["attributes"]} == {"材质", "货号", "产地"}
    sent = leaving(send=["title", "attributes.材质"])
    assert sent["attributes"] == [("材质", "桑蚕丝"), ("材质", "羊毛")]


def test_an_attribute_is_kept_however_it_is_written() -> None:
    product = {"attributes": [(" Supplier", "A"), ("ＳＵＰＰＬＩＥＲ", "B"), ("size", "M")]}
    sent, _ = what_may_leave(product, PrivacySettings(never=["attributes.supplier"]))
    assert sent["attributes"] == [("size", "M")]


def test_without_redaction_the_text_is_as_it_was() -> None:
    sent, vault = what_may_leave(PRODUCT, PrivacySettings(redact=False))
    assert sent["title"] == PRODUCT["title"]
    assert vault.counts == {}
    assert vault.restore("[PHONE_1]") == "[PHONE_1]"


def test_fields_without_a_value_stay_without() -> None:
    sent, _ = what_may_leave({"title": "x", "description": None, "attributes": None},
                             PrivacySettings())  # fmt: skip
    assert sent == {"title": "x", "description": None, "attributes": []}


def test_the_settings_know_the_fields_of_a_product() -> None:
    assert list(PRODUCT_FIELDS) == PRODUCT_SCHEMA.names


@pytest.mark.parametrize(
    ("key", "entry", "says"),
    [
        ("send", "titel", "Did you mean 'title'"),
        ("never", "attribute", "Did you mean 'attributes'"),
        ("never", "供应商", "attributes.供应商"),
        ("send", "attributes.", "no field"),
        ("send", "title.x", "no field"),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest(
    tmp_path: Path, key: str, entry: str, says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        PrivacySettings(**{key: [entry]})
    (tmp_path / "tagmill.toml").write_text(f'[privacy]\n{key} = ["{entry}"]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"tagmill\.toml.*privacy\." + key):
        load_settings(tmp_path)


def test_the_section_is_read_from_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tagmill.toml").write_text(
        '[privacy]\nnever = ["attributes.供应商"]\noffline = true\n', encoding="utf-8"
    )
    monkeypatch.setenv("TAGMILL_PRIVACY__SEND", "title, category")
    assert load_settings(tmp_path).privacy == PrivacySettings(
        send=("title", "category"), never=("attributes.供应商",), offline=True
    )
    monkeypatch.setenv("TAGMILL_PRIVACY__SEND", "titel")
    with pytest.raises(SettingsError, match="^TAGMILL_PRIVACY__SEND: .*Did you mean 'title'"):
        load_settings(tmp_path)


LOCAL = """
http://localhost:11434/v1
http://LOCALHOST/v1
http://127.0.0.1:8000
https://127.8.9.10/v1
http://[::1]:8080/v1
http://[::ffff:127.0.0.1]/v1
http://user:key@localhost:1/v1
unix:///run/model.sock
http+unix://%2Frun%2Fmodel.sock/v1
""".split()
REMOTE = [
    *"""
https://api.openai.com/v1
http://192.168.1.5:8000/v1
http://10.0.0.2
http://[2001:db8::1]/v1
http://localhost.evil.example/v1
http://127.0.0.1.evil.example
http://127.0.0.1@evil.example/
http://evil.example#@127.0.0.1/
http://evil.example?@localhost/
http://evil.example\\@127.0.0.1/
http://evil.example/localhost
http://128.0.0.1
http://0.0.0.0:8000
http://[::1
ftp://localhost/x
localhost:8000
//localhost
""".split(),
    "",
    "http://localhost\n.evil.example",
]


@pytest.mark.parametrize("url", LOCAL)
def test_a_model_on_this_machine_may_be_asked_offline(url: str) -> None:
    assert is_on_this_machine(url)
    check_online(PrivacySettings(offline=True), url)


@pytest.mark.parametrize("url", REMOTE)
def test_offline_refuses_every_other_machine(url: str) -> None:
    check_online(PrivacySettings(), url)
    with pytest.raises(Offline, match="privacy.offline") as caught:
        check_online(PrivacySettings(offline=True), url, "qwen")
    assert isinstance(caught.value, LanguageModelError)
    assert caught.value.model == "qwen"
