"""The base of all errors, and what is raised for input that breaks a bound: it names the field, the value and the limit."""

import reprlib
from typing import Any

SHOWN_CHARACTERS = 100
"""Of a refused value, at most."""

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = SHOWN_CHARACTERS + 1


class Portable(Exception):
    """An exception that crosses processes: it pickles and copies to one of the same type, arguments and fields.

    `BaseException` is made again by calling its class with `args`, which fails in the process that receives it, and hangs a
    `multiprocessing.Pool`, where the constructor takes anything but the message.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[BaseException], args: tuple[object, ...], fields: dict[str, object]) -> BaseException:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class DstkError(Portable):
    """Base of all errors of the API. `reason` identifies the kind across languages and versions."""

    reason = "UNSPECIFIED"


class InvalidArgument(DstkError, ValueError):
    """A field is out of its bounds. Nothing was done.

    `field` is its name, `value` what was given, as text of at most 100 characters, `limit` what it must be, in words.
    """

    reason = "INVALID_ARGUMENT"

    def __init__(self, field: str, value: str, limit: str) -> None:
        self.field = field
        self.value = _cut(value)
        self.limit = limit
        super().__init__(f"{field} is {self.value}, and must be {limit}")


class InvalidInput(InvalidArgument):
    """A value of this package is out of its bounds. Takes the value itself, and shows its repr."""

    def __init__(self, field: str, value: object, limit: str) -> None:
        super().__init__(field, shortened(value), limit)

    def __str__(self) -> str:
        return f"{self.field} {self.value} is out of bounds: it must be {self.limit}"


class InvalidKey(InvalidInput):
    """Not a key, or not a typed tuple."""


class InvalidValue(InvalidInput):
    """Not a value: longer than 1 MiB."""


class InvalidRange(InvalidInput):
    """Not a key range, or a key that cannot split it."""


class InvalidEtag(InvalidInput):
    """Not an etag."""


class InvalidTtl(InvalidInput):
    """Not a time to live."""


class InvalidId(InvalidInput):
    """Not the id of a node or a partition."""


def shortened(value: object) -> str:
    """The repr, of at most 100 characters, whatever the value: of long ones only the beginning is rendered, since a refusal
    must be cheap, and one whose repr fails is named by its type.
    """
    try:
        text = repr(value[: SHOWN_CHARACTERS + 1]) if isinstance(value, str | bytes) else _repr.repr(value)
        return _cut(str.encode(text, errors="backslashreplace").decode())
    except Exception:  # noqa: BLE001 - a repr is the caller's code, and a number may have more digits than Python renders
        return _cut(f"{type(value).__name__}(...)")


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."
