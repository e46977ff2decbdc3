"""Which ids were seen before, in 8 bytes an id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["SeenIds"]


class SeenIds:
    """A set of 64-bit hashes of ids, kept as a few sorted arrays of doubling length.

    Two different ids are taken for one with probability n² / 2⁶⁵: 3 in 10⁸ for a million ids.
    """

    def __init__(self) -> None:
        self._runs: list[npt.NDArray[np.int64]] = []  # each at least twice as long as the next

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, ids: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Remember ids; True for each that was there before, in this call or an earlier one."""
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        if len(hashes) == 1 and not self._runs:  # a product asked about alone
            self._runs.append(hashes)
            return np.zeros(1, bool)
        ordered = np.sort(hashes)
        if not (ordered[1:] == ordered[:-1]).any() and not self._holds(ordered).any():
            self._insert(ordered)
            return np.zeros(len(hashes), bool)
        distinct, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        known = self._holds(distinct)
        repeated = np.ones(len(hashes), bool)
        repeated[first] = False
        repeated |= known[inverse]
        self._insert(distinct[~known])
        return repeated

    def _holds(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(hashes), bool)
        for run in self._runs:
            places = np.searchsorted(run, hashes)
            places[places == len(run)] = 0
            found |= run[places] == hashes
        return found

    def _insert(self, run: npt.NDArray[np.int64]) -> None:
        """Keep a sorted run; merging only runs of like length makes n inserts cost n log n."""
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.concatenate([self._runs.pop(), run])
            run.sort(kind="stable")
        if len(run):
            self._runs.append(run)
