"""Values that no call expects: of every type, and objects whose every method fails."""

import decimal
import fractions
import uuid
from array import array
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from dstk_keytypes import Etag, Key, KeyRange, Ttl


class Boom(Exception):
    """The error that hostile objects raise."""


def _boom(*_: Any, **__: Any) -> Any:
    raise Boom


_NAMES = (
    *(
        "bool",
        "bytes",
        "call",
        "contains",
        "delitem",
        "eq",
        "float",
        "format",
        "ge",
        "getitem",
        "gt",
        "hash",
        "index",
        "int",
    ),
    *(
        "iter",
        "le",
        "len",
        "lt",
        "ne",
        "next",
        "repr",
        "reversed",
        "round",
        "str",
        "sub",
        "add",
        "trunc",
        "aiter",
        "anext",
    ),
)
METHODS = {f"__{name}__": _boom for name in _NAMES}

HostileObject = type("HostileObject", (), {**METHODS, "__getattr__": _boom})
HostileBytes = type("HostileBytes", (bytes,), METHODS)
HostileStr = type("HostileStr", (str,), METHODS)
HostileInt = type("HostileInt", (int,), METHODS)
HostileFloat = type("HostileFloat", (float,), METHODS)
HostileList = type("HostileList", (list,), METHODS)
HostileTuple = type("HostileTuple", (tuple,), METHODS)
HostileKey = type("HostileKey", (Key,), {**METHODS, "__slots__": ()})
HostileTtl = type("HostileTtl", (Ttl,), {**METHODS, "__slots__": ()})
HostileDelta = type("HostileDelta", (timedelta,), METHODS)
HostileRange = type(
    "HostileRange", (KeyRange,), {"__slots__": (), **{name: _boom for name in METHODS if name != "__hash__"}}
)


class Arrayish:
    """Like numpy's scalars: converts to many types, but is none of them."""

    dtype = "int64"

    def __index__(self) -> int:
        return 7

    __int__ = __len__ = __index__

    def __float__(self) -> float:
        return 7.0

    def __bytes__(self) -> bytes:
        return b"k"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


async def asynchronous(_: object) -> None:
    """A coroutine that is never awaited."""


def endless() -> Iterator[int]:
    """Never ends."""
    while True:
        yield 1


def released() -> memoryview:
    """A view of released memory."""
    view = memoryview(b"k")
    view.release()
    return view


HUGE = 10**400


def catalogue() -> list[Any]:
    """One value of each kind, made for each call, since some can be used only once."""
    return [
        *(None, True, False, 0, 1, -1, 7, 2**31, 2**32, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, HUGE, -HUGE, 10**5000),
        *(0.0, -0.0, 0.5, 1.5, -1.0, 5e-324, 1e300, 5_000_000.0, float("nan"), float("inf"), float("-inf"), 1j),
        *(
            "",
            "k",
            "a str",
            "\udc80",
            "\0",
            "é" * 5000,
            b"",
            b"k",
            b"k" * 1024,
            b"k" * 1025,
            bytes(1 << 20),
            bytes((1 << 20) + 1),
        ),
        *(bytearray(b"k"), bytearray((1 << 20) + 1), memoryview(b"k"), memoryview(b"abcdef")[::2], released()),
        *(memoryview(array("d", [1.0])), array("b", [1]), range(3), range(10**12), slice(1)),
        *(
            [],
            [b"k"],
            [b"k"] * 20_000,
            ["k"],
            [[b"k", b"v"]],
            [(b"k",)],
            [(b"k", b"v", b"w")],
            [(b"k", "v")],
            [("k", b"v")],
        ),
        *(
            [(b"b", b"v"), (b"a", b"v")],
            [(b"a", b"v")] * 2,
            [("ab")],
            ["ab"],
            [b"ab"],
            [None],
            [[]],
            [{}],
            (),
            {},
            set(),
        ),
        *({b"k": b"v"}, {b"ab": 1}, {1, 2}, frozenset(), iter([(b"k", b"v")]), endless(), (each for each in "ab")),
        *(object(), object, int, print, lambda: None, _boom, NotImplemented, ..., Exception("x"), type),
        *(decimal.Decimal("1.5"), decimal.Decimal("NaN"), fractions.Fraction(1, 3), uuid.UUID(int=1), date.min),
        *(
            datetime.max.replace(tzinfo=UTC),
            datetime.now(UTC),
            timedelta(0),
            timedelta(-1),
            timedelta(microseconds=1),
            timedelta.max,
        ),
        *(
            Key(b"k"),
            Key.unchecked(b""),
            Key.unchecked(b"k" * 5000),
            Etag(7),
            Ttl(5),
            KeyRange(b"", b""),
            KeyRange(b"x", b"x"),
        ),
        *(HostileObject(), HostileBytes(b"k"), HostileStr("k"), HostileInt(7), HostileFloat(7.0), HostileDelta(1)),
        *(
            HostileList([(b"k", b"v")]),
            HostileTuple((b"k", b"v")),
            [HostileTuple((b"k", b"v"))],
            [(HostileBytes(b"k"), b"v")],
        ),
        *(
            HostileKey(b"k"),
            HostileTtl(5),
            HostileRange(b"x", b"y"),
            int.__new__(Ttl, 0),
            int.__new__(Ttl, 2**70),
            Arrayish(),
        ),
        *([HostileObject()], [Arrayish()], HostileObject, Arrayish, asynchronous),
    ]


def anything() -> st.SearchStrategy[Any]:
    """Arbitrary values: scalars, hostile ones, and collections of them."""
    scalars = st.one_of(
        st.integers(),
        st.integers(-HUGE, HUGE),
        st.floats(),
        st.text(max_size=20),
        st.binary(max_size=20),
        st.binary(max_size=20).map(bytearray),
        st.decimals(),
        st.timedeltas(),
        st.datetimes(),
        st.uuids(),
        st.integers(0, len(catalogue()) - 1).map(lambda at: catalogue()[at]),
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.tuples(inner, inner),
            st.lists(st.tuples(st.binary(max_size=3), inner), max_size=3),
            st.lists(inner, max_size=2).map(iter),
        ),
        max_leaves=6,
    )
