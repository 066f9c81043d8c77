"""Keys as people type and read them.

    ("city", "FR", 2988507)   a typed tuple, written as in Python; also uuid("..."), datetime("2026-01-31T12:00:00+00:00"),
                              float("inf")
    0x6869                    bytes in hexadecimal
    text:(not a tuple         text that begins like one of the others
    anything else             text, as UTF-8
"""

import ast
import math
from datetime import datetime
from uuid import UUID

from dstk_keytypes import codec
from dstk_keytypes.codec import Part
from dstk_keytypes.errors import InvalidKey

_SYNTAX = 'text, 0x and hexadecimal digits, or a typed tuple such as ("city", "FR", 2988507)'
_SPECIAL = ("(", "0x", "text:")


def parse(text: str) -> bytes:
    """The bytes that are meant. Raises InvalidKey."""
    if text.startswith("text:"):
        return text.removeprefix("text:").encode()
    try:
        if text.startswith("0x"):
            return bytes.fromhex(text[2:])
        if text.startswith("("):
            return codec.encode(_tuple(ast.parse(text, mode="eval").body))
        return text.encode()
    except InvalidKey:
        raise
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise InvalidKey("key", text, _SYNTAX) from error


def display(data: bytes) -> str:
    """As `parse` takes it: a tuple where it is one, text where it can be printed, hexadecimal otherwise."""
    try:
        parts = codec.decode(data)
    except InvalidKey:
        return _plain(data)
    return _shown(parts)


def _plain(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"0x{data.hex()}"
    if not text.isprintable():
        return f"0x{data.hex()}"
    return f"text:{text}" if text.startswith(_SPECIAL) else text


def _shown(part: Part) -> str:
    match part:
        case tuple():
            inner = ", ".join(map(_shown, part))
            return f"({inner},)" if len(part) == 1 else f"({inner})"
        case UUID():
            return f'uuid("{part}")'
        case datetime():
            return f'datetime("{part.isoformat()}")'
        case float() if not math.isfinite(part):
            return f'float("{part}")'
    return repr(part)


def _tuple(node: ast.expr) -> tuple[Part, ...]:
    if not isinstance(node, ast.Tuple):
        raise ValueError("not a tuple")
    return tuple(map(_part, node.elts))


def _part(node: ast.expr) -> Part:
    match node:
        case ast.Tuple():
            return _tuple(node)
        case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text))], keywords=[]):
            return _call(name, text)
    value = ast.literal_eval(node)
    if isinstance(value, (type(None), bool, int, float, str, bytes)):
        return value
    raise ValueError(f"not a part of a key: {value!r}")


def _call(name: str, text: str) -> Part:
    match name:
        case "uuid":
            return UUID(text)
        case "datetime":
            return datetime.fromisoformat(text)
        case "float":
            return float(text)
    raise ValueError(f"no such type: {name}")
