"""Error reports, as an endpoint of Sentry gets them."""

import json
import logging
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from kit.endpoints import HttpEndpoint
from typing_extensions import override

from dstk_service.trace import TraceContext, within
from dstk_telemetry.sentry import MOST_REPORTS, QUEUE_REPORTS, ErrorReports, ReportLimit, scrubbed

log = logging.getLogger("dstk_test")

SECRETS = ("Paris", "s3cret", "10.1.2.3", "client.example", "deadbeefdeadbeef")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpEndpoint]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with HttpEndpoint() as made:
        yield made


def dsn(endpoint: HttpEndpoint) -> str:
    return f"http://public@{endpoint.address}/1"


def reported(endpoint: HttpEndpoint) -> list[dict[str, Any]]:
    """The events of all envelopes."""
    return [event for body in endpoint.bodies for event in _events(body)]


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    lines = (zlib.decompress(body, wbits=31) if body[:2] == b"\x1f\x8b" else body).split(b"\n")
    for header, item in zip(lines[1::2], lines[2::2], strict=False):
        if json.loads(header)["type"] == "event":
            yield json.loads(item)


def fail(text: str = "a defect") -> None:
    value = SECRETS  # noqa: F841 - a variable of the frame, which no report may hold
    raise ZeroDivisionError(text)


def log_a_defect(text: str = "a defect", **extra: Any) -> None:
    try:
        fail(text)
    except ZeroDivisionError:
        log.exception("unexpected error with %s", SECRETS[0], extra=extra)


def test_an_unforeseen_error_is_reported_with_what_finds_it(endpoint: HttpEndpoint) -> None:
    context = TraceContext(b"t" * 16, b"s" * 8, sampled=True)
    with ErrorReports(dsn(endpoint), "storage", "1.2.3") as reports, within(context):
        reports.node = "n1"
        log_a_defect(partition=7)
    (event,) = reported(endpoint)
    assert event["release"] == "dstk@1.2.3"
    trace_id = context.trace_id.hex()
    assert event["tags"] == {"service": "storage", "node": "n1", "partition": "7", "trace_id": trace_id}
    (exception,) = event["exception"]["values"]
    assert exception["type"] == "ZeroDivisionError"
    assert exception["stacktrace"]["frames"][-1]["function"] == "fail"


def test_a_report_holds_nothing_of_users(endpoint: HttpEndpoint) -> None:
    text = "key b'Paris', token 'Bearer s3cret' of ipv4:10.1.2.3:4711, client.example:4711, 0xdeadbeefdeadbeef"
    with ErrorReports(dsn(endpoint), "storage", "1.2.3"):
        log_a_defect(text)
    (event,) = reported(endpoint)
    assert not [secret for secret in SECRETS if secret in json.dumps(event)]
    assert "vars" not in json.dumps(event)


def test_what_is_foreseen_is_not_reported(endpoint: HttpEndpoint) -> None:
    with ErrorReports(dsn(endpoint), "storage", "1.2.3"):
        log.error("the disk is full")
        log.warning("careful", exc_info=ValueError("x"))
    log_a_defect()
    assert not reported(endpoint)


def test_a_crash_is_reported_and_passes(endpoint: HttpEndpoint) -> None:
    with pytest.raises(ExceptionGroup), ErrorReports(dsn(endpoint), "storage", "1.2.3"):
        raise ExceptionGroup("several", [ZeroDivisionError("one"), KeyError("b'Paris'")])
    (event,) = reported(endpoint)
    assert {each["type"] for each in event["exception"]["values"]} == {
        "ExceptionGroup",
        "ZeroDivisionError",
        "KeyError",
    }
    assert "Paris" not in json.dumps(event)


def test_an_exit_is_no_crash(endpoint: HttpEndpoint) -> None:
    with pytest.raises(SystemExit), ErrorReports(dsn(endpoint), "storage", "1.2.3"):
        sys.exit(1)
    assert not reported(endpoint)


def test_a_storm_of_one_error_is_one_report(endpoint: HttpEndpoint) -> None:
    with ErrorReports(dsn(endpoint), "storage", "1.2.3") as reports:
        for _ in range(100):
            log_a_defect()
    assert len(reported(endpoint)) == 1
    assert reports.dropped == 99


def test_reports_are_limited_by_the_minute() -> None:
    now = [0.0]
    limit = ReportLimit(lambda: now[0])
    assert sum(limit.admits(kind) for kind in range(100)) == MOST_REPORTS
    now[0] = 61.0
    assert limit.admits(0)


def test_without_a_dsn_nothing_is_done() -> None:
    before = list(logging.getLogger().handlers)
    with ErrorReports("", "storage", "1.2.3"):
        assert logging.getLogger().handlers == before
        log_a_defect()


@pytest.mark.parametrize("behaviour", ["hang", "refuse", "fail"])
def test_an_endpoint_in_trouble_delays_nobody(endpoint: HttpEndpoint, behaviour: str) -> None:
    endpoint.behaviour = behaviour
    begun = time.monotonic()
    with ErrorReports(dsn(endpoint), "storage", "1.2.3"):
        log_a_defect()
        assert time.monotonic() - begun < 1
    assert time.monotonic() - begun < 4


class NoLimit(ReportLimit):
    """Admits every report."""

    @override
    def admits(self, kind: object) -> bool:
        return True


@pytest.mark.parametrize("behaviour", ["hang", "refuse", "fail", "limit"])
def test_reports_that_an_endpoint_in_trouble_does_not_take_are_counted(
    endpoint: HttpEndpoint, behaviour: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dstk_telemetry.sentry_transport.CountingTransport.TIMEOUT", 0.2)
    endpoint.behaviour = behaviour
    with ErrorReports(dsn(endpoint), "storage", "1.2.3", NoLimit()) as reports:
        for _ in range(3):
            log_a_defect()
    assert reports.dropped == 3
    others = [line for line in caplog.records if line.name != log.name]
    assert not [line for line in others if line.exc_info], "the SDK's own trouble would be reported as well"


def test_an_endpoint_that_hangs_keeps_a_few_reports_in_memory(endpoint: HttpEndpoint) -> None:
    endpoint.behaviour = "hang"
    with ErrorReports(dsn(endpoint), "storage", "1.2.3", NoLimit()) as reports:
        for _ in range(200):
            log_a_defect()
        assert 200 - QUEUE_REPORTS - 1 <= reports.dropped <= 200 - QUEUE_REPORTS


@pytest.mark.slow
def test_a_process_ends_although_the_endpoint_hangs(endpoint: HttpEndpoint) -> None:
    endpoint.behaviour = "hang"
    program = (
        "import time\n"
        "from dstk_telemetry.sentry import ErrorReports\n"
        f"with ErrorReports({dsn(endpoint)!r}, 'storage', '1'):\n"
        "    print(time.monotonic(), flush=True)\n"
        "    1 / 0\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert b"ZeroDivisionError" in ended.stderr
    assert time.monotonic() - float(ended.stdout) < 10


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('key \'a\' and b"b\\"c"', "key (hidden) and (hidden)"),
        ("[a .. b) is not served", "(hidden) is not served"),
        ("storage-1.local:7101 is silent", "(hidden) is silent"),
        ("ipv6 [::1]:5 went", "ipv6 (hidden) went"),
        ("12 operations in 0.5 s: epoch 7", "12 operations in 0.5 s: epoch 7"),
    ],
)
def test_texts_are_scrubbed(text: str, left: str) -> None:
    assert scrubbed(text) == left
