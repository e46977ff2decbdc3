"""Text as the machine compares it: normal form, folding with offsets, segmentation, language.

Two names mean the same tag when their `normal_form` is equal: NFKC, lower case, Traditional to
Simplified Chinese, simple English plurals dropped, no spaces and no punctuation but what tells
(C++, 1/2, -20, 5%). `fold` is the same
for running text, and remembers where every character came from, so that a match becomes evidence.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

__all__ = [
    "FOREIGN_WORDS",
    "Folded",
    "caption",
    "detect_language",
    "find_words",
    "fold",
    "is_doubtful",
    "is_unspaced",
    "normal_form",
    "parted_pairs",
    "plain_line",
    "plain_text",
    "search_words",
    "segment",
    "telling_characters",
    "unaccented",
]

_CAPTION = 60  # characters of a text that stand for its title
# Written without spaces between words: Han, kana, Bopomofo.
_UNSPACED = "\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f"  # noqa: E501
_FIRST_UNSPACED = "\u3007"
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")
_RUN_OR_LINE = re.compile(f"[{_UNSPACED}]+|\n")
# A word keeps its decimal point (蓝牙5.3 is not 蓝牙5); every other mark separates.
_TOKEN = re.compile(rf"[{_UNSPACED}]+|[0-9]+(?:\.[0-9]+)+|(?:(?![{_UNSPACED}_])\w)+(?:['’]s\b)?")
# Signs that make another thing: C++, F#, A+, DVD+R; 1/2, 3:4, 1-2, 1 1/2; -20, <5, $50, 10%, .5.
_TELLING_SIGN = re.compile(
    r"""(?!\w)(?:  # no sign begins with a letter: most places are left at once
    (?<=\w)[+#]+|(?<=\w\ )\+
    |(?<=\d)(?!,\d{3}(?!\d))(?:\s*[^\w\s.]+\s*|\s+)(?=\d)  # but the comma of thousands
    |(?<!\w)(?:[-−](?=\d)|[<>≤≥±$€£¥](?=\s*\d))|(?<![\w.])\.(?=\d)
    |(?<=\d)(?:\s*(?:["%‰$€£¥]|′′|'')|['′’](?!s))
    )""",
    re.X,
)
_SAME_SIGN = str.maketrans("–—−~〜×*⁄÷′’", "-----xx//''")
_KEPT_SIGN = re.compile(r"""[-+#/x:&,<>≤≥±$€£¥"'%‰]+""")
_MIXED_NUMBER = re.compile("(?<=\\d)(?=[¼-¾⅐-⅞])")  # 1½ is not 11/2
_PLURAL_ENDING = re.compile("[se](?![a-z0-9])")
_PLAIN_NAME = re.compile(  # nothing but words, no two numbers side by side
    "[A-Za-z0-9]+(?: [A-Za-z][A-Za-z0-9]*|(?<=[A-Za-z]) [A-Za-z0-9]+)*"
)
_TOKEN_OR_LINE = re.compile(rf"\n|{_TOKEN.pattern}")
_LATIN = (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
_HAN = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]")
_KANA = re.compile("[\u3040-\u30ff\u31f0-\u31ff]")
_WORD = re.compile(r"[^\W\d_]+")
_ASCII_WORD = re.compile("[a-z]+")

# Words whose plural means something else: shorts are not short, glasses are not glass.
_NOT_PLURAL = frozenset(
    (
        "shorts glasses tights briefs boxers flats goods arts news christmas series "
        "species lens gas bus plus always sometimes across canvas atlas tennis basics "
        "essentials "
    ).split()
)
_IRREGULAR_PLURALS = {
    "tvs": "tv",
    "cds": "cd",
    "knives": "knife",
    "scarves": "scarf",
    "shelves": "shelf",
    "bookshelves": "bookshelf",
    "loaves": "loaf",
    "lenses": "lens",
    "buses": "bus",
    "tomatoes": "tomato",
    "potatoes": "potato",
    "mangoes": "mango",
}
FOREIGN_WORDS = frozenset(
    (
        "der die das und mit für von aus le la les des du et pour avec sans el los las y "
        "para con sin il lo gli di per ed da em um uma dos das não o os het een voor met "
        "och av till med "
    ).split()
)
_ENGLISH = frozenset(
    (
        "the a an and or of for with in on to from by at is are your you our this that no not "
    ).split()
)


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text and, for each of its characters, the span `[start, end)` it stands for."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text behind folded `[start, end)`; start < end."""
        return self.starts[start], self.ends[end - 1]


@cache
def traditional_to_simplified() -> dict[int, str]:
    """Each Traditional character with a Simplified form of its own, by code point."""
    from opencc import OpenCC

    characters = [chr(c) for c in (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000))]
    simplified = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {ord(t): s for t, s in zip(characters, simplified, strict=True) if t != s}


@cache
def _simplified_only() -> frozenset[str]:
    """Characters that only Simplified text uses."""
    return (
        frozenset(traditional_to_simplified().values())
        - {chr(c) for c in traditional_to_simplified()}
        - _shared_characters()
    )


@cache
def _shared_characters() -> frozenset[str]:
    """Simplified characters that Traditional text uses as well (后, 里, 面 …)."""
    from opencc import OpenCC

    simplified = sorted(set(traditional_to_simplified().values()))
    back = OpenCC("s2t").convert("\n".join(simplified)).split("\n")
    return frozenset(s for s, t in zip(simplified, back, strict=True) if s == t)


@cache
def _fold_table() -> dict[int, str]:
    """Code point → folded character(s), for those of the basic plane that change."""
    simplified = traditional_to_simplified()
    table: dict[int, str] = {}
    for code in range(0x80, 0x10000):
        if 0xD800 <= code < 0xE000:
            continue
        folded = unicodedata.normalize("NFKC", chr(code)).lower().translate(simplified)
        if folded != chr(code):
            table[code] = folded
    table.update({code: chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
    return table


@cache
def _accents() -> dict[int, str]:
    """Accented Latin letters → the letter, where that is one of ASCII."""
    bare = {code: unicodedata.normalize("NFD", chr(code))[0] for code in _LATIN}
    strokes = {ord(letter): plain for letter, plain in zip("ØøŁłĐđĦħ", "OoLlDdHh", strict=True)}
    return {code: letter for code, letter in bare.items() if letter.isascii()} | strokes


@cache
def _search_table() -> dict[int, str]:
    """The table of folding, without accents too; as NFD writes them they are dropped."""
    folded = {code: unaccented(text) for code, text in _fold_table().items()}
    rest = {code: text.lower() for code, text in _accents().items() if code not in folded}
    return folded | rest | dict.fromkeys(range(0x300, 0x370), "")


@lru_cache(maxsize=65536)
def _singular(word: str) -> str:
    """An English word without its plural ending; other words unchanged."""
    if word in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[word]
    if len(word) < 4 or not word.isascii() or word in _NOT_PLURAL:
        return word
    if word.endswith(("ies", "ie")) and len(word) > 4:  # berries: berry, hoodies, hoodie: hoody
        return word[: word.rindex("ie")] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if word[-1] != "s" or word.endswith(("ss", "us", "is")) or word[-2].isdigit():
        return word
    return word[:-1]


@cache
def _stretching() -> re.Pattern[str]:
    """Matches one character that folds into several."""
    long = (chr(code) for code, folded in _fold_table().items() if len(folded) != 1)
    return re.compile(f"[{re.escape(''.join(long))}]")


def fold(text: str) -> Folded:
    """Running text for matching: words apart by one space, Chinese without spaces.

    Full and half width, case, Traditional and Simplified, punctuation and simple English plurals
    no longer differ. `fold(text).span(…)` leads back to the original.
    """
    translated, origin = _translate(text)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    after_word = False
    for match in _TOKEN.finditer(translated):
        start, end = match.span()
        token = match.group()
        last = token[-1]
        if last >= _FIRST_UNSPACED and _UNSPACED_RUN.match(token):
            pieces.append(token)
            after_word = False
        else:
            if after_word:
                pieces.append(" ")
                starts.append(ends[-1])
                ends.append(ends[-1])
            after_word = True
            token = _without_ending(token)
            pieces.append(token)
        places = origin[start : start + len(token)]
        starts.extend(places)
        ends.extend([place + 1 for place in places])
        ends[-1] = origin[end - 1] + 1
    return Folded("".join(pieces), starts, ends)


def _without_ending(token: str) -> str:
    """A word without plural or possessive ending: women's, womens: women."""
    if token[-1] == "s" or token[-1] == "e":
        return _singular(token.removesuffix("'s").removesuffix("’s"))
    return token


def _folded_words(text: str) -> str:
    """`fold(text).text` without spaces."""
    translated = text.lower() if text.isascii() else text.translate(_fold_table())
    return "".join([_without_ending(token) for token in _TOKEN.findall(translated)])


def _translate(text: str) -> tuple[str, Sequence[int]]:
    """Text character by character folded, and the place each character came from."""
    if text.isascii():
        return text.lower(), range(len(text))
    table = _fold_table()
    translated = text.translate(table)
    if len(translated) == len(text):
        return translated, range(len(text))
    # A character that stands for several (㎏, ½): all of them come from its place.
    origin: list[int] = []
    done = 0
    for match in _stretching().finditer(text):
        place = match.start()
        origin.extend(range(done, place))
        origin.extend([place] * len(table[ord(match.group())]))
        done = place + 1
    origin.extend(range(done, len(text)))
    return translated, origin


@lru_cache(maxsize=65536)
def normal_form(name: str) -> str:
    """The form in which two names of one tag are equal; empty if the name is blank.

    `T-Shirts`, `Ｔ shirt` and `tshirt` are one; so are `高清電視` and `高清电视`. `C`, `C++` and
    `C#` are three, `A` and `A+` two, and so are `1/2` and `12`, `-20°C` and `20°C`, `10%` and `10`.
    """
    if _PLAIN_NAME.fullmatch(name):
        return "".join([_singular(word) for word in name.lower().split(" ")])
    if not name.isascii() and name.isalnum():  # the same, without looking at every character
        plain = unicodedata.normalize("NFKC", name).translate(_fold_table())
        if plain.isalnum() and not _PLURAL_ENDING.search(plain):
            return plain
    compatible = unicodedata.normalize("NFKC", _MIXED_NUMBER.sub(" ", name))
    parts: list[str] = []
    done = 0
    for sign in _TELLING_SIGN.finditer(compatible):
        parts += [_folded_words(compatible[done : sign.start()]), _written(sign[0])]
        done = sign.end()
    form = "".join([*parts, _folded_words(compatible[done:])]).replace("_", " ")
    return form or re.sub(r"\s+", "", compatible.lower())  # ★, +, %


def _written(sign: str) -> str:
    """A telling sign as every way of writing it counts; `_` where it only keeps digits apart."""
    if sign == ".":
        return "0."
    written = sign.strip().translate(_SAME_SIGN).replace("''", '"')
    return written if _KEPT_SIGN.fullmatch(written) and sign != ", " else "_"


def segment(text: str, *, guess: bool = True) -> list[str]:
    """Words of a text; Chinese by rjieba's dictionary, with `guess` also likely unknown words."""
    import rjieba

    return list(rjieba.cut(text, guess))


def search_words(texts: Sequence[str], *, whole: bool = False) -> list[list[str]]:
    """The folded words of each text as search indexes them; Chinese in rjieba's search mode.

    Search mode gives a long word and the words in it (连衣, 衣裙, 连衣裙); with `whole`, for
    queries, only the long one. English words are lower case, plurals and accents dropped.
    """
    import rjieba

    joined = "\n".join(text.replace("\n", " ") if "\n" in text else text for text in texts)
    folded = joined.lower() if joined.isascii() else joined.translate(_search_table())
    tokens = _TOKEN_OR_LINE.findall(folded)
    runs = [token for token in tokens if token[0] >= _FIRST_UNSPACED and is_unspaced(token[0])]
    cut = rjieba.cut if whole else rjieba.cut_for_search
    words_of_runs = iter(_lines(cut("\n".join(runs), True)) if runs else ())
    found: list[list[str]] = [[]]
    for token in tokens:
        last = token[-1]
        if token == "\n":
            found.append([])
        elif token[0] >= _FIRST_UNSPACED and is_unspaced(token[0]):
            found[-1] += next(words_of_runs)
        elif last == "s" or last == "e":
            found[-1].append(_singular(token.removesuffix("'s").removesuffix("’s")))
        else:
            found[-1].append(token)
    return found


def find_words(text: str, words: Collection[str]) -> list[tuple[int, int]]:
    """The spans [start, end) where words of `search_words` stand, in order; they may overlap."""
    translated, origin = _translate(text)
    unspaced = [word for word in words if is_unspaced(word[0])]
    spans: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(unaccented(translated)):
        token = match.group()
        if token[0] < _FIRST_UNSPACED or not is_unspaced(token[0]):
            if _without_ending(token) in words:
                start, end = match.span()
                spans.append((origin[start], origin[end - 1] + 1))
            continue
        start, end = match.span() if unspaced else (0, 0)
        for word in unspaced:
            place = translated.find(word, start, end)
            while place >= 0:
                spans.append((origin[place], origin[place + len(word) - 1] + 1))
                place = translated.find(word, place + 1, end)
    return sorted(spans)


def unaccented(text: str) -> str:
    """Text of the same length with Latin letters as they are typed in a hurry: café, cafe."""
    return text if text.isascii() else text.translate(_accents())


def parted_pairs(texts: Sequence[str]) -> list[list[str]]:
    """Pairs of Chinese characters that a doubtful cut parts, of each text, none twice.

    A cut is doubtful beside a lone character or a word that no dictionary has: 收腰显瘦 may be cut
    袖收, 腰显, 瘦. Where both sides are words of the dictionary it is trusted (毛衣, 服装).
    """
    import rjieba

    runs: list[str] = []
    owners: list[int] = []  # which text each run is of
    line = 0
    for token in _RUN_OR_LINE.findall("\n".join(text.replace("\n", " ") for text in texts)):
        if token == "\n":
            line += 1
        else:
            runs.append(token)
            owners.append(line)
    words = rjieba.cut("\n".join(runs).translate(_fold_table()), True) if runs else []
    doubtful = {word for word in set(words) if is_doubtful(word)}
    pairs: list[dict[str, None]] = [{} for _ in texts]
    run = 0
    for before, after in pairwise(words):
        if before == "\n":
            run += 1
        elif after != "\n" and (before in doubtful or after in doubtful):
            pairs[owners[run]][before[-1] + after[0]] = None
    return list(map(list, pairs))


@lru_cache(maxsize=1 << 16)
def is_doubtful(word: str) -> bool:
    """Whether a word is one character, or made up from likely characters alone."""
    import rjieba

    return len(word) == 1 or len(rjieba.cut(word, False)) > 1


def _lines(words: Sequence[str]) -> list[list[str]]:
    """Words between line breaks, which are words too."""
    lines: list[list[str]] = [[]]
    for word in words:
        if word == "\n":
            lines.append([])
        else:
            lines[-1].append(word)
    return lines


def is_unspaced(character: str) -> bool:
    """Whether a character belongs to a script written without spaces (Han, kana, Bopomofo)."""
    return _UNSPACED_RUN.match(character) is not None


def detect_language(text: str) -> str:
    """`zh-Hans`, `zh-Hant`, `en` or `other`, by script and, for Latin, by function words."""
    if text.isascii():
        return _language_of_words(_ASCII_WORD.findall(text.lower()))
    han = len(_HAN.findall(text))
    kana = len(_KANA.findall(text))
    words = _WORD.findall(_UNSPACED_RUN.sub(" ", text))
    if han and han >= 2 * kana and han * 4 >= len(words):
        only_traditional, only_simplified = telling_characters()
        traditional = len(only_traditional.findall(text))
        simplified = len(only_simplified.findall(text))
        return "zh-Hant" if traditional > simplified else "zh-Hans"
    if kana or han:
        return "other"
    return _language_of_words([word.lower() for word in words])


def _language_of_words(words: list[str]) -> str:
    """`en` or `other` for the lower-case words of a text without Chinese or Japanese."""
    if not words:
        return "other"
    foreign = english = 0
    if not FOREIGN_WORDS.isdisjoint(words):
        foreign = sum(word in FOREIGN_WORDS for word in words)
        english = sum(word in _ENGLISH for word in words)
    letters = "".join(words)
    if letters.isascii():
        return "other" if foreign > english else "en"
    english = english or sum(word in _ENGLISH for word in words)
    ascii_share = len(letters.encode("ascii", "ignore")) / len(letters)
    if (ascii_share < 0.95 and english == 0) or foreign > english:
        return "other" if ascii_share < 0.5 or foreign or ascii_share < 0.9 else "en"
    return "en"


@cache
def telling_characters() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns of one character that Traditional, and that only Simplified text uses.

    Of the basic plane: a class that holds rarer characters is searched one by one.
    """
    traditional = "".join(map(chr, sorted(traditional_to_simplified())))
    simplified = "".join(sorted(c for c in _simplified_only() if c <= "\uffff"))
    return re.compile(f"[{traditional}]"), re.compile(f"[{simplified}]")


_MARKUP = re.compile(r"<[a-zA-Z/!][^<>]*>|&[#\w]+;")
_BLOCK = re.compile(
    r"</?(?:p|div|br|li|ul|ol|tr|td|th|table|h[1-6]|section|article)\b[^<>]*>", re.I
)
_UNSEEN = re.compile(r"<!--|<(?:script|style)\b", re.I)
_UNSEEN_ENDS = {"<!--": "-->", "<script": "</script>", "<style": "</style>"}


def caption(title: str, text: str | None) -> str:
    """What a product is called where many are listed: its title, or else how its text begins."""
    if title.strip():
        return title
    words = " ".join((text or "")[: 4 * _CAPTION].split())
    return words if len(words) <= _CAPTION else words[: _CAPTION - 1] + "…"


def plain_text(text: str) -> str:
    """HTML as readable text: tags out, entities decoded, blocks on their own line."""
    if not _MARKUP.search(text):
        return text.strip()
    text = _without_unseen(text)
    text = _BLOCK.sub("\n", text)
    text = html.unescape(re.sub(r"<[a-zA-Z/!][^<>]*>", "", text)).replace("\xa0", " ")
    lines = (re.sub(r"[ \t\r\f\v]+", " ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


# Patterns that Arrow's engine reads as well. A title may name the size <M>, and AT&T has no entity.
ENTITY = r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]+);"
ELEMENT = (
    r"</?(?:a|b|i|p|u|(?i:abbr|big|blockquote|br|center|dd|del|div|dl|dt|em|font|h[1-6]|hr|img|ins"
    r"|label|li|nobr|ol|pre|small|span|strong|sub|sup|table|tbody|td|th|tr|ul))(?:\s[^<>]*)?/?>"
)
_ELEMENT, _ENTITY = re.compile(ELEMENT), re.compile(ENTITY)


def plain_line(text: str) -> str:
    """A title or value without the HTML elements there are and with entities decoded; `A < B` and
    `<3` stay. Blocks are on their own line."""
    if "<" not in text and "&" not in text:
        return text
    text = _ELEMENT.sub(lambda tag: "\n" if _BLOCK.fullmatch(tag.group()) else "", text)
    text = _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)
    return text.replace("\xa0", " ")


def _without_unseen(text: str) -> str:
    """Without comments, scripts and styles; in time linear in the text, whatever it holds."""
    lowered = text.lower() if len(text.lower()) == len(text) else text
    pieces: list[str] = []
    position = 0
    unclosed: set[str] = set()
    for match in _UNSEEN.finditer(text):
        end_mark = _UNSEEN_ENDS[match.group().lower()]
        if match.start() < position or end_mark in unclosed:
            continue
        end = lowered.find(end_mark, match.end())
        if end < 0:
            unclosed.add(end_mark)
            continue
        pieces.append(text[position : match.start()])
        position = end + len(end_mark)
    return " ".join([*pieces, text[position:]])
