"""Parts of keys whose type is a subclass: kept exactly, or refused. Two values that differ are never one key."""

import os
import time
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID, SafeUUID
from zoneinfo import ZoneInfo

import pytest

from dstk_keytypes import Etag, InvalidKey, Key, KeyRange, Ttl

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Timestamp(datetime):
    """As pandas has it: a datetime with nanoseconds, equal to others that agree on them."""

    __slots__ = ("nanosecond",)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and getattr(self, "nanosecond", 0) == getattr(other, "nanosecond", 0)

    __hash__ = datetime.__hash__


class Stateful(datetime):
    """With nanoseconds as a plain attribute, which no comparison sees."""


def stamp(kind: type[datetime], nanosecond: int) -> Any:
    made: Any = kind(2026, 1, 31, 12, tzinfo=UTC)
    made.nanosecond = nanosecond
    return made


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: float
    y: float


class Plain(datetime):
    """Nothing more than a datetime, as freezegun's."""


class Mine(UUID):
    pass


class Marked(str):
    __slots__ = ("mark",)


class Liar(bytes):
    """Says of itself what is not so."""

    def __bytes__(self) -> bytes:
        return b"other"

    def __len__(self) -> int:
        return 5000

    def replace(self, *_: Any) -> Any:
        raise RuntimeError


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Point(1.5, float("nan")), (1.5, float("nan"))),
        (Etag(7), 7),
        (Key(b"k"), b"k"),
        (Plain(2026, 1, 31, 12, tzinfo=UTC), NOON),
        (Mine(int=7), UUID(int=7)),
        (Liar(b"k\0"), b"k\0"),
        (type("F", (float,), {})("nan"), float("nan")),
        (type("F", (float,), {})(-0.0), -0.0),
    ],
)
def test_a_subclass_that_has_no_more_than_its_base_is_kept_as_that(given: Any, same: Any) -> None:
    assert Key.of(given) == Key.of(same)
    assert KeyRange.tuple_prefix(given) == KeyRange.tuple_prefix(same)
    assert type(Key.of(given).parts()[0]) is type(same)


@pytest.mark.parametrize("kind", [Timestamp, Stateful])
def test_timestamps_that_differ_in_nanoseconds_are_never_one_key(kind: type[datetime]) -> None:
    for nanosecond in (1, 999):
        with pytest.raises(InvalidKey, match="has more than can be kept"):
            Key.of("t", stamp(kind, nanosecond))


def marked() -> Marked:
    text: Any = Marked("text")
    text.mark = 1
    return text


@pytest.mark.parametrize(
    "given",
    [
        marked(),
        time.gmtime(0),
        os.stat("/"),  # noqa: PTH116 - its result is what is meant
        date(2026, 1, 31),
        datetime(2026, 1, 31),  # noqa: DTZ001 - it names no instant
        timedelta(1),
        Decimal("1.0"),
        Fraction(1),
        1 + 0j,
        bytearray(b"k"),
        memoryview(b"k"),
        [1],
        {1},
        {},
        object(),
        int,
        PurePath("k"),
        SafeUUID.safe,
    ],
)
def test_what_cannot_be_kept_whole_is_refused(given: Any) -> None:
    for parts in ((given,), (1, (given,))):
        with pytest.raises(InvalidKey):
            Key.of(*parts)


def test_equal_numbers_of_different_types_are_different_keys() -> None:
    assert len({Key.of(each) for each in (True, 1, 1.0, "1", b"1", 0.0, -0.0, False, 0, None)}) == 10


def test_the_two_instants_of_an_hour_that_comes_twice_are_two_keys() -> None:
    paris = ZoneInfo("Europe/Paris")
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=paris, fold=fold) for fold in (0, 1))
    read: list[Any] = [Key.of(each).parts()[0] for each in (first, second)]
    assert [each.hour for each in read] == [0, 1]
    assert Key.of(NOON) == Key.of(NOON.astimezone(timezone(timedelta(hours=5))))


class Broken(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        raise RuntimeError("no offset today")


class Hostile(str):
    """Whose every method fails."""

    __slots__ = ()

    def __eq__(self, _: object) -> bool:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError

    __hash__ = str.__hash__


@pytest.mark.parametrize("given", [datetime(2026, 1, 31, tzinfo=Broken()), Hostile("x")])
def test_a_part_whose_own_code_fails_is_refused_as_any_other(given: Any) -> None:
    with pytest.raises(InvalidKey):
        Key.of(given)


def test_a_key_is_the_bytes_that_a_subclass_holds() -> None:
    assert Key(Liar(b"k")) == b"k"
    assert KeyRange(Liar(b"a"), Liar(b"b")) == KeyRange(b"a", b"b")
    assert Liar(b"a") in KeyRange(b"a", b"b")


def test_a_ttl_of_a_timedelta_counts_milliseconds() -> None:
    assert Ttl.of(timedelta(seconds=1.5)) == Ttl(1500)
    assert Ttl.of(timedelta(microseconds=1)) == Ttl(1)
    assert Ttl.of(Ttl(5)) == Ttl(5)
    assert type(Ttl.of(timedelta(days=36525))) is Ttl
