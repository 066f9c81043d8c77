"""Key ranges against the set of keys that they hold."""

import pickle
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dstk_keytypes import InvalidKey, InvalidRange, Key, KeyRange, Part
from dstk_keytypes.codec import decode, encode
from dstk_keytypes.testing import tuples

LETTERS = (b"\0", b"a", b"\xff")
UNIVERSE = [b"".join(letters) for size in (1, 2, 3) for letters in product(LETTERS, repeat=size)]
"""Has a key in every range with bounds of at most two of the letters, unless no key at all can be in it."""

SHORT = [key for key in UNIVERSE if len(key) <= 2]
RANGES = [KeyRange(start, end) for start in (b"", *SHORT) for end in (None, b"", *SHORT) if end is None or start <= end]
near_bytes = st.lists(st.sampled_from((*LETTERS, b"b")), max_size=4).map(b"".join)


def held(key_range: KeyRange) -> frozenset[bytes]:
    return frozenset(key for key in UNIVERSE if key_range.contains(key))


def test_range_algebra_is_set_algebra() -> None:
    keys_of = {key_range: held(key_range) for key_range in RANGES}
    for one, other in product(RANGES, repeat=2):
        common = keys_of[one] & keys_of[other]
        assert keys_of[one.intersection(other)] == common
        assert one.intersects(other) == bool(common)
        assert one.contains_range(other) == (keys_of[other] <= keys_of[one])


def test_a_range_is_empty_when_it_can_hold_no_key() -> None:
    assert [key_range.is_empty for key_range in RANGES] == [not held(key_range) for key_range in RANGES]


def test_a_split_divides_the_keys_in_two_that_both_have_some() -> None:
    for whole, key in product(RANGES, SHORT):
        inside = held(whole)
        below, above = frozenset(k for k in inside if k < key), frozenset(k for k in inside if k >= key)
        if below and key in above:
            low, high = whole.split(key)
            assert (held(low), held(high)) == (below, above)
            assert low.end == high.start == key
        else:
            with pytest.raises(InvalidRange, match="split key"):
                whole.split(key)


@given(near_bytes, near_bytes, near_bytes)
def test_a_prefix_range_holds_exactly_the_keys_with_the_prefix(prefix: bytes, rest: bytes, other: bytes) -> None:
    key_range = KeyRange.prefix(prefix)
    for key in (prefix + rest, other):
        assume(key)
        assert key_range.contains(key) == key.startswith(prefix)


@given(tuples(), tuples(), tuples())
def test_a_tuple_prefix_holds_exactly_the_tuples_that_begin_so(
    head: tuple[Part, ...], rest: tuple[Part, ...], other: tuple[Part, ...]
) -> None:
    key_range = KeyRange.tuple_prefix(*head)
    for value in (head + rest, other, head[:-1]):
        begins_so = encode(value[: len(head)]) == encode(head)
        assert key_range.contains(encode(value)) == begins_so


@pytest.mark.parametrize("last", ["a", b"a"])
def test_a_tuple_prefix_leaves_out_longer_text_with_a_zero(last: Part) -> None:
    longer = "a\0b" if isinstance(last, str) else b"a\0b"
    key_range = KeyRange.tuple_prefix("x", last)
    assert key_range.contains(Key.of("x", last))
    assert key_range.contains(Key.of("x", last, longer))
    assert not key_range.contains(Key.of("x", longer))


def test_the_prefix_of_no_parts_holds_all_typed_tuples() -> None:
    assert KeyRange.tuple_prefix().contains(Key.of(("z",)))
    assert not KeyRange.tuple_prefix().contains(b"text")


def test_prefixes_as_long_as_a_key_hold_that_key_alone() -> None:
    key = Key.of("x" * 1022)
    assert decode(key) == ("x" * 1022,)
    for key_range in (KeyRange.prefix(key), KeyRange.tuple_prefix("x" * 1022)):
        assert key_range.contains(key)
        assert not key_range.contains(key[:-1] + b"\x01")


def test_prefixes_of_high_bytes_reach_the_last_key() -> None:
    assert KeyRange.prefix(b"\xff\xff") == KeyRange(b"\xff\xff", None)
    assert KeyRange.prefix(b"a\xff") == KeyRange(b"a\xff", b"b")
    assert KeyRange.prefix(b"") == KeyRange.everything()


@pytest.mark.parametrize(
    ("start", "end", "field", "limit"),
    [
        (b"b", b"a", "start", r"not above the end, b'a'"),
        (b"k" * 1025, None, "start", "at most 1024 bytes"),
        (b"", b"k" * 1025, "end", "at most 1024 bytes"),
        ("text", None, "start", "bytes, such as a Key"),
        (b"", "text", "end", "bytes, such as a Key"),
        (None, None, "start", "bytes, such as a Key"),
    ],
)
def test_bounds_that_make_no_range_are_refused(start: Any, end: Any, field: str, limit: str) -> None:
    with pytest.raises(InvalidRange) as refusal:
        KeyRange(start, end)
    assert (refusal.value.field, refusal.value.limit) == (field, limit)


def test_a_prefix_longer_than_a_key_is_refused() -> None:
    with pytest.raises(InvalidRange, match="at most 1024 bytes"):
        KeyRange.prefix(b"k" * 1025)
    with pytest.raises(InvalidRange, match="at most 1024 bytes"):
        KeyRange.tuple_prefix("k" * 1024)


def test_a_range_is_a_value_that_reads_well() -> None:
    key_range = KeyRange(Key.of("city", "FR"), None)
    assert pickle.loads(pickle.dumps(key_range)) == key_range  # noqa: S301 - our own pickle
    assert hash(key_range) == hash(KeyRange(bytes(Key.of("city", "FR"))))
    assert str(key_range) == "[('city', 'FR') .. last)"
    assert [str(KeyRange.everything()), str(KeyRange(b"", b"m")), str(KeyRange(b"", b""))] == [
        "[first .. last)",
        "[first .. m)",
        "[first .. first)",
    ]
    frozen: Any = key_range
    with pytest.raises(AttributeError):
        frozen.start = b""


def test_an_empty_range_never_looks_like_one_without_end() -> None:
    """On the wire an end of b"" stands for no end."""
    for empty in (KeyRange(b"", b""), KeyRange(b"", b"b").intersection(KeyRange(b"c")), KeyRange(b"", b"\0")):
        assert empty.is_empty
        assert empty.end
        assert str(empty).endswith("first)") or empty.end == b"b"


def test_in_asks_whether_a_key_is_in_a_range() -> None:
    cities = KeyRange.tuple_prefix("city")
    assert Key.of("city", "FR") in cities
    assert b"city" not in cities
    for no_key in ("city", None, 7, bytearray(b"k")):
        with pytest.raises(InvalidKey, match="a Key or other bytes"):
            no_key in cities  # noqa: B015 - it raises


@pytest.mark.parametrize("bound", ["k", None, 7, bytearray(b"k"), memoryview(b"k")])
def test_prefixes_and_splits_are_made_of_bytes_alone(bound: Any) -> None:
    for make in (KeyRange.prefix, KeyRange().split):
        with pytest.raises(InvalidRange):
            make(bound)
