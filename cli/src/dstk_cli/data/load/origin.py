"""The source of a load: a file, standard input, or a stream that can be read once."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import UnsupportedOperation
from pathlib import Path
from typing import BinaryIO

from dstk_cli import console
from dstk_cli.errors import USAGE, CliError
from dstk_cli.untrusted import as_markup
from dstk_formats.source import Format

_FORMATS = "jsonl, csv, tsv or dump"


@dataclass(frozen=True, slots=True)
class Origin:
    """A source. `path` None: standard input. `regular`: a file, which can be read again, so that its load can resume."""

    path: Path | None
    form: Format
    regular: bool

    @property
    def name(self) -> str:
        """The name to display."""
        return "standard input" if self.path is None else str(self.path)

    @property
    def size(self) -> int | None:
        """Size in bytes; None if unknown."""
        return self.path.stat().st_size if self.path and self.regular else None

    @property
    def bad(self) -> Path:
        """The file for skipped records: beside the source, or in the current directory."""
        if self.path is None or not self.regular:
            return Path("stdin.bad")
        return self.path.with_name(f"{self.path.name}.bad")

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Opens the source. Raises CliError while another process loads the same file: both would use one checkpoint."""
        if self.path is None:
            yield _standard_input()
            return
        with self.path.open("rb") as stream:
            if self.regular:
                _lock(stream, self.path)
            before = os.fstat(stream.fileno())
            yield stream
            if self.regular:
                self._compare(before, os.fstat(stream.fileno()))

    def _compare(self, before: os.stat_result, now: os.stat_result) -> None:
        if now.st_size < before.st_size:
            why = f"{self.name} became shorter while it was loaded: {before.st_size:,} bytes, and then {now.st_size:,}"
            raise CliError(why, "the removed part may be missing: load the file again when no process writes to it")
        if now.st_mtime_ns != before.st_mtime_ns:
            console.note(
                f"[yellow]{as_markup(self.name)} changed while it was loaded[/]: some of the changes may be missing"
            )


def origin(text: str, form: Format | None, *, has_key: bool, resume: bool) -> Origin:
    """The source that the arguments name; without --key it is a dump. Raises CliError."""
    path = None if text == "-" else Path(text)
    regular = path is not None and path.is_file()
    if path is not None and (path.is_dir() or not path.exists()):
        what = "a directory" if path.is_dir() else "no such file"
        raise CliError(f"{text}: {what}", "give a file, or - for standard input", USAGE)
    if resume and not regular:
        raise CliError(f"a load from {_named(text)} cannot be resumed", "load from a file, or start over", USAGE)
    return Origin(path, _format(text, path if regular else None, form, has_key=has_key), regular)


def _format(text: str, path: Path | None, form: Format | None, *, has_key: bool) -> Format:
    if not has_key:
        told = form or (Format.of(path) if path else None)
        if form is Format.DUMP or (told in {None, Format.JSONL} and form is None):
            return Format.DUMP
        raise CliError(f"{told} needs --key", "name the fields that form the key: --key country,id:int", USAGE)
    if form is Format.DUMP:
        raise CliError("a dump contains its keys and excludes --key", "omit --key", USAGE)
    chosen = form or (Format.of(path) if path else None)
    if chosen is None:
        raise CliError(f"the format of {_named(text)} is unknown", f"add --format {_FORMATS}", USAGE)
    return chosen


def _named(text: str) -> str:
    return "standard input" if text == "-" else text


def _standard_input() -> BinaryIO:
    """Standard input, opened again and never closed: a thread may still read from it when the process ends."""
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except UnsupportedOperation:
        return sys.stdin.buffer


def _lock(stream: BinaryIO, path: Path) -> None:
    """Locks the file until it is closed. Raises CliError if another process holds the lock."""
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CliError(
            f"{path} is being loaded by another process", "wait for that process, or copy the file"
        ) from None
    except OSError as error:
        console.note(
            f"[dim]{as_markup(path)} cannot be locked ({as_markup(error.strerror)}): run one load of it at a time[/]"
        )
