"""One workspace with the sample catalogue, trained and tagged once for all tests of commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.command import tagmill
from tests.cli.samples import CATALOGUE


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
