"""What the router's client has to repeat stands in the router's log."""

import logging

import pytest

from dstk_client.events import AttemptRetried, BatchSent, CallFailed
from dstk_router.retry_report import RetryReport
from dstk_service.testing import ManualClock


def test_retries_and_failures_are_reported_by_reason_and_counted_from_zero_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    report = RetryReport(ManualClock())
    for event in (
        AttemptRetried("NOT_OWNER", 0.0),
        AttemptRetried("NOT_SERVING", 0.1),
        AttemptRetried("NOT_OWNER", 0.0),
        CallFailed("WRITE_AMBIGUOUS", 1),
        BatchSent("127.0.0.1:1", 1, 100),
    ):
        report.observe(event)
    with caplog.at_level(logging.INFO):
        report.report()
        report.report()
    lines = {line.message: (vars(line)["error_code"], vars(line)["count"]) for line in caplog.records}
    assert len(lines) == len(caplog.records), "each reason has one line, and is a message of its own"
    assert lines == {
        "operations were retried: NOT_OWNER": ("NOT_OWNER", 2),
        "operations were retried: NOT_SERVING": ("NOT_SERVING", 1),
        "operations failed: WRITE_AMBIGUOUS": ("WRITE_AMBIGUOUS", 1),
    }
