"""Checks the arguments of the client's calls for type and bounds before anything is sent.

A bad argument of one caller can therefore not harm the other callers whose operations share a message with it.

Each function returns the plain value that is sent, or raises InvalidArgument, which names the field, the value and the limit.
Types are strict, because Python converts silently: True is the number 1, and a time to live of 0.5 ms becomes 0.
The bounds are those of dstk_service.requests. An argument whose own methods raise is refused.
"""

import inspect
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from dstk_keytypes import InvalidArgument, Key, KeyRange, Ttl, limits
from dstk_keytypes.errors import shortened
from dstk_keytypes.subclasses import plain_bytes
from dstk_service import requests
from dstk_service.addresses import all_checked

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object] | None)

MAX_SECONDS = 1_000_000
"""The longest timeout: eleven days."""

MAX_KEYS = 10_000
"""The most keys of one get_many."""

_KEY_TYPES = {Key, bytes}
_BYTE_FORMATS = {"B", "b", "c"}


def _guarded(check: Callable[P, T]) -> Callable[P, T]:
    """Turns an exception that the argument's own code raises into InvalidArgument."""

    @wraps(check)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return check(*args, **kwargs)
        except InvalidArgument:
            raise
        except Exception as error:
            field, value = args[0], args[1]
            raise refusal(str(field), value, "a value that can be read") from error

    return guarded


def refusal(field: str, value: object, limit: str) -> InvalidArgument:
    """The error that refuses a value."""
    return InvalidArgument(field, shortened(value), limit)


@_guarded
def key(field: str, given: object) -> bytes:
    """A key, of 1..1024 bytes."""
    if not isinstance(given, bytes):
        raise refusal(field, given, "a Key, such as Key.of('city', 7) or Key.text('hello'), or other bytes")
    made = given if type(given) in _KEY_TYPES else plain_bytes(given)
    requests.key(made, field)
    return made


@_guarded
def value(field: str, given: object) -> bytes:
    """A value, of 0..1 MiB. A mutable one (bytearray, memoryview) is copied at the call."""
    if isinstance(given, bytes):
        made = plain_bytes(given)
        requests.size(len(made), field)
        return made
    if isinstance(given, bytearray | memoryview):
        with memoryview(given) as view:
            if view.format in _BYTE_FORMATS:
                requests.size(view.nbytes, field)
                return view.tobytes()
    raise refusal(field, given, "bytes, a bytearray or a memoryview of bytes; encode text first, as with text.encode()")


def flag(field: str, given: object) -> bool:
    """True or False; other values that Python treats as true or false are refused."""
    if type(given) is not bool:
        raise refusal(field, given, "True or False")
    return given


@_guarded
def whole(field: str, given: object, low: int, high: int, unit: str = "") -> int:
    """A whole number in low..high; no bool, no float."""
    number = int.__int__(given) if isinstance(given, int) and type(given) is not bool else None
    if number is None or not low <= number <= high:
        raise refusal(field, given, f"a whole number in {low}..{high}{unit}")
    return number


def etag(field: str, given: object) -> int:
    """An etag, as `put` and records give it."""
    return whole(field, given, 1, limits.MAX_ETAG)


def seconds(given: object, field: str = "timeout") -> float | None:
    """A finite number of seconds above 0; None stays None."""
    return None if given is None else _seconds(field, given)


@_guarded
def _seconds(field: str, given: object) -> float:
    number: float | None = None
    if isinstance(given, float):
        number = float.__float__(given)
    elif isinstance(given, int) and type(given) is not bool:
        number = int.__int__(given)
    if number is None or not 0 < number <= MAX_SECONDS:
        raise refusal(field, given, f"a number of seconds above 0 and at most {MAX_SECONDS}")
    return float(number)


@_guarded
def ttl_ms(_field: str, given: Ttl | timedelta | None) -> int:
    """A time to live in milliseconds; 0: the record does not expire."""
    return 0 if given is None else int(Ttl.of(given))


@_guarded
def key_range(field: str, given: object) -> KeyRange:
    """A range of keys."""
    if not isinstance(given, KeyRange):
        raise refusal(field, given, "a KeyRange, such as KeyRange.tuple_prefix('city') or KeyRange.everything()")
    return given if type(given) is KeyRange else KeyRange(given.start, given.end)


def keys(field: str, given: object) -> Sequence[bytes]:
    """Any number of keys up to MAX_KEYS."""
    items = _items(field, given, MAX_KEYS, "keys")
    if set(map(type, items)) <= {Key}:
        for each in items:
            requests.key(each, field)
        return tuple(items)  # a list may change while they are read
    return [key(f"{field}[{at}]", each) for at, each in enumerate(items)]


def records(field: str, given: object) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """Pairs of key and value for one bulk insert, as two columns. Keys must ascend strictly; all bounds are checked."""
    pairs = _items(field, given, limits.MAX_BULK_RECORDS, "pairs of key and value")
    columns = usual_columns(pairs)
    if columns is None or columns[2]:
        made = [pair(f"{field}[{at}]", each) for at, each in enumerate(pairs)]
        columns = [each[0] for each in made], [each[1] for each in made], ()
    requests.columns(*columns[:2])
    return columns[:2]


def expiries(field: str, given: object) -> Sequence[int]:
    """The expiry time of each record of a bulk insert, in Unix milliseconds; may be empty."""
    items = _items(field, given, limits.MAX_BULK_RECORDS, "times in Unix milliseconds")
    if set(map(type, items)) <= {int} and (not items or (min(items) >= 0 and max(items) <= limits.MAX_EXPIRES_AT_MS)):
        return items
    return [whole(f"{field}[{at}]", each, 0, limits.MAX_EXPIRES_AT_MS, " ms") for at, each in enumerate(items)]


@_guarded
def pair(field: str, given: object) -> tuple[bytes, bytes]:
    """A key and a value."""
    if not isinstance(given, tuple | list) or len(given) != 2:  # noqa: PLR2004
        raise refusal(field, given, "a pair of key and value")
    return key(f"{field} key", given[0]), value(f"{field} value", given[1])


@_guarded
def record(field: str, given: object) -> tuple[bytes, bytes, int]:
    """A key, a value and, where it is given, the Unix time in milliseconds at which the record expires; 0: never."""
    if isinstance(given, tuple | list) and len(given) == 3:  # noqa: PLR2004
        moment = whole(f"{field} expires_at_ms", given[2], 0, limits.MAX_EXPIRES_AT_MS, " ms")
        return *pair(field, given[:2]), moment
    return *pair(field, given), 0


def choice(field: str, given: object, allowed: Sequence[str]) -> None:
    """Refuses a value that is not one of the allowed words."""
    if type(given) is not str or given not in allowed:
        raise refusal(field, given, f"one of {', '.join(map(repr, allowed))}")


def function(field: str, given: F) -> F:
    """A plain function, or None. An asynchronous one is refused, since its result would not be awaited."""
    if given is not None and (not callable(given) or inspect.iscoroutinefunction(given)):
        raise refusal(field, given, "a function that is not asynchronous, or None")
    return given


def usual_columns(items: Sequence[Any]) -> tuple[Sequence[bytes], Sequence[bytes], Sequence[int]] | None:
    """Keys, values and the expiries of triples as columns if all have the usual types, else None. Costs 20 ns a record."""
    if not items:
        return (), (), ()
    if not set(map(type, items)) <= {tuple, list}:
        return None
    try:
        keys_, values, *more = zip(*items, strict=True)
    except ValueError:
        return None
    moments = more[0] if len(more) == 1 else ()
    usual = (
        set(map(type, keys_)) <= _KEY_TYPES and set(map(type, values)) == {bytes} and set(map(type, moments)) <= {int}
    )
    return (keys_, values, moments) if usual and len(more) <= 1 else None


@_guarded
def _items(field: str, given: object, most: int, what: str) -> Sequence[Any]:
    """The items of a sequence, of at most `most` items."""
    if isinstance(given, str | bytes | bytearray | memoryview) or not isinstance(given, Sequence):
        raise refusal(field, given, f"a list or another sequence of {what}")
    items = given if type(given) is list or type(given) is tuple else list(islice(given, most + 1))
    if len(items) > most:
        raise InvalidArgument(field, f"more than {most} {what}", f"at most {most} {what}")
    return items


def addresses(given: tuple[object, ...]) -> tuple[str, ...]:
    """Addresses, each host:port."""
    for each in given:
        if not isinstance(each, str):
            raise refusal(
                "address", each, "text such as '127.0.0.1:7000'; give several one after another, not as a list"
            )
    if not given:
        raise InvalidArgument("addresses", "empty", "at least one to connect to, such as '127.0.0.1:7000'")
    return all_checked(map(str.__str__, given))
