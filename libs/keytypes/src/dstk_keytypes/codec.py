"""Encodes typed tuples as bytes that sort in the order of the tuples.

The idea comes from FoundationDB's tuple layer (a type code, then a payload that sorts bytewise). The format is our own: it has
datetimes, one kind of float, two-byte sizes for long numbers, and no escapes inside a tuple. It is written to disk, so it never
changes; it can only gain type codes (all codes below 0x20 are reserved for that).

    code        type      payload
    0x01        None      none
    0x02, 0x03  bool      none: False, True
    0x04..0x16  int       0x0d is zero; 0x0d + n: n bytes follow (1..8), big-endian, no leading zero byte;
                          0x0d - n: a negative number, the complement of its magnitude's n bytes;
                          0x16 and 0x04: from 9 bytes on, their count first, in two bytes (complemented when negative)
    0x17        float     IEEE 754 double, 8 bytes: sign bit flipped when positive, all bits when negative
    0x18        datetime  microseconds since 1970-01-01 UTC, 8 bytes, plus 2^63
    0x19        str       UTF-8, each 0x00 followed by 0xff, ended by 0x00
    0x1a        bytes     like str
    0x1b        UUID      16 bytes
    0x1c        tuple     its elements, ended by 0x00

**Order.** Tuples compare element by element, and a tuple comes before longer tuples that start with it. Elements of one type
compare by value; elements of different types by type code: None < bool < int < float < datetime < str < bytes < UUID < tuple.
So True, 1 and 1.0 are three different elements, and every int comes before every float. Floats are in IEEE total order, with
one NaN: -inf < ... < -0.0 < 0.0 < ... < inf < NaN. Text compares by code point. Datetimes compare by instant, and decode in
UTC.

**One form.** A tuple has exactly one encoding: `decode` refuses all other bytes.
"""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from dstk_keytypes.errors import InvalidKey
from dstk_keytypes.limits import MAX_KEY_BYTES, MAX_TUPLE_DEPTH
from dstk_keytypes.subclasses import PLAIN, plain

Part: TypeAlias = bool | int | float | str | bytes | UUID | datetime | tuple["Part", ...] | None
"""An element of a typed tuple."""

_TYPES = "None, bool, int, float, str, bytes, UUID, timezone-aware datetime, or a tuple of these"

_NONE, _FALSE, _TRUE = 0x01, 0x02, 0x03
_LONG_NEGATIVE, _ZERO, _LONG = 0x04, 0x0D, 0x16
_FLOAT, _DATETIME, _STR, _BYTES, _UUID, _TUPLE = 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C
AFTER_CODES = b"\x20"
"""Above every present and future type code: a tuple's bytes plus this end the range of all tuples that start with it."""

_SHORT = 8
"""The type code holds the size of numbers up to this many bytes."""
_HEADS = tuple(bytes([code]) for code in range(0x20))
_U64 = struct.Struct(">Q")
_CODE_U64 = struct.Struct(">BQ")
_DOUBLE = struct.Struct(">d")
_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_NAN_BITS = 0x7FF8_0000_0000_0000
_INFINITY_BITS = 0x7FF0_0000_0000_0000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_INSTANT = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_INSTANT = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def encode(parts: tuple[Part, ...]) -> bytes:
    """The tuple's bytes, of any length. Raises InvalidKey for an element that is no `Part`, and for nesting too deep."""
    return _encode_all(parts, 0)


def decode(data: bytes) -> tuple[Part, ...]:
    """The reverse of `encode`. Raises InvalidKey for bytes that `encode` does not make."""
    parts: list[Part] = []
    at, end = 0, len(data)
    try:
        while at < end:
            part, at = _DECODERS[data[at]](data, at, 0)
            parts.append(part)
    except (ValueError, IndexError, struct.error):
        raise InvalidKey("key", data, "the encoding of a typed tuple") from None
    return tuple(parts)


# Encoders: (part, nesting depth of its tuple) -> bytes.


def _encode_all(parts: tuple[Part, ...], depth: int) -> bytes:
    encoders = _ENCODERS
    return b"".join([encoders[type(part)](part, depth) for part in parts])


def _encode_none(_part: None, _depth: int) -> bytes:
    return _HEADS[_NONE]


def _encode_bool(part: bool, _depth: int) -> bytes:  # noqa: FBT001 - all encoders are called alike
    return _HEADS[_TRUE if part else _FALSE]


def _encode_int(part: int, _depth: int) -> bytes:
    size = (part.bit_length() + 7) >> 3
    if size > _SHORT:
        return _encode_long(part, size)
    if part >= 0:
        return _HEADS[_ZERO + size] + part.to_bytes(size, "big")
    return _HEADS[_ZERO - size] + (part + (1 << 8 * size) - 1).to_bytes(size, "big")


def _encode_long(part: int, size: int) -> bytes:
    if size > MAX_KEY_BYTES:
        raise InvalidKey("key part", part, f"a number of at most {MAX_KEY_BYTES} bytes")
    if part >= 0:
        return _HEADS[_LONG] + size.to_bytes(2, "big") + part.to_bytes(size, "big")
    complement = part + (1 << 8 * size) - 1
    return _HEADS[_LONG_NEGATIVE] + (0xFFFF - size).to_bytes(2, "big") + complement.to_bytes(size, "big")


def _encode_float(part: float, _depth: int) -> bytes:
    bits: int = _U64.unpack(_DOUBLE.pack(part))[0] if part == part else _NAN_BITS  # noqa: PLR0124 - NaN alone differs
    return _CODE_U64.pack(_FLOAT, bits ^ (_ALL if bits & _SIGN else _SIGN))


def _encode_datetime(part: datetime, _depth: int) -> bytes:
    try:
        if part.utcoffset() is None:
            raise InvalidKey("key part", part, "a datetime with a timezone")
        instant = (part - _EPOCH) // _MICROSECOND
    except InvalidKey:
        raise
    except Exception as error:  # a tzinfo is the caller's code
        raise InvalidKey("key part", part, "a datetime whose timezone gives its offset") from error
    if not _FIRST_INSTANT <= instant <= _LAST_INSTANT:
        raise InvalidKey("key part", part, "a datetime in the years 1..9999 of UTC")
    return _CODE_U64.pack(_DATETIME, instant + _SIGN)


def _encode_str(part: str, _depth: int) -> bytes:
    try:
        raw = part.encode()
    except UnicodeEncodeError:
        raise InvalidKey("key part", part, "text without lone surrogates") from None
    return _HEADS[_STR] + raw.replace(b"\0", b"\0\xff") + b"\0"  # faster than searching for zeros first


def _encode_bytes(part: bytes, _depth: int) -> bytes:
    return _HEADS[_BYTES] + part.replace(b"\0", b"\0\xff") + b"\0"


def _encode_uuid(part: UUID, _depth: int) -> bytes:
    return _HEADS[_UUID] + part.bytes


def _encode_tuple(part: tuple[Part, ...], depth: int) -> bytes:
    if depth >= MAX_TUPLE_DEPTH:
        raise InvalidKey("key part", "a tuple", f"nested at most {MAX_TUPLE_DEPTH} deep")
    return _HEADS[_TUPLE] + _encode_all(part, depth + 1) + b"\0"


class _Encoders(dict[type, Callable[..., bytes]]):
    """Encoders by exact type; any other type is a subclass of one, or refused."""

    def __missing__(self, kind: type) -> Callable[..., bytes]:
        return _encode_subclass


def _encode_subclass(part: object, depth: int) -> bytes:
    """Encodes an instance of a subclass as its supported base type (subclasses.py); it decodes as that type."""
    for base in PLAIN:
        if isinstance(part, base):
            return _ENCODERS[base](plain(part, base), depth)
    raise InvalidKey("key part", part, _TYPES)


_ENCODERS = _Encoders(
    {
        str: _encode_str,
        int: _encode_int,
        bool: _encode_bool,
        type(None): _encode_none,
        float: _encode_float,
        bytes: _encode_bytes,
        UUID: _encode_uuid,
        datetime: _encode_datetime,
        tuple: _encode_tuple,
    }
)

# Decoders: (data, index of the type code, depth) -> (part, index after the part). They raise ValueError, IndexError or
# struct.error, which `decode` turns into InvalidKey.


def _decode_simple(data: bytes, at: int, _depth: int) -> tuple[Part, int]:
    return (None, False, True)[data[at] - _NONE], at + 1


def _decode_short(data: bytes, at: int, _depth: int) -> tuple[Part, int]:
    size = data[at] - _ZERO
    return _number(data, at + 1, size) if size >= 0 else _negative_number(data, at + 1, -size)


def _decode_long(data: bytes, at: int, _depth: int) -> tuple[Part, int]:
    negative = data[at] == _LONG_NEGATIVE
    size = int.from_bytes(data[at + 1 : at + 3], "big")
    size = 0xFFFF - size if negative else size
    if not _SHORT < size <= MAX_KEY_BYTES:
        raise ValueError("not the shortest form of the number")
    return (_negative_number if negative else _number)(data, at + 3, size)


def _number(data: bytes, at: int, size: int) -> tuple[int, int]:
    end = at + size
    if end > len(data) or (size and not data[at]):
        raise ValueError("the number is cut short, or has a leading zero")
    return int.from_bytes(data[at:end], "big"), end


def _negative_number(data: bytes, at: int, size: int) -> tuple[int, int]:
    end = at + size
    if end > len(data) or data[at] == 0xFF:  # noqa: PLR2004 - the complement of a leading zero
        raise ValueError("the number is cut short, or has a leading zero")
    return int.from_bytes(data[at:end], "big") - (1 << 8 * size) + 1, end


def _decode_float(data: bytes, at: int, _depth: int) -> tuple[Part, int]:
    flipped: int = _U64.unpack_from(data, at + 1)[0]
    bits = flipped ^ (_SIGN if flipped & _SIGN else _ALL)
    if bits & ~_SIGN > _INFINITY_BITS and bits != _NAN_BITS:
        raise ValueError("not the one NaN")
    value: float = _DOUBLE.unpack(_U64.pack(bits))[0]
    return value, at + 9


def _decode_datetime(data: bytes, at: int, _depth: int) -> tuple[Part, int]:
    instant: int = _U64.unpack_from(data, at + 1)[0] - _SIGN
    if not _FIRST_INSTANT <= instant <= _LAST_INSTANT:
        raise ValueError("outside of the years 1..9999")
    return _EPOCH + timedelta(microseconds=instant), at + 9


def _decode_bytes(data: bytes, at: int, _depth: int) -> tuple[bytes, int]:
    start = at + 1
    end = data.index(0, start)
    if data[end + 1 : end + 2] != b"\xff":
        return data[start:end], end + 1
    while data[end + 1 : end + 2] == b"\xff":
        end = data.index(0, end + 2)
    return data[start:end].replace(b"\0\xff", b"\0"), end + 1


def _decode_str(data: bytes, at: int, depth: int) -> tuple[Part, int]:
    raw, at = _decode_bytes(data, at, depth)
    return raw.decode(), at


def _decode_uuid(data: bytes, at: int, _depth: int) -> tuple[Part, int]:
    return UUID(bytes=data[at + 1 : at + 17]), at + 17


def _decode_tuple(data: bytes, at: int, depth: int) -> tuple[Part, int]:
    if depth >= MAX_TUPLE_DEPTH:
        raise ValueError("nested too deep")
    parts: list[Part] = []
    at += 1
    while code := data[at]:
        part, at = _DECODERS[code](data, at, depth + 1)
        parts.append(part)
    return tuple(parts), at + 1


def _decode_unknown(data: bytes, at: int, _depth: int) -> tuple[Part, int]:
    raise ValueError(f"no such type code: {data[at]}")


_Decoder: TypeAlias = Callable[[bytes, int, int], tuple[Part, int]]
_DECODERS: tuple[_Decoder, ...] = (
    _decode_unknown,
    *([_decode_simple] * 3),
    _decode_long,
    *([_decode_short] * 17),
    _decode_long,
    _decode_float,
    _decode_datetime,
    _decode_str,
    _decode_bytes,
    _decode_uuid,
    _decode_tuple,
    *([_decode_unknown] * (0x100 - _TUPLE - 1)),
)
