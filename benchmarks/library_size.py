"""A library of a million tags: `python benchmarks/library_size.py [--tags 1000000] [--url URL]`.

Each tag has three names (Chinese, English, an alias), made of words of the starter library and a
number, in 50 facets. A workspace imports the file, a second file with 1% of the names changed, then
finds tags by name: from the loaded library and from the database. Every step runs in a process of
its own, whose peak memory it prints.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FACETS = 50
CHANGED = 0.01
LOOKED_UP = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tags", type=int, default=1_000_000)
    parser.add_argument("--url", help="SQLAlchemy URL of the workspace's database.")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        run_step(*options.step)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tags(folder / "first.csv", options.tags, 0.0)
        write_tags(folder / "second.csv", options.tags, CHANGED)
        tagmill("init", name, "--empty", *(["--database-url", options.url] if options.url else []))
        first = step("import", name, str(folder / "first.csv"))
        again = step("import", name, str(folder / "second.csv"))
        print(f"re-import of {CHANGED:.0%} changed: {again / first:.1%} of the first import's time")
        step("look up", name, str(options.tags))
        step("export", name, str(folder / "out.csv"))


def step(*arguments: str) -> float:
    """Run a step in a process of its own; its seconds."""
    command = [sys.executable, __file__, "--step", *arguments]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result = json.loads(out)
    print(
        f"{arguments[0]:<10} {result['seconds']:>8.1f} s   peak {result['peak'] / 1024:>6,.0f} MB"
        f"   {result['said']}",
        flush=True,
    )
    return float(result["seconds"])


def run_step(what: str, workspace: str, argument: str) -> None:
    start = time.perf_counter()
    if what == "import":
        said = tagmill("library", "import", argument, "-w", workspace)
    elif what == "export":
        said = tagmill("library", "export", argument, "-w", workspace)
    else:
        said = look_up(Path(workspace), int(argument))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak": peak, "said": said.strip()}))


def look_up(workspace: Path, tags: int) -> str:
    """Milliseconds for a name from the loaded library, and from the database."""
    from tagmill.library.stored import load_library
    from tagmill.settings import load_settings
    from tagmill.store import open_store

    settings = load_settings(workspace)
    with open_store(settings.database_url) as store:
        start = time.perf_counter()
        library = load_library(store)
        loading = time.perf_counter() - start
        choose = random.Random(1)
        names = [names_of(choose.randrange(tags)) for _ in range(LOOKED_UP)]
        start = time.perf_counter()
        found = sum(library.find(f"{facet}:{english.upper()}") is not None
                    for facet, _, english, _ in names)  # fmt: skip
        in_memory = (time.perf_counter() - start) / LOOKED_UP
        assert found >= LOOKED_UP * (1 - 2 * CHANGED), found
        start = time.perf_counter()
        for facet, chinese, _, _ in names[:1000]:
            assert store.library.find(facet, chinese)
        stored = (time.perf_counter() - start) / 1000
    return (
        f"loaded in {loading:.1f} s; {in_memory * 1e3:.4f} ms loaded, {stored * 1e3:.3f} ms stored"
    )


def names_of(number: int) -> tuple[str, str, str, str]:
    """Facet, Chinese name, English name and alias of a tag."""
    chinese, english = words()
    i, j = number % len(chinese), number // len(chinese) % len(chinese)
    return (
        f"f{number % FACETS:02}",
        f"{chinese[i]}{chinese[j]}{number}",
        f"{english[i]} {english[j]} {number}",
        f"{english[j]}-{number} {english[i]}",
    )


_words: tuple[list[str], list[str]] | None = None


def words() -> tuple[list[str], list[str]]:
    global _words
    if _words is None:
        from tagmill.library import starter_library

        tags = [tag for tag in starter_library().active() if tag.names.get("en")]
        _words = [tag.name for tag in tags], [tag.names["en"] for tag in tags]
    return _words


def write_tags(path: Path, tags: int, changed: float) -> None:
    choose = random.Random(2)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["facet", "name", "name_en", "aliases"])
        for number in range(tags):
            facet, chinese, english, alias = names_of(number)
            english += " new" if choose.random() < changed else ""
            writer.writerow([facet, chinese, english, alias])


def tagmill(*arguments: str) -> str:
    """Run a command in this process; what it said."""
    import contextlib
    import io

    from tagmill.cli import main as command

    out, sys.argv = io.StringIO(), ["tagmill", *arguments]
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            command()
        except SystemExit as ended:
            code = ended.code
    assert not code, out.getvalue()
    return out.getvalue()


if __name__ == "__main__":
    main()
