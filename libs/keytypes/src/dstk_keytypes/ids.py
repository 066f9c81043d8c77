"""Etags, times to live and ids: plain numbers and strings that have been checked."""

import re
from typing import Self

from dstk_keytypes.errors import InvalidEtag, InvalidId, InvalidTtl
from dstk_keytypes.limits import MAX_ETAG, MAX_TTL_MS

_NODE_ID = re.compile(r"[a-z0-9-]{1,64}")


class Etag(int):
    """The sequence number of the write that produced a record: 1..2^64-1. Raises InvalidEtag."""

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        if isinstance(value, bool) or not 1 <= value <= MAX_ETAG:
            raise InvalidEtag("etag", value, f"a number in 1..{MAX_ETAG}")
        return super().__new__(cls, value)

    def __repr__(self) -> str:
        return f"Etag({int(self)})"


class Ttl(int):
    """A time to live in milliseconds: 1 to 3,155,760,000,000 (100 years). Raises InvalidTtl."""

    __slots__ = ()

    def __new__(cls, milliseconds: int) -> Self:
        if isinstance(milliseconds, bool) or not 1 <= milliseconds <= MAX_TTL_MS:
            raise InvalidTtl("ttl", milliseconds, f"1..{MAX_TTL_MS} milliseconds")
        return super().__new__(cls, milliseconds)

    @classmethod
    def seconds(cls, seconds: float) -> Self:
        """From seconds, rounded to the millisecond."""
        if not 0 < seconds <= MAX_TTL_MS / 1000:  # refuses NaN and infinities too
            raise InvalidTtl("ttl", seconds, f"above 0 and at most {MAX_TTL_MS // 1000} seconds")
        return cls(max(1, round(seconds * 1000)))

    @property
    def milliseconds(self) -> int:
        """As a plain number."""
        return int(self)

    def __repr__(self) -> str:
        return f"Ttl({int(self)})"


class PartitionId(int):
    """A partition's id: at least 1, never used again. Raises InvalidId."""

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        if isinstance(value, bool) or not 1 <= value <= MAX_ETAG:
            raise InvalidId("partition id", value, f"a number in 1..{MAX_ETAG}")
        return super().__new__(cls, value)


class NodeId(str):
    """A node's id: 1..64 of [a-z0-9-]. Raises InvalidId."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        if not _NODE_ID.fullmatch(value):
            raise InvalidId("node id", value, "1..64 characters of a-z, 0-9 and -")
        return super().__new__(cls, value)
