import pytest

from tagmill.text import detect_language, fold, normal_form, parted_pairs, plain_text, search_words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("T-Shirts", "ｔ shirt"),
        ("高清電視", "高清电视"),
        ("4K 电视", "4k电视"),
        ("Women's Dresses", "womens dress"),
        ("1㎏", "1 kg"),
        ("A/C", "a c"),
        ("Batteries", "battery"),
    ],
)
def test_names_of_one_tag_share_a_normal_form(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [("shorts", "short"), ("glasses", "glass"), ("蓝牙5.3", "蓝牙53"), ("纯棉", "纯麻")],
)
def test_names_that_differ_keep_different_normal_forms(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


@pytest.mark.parametrize(
    ("text", "folded", "original"),
    [
        ("Red DRESSES!", "dress", "DRESSES"),
        ("ｆｕｌｌ 幅", "full", "ｆｕｌｌ"),
        ("淨重 2㎏装", "kg", "㎏"),
        ("女款-連衣裙", "连衣裙", "連衣裙"),
        ("👗 dress", "dress", "dress"),
        ("women’s coat", "women", "women’s"),
    ],
)
def test_fold_leads_back_to_the_original_span(text: str, folded: str, original: str) -> None:
    result = fold(text)
    start = result.text.index(folded)
    begin, end = result.span(start, start + len(folded))
    assert text[begin:end] == original


def test_fold_has_one_span_for_every_character() -> None:
    text = "Ｗomen's 连衣裙 ½ ㎏ 5.3 t-shirt 👗 ﷺ"
    result = fold(text)
    assert len(result.text) == len(result.starts) == len(result.ends)
    assert all(0 <= s <= e <= len(text) for s, e in zip(result.starts, result.ends, strict=True))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("高清液晶电视，4K分辨率", "zh-Hans"),
        ("超高清液晶電視 4K HDR", "zh-Hant"),
        ("iPhone 15 手机壳 clear case", "zh-Hans"),
        ("Women's red summer dress", "en"),
        ("Café latte mug", "en"),
        ("Robe rouge pour femme avec ceinture", "other"),
        ("ワンピース レッド 夏服", "other"),
        ("Платье красное", "other"),
        ("12345 — 99%", "other"),
        ("", "other"),
    ],
)
def test_language_of_a_text(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_html_becomes_readable_text() -> None:
    markup = "<p>Soft&nbsp;<b>cot</b>ton</p><script>x()</script><ul><li>a<li>b</ul><!-- c -->"
    assert plain_text(markup) == "Soft cotton\na\nb"
    assert plain_text("3 < 5 & 6 > 2") == "3 < 5 & 6 > 2"
    assert plain_text("a<style>b</STYLE>c<!-- <script> -->d") == "a c d"
    assert plain_text("a<script>b").startswith("a")


def test_hostile_html_takes_no_longer_than_its_length() -> None:
    assert plain_text("<script>" * 200_000) == ""
    assert plain_text("<!--" * 200_000 + "x") == "<!--" * 200_000 + "x"


@pytest.mark.parametrize(
    "names",
    [
        ("C", "C++", "C#"), ("A", "A+", "A++"), ("DVD-R", "DVD+R"), ("3:4", "34", "3/4", "3-4"),
        ("1/2 inch", "12 inch", "1-2 inch", "2 inch"), ("-20°C", "20°C"), ("<5", ">5", "5", "≤5"),
        ("€50", "$50", "50"), ("10%", "10"), ("1½", "11/2", "½"), (".5 mm", "5 mm"), ("2×4", "24"),
        ("1,5", "15"), ("5'", '5"', "5"), ("iPhone 14 128", "iPhone 14128"),
    ],
)  # fmt: skip
def test_signs_that_make_another_thing_stay(names: tuple[str, ...]) -> None:
    assert len({normal_form(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "names",
    [
        ("1/2 inch", "½ Inch", "1 / 2 inches"), ("1½", "1 1/2"), ("6-8岁", "6–8歲", "6 ~ 8 岁"),
        ("2×4", "2x4", "2 * 4"), ("10,000", "10000"), (".5 mm", "0.5mm"), ("10 %", "10％"),
        ("−20°C", "-20 °C"), ("5″", '5"', "5''"), ("iPhone-14", "iPhone 14"),
        ("iPhone 14 (128)", "iPhone 14, 128", "iphone 14 128"), ("USB - 3", "USB3"),
    ],
)  # fmt: skip
def test_one_sign_is_written_in_many_ways(names: tuple[str, ...]) -> None:
    assert len({normal_form(name) for name in names}) == 1, [normal_form(n) for n in names]


def test_full_width_signs_count_too() -> None:
    assert normal_form("ｃ＋＋") == normal_form("C++")


def test_a_doubtful_cut_leaves_the_pairs_it_parts() -> None:
    title = "收腰显瘦气质雪纺长裙"
    assert "显瘦" not in search_words(["泡泡袖" + title])[0]
    pairs, trusted, apart, none = parted_pairs(["泡泡袖" + title, "毛衣服装", "红 色", "Red dress"])
    assert "显瘦" in pairs
    assert len(pairs) == len(set(pairs))
    assert trusted == apart == none == []
