"""The encoding as it is written to disk. A line that fails means data that can no longer be read: never edit a line."""

import math
from datetime import UTC, datetime
from uuid import UUID

import pytest

from dstk_keytypes import Key, Part

TRANSCRIPT: list[tuple[tuple[Part, ...], str]] = [
    ((None,), "01"),
    ((False,), "02"),
    ((True,), "03"),
    ((0,), "0d"),
    ((1,), "0e01"),
    ((255,), "0eff"),
    ((256,), "0f0100"),
    ((65_535,), "0fffff"),
    ((2**32,), "120100000000"),
    ((2**64 - 1,), "15ffffffffffffffff"),
    ((2**64,), "160009010000000000000000"),
    ((2**72,), "16000a01000000000000000000"),
    ((-1,), "0cfe"),
    ((-255,), "0c00"),
    ((-256,), "0bfeff"),
    ((-(2**64) + 1,), "050000000000000000"),
    ((-(2**64),), "04fff6feffffffffffffffff"),
    ((0.0,), "178000000000000000"),
    ((-0.0,), "177fffffffffffffff"),
    ((1.0,), "17bff0000000000000"),
    ((-1.0,), "17400fffffffffffff"),
    ((2.5,), "17c004000000000000"),
    ((5e-324,), "178000000000000001"),
    ((math.inf,), "17fff0000000000000"),
    ((-math.inf,), "17000fffffffffffff"),
    ((math.nan,), "17fff8000000000000"),
    ((datetime(1970, 1, 1, tzinfo=UTC),), "188000000000000000"),
    ((datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC),), "18800649add4493001"),
    ((datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),), "187fffffffffffffff"),
    ((datetime.min.replace(tzinfo=UTC),), "187f23400100d44000"),
    ((datetime.max.replace(tzinfo=UTC),), "188384440ccc735fff"),
    (("",), "1900"),
    (("hello",), "1968656c6c6f00"),
    (("a\0b",), "196100ff6200"),
    (("é\U0001f409",), "19c3a9f09f908900"),
    ((b"",), "1a00"),
    ((b"\0",), "1a00ff00"),
    ((b"\x00\xff\xfe",), "1a00fffffe00"),
    ((UUID("12345678-1234-5678-1234-567812345678"),), "1b12345678123456781234567812345678"),
    (((),), "1c00"),
    (((None,),), "1c0100"),
    ((("a", 1), "b"), "1c1961000e0100 196200"),
    (((((),),), 0), "1c1c1c000000 0d"),
    (("city", "FR", 2_988_507), "196369747900 19465200 102d99db"),
]


@pytest.mark.parametrize(("value", "encoded"), TRANSCRIPT)
def test_the_encoding_on_disk_never_changes(value: tuple[Part, ...], encoded: str) -> None:
    assert Key.of(*value).hex() == encoded.replace(" ", "")


@pytest.mark.parametrize(("value", "encoded"), TRANSCRIPT)
def test_what_is_on_disk_is_still_read(value: tuple[Part, ...], encoded: str) -> None:
    assert repr(Key(bytes.fromhex(encoded)).parts()) == repr(value)
