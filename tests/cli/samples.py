"""Products for the tests of commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CATALOGUE = Path(__file__).parents[2] / "examples" / "catalogue.jsonl"

DRESS = {"id": "d1", "title": "红色真丝连衣裙", "attributes": {"季节": "夏季"}}
SHIRT = {"id": "s1", "title": "Blue cotton shirt", "description": "Long sleeve, machine washable"}
TELEVISION = {"id": "t1", "title": "65英寸4K液晶电视"}
NOTHING = {"id": "n1", "title": "qwertz"}


def catalogue_rows() -> list[dict[str, Any]]:
    """The rows of the sample catalogue."""
    text = CATALOGUE.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a JSON Lines file."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path
