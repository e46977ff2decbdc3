from __future__ import annotations

import tomllib
from pathlib import Path

from tests.cli.command import refusal, tagmill
from tests.cli.samples import TELEVISION, write_lines


def test_init_makes_a_workspace(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    made = tagmill("init", folder, "--json").json()
    assert made == {"workspace": str(folder), "tags": made["tags"]}
    assert made["tags"] >= 800
    assert {path.name for path in folder.iterdir()} == {"tagmill.toml", "tagmill.db"}
    settings = tomllib.loads((folder / "tagmill.toml").read_text(encoding="utf-8"))
    assert settings["database"]["url"] == "sqlite:///tagmill.db"
    assert settings["tagging"] == {"precision": 0.95, "top_k": 10, "language": "product"}


def test_init_here_and_says_what_comes_next(tmp_path: Path) -> None:
    done = tagmill("init", cwd=tmp_path)
    assert "tagmill catalog import" in done.out
    assert (tmp_path / "tagmill.toml").is_file()


def test_init_without_the_starter_library(tmp_path: Path) -> None:
    assert tagmill("init", tmp_path / "shop", "--empty", "--json").json()["tags"] == 0
    assert tagmill("library", "list", "-w", tmp_path / "shop", "--json").json() == []


def test_init_leaves_a_workspace_alone(workspace: Path) -> None:
    before = (workspace / "tagmill.toml").read_bytes()
    assert "is there already" in refusal("init", workspace)
    assert (workspace / "tagmill.toml").read_bytes() == before


def test_init_makes_the_missing_database_of_a_workspace(workspace: Path, postgres_url: str) -> None:
    database, settings = workspace / "tagmill.db", workspace / "tagmill.toml"
    for stale in workspace.glob("tagmill.db*"):
        stale.unlink()
    assert "put a backup in its place" in refusal("tag", "-w", workspace)
    said = refusal("init", workspace, "--database-url", postgres_url)
    assert "names the database" in said
    assert tagmill("init", workspace, "--json").json()["tags"] > 800
    assert database.is_file()
    text = settings.read_text("utf-8").replace("sqlite:///tagmill.db", postgres_url)
    settings.write_text(text, "utf-8")
    assert "Make one with: tagmill init" in refusal("tag", "-w", workspace)
    assert tagmill("init", workspace, "--empty", "--json").json()["tags"] == 0
    assert tagmill("products", "list", "-w", workspace, "--json").json() == []
    assert "is there already" in refusal("init", workspace)
    assert settings.read_text("utf-8") == text


def test_init_that_fails_leaves_no_workspace(tmp_path: Path) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/shop"
    assert "127.0.0.1:1" in refusal("init", tmp_path / "shop", "--database-url", url)
    assert not (tmp_path / "shop" / "tagmill.toml").exists()


def test_a_backup_is_a_whole_database(own_shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    done = tagmill("backup", copy, "-w", own_shop, "--json").json()
    assert done == {"backup": str(copy), "bytes": copy.stat().st_size}
    listing = ("products", "list", "--limit", 999, "-w", own_shop, "--json")
    before = tagmill(*listing).json()
    tagmill("runs", "undo", 1, "-w", own_shop)
    assert tagmill(*listing).json() != before
    for stale in own_shop.glob("tagmill.db*"):
        stale.unlink()
    copy.rename(own_shop / "tagmill.db")
    assert tagmill(*listing).json() == before


def test_a_backup_replaces_nothing(workspace: Path, tmp_path: Path) -> None:
    there = write_lines(tmp_path / "there.db", [TELEVISION])
    before = there.read_bytes()
    assert "is there already" in refusal("backup", there, "-w", workspace)
    assert there.read_bytes() == before
    assert tagmill("backup", tmp_path / "new.db", "-w", workspace).out == ""


def test_a_backup_says_that_models_are_apart(workspace: Path, tmp_path: Path) -> None:
    assert "as well" not in tagmill("backup", tmp_path / "one.db", "-w", workspace).err
    (workspace / "models").mkdir()
    said = tagmill("backup", tmp_path / "two.db", "-w", workspace).err
    assert f"copy {workspace / 'models'} as well" in said
