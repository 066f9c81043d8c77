"""Where the command line prints: results on standard output, everything about them on standard error."""

import json
import os
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any, TextIO

from rich.console import Console, RenderableType

from dstk_cli.errors import CliError
from dstk_cli.untrusted import as_markup, visible_json

WIDTH_OF_FILES = 160
MESSAGE_CHARACTERS = 1000
"""Of an error, at most."""


_consoles: dict[int, Console] = {}
"""By the identity of the stream: what prints above a progress bar must go through the bar's own console."""


class _Console(Console):
    """Lets a command end by itself when its reader has gone, where Rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Called while the error is handled."""
        raise  # noqa: PLE0704


def out() -> Console:
    """For results."""
    return _console(sys.stdout)


def err() -> Console:
    """For progress, notes and errors."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    known = _consoles.get(id(stream))
    if known is None or known.file is not stream:
        known = _consoles[id(stream)] = _Console(file=stream, highlight=False, emoji=False, width=_width(stream))
    return known


def _width(stream: TextIO) -> int | None:
    """As wide as the terminal; wide where there is none, since a program that reads a table wants whole lines."""
    return None if stream.isatty() or "COLUMNS" in os.environ else WIDTH_OF_FILES


def note(text: str) -> None:
    """A remark about the result, which is not part of it. Takes Rich markup."""
    err().print(text, soft_wrap=True)


def fail(error: CliError) -> None:
    """One red line, and a dim one with what to do."""
    console = err()
    console.print(f"[bold red]error:[/] [red]{as_markup(_shortened(error.message))}[/]", soft_wrap=True)
    if error.hint:
        console.print(f"[dim]  -> {as_markup(_shortened(error.hint))}[/]", soft_wrap=True)


def _shortened(text: str) -> str:
    """Without the middle of what is very long: messages quote what was typed, or found."""
    return text if len(text) <= MESSAGE_CHARACTERS else f"{text[: MESSAGE_CHARACTERS - 200]} ... {text[-200:]}"


def show(result: Mapping[str, Any], *lines: RenderableType, note: str = "", as_json: bool) -> None:
    """Prints the result as one JSON object, or else the lines, and the note on standard error. Strings are Rich markup."""
    if as_json:
        json_line(result)
        return
    for line in lines:
        out().print(line, soft_wrap=isinstance(line, str))
    if note:
        err().print(note, soft_wrap=True)


def json_line(value: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output; with escapes, which mean the same, on a terminal for what is not
    printable, and for what an encoding other than UTF-8 lacks.
    """
    line = json.dumps(value, ensure_ascii=not _is_utf8(sys.stdout))
    sys.stdout.write((visible_json(line) if sys.stdout.isatty() else line) + "\n")


def accept_any_text() -> None:
    """What a stream's encoding lacks is printed as an escape, rather than ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # None where it was closed before the start
            stream.reconfigure(errors="backslashreplace")


def _is_utf8(stream: TextIO) -> bool:
    return stream.encoding.lower().replace("_", "-") in {"utf-8", "utf8"}
