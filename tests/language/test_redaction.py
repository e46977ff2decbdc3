"""Personal data in catalogue text: what is found, what is left alone, and the way back.

The cases stand in `personal_data.zh.txt` and `personal_data.en.txt`, written as merchants write;
half of them hold nothing to find.
"""

import itertools
import random
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tagmill.language.personal_numbers import is_bank_card, is_id_card
from tagmill.language.redaction import KINDS, Span, Vault, find_personal_data, legible, redact

_MARK = re.compile(r"\{(\w+):([^}]*)\}")
CASES = {
    language: [
        line
        for line in (Path(__file__).parent / f"personal_data.{language}.txt")
        .read_text(encoding="utf-8")
        .splitlines()
        if line and not line.startswith("# ")
    ]
    for language in ("zh", "en")
}
TEXTS = [_MARK.sub(r"\2", line) for lines in CASES.values() for line in lines]


def parse(line: str) -> tuple[str, list[Span]]:
    """The text of a case and the spans that its marks stand for."""
    text = ""
    spans = []
    for place, part in enumerate(re.split(r"(\{\w+:[^}]*\})", line)):
        mark = _MARK.fullmatch(part) if place % 2 else None
        if mark:
            spans.append(Span(len(text), len(text) + len(mark[2]), mark[1]))
        text += mark[2] if mark else part
    return text, spans


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find_personal_data(text)]


def test_the_cases_are_many_and_of_all_kinds() -> None:
    marked = Counter(kind for lines in CASES.values() for kind, _ in _MARK.findall("".join(lines)))
    assert set(marked) == set(KINDS)
    for lines in CASES.values():
        nothing = sum(not _MARK.search(line) for line in lines)
        assert len(lines) > 150
        assert 0.35 < nothing / len(lines) < 0.65


def test_recall_and_precision(capsys: pytest.CaptureFixture[str]) -> None:
    """A span counts when its kind and both its ends are right."""
    got: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    wrong: list[str] = []
    for language, lines in CASES.items():
        for line in lines:
            text, spans = parse(line)
            answer = find_personal_data(text)
            for counter, counted in (
                (wanted, spans),
                (got, answer),
                (right, set(spans) & {*answer}),
            ):
                for span in counted:
                    counter.update([span.kind, language, "all"])
            if spans != answer:
                wrong.append(f"{line}\n    {found(text)}")
    rows = [f"\n{sum(map(len, CASES.values()))} texts    wanted  found  recall  precision"]
    for name in (*KINDS, *CASES, "all"):
        recall, precision = right[name] / wanted[name], right[name] / got[name]
        rows.append(
            f"{name:<12} {wanted[name]:>6} {got[name]:>6} {recall:>7.3f} {precision:>10.3f}"
        )
    with capsys.disabled():
        print("\n".join([*rows, *wrong]))
    for language in CASES:
        assert right[language] / wanted[language] >= 0.97
        assert right[language] / got[language] >= 0.97


ID_WEIGHTS = [2 ** (17 - place) % 11 for place in range(17)]


def random_id_card(rng: random.Random) -> str:
    region = rng.choice(["110105", "310115", "440305", "510107", "650102", "330106"])
    birthday = f"{rng.randint(1930, 2020)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    digits = f"{region}{birthday}{rng.randint(0, 999):03}"
    total = sum(int(digit) * weight for digit, weight in zip(digits, ID_WEIGHTS, strict=True))
    return digits + "10X98765432"[total % 11]


def luhn_digit(digits: str) -> str:
    doubled = [int(digit) * 2 for digit in digits[::-1][::2]]
    total = sum(map(int, digits[::-1][1::2])) + sum(n // 10 + n % 10 for n in doubled)
    return str(-total % 10)


def test_only_the_right_check_digit_makes_an_identity_card() -> None:
    rng = random.Random(7)
    for _ in range(300):
        number = random_id_card(rng)
        assert is_id_card(number)
        assert found(f"登记 {number}，谢谢") == [("id_card", number)]
        wrong = rng.choice([digit for digit in "0123456789X" if digit != number[17]])
        assert not is_id_card(number[:17] + wrong)
        assert ("id_card", number[:17] + wrong) not in found(f"流水 {number[:17]}{wrong}")
        # After 身份证 a mistyped one is still somebody's.
        assert found(f"身份证号 {number[:17]}{wrong}") == [("id_card", number[:17] + wrong)]


@pytest.mark.parametrize(
    "number",
    ["11010519490230002X", "110105194913310025", "990105194912310023", "110105189912310020"],
)
def test_no_such_day_or_region_is_no_identity_card(number: str) -> None:
    digits = number[:17]
    total = sum(int(digit) * weight for digit, weight in zip(digits, ID_WEIGHTS, strict=True))
    assert not is_id_card(digits + "10X98765432"[total % 11])


def test_only_the_right_check_digit_makes_a_bank_card() -> None:
    rng = random.Random(11)
    for _ in range(300):
        prefix, length = rng.choice([("62", 16), ("62", 19), ("4", 16), ("53", 16), ("37", 15)])
        body = prefix + "".join(rng.choices("0123456789", k=length - len(prefix) - 1))
        number = body + luhn_digit(body)
        assert is_bank_card(number)
        assert ("bank_card", number) in found(f"card {number} ok")
        wrong = body + rng.choice([digit for digit in "0123456789" if digit != number[-1]])
        assert not is_bank_card(wrong)
        assert not any(kind == "bank_card" for kind, _ in found(f"卡号 {wrong}"))


def test_barcodes_are_no_bank_cards() -> None:
    rng = random.Random(13)
    for _ in range(500):
        body = rng.choice("4569") + "".join(rng.choices("0123456789", k=11))
        total = sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(body))
        assert found(f"纯净水 {body}{-total % 10} 550ml") == []


def test_spans_are_ordered_and_apart_in_any_mixture() -> None:
    rng = random.Random(17)
    for _ in range(300):
        text = rng.choice([" ", "，", "", "/"]).join(rng.choices(TEXTS, k=4))
        spans = find_personal_data(text)
        assert all(0 <= span.start < span.end <= len(text) for span in spans)
        assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
        assert {span.kind for span in spans} <= set(KINDS)


def test_a_legible_text_has_a_character_for_each() -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000)]))
    assert len(legible(every)) == len(every)
    assert (
        legible("Ｔｅｌ：１３８－０　一三八零零一三八零零零 電話") == "Tel:138-0 13800138000 电话"
    )


@pytest.mark.parametrize("text", TEXTS)
def test_redacted_text_comes_back_and_shows_nothing(text: str) -> None:
    vault = Vault()
    redacted = redact(text, vault)
    assert vault.restore(redacted) == text
    for _, value in found(text):
        assert value not in redacted


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"\[(\w+)\]", r"【\1】"),
        (r"\[(\w+)\]", r"［ \1 ］"),
        (r"\[(\w+)\]", r"\1"),
        (r"\[(\w+)\]", r"**[\1]**"),
        (r"_(\d)", r" \1"),
        (r"_(\d)", r"-\1"),
        (r"_", r"\\_"),
        (r"_", r"＿"),
        (r"_", r""),
        (r"\[(\w+)\]", lambda match: match.group().lower()),
        (r"\[(\w+)\]", lambda match: match.group().title().replace("_", " ")),
        (r"(\d)\]", lambda match: chr(ord(match[1]) + 0xFEE0) + "]"),
    ],
)
def test_what_models_make_of_placeholders_comes_back(pattern: str, replacement: str) -> None:
    text = "收货人：张伟，电话：13800138000，卡号6222021202012345675，身份证11010519491231002X"
    vault = Vault()
    mangled = re.sub(pattern, replacement, redact(text, vault))
    assert vault.restore(mangled).replace("**", "") == text


def test_a_value_has_one_placeholder_in_all_texts_of_a_vault() -> None:
    vault = Vault()
    assert (
        redact("电话13800138000，再说一遍13800138000", vault) == "电话[PHONE_1]，再说一遍[PHONE_1]"
    )
    assert redact("13912345678或13800138000", vault) == "[PHONE_2]或[PHONE_1]"
    assert vault.counts == {"phone": 2}
    assert "138" not in repr(vault)


@pytest.mark.parametrize(
    "text",
    [
        "[PHONE_1] 13800138000",
        "13800138000 [PHONE_1]",
        "[[13800138000]]",
        "【phone 1】【PHONE_13800138000】 PHONE_1",
        "[TEXT_1] [TEXT_2] 13800138000 [text 1]",
        "[PHONE_1[NAME_2]] 收货人：张伟",
        "[ID CARD 3] ID_CARD_3 [PHONE_1",
    ],
)
def test_what_looked_like_a_placeholder_stays_what_it_was(text: str) -> None:
    vault = Vault()
    texts = ["电话13800138000", text, text]
    redacted = [redact(part, vault) for part in texts]
    assert [vault.restore(part) for part in redacted] == texts
    assert all("13800138000" not in part for part in redacted)


def test_round_trips_of_random_mixtures() -> None:
    rng = random.Random(19)
    pieces = [
        *TEXTS, "[PHONE_1]", "[TEXT_1]", "【name 1】", "[", "]", "_1]", "[PHONE", "\\_", "１", " ",
        "\n", "NAME_1", "[ADDRESS_", "13800138000", "微信：",
    ]  # fmt: skip
    for _ in range(500):
        vault = Vault()
        texts = ["".join(rng.choices(pieces, k=rng.randint(1, 8))) for _ in range(3)]
        redacted = [redact(text, vault) for text in texts]
        assert [vault.restore(part) for part in redacted] == texts


def test_a_quote_of_the_redacted_text_becomes_one_of_the_original() -> None:
    text = "加厚纯棉四件套，定制请联系13800138000，三天发货"
    vault = Vault()
    redacted = redact(text, vault)
    quote = redacted[redacted.index("定制") : redacted.index("，三天")]
    assert vault.restore(quote) == "定制请联系13800138000"
    assert vault.restore(quote) in text


def test_placeholders_a_model_made_up_stay() -> None:
    vault = Vault()
    redact("电话13800138000", vault)
    assert vault.restore("[PHONE_2] [NAME_1] [PHONE_01]") == "[PHONE_2] [NAME_1] 13800138000"


def test_a_label_says_what_a_value_is() -> None:
    vault = Vault()
    assert redact("张伟", vault) == "张伟"
    assert redact("张伟", vault, "收货人") == "[NAME_1]"
    assert redact("8888 6666", vault, "电话") == "[PHONE_1]"
    assert redact("13812345678", vault, "货号") == "13812345678"


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "1 ",
        "1号",
        "市区1号",
        "文三路90号",
        "王总 13800138000",
        "a@a.",
        "12 Aa ",
        "+1 ",
        "[PHONE_",
        "138 - ",
        "张伟、",
        "收货人是",
        "Call Aa ",
        "路 8 号 ",
    ],
)
def test_hostile_text_takes_time_in_step_with_its_length(unit: str) -> None:
    started = time.perf_counter()
    find_personal_data(unit * (50_000 // len(unit)))
    assert time.perf_counter() - started < 10  # a quadratic pattern takes minutes
