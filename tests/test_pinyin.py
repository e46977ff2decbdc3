from __future__ import annotations

import pytest

from tagmill.pinyin import pinyin, same_sound


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("连衣裙", "lianyiqun"), ("冰箱", "bingxiang"), ("女装", "nvzhuang"), ("绿茶", "lvcha"),
        ("旅行箱", "lvxingxiang"), ("4K电视", "4kdianshi"), ("座", "zuo"), ("虐", "nve"),
        ("掠", "lve"), ("乱", "luan"), ("暖", "nuan"), ("啊", "a"), ("ins 风", "insfeng"),
        ("龘", None), ("", ""),
    ],
)  # fmt: skip
def test_how_a_name_sounds(text: str, sound: str | None) -> None:
    assert pinyin(text) == sound


def test_what_sounds_alike() -> None:
    assert set("箱相香") <= set(same_sound("厢"))
    assert "厢" not in same_sound("厢")
    assert same_sound("龘") == same_sound("x") == ""
