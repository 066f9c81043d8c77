"""What the domain raises, and what callers are told."""

import grpc
import pytest

from dstk.v1 import topology_pb2
from dstk_service.error_table import row_of
from dstk_service.status import from_status, to_status
from dstk_storage.domain import errors
from dstk_storage.ports import EngineError
from dstk_storage.servicers.translate import Translator

ENTRY = topology_pb2.Partition(id=1, epoch=2, primary="b")
TOLD = {
    errors.Missing(b"k"): grpc.StatusCode.NOT_FOUND,
    errors.Exists(3): grpc.StatusCode.ALREADY_EXISTS,
    errors.EtagDiffers(3): grpc.StatusCode.ABORTED,
    errors.PreconditionFailed("it is quiesced"): grpc.StatusCode.FAILED_PRECONDITION,
    errors.LeaseOver("it waits"): grpc.StatusCode.UNAVAILABLE,
    errors.QueueFull("9 scans are under way", 0.1): grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ReadOnly("the disk is full"): grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.CommitFailed("the disk failed"): grpc.StatusCode.UNKNOWN,
    errors.Corrupt("it is quarantined"): grpc.StatusCode.DATA_LOSS,
    errors.NotOwned(b"k"): grpc.StatusCode.FAILED_PRECONDITION,
    errors.NotPrimary(1): grpc.StatusCode.UNAVAILABLE,
}


class Owners:
    def owner(self, key: bytes, *, before: bool) -> tuple[topology_pb2.Partition | None, str]:
        assert (key, before) == (b"k", False)
        return ENTRY, "127.0.0.1:1"


@pytest.mark.parametrize("error", TOLD, ids=lambda error: type(error).__name__)
def test_callers_are_told_of_each_refusal_by_the_table_of_errors(error: errors.StorageError) -> None:
    ours = Translator(Owners())(error)
    assert row_of(ours).code is TOLD[error]
    back = from_status(to_status(ours))
    assert (back.reason, str(back)) == (ours.reason, str(ours))
    assert back.reason == row_of(ours).error.reason


def test_the_list_above_names_each_refusal() -> None:
    assert {type(error) for error in TOLD} == set(errors.StorageError.__subclasses__())


def test_an_engine_that_cannot_be_read_is_not_serving() -> None:
    ours = Translator(Owners())(EngineError("bad block"))
    assert row_of(ours).code is grpc.StatusCode.UNAVAILABLE
    assert "bad block" in str(ours)
