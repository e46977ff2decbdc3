"""Where the benchmark data lies: `TAGMILL_BENCH_DATA`, default `../shared/data`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TEXT_SETS = (
    "zh_shopping_queries", "zh_news", "en_implicit_attributes", "en_ae110k", "en_oamine",
    "en_fashion_styles", "en_talks", "en_voice",
)  # fmt: skip


def bench_data() -> Path:
    """The folder with the benchmark sets; ends the program with a clear message if it is absent."""
    default = Path(__file__).parent.parent / ".." / "shared" / "data"
    folder = Path(os.environ.get("TAGMILL_BENCH_DATA", default))
    if not folder.is_dir():
        print(
            f"No benchmark data at {folder}. Set TAGMILL_BENCH_DATA to its folder", file=sys.stderr
        )
        sys.exit(0)
    return folder
