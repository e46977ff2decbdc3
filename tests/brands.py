"""A small bilingual catalogue whose brands stand in titles, most of them on few products."""

import random
from typing import Any

import pyarrow as pa

from tagmill.catalog.memory import products_to_batch

_STARTS = "Zo Ka Ve Lu Mi Ra Te No Pa Xi Do Bel Gra Hu Sol".split()
_ENDS = "rvex lano tika mond bria quen sta fero dell nix pora zell".split()
_FIRST = "海鸿德博朗亿凯晨锐星宇泰格雅"
_SECOND = "澜岳致睿图腾恩讯达威翔诺佳"
_COLOURS = {"red": "红色", "blue": "蓝色", "green": "绿色", "black": "黑色"}
_KINDS = {"kettle": "电水壶", "lamp": "台灯", "fan": "风扇", "heater": "取暖器"}
_POWERS = ("300W", "450W", "800W", "1200W", "1500W")


def english_brands() -> list[str]:
    return [start + end for start in _STARTS for end in _ENDS]


def chinese_brands() -> list[str]:
    return [first + second for first in _FIRST for second in _SECOND]


def branded_products(size: int, seed: int = 0) -> list[dict[str, Any]]:
    """Tagged with brand, colour and kind; of the last twelfth of the brands there is none."""
    rng = random.Random(seed)
    english, chinese = english_brands(), chinese_brands()
    products = []
    for number in range(size):
        colour, kind = rng.choice(list(_COLOURS)), rng.choice(list(_KINDS))
        power = rng.choice(_POWERS)
        if number % 2:
            brand = rng.choice(english[: -len(english) // 12])
            title = (
                f"{brand} {colour} {rng.choice(['electric', 'compact', 'quiet'])} {kind} {power}"
            )
            tags = [f"Brand:{brand}", f"Colour:{colour}", f"Kind:{kind}"]
        else:
            brand = rng.choice(chinese[: -len(chinese) // 12])
            words = _COLOURS[colour], rng.choice(["家用", "静音", "迷你"]), _KINDS[kind]
            title = f"{brand}{''.join(words)}{power}"
            tags = [f"Brand:{brand}", f"Colour:{words[0]}", f"Kind:{words[2]}"]
        products.append({"id": f"p{number}", "title": title, "tags": tags})
    return products


def branded_batch(size: int, seed: int = 0) -> pa.RecordBatch:
    return products_to_batch(branded_products(size, seed))
