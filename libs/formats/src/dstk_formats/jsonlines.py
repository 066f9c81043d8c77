"""JSON lines: one object per line, whose values keep their own text.

Numbers, lists and objects are slices of the line, so 12345678901234567.89, 1e400 and white space stay unchanged. The parser is
as strict as RFC 8259, and also refuses an object that repeats a field of the key or the value.
"""

import json
from collections.abc import Callable, Iterator, Sequence

import msgspec

from dstk_formats.delimited import refuse_other_encodings
from dstk_formats.lines import Lines, LongLine
from dstk_formats.source import BOM, BadLineError, Row, body, too_long

_pairs = json.JSONDecoder(object_pairs_hook=list, parse_int=str, parse_float=str).decode


def texts(lines: Lines) -> Iterator[tuple[int, bytes, bytes] | BadLineError]:
    """The number, bytes and text of each line that is not blank; a bad line for one that is too long.

    The position of the lines is directly behind the last one yielded. Raises SourceError if the source is not UTF-8.
    """
    while line := lines.take():
        number = lines.count
        if isinstance(line, LongLine):
            yield too_long(number, line)
            continue
        text = body(line)
        if number == 1:
            refuse_other_encodings(text)
            text = text.removeprefix(BOM)
        if text.strip(b" \t\r"):
            yield number, line, text


def rows(lines: Lines, wanted: Sequence[str]) -> Iterator[Row | BadLineError]:
    """Rows and bad lines, in order. The position of the lines is directly behind the last one yielded."""
    decode, repeated = _decoder(wanted), Repeated(wanted)
    for each in texts(lines):
        if isinstance(each, BadLineError):
            yield each
            continue
        number, line, text = each
        try:
            fields = decode(text)
            repeated.refuse(text)
        except (ValueError, RecursionError) as error:
            yield BadLineError(number, _why(error), line)
            continue
        yield Row(number, line, fields, text)


def _decoder(wanted: Sequence[str]) -> Callable[[bytes], tuple[msgspec.Raw | None, ...]]:
    """A function from a line to the text of each field; None for a missing field."""
    picked = _picked(wanted)

    def fields(text: bytes) -> tuple[msgspec.Raw | None, ...]:
        if not text.isascii():
            text.decode()  # the parser does not check the text that it skips
        return picked(text)

    return fields


def _picked(wanted: Sequence[str]) -> Callable[[bytes], tuple[msgspec.Raw | None, ...]]:
    """As `_decoder`, for ASCII. A struct of the wanted fields takes half the time of a dict of all fields."""
    if any(character in {'"', "\\"} or not character.isprintable() for name in wanted for character in name):
        whole = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
        return lambda text: tuple(map(whole(text).get, wanted))
    names = [f"f{number}" for number in range(len(wanted))]
    optional = [(name, msgspec.Raw, None) for name in names]
    kind = msgspec.defstruct("Fields", optional, rename=dict(zip(names, wanted, strict=True)))
    decode, astuple = msgspec.json.Decoder(kind).decode, msgspec.structs.astuple
    return lambda text: astuple(decode(text))


class Repeated:
    """Refuses objects that repeat a field. The exact check costs as much as all other parsing, so a cheap one comes first."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._spelled = [json.dumps(name, ensure_ascii=False).encode() for name in names]
        self._plain = not any(b"\\" in spelled for spelled in self._spelled)

    def refuse(self, text: bytes) -> None:
        """Raises ValueError if the object repeats a field."""
        if self._plain and b"\\u" not in text and all(text.count(spelled) < 2 for spelled in self._spelled):  # noqa: PLR2004
            return
        given = [name for name, _ in _pairs(text.decode())]
        for name in self._names:
            if given.count(name) > 1:
                raise ValueError(f"the field {name!r} is there twice")


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "not JSON that can be read: it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: {error.reason}"
    if isinstance(error, msgspec.ValidationError):
        return f"not a JSON object: {error}"
    return f"not JSON: {error}" if isinstance(error, msgspec.DecodeError) else str(error)
