"""Keys, ranges, etags and times to live are made of the right values, and refuse all others by name."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.hostile import anything, catalogue

from dstk_client import Etag, InvalidArgument, Key, KeyRange, Ttl
from dstk_keytypes import NodeId, PartitionId

CONSTRUCTORS: list[Callable[[Any], Any]] = [
    Key,
    Key.of,
    Key.text,
    Key.parse,
    lambda given_: Key.of("a", (given_,)),
    KeyRange,
    lambda given_: KeyRange(b"", given_),
    KeyRange.prefix,
    KeyRange.tuple_prefix,
    KeyRange().split,
    lambda given_: given_ in KeyRange(),
    Ttl,
    Ttl.seconds,
    Ttl.of,
    Etag,
    NodeId,
    PartitionId,
]


def try_it(make: Callable[[Any], Any], value: Any) -> None:
    try:
        made = make(value)
    except InvalidArgument as error:
        assert len(error.value) <= 100  # noqa: PT017 - most values are refused
    else:
        assert isinstance(made, bool | bytes | int | str | KeyRange | tuple)


@pytest.mark.parametrize("make", CONSTRUCTORS)
def test_what_no_call_expects_is_refused_by_name(make: Callable[[Any], Any]) -> None:
    for value in catalogue():
        try_it(make, value)


@settings(max_examples=500, deadline=None)
@given(make=st.sampled_from(CONSTRUCTORS), value=anything())
def test_whatever_it_is_it_is_taken_or_refused(make: Callable[[Any], Any], value: Any) -> None:
    try_it(make, value)
