"""Converts instances of subclasses of built-in types to plain values, if nothing is lost.

An enum's member, a named tuple or a numpy float equals its plain value. A pandas Timestamp does not: it has nanoseconds, and
two Timestamps that are 998 ns apart become one datetime. So a value is accepted if it equals the plain one and has no other
state.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

from dstk_keytypes.errors import InvalidKey

_ALL: Final = slice(None)


def plain_bytes(value: bytes) -> bytes:
    """The content of an instance of any subclass of bytes, as plain bytes."""
    return bytes.__getitem__(value, _ALL)


def _datetime(value: datetime) -> datetime:
    day, time = (value.year, value.month, value.day), (value.hour, value.minute, value.second, value.microsecond)
    return datetime(*day, *time, value.tzinfo, fold=value.fold)  # noqa: DTZ001 - its own timezone, if it has one


PLAIN: Final[Mapping[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    bytes: plain_bytes,
    UUID: lambda value: UUID(int=value.int),
    datetime: _datetime,
    tuple: lambda value: tuple.__getitem__(value, _ALL),
}
"""Functions that make a plain value of each type, without calling methods that a subclass may replace."""


def plain(value: object, base: type, field: str = "key part") -> Any:
    """An instance of a subclass of `base` as a plain `base`. Raises InvalidKey when that would lose something."""
    try:
        made = PLAIN[base](value)
        # only NaN is not equal to itself
        is_whole = bool((made == value and value == made) or made != made) and not _state(value, base)  # noqa: PLR0124
    except Exception as error:  # its methods are the caller's code
        raise InvalidKey(field, value, f"a plain {base.__name__}") from error
    if not is_whole:
        raise InvalidKey(
            field, value, f"a plain {base.__name__}, of which {type(value).__name__} has more than can be kept"
        )
    return made


def _state(value: object, base: type) -> bool:
    """Whether the value has attributes of its own."""
    if isinstance(value, Enum):  # its attributes are only its name and value
        return False
    if getattr(value, "n_fields", 0) != getattr(value, "n_sequence_fields", 0):  # as time.struct_time has
        return True
    added = type(value).__mro__[: type(value).__mro__.index(base)]
    names = [name for kind in added for name in _slots(kind)]
    return bool(getattr(value, "__dict__", None)) or any(hasattr(value, name) for name in names)


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if name not in {"__dict__", "__weakref__"})
