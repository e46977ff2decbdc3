"""Peers that need other versions of packages than tagmill: each in an environment of its own.

    python benchmarks/environments.py [pecos] [annif]      # make them beforehand

They are made on demand under build/environments and talk over pickled files.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
# pip install arguments, one call each. PECOS names torch, which its linear models never import.
PACKAGES = {
    "pecos": (
        ("--no-deps", "libpecos==1.2.7"),
        ("numpy==1.26.4", "scipy==1.13.1", "scikit-learn==1.5.2"),
    ),
    "annif": (("annif[omikuji]==1.4.3", "pyarrow"),),
}


class Unavailable(Exception):
    """A peer cannot run here; the message says why."""


def python_of(name: str) -> Path:
    """The Python of an environment, made if it is not there. Raises Unavailable."""
    folder = ROOT / "build" / "environments" / name
    python = folder / "bin" / "python"
    complete = folder / "installed"
    if not complete.exists():
        venv.create(folder, with_pip=True, clear=True)
        for arguments in PACKAGES[name]:
            command = [str(python), "-m", "pip", "install", "--quiet", *arguments]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                reason = [line for line in done.stderr.splitlines() if "ERROR" in line]
                raise Unavailable(f"{name} cannot be installed: {(reason or ['pip failed'])[0]}")
        complete.touch()
    return python


class Worker:
    """`benchmarks/NAME_worker.py` in its own environment: pickled calls over pipes."""

    def __init__(self, name: str) -> None:
        script = Path(__file__).with_name(f"{name}_worker.py")
        self._name = name
        self._process = subprocess.Popen(
            [str(python_of(name)), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def call(self, function: str, **arguments: Any) -> Any:  # noqa: ANN401
        """What the worker's function returns. Raises Unavailable where it fails."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            pickle.dump((function, arguments), stdin, protocol=4)
            stdin.flush()
            answer, error = pickle.load(stdout)
        except (BrokenPipeError, EOFError) as failure:
            raise Unavailable(f"{self._name} ended in {function}") from failure
        if error:
            raise Unavailable(f"{self._name} failed in {function}: {error}")
        return answer

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self._process.kill()
            self._process.wait()


def main() -> None:
    for name in sys.argv[1:] or PACKAGES:
        try:
            print(name, python_of(name))
        except Unavailable as reason:
            print(reason)


if __name__ == "__main__":
    main()
