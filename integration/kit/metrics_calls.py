"""Calls of a metrics service, and the matrix of its history."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from dstk.v1 import metrics_pb2
from dstk_client.metrics import MetricsClient
from dstk_keytypes import KeyRange
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC

CALL_SECONDS = 30.0
EVERYTHING = KeyRange.everything()


@asynccontextmanager
async def metrics_at(address: str) -> AsyncIterator[MetricsClient]:
    """At the host:port of a metrics service, or of a router."""
    async with GRPC.connect(address) as channel:
        yield MetricsClient(channel, address, CALL_SECONDS)


async def rows(metrics: MetricsClient) -> list[metrics_pb2.PartitionStats]:
    """All partitions, by key."""
    return list((await metrics.partition_stats(EVERYTHING, limit=10_000)).partitions)


async def until_fresh(metrics: MetricsClient, partitions: int = 1) -> Sequence[metrics_pb2.PartitionStats]:
    """Waits until there are at least so many partitions, with figures of all that are not stale."""
    found: list[metrics_pb2.PartitionStats] = []

    async def are_fresh() -> bool:
        found[:] = await rows(metrics)
        assert len(found) >= partitions
        assert not [row.partition_id for row in found if row.age_s < 0 or row.stale]
        return True

    await eventually(are_fresh)
    return found


async def totals(metrics: MetricsClient) -> metrics_pb2.ClusterStats:
    """The cluster as a whole, now."""
    async with aclosing(metrics.watch(1000)) as stream:
        return await anext(stream)


def matrix(history: metrics_pb2.GetHistoryResponse) -> NDArray[np.float32]:
    """A row for each range, a column for each time."""
    shape = len(history.row_starts), len(history.column_times_ms)
    return np.frombuffer(history.values, "<f4").reshape(shape)
