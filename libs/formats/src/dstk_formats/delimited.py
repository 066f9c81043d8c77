"""CSV by RFC 4180, and TSV as IANA registers it (text/tab-separated-values).

**TSV** has no quoting and no escapes: tabs separate the fields.

**CSV**: a quoted field may contain commas, line ends and doubled quotes; a quote anywhere else is an error. A record with
wrong quotes has no known end. Its first line is bad, and reading continues with the next line, so that one stray quote costs
one line. An open field is wrong as soon as a quote follows that does not close it. A well-formed record with another number
of fields than the header is bad as a whole, however many lines it spans.

Both are UTF-8, with or without a byte order mark. Lines end with LF or CRLF; empty lines are skipped.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from dstk_formats.errors import SourceError
from dstk_formats.lines import MAX_LINE_BYTES, Lines, LongLine
from dstk_formats.source import BOM, BadLineError, Format, Row, body, too_long
from dstk_service.figures import counted

csv.field_size_limit(2 * MAX_LINE_BYTES)

_QUOTED = rb'"(?:[^"]++|"")*+"'
_FIELD = rb'(?:%b|[^",\r\n]*+)' % _QUOTED
_REST = rb"(?:,%b)*+(?:\r?\n)?\Z" % _FIELD
_WHOLE = re.compile(_FIELD + _REST)
_OPENS = re.compile(rb'(?:%b,)*"(?:[^"]++|"")*+\Z' % _FIELD)
_STAYS_OPEN = re.compile(rb'(?:[^"]++|"")*+(?:"(?:,%b)*,"(?:[^"]++|"")*+)?\Z' % _FIELD)
_CLOSES = re.compile(rb'(?:[^"]++|"")*+"' + _REST)
_UTF16 = re.compile(rb"[^\0]\0[^\0]\0|\0[^\0]\0[^\0]")
_UTF32 = re.compile(rb"[^\0]\0{3}|\0{3}[^\0]")
_EMPTY = {b"\n", b"\r\n"}
_MISPLACED = "a quote inside a field that does not begin with one, or text behind a closing quote"


class Delimited:
    """The rows of a CSV or TSV source, whose first line names the columns.

    `wanted`: the columns that a row's `fields` are to hold. `whole`: a row holds all of its columns as JSON, too.
    """

    def __init__(self, lines: Lines, form: Format) -> None:
        self._lines = lines
        is_csv = form is Format.CSV
        self._record: Callable[[bytes, Lines], bytes] = _record_of_csv if is_csv else _record_of_tsv
        self._cells: Callable[[bytes], list[str]] = _cells_of_csv if is_csv else _cells_of_tsv
        self._name = form.upper()
        self.columns = self._header()

    def rows(self, wanted: Sequence[str], *, whole: bool) -> Iterator[Row | BadLineError]:
        """Rows and bad records, in order. The position of the lines is directly behind the last one yielded."""
        lines, columns, record_of, cells_of = self._lines, self.columns, self._record, self._cells
        picked = [columns.index(name) for name in wanted]
        encode = msgspec.json.encode
        while line := lines.take():
            number = lines.count
            if isinstance(line, LongLine):
                yield too_long(number, line)
                continue
            if line in _EMPTY:
                continue
            text = line
            try:
                text = record_of(line, lines)
                cells = cells_of(text)
            except (ValueError, csv.Error) as error:
                yield BadLineError(number, _why(error), text)
                continue
            if len(cells) != len(columns):
                yield BadLineError(number, f"{counted(len(cells), 'field')} where the header has {len(columns)}", text)
                continue
            fields = tuple([cells[at] for at in picked])
            yield Row(number, text, fields, encode(dict(zip(columns, cells, strict=True))) if whole else b"")

    def _header(self) -> tuple[str, ...]:
        line = self._lines.take()
        while line in _EMPTY:
            line = self._lines.take()
        if isinstance(line, LongLine) or not line:
            why = "its first line is longer than 16 MiB" if line else "it is empty"
            raise SourceError(f"no {self._name}: {why}", "the first line must name the columns")
        refuse_other_encodings(line)
        try:
            names = self._cells(self._record(line.removeprefix(BOM), self._lines))
        except (ValueError, csv.Error) as error:
            raise SourceError(f"the first line is no {self._name} header: {_why(error)}") from None
        repeated = sorted(name for name, count in Counter(names).items() if count > 1)
        if repeated:
            raise SourceError(f"the header names a column twice: {repeated[0]!r}", "rename one of them")
        return tuple(names)


def refuse_other_encodings(first: bytes) -> None:
    """Raises SourceError if the first line is that of a compressed file, or of UTF-16 or UTF-32."""
    if first.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")):
        raise SourceError("the source is compressed", "decompress it: zcat FILE | dstk load - --format ...")
    other = _other_encoding(first)
    if other:
        raise SourceError(
            f"the source is not UTF-8, but looks like {other}", f"convert it: iconv -f {other} -t UTF-8 FILE"
        )


def _other_encoding(first: bytes) -> str | None:
    """The name that iconv uses; without a byte order mark the byte order is part of the name."""
    if first.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    size = 32 if _UTF32.match(first) else 16 if _UTF16.match(first) else None
    return None if size is None else f"UTF-{size}" + ("BE" if first.startswith(b"\0") else "LE")


def _record_of_tsv(line: bytes, _lines: Lines) -> bytes:
    return line


def _cells_of_tsv(record: bytes) -> list[str]:
    return body(record).decode().split("\t")


def _record_of_csv(line: bytes, lines: Lines) -> bytes:
    """The complete record that begins with `line`; takes its other lines. Raises ValueError."""
    return line if b'"' not in line or _WHOLE.match(line) else _record_of_lines(line, lines)


def _cells_of_csv(record: bytes) -> list[str]:
    if b'"' in record:
        return next(csv.reader([record.decode()], strict=True))
    text = body(record).decode()
    if "\r" in text:
        raise ValueError("a carriage return outside of quotes")
    return text.split(",")


def _record_of_lines(first: bytes, lines: Lines) -> bytes:
    """Joins and takes the lines of a record. If they form none, takes nothing and raises ValueError."""
    if not _OPENS.match(first):
        raise ValueError(_MISPLACED)
    parts, size = [first], len(first)
    for line in lines.ahead():
        size += line.size if isinstance(line, LongLine) else len(line)
        if isinstance(line, LongLine) or size > MAX_LINE_BYTES:
            break
        parts.append(line)
        if line.count(b'"') % 2:
            return _closed(parts, lines)
        if b'"' in line and not _STAYS_OPEN.match(line):
            raise ValueError(_MISPLACED)
    raise ValueError("the quoted field that begins here is not closed")


def _closed(parts: list[bytes], lines: Lines) -> bytes:
    if not _CLOSES.match(parts[-1]):
        raise ValueError(_MISPLACED)
    for _ in parts[1:]:
        lines.take()
    return b"".join(parts)


def _why(error: Exception) -> str:
    return f"not UTF-8: {error.reason}" if isinstance(error, UnicodeDecodeError) else str(error)
