"""The table between errors and statuses: every error there and back, and statuses of other origin."""

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2

from dstk.v1 import topology_pb2
from dstk_service import errors
from dstk_service.errors import DstkError
from dstk_service.status import CODES, DOMAIN, from_status, internal, to_status

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
    errors.Unfit("storage-3 is not in sync"),
    errors.PermissionDenied("no token"),
    errors.DeadlineExceeded("no answer"),
    errors.Internal("a defect"),
]


def test_every_error_has_a_row_and_an_example() -> None:
    every = set(DstkError.__subclasses__())
    assert set(CODES) == every
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


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: f"{error.reason}-{error}"[:40])
def test_a_status_fits_into_trailers(error: DstkError) -> None:
    """GRPC begins to refuse trailers at 8 KiB; the details travel in base64, the message beside them."""
    status = to_status(error)
    assert len(status.SerializeToString()) * 4 / 3 + len(status.message) < 7 << 10


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
