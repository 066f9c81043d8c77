"""For all tests: where DSTK_NO_SKIPS is set, as CI does, what cannot be tested is a failure rather than a line nobody reads;
and Hypothesis does not look at the clock, since a busy machine is no fault of an example.
"""

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dstk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dstk")

NO = ("", "0", "no", "off", "false")

# what a shell runs in the background ignores Ctrl-C, and what nohup runs the end of its terminal; tests send both
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuses a test whose name has an address in memory: each process of `make test` would collect other tests."""
    if unstable := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"give the parameters of {unstable[0]} ids")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skip into a failure with the same reason."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("DSTK_NO_SKIPS", "").lower() not in NO:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and DSTK_NO_SKIPS is set: {call.excinfo and call.excinfo.value}"
    return report
