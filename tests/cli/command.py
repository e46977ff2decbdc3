"""The `tagmill` command, run in this process for speed or in one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import tagmill as tagmill_package
from tagmill.cli import main
from tagmill.settings import interface_language

# What the installed `tagmill` script does, without an installation.
PROGRAM = (sys.executable, "-c", "from tagmill.cli import main; main()")


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote where."""

    code: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401
        """Standard output as one strict JSON document."""
        return json.loads(self.out, parse_constant=_refuse)


def tagmill(
    *arguments: object, code: int = 0, cwd: Path | None = None, language: str = "en"
) -> Done:
    """Run a command in this process; it must end with `code`."""
    out, err = _stream(), _stream()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        interface(patch, language),
    ):
        patch.setattr(sys, "argv", ["tagmill", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    number = ended.value.code or 0
    done = Done(int(number), _written(out), _written(err))
    assert done.code == code, f"exit code {done.code}, not {code}\n{done.out}\n{done.err}"
    return done


def refusal(*arguments: object, cwd: Path | None = None) -> str:
    """The one line on stderr of a command that must fail with exit code 1 and print no result."""
    return check_refusal(tagmill(*arguments, code=1, cwd=cwd))


def check_refusal(done: Done) -> str:
    """The one line of a failed command, without its prefix."""
    assert done.code == 1
    assert done.out == ""
    lines = done.err.splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("tagmill: ")
    return lines[0].removeprefix("tagmill: ")


def tagmill_process(*arguments: object, cwd: Path) -> Done:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [*PROGRAM, *(str(argument) for argument in arguments)],
        cwd=cwd, env=process_environment(), capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def start_process(*arguments: object, cwd: Path) -> subprocess.Popen[bytes]:
    """Start a command as a process of its own, its output unread."""
    return subprocess.Popen(
        [*PROGRAM, *(str(argument) for argument in arguments)],
        cwd=cwd, env=process_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def process_environment() -> dict[str, str]:
    """This environment with this tagmill, and English messages in UTF-8."""
    paths = [str(Path(tagmill_package.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TAGMILL_LANG": "en",
        "PYTHONIOENCODING": "utf-8",
    }


@contextlib.contextmanager
def interface(patch: pytest.MonkeyPatch, language: str) -> Iterator[None]:
    patch.setenv("TAGMILL_LANG", language)
    interface_language.cache_clear()
    try:
        yield
    finally:
        interface_language.cache_clear()


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
