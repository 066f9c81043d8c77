"""Reports to Sentry: errors that nobody foresaw, and crashes, alone.

What DSTK foresees it logs without a traceback, or returns to its caller. So what is reported is every log line of level ERROR
or above with an exception, and what ends the process.

A report tells the type of the exception, where it came from, the release, the service, the node, the partition and the trace.
It holds no variables, no arguments of the log line, and of the exception's text nothing that is quoted or looks like an
address: keys, values, tokens and clients' addresses stay here. At most MOST_REPORTS a minute are sent, and one of a kind.
"""

import logging
import re
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from typing_extensions import override

from dstk_service.trace import current_trace

MOST_REPORTS = 10
"""Reports a minute."""

WINDOW_SECONDS = 60.0
FLUSH_SECONDS = 2.0
"""How long a process that ends waits for its last reports to be taken."""

QUEUE_REPORTS = 20

_SECRETS: Final = re.compile(
    r"""
    (?:\b[bBrRfFuU]{0,2})?'(?:[^'\\]|\\.)*'         # quoted: what came from outside is quoted in our errors
    | (?:\b[bBrRfFuU]{0,2})?"(?:[^"\\]|\\.)*"
    | \[.*\ \.\.\ .*\)                              # a range of keys
    | \b(?:ipv[46]:)?(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?
    | \[[0-9a-fA-F:%]*:[0-9a-fA-F:%.]*\](?::\d+)?   # an IPv6 address
    | \b[\w.-]+:\d{2,5}\b                           # host:port
    | \b(?:0x)?[0-9a-fA-F]{16,}\b
    | \bBearer\ \S+
    """,
    re.VERBOSE,
)

logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it warns of each attempt that fails


def scrubbed(text: str) -> str:
    """The text without what is quoted, ranges of keys, addresses and long hexadecimal numbers."""
    return _SECRETS.sub("(hidden)", text)


class ReportLimit:
    """At most MOST_REPORTS a minute, and one of a kind."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since, self._seen = float("-inf"), set[object]()

    def admits(self, kind: object) -> bool:
        """Whether a report of this kind may be sent now; it counts then."""
        now = self._monotonic()
        if now - self._since >= WINDOW_SECONDS:
            self._since, self._seen = now, set()
        if kind in self._seen or len(self._seen) >= MOST_REPORTS:
            return False
        self._seen.add(kind)
        return True


class ErrorReports(logging.Handler):
    """Reports while it is entered. What the block raises is a crash, is reported, and passes. `dsn` empty: nothing is done.

    Reports go through a queue of QUEUE_REPORTS and one thread, which is a daemon: an endpoint that hangs delays nothing but the
    end of the process, by FLUSH_SECONDS.
    """

    def __init__(self, dsn: str, service: str, release: str, limit: ReportLimit | None = None) -> None:
        """Raises ValueError for a DSN that is none."""
        super().__init__(logging.ERROR)
        self.node = ""
        """Id of the storage node, once it is known."""
        self._service, self._limit, self._over = service, limit or ReportLimit(), 0
        self._client = _client(dsn, release) if dsn else None
        self._transport = None if self._client is None else self._client.transport  # the client forgets it at its end

    @property
    def dropped(self) -> int:
        """Reports that were over the limit, found the queue full, or that the endpoint did not take."""
        return 0 if self._transport is None else self._over + self._transport.lost

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._report(error, str(record.msg), getattr(record, "partition", None))

    def __enter__(self) -> Self:
        if self._client is not None:
            logging.getLogger().addHandler(self)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._client is None:
            return
        logging.getLogger().removeHandler(self)
        if isinstance(error, Exception):
            self._report(error, "the process ends", None)
        self._client.close(FLUSH_SECONDS)

    def _report(self, error: BaseException, message: str, partition: object) -> None:
        if self._client is None:
            return
        if not self._limit.admits(_kind_of(error)):
            self._over += 1
            return
        from sentry_sdk.utils import event_from_exception  # noqa: PLC0415 - as in _client

        event, hint = event_from_exception(error, self._client.options)
        event["logentry"] = {"message": message}
        event["tags"] = {key: str(value) for key, value in self._tags(partition).items() if value}
        _scrub(event)
        self._client.capture_event(event, hint)

    def _tags(self, partition: object) -> dict[str, object]:
        context = current_trace()
        trace_id = "" if context is None else context.trace_id.hex()
        return {"service": self._service, "node": self.node, "partition": partition, "trace_id": trace_id}


def _client(dsn: str, release: str) -> Any:
    # takes 0.05 s of processor time at each start: only those who report import it
    import sentry_sdk  # noqa: PLC0415

    from dstk_telemetry.sentry_transport import CountingTransport  # noqa: PLC0415

    return sentry_sdk.Client(
        dsn=dsn,
        transport=CountingTransport,
        release=f"dstk@{release}",
        default_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        server_name="",
        transport_queue_size=QUEUE_REPORTS,
        send_client_reports=False,
        auto_session_tracking=False,
    )


def _kind_of(error: BaseException) -> object:
    """What makes two errors one kind: their type, and the line that raised."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    place = None if frames is None else (frames.tb_frame.f_code.co_filename, frames.tb_lineno)
    return type(error), place


def _scrub(event: Any) -> None:
    for each in event["exception"]["values"]:
        each["value"] = scrubbed(str(each.get("value", "")))
        for frame in (each.get("stacktrace") or {}).get("frames", ()):
            frame.pop("vars", None)
