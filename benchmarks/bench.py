"""All benchmarks, or some, and the page of their results.

    python benchmarks/bench.py [accuracy lanes diversity routing distil speed training growth
                                learning search search_speed freshness recommendation
                                recommendation_speed]
                               [--quick] [--sets en_ae110k …]

Each part keeps its numbers in build/benchmarks; docs/benchmarks.md and its plots are then written
from all that is there (`python benchmarks/write_docs.py` writes them again), the sections of other
parts left as they stand. `--quick` takes two small sets, fewer peers and fewer rows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import accuracy
import distilling
import diversity
import growth
import lanes
import learning
import results
import routing
import speed
import training
import write_docs
from data import ROUTED_SETS, SMALL_SETS, TEXT_SETS

Part = Callable[..., None]


def script(name: str, quick: tuple[str, ...]) -> Part:
    """A benchmark that is a process of its own, as it measures its memory."""

    def run(sets: list[str], *, is_quick: bool) -> None:
        del sets
        path = str(Path(__file__).with_name(f"{name}.py"))
        subprocess.run([sys.executable, path, *(quick if is_quick else ())], check=True)

    return run


PARTS: dict[str, Part] = {
    "accuracy": accuracy.run,
    "lanes": lanes.run,
    "diversity": diversity.run,
    "routing": routing.run,
    "distil": distilling.run,
    "speed": speed.run,
    "training": training.run,
    "growth": growth.run,
    "learning": learning.run,
    "search": script("search_quality", ("--sets", "en_fashion_styles")),
    "search_speed": script("search_speed", ("--products", "100000")),
    "freshness": script("freshness", ("--products", "100000")),
    "recommendation": script("recommendation", ("--seeds", "1")),
    "recommendation_speed": script("recommendation_speed", ("--products", "30000")),
}
# Sets each part takes where none are named; the other parts have theirs.
SETS = {
    "accuracy": TEXT_SETS, "lanes": SMALL_SETS, "diversity": SMALL_SETS,
    "routing": ROUTED_SETS, "distil": ("en_implicit_attributes",), "learning": SMALL_SETS,
}  # fmt: skip
QUICK_SETS = {
    "accuracy": ("en_ae110k", "en_fashion_styles"),
    "lanes": ("en_ae110k",),
    "diversity": ("en_ae110k",),
    "routing": ("en_ae110k",),
    "distil": ("en_ae110k",),
    "learning": ("en_ae110k",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sets", nargs="+", choices=TEXT_SETS)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}. Known: {', '.join(PARTS)}")
    chosen = QUICK_SETS if options.quick else SETS
    failed = []
    for name in options.parts or PARTS:
        print(f"== {name}", flush=True)
        start = time.perf_counter()
        try:
            PARTS[name](list(options.sets or chosen.get(name, ())), is_quick=options.quick)
        except Exception:  # an hour's run does not end because one part of it did
            traceback.print_exc()
            failed.append(name)
        print(f"== {name}: {time.perf_counter() - start:.0f} s", flush=True)
    load = f"load {os.getloadavg()[1]:.1f} in the last five minutes"
    results.keep("machine", "machine", {"text": results.machine(), "load": load}, is_quick=False)
    print(f"wrote {write_docs.write()}")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
