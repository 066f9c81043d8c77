"""The table between errors and statuses: every error there and back, and statuses of other origin."""

import base64
from urllib.parse import quote

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from dstk.v1 import topology_pb2
from dstk_keytypes import InvalidInput
from dstk_service import errors
from dstk_service.error_table import TABLE, row_of
from dstk_service.errors import DstkError
from dstk_service.status import (
    DOMAIN,
    MAX_TRAILER_BYTES,
    from_status,
    internal,
    to_status,
    trailer_bytes,
)

PARTITION = topology_pb2.Partition(id=7, start=b"a" * 1024, end=b"b" * 1024, epoch=3, primary="storage-2")

EXAMPLES: list[DstkError] = [
    errors.InvalidArgument("key", "b''", "1..1024 bytes"),
    errors.NotFound(b"\x00\xff"),
    errors.AlreadyExists(5),
    errors.EtagMismatched(6),
    errors.EtagMismatched(0),
    errors.NotOwner(PARTITION, "127.0.0.1:1"),
    errors.NotOwner(None, ""),
    errors.Overloaded("5 writes wait", 0.25),
    errors.DiskFull("no space", 1.0),
    errors.WriteAmbiguous("the stream broke"),
    errors.NotServing("starting", 0.5),
    errors.Quarantined("partition 7"),
    errors.PreconditionFailed("storage-3 is not in sync"),
    errors.PermissionDenied("no token"),
    errors.DeadlineExceeded("no answer"),
    errors.Internal("a defect"),
]


def test_every_error_has_a_row_and_an_example() -> None:
    every = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DstkError)} - {
        DstkError
    }
    assert {row.error for row in TABLE} == every
    assert len(TABLE) == len(every)
    assert {type(example) for example in EXAMPLES} == every


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: f"{error.reason}-{error}"[:40])
def test_an_error_is_the_same_after_the_wire(error: DstkError) -> None:
    back = from_status(status_pb2.Status.FromString(to_status(error).SerializeToString()))
    assert type(back) is type(error)
    assert vars(back) == vars(error)
    assert str(back) == str(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: f"{error.reason}-{error}"[:40])
def test_every_status_names_its_reason_for_programs(error: DstkError) -> None:
    info = error_details_pb2.ErrorInfo()
    to_status(error).details[0].Unpack(info)
    assert (info.reason, info.domain) == (error.reason, DOMAIN)


COUNT = st.integers(0, 9000)
TEXT = st.text(max_size=20) | st.builds(str.__mul__, st.sampled_from("\u20acx\x1b%\udcff"), COUNT)
KEY = st.builds(bytes.__mul__, st.just(b"\xff"), COUNT | st.just(1024))
SECONDS = st.floats(allow_nan=False) | st.just(0.1)
ENTRY = st.builds(
    topology_pb2.Partition,
    id=st.just(2**64 - 1),
    start=KEY,
    end=KEY,
    epoch=st.just(2**64 - 1),
    primary=st.just("n" * 64),
    replicas=st.just(["n" * 64] * 7),
    in_sync=st.just(["n" * 64] * 7),
)
HUGE: dict[type[DstkError], st.SearchStrategy[DstkError]] = {
    errors.InvalidArgument: st.builds(errors.InvalidArgument, TEXT, TEXT, TEXT),
    errors.NotFound: st.builds(errors.NotFound, KEY),
    errors.AlreadyExists: st.builds(errors.AlreadyExists, st.just(2**64 - 1)),
    errors.EtagMismatched: st.builds(errors.EtagMismatched, st.just(2**64 - 1)),
    errors.NotOwner: st.builds(errors.NotOwner, ENTRY | st.none(), TEXT),
    **{kind: st.builds(kind, TEXT, SECONDS) for kind in (errors.Overloaded, errors.DiskFull, errors.NotServing)},
}


@pytest.mark.parametrize("kind", [row.error for row in TABLE], ids=lambda kind: kind.reason)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_status_fits_into_trailers_and_still_says_what_it_is(kind: type[DstkError], data: st.DataObject) -> None:
    error = data.draw(HUGE[kind] if kind in HUGE else st.builds(kind, TEXT))
    status = to_status(error)
    raw = status.SerializeToString()
    assert len(base64.b64encode(raw)) + len(quote(status.message)) < MAX_TRAILER_BYTES * 1.2  # `quote` escapes more
    assert trailer_bytes(status) <= MAX_TRAILER_BYTES
    assert type(from_status(status_pb2.Status.FromString(raw))) is kind


def test_what_refuses_an_input_fits_into_trailers_too() -> None:
    assert trailer_bytes(to_status(InvalidInput("x" * 9000, "\u20ac" * 9000, "y" * 9000))) <= MAX_TRAILER_BYTES


@pytest.mark.parametrize("kind", [row.error for row in TABLE], ids=lambda kind: kind.reason)
@given(junk=st.binary(max_size=60))
@settings(max_examples=30, deadline=None)
def test_details_that_are_junk_leave_an_error_of_ours(kind: type[DstkError], junk: bytes) -> None:
    status = status_pb2.Status(code=5, message="from somewhere")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=kind.reason, domain=DOMAIN, metadata={"key": "xyz"}))
    for detail in ("dstk.v1.LimitExceeded", "dstk.v1.NotOwner", "dstk.v1.PreconditionFailed", "google.rpc.RetryInfo"):
        status.details.add(type_url=f"type.googleapis.com/{detail}", value=junk)
    assert isinstance(from_status(status), DstkError)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.NotServing),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.DeadlineExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Overloaded),
        (grpc.StatusCode.UNIMPLEMENTED, errors.Internal),
    ],
)
def test_a_status_without_our_details_becomes_the_nearest_error(
    code: grpc.StatusCode, expected: type[DstkError]
) -> None:
    assert type(from_status(status_pb2.Status(code=code.value[0], message="from a proxy"))) is expected


def test_a_reason_from_a_newer_version_is_not_mistaken_for_one_of_ours() -> None:
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="later")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="INVENTED_LATER", domain=DOMAIN))
    assert isinstance(from_status(status), errors.NotServing)


def test_a_defect_does_not_tell_its_text_to_the_caller() -> None:
    assert "secret" not in internal(ValueError("secret")).message


def test_long_keys_and_values_are_cut_in_messages() -> None:
    assert len(str(errors.NotFound(b"\xff" * 1024))) < 300
    refused = errors.InvalidArgument("value", "x" * 5000, "0..1 bytes")
    assert len(refused.value) == 100
    assert len(str(refused)) < 200


@pytest.mark.parametrize(
    ("error", "http"),
    [
        (errors.InvalidArgument("f", "v", "l"), 400),
        (errors.NotOwner(None, ""), 400),
        (errors.PermissionDenied("why"), 403),
        (errors.NotFound(b"k"), 404),
        (errors.EtagMismatched(1), 409),
        (errors.Overloaded("queue", 0.1), 429),
        (errors.Internal("why"), 500),
        (errors.NotServing("why", 0.1), 503),
        (errors.DeadlineExceeded("what"), 504),
    ],
)
def test_http_statuses_are_those_that_google_maps_codes_to(error: DstkError, http: int) -> None:
    assert row_of(error).http == http
