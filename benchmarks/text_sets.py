"""Train, tag and evaluate on every text set of the benchmark data, one command each.

    python benchmarks/text_sets.py [SET …]    # default: all eight

Prints the commands' own numbers as one Markdown row a set, beside the lexicon baseline.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from data import TEXT_SETS, bench_data

COLUMNS = (
    "p_at_1", "p_at_5", "r_at_5", "ndcg_at_5", "micro_f1", "macro_f1", "coverage_at_095",
    "achieved_precision_at_095", "ece",
)  # fmt: skip


def tagmill(*arguments: str) -> tuple[str, float]:
    """Output and seconds of one command."""
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("tagmill")), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout, time.perf_counter() - started


def main() -> None:
    data = bench_data()
    print("| set | " + " | ".join(COLUMNS) + " | train s | tag s (docs/s) | lexicon P@1 |")
    print("|---" * (len(COLUMNS) + 4) + "|")
    for name in sys.argv[1:] or TEXT_SETS:
        train, test = str(data / name / "train.jsonl"), str(data / name / "test.jsonl")
        with tempfile.TemporaryDirectory() as folder:
            model, out = f"{folder}/model", f"{folder}/out.jsonl"
            _, train_seconds = tagmill("train", "--from", train, "-o", model)
            _, tag_seconds = tagmill(
                "tag", test, "--model", model, "--top-k", "10", "--lane", "all", "-o", out
            )
            lines = len(Path(out).read_text(encoding="utf-8").splitlines())
            report = json.loads(tagmill("evaluate", test, "--model", model, "--json")[0])
        values = ["–" if report[c] is None else f"{report[c]:.3f}" for c in COLUMNS]
        print(
            f"| {name} | {' | '.join(values)} | {train_seconds:.1f} | "
            f"{tag_seconds:.1f} ({lines / tag_seconds:,.0f}) | "
            f"{report['baseline']['p_at_1']:.3f} |",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nPeak memory of a command: {peak:,.0f} MB")


if __name__ == "__main__":
    main()
