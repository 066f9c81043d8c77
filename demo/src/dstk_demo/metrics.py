"""The step of the demo that asks the metrics service: how much there is, and where the load is."""

import asyncio
from contextlib import aclosing

from dstk.v1 import metrics_pb2
from dstk_client.metrics import MetricsClient
from dstk_demo.basics import PARIS
from dstk_demo.context import ClaimFailedError, Demo
from dstk_service.transport.grpc_connector import GRPC

_INTERVAL_MS = 1000
_WITHIN_S = 30.0
_CALL_S = 10.0
_PAUSE_S = 0.001
_WITHIN = 0.02


async def knows(demo: Demo, records: int) -> None:
    """Claims that the service counts the records that a scan found, and names a key that is read all the time."""
    demo.step("The metrics service knows")
    async with GRPC.connect(demo.cluster.router) as channel:
        metrics = MetricsClient(channel, f"the router at {demo.cluster.router}", _CALL_S)
        reading = asyncio.create_task(_read_paris(demo))
        try:
            async with asyncio.timeout(_WITHIN_S):
                await _count(demo, metrics, records)
                await _hotspot(demo, metrics)
        except TimeoutError:
            raise ClaimFailedError(f"waited {_WITHIN_S:g} s in vain for the metrics service") from None
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    demo.screen.print(f"  the console shows it: {demo.cluster.process('metrics').page}")


async def _read_paris(demo: Demo) -> None:
    while True:
        await demo.client.get(PARIS)
        await asyncio.sleep(_PAUSE_S)


async def _count(demo: Demo, metrics: MetricsClient, records: int) -> None:
    """Waits for totals of all partitions that have arrived since the last write."""
    async with aclosing(metrics.watch(_INTERVAL_MS)) as stream:
        async for totals in stream:
            known = not totals.stale_partitions and not totals.uncounted_partitions
            if known and abs(totals.records - records) <= _WITHIN * records:
                error = f"{totals.records_error:,}"
                demo.claim(True, f"it counts {totals.records:,} records, within {error}; the scan found {records:,}")
                return


async def _hotspot(demo: Demo, metrics: MetricsClient) -> None:
    """Waits until the key that is read all the time is named."""
    async with aclosing(metrics.watch(_INTERVAL_MS)) as stream:
        async for _ in stream:
            for hot in (await metrics.hot_partitions(metrics_pb2.FIGURE_READS)).partitions:
                if any(prefix.is_key and prefix.prefix == PARIS for prefix in hot.prefixes):
                    where = f"partition {hot.stats.partition_id} is hot by reads"
                    demo.claim(True, f"it says that {where}, because of the key {PARIS.display()}")
                    return
