"""The text form of keys, as people type and read them.

- `("city", "FR", 2988507)`: a typed tuple, written as in Python. Types without a literal in Python are written as a call:
  `uuid("...")`, `datetime("2026-01-31T12:00:00+00:00")`, `float("inf")`. A tuple of one needs its comma: `("city",)`.
- `0x6869`: bytes in hexadecimal.
- `text:(not a tuple`: text that begins like one of the other forms.
- Anything else: text, as UTF-8.
"""

import ast
import math
import warnings
from datetime import datetime
from uuid import UUID

from dstk_keytypes import codec
from dstk_keytypes.codec import Part
from dstk_keytypes.errors import InvalidKey
from dstk_keytypes.unseen import escaped, is_seen

_TUPLE, _HEX, _TEXT = "(", "0x", "text:"
_SYNTAX = (
    'text, 0x and hexadecimal digits, or a typed tuple such as ("city", "FR", 2988507); '
    "put text: before text that begins like the others"
)


def parse(text: str) -> bytes:
    """The bytes of the key. Raises InvalidKey."""
    text = _plain_text(text)
    try:
        if text.startswith(_TUPLE):
            return codec.encode(_tuple(_expression(text)))
        if text.startswith(_HEX):
            return bytes.fromhex(text.removeprefix(_HEX))
    except InvalidKey:
        raise
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise InvalidKey("key", text, _SYNTAX) from error
    return utf8(text.removeprefix(_TEXT))


def display(data: bytes) -> str:
    """The text that `parse` reads back: a tuple if the bytes are one, text if it is printable, otherwise hexadecimal."""
    try:
        return _shown(codec.decode(data))
    except InvalidKey:
        return _plain(data)


def utf8(text: str) -> bytes:
    """The text's bytes. Raises InvalidKey for lone surrogates, which Python makes of arguments that are not UTF-8."""
    text = _plain_text(text)
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidKey("key", text, "text without lone surrogates; give other bytes as 0x...") from None


def _plain_text(text: str) -> str:
    if not isinstance(text, str):
        raise InvalidKey("key", text, "text; use Key.of for typed tuples and Key for bytes")
    return str.__str__(text)


def _plain(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _HEX + data.hex()
    if not is_seen(text):
        return _HEX + data.hex()
    return _TEXT + text if text.startswith((_TUPLE, _HEX, _TEXT)) else text


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
    return escaped(repr(part))


def _expression(text: str) -> ast.expr:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unknown escape such as "\d" is refused rather than guessed
        return ast.parse(text, mode="eval").body


def _tuple(node: ast.expr) -> tuple[Part, ...]:
    if isinstance(node, ast.Tuple):
        return tuple(map(_part, node.elts))
    raise SyntaxError("not a tuple: a tuple of one needs its comma")


def _part(node: ast.expr) -> Part:
    match node:
        case ast.Tuple():
            return _tuple(node)
        case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text))], keywords=[]):
            return _call(name, text)
    value = ast.literal_eval(node)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise SyntaxError(f"not a part of a key: {value!r}")


def _call(name: str, text: str) -> Part:
    match name:
        case "uuid":
            return UUID(text)
        case "datetime":
            return datetime.fromisoformat(text)
        case "float":
            return float(text)
    raise SyntaxError(f"no such type: {name}")
