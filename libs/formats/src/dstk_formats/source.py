"""The parts of a source: rows, and records that cannot be read."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from msgspec import Raw

from dstk_formats.lines import Line, LongLine
from dstk_keytypes.errors import Portable

BOM = b"\xef\xbb\xbf"


class Format(StrEnum):
    """The format of a source."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    DUMP = "dump"

    @staticmethod
    def of(path: Path) -> "Format | None":
        """The format by file name; None if the suffix is unknown."""
        suffixes = {".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".csv": Format.CSV, ".tsv": Format.TSV}
        return suffixes.get(path.suffix.lower())


class BadLineError(Portable, ValueError):
    """A record that cannot be loaded. `line`: its first line, counted from 1; `text`: its bytes in the source."""

    def __init__(self, line: int, why: str, text: Line = b"") -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why
        self.text = text

    @property
    def lines(self) -> int:
        """The number of lines of the record."""
        if isinstance(self.text, LongLine):
            return 1
        return max(1, self.text.count(b"\n") + (not self.text.endswith(b"\n")))


Fields = tuple[str | Raw | None, ...]
"""The fields of a row: text, the bytes of a JSON value, or None for a missing field."""


@dataclass(slots=True)
class Row:
    """One record of a source.

    `line`: where it begins, counted from 1. `text`: all of it, as the source has it. `fields`: those that were asked for, in
    that order. `whole`: what is stored when no field is the value.
    """

    line: int
    text: bytes
    fields: Fields
    whole: bytes


def body(line: bytes) -> bytes:
    """The line without its LF or CRLF."""
    if line.endswith(b"\n"):
        line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
    return line


def too_long(line: int, text: LongLine) -> BadLineError:
    """The error for a line that is longer than any record."""
    return BadLineError(line, f"{text.size:,} bytes without an end of line: no record is that long", text)
