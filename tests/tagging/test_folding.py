import random

import numpy as np
import pytest

from tagmill.tagging.folding import characters, fold_text
from tagmill.text import fold

WORDS = (
    "Ties berries hoodies PIE boxes Dresses wishes bus shorts knives TVs 4xs 5.3 1.2.3mm 3. lens "
    "women's boys’ James'S x's_ cañons ﬁnes İs ſs Straße ｓｈｏｅｓ ５．３ ㎏s ½ ﷺ Ⅻ "
    "紅色 高領毛衣 カメラ ｶﾞ 々 〇 ㄅ 𠮷野家 𱍐s 𲎯 😀s 👩‍👩‍👧 𝐁ags ก็ é é ・ ゛ _ ' ’ . \u00ad \n"
).split(" ")


def folded(text: str) -> tuple[str, list[int], list[int]]:
    data = np.frombuffer(text.encode(), np.uint8).copy()
    passage, _ = fold_text(data, 0, len(data), characters())
    points = "".join(map(chr, passage["point"][:-1]))
    return points, passage["start"][:-1].tolist(), passage["end"][:-1].tolist()


def expected(text: str) -> tuple[str, list[int], list[int]]:
    result = fold(text)
    return result.text, list(result.starts), list(result.ends)


@pytest.mark.parametrize("text", ["", " ", "s", "'s", *WORDS, " ".join(WORDS), "".join(WORDS)])
def test_the_kernel_folds_as_fold_does(text: str) -> None:
    assert folded(text) == expected(text)


def test_the_kernel_folds_every_character_and_any_mixture_as_fold_does() -> None:
    points = [c for c in range(0x32400) if not 0xD800 <= c < 0xE000]
    for first in range(0, len(points), 500):
        text = "s x".join(map(chr, points[first : first + 500]))
        assert folded(text) == expected(text), hex(points[first])
    chooser = random.Random(0)
    for _ in range(2000):
        pieces = chooser.choices([*WORDS, *" '’._s🙂", chr(chooser.choice(points))], k=9)
        text = chooser.choice(["", " "]).join(pieces)
        assert folded(text) == expected(text), text
