"""`make demo`: a catalogue in a database, tagged end to end, in a fresh folder.

Every step is the `tagmill` command a user would type; this script only makes the shop's database
out of `catalogue.jsonl`, runs the commands, and says what each is for.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
DEMO = HERE.parent / "demo"
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
                json.dumps(tags, ensure_ascii=False) if tags is not None else None,
            )
        )  # fmt: skip
    with sqlite3.connect(path) as shop:
        shop.execute(
            "CREATE TABLE products (sku TEXT PRIMARY KEY, product_name TEXT, details TEXT, "
            "category TEXT, attributes TEXT, merchandiser_tags TEXT)"
        )
        shop.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?, ?)", rows)


def run(what: str, *arguments: str) -> None:
    """Print a command and what it is for, and run it in the workspace."""
    shown = " ".join(f"'{a}'" if any(c in a for c in " ，*") else a for a in arguments)
    print(f"\n# {what}\n$ tagmill {shown}", flush=True)
    subprocess.run([str(TAGMILL), *arguments], cwd=DEMO, check=True)


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
        "tags": "merchandiser_tags",
    }  # fmt: skip
    names = "".join(f'{ours} = "{theirs}"\n' for ours, theirs in columns.items())
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
    run(
        "What a person decides next: the most uncertain tags",
        "review",
        "list",
        "--limit",
        "5",
        *workspace,
    )
    print(
        f"\nDone in {time.monotonic() - started:.0f} s. Next:\n"
        "  cd demo/workspace\n"
        "  tagmill review accept PRODUCT TAG      your verdict; no run takes it back\n"
        "  tagmill products show el-0001          one product with its tags and evidence\n"
        "  tagmill export -o tags.parquet         the stored tags\n"
        "  tagmill runs list                      and: tagmill runs undo 1\n"
        "(the command is .venv/bin/tagmill)"
    )


if __name__ == "__main__":
    main()
