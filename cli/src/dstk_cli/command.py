"""The frame around every command: runs its coroutine, turns failures into clean lines and exit codes."""

import asyncio
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, ParamSpec

import typer

from dstk_cli import console
from dstk_cli.arguments import readable
from dstk_cli.errors import INTERRUPTED, CliError, explain

P = ParamSpec("P")

DEBUG_VARIABLE = "DSTK_DEBUG"
_YES = ("1", "true", "t", "yes", "y", "on")
"""What Typer takes for yes, too."""


def guarded(body: Callable[P, None]) -> Callable[P, None]:
    """Makes of a function a command: errors are printed without a traceback, unless `--debug` was given."""

    @functools.wraps(body)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            body(*args, **readable(kwargs))
            sys.stdout.flush()
        except (typer.Exit, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _leave_broken_pipe()
        except Exception as error:  # noqa: BLE001 - it is told, or raised on when it is to be seen whole
            _fail(error)

    return command


def guarded_async(body: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """As `guarded`, for a coroutine function: each call runs on an event loop of its own."""

    @functools.wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(body(*args, **kwargs))

    return guarded(run)


def _fail(error: Exception) -> NoReturn:
    if isinstance(error, ExceptionGroup):
        _fail(error.exceptions[0])
    if os.environ.get(DEBUG_VARIABLE, "").lower() in _YES:
        raise error
    known = explain(error)
    if known is None:
        shown = f"{type(error).__name__}: {error}"
        known = CliError(f"unexpected {shown}", "this is a bug; `dstk --debug ...` shows where it happened")
    with contextlib.suppress(OSError):  # an error output that takes nothing: the exit code is left
        console.fail(known)
    _abandon_outputs()
    raise typer.Exit(known.exit_code) from None


def _leave_broken_pipe() -> NoReturn:
    """The reader (`| head`) has seen enough."""
    _abandon_outputs()
    raise typer.Exit(0)


def _abandon_outputs() -> None:
    """Replaces the outputs that take nothing any more, or Python would complain about what is still to be written at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
