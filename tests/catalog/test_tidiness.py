"""A column found tidy is one that the repairs would leave as it is."""

from __future__ import annotations

import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagmill.catalog.tidiness import MARKED, UNEVEN, UNTRIMMED, flaws_of, on_one_line

_SPACES = [
    *map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA1), 0x1680, *range(0x2000, 0x200B)]),
    *"\u2028\u2029\u202f\u205f\u3000",
]


def flaws(*texts: str | None) -> int:
    return flaws_of(pa.array(texts, pa.string()))


def test_tidy_texts_have_no_flaw() -> None:
    assert flaws("red shoes", "纯棉连衣裙 夏季", "x", "é", "👟 a", "a\u00adb", "\u200b", "＜") == 0
    assert flaws() == 0


@pytest.mark.parametrize("space", _SPACES)
def test_any_white_space_and_control_character_is_found(space: str) -> None:
    assert flaws(f"a{space}b", "fine") & UNEVEN
    for text in (f"a{space}", f"{space}a", f"红{space}"):
        assert flaws("fine", text) & UNTRIMMED


def test_blanks() -> None:
    assert flaws("a b c") == 0
    assert flaws("a  b") == UNEVEN
    assert flaws(" a") == flaws("a ") == flaws(" ") == UNTRIMMED


def test_marks_and_missing_texts() -> None:
    assert flaws("a<b") == flaws("a&b") == MARKED
    assert flaws("a\0b") & MARKED
    assert flaws("a", None) == flaws("", "a") != 0


def test_every_character_of_the_basic_plane_is_judged_as_the_repairs_would() -> None:
    for code in range(0x10000):
        if 0xD800 <= code < 0xE000 or code == 0x20:
            continue
        character = chr(code)
        uneven = unicodedata.category(character) in {"Cc", "Zs", "Zl", "Zp"}
        expected = UNEVEN if uneven else 0
        assert flaws(f"a{character}b") & UNEVEN == expected, hex(code)


def test_slices_of_an_array_are_judged_by_themselves() -> None:
    texts = pa.array([" a", "b", "c "])
    assert flaws_of(texts.slice(1, 1)) == 0
    assert flaws_of(texts.slice(1, 2)) == UNTRIMMED


@settings(deadline=None)  # kernels are compiled first
@given(
    st.lists(st.none() | st.text(st.sampled_from([*_SPACES, *"aé红👟<"]), max_size=12), max_size=6)
)
def test_texts_on_one_line(texts: list[str | None]) -> None:
    column = pa.array(["before ", *texts], pa.string()).slice(1)
    found = on_one_line(column)
    found.validate(full=True)
    spaces = f"[{re.escape(''.join(_SPACES))}]+"
    assert found.to_pylist() == [re.sub(spaces, " ", text or "").strip(" ") for text in texts]
    assert flaws_of(found.filter(pc.not_equal(found, ""))) & (UNEVEN | UNTRIMMED) == 0
