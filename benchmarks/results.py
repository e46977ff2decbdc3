"""What the parts measured, as JSON under build/benchmarks: one file a part, one entry a key."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "build" / "benchmarks"


def load(part: str) -> dict[str, Any]:
    """The entries of a part; none where it was not run."""
    path = FOLDER / f"{part}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def keep(part: str, key: str, entry: dict[str, Any], *, is_quick: bool) -> None:
    """Store one entry at once, so that what comes after it may fail or be run alone."""
    entries = load(part)
    entries[key] = {"when": time.strftime("%Y-%m-%d"), "quick": is_quick, **entry}
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps(entries, ensure_ascii=False, indent=1)
    (FOLDER / f"{part}.json").write_text(text + "\n", "utf-8")


def machine() -> str:
    """The machine in a line."""
    import os

    import tagmill

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores, {memory:.0f} GB, {platform.machine()} {platform.system()}, "
        f"Python {python}, tagmill {tagmill.__version__}"
    )
