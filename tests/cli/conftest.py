"""One workspace with the sample catalogue, trained and tagged once for all tests of commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from tests.cli.command import tagmill

CATALOGUE = Path(__file__).parents[2] / "examples" / "catalogue.jsonl"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and tagged workspace, only to be read; run 1 tagged what nobody had."""
    folder = tmp_path_factory.mktemp("shop") / "workspace"
    tagmill("init", folder)
    tagmill("catalog", "import", CATALOGUE, "-w", folder)
    tagmill("train", "-w", folder)
    tagmill("tag", "-w", folder)
    return folder


@pytest.fixture
def own_shop(shop: Path, tmp_path: Path) -> Path:
    """The same workspace as a copy that a test may change."""
    return shutil.copytree(shop, tmp_path / "workspace")


@pytest.fixture(scope="session")
def model(shop: Path) -> Path:
    """The folder of the trained model."""
    return shop / "models" / "0001"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A new workspace with the starter library and no products."""
    tagmill("init", tmp_path / "new")
    return tmp_path / "new"


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[[str, Iterable[Mapping[str, object]]], Path]:
    """Writes a JSON Lines file."""

    def write(name: str, rows: Iterable[Mapping[str, object]]) -> Path:
        path = tmp_path / name
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write
