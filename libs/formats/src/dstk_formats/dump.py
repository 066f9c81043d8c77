"""The dump format, which `dstk scan --output FILE` writes and `dstk load` reads: complete records with their expiry.

A dump is JSON lines. The first line identifies the format; the last line has the number of records, which reveals a truncated
dump. `dstk scan --output json` writes only the records, which load as well.

    {"dstk_dump": 1, "cluster": "local", "cluster_uid": "1f...", "created_at": "2026-01-31T12:00:00.000Z", "range": ["", ""]}
    {"key": "('city', 1)", "value": "...", "encoding": "utf-8", "etag": 7, "written_at": "...", "expires_at": null}
    {"dstk_dump_end": true, "records": 1}

`key` has the form that every command takes. `value` is text, or base64 if it is not UTF-8, as `encoding` says. Etags and write
times are informative: a loaded record is a new write. Records that have expired are skipped and counted.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from dstk_formats.errors import NotADump
from dstk_formats.jsonlines import Repeated, texts
from dstk_formats.lines import Line, Lines, LongLine
from dstk_formats.recipe import Made
from dstk_formats.source import BOM, BadLineError, Row
from dstk_keytypes import Key, KeyRange, limits
from dstk_service import figures

VERSION = 1

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def encoded(fields: Mapping[str, Any]) -> bytes:
    """A line of a dump."""
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def header(cluster: str, uid: str, key_range: KeyRange, created_ms: int) -> dict[str, Any]:
    """The first line. `cluster` and `uid` identify the cluster that the records come from; `created_ms`: Unix milliseconds."""
    bounds = [key_range.start.hex(), (key_range.end or b"").hex()]
    facts = {"cluster": cluster, "cluster_uid": uid, "created_at": figures.timestamp(created_ms)}
    return {"dstk_dump": VERSION, **facts, "range_hex": bounds}


def trailer(records: int) -> dict[str, Any]:
    """The last line."""
    return {"dstk_dump_end": True, "records": records}


def value_fields(value: bytes) -> dict[str, str]:
    """The value of a record, and its encoding: "utf-8", or "base64" for one that is not UTF-8."""
    try:
        return {"value": value.decode(), "encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"value": base64.b64encode(value).decode(), "encoding": "base64"}


class Written(msgspec.Struct):
    """A line of a dump: a record, or the first or last line."""

    key: str | None = None
    value: str | None = None
    encoding: str | None = None
    expires_at: str | None = None
    dstk_dump: int | None = None
    dstk_dump_end: bool | None = None
    records: int | None = None


_decode = msgspec.json.Decoder(Written).decode
_repeated = Repeated(["key", "value", "encoding", "expires_at"])


def rows(lines: Lines, first: Line = b"") -> Iterator[Row | BadLineError]:
    """A row for each record; bad lines for other lines, and for a truncated dump.

    `first`: the first line of the source, if it has been loaded already.
    """
    begun, ended = _begins_dump(first), False
    for each in texts(lines):
        if isinstance(each, BadLineError):
            yield each
            continue
        number, line, text = each
        try:
            written = _read(text, number, ended=ended)
        except (ValueError, RecursionError) as error:
            yield BadLineError(number, f"not a line of a dump: {error}", line)
            continue
        begun, ended = begun or written.dstk_dump is not None, ended or bool(written.dstk_dump_end)
        if written.key is not None:
            yield Row(number, line, (written.key,), text)
    if begun and not ended:
        yield BadLineError(lines.count + 1, "the dump ends here without its last line: it was cut off")


def _begins_dump(first: Line) -> bool:
    try:
        return not isinstance(first, LongLine) and _decode(first.removeprefix(BOM)).dstk_dump is not None
    except (ValueError, RecursionError):
        return False


def _read(text: bytes, number: int, *, ended: bool) -> Written:
    if not text.isascii():
        text.decode()
    written = _decode(text)
    _repeated.refuse(text)
    if ended:
        raise ValueError("it follows the last line of the dump")
    if written.dstk_dump is not None:
        if number != 1 or written.dstk_dump != VERSION:
            raise ValueError(
                f"version {written.dstk_dump} in line {number}: this program reads version {VERSION} in line 1"
            )
    elif written.dstk_dump_end:
        if written.records != number - 2:
            raise ValueError(f"it counts {written.records} records, and {number - 2} lines precede it")
    elif written.key is None:
        if number == 1:  # no dump: more likely JSON lines that need --key
            raise NotADump
        raise ValueError("it has no key")
    return written


class FromDump:
    """Makes records of the rows of a dump. `now_ms` is the wall clock in Unix milliseconds."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms

    def record(self, row: Row) -> Made | None:
        """The record of a row; None if it has expired. Raises BadLineError."""
        try:
            written = _decode(row.whole)
            made = Made(Key.parse(written.key or ""), _value(written), _expiry(written.expires_at))
        except ValueError as error:
            raise BadLineError(row.line, str(error), row.text) from None
        if len(made.value) > limits.MAX_VALUE_BYTES:
            why = f"the value has {len(made.value)} bytes, the limit is {limits.MAX_VALUE_BYTES}"
            raise BadLineError(row.line, why, row.text)
        return None if 0 < made.expires_at_ms <= self._now_ms() else made


def _value(written: Written) -> bytes:
    if written.value is None:
        raise ValueError("it has no value: it was written with --keys-only")
    match written.encoding:
        case "utf-8":
            return written.value.encode()
        case "base64":
            return binascii.a2b_base64(written.value.encode(), strict_mode=True)
    raise ValueError(f"its encoding is {written.encoding!r}, not utf-8 or base64")


def _expiry(text: str | None) -> int:
    if text is None:
        return 0
    if not _TIME.fullmatch(text):
        raise ValueError(f"expires_at is {text[:50]!r}, not a time such as 2026-01-31T12:00:00.000Z")
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND
