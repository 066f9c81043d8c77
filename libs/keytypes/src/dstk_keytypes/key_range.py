"""Half-open ranges of keys."""

from dataclasses import dataclass
from typing import Self

from dstk_keytypes.codec import AFTER_CODES, Part, encode
from dstk_keytypes.errors import InvalidRange
from dstk_keytypes.limits import MAX_KEY_BYTES
from dstk_keytypes.syntax import display

_FIRST = b"\0"
"""The first key there is; a start of b"" means the same."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys with start <= key < end. `start` b"": from the first key there is; `end` None: up to the last.

    Raises InvalidRange when start > end, or when a bound is not bytes or longer than a key can be.
    """

    start: bytes = b""
    end: bytes | None = None

    def __post_init__(self) -> None:
        _check("start", self.start)
        if self.end is not None:
            _check("end", self.end)
            if self.start > self.end:
                raise InvalidRange("start", self.start, f"not above the end, {self.end!r}")

    @classmethod
    def everything(cls) -> Self:
        """All keys."""
        return cls()

    @classmethod
    def prefix(cls, prefix: bytes) -> Self:
        """All keys that begin with `prefix`, itself included."""
        trimmed = prefix.rstrip(b"\xff")
        return cls(prefix, trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None)

    @classmethod
    def tuple_prefix(cls, *parts: Part) -> Self:
        """All keys of typed tuples that begin with `parts`, the tuple of just these included.

        More narrow than `prefix(encode(parts))`: where the last part is text that would hold longer text with a zero
        byte in it, since a zero byte is escaped by what follows it.
        """
        start = encode(parts)
        return cls(start, start + AFTER_CODES) if len(start) < MAX_KEY_BYTES else cls.prefix(start)

    @property
    def is_empty(self) -> bool:
        """True when no key can be in it."""
        return self.end is not None and (self.start or _FIRST) >= self.end

    def contains(self, key: bytes) -> bool:
        """True when `key` is in the range."""
        return self.start <= key and (self.end is None or key < self.end)

    def contains_range(self, other: "KeyRange") -> bool:
        """True when every key of `other` is in this range."""
        if other.is_empty:
            return True
        ends_inside = self.end is None or (other.end is not None and other.end <= self.end)
        return self.start <= (other.start or _FIRST) and ends_inside

    def intersects(self, other: "KeyRange") -> bool:
        """True when some key can be in both."""
        return not self.intersection(other).is_empty

    def intersection(self, other: "KeyRange") -> "KeyRange":
        """The keys in both; an empty range where there are none."""
        start = max(self.start, other.start)
        ends = [end for end in (self.end, other.end) if end is not None]
        end = min(ends) if ends else None
        return KeyRange(start if end is None else min(start, end), end)

    def split(self, key: bytes) -> tuple["KeyRange", "KeyRange"]:
        """The keys below `key`, and those from it on. Raises InvalidRange unless both can hold keys."""
        if not self.contains(key) or key <= (self.start or _FIRST):
            raise InvalidRange("split key", key, f"inside the range {self} and above its first key")
        return KeyRange(self.start, key), KeyRange(key, self.end)

    def __str__(self) -> str:
        """For people and logs."""
        start = display(self.start) if self.start else "first"
        end = "last" if self.end is None else display(self.end) if self.end else "first"
        return f"[{start} .. {end})"


def _check(field: str, bound: bytes) -> None:
    if not isinstance(bound, bytes) or len(bound) > MAX_KEY_BYTES:
        raise InvalidRange(field, bound, f"at most {MAX_KEY_BYTES} bytes")
