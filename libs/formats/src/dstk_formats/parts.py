"""Makes a key part of a field. Refuses values that would be cut, rounded or folded, so that two rows never become one."""

import re
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Raw

from dstk_keytypes import Part, limits

_INT = re.compile(r"0|-?[1-9][0-9]*+")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_MAX_DIGITS = 5 * limits.MAX_KEY_BYTES // 2
"""Longer numbers fit into no key, and Python refuses to parse much longer ones."""

_text = msgspec.json.Decoder(str).decode


def of_field(field: str | Raw | None, kind: str) -> Part:
    """The key part of a field. `kind` empty: the type that the source has. Raises ValueError with the reason."""
    if isinstance(field, str):
        return _of_text(field, kind)
    if field is None:
        raise ValueError("is not there")
    raw = bytes(field)
    if raw[:1] == b'"':
        return _of_text(_text(raw), kind)
    if raw[:1] in {b"{", b"["}:
        raise ValueError("is a list or an object, which no key can hold")
    return _of_literal(raw.decode(), kind)


def text_of(field: str | Raw) -> bytes:
    """The field as a value: text without its quotes, anything else unchanged."""
    if isinstance(field, str):
        return field.encode()
    raw = bytes(field)
    return _text(raw).encode() if raw[:1] == b'"' else raw


def _of_text(text: str, kind: str) -> Part:
    return text if kind in {"", "text"} else _KINDS[kind](text)


def _of_literal(text: str, kind: str) -> Part:
    """The part of a JSON number, true, false or null."""
    if text == "null":
        raise ValueError("is null")
    if kind:
        return text if kind == "text" else _KINDS[kind](text)
    if text in {"true", "false"}:
        return text == "true"
    return _int(text) if _INT.fullmatch(text) else _float(text)


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"has {len(text)} digits, more than a key can hold")
    if not _INT.fullmatch(text):
        raise ValueError("is no whole number as JSON writes it, such as 7 or -12")
    return int(text)


def _float(text: str) -> float:
    """The number, if the shortest form of a float has its digits: 0.1 has, 12345678901234567.89 has not."""
    if len(text) > _MAX_DIGITS or not _FLOAT.fullmatch(text):
        raise ValueError("is no number as JSON writes it, such as 1.5 or -2e10")
    number = float(text)
    if repr(number) != text and _digits(repr(number)) != _digits(text):
        raise ValueError("is not exactly a float: it would be rounded; take :text")
    return number


def _digits(text: str) -> tuple[str, int]:
    """A number as its significant digits and the power of ten of the last one."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    short = digits.rstrip("0")
    power = int(exponent or 0) - len(fraction) + len(digits) - len(short) if short else 0
    return short, power


def _bool(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("is neither true nor false")
    return text == "true"


def _uuid(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise ValueError("is no UUID, such as 123e4567-e89b-12d3-a456-426614174000")
    return UUID(text)


def _datetime(text: str) -> datetime:
    """A time with a zone, since one without is ambiguous, and at most six digits of a second, since a key holds no more."""
    if not _DATETIME.fullmatch(text):
        raise ValueError("is no date and time such as 2026-01-31T12:00:00.123456+01:00, with a zone")
    return datetime.fromisoformat(text)


_KINDS: dict[str, Callable[[str], Part]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "uuid": _uuid,
    "datetime": _datetime,
}
KINDS = ("text", *_KINDS)
"""The types that --key accepts for a field."""
