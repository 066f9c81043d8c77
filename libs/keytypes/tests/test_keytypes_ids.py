"""Etags, times to live, ids, and the errors of them all."""

import json
import pickle
from datetime import timedelta
from typing import Any

import pytest

from dstk_keytypes import (
    Etag,
    InvalidEtag,
    InvalidId,
    InvalidInput,
    InvalidKey,
    InvalidRange,
    InvalidTtl,
    InvalidValue,
    NodeId,
    PartitionId,
    Ttl,
    limits,
)

CENTURY = limits.MAX_TTL_MS
UNRENDERED = 10**5000
"""Of more digits than Python agrees to render."""


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Etag, [1, 2**64 - 1, Etag(7)]),
        (Ttl, [1, CENTURY, Ttl(7)]),
        (PartitionId, [1, 2**64 - 1]),
        (NodeId, ["a", "node-1", "-" * 64]),
    ],
)
def test_values_within_the_bounds_are_themselves(kind: Any, values: list[Any]) -> None:
    for value in values:
        made = kind(value)
        assert made == value
        assert hash(made) == hash(value)
        assert type(made) is kind
        assert type(pickle.loads(pickle.dumps(made))) is kind  # noqa: S301 - our own pickle


@pytest.mark.parametrize(
    ("kind", "error", "field", "values"),
    [
        (Etag, InvalidEtag, "etag", [0, -1, 2**64, UNRENDERED, True, 1.5, "7", None]),
        (Ttl, InvalidTtl, "ttl", [0, -5, CENTURY + 1, True, 1.5, float("nan"), "7", None]),
        (Ttl.seconds, InvalidTtl, "ttl", [0, -0.5, float("nan"), float("inf"), CENTURY / 1000 + 1, 10**400, "7", None]),
        (Ttl.seconds, InvalidTtl, "ttl", [True, False, "1", b"1"]),
        (
            Ttl.of,
            InvalidTtl,
            "ttl",
            [0, 5, 0.5, True, "7", None, float("nan"), *(timedelta(days) for days in (0, -1, 36526))],
        ),
        (PartitionId, InvalidId, "partition id", [0, -1, 2**64, False, 1.0, "1", None]),
        (NodeId, InvalidId, "node id", ["", "a" * 65, "Node", "a_b", "a\n", "é", b"a", 7, None]),
    ],
)
def test_values_out_of_bounds_are_refused(kind: Any, error: type[InvalidInput], field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(error) as refusal:
            kind(value)
        assert refusal.value.field == field
        assert refusal.value.limit


def test_a_ttl_counts_milliseconds() -> None:
    assert Ttl.seconds(1.5) == Ttl(1500)
    assert Ttl.seconds(0.0001).milliseconds == 1
    assert Ttl.seconds(CENTURY / 1000) == CENTURY
    assert type(Ttl(5).milliseconds) is int


def test_numbers_are_named_in_repr_and_plain_in_text() -> None:
    assert [repr(Etag(7)), repr(Ttl(5))] == ["Etag(7)", "Ttl(5)"]
    assert [str(Etag(7)), f"{Ttl(5)}", json.dumps(Etag(7)), str(PartitionId(3))] == ["7", "5", "7", "3"]


def test_errors_name_the_field_the_value_and_the_limit() -> None:
    with pytest.raises(InvalidTtl) as refusal:
        Ttl(-5)
    assert str(refusal.value) == f"ttl -5 is out of bounds: it must be a number of milliseconds in 1..{CENTURY}"


@pytest.mark.parametrize("kind", [InvalidKey, InvalidValue, InvalidRange, InvalidEtag, InvalidTtl, InvalidId])
def test_errors_are_value_errors_that_survive_pickling(kind: type[InvalidInput]) -> None:
    error = kind("field", "value", "limit")
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own pickle
    assert isinstance(error, ValueError)
    assert type(copied) is kind
    assert str(copied) == str(error) == "field 'value' is out of bounds: it must be limit"
    assert (copied.field, copied.value, copied.limit) == ("field", "'value'", "limit")


def test_a_refusal_never_renders_the_whole_of_long_bytes() -> None:
    class Costly(bytes):
        __slots__ = ()

        def __repr__(self) -> str:
            raise AssertionError("a megabyte was rendered for an error message")

    assert InvalidValue("value", Costly(b"x" * 1000), "shorter").value.startswith("b'xxx")


def test_errors_shorten_what_they_quote() -> None:
    for value in (b"\xff" * 1000, "é" * 1000, ["x"] * 1000, UNRENDERED, [UNRENDERED]):
        assert 0 < len(InvalidValue("value", value, "shorter").value) <= 100
