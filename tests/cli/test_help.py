"""Help pages and usage errors, in the language of the terminal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tagmill.chinese import in_chinese
from tagmill.cli.help import USAGE


def _run(*arguments: str, language: str = "zh") -> tuple[int, str, str]:
    environment = {**os.environ, "TAGMILL_LANG": language, "COLUMNS": "80", "TERM": "dumb"}
    command = [sys.executable, "-m", "tagmill", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout, done.stderr


def test_a_page_is_whole_in_a_narrow_terminal() -> None:
    code, page, _ = _run("tag", "--help")
    assert code == 0
    told = "".join(line.strip("│╭╮╰╯─ ").rsplit("  ", 1)[-1] for line in page.splitlines())
    assert "不提议标签库中没有的名称。" in told
    assert "[默认：.]" in told
    assert "选项" in page


def test_what_is_refused_and_how_it_ends() -> None:
    assert _run("--version")[:2] == (0, "0.1.0\n")
    code, _, told = _run("library", "lst")
    assert code == 2
    assert "没有命令“lst”。您是否指 'list'？" in told
    code, page, _ = _run()
    assert code == 2
    assert "命令" in page
    code, _, told = _run("tag", "nowhere.csv")
    assert (code, told) == (1, "tagmill: 没有文件 nowhere.csv\n")
    code, _, told = _run("library", "lst", language="en")
    assert code == 2
    assert "No such command 'lst'" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "x", "--limit", "0"], "“--limit”的值无效：应大于或等于 1"),
        (["search", "x", "--limit", "2000"], "“--limit”的值无效：应小于或等于 1000"),
        (["search", "x", "--limit", "a"], "“--limit”的值无效：应为整数"),
        (["tune", "--minutes", "x"], "“--minutes”的值无效：应为数字"),
        (["backup", "a", "b"], "多余的参数（b）"),
        (["library", "merge", "a"], "缺少参数“TARGET”。"),
        (["tag", "--model"], "选项“--model”需要一个值。"),
        (["tag", "--json=1"], "选项“--json”不带值。"),
        (["tag", "--nowhere"], "没有选项 --nowhere"),
    ],
)
def test_usage_errors_of_the_parser_have_their_form(arguments: list[str], said: str) -> None:
    from typer.main import get_command

    from tagmill.cli import app

    command = get_command(app)
    with pytest.raises(Exception) as refused:  # noqa: PT011  (its class is Typer's own)
        command.main(arguments, standalone_mode=False)
    assert in_chinese(refused.value.format_message(), USAGE) == said  # type: ignore[attr-defined]
