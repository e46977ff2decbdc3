"""The docs say what the code does."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from tagmill.library import starter_library
from tests.cli.command import tagmill

ROOT = Path(__file__).parent.parent


def test_help_pages_are_those_in_the_docs() -> None:
    spec = importlib.util.spec_from_file_location("write_cli", ROOT / "docs" / "write_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == module.help_pages(), "docs/cli.md is out of date: run `make docs`"


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda p: p.name
)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh-CN.md", "docs/guide.md", "docs/guide.zh-CN.md"]
)
def test_commands_in_the_docs_exist(page: str) -> None:
    """Every `tagmill verb [noun]` of a code block is a command, with options it has."""
    pages = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    helps = dict(re.findall(r"^## (tagmill[\w -]*)\n\n```text\n(.*?)```", pages, re.M | re.S))
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S))
    lines = [line for line in blocks.splitlines() if re.match(r"\s*(\.venv/bin/)?tagmill ", line)]
    assert lines
    for line in lines:
        words = line.split("#")[0].split("tagmill ", 1)[1].split()
        path = " ".join(["tagmill", *words[:2]])
        path = path if path in helps else " ".join(["tagmill", *words[:1]])
        assert path in helps, f"{page}: no such command: {line.strip()}"
        for option in re.findall(r"(?<=\s)(--?[a-z][\w-]*)", line.split("#")[0]):
            assert re.search(rf"{re.escape(option)}\b", helps[path]), f"{page}: {line.strip()}"


@pytest.mark.parametrize("page", ["docs/guide.md", "docs/guide.zh-CN.md"])
def test_what_the_guide_does_to_a_library_works(page: str, tmp_path: Path) -> None:
    """The commands on the starter library, one after the other, in a new workspace."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    starts = ("tagmill library list --facet", "tagmill library facet")
    wanted = [block for block in blocks if block.startswith(starts)]
    assert len(wanted) == len(starts)
    tagmill("init", tmp_path / "shop")
    source = tmp_path / "products.csv"
    source.write_text("id,title\n1,奶油白 连衣裙\n2,象牙白 衬衫 中国风\n", encoding="utf-8")
    tagmill("catalog", "import", source, "-w", tmp_path / "shop")
    tagmill("tag", "-w", tmp_path / "shop")
    for line in "".join(wanted).splitlines():
        words = shlex.split(line.split("#")[0])
        tagmill(*words[1:], cwd=tmp_path / "shop")


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_size_of_the_starter_library_is_as_stated(page: str) -> None:
    library = starter_library()
    text = (ROOT / page).read_text(encoding="utf-8")
    stated = re.search(r"([\d,]+)(?: tags, | 个标签、)(\d+)", text)
    assert stated is not None
    assert int(stated[1].replace(",", "")) == len(library.tags)
    assert int(stated[2]) == len(library.facets)
