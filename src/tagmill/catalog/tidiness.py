"""What is untidy in a column of texts, and its repair, each in one pass over its bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tagmill.kernels import kernel, string_buffers

__all__ = ["EMPTY", "MARKED", "UNEVEN", "UNTRIMMED", "flaws_of", "on_one_line"]

EMPTY = 1  # a text without a character, or null
UNTRIMMED = 2  # white space or a control character at an end of a text
UNEVEN = 4  # any but single blanks anywhere
MARKED = 8  # `<`, `&` or a null character

_BLANK = 0x20


def flaws_of(texts: pa.StringArray) -> int:
    """The flaws of all texts together, a sum of the constants of this module.

    0 where all are tidy: none is null or empty either.
    """
    return int(_flaws(*string_buffers(texts)))


def on_one_line(texts: pa.StringArray) -> pa.StringArray:
    """Texts with each run of white space and control characters as one blank, none at the ends;
    empty where there is none."""
    data, offsets = _squeezed(*string_buffers(texts))
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(data))


@kernel
def _squeezed(data, starts, ends):  # type: ignore[no-untyped-def]
    """Bytes and offsets (n + 1,) of the texts; they only become shorter."""
    offsets = np.zeros(len(starts) + 1, np.int32)
    squeezed = np.empty((ends - starts).sum(), np.uint8)
    used = 0
    for text in range(len(starts)):
        i, end = starts[text], ends[text]
        begin, after_blank = used, False
        while i < end:
            byte = data[i]
            size, blank = 1, False
            if byte < 0x80:
                blank = byte <= _BLANK or byte == 0x7F
            elif byte >= 0xC0:
                size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                blank = _is_wide_space(data, i, end)
            if not blank:
                if after_blank and used > begin:
                    squeezed[used] = _BLANK
                    used += 1
                for k in range(i, min(i + size, end)):
                    squeezed[used] = data[k]
                    used += 1
            after_blank = blank
            i += size
        offsets[text + 1] = used
    return squeezed[:used], offsets


@kernel
def _flaws(data, starts, ends):  # type: ignore[no-untyped-def]
    flaws = 0
    for text in range(len(starts)):
        first, end = starts[text], ends[text]
        if first == end:
            flaws |= EMPTY
        after_blank = False
        i = first
        while i < end:
            byte = data[i]
            size, blank = 1, False
            if byte < 0x80:
                blank = byte == _BLANK
                if byte < _BLANK or byte == 0x7F:
                    flaws |= UNEVEN
                    blank = True
                if byte == 0x3C or byte == 0x26 or byte == 0:
                    flaws |= MARKED
            elif byte >= 0xC0:
                size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                if _is_wide_space(data, i, end):
                    flaws |= UNEVEN
                    blank = True
            if blank:
                if after_blank:
                    flaws |= UNEVEN
                if i == first or i + size >= end:
                    flaws |= UNTRIMMED
            after_blank = blank
            i += size
    return flaws


@kernel(inline="always")
def _is_wide_space(data, i, end):  # type: ignore[no-untyped-def]
    """Whether a separator (category Z) or control character beyond ASCII begins at byte i."""
    byte = data[i]
    if i + 1 >= end or byte > 0xE3:
        return False
    second = data[i + 1]
    if byte == 0xC2:
        return second <= 0xA0  # U+0080 to U+00A0
    if i + 2 >= end:
        return False
    third = data[i + 2]
    if byte == 0xE1:
        return second == 0x9A and third == 0x80  # U+1680
    if byte == 0xE2 and second == 0x80:  # U+2000 to U+200A, U+2028, U+2029, U+202F
        return third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF
    if byte == 0xE2:
        return second == 0x81 and third == 0x9F  # U+205F
    return byte == 0xE3 and second == 0x80 and third == 0x80  # U+3000
