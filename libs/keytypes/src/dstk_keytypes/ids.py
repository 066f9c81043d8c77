"""Etags, times to live and ids: checked numbers and text, as cheap as plain ones."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Self

from dstk_keytypes.errors import InvalidEtag, InvalidId, InvalidTtl
from dstk_keytypes.limits import MAX_ETAG, MAX_PARTITION_ID, MAX_TTL_MS

_NODE_ID = re.compile(r"[a-z0-9-]{1,64}")


class Etag(int):
    """The sequence number of the write that produced a record: 1..2^64-1."""

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        """Raises InvalidEtag."""
        number = _number(value)
        if number is None or not 1 <= number <= MAX_ETAG:
            raise InvalidEtag("etag", value, f"a number in 1..{MAX_ETAG}")
        return int.__new__(cls, number)

    def __repr__(self) -> str:
        return f"Etag({int(self)})"

    __str__ = int.__repr__  # in text and metadata it is its number


class Ttl(int):
    """A time to live in milliseconds: 1..3,155,760,000,000 (100 years)."""

    __slots__ = ()

    def __new__(cls, milliseconds: int) -> Self:
        """Raises InvalidTtl."""
        number = _number(milliseconds)
        if number is None or not 1 <= number <= MAX_TTL_MS:
            raise InvalidTtl("ttl", milliseconds, f"a number of milliseconds in 1..{MAX_TTL_MS}")
        return int.__new__(cls, number)

    @classmethod
    def seconds(cls, seconds: float) -> Self:
        """From seconds, rounded to at least one millisecond. Raises InvalidTtl, also for NaN."""
        number = float.__float__(seconds) if isinstance(seconds, float) else _number(seconds)
        if number is None or not 0 < number <= MAX_TTL_MS / 1000:
            raise InvalidTtl("ttl", seconds, f"a number of seconds above 0 and at most {MAX_TTL_MS // 1000}")
        return cls(max(1, round(number * 1000)))

    @classmethod
    def of(cls, ttl: "Ttl | timedelta") -> Self:
        """From a Ttl or a timedelta, rounded to at least one millisecond. Raises InvalidTtl, also for a bare number, whose unit
        is unknown.
        """
        if isinstance(ttl, timedelta):
            microseconds = (_days(ttl) * 86_400 + _seconds(ttl)) * 1_000_000 + _microseconds(ttl)
            if not 0 < microseconds <= MAX_TTL_MS * 1000:
                raise InvalidTtl("ttl", ttl, f"above 0 and at most {MAX_TTL_MS // 1000} seconds")
            return cls(max(1, round(microseconds / 1000)))
        if not isinstance(ttl, Ttl):
            raise InvalidTtl(
                "ttl", ttl, "a datetime.timedelta or a Ttl, such as Ttl.seconds(90): a bare number has no unit"
            )
        return cls(ttl)

    @property
    def milliseconds(self) -> int:
        """As a plain number."""
        return int(self)

    def __repr__(self) -> str:
        return f"Ttl({int(self)})"

    __str__ = int.__repr__


class PartitionId(int):
    """A partition's id: 1..2^64-1, never used twice."""

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        """Raises InvalidId."""
        number = _number(value)
        if number is None or not 1 <= number <= MAX_PARTITION_ID:
            raise InvalidId("partition id", value, f"a number in 1..{MAX_PARTITION_ID}")
        return int.__new__(cls, number)


class NodeId(str):
    """A node's id: 1..64 characters of a-z, 0-9 and -."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Raises InvalidId."""
        text = str.__str__(value) if isinstance(value, str) else ""
        if not _NODE_ID.fullmatch(text):
            raise InvalidId("node id", value, "1..64 characters of a-z, 0-9 and -")
        return str.__new__(cls, text)


_days: Callable[[timedelta], int] = timedelta.days.__get__
_seconds: Callable[[timedelta], int] = timedelta.seconds.__get__
_microseconds: Callable[[timedelta], int] = timedelta.microseconds.__get__
"""The text of an instance of any subclass, without calling methods that the subclass may replace."""


def _number(value: object) -> int | None:
    """A whole number as a plain int; None for anything else: a float would be truncated silently, and a bool is a mistake."""
    if type(value) is int:
        return value
    return int.__int__(value) if isinstance(value, int) and not isinstance(value, bool) else None
