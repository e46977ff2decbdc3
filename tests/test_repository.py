"""What can be checked is not described: the file map, the error tree, the public names."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer import rich_utils

import tagmill
from tagmill import errors
from tagmill.chinese import ERRORS, in_chinese
from tagmill.cli import app
from tagmill.cli.help import HELP, chinese_pages
from tagmill.cli.messages import MESSAGES
from tagmill.errors import BudgetExceeded, MissingExtra, UnknownTag

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "tagmill"


def _map_of(readme: str) -> dict[str, str]:
    """Path → description of the file map, a tree drawn in the first `text` block of src/tagmill."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    block = next(b for b in re.findall(r"```text\n(.*?)```", text, re.S) if "src/tagmill/" in b)
    paths: dict[str, str] = {}
    for line in block.splitlines():
        found = re.match(r"(\s*)(\S+)\s{2,}(\S.*)", line)
        assert found, f"{readme}: '{line}' is not 'path  description'"
        parent = "src/tagmill/" if found[1] else ""
        paths[parent + found[2]] = found[3]
    return paths


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_file_map_is_the_tree(readme: str) -> None:
    mapped = _map_of(readme)
    expected = {
        f"src/tagmill/{p.name}{'/' if p.is_dir() else ''}"
        for p in PACKAGE.iterdir()
        if p.name not in ("__pycache__", "py.typed")
    }
    top = {
        f"{name}/"
        for name in subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split("\n")
        for name in [name.split("/")[0]]
        if (ROOT / name).is_dir() and not name.startswith(".") and name
    }
    expected |= {"src/tagmill/" if name == "src/" else name for name in top}
    assert set(mapped) == expected


def test_every_error_is_in_the_drawn_tree() -> None:
    drawing = inspect.getdoc(errors) or ""
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert set(errors.__all__) == set(classes)
    stack: list[str] = []
    drawn: dict[str, str | None] = {}
    for line in drawing.splitlines():
        found = re.match(r"([│├└─ ]*)([A-Z]\w+)", line)
        if found and found[2] in classes:
            depth = len(found[1]) // 4
            drawn[found[2]] = stack[depth - 1] if depth else None
            stack[depth:] = [found[2]]
    assert set(drawn) == set(classes)
    for name, parent in drawn.items():
        base = classes[name].__base__
        assert base is not None
        assert (parent or "Exception") == base.__name__


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_all_lists_what_the_module_binds(path: Path) -> None:
    bound: set[str] = set()
    listed: list[str] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bound.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names = (name for target in node.targets for name in ast.walk(target))
            targets = {name.id for name in names if isinstance(name, ast.Name)}
            bound |= targets
            if "__all__" in targets:
                listed = ast.literal_eval(node.value)
    assert set(listed) <= bound


@pytest.mark.parametrize(
    ("module", "light"),
    [("tagmill", ()), ("tagmill.cli", ("typer", "pydantic"))],  # a command loads what it needs
)
def test_importing_it_loads_nothing_heavy(module: str, light: tuple[str, ...]) -> None:
    heavy = ("numba", "scipy", "sklearn", "numpy", "pyarrow", "sqlalchemy", "aiohttp", "pandas",
             "typer", "pydantic")  # fmt: skip
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([name for name in heavy if name in light])


def test_only_settings_reads_the_environment() -> None:
    reading = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"os\.environ|os\.getenv", path.read_text(encoding="utf-8"))
    }
    assert reading == {"settings.py"}


def test_every_message_is_in_both_languages_with_the_same_values() -> None:
    for key, (english, chinese) in MESSAGES.items():
        assert english.strip()
        assert chinese.strip(), key
        fields = [sorted(re.findall(r"\{(\w+)", text)) for text in (english, chinese)]
        assert fields[0] == fields[1], key


def test_the_version_is_that_of_the_package() -> None:
    assert f'version = "{tagmill.__version__}"' in (ROOT / "pyproject.toml").read_text()


# What only a program can do wrong is said in English.
_FOR_ENGINEERS = {"catalog/memory.py", "tagging/model.py", "tagging/llm_fusion.py"}


def _raised() -> Iterator[str]:
    """The messages of all errors that the package raises, with a sign for each value."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if str(path.relative_to(PACKAGE)) in _FOR_ENGINEERS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id in errors.__all__ and node.func.id != "BadReply":
                message = _filled_in(node.args[0]) if node.args else ""
                if any(letter not in "¤:. '" for letter in message):  # not all of it a value
                    yield message


def _filled_in(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_filled_in, node.values))
    return "¤"


def test_every_error_has_a_chinese_form() -> None:
    messages = set(_raised()) - {"llm.gguf", "SKOS", "tagmill tune", "a PostgreSQL database",
                                 "Reading ¤", "tagmill serve"}  # fmt: skip # what needs an extra
    said = {message: in_chinese(message) for message in messages}
    assert [message for message, chinese in said.items() if message == chinese] == []
    for message, chinese in said.items():
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        assert chinese.count("¤") <= message.count("¤")
    missing = in_chinese(str(MissingExtra("SKOS", "rdflib", "exchange")))
    assert missing == "SKOS 需要 rdflib。安装：pip install 'tagmill[exchange]'"
    assert in_chinese(str(BudgetExceeded(1.5, 2))).startswith("预算 2 已用 1.5，")
    assert "相近的有：颜色:红色。" in in_chinese(str(UnknownTag("颜色:红", ("颜色:红色",))))
    hinted = "p.toml: unknown key 'rwo'. Did you mean 'row'? Known: row"
    assert in_chinese(hinted) == "p.toml：未知的键“rwo”。您是否指“row”？可选：row"
    wrong = "TAGMILL_PRIVACY__SEND: setting 'privacy.send' names 'titel', which is no field of a "
    wrong += "product. Did you mean 'title'? Write one of id, title, or one attribute as "
    wrong += "attributes.titel"
    assert in_chinese(wrong) == (
        "TAGMILL_PRIVACY__SEND：设置 privacy.send 中的“titel”不是商品字段。您是否指“title”？"
        "请写 id, title 之一，或把属性写作 attributes.titel"
    )
    decided = "Proposal 3 ('书籍') was rejected already by lin at 2026-12-01T10:20:01Z. "
    again = "To have the name after all: tagmill library add '品类:书籍'"
    assert in_chinese(decided + again) == (
        "提议 3（“书籍”）已由 lin 于 2026-12-01T10:20:01Z 拒绝。"
        "仍要这个名称：tagmill library add '品类:书籍'"
    )
    header = (
        "f.csv: no column 'facet' in the header (一级, 别名). Call the columns id (编号), unit "
    )
    assert in_chinese(header + "(单位), name_<language>, facet_<language>") == (
        "f.csv：表头（一级, 别名）中没有列“facet”。请把各列改名为 id (编号), unit (单位)"
        "、name_<语言>、facet_<语言>，其中的中文名也可以"
    )
    assert in_chinese("Nobody said: this before") == "Nobody said: this before"
    assert len(messages) > 150


def test_chinese_errors_use_all_values_once() -> None:
    for english, chinese in ERRORS.items():
        fields = [sorted(re.findall(r"\{(\d)\}", text)) for text in (english, chinese)]
        assert set(fields[1]) <= set(fields[0]), english
        assert fields[0] == [str(i) for i in range(len(fields[0]))], english


def _help_texts(command: Any) -> Iterator[str]:  # noqa: ANN401
    own = command.get_help_option(typer.Context(command))
    for holder in (command, own, *command.params):
        texts = (getattr(holder, name, None) for name in ("help", "short_help"))
        yield from (text for text in texts if text)
    for inner in getattr(command, "commands", {}).values():
        yield from _help_texts(inner)


def test_every_help_page_is_in_chinese_too() -> None:
    texts = set(_help_texts(typer.main.get_command(app)))
    assert len(texts) > 200
    assert texts ^ HELP.keys() == set()
    command = typer.main.get_command(app)
    with chinese_pages(command):
        assert rich_utils.OPTIONS_PANEL_TITLE == "选项"
    assert rich_utils.OPTIONS_PANEL_TITLE == "Options"
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in _help_texts(command))
