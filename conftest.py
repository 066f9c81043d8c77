"""For all tests: where DSTK_NO_SKIPS is set, as CI does, what cannot be tested is a failure rather than a line nobody reads;
and Hypothesis does not look at the clock, since a busy machine is no fault of an example.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from dstk_service.logs.actions import ACTIONS
from dstk_service.logs.formats import extras, undeclared
from dstk_service.logs.handler import LogHandler

settings.register_profile("dstk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dstk")

NO = ("", "0", "no", "off", "false")

# what a shell runs in the background ignores Ctrl-C, and what nohup runs the end of its terminal; tests send both
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Undeclared(logging.Handler):
    """Finds lines of ours with a field or an action that the registry of log fields does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Notes what is wrong with the line."""
        if record.name.startswith("dstk_"):
            action = extras(record).get("action")
            wrong = undeclared(record) + ([] if action is None or action in ACTIONS else [f"action {action!r}"])
            self.found += [f"{record.name}: {record.getMessage()!r}: {each}" for each in wrong]


@pytest.fixture(autouse=True)
def log_lines_are_declared() -> Iterator[None]:
    """Fails a test in which a line of ours has what the registry of log fields does not have. Undoes logs.configure."""
    handler, root = Undeclared(), logging.getLogger()
    level, hooks = root.level, (sys.excepthook, threading.excepthook, sys.unraisablehook)
    root.addHandler(handler)
    yield
    for each in [each for each in root.handlers if each is handler or isinstance(each, LogHandler)]:
        root.removeHandler(each)
        each.close()
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    assert not handler.found, handler.found


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
