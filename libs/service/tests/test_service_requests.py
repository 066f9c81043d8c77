"""What is refused by itself, whoever serves it: the field, the value and the limit are named."""

from collections.abc import Callable
from typing import Any

import pytest
from kit.refusals import check_refusal

from dstk.v1 import kv_pb2, records_pb2
from dstk_keytypes import limits
from dstk_service import requests
from dstk_service.incoming import Unreadable, safe

LONG = bytes(limits.MAX_KEY_BYTES + 1)
BIG = bytes(limits.MAX_VALUE_BYTES + 1)
IF_ABSENT, IF_ETAG = records_pb2.PRECONDITION_IF_ABSENT, records_pb2.PRECONDITION_IF_ETAG

REFUSED: list[tuple[Callable[[Any], None], Any, str]] = [
    (requests.get, kv_pb2.GetRequest(), "key"),
    (requests.get, kv_pb2.GetRequest(key=LONG), "key"),
    (requests.put, kv_pb2.PutRequest(value=b"v"), "key"),
    (requests.put, kv_pb2.PutRequest(key=LONG), "key"),
    (requests.put, kv_pb2.PutRequest(key=b"k", value=BIG), "value"),
    (requests.put, kv_pb2.PutRequest(key=b"k", ttl_ms=-1), "ttl_ms"),
    (requests.put, kv_pb2.PutRequest(key=b"k", ttl_ms=limits.MAX_TTL_MS + 1), "ttl_ms"),
    (requests.put, kv_pb2.PutRequest(key=b"k", precondition=IF_ETAG), "if_etag"),
    (requests.put, kv_pb2.PutRequest(key=b"k", if_etag=3), "if_etag"),
    (requests.put, kv_pb2.PutRequest(key=b"k", precondition=IF_ABSENT, if_etag=3), "if_etag"),
    (requests.put, kv_pb2.PutRequest(key=b"k", precondition=9), "precondition"),
    (requests.delete, kv_pb2.DeleteRequest(), "key"),
    (requests.delete, kv_pb2.DeleteRequest(key=b"k", precondition=IF_ABSENT), "precondition"),
    (requests.scan, kv_pb2.ScanRequest(), "limit"),
    (requests.scan, kv_pb2.ScanRequest(limit=limits.MAX_SCAN_RECORDS + 1), "limit"),
    (requests.scan, kv_pb2.ScanRequest(limit=1, start=LONG), "start"),
    (requests.scan, kv_pb2.ScanRequest(limit=1, end=LONG), "end"),
    (requests.scan, kv_pb2.ScanRequest(limit=1, start=b"b", end=b"a"), "start"),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(), "keys"),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(keys=[b"a"] * 10_001, values=[b""] * 10_001), "keys"),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(keys=[b"a", b"b"], values=[b""]), "values"),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(keys=[b"a", b""], values=[b"", b""]), "keys[1]"),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(keys=[b"a", LONG], values=[b"", b""]), "keys[1]"),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(keys=[b"a", b"b"], values=[b"", BIG]), "values[1]"),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(keys=[b"b", b"a"], values=[b"", b""]), "keys[1]"),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(keys=[b"a", b"a"], values=[b"", b""]), "keys[1]"),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(keys=[b"a"], values=[b""], ttl_ms=-5), "ttl_ms"),
    (
        requests.bulk_insert,
        kv_pb2.BulkInsertRequest(keys=[b"a"], values=[b""], expires_at_ms=[1, 2]),
        "expires_at_ms",
    ),
    (
        requests.bulk_insert,
        kv_pb2.BulkInsertRequest(keys=[b"a"], values=[b""], expires_at_ms=[1], ttl_ms=1),
        "ttl_ms",
    ),
    (
        requests.bulk_insert,
        kv_pb2.BulkInsertRequest(keys=[b"a", b"b"], values=[b"", b""], expires_at_ms=[0, 2**48]),
        "expires_at_ms[1]",
    ),
    (
        requests.bulk_insert,
        kv_pb2.BulkInsertRequest(keys=[b"%02d" % n for n in range(9)], values=[bytes(1 << 20)] * 9),
        "values",
    ),
    (requests.operations, kv_pb2.ExecuteRequest(), "operations"),
    (requests.operations, kv_pb2.ExecuteRequest(operations=[kv_pb2.Operation()] * 4097), "operations"),
    (requests.operations, Unreadable("16 bytes", "a message"), "message"),
]


def _name(value: object) -> str:
    name: str = getattr(value, "__name__", "") or str(value)[:30].replace("\n", " ")
    return name


@pytest.mark.parametrize(("check", "request_", "field"), REFUSED, ids=_name)
def test_what_is_out_of_bounds_is_refused_with_field_value_and_limit(
    check: Callable[[Any], None], request_: Any, field: str
) -> None:
    check_refusal(check, request_, field)


ACCEPTED: list[tuple[Callable[[Any], None], Any]] = [
    (requests.get, kv_pb2.GetRequest(key=bytes(limits.MAX_KEY_BYTES))),
    (requests.put, kv_pb2.PutRequest(key=b"k", value=bytes(limits.MAX_VALUE_BYTES), ttl_ms=limits.MAX_TTL_MS)),
    (requests.put, kv_pb2.PutRequest(key=b"k", precondition=IF_ETAG, if_etag=1)),
    (requests.delete, kv_pb2.DeleteRequest(key=b"k", precondition=IF_ETAG, if_etag=1)),
    (requests.scan, kv_pb2.ScanRequest(limit=limits.MAX_SCAN_RECORDS)),
    (requests.scan, kv_pb2.ScanRequest(limit=1, start=b"a", end=b"a")),
    (requests.bulk_insert, kv_pb2.BulkInsertRequest(keys=[b"%05d" % n for n in range(10_000)], values=[b""] * 10_000)),
    (requests.operations, kv_pb2.ExecuteRequest(operations=[kv_pb2.Operation()] * 4096)),
]


@pytest.mark.parametrize(("check", "request_"), ACCEPTED, ids=range(len(ACCEPTED)))
def test_the_bounds_themselves_are_allowed(check: Callable[[Any], None], request_: Any) -> None:
    check(request_)


def test_a_message_is_parsed_up_to_the_limit_and_only_measured_beyond() -> None:
    read = safe(len, "a method")
    assert read(bytes(limits.MAX_MESSAGE_BYTES)) == limits.MAX_MESSAGE_BYTES
    beyond = read(bytes(limits.MAX_MESSAGE_BYTES + 1))
    assert isinstance(beyond, Unreadable)
    assert beyond.value == f"{limits.MAX_MESSAGE_BYTES + 1} bytes"


def test_a_message_that_cannot_be_decoded_is_logged_with_its_method(caplog: pytest.LogCaptureFixture) -> None:
    read = safe(kv_pb2.GetRequest.FromString, "dstk.v1.KeyValue/Get")
    assert isinstance(read(b"\xff"), Unreadable)
    (line,) = caplog.records
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert (vars(line)["method"], vars(line)["bytes"]) == ("dstk.v1.KeyValue/Get", 1)
