"""Keys: checked bytes, usually made from a typed tuple."""

from typing import Self

from dstk_keytypes import codec, syntax
from dstk_keytypes.codec import Part
from dstk_keytypes.errors import InvalidKey
from dstk_keytypes.limits import MAX_KEY_BYTES
from dstk_keytypes.subclasses import plain_bytes

_new = bytes.__new__


class Key(bytes):
    """1..1024 bytes, ordered bytewise.

    A Key is bytes: it compares, hashes and is sent as bytes, at the same speed.
    """

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        """From bytes as they are. Raises InvalidKey."""
        if not isinstance(value, bytes):
            raise InvalidKey("key", value, "bytes; use Key.of for typed tuples and Key.text for text")
        if type(value) is not bytes:
            value = plain_bytes(value)
        if not 0 < len(value) <= MAX_KEY_BYTES:
            raise InvalidKey("key", value, f"1..{MAX_KEY_BYTES} bytes, and it has {len(value)}")
        return _new(cls, value)

    @classmethod
    def of(cls, *parts: Part) -> Self:
        """From a typed tuple; the order of keys is the order of tuples (codec.py). Raises InvalidKey."""
        return cls(codec.encode(parts))

    @classmethod
    def text(cls, text: str) -> Self:
        """From text, as UTF-8. Raises InvalidKey."""
        return cls(syntax.utf8(text))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a key as people type it: `("city", "FR", 2988507)`, `0x6869`, or any other text (syntax.py).

        Raises InvalidKey.
        """
        return cls(syntax.parse(text))

    @classmethod
    def unchecked(cls, value: bytes) -> Self:
        """From bytes that are known to be a key, such as a key that the store returned."""
        return _new(cls, value)

    def parts(self) -> tuple[Part, ...]:
        """The typed tuple that the key was made from. Raises InvalidKey when it was not made from one."""
        return codec.decode(self)

    def display(self) -> str:
        """The key as people read it; the reverse of `parse`."""
        return syntax.display(self)

    def __repr__(self) -> str:
        return f"Key({bytes(self)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (bytes(self),)
