"""A trie of texts by code point, its edges in one hash table; walked by kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from tagmill.kernels import kernel

__all__ = ["Edges", "build_trie", "code_points", "follow", "hash_points", "hash_texts", "look_up"]

# An edge `node << 21 | code point` (-1: a free place) leads to a node, and a text with a value
# may end there (-1: none). Node 0 is the root.
_EDGE = np.dtype([("key", np.int64), ("node", np.int32), ("value", np.int32)])
Edges = npt.NDArray[np.void]  # of _EDGE, a hash table with open addressing

_CODE_BITS = 21
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def build_trie(texts: Sequence[str], values: Sequence[int]) -> Edges:
    """The trie of distinct texts, each with its value, ≥ 0."""
    points, places = code_points(texts)
    edges = np.zeros(1 << (2 * len(points) + 1).bit_length(), _EDGE)
    edges["key"] = edges["value"] = -1
    _insert(edges, points, places, np.array(values, np.int32))
    return edges


def code_points(texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Code points of all texts, and the place of each text in them (len(texts) + 1,)."""
    places = np.zeros(len(texts) + 1, np.int32)
    np.cumsum([len(text) for text in texts], out=places[1:])
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(encoded, np.int32).copy(), places


@numba.njit(nogil=True)
def follow(edges, node, point):  # type: ignore[no-untyped-def]
    """The place of the edge from a node by a code point, or the free place where it would be."""
    key = (np.int64(node) << _CODE_BITS) | np.int64(point)
    mask = len(edges) - 1
    place = np.int64((np.uint64(key) * _MULTIPLIER) >> _HALF) & mask
    while edges[place].key != key and edges[place].key != -1:
        place = (place + 1) & mask
    return place


@kernel
def _insert(edges, points, places, values):  # type: ignore[no-untyped-def]
    used = 1
    for text in range(len(values)):
        node, place = np.int32(0), np.int64(0)
        for i in range(places[text], places[text + 1]):
            place = follow(edges, node, points[i])
            if edges[place].key == -1:
                edges[place].key = (np.int64(node) << _CODE_BITS) | np.int64(points[i])
                edges[place].node = used
                used += 1
            node = edges[place].node
        if node:
            edges[place].value = values[text]


@numba.njit(nogil=True)
def look_up(edges, points, start, end):  # type: ignore[no-untyped-def]
    """The value of the text that `points[start:end]` is; -1: of none."""
    node, value = np.int32(0), np.int32(-1)
    for i in range(start, end):
        place = follow(edges, node, points[i])
        node, value = edges[place].node, edges[place].value
        if edges[place].key == -1:
            return np.int32(-1)
    return value


def hash_texts(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """A hash of each text as it is spelled."""
    points, places = code_points(texts)
    hashes: npt.NDArray[np.uint64] = _hash_all(points, places)
    return hashes


@kernel
def _hash_all(points, places):  # type: ignore[no-untyped-def]
    out = np.empty(len(places) - 1, np.uint64)
    for text in range(len(out)):
        out[text] = hash_points(points, places[text], places[text + 1])
    return out


@numba.njit(nogil=True)
def hash_points(points, start, end):  # type: ignore[no-untyped-def]
    """A hash of the code points `points[start:end]` (FNV-1a by code point)."""
    value = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        value = (value ^ np.uint64(points[i])) * np.uint64(0x100000001B3)
    return value
