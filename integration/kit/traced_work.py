"""What traces must show of a put, a scan and a failover, whoever has collected them."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from dstk_client import Client, connect
from dstk_client.connecting import Mode
from dstk_service.observe import Observers
from dstk_service.testing import eventually
from dstk_telemetry.tracing.clients import CLIENT_SPANS
from dstk_telemetry.tracing.tracing import TraceSettings, Tracing, resource
from kit.collector import SeenSpan, edges

REPLICATED = [
    ("dstk.replication.receive", "dstk.storage.batch", "within"),
    ("dstk.replication.receive", "dstk.storage.batch", "within"),
    ("dstk.replication.send", "dstk.replication.receive", "across"),
    ("dstk.replication.send", "dstk.replication.receive", "across"),
    ("dstk.server.operation", "dstk.storage.batch", "within"),
    ("dstk.storage.batch", "dstk.replication.send", "within"),
    ("dstk.storage.batch", "dstk.replication.send", "within"),
]
"""The edges of a put behind its primary, with three replicas."""

ATTEMPTS = 4
EXPORTED_SECONDS = 15.0
"""Until a collector has all spans of a put."""

Condition = Callable[[], object | Awaitable[object]]


@asynccontextmanager
async def traced_client(endpoint: str, *addresses: str, mode: Mode = "thick") -> AsyncIterator[Client]:
    """A client that traces every call."""
    tracing = Tracing(TraceSettings(endpoint, ratio=1.0), resource("test", "test", "0", "test"), CLIENT_SPANS)
    await tracing.start(lambda _: NotImplemented)
    try:
        observer = Observers(*tracing.observers)
        async with connect(*addresses, mode=mode, timeout=20, observer=observer, sampler=tracing.sampler) as client:
            yield client
    finally:
        await tracing.close()


async def put_whole(put: Callable[[], Awaitable[object]], is_there: Condition) -> None:
    """Puts, until a put's trace has all of its edges: one that was sent again, or that a follower took late, has others. Raises
    AssertionError.
    """
    for _ in range(ATTEMPTS - 1):
        await put()
        with suppress(AssertionError):
            await eventually(is_there, within=EXPORTED_SECONDS)
            return
    await put()
    await eventually(is_there, within=EXPORTED_SECONDS)


def is_whole_put(trace: list[SeenSpan], *, through_router: bool) -> bool:
    """Whether a trace shows a put on three replicas with all of its edges. Raises AssertionError."""
    first = [
        ("dstk.client.operation", "dstk.client.message", "within"),
        ("dstk.client.operation", "dstk.server.operation", "across"),
    ]
    router = [
        ("dstk.server.operation", "dstk.client.message", "within"),
        ("dstk.server.operation", "dstk.server.operation", "across"),
    ]
    wanted = sorted([*first, *(router if through_router else ()), *REPLICATED])
    found = Counter(edges(trace))
    assert found == Counter(wanted), f"missing {Counter(wanted) - found}, too many {found - Counter(wanted)}"
    batches = {span.id: span for span in trace if span.name == "dstk.storage.batch"}
    assert len({span.process for span in batches.values()}) == 3
    (operation,) = [span for span in trace if span.name == "dstk.server.operation" and span.links]
    (link,) = operation.links
    assert batches[link].parent == operation.id
    assert not batches[link].links, "its only operation is its parent"
    assert not [span for span in trace if span.is_error]
    return True


def is_whole_scan(trace: list[SeenSpan]) -> bool:
    """Whether a trace shows a scan with the streams from all nodes that have a part of it. Raises AssertionError."""
    (scan,) = [span for span in trace if span.name == "dstk.client.scan"]
    streams = int(scan.attributes["dstk.streams"])
    pages = ("dstk.client.pages", "dstk.server.call", "across"), ("dstk.client.scan", "dstk.client.pages", "within")
    assert edges(trace) == sorted(pages * streams)
    assert len({span.process for span in trace if span.name == "dstk.server.call"}) == streams
    return True


def is_whole_failover(trace: Iterable[SeenSpan]) -> bool:
    """Whether a trace shows an election that was won by another node's vote, and written to etcd. Raises AssertionError."""
    spans = list(trace)
    found = Counter(edges(spans))
    assert found["dstk.replication.election", "dstk.replication.call", "within"]
    assert found["dstk.replication.call", "dstk.server.call", "across"]
    assert found["dstk.replication.election", "dstk.etcd.request", "within"]
    (election,) = [span for span in spans if span.name == "dstk.replication.election"]
    assert election.attributes["dstk.election.won"] is True
    assert election.attributes["dstk.election.previous"] != election.process
    return True
