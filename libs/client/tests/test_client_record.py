"""Records, which are read from their packed form."""

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk.v1 import records_pb2
from dstk_client import Record
from dstk_client.scan import to_records
from dstk_keytypes import Key

U64 = st.integers(0, 2**64 - 1)
FIELDS = st.tuples(st.binary(min_size=1, max_size=9).map(Key), st.binary(max_size=99), U64, U64, U64)


def fields(record: Record) -> tuple[Key, bytes, int, int, int]:
    return record.key, record.value, record.etag, record.written_at_ms, record.expires_at_ms


@given(FIELDS)
def test_a_record_has_the_fields_that_it_was_made_of(given_fields: tuple[Key, bytes, int, int, int]) -> None:
    record = Record(*given_fields)
    assert fields(record) == given_fields
    assert type(record.key) is Key
    assert record == Record(*given_fields)
    assert len({record, Record(*given_fields)}) == 1
    assert copy.copy(record) == record
    assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301 - ours


def test_the_packed_form_is_as_the_proto_says() -> None:
    assert Record(Key(b"k"), b"hi", 7, 1000, 0).packed.hex() == "0100000000000000000700000000000003e86869"
    assert Record(Key(b"k"), b"hi", 7, 1000, 2000).packed.hex() == (
        "0101000000000000000700000000000003e800000000000007d06869"
    )


def test_both_forms_of_a_batch_give_the_same_records() -> None:
    one, other = Record(Key(b"a"), b"x", 1, 5, 0), Record(Key(b"b"), b"", 2, 6, 7)
    packed = records_pb2.RecordBatch(keys=[one.key, other.key], packed=[one.packed, other.packed])
    columns = records_pb2.RecordBatch(
        keys=[b"a", b"b"], values=[b"x", b""], etags=[1, 2], written_at_ms=[5, 6], expires_at_ms=[0, 7]
    )
    assert to_records(packed) == to_records(columns) == [one, other]
    assert to_records(records_pb2.RecordBatch()) == []


def test_a_record_shows_its_fields() -> None:
    shown = repr(Record(Key(b"k"), b"v", 1, 2, 3))
    assert shown == "Record(key=Key(b'k'), value=b'v', etag=1, written_at_ms=2, expires_at_ms=3)"


def test_a_record_never_passes_for_a_pair_of_something_else() -> None:
    record: Any = Record(Key(b"k"), b"v", 1, 2, 3)
    with pytest.raises(TypeError):
        _, _ = record
    with pytest.raises(TypeError):
        dict([record])
    with pytest.raises(TypeError):
        record[0]
    with pytest.raises(TypeError):
        len(record)
    with pytest.raises(AttributeError):
        record.value = b"other"
    assert not isinstance(record, tuple)


def test_a_record_matches_by_its_fields() -> None:
    match Record(Key(b"k"), b"v", 1, 2):
        case Record(key, value, etag, written_at_ms, expires_at_ms):
            assert (key, value, etag, written_at_ms, expires_at_ms) == (b"k", b"v", 1, 2, 0)
        case _:
            raise AssertionError
