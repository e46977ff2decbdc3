"""Text files of unknown encoding, opened as lines.

One pass over the bytes finds the encoding before a row is read, so that a file is never half read
as one encoding and half as another, and tells how many lines there are.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from tagmill.errors import CatalogError

__all__ = ["TextFile", "inspect_text", "reading"]

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_BLOCK_BYTES = 1 << 20
_START_BYTES = 1 << 16
_CONTROL = re.compile(rb"[\x00\x02-\x08\x0e-\x1d]")  # without those that serve as separators
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_PAIR = re.compile(rb"[\x80-\xff]{2,}")
_BEYOND = re.compile(r"[^\x00-\x7f]+")
_SAMPLE_LINES = 100_000  # lines beyond ASCII that decide between two encodings
_TELLING_LINES = 1000  # of those, whose characters are looked at
# Other code pages than GB18030 are read where this share of the text is usual characters of
# theirs, and more by this much than as GB18030: right readings have 0.96 and more, wrong ones 0.4.
_USUAL, _USUAL_MORE = 0.75, 0.2
_OTHERS = ("cp950", "big5hkscs", "cp932")  # Big5 of Taiwan and Hong Kong, Shift-JIS


@dataclass(frozen=True)
class TextFile:
    """A text file whose encoding is known; `line_count` is None where counting is not cheap."""

    path: Path
    encoding: str
    compressed: bool = False
    line_count: int | None = None
    damaged: bool = False  # some lines are not of the encoding

    def open(self) -> TextIO:
        """The text with its line ends as they are; damaged bytes become lone surrogates."""
        errors = "surrogateescape" if self.damaged else "strict"
        raw = _open_bytes(self.path, self.compressed)
        return io.TextIOWrapper(raw, self.encoding, errors=errors, newline="")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read, as one CatalogError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CatalogError(f"{path} is a damaged gzip file: {error}", file=str(path)) from error
    except UnicodeError as error:
        raise CatalogError(
            f"{path} is not valid {_encoding_of(error)} throughout: {error}", file=str(path)
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise CatalogError(f"Cannot read {path}: {reason}", file=str(path)) from error


def inspect_text(path: Path) -> TextFile:
    """Encoding and length of a text file: UTF-8, UTF-16 or UTF-32 with a mark, GB18030, Big5 or
    Shift-JIS.

    Raises CatalogError for an empty file, a binary one, or another encoding.
    """
    with reading(path):
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP
        with _open_bytes(path, compressed) as file:
            start = file.read(_START_BYTES)
        if not start.strip():
            raise CatalogError(f"{path} is empty: it holds no products", file=str(path))
        for mark, encoding in _BYTE_ORDER_MARKS.items():
            if start.startswith(mark) and encoding != "utf-8-sig":
                return TextFile(path, encoding, compressed)
        _refuse_binary(path, start)
        line_count, valid = _scan(path, compressed)
        if valid:
            return TextFile(path, "utf-8-sig", compressed, line_count)
        encoding, damaged = _judge(path, compressed)
        return TextFile(path, encoding, compressed, line_count, damaged)


def _open_bytes(path: Path, compressed: bool) -> BinaryIO:
    if compressed:
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _refuse_binary(path: Path, start: bytes) -> None:
    if start.startswith(_ZIP):
        raise CatalogError(
            f"{path} is a ZIP or Excel file, not text. Save it as CSV (UTF-8) first", file=str(path)
        )
    # A stray NUL is the matter of one row; a binary file is full of control characters.
    if b"\x00" in start and len(_CONTROL.findall(start)) > max(2, len(start) // 50):
        raise CatalogError(
            f"{path} is a binary file, not text (it holds NUL bytes). Known are text as UTF-8, "
            "UTF-16 with a byte order mark, GB18030, Big5 or Shift-JIS, and Parquet by the ending "
            ".parquet",
            file=str(path),
        )


def _scan(path: Path, compressed: bool) -> tuple[int, bool]:
    """How many lines there are, and whether all is valid UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line_count, valid, last = 0, True, b"\n"
    with _open_bytes(path, compressed) as file:
        while block := file.read(_BLOCK_BYTES):
            line_count += block.count(b"\n")
            last = block[-1:]
            if valid:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    valid = False
    if valid:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            valid = False
    return line_count + (last != b"\n"), valid


def _judge(path: Path, compressed: bool) -> tuple[str, bool]:
    """The encoding of text that is not all UTF-8, and whether some lines are not of it either.

    GB18030 accepts nearly any bytes, so it must also look like Chinese: a Western letter with an
    accent stands alone among ASCII, a Chinese character is mostly two high bytes. And no other code
    page may make clearly more of them.
    """
    telling: list[bytes] = []
    lines = utf8 = gb18030 = high = paired = 0
    with _open_bytes(path, compressed) as file:
        for line in file:
            if line.isascii():
                continue
            lines += 1
            if lines <= _TELLING_LINES:
                telling.append(line)
            utf8 += _decodes(line, "utf-8")
            gb18030 += _decodes(line, "gb18030")
            high += len(_HIGH.findall(line))
            paired += sum(map(len, _HIGH_PAIR.findall(line)))
            if lines == _SAMPLE_LINES:
                break
    if 2 * utf8 >= lines:
        return "utf-8-sig", True
    apart = 2 * paired < high
    usual = {encoding: _usual_share(telling, encoding, apart) for encoding in _OTHERS}
    usual["gb18030"] = _usual_share(telling, "gb18030")
    best = max(_OTHERS, key=lambda encoding: usual[encoding])
    if usual[best] >= max(_USUAL, usual["gb18030"] + _USUAL_MORE):
        return best, True
    if 2 * gb18030 >= lines and 2 * paired >= high:
        return "gb18030", gb18030 < lines or lines == _SAMPLE_LINES
    raise CatalogError(
        f"{path} is neither UTF-8 nor GB18030, Big5 or Shift-JIS; it may be Windows-1252 or "
        "another code page. Convert it with: iconv -f WINDOWS-1252 -t UTF-8 IN -o OUT",
        file=str(path),
    )


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _usual_share(lines: list[bytes], encoding: str, apart: bool = False) -> float:
    """The share of usual characters among those beyond ASCII, read in an encoding; a line that is
    none in it counts against it. Where high bytes stand `apart`, characters that mostly stand alone
    are none: 30°C, not 30級."""
    usual, found, valid = _usual(encoding), [], 0
    for line in lines:
        with suppress(UnicodeDecodeError):
            found += _BEYOND.findall(line.decode(encoding))
            valid += 1
    size = sum(map(len, found))
    if apart and 2 * sum(len(run) for run in found if len(run) > 1) < size:
        return 0.0
    return sum(map(usual.__contains__, "".join(found))) / max(size, 1) * valid / max(len(lines), 1)


@cache
def _usual(encoding: str) -> frozenset[str]:
    """Characters that texts in an encoding are mostly made of: the first level of its standard,
    kana and marks; GB18030 is also used for Traditional Chinese."""
    traditional = _square("big5", range(0xA4, 0xC7), range(0x40, 0xFF))
    kana = frozenset(map(chr, range(0x3041, 0x30FF)))
    marks = frozenset("—…“”‘’·") | frozenset(
        map(chr, (*range(0x3000, 0x3020), *range(0xFF01, 0xFF5F)))
    )
    if encoding == "gb18030":
        return _square("gb2312", range(0xB0, 0xD8), range(0xA1, 0xFF)) | traditional | kana | marks
    if encoding == "cp932":
        return _square("shift_jis", range(0x88, 0x98), range(0x40, 0xFD)) | kana | marks
    return traditional | marks


def _square(encoding: str, first: range, second: range) -> frozenset[str]:
    """The characters of two bytes of these ranges."""
    pairs = (bytes(pair).decode(encoding, "ignore") for pair in product(first, second))
    return frozenset(pair for pair in pairs if len(pair) == 1 and not pair.isascii())


def _encoding_of(error: UnicodeError) -> str:
    return str(getattr(error, "encoding", "text"))
