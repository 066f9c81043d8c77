"""A console with a cluster that is made up, served on a free port; by itself as `python -m kit.console`."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Thread

from dstk.v1 import admin_pb2
from dstk_doctor import Facts
from dstk_metrics.application.api import MetricsApi
from dstk_metrics.console.server import ConsoleServer
from dstk_metrics.console.survey import Survey
from dstk_service import descriptors
from dstk_service.clock import SystemClock
from kit import metrics_data
from kit.examined import FakeFacts
from kit.fake_metrics import FakeMetrics


def well() -> Facts:
    """Three nodes and two partitions that are well, and what happened lately."""
    return _eventful().facts()


def node_silent() -> Facts:
    """The same while storage-2 does not answer."""
    made = _eventful()
    made.silent = ["storage-2"]
    made.nodes["storage-2"].free_bytes = made.nodes["storage-2"].uptime_s = 0
    made.nodes["storage-2"].clock_ms = 0
    return made.facts()


def _eventful() -> FakeFacts:
    made = FakeFacts()
    now = int(time.time() * 1000)
    made.events = [
        admin_pb2.Event(
            at_ms=now - 40_000,
            node="storage-1",
            action="failover",
            partition_id=2,
            subject="storage-3",
            origin=admin_pb2.EVENT_ORIGIN_NODE,
            reason="the lease of 'storage-2' ended",
            outcome=admin_pb2.EVENT_OUTCOME_DONE,
        ),
        admin_pb2.Event(
            at_ms=now - 3_600_000,
            node="storage-1",
            action="split",
            partition_id=1,
            origin=admin_pb2.EVENT_ORIGIN_CONTROLLER,
            reason="40,000 operations a second are above split_operations <b>20,000</b>",
            outcome=admin_pb2.EVENT_OUTCOME_FAILED,
            error="'storage-1' did not answer",
        ),
    ]
    return made


@asynccontextmanager
async def serving(api: MetricsApi, facts: Callable[[], Facts] = well, hosts: str = "") -> AsyncIterator[ConsoleServer]:
    """A console on a free port of this loop."""

    async def gather() -> Facts:
        return facts()

    made = ConsoleServer("127.0.0.1:0", hosts, api, Survey(gather, SystemClock()))
    await made.start(asyncio.create_task)
    try:
        yield made
    finally:
        await made.close()


@contextmanager
def in_thread(api: MetricsApi, facts: Callable[[], Facts] = well) -> Iterator[ConsoleServer]:
    """A console on a loop in a thread of its own: a browser that is driven in this one waits for it."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    held = serving(api, facts)
    try:
        server = asyncio.run_coroutine_threadsafe(held.__aenter__(), loop).result(30)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(held.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _main() -> None:
    """Serves a busy cluster until standard input ends; says where."""
    descriptors.raise_limit()
    async with serving(FakeMetrics(metrics_data.busy())) as server:
        print(server.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
