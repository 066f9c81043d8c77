"""Typed tuples as bytes whose order is the order of the tuples.

The idea is FoundationDB's tuple layer; the format is our own. An element is a type code and a payload:

    0x01 None          0x02 False          0x03 True
    0x04..0x16 int     0x0d is zero; 0x0d+n: n bytes follow (1..8), big-endian; 0x0d-n: negative, the bytes' complement;
                       0x16 and 0x04: longer numbers, a length of two bytes first (complemented when negative)
    0x17 float         IEEE 754 double: sign bit flipped when positive, all bits when negative
    0x18 datetime      microseconds since 1970 UTC, 8 bytes, biased by 2^63
    0x19 str, 0x1a bytes    0x00 as 0x00 0xff, ended by 0x00
    0x1b UUID          16 bytes
    0x1c tuple         its elements, ended by 0x00

Values of different types are ordered by type code: None < bool < int < float < datetime < str < bytes < UUID < tuple. So 1
and 1.0 are different keys. Floats: -inf < ... < -0.0 < 0.0 < ... < inf < NaN, which has one form. All codes are control
characters: text never passes for a tuple.
"""

import struct
from datetime import UTC, datetime, timedelta
from typing import Union
from uuid import UUID

from dstk_keytypes.errors import InvalidKey
from dstk_keytypes.limits import MAX_KEY_BYTES, MAX_TUPLE_DEPTH

Part = Union[None, bool, int, float, str, bytes, UUID, datetime, tuple["Part", ...]]
"""What a typed tuple is made of."""

_NONE, _FALSE, _TRUE = 0x01, 0x02, 0x03
_INT_LONG_NEGATIVE, _INT_ZERO, _INT_LONG = 0x04, 0x0D, 0x16
_FLOAT, _DATETIME, _STR, _BYTES, _UUID, _TUPLE = 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C

_U64 = struct.Struct(">Q")
_DOUBLE = struct.Struct(">d")
_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_NAN = struct.unpack(">d", b"\x7f\xf8\0\0\0\0\0\0")[0]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TYPES = "None, bool, int, float, str, bytes, UUID, timezone-aware datetime, or a tuple of these"


def encode(parts: tuple[Part, ...]) -> bytes:
    """The tuple's bytes. Raises InvalidKey for a type that is not supported, a naive datetime, too deep nesting."""
    out = bytearray()
    _encode_all(out, parts, 0)
    return bytes(out)


def decode(data: bytes) -> tuple[Part, ...]:
    """The reverse of `encode`. Raises InvalidKey for bytes that `encode` does not make."""
    try:
        parts, end = _decode_all(data, 0, 0, nested=False)
        if end == len(data) and encode(parts) == data:
            return parts
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError, InvalidKey):
        pass  # refused below, with the whole value
    raise InvalidKey("key", data, "the encoding of a typed tuple")


def _encode_all(out: bytearray, parts: tuple[Part, ...], depth: int) -> None:
    if depth > MAX_TUPLE_DEPTH:
        raise InvalidKey("key", "a tuple", f"nested at most {MAX_TUPLE_DEPTH} deep")
    for part in parts:
        kind = type(part)
        if kind is str:
            _encode_bytes(out, _STR, _utf8(part))  # type: ignore[arg-type]
        elif kind is int:
            _encode_int(out, part)  # type: ignore[arg-type]
        else:
            _encode_other(out, part, depth)


def _encode_other(out: bytearray, part: Part, depth: int) -> None:
    match part:
        case None:
            out.append(_NONE)
        case bool():
            out.append(_TRUE if part else _FALSE)
        case int():
            _encode_int(out, int(part))
        case float():
            out.append(_FLOAT)
            out += _float_bytes(part)
        case datetime():
            _encode_datetime(out, part)
        case str():
            _encode_bytes(out, _STR, _utf8(part))
        case bytes():
            _encode_bytes(out, _BYTES, part)
        case UUID():
            out.append(_UUID)
            out += part.bytes
        case tuple():
            out.append(_TUPLE)
            _encode_all(out, part, depth + 1)
            out.append(0)
        case _:
            raise InvalidKey("key part", part, _TYPES)


def _encode_int(out: bytearray, value: int) -> None:
    size = (value.bit_length() + 7) >> 3
    if size > MAX_KEY_BYTES:
        raise InvalidKey("key part", f"a number of {size} bytes", f"at most {MAX_KEY_BYTES} bytes")
    if value >= 0:
        out.append(_INT_ZERO + size if size <= 8 else _INT_LONG)
        if size > 8:
            out += size.to_bytes(2, "big")
        out += value.to_bytes(size, "big")
        return
    out.append(_INT_ZERO - size if size <= 8 else _INT_LONG_NEGATIVE)
    if size > 8:
        out += (0xFFFF - size).to_bytes(2, "big")
    out += (value + (1 << 8 * size) - 1).to_bytes(size, "big")


def _float_bytes(value: float) -> bytes:
    bits = _U64.unpack(_DOUBLE.pack(_NAN if value != value else value))[0]  # noqa: PLR0124 - only NaN differs from itself
    return _U64.pack(bits ^ (_ALL if bits & _SIGN else _SIGN))


def _encode_datetime(out: bytearray, value: datetime) -> None:
    if value.utcoffset() is None:
        raise InvalidKey("key part", value, "a datetime with a timezone")
    out.append(_DATETIME)
    out += _U64.pack((value - _EPOCH) // _MICROSECOND + _SIGN)


def _encode_bytes(out: bytearray, code: int, value: bytes) -> None:
    out.append(code)
    out += value.replace(b"\0", b"\0\xff") if b"\0" in value else value
    out.append(0)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidKey("key part", text, "text without lone surrogates") from None


def _decode_all(data: bytes, at: int, depth: int, *, nested: bool) -> tuple[tuple[Part, ...], int]:
    if depth > MAX_TUPLE_DEPTH:
        raise InvalidKey("key", data, f"nested at most {MAX_TUPLE_DEPTH} deep")
    parts: list[Part] = []
    while at < len(data):
        if data[at] == 0 and nested:
            return tuple(parts), at + 1
        part, at = _decode_one(data, at, depth)
        parts.append(part)
    if nested:
        raise IndexError("the tuple does not end")
    return tuple(parts), at


def _decode_one(data: bytes, at: int, depth: int) -> tuple[Part, int]:
    code = data[at]
    at += 1
    if _INT_LONG_NEGATIVE <= code <= _INT_LONG:
        return _decode_int(data, code, at)
    if code in {_STR, _BYTES}:
        raw, at = _decode_bytes(data, at)
        return (raw.decode() if code == _STR else raw), at
    if code == _TUPLE:
        return _decode_all(data, at, depth + 1, nested=True)
    return _decode_fixed(data, code, at)


def _decode_fixed(data: bytes, code: int, at: int) -> tuple[Part, int]:
    if code in {_NONE, _FALSE, _TRUE}:
        return (None, False, True)[code - _NONE], at
    if code == _FLOAT:
        bits = _U64.unpack_from(data, at)[0]
        raw = _U64.pack(bits ^ (_SIGN if bits & _SIGN else _ALL))
        return float(_DOUBLE.unpack(raw)[0]), at + 8
    if code == _DATETIME:
        return _EPOCH + (_U64.unpack_from(data, at)[0] - _SIGN) * _MICROSECOND, at + 8
    if code == _UUID and at + 16 <= len(data):
        return UUID(bytes=data[at : at + 16]), at + 16
    raise IndexError(f"no such type code: {code}")


def _decode_int(data: bytes, code: int, at: int) -> tuple[int, int]:
    negative = code < _INT_ZERO
    size = abs(code - _INT_ZERO)
    if code in {_INT_LONG, _INT_LONG_NEGATIVE}:
        size = int.from_bytes(data[at : at + 2], "big")
        size = 0xFFFF - size if negative else size
        at += 2
    if at + size > len(data):
        raise IndexError("the number does not end")
    value = int.from_bytes(data[at : at + size], "big")
    return (value - (1 << 8 * size) + 1 if negative else value), at + size


def _decode_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    end = at
    while True:
        end = data.find(0, end)
        if end < 0:
            raise IndexError("the text does not end")
        if data[end + 1 : end + 2] != b"\xff":
            return data[at:end].replace(b"\0\xff", b"\0"), end + 1
        end += 2
