"""The languages of a batch of texts: what is plain by a kernel, the rest as `text.detect_language`.

Plain is ASCII without foreign function words, and Chinese with nothing but ASCII beside it.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tagmill.kernels import kernel, string_buffers
from tagmill.text import FOREIGN_WORDS, detect_language, telling_characters

__all__ = ["detect_languages", "languages_of"]

_LANGUAGES = pa.array(["", "en", "other", "zh-Hans", "zh-Hant"])
_UNKNOWN, _ENGLISH, _OTHER, _SIMPLIFIED, _TRADITIONAL = range(5)
# What a character of the basic plane is.
_STRANGE, _MARK, _LETTER, _HAN, _ONLY_SIMPLIFIED, _ONLY_TRADITIONAL = range(6)
_CHINESE_MARKS = "　、。《》「」『』【】〔〕！（），．：；？～·—…“”‘’￥％＋－／｜"
_DESCRIPTION_CHARACTERS = 1000  # more of a description do not change the verdict
_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def detect_languages(texts: pa.StringArray) -> pa.StringArray:
    """The language of each text: zh-Hans, zh-Hant, en or other."""
    codes = _detect(*string_buffers(texts), *_tables())
    if len(codes) and codes[0] != _UNKNOWN and (codes == codes[0]).all():
        return _repeated(int(codes[0]), len(codes))
    found = _LANGUAGES.take(pa.array(codes))
    if codes.all():
        return found
    unknown = pa.array(codes == _UNKNOWN)
    rest = [detect_language(text) for text in texts.filter(unknown).to_pylist()]
    return pc.replace_with_mask(found, unknown, pa.array(rest, pa.string()))


def languages_of(
    given: pa.StringArray, title: pa.StringArray, description: pa.StringArray
) -> pa.StringArray:
    """The language of each product: the given one, or that of its title and description."""
    if not given.null_count:
        return given
    texts = title
    if description.null_count < len(description):
        start = pc.fill_null(pc.utf8_slice_codeunits(description, 0, _DESCRIPTION_CHARACTERS), "")
        texts = pc.binary_join_element_wise(title, start, " ")
    if given.null_count == len(given):
        return detect_languages(texts)
    unknown = pc.is_null(given)
    return pc.replace_with_mask(given, unknown, detect_languages(texts.filter(unknown)))


@lru_cache(maxsize=16)
def _repeated(code: int, size: int) -> pa.StringArray:
    """One language so many times: mostly all products of a catalogue are in one."""
    return pa.array([_LANGUAGES[code].as_py()] * size, pa.string())


@cache
def _tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
    """The kind of each character, and the sorted hashes of foreign words."""
    kinds = np.zeros(0x10000, np.uint8)
    kinds[:0x80] = _MARK
    for first, last in (("A", "Z"), ("a", "z")):
        kinds[ord(first) : ord(last) + 1] = _LETTER
    kinds[0x3007] = kinds[0x3400:0x4DC0] = kinds[0x4E00:0xA000] = _HAN
    kinds[[ord(mark) for mark in _CHINESE_MARKS]] = _MARK
    for pattern, kind in zip(
        telling_characters(), (_ONLY_TRADITIONAL, _ONLY_SIMPLIFIED), strict=True
    ):
        told = [ord(c) for c in pattern.pattern[1:-1] if kinds[ord(c)] == _HAN]
        kinds[told] = kind
    hashes = []
    for word in filter(str.isascii, FOREIGN_WORDS):
        value = int(_OFFSET)
        for byte in word.encode():
            value = ((value ^ byte) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF
        hashes.append(value)
    return kinds, np.array(sorted(hashes), np.uint64)


@kernel
def _detect(data, starts, ends, kinds, foreign):  # type: ignore[no-untyped-def]
    """The number of each text's language in `_LANGUAGES`."""
    out = np.zeros(len(starts), np.int8)
    for text in range(len(starts)):
        counts = np.zeros(6, np.int64)
        words, in_word, plain = 0, False, True
        value = _OFFSET
        i, end = starts[text], ends[text]
        while i <= end and plain:  # a mark behind the end ends the last word
            kind, byte, size = np.uint8(_MARK), np.int64(0), 1
            if i < end:
                byte = np.int64(data[i])
                if byte >= 0x80:
                    size = 2 if byte < 0xE0 else 3
                    if byte >= 0xF0 or i + size > end:
                        plain = False
                        break
                    code = byte & (0x1F if size == 2 else 0x0F)
                    for j in range(i + 1, i + size):
                        code = (code << 6) | (np.int64(data[j]) & 0x3F)
                    byte = code
                kind = kinds[byte]
            if kind == _LETTER:
                if not in_word:
                    words += 1
                    in_word, value = True, _OFFSET
                value = (value ^ np.uint64(byte | 0x20)) * _PRIME
            elif in_word:
                in_word = False
                place = np.searchsorted(foreign, value)
                plain = place == len(foreign) or foreign[place] != value
            counts[kind] += 1
            plain &= kind != _STRANGE
            i += size
        han = counts[_HAN] + counts[_ONLY_SIMPLIFIED] + counts[_ONLY_TRADITIONAL]
        if not plain:
            continue
        if han == 0:
            out[text] = _ENGLISH if words else _OTHER
        elif 4 * han >= words:
            more = counts[_ONLY_TRADITIONAL] > counts[_ONLY_SIMPLIFIED]
            out[text] = _TRADITIONAL if more else _SIMPLIFIED
    return out
