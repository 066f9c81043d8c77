"""What is written to disk is pinned: a change here is a new format version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.identity import EngineIdentity

U64 = st.integers(0, 2**64 - 1)

ENGINE = EngineIdentity("0123456789abcdef", NodeId("n1"), "c", "uid", 7, founding=True, why="gone", at_ms=5)
ENGINE_JSON = (
    b'{"engine": "0123456789abcdef", "node": "n1", "cluster": "c", "cluster_uid": "uid", "mark": 7, "founding": true, '
    b'"why": "gone", "at_ms": 5}'
)

TRANSCRIPT = [
    (layout.encode_record(b"hi", 7, 1000, 0), "0100000000000000000700000000000003e86869"),
    (layout.encode_record(b"hi", 7, 1000, 2000), "0101000000000000000700000000000003e800000000000007d06869"),
    (layout.encode_record(b"", 1, 1, 0), "010000000000000000010000000000000001"),
    (layout.expiry_key(2000, b"k"), "0300000000000007d06b"),
    (layout.range_key(PartitionId(3)), "02000000000000000372"),
    (layout.position_key(PartitionId(3)), "02000000000000000370"),
    (layout.history_key(PartitionId(3)), "02000000000000000368"),
    (layout.snapshot_key(PartitionId(3)), "02000000000000000363"),
    (layout.ENGINE, b"\x01engine".hex()),
    (ENGINE.encode(), ENGINE_JSON.hex()),
    (layout.encode_attempt(None), ""),
    (layout.encode_attempt(258), "0000000000000102"),
    (layout.encode_position(2, 258), "00000000000000020000000000000102"),
    (layout.encode_history(((1, 1), (4, 90))), b"[[1, 1], [4, 90]]".hex()),
    (layout.encode_removal(7, 1000, 0), "0102000000000000000700000000000003e8"),
    (layout.encode_removal(7, 1000, 2000), "0103000000000000000700000000000003e800000000000007d0"),
    (layout.encode_removal(7, 1000, 2000, index_only=True), "0107000000000000000700000000000003e800000000000007d0"),
    (layout.encode_range(KeyRange(b"a", None), 2), b'{"start": "61", "end": null, "epoch": 2}'.hex()),
    (layout.encode_range(KeyRange(b"", b"b"), 1), b'{"start": "", "end": "62", "epoch": 1}'.hex()),
]


@pytest.mark.parametrize(("encoded", "expected"), TRANSCRIPT)
def test_encodings_are_as_they_were(encoded: bytes, expected: str) -> None:
    assert encoded.hex() == expected


def test_an_engines_identity_survives_the_round_trip() -> None:
    assert EngineIdentity.decode(ENGINE.encode()) == ENGINE
    assert [layout.decode_attempt(layout.encode_attempt(number)) for number in (None, 0, 2**63)] == [None, 0, 2**63]


@given(st.binary(max_size=100), U64, U64, U64)
def test_records_survive_the_round_trip(value: bytes, etag: int, written: int, expires: int) -> None:
    assert layout.decode_record(layout.encode_record(value, etag, written, expires)) == (value, etag, written, expires)


@given(st.tuples(U64, st.binary(min_size=1, max_size=9)), st.tuples(U64, st.binary(min_size=1, max_size=9)))
def test_the_expiry_index_is_ordered_by_time_then_key(one: tuple[int, bytes], other: tuple[int, bytes]) -> None:
    assert (one < other) == (layout.expiry_key(*one) < layout.expiry_key(*other))
    assert layout.decode_expiry_key(layout.expiry_key(*one)) == one


@given(st.binary(max_size=9), st.none() | st.binary(min_size=1, max_size=9), st.integers(1, 2**40))
def test_ranges_survive_the_round_trip(start: bytes, end: bytes | None, epoch: int) -> None:
    key_range = KeyRange(min(start, end or start), end)
    assert layout.decode_range(layout.encode_range(key_range, epoch)) == (key_range, epoch)
