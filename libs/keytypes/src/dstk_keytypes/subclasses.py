"""Values of subclasses of built-in types as plain ones, where nothing of them is lost.

An enum's member, a named tuple or a numpy float is what its base says. A pandas Timestamp is not: it has nanoseconds, and two
of them that are 998 ns apart are one datetime. So a value passes when it equals the plain one and carries nothing beside it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

from dstk_keytypes.errors import InvalidKey

_ALL: Final = slice(None)


def plain_bytes(value: bytes) -> bytes:
    """What an instance of any subclass of bytes holds, as bytes themselves."""
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
"""What makes a plain value of each type from one of a subclass, without asking the methods that the subclass may replace."""


def plain(value: object, base: type, field: str = "key part") -> Any:
    """The value as one of exactly `base`, of which it is an instance. Raises InvalidKey when that would lose something."""
    try:
        made = PLAIN[base](value)
        # NaN alone is not equal to itself
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
    if isinstance(value, Enum):  # they say how it is called
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
