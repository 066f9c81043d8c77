"""Etags, times to live and ids: plain numbers and text that have been checked, and cost no more than those."""

import re
from typing import Self

from dstk_keytypes.errors import InvalidEtag, InvalidId, InvalidTtl
from dstk_keytypes.limits import MAX_ETAG, MAX_PARTITION_ID, MAX_TTL_MS

_NODE_ID = re.compile(r"[a-z0-9-]{1,64}")


class Etag(int):
    """The sequence number of the write that produced a record: 1..2^64-1."""

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        """Raises InvalidEtag."""
        if not _is_number(value) or not 1 <= value <= MAX_ETAG:
            raise InvalidEtag("etag", value, f"a number in 1..{MAX_ETAG}")
        return int.__new__(cls, value)

    def __repr__(self) -> str:
        return f"Etag({int(self)})"

    __str__ = int.__repr__  # in text and metadata it is its number


class Ttl(int):
    """A time to live in milliseconds: 1..3,155,760,000,000 (100 years)."""

    __slots__ = ()

    def __new__(cls, milliseconds: int) -> Self:
        """Raises InvalidTtl."""
        if not _is_number(milliseconds) or not 1 <= milliseconds <= MAX_TTL_MS:
            raise InvalidTtl("ttl", milliseconds, f"a number of milliseconds in 1..{MAX_TTL_MS}")
        return int.__new__(cls, milliseconds)

    @classmethod
    def seconds(cls, seconds: float) -> Self:
        """From seconds, rounded to the millisecond and never to none. Raises InvalidTtl, for NaN too."""
        if not isinstance(seconds, int | float) or not 0 < seconds <= MAX_TTL_MS / 1000:
            raise InvalidTtl("ttl", seconds, f"a number of seconds above 0 and at most {MAX_TTL_MS // 1000}")
        return cls(max(1, round(seconds * 1000)))

    @property
    def milliseconds(self) -> int:
        """As a plain number."""
        return int(self)

    def __repr__(self) -> str:
        return f"Ttl({int(self)})"

    __str__ = int.__repr__


class PartitionId(int):
    """A partition's id: 1..2^64-1, never given twice."""

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        """Raises InvalidId."""
        if not _is_number(value) or not 1 <= value <= MAX_PARTITION_ID:
            raise InvalidId("partition id", value, f"a number in 1..{MAX_PARTITION_ID}")
        return int.__new__(cls, value)


class NodeId(str):
    """A node's id: 1..64 characters of a-z, 0-9 and -."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Raises InvalidId."""
        if not isinstance(value, str) or not _NODE_ID.fullmatch(value):
            raise InvalidId("node id", value, "1..64 characters of a-z, 0-9 and -")
        return str.__new__(cls, value)


def _is_number(value: object) -> bool:
    """True for whole numbers: a float would be truncated in silence, a bool is a mistake."""
    return type(value) is int or (isinstance(value, int) and not isinstance(value, bool))
