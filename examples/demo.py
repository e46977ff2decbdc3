"""`make demo`: a catalogue in a database, tagged end to end, in a fresh folder.

Every step is the `tagmill` command a user would type; this script only makes the shop's database
out of `catalogue.jsonl`, runs the commands, and says what each is for.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
DEMO = HERE.parent / "demo"
SMALL_MODEL = HERE.parent / "tests" / "data" / "small-model.gguf"
TAGMILL = Path(sys.executable).with_name("tagmill")
# The worked example first (高清液晶电视，4K分辨率，HDR功能); nobody has tagged any of these.
SHOWN = ("el-0166", "el-0098", "fa-0020", "fa-0066", "ho-0040", "ho-0097")


def make_shop(path: Path) -> None:
    """A shop's own database, with its own column names."""
    rows = []
    for line in (HERE / "catalogue.jsonl").read_text(encoding="utf-8").splitlines():
        product = json.loads(line)
        attributes = product.get("attributes")
        tags = product.get("tags")
        rows.append(
            (
                product["id"], product["title"], product.get("description"),
                product.get("category"),
                json.dumps(attributes, ensure_ascii=False) if attributes else None,
                product["numbers"]["price"],
                json.dumps(tags, ensure_ascii=False) if tags is not None else None,
            )
        )  # fmt: skip
    with sqlite3.connect(path) as shop:
        shop.execute(
            "CREATE TABLE products (sku TEXT PRIMARY KEY, product_name TEXT, details TEXT, "
            "category TEXT, attributes TEXT, sale_price REAL, merchandiser_tags TEXT)"
        )
        shop.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def run(what: str, *arguments: str, check: bool = True) -> None:
    """Print a command and what it is for, and run it; with `check` it must end well."""
    shown = " ".join(f"'{a}'" if any(c in a for c in " ，*") else a for a in arguments)
    print(f"\n# {what}\n$ tagmill {shown}", flush=True)
    subprocess.run([str(TAGMILL), *arguments], cwd=DEMO, check=check)


def ask_large_model(*workspace: str) -> None:
    """The steps with a large language model: a small stand-in, run by llama.cpp in this process."""
    if importlib.util.find_spec("xllamacpp") is None or not SMALL_MODEL.is_file():
        print("\n(Large language models left out: pip install 'tagmill[local]' runs one here.)")
        return
    print(
        "\nNow with a large language model. The one here is a stand-in of 1.35 million parameters, "
        "made for tests:\nit shows that the way works; its answers are worth nothing."
    )
    model = ("--llm-model", os.path.relpath(SMALL_MODEL, DEMO))
    lines = (HERE / "catalogue.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    new = [line for line in lines if json.loads(line).get("tags") is None]
    (DEMO / "new.jsonl").write_text("".join(new), encoding="utf-8")
    trained = ("--model", "workspace/models/0001")
    run("What it honours, found out by trying", "llm", "check", *model)
    share = ("--llm-share", "0.1")
    run("What asking about a tenth of the new products will cost", "plan", "new.jsonl", *trained,
        *share, *model)  # fmt: skip
    run("Ask about the tenth where it should pay; the engine decides the rest", "tag", "new.jsonl",
        "--llm", "cascade", *share, "-o", "tags.jsonl", *trained, *model, check=False)  # fmt: skip
    run("A fuller description, every sentence checked", "describe", SHOWN[0], *model, *workspace,
        check=False)  # fmt: skip


def main() -> None:
    started = time.monotonic()
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    make_shop(DEMO / "shop.db")
    run("A workspace: settings, a database, the starter library", "init", "workspace")
    settings = DEMO / "workspace" / "tagmill.toml"
    text = settings.read_text(encoding="utf-8")
    columns = {
        "id": "sku", "title": "product_name", "description": "details",
        "numbers.price": "sale_price", "tags": "merchandiser_tags",
    }  # fmt: skip
    names = "".join(f'"{ours}" = "{theirs}"\n' for ours, theirs in columns.items())
    settings.write_text(text.replace("[catalog.map]\n", "[catalog.map]\n" + names), "utf-8")
    workspace = ("-w", "workspace")
    run(
        "The products, out of the shop's own database (its column names are in tagmill.toml)",
        "catalog", "import", "sqlite:///shop.db", "--table", "products", *workspace,
    )  # fmt: skip
    run("Learn from the products a merchandiser has tagged", "train", *workspace)
    run("Tag what is not tagged yet; the tags are stored as a run", "tag", *workspace)
    run(
        "What it made of the worked example and of some others",
        "products", "list", *SHOWN, *workspace,
    )  # fmt: skip
    run("How good it is, on products the model has not seen", "evaluate", *workspace)
    ask_large_model(*workspace)
    run(
        "What a person decides next: the most uncertain tags",
        "review",
        "list",
        "--limit",
        "5",
        *workspace,
    )
    run("Search by words and tags, in any language", "search", "tv 4k", "--limit", "3", *workspace)
    run("And by what they cost", "search", "连衣裙 100到250元", "--sort", "price", "--limit", "3",
        *workspace)  # fmt: skip
    run("What people did, in a file", "events", "import", "../examples/events.csv", *workspace)
    run("What one of them may like, and why", "recommend", "--user", "lin", "--limit", "4",
        *workspace)  # fmt: skip
    print(
        f"\nDone in {time.monotonic() - started:.0f} s. Next:\n"
        "  cd demo/workspace\n"
        "  tagmill review accept PRODUCT TAG      your verdict; no run takes it back\n"
        "  tagmill products show el-0001          one product with its tags and evidence\n"
        "  tagmill export -o tags.parquet         the stored tags\n"
        "  tagmill runs list                      and: tagmill runs undo 1\n"
        "  tagmill recommend --product el-0028    what goes with a product\n"
        "  tagmill library duplicates             tags that mean the same\n"
        "  tagmill serve                          search and recommendation on a page\n"
        "(the command is .venv/bin/tagmill)"
    )


if __name__ == "__main__":
    main()
