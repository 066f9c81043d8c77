"""gRPC's complaint about a caller that went away is no error of ours; its other complaints are."""

import logging

import pytest
from grpc._cython import cygrpc

from dstk_service.logs import vanished


@pytest.mark.parametrize(
    ("error", "levels"), [(cygrpc.ExecuteBatchError("gone"), ["DEBUG"]), (ValueError("a defect"), ["ERROR"])]
)
def test_only_a_caller_that_went_away_is_no_error(
    caplog: pytest.LogCaptureFixture, error: Exception, levels: list[str]
) -> None:
    vanished.keep_out()
    vanished.keep_out()
    caplog.set_level(logging.DEBUG, vanished.log.name)
    try:
        raise error
    except Exception:  # as gRPC does it
        logging.getLogger(vanished.GRPC_LOGGER).exception("%s by servicer method [%s]", type(error).__name__, "/a/B")
    assert [record.levelname for record in caplog.records] == levels
    assert "/a/B" in caplog.text
