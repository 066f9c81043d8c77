"""What a sample of keys has in common."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_keytypes import Key
from dstk_metrics.domain.advice import advice
from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.prefixes import SHARE, Prefix, frequent

RNG = random.Random(7)


def names(keys: list[bytes]) -> list[tuple[bytes, bool]]:
    return [(each.prefix, each.is_key) for each in frequent(keys, 5)]


def spread(prefix: bytes, count: int) -> list[bytes]:
    return [prefix + RNG.randbytes(8) for _ in range(count)]


def test_a_single_key_is_named_as_a_key() -> None:
    assert frequent([b"user/7"] * 90 + spread(b"", 10), 5) == [Prefix(b"user/7", 0.9, is_key=True)]


def test_a_prefix_is_as_long_as_most_of_its_keys_allow() -> None:
    assert names(spread(b"user/2026-11-", 190) + spread(b"user/", 10)) == [(b"user/2026-11-", False)]


def test_several_prefixes_come_by_frequency() -> None:
    keys = spread(b"a/1/", 50) + spread(b"b/", 30) + [b"c"] * 20
    assert names(keys) == [(b"a/1/", False), (b"b/", False), (b"c", True)]


def test_a_key_is_named_within_its_prefix_that_others_share() -> None:
    assert names(spread(b"user/", 70) + [b"user/7"] * 30) == [(b"user/", False), (b"user/7", True)]


def test_keys_that_are_spread_evenly_have_no_prefix_but_the_common_one() -> None:
    assert names([b"%06d" % RNG.randrange(10**6) for _ in range(500)]) == []
    assert names([b"k%06d" % RNG.randrange(10**6) for _ in range(500)]) == [(b"k", False)]


def test_typed_keys_are_bytes_like_others() -> None:
    keys = [bytes(Key.of("city", "FR", RNG.randrange(70_000, 10**6))) for _ in range(80)]
    keys += [bytes(Key.of("city", RNG.choice("ABCDEFGHIJKLMNOP"), 1)) for _ in range(20)]
    (first, *_) = frequent(keys, 5)
    assert first.prefix.startswith(bytes(Key.of("city", "FR"))[:-1])
    assert first.share == pytest.approx(0.8)


def test_a_few_samples_say_nothing() -> None:
    assert not frequent([], 5)
    assert not frequent([b"a", b"a"], 5)


@given(st.lists(st.binary(min_size=1, max_size=4), max_size=60))
def test_shares_are_true_and_above_the_least(keys: list[bytes]) -> None:
    found = frequent(keys, 5)
    assert [each.share for each in found] == sorted((each.share for each in found), reverse=True)
    for each in found:
        sharing = [key for key in keys if (key == each.prefix if each.is_key else key.startswith(each.prefix))]
        assert each.share == pytest.approx(len(sharing) / len(keys))
        assert each.share > SHARE
        assert each.prefix


def test_advice_depends_on_what_is_asked() -> None:
    key, prefix = Prefix(b"k", 0.8, is_key=True), Prefix(b"p", 0.6, is_key=False)
    assert "Cache its record" in advice(7, "a", Figure.READS, [key], 1)
    assert "add its writes up" in advice(7, "a", Figure.WRITES, [key], 1)
    assert "dstk partitions split 7 --by-load" in advice(7, "a", Figure.READS, [prefix], 1)
    assert "2 prefixes" in advice(7, "a", Figure.READS, [prefix, prefix], 1)
    assert "spread over its keys" in advice(7, "a", Figure.READS, [], 1)
    assert "transfer" not in advice(7, "a", Figure.READS, [], 1)
