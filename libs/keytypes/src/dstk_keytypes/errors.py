"""The base of all errors, and the errors for input out of bounds, which name the field, the value and the limit."""

import reprlib
from typing import Any

SHOWN_CHARACTERS = 100
"""The most characters of a refused value that a message shows."""

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = SHOWN_CHARACTERS + 1


class Portable(Exception):
    """An exception that crosses processes: it pickles and copies with its type, arguments and fields.

    Unpickling a `BaseException` calls its class with `args`. That fails, and hangs a `multiprocessing.Pool`, if the constructor
    takes anything but the message.
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
    """A field is out of bounds. Nothing was done.

    `field`: its name; `value`: the given value, as text of at most 100 characters; `limit`: the allowed values, in words.
    """

    reason = "INVALID_ARGUMENT"

    def __init__(self, field: str, value: str, limit: str) -> None:
        self.field = field
        self.value = _cut(value)
        self.limit = limit
        super().__init__(f"{field} is {self.value}, and must be {limit}")


class InvalidInput(InvalidArgument):
    """A value of this package is out of bounds. Takes the value itself, and shows its repr."""

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
    """The repr of any value, in at most 100 characters. Only the beginning of a long value is rendered, since a refusal must be
    cheap. A value whose repr fails is named by its type.
    """
    try:
        text = repr(value[: SHOWN_CHARACTERS + 1]) if isinstance(value, str | bytes) else _repr.repr(value)
        return _cut(str.encode(text, errors="backslashreplace").decode())
    except Exception:  # noqa: BLE001 - a repr is the caller's code, and a number may have more digits than Python renders
        return _cut(f"{type(value).__name__}(...)")


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."
