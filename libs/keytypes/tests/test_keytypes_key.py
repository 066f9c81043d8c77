"""Keys: bounds, construction, and that they are bytes."""

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_keytypes import InvalidKey, Key
from dstk_keytypes.testing import keys


@pytest.mark.parametrize("size", [1, 1024])
def test_keys_at_the_bounds_are_accepted(size: int) -> None:
    assert len(Key(b"k" * size)) == size


@pytest.mark.parametrize("size", [0, 1025, 1 << 20])
def test_keys_beyond_the_bounds_are_refused_naming_the_limit_and_the_size(size: int) -> None:
    with pytest.raises(InvalidKey) as refusal:
        Key(b"k" * size)
    assert refusal.value.field == "key"
    assert refusal.value.limit == f"1..1024 bytes, and it has {size}"
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("value", ["text", 7, None, [1], bytearray(b"k"), memoryview(b"k")])
def test_only_bytes_become_a_key(value: Any) -> None:
    with pytest.raises(InvalidKey, match=r"bytes; use Key\.of"):
        Key(value)


def test_a_typed_tuple_must_fit_and_have_parts() -> None:
    assert len(Key.of("x" * 1022)) == 1024
    for parts in ((), ("x" * 1023,)):
        with pytest.raises(InvalidKey, match=r"1\.\.1024 bytes"):
            Key.of(*parts)


@pytest.mark.parametrize("text", ["", "é" * 513, "\udcff"])
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        Key.text(text)


def test_a_key_is_its_bytes() -> None:
    key = Key.text("hello")
    assert key == b"hello"
    assert hash(key) == hash(b"hello")
    assert Key.unchecked(b"hello") == key
    assert repr(key) == "Key(b'hello')"
    assert Key.of("city", "FR", 2988507).parts() == ("city", "FR", 2988507)


@given(keys())
def test_a_key_survives_pickling_and_copying(key: Key) -> None:
    for copied in (pickle.loads(pickle.dumps(key)), copy.copy(key), copy.deepcopy(key)):  # noqa: S301 - our own pickle
        assert copied == key
        assert type(copied) is Key


@given(st.lists(keys()))
def test_keys_are_ordered_bytewise(some: list[Key]) -> None:
    assert sorted(some) == sorted(some, key=bytes)
