"""Rows out of a stream of bytes, with the exact position of each, so that a load can stop and go on."""

import csv
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from dstk_cli.errors import CliError
from dstk_keytypes.errors import Portable

MAX_LINE_BYTES = 16 << 20

csv.field_size_limit(MAX_LINE_BYTES)


class Format(StrEnum):
    """How a source is written."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"

    @staticmethod
    def of(path: Path) -> "Format | None":
        """The format that a file name tells; None when it tells none."""
        suffixes = {".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".csv": Format.CSV, ".tsv": Format.TSV}
        return suffixes.get(path.suffix.lower())


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a source has been read: lines, bytes, and the CRC-32 of those bytes."""

    lines: int = 0
    size: int = 0
    checksum: int = 0


class BadLineError(Portable, ValueError):
    """A line that makes no record. `line` counts from 1; `text` is the line itself where it is known, cut at 500."""

    def __init__(self, line: int, why: str, text: str = "") -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why
        self.text = text[:500].encode(errors="backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of one line. `line` is where it begins, counted from 1."""

    line: int
    fields: dict[str, Any]


class Lines(Iterator[str]):
    """The lines of a stream, which knows its position: exactly what has been handed out so far."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.position = Position()

    def __next__(self) -> str:
        """The next line. Raises `CliError` for one that is too long to be read."""
        line, at = self._stream.readline(MAX_LINE_BYTES + 1), self.position
        if not line:
            raise StopIteration
        if len(line) > MAX_LINE_BYTES:
            raise CliError(f"line {at.lines + 1} is longer than {MAX_LINE_BYTES >> 20} MiB", "is it the right file?")
        self.position = Position(at.lines + 1, at.size + len(line), zlib.crc32(line, at.checksum))
        # what is no UTF-8 comes through as surrogates, and is refused where it would become part of a record
        return line.decode("utf-8-sig" if at.lines == 0 else "utf-8", errors="surrogateescape")


def header(lines: Lines, form: Format) -> tuple[str, ...]:
    """The names of the columns, from the front of a CSV or TSV source; JSON lines have none. Raises `CliError`."""
    if form is Format.JSONL:
        return ()
    try:
        names = next(_reader(lines, form), [])
    except csv.Error as error:
        raise CliError(f"the first line is no {form.upper()} header: {error}") from None
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise CliError(f"the header names a column twice: {repeated[0]!r}", "rename one of them")
    return tuple(names)


def rows(lines: Lines, form: Format, columns: tuple[str, ...]) -> Iterator[Row | BadLineError]:
    """Rows and bad lines, in order; `lines.position` stands right behind what was yielded last."""
    return _json_rows(lines) if form is Format.JSONL else _csv_rows(lines, form, columns)


def _json_rows(lines: Lines) -> Iterator[Row | BadLineError]:
    for text in lines:
        number = lines.position.lines
        if not text.strip():
            continue
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield BadLineError(number, f"no JSON: {error}", text)
            continue
        yield Row(number, fields) if isinstance(fields, dict) else BadLineError(number, "no JSON object", text)


def _csv_rows(lines: Lines, form: Format, columns: tuple[str, ...]) -> Iterator[Row | BadLineError]:
    reader = _reader(lines, form)
    while True:
        number = lines.position.lines + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLineError(number, f"no {form.upper()}: {error}")
            continue
        if len(cells) == len(columns):
            yield Row(number, dict(zip(columns, cells, strict=True)))
        elif cells:
            yield BadLineError(number, f"{len(cells)} fields where the header has {len(columns)}", repr(cells))


def _reader(lines: Lines, form: Format) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter="\t" if form is Format.TSV else ",", strict=True)
