"""The other end of `environments.Worker`: answers pickled calls. Runs under older packages too."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from typing import Any


def serve(functions: dict[str, Callable[..., Any]]) -> None:
    """Answer calls from stdin until it ends; what the functions print goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            name, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = (functions[name](**arguments), "")
        except Exception as error:  # the caller shows it in the table
            answer = (None, f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers, protocol=4)
        answers.flush()
