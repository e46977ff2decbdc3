"""Completion while typing, and a better spelling of what nothing was found for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tagmill.discover.index import View
from tagmill.discover.matching import Matcher
from tagmill.discover.query import Concept
from tagmill.discover.segment import PARTED, hash_texts
from tagmill.pinyin import same_sound
from tagmill.text import fold, is_doubtful, is_unspaced

__all__ = ["Completer", "Completion", "correct"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_DIGITS = re.compile("[0-9一二两三四五六七八九十]")  # no other number is a better spelling
_LONGEST = 60  # characters that are completed
_LONGEST_WORD = 20  # that is corrected
# Of a tag's name to a word, at least (difflib's ratio): two letters of ten, two of five signs.
_ALIKE, _ALIKE_HAN = 0.8, 0.6
_LONGEST_HEARD = 6  # characters of a word that is corrected by ear
_RATHER = 10  # times the products that what was meant must have
_TRIES = 8  # beginnings of a word that are looked for, in Chinese without spaces


@dataclass(frozen=True)
class Completion:
    """A whole query; `products` is how many have its last tag or word. `facet`: it is a tag."""

    text: str
    products: int
    facet: str | None = None


class Completer:
    """The names and words of one view, by their beginnings."""

    def __init__(self, view: View) -> None:
        self._view = view
        library = view.library
        spelled = [
            (fold(name).text, name, tag.id, view.counts.get(tag.id, 0))
            for tag in library.active()
            for name in library.names_of(tag)
        ]
        spelled.sort(key=lambda entry: (-entry[3], len(entry[1]), entry[1]))
        self._names = spelled
        self._forms = pa.array([form for form, *_ in spelled], pa.string())

    def complete(self, prefix: str, limit: int, language: str = "") -> list[Completion]:
        """The likeliest queries that begin with a text; in it the last word is completed, by names
        in the language where one begins so."""
        prefix = prefix[-_LONGEST:]
        for start in _starts(prefix):
            form = fold(prefix[start:]).text
            if form:
                tags = self._tags(form, prefix[:start], limit, language)
                known = {fold(one.text).text for one in tags}
                words = [
                    word
                    for word in self._words(form, prefix[:start], limit)
                    if fold(word.text).text not in known
                ]
                found = [one for one in tags if one.products] + words
                found += [one for one in tags if not one.products]
                if found:
                    return found[:limit]
        return []

    def _tags(self, form: str, before: str, limit: int, language: str) -> list[Completion]:
        places = np.asarray(pc.starts_with(self._forms, form)).nonzero()[0]
        library, found = self._view.library, {}
        for place in places.tolist():
            _, name, tag_id, count = self._names[place]
            if tag_id not in found:
                own = library.tags[tag_id].name_in(language) if language else name
                name = own if fold(own).text.startswith(form) else name
                facet = library.facets.get(library.tags[tag_id].facet)
                shown = "" if facet is None else facet.names.get(language, facet.key)
                found[tag_id] = Completion(before + name, count, shown)
            if len(found) == limit:
                break
        return list(found.values())

    def _words(self, form: str, before: str, limit: int) -> list[Completion]:
        if form.startswith(PARTED):
            return []
        counts: dict[str, int] = {}
        for segment in self._view.segments:
            places = np.asarray(pc.starts_with(segment.words, form)).nonzero()[0]
            sizes = segment.starts[places + 1] - segment.starts[places]
            best = places[np.argsort(-sizes, kind="stable")[:limit]]
            for place in best.tolist():
                word = segment.words[place].as_py()
                size = int(segment.starts[place + 1] - segment.starts[place])
                counts[word] = counts.get(word, 0) + size
        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [Completion(before + word, count) for word, count in ranked[:limit]]


def correct(
    view: View, matcher: Matcher, finds: Callable[[str], bool], *, heads: bool
) -> str | None:
    """The query with words nothing has replaced by the nearest that something has, if any; else
    with one that sounds like what many more products have.

    `finds` says whether a query finds a product. With `heads` a Chinese character is one that
    something has where words end with it.
    """
    text = matcher.query.text
    unknown = matcher.unknown(heads=heads)
    for concept in unknown:
        for word in _misspelled(matcher.query.wanted, concept):
            better = _nearest(view, word)
            other = _with(text, word, better) if better else None
            if other is not None and finds(other):
                text = other
                break
    for words in () if unknown else _unusual(matcher):
        word = "".join(words)
        meant, products = _most_frequent(view, _homophones(word))
        if meant and products >= _RATHER * matcher.frequency(words):
            text = _with(text, word, meant) or text
    return text if text != matcher.query.text and finds(text) else None


def _with(text: str, word: str, better: str) -> str | None:
    """A text with something better in place of a word; None where it is not there as such."""
    folded = fold(text)
    place = folded.text.find(word)
    if place < 0:
        return None
    start, end = folded.span(place, place + len(word))
    return text[:start] + better + text[end:]


def _unusual(matcher: Matcher) -> Iterator[tuple[str, ...]]:
    """Chinese words of the query that no dictionary has, or the two that one was cut into."""
    loose = [
        "" if one.tag_ids or len(one.words) != 1 or not is_unspaced(one.words[0][0]) else one.text
        for one in matcher.query.wanted
    ]
    yield from ((word,) for word in loose if len(word) > 1 and is_doubtful(word))
    for pair in pairwise(loose):
        if all(pair) and min(map(len, pair)) == 1:
            yield pair


def _misspelled(wanted: Sequence[Concept], concept: Concept) -> list[str]:
    """What may stand for something else: a word, or the Chinese one it was cut off (连衣|群).

    One Chinese character is only taken for the end of one: 糖 is not 无糖.
    """
    place = next(i for i, one in enumerate(wanted) if concept in (one, *one.choices))
    before = wanted[place - 1] if place else None
    alone = [concept.text] if len(concept.text) > 1 or concept.text.isascii() else []
    if before is None or before.tag_ids or not is_unspaced(concept.text[0]):
        return alone
    return [before.text + concept.text, *alone]


def _nearest(view: View, word: str) -> str | None:
    """A word of the products one letter away, or that sounds alike, the most frequent; or the most
    similar tag name."""
    if len(word) > _LONGEST_WORD:
        return None
    if word.isascii() and len(word) > 3:  # mom is no misspelled arm
        edits = _edits(word) | _edits(f"{word}s")  # dres was taken for a plural
        edits = {edit for edit in edits if _DIGITS.findall(edit) == _DIGITS.findall(word)}
        better, _ = _most_frequent(view, edits)
        spoken = [] if better else view.library.sounding(word)
        better = better or max(spoken, key=lambda form: _products_of(view, form), default="")
    else:
        better, _ = _most_frequent(view, _homophones(word))
    if better:
        return better
    best = (_ALIKE if word.isascii() else _ALIKE_HAN, 0)
    nearest: str | None = None
    for written in view.library.nearest(word, _TRIES):
        tag = view.library.find(written)
        for name in view.library.names_of(tag) if tag else ():
            assert tag is not None
            form = fold(name).text
            rank = SequenceMatcher(None, form, word).ratio(), view.counts.get(tag.id, 0)
            if rank > best and _DIGITS.findall(form) == _DIGITS.findall(word):
                best, nearest = rank, name
    return nearest


def _products_of(view: View, name: str) -> int:
    tag = view.library.find(name)
    return view.counts.get(tag.id, 0) if tag else 0


def _most_frequent(view: View, words: Iterable[str]) -> tuple[str, int]:
    """The word that most products have, and how many; "" where none has any."""
    tried = sorted(words)
    hashes = hash_texts(tried)
    counts = np.zeros(len(tried), np.int64)
    for segment in view.segments if tried else ():
        if not len(segment.hashes):
            continue
        places = np.minimum(np.searchsorted(segment.hashes, hashes), len(segment.hashes) - 1)
        there = segment.hashes[places] == hashes
        counts += np.where(there, segment.starts[places + 1] - segment.starts[places], 0)
    best = int(counts.argmax()) if counts.any() else -1
    return (tried[best], int(counts[best])) if best >= 0 else ("", 0)


def _homophones(word: str) -> set[str]:
    """A Chinese word with one character replaced by another that sounds alike: 冰箱 of 冰厢."""
    if not 1 < len(word) <= _LONGEST_HEARD:
        return set()
    return {
        word[:i] + other + word[i + 1 :]
        for i, sign in enumerate(word)
        for other in same_sound(sign)
        if not _DIGITS.match(sign)
    }


def _edits(word: str) -> set[str]:
    """What one letter more, less, other or swapped makes of a word."""
    splits = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    fewer = {a + b[1:] for a, b in splits if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1}
    other = {a + c + b[1:] for a, b in splits if b for c in _LETTERS}
    more = {a + c + b for a, b in splits for c in _LETTERS}
    return (fewer | swapped | other | more) - {word}


def _starts(prefix: str) -> list[int]:
    """Where the part to be completed may begin: the whole, the last word, then in it."""
    last = max(prefix.rfind(" "), prefix.rfind("\u3000")) + 1
    starts = [0] if last == 0 else [0, last]
    inside = [i for i in range(last + 1, len(prefix)) if is_unspaced(prefix[i])]
    return [*starts, *inside[-_TRIES:]]
