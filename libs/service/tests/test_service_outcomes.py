"""The table of outcome classes."""

import grpc
import pytest

from dstk_keytypes.errors import InvalidInput
from dstk_service import errors
from dstk_service.error_table import TABLE
from dstk_service.errors import DstkError
from dstk_service.outcomes import OutcomeClass, outcome_of, outcome_of_code

EXPECTED = {
    errors.NotFound(b"k"): OutcomeClass.OK,
    errors.InvalidArgument("key", "x", "short"): OutcomeClass.CLIENT,
    InvalidInput("key", "x", "short"): OutcomeClass.CLIENT,
    errors.AlreadyExists(1): OutcomeClass.CLIENT,
    errors.EtagMismatched(1): OutcomeClass.CLIENT,
    errors.PermissionDenied("no token"): OutcomeClass.CLIENT,
    errors.NotOwner(None, ""): OutcomeClass.REFUSED,
    errors.Overloaded("full", 1.0): OutcomeClass.REFUSED,
    errors.DiskFull("full", 1.0): OutcomeClass.REFUSED,
    errors.NotServing("rests", 1.0): OutcomeClass.REFUSED,
    errors.PreconditionFailed("no majority"): OutcomeClass.REFUSED,
    errors.WriteAmbiguous("lost"): OutcomeClass.SERVER,
    errors.Quarantined("corrupt"): OutcomeClass.SERVER,
    errors.DeadlineExceeded("slow"): OutcomeClass.SERVER,
    errors.Internal("defect"): OutcomeClass.SERVER,
}


@pytest.mark.parametrize(("error", "expected"), EXPECTED.items(), ids=lambda value: type(value).__name__)
def test_an_error_has_the_class_of_its_code(error: DstkError, expected: OutcomeClass) -> None:
    assert outcome_of(error) is expected


def test_every_error_of_the_api_is_expected_here() -> None:
    assert {row.error for row in TABLE} <= {type(error) for error in EXPECTED}


def test_every_code_of_grpc_has_a_class_and_a_foreign_number_counts_against_the_server() -> None:
    failing = {code for code in grpc.StatusCode if outcome_of_code(code.value[0]) is OutcomeClass.SERVER}
    assert failing == {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DATA_LOSS,
    }
    assert outcome_of_code(99) is OutcomeClass.SERVER
