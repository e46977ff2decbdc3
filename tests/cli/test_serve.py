from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.command import PROGRAM, refusal, tagmill


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    tagmill("init", tmp_path)
    (tmp_path / "p.csv").write_text("id,title\n1,红色连衣裙\n2,蓝色手提包\n", "utf-8")
    tagmill("catalog", "import", tmp_path / "p.csv", "-w", tmp_path)
    return tmp_path


@pytest.mark.parametrize("stopped_by", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_stopped(shop: Path, stopped_by: signal.Signals) -> None:
    arguments = (*PROGRAM, "serve", "--port", "0", "-w", str(shop))
    with subprocess.Popen(
        arguments, stderr=subprocess.PIPE, text=True, env={**os.environ, "TAGMILL_LANG": "en"}
    ) as running:
        try:
            assert running.stderr is not None
            said = running.stderr.readline()
            found = re.fullmatch(r"Serving 2 products at (http://127.0.0.1:\d+)\..*\n", said)
            assert found, said
            with urllib.request.urlopen(f"{found[1]}/v1/search?q=red", timeout=20) as answer:
                assert [hit["id"] for hit in json.load(answer)["hits"]] == ["1"]
            running.send_signal(stopped_by)
            assert running.wait(20) == 0
            assert running.stderr.read() == ""
        finally:
            running.kill()


def test_who_may_reach_it(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal("serve", "--host", "0.0.0.0", "--port", "0", "-w", shop)
    assert said.startswith("0.0.0.0 can be reached from other machines")
    monkeypatch.setenv("TAGMILL_SERVE__KEY", "two\nlines")
    said = refusal("serve", "--port", "0", "-w", shop)
    assert "'serve.key' is more than one line" in said
    assert "two" not in said


def test_without_its_extra_it_says_what_to_install(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("tagmill.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert refusal("serve", "-w", shop) == (
        "tagmill serve needs fastapi. Install with: pip install 'tagmill[serve]'"
    )
