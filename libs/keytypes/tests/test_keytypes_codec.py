"""The typed tuple codec against a model of its order, and against bytes that it did not make."""

import math
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_keytypes import InvalidKey, Key, Part, limits
from dstk_keytypes.codec import decode, encode
from dstk_keytypes.testing import SCALARS, parts, tuples

TYPE_ORDER = (type(None), bool, int, float, datetime, str, bytes, UUID, tuple)
"""The documented order of types."""


def rank(part: Part) -> tuple[Any, ...]:
    """The documented order as something that Python compares, independent of the encoding."""
    return TYPE_ORDER.index(type(part)), _value_rank(part)


def _value_rank(part: Part) -> Any:
    match part:
        case None:
            return 0
        case float():
            return (1, 0.0, 0.0) if math.isnan(part) else (0, part, math.copysign(1, part))
        case UUID():
            return part.bytes
        case tuple():
            return tuple(map(rank, part))
    return part


def in_order(first: tuple[Part, ...], second: tuple[Part, ...]) -> bool:
    """Whether the encodings compare as the values do, both ways round."""
    one, other = encode(first), encode(second)
    return ((one < other) == (rank(first) < rank(second))) and ((one == other) == (rank(first) == rank(second)))


@pytest.mark.parametrize("kind", SCALARS)
def test_values_of_one_type_keep_their_order(kind: str) -> None:
    @given(SCALARS[kind], SCALARS[kind])
    def check(first: Part, second: Part) -> None:
        assert in_order((first,), (second,))

    check()


@given(tuples(), tuples())
def test_tuples_of_mixed_types_keep_their_order(first: tuple[Part, ...], second: tuple[Part, ...]) -> None:
    assert in_order(first, second)


@given(tuples(), tuples(), tuples())
def test_tuples_with_a_common_beginning_keep_their_order(
    head: tuple[Part, ...], first: tuple[Part, ...], second: tuple[Part, ...]
) -> None:
    assert in_order(head + first, head + second)
    assert in_order((head + first, *second), (head + second, *first))


@given(tuples(), parts())
def test_a_tuple_comes_before_those_that_it_begins(head: tuple[Part, ...], part: Part) -> None:
    assert encode(head) < encode((*head, part))


def test_types_are_ordered_by_their_codes() -> None:
    lowest_and_highest: list[Part] = [
        None, False, True, -(256**900), 256**900, -math.inf, math.nan, datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC), "", "\U0010ffff", b"", b"\xff" * 9, UUID(int=0), UUID(int=2**128 - 1), (),
    ]  # fmt: skip
    encoded = [encode((part,)) for part in lowest_and_highest]
    assert all(before < after for before, after in pairwise(encoded))


def test_floats_are_in_total_order() -> None:
    floats = [-math.inf, -1e308, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1e308, math.inf, math.nan]
    encoded = [encode((value,)) for value in floats]
    assert encoded == sorted(encoded)
    assert len(set(encoded)) == len(floats)


@given(tuples())
def test_what_was_encoded_is_decoded(value: tuple[Part, ...]) -> None:
    decoded = decode(encode(value))
    assert rank(decoded) == rank(value)


@given(st.binary(max_size=40) | st.lists(st.sampled_from(range(0x20)), max_size=20).map(bytes))
def test_any_bytes_decode_to_their_own_tuple_or_are_refused(data: bytes) -> None:
    assert_canonical(data)


@given(tuples().map(encode), st.data())
def test_damaged_encodings_decode_to_their_own_tuple_or_are_refused(whole: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(whole)))
    assert_canonical(whole[:cut] + data.draw(st.binary(max_size=3)) + whole[cut + data.draw(st.integers(0, 3)) :])


def assert_canonical(data: bytes) -> None:
    try:
        value = decode(data)
    except InvalidKey:
        return
    assert encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        "00", "1d", "20", "7f", "ff",  # no type codes
        "0e", "0c", "0f01", "1600", "160009ffff", "17ff", "18ff", "1961", "1961 00ff", "1bff", "1c", "1c01",  # cut
        "0e00", "0f00ff", "0cff", "0bffff", "160008ffffffffffffffff", "16000900ffffffffffffffff",  # leading zeros
        "04fff70000000000000000", "160401" + "ff" * 1025,  # a long form that is short, a number that is too long
        "17fff8000000000001", "17000000000000000f",  # other NaNs
        "18ffffffffffffffff", "180000000000000000",  # outside of the years 1..9999
        "19ff00", "19eda08000", "19c08000",  # not UTF-8, a surrogate, an overlong zero
        "1c" * 33 + "00" * 33,  # nested too deep
    ],
)  # fmt: skip
def test_bytes_that_encode_does_not_make_are_refused(data: str) -> None:
    with pytest.raises(InvalidKey, match="the encoding of a typed tuple"):
        decode(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("part", "limit"),
    [
        (datetime(2026, 1, 31), "a datetime with a timezone"),  # noqa: DTZ001 - naive on purpose
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "years 1..9999"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "years 1..9999"),
        ("\ud800", "lone surrogates"),
        (256**1024, "at most 1024 bytes"),
        (-(256**1024), "at most 1024 bytes"),
        pytest.param(10**5000, "at most 1024 bytes", id="more digits than Python renders"),
        ([1], "None, bool, int"),
        ({"a": 1}, "None, bool, int"),
        (1j, "None, bool, int"),
        (bytearray(b"a"), "None, bool, int"),
        (timedelta(1), "None, bool, int"),
        (datetime(2026, 1, 31, tzinfo=UTC).date(), "None, bool, int"),
        (("nested", object()), "None, bool, int"),
    ],
)
def test_parts_that_cannot_be_encoded_are_refused_with_the_reason(part: Any, limit: str) -> None:
    with pytest.raises(InvalidKey) as refusal:
        Key.of("first", part)
    assert refusal.value.field == "key part"
    assert limit in refusal.value.limit


def test_tuples_nest_up_to_the_limit() -> None:
    value: tuple[Part, ...] = ("leaf",)
    for _ in range(limits.MAX_TUPLE_DEPTH):
        value = (value,)
    assert decode(encode(value)) == value
    with pytest.raises(InvalidKey, match="nested at most 32 deep"):
        encode((value,))


def test_the_longest_number_that_the_codec_takes_survives() -> None:
    for value in (256**1024 - 1, 1 - 256**1024):
        assert decode(encode((value,))) == (value,)


def test_bool_int_and_float_of_one_value_are_three_keys() -> None:
    assert len({Key.of(True), Key.of(1), Key.of(1.0)}) == 3
    assert [type(Key.of(part).parts()[0]) for part in (True, 1, 1.0)] == [bool, int, float]


def test_datetimes_are_ordered_by_instant_and_read_in_utc() -> None:
    paris = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=ZoneInfo("Europe/Paris"))
    utc = datetime(2026, 1, 31, 11, 0, 0, 1, tzinfo=UTC)
    assert Key.of(paris) == Key.of(utc)
    assert Key.of(paris).parts() == (utc,)
    assert str(Key.of(paris).parts()[0]) == "2026-01-31 11:00:00.000001+00:00"


def test_subclasses_are_encoded_as_what_they_are() -> None:
    class Colour(StrEnum):
        RED = "red"

    class Level(IntEnum):
        HIGH = 3

    class Point(NamedTuple):
        x: int
        y: int

    assert Key.of(Colour.RED, Level.HIGH, Point(1, 2), Key(b"k")) == Key.of("red", 3, (1, 2), b"k")
