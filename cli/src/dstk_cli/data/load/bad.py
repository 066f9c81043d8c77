"""Skipped records: the first ones on the screen, all of them, byte for byte, in a file."""

import os
from pathlib import Path
from typing import BinaryIO

from dstk_cli import console
from dstk_cli.untrusted import as_markup, visible
from dstk_formats.lines import LongLine
from dstk_formats.source import BadLineError

SHOWN = 10


class BadLines:
    """The bad records of a load. In the file, each is `line N: why`, a tab, and the record as it stands in the source.

    `size` is the length of the file at the checkpoint, in bytes. An interrupted load wrote the bytes behind it after its last
    checkpoint; the resumed load writes those records again.
    """

    def __init__(self, path: Path | None, size: int) -> None:
        self.path = path
        self.size = size
        self.records = 0
        self.lines = 0

    def add(self, bad: list[BadLineError]) -> None:
        """Reports more bad records. They are on disk when it returns. Raises OSError."""
        for error in bad[: max(0, SHOWN - self.records)]:
            console.note(f"[yellow]skipped[/] {as_markup(error)}")
        if self.path is None or not (bad or self.size == 0):
            return
        if not bad:
            self.path.unlink(missing_ok=True)  # of an earlier load
            return
        self.records += len(bad)
        self.lines += sum(error.lines for error in bad)
        try:
            self._append(self.path, bad)
        except OSError as error:
            error.filename = str(self.path)  # the error of a full disk names no file
            raise

    def _append(self, path: Path, bad: list[BadLineError]) -> None:
        with path.open("ab") as file:
            file.truncate(min(self.size, file.tell()))
            for error in bad:
                _write(file, error)
            file.flush()
            os.fsync(file.fileno())
            self.size = file.tell()


def _write(file: BinaryIO, error: BadLineError) -> None:
    file.write(f"{visible(str(error))}\t".encode())
    text, last = error.text, b""
    for last in text.pieces() if isinstance(text, LongLine) else (text,):
        file.write(last)
    if not last.endswith(b"\n"):
        file.write(b"\n")
    if isinstance(text, LongLine):
        text.close()
