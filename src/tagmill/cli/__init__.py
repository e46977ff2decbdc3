"""The command line: verbs for jobs, nouns for what is governed.

A command parses, calls one function and prints. Results go to stdout, progress and messages to
stderr; exit code 0 is success, 1 an error of ours in one line, 2 wrong usage.
"""

from __future__ import annotations

import gc
import signal
import sys

import typer

from tagmill.cli.app import app
from tagmill.errors import TagmillError
from tagmill.settings import interface_language

__all__ = ["app", "main"]


def main() -> None:
    """The `tagmill` command."""
    gc.freeze()  # modules stay as long as the process: looking through them for garbage is in vain
    gc.set_threshold(500_000, 50, 50)  # so do a million tags, and nothing of ours goes in circles
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped as by Ctrl-C: tidily
    try:
        if interface_language() == "zh":
            from tagmill.cli.help import run_in_chinese

            run_in_chinese(app)
        app()
    except TagmillError as error:
        from tagmill.chinese import say_error

        typer.echo(f"tagmill: {say_error(error)}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, SystemError) as error:
        if not _is_stopped(error):
            raise
        from tagmill.cli.messages import say

        typer.echo(f"tagmill: {say('stopped')}", err=True)
        sys.exit(130)
    except UnicodeEncodeError as error:
        if "surrogates" not in error.reason:
            raise
        from tagmill.cli.messages import say

        typer.echo(f"tagmill: {say('not_text', value=ascii(error.object[:80]))}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader of stdout has seen enough
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a full disk, a folder that is none or may not be written
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"tagmill: {where}{error.strerror or error}", err=True)
        sys.exit(1)
    finally:
        gc.freeze()  # so it is once more at the end, half a second with numba and SQLAlchemy


def _is_stopped(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or what a compiled kernel that it met makes of it: a SystemError
    (its dispatcher "returned a result with an exception set") because of it."""
    while isinstance(error, SystemError):
        error = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt)
