"""Half-open ranges of keys."""

from dataclasses import dataclass
from typing import Self

from dstk_keytypes.codec import AFTER_CODES, Part, encode
from dstk_keytypes.errors import InvalidKey, InvalidRange
from dstk_keytypes.key import Key
from dstk_keytypes.limits import MAX_KEY_BYTES
from dstk_keytypes.subclasses import plain_bytes
from dstk_keytypes.syntax import display

_FIRST = b"\0"
"""The smallest key; a start of b"" means the same."""

_set = object.__setattr__
"""Sets a field while a frozen object is made."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    r"""The keys with start <= key < end. `start` b"": from the first key; `end` None: up to the last key.

    Raises InvalidRange when start > end, or when a bound is not bytes or is longer than a key can be.

    Invariant: `end` is never b"", which means "no end" in protobuf. An `end` of b"" is kept as b"\0", the smallest key: no key
    is below either.
    """

    start: bytes = b""
    end: bytes | None = None

    def __post_init__(self) -> None:
        _set(self, "start", _bound("start", self.start))
        if self.end is None:
            return
        end = _bound("end", self.end)
        if self.start > end:
            raise InvalidRange("start", self.start, f"not above the end, {end!r}")
        _set(self, "end", end or _FIRST)

    @classmethod
    def everything(cls) -> Self:
        """All keys."""
        return cls()

    @classmethod
    def prefix(cls, prefix: bytes) -> Self:
        """All keys that begin with `prefix`, itself included."""
        trimmed = _bound("prefix", prefix).rstrip(b"\xff")
        return cls(prefix, trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None)

    @classmethod
    def tuple_prefix(cls, *parts: Part) -> Self:
        """All keys of typed tuples that begin with `parts`, including the tuple `parts` itself.

        Narrower than `prefix(encode(parts))`: if the last part is text, that prefix also matches longer text with a zero byte
        after it, because the escape of a zero byte starts like the end of the text.
        """
        start = encode(parts)
        return cls(start, start + AFTER_CODES) if len(start) < MAX_KEY_BYTES else cls.prefix(start)

    @property
    def is_empty(self) -> bool:
        """True when the range can hold no key."""
        return self.end is not None and (self.start or _FIRST) >= self.end

    def __contains__(self, key: bytes) -> bool:
        """True when `key` is in the range. Raises InvalidKey for a value that is not bytes."""
        if not isinstance(key, bytes):
            raise InvalidKey("key", key, "a Key or other bytes")
        return self.contains(plain_bytes(key))

    def contains(self, key: bytes) -> bool:
        """The same as `key in range`, without the check for bytes."""
        return self.start <= key and (self.end is None or key < self.end)

    def contains_range(self, other: "KeyRange") -> bool:
        """True when every key of `other` is in this range."""
        if other.is_empty:
            return True
        ends_inside = self.end is None or (other.end is not None and other.end <= self.end)
        return self.start <= (other.start or _FIRST) and ends_inside

    def intersects(self, other: "KeyRange") -> bool:
        """True when a key can be in both ranges."""
        return not self.intersection(other).is_empty

    def intersection(self, other: "KeyRange") -> "KeyRange":
        """The keys in both ranges; an empty range if there are none."""
        start = max(self.start, other.start)
        ends = [end for end in (self.end, other.end) if end is not None]
        end = min(ends) if ends else None
        return KeyRange(start if end is None else min(start, end), end)

    def split(self, key: bytes) -> tuple["KeyRange", "KeyRange"]:
        """The range below `key`, and the range from `key` on. Raises InvalidRange unless both can hold keys."""
        key = _bound("split key", key)
        if not self.contains(key) or key <= (self.start or _FIRST):
            raise InvalidRange("split key", key, f"inside the range {self} and above its first key")
        return KeyRange(self.start, key), KeyRange(key, self.end)

    def __str__(self) -> str:
        """For people and logs."""
        start = display(self.start) if self.start else "first"
        end = "last" if self.end is None else "first" if self.end == _FIRST else display(self.end)
        return f"[{start} .. {end})"


def _bound(field: str, bound: bytes) -> bytes:
    if isinstance(bound, bytes):
        exact = bound if type(bound) is bytes or type(bound) is Key else plain_bytes(bound)
        if len(exact) <= MAX_KEY_BYTES:
            return exact
        raise InvalidRange(field, exact, f"at most {MAX_KEY_BYTES} bytes")
    raise InvalidRange(field, bound, "bytes, such as a Key")
