"""Processes come and go: the metrics service, etcd, all nodes. The history stays, gaps show, and nothing becomes zero."""

import asyncio
import time
from itertools import count

import numpy as np
import pytest
from kit.metrics_calls import EVERYTHING, matrix, metrics_at, rows, until_fresh
from kit.process_cluster import ProcessCluster

from dstk.v1 import metrics_pb2
from dstk_client import Client, connect
from dstk_client.metrics import MetricsClient
from dstk_keytypes import Key
from dstk_service.errors import NotServing
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

WRITES = metrics_pb2.FIGURE_WRITES
MINUTE_MS = 60_000
_numbers = count()


async def write(client: Client, records: int = 300) -> None:
    """New records in each partition."""
    keys = [Key.text(f"{'akz'[number % 3]}{next(_numbers):06}") for number in range(records)]
    await asyncio.gather(*(client.put(key, b"value") for key in keys))


async def written(metrics: MetricsClient, from_ms: int, to_ms: int) -> np.ndarray:
    """Writes a second of the whole key space in each column of this time; NaN where something is not known."""
    found = await metrics.history(WRITES, EVERYTHING, from_ms=from_ms, to_ms=to_ms)
    return matrix(found).sum(axis=0)


async def write_some(cluster: ProcessCluster) -> None:
    """Writes, and waits until the metrics service knows."""
    async with (
        connect(cluster.address("router"), mode="gateway") as client,
        metrics_at(cluster.address("metrics")) as metrics,
    ):
        before = sum(row.sequence for row in await until_fresh(metrics, 3))
        await write(client)

        async def have_arrived() -> bool:
            return sum(row.sequence for row in await rows(metrics)) >= before + 300

        await eventually(have_arrived)


async def test_a_history_outlives_its_service_and_shows_when_there_was_none(metrics_cluster: ProcessCluster) -> None:
    cluster, clock = metrics_cluster, metrics_cluster.tampering("metrics")
    now_ms = round(time.time() * 1000)
    await write_some(cluster)
    assert await cluster.stop("metrics") == 0  # which keeps the minute in progress
    clock.ahead = 600
    await cluster.start("metrics")
    await write_some(cluster)
    await cluster.restart("metrics")
    async with metrics_at(cluster.address("metrics")) as metrics:
        before = await written(metrics, now_ms - MINUTE_MS, now_ms + 2 * MINUTE_MS)
        between = await written(metrics, now_ms + 4 * MINUTE_MS, now_ms + 8 * MINUTE_MS)
        since = await written(metrics, now_ms + 9 * MINUTE_MS, now_ms + 13 * MINUTE_MS)
    assert np.nansum(before) > 0
    assert np.isnan(between).all(), between
    assert np.nansum(since) > 0


async def test_a_service_that_is_killed_keeps_what_it_had_written(metrics_cluster: ProcessCluster) -> None:
    cluster, clock = metrics_cluster, metrics_cluster.tampering("metrics")
    now_ms = round((time.time() + clock.ahead) * 1000)
    await write_some(cluster)
    await cluster.restart("metrics")
    async with connect(cluster.address("router"), mode="gateway") as client:
        loads = asyncio.gather(*(write(client) for _ in range(5)))
        cluster.kill("metrics")
        await loads
    await cluster.start("metrics")
    async with metrics_at(cluster.address("metrics")) as metrics:
        await until_fresh(metrics, 3)
        assert np.nansum(await written(metrics, now_ms - MINUTE_MS, now_ms + 3 * MINUTE_MS)) > 0


async def test_a_clock_that_jumps_back_and_forth_makes_no_rate_absurd(metrics_cluster: ProcessCluster) -> None:
    cluster, clock = metrics_cluster, metrics_cluster.tampering("metrics")
    async with (
        connect(cluster.address("router"), mode="gateway") as client,
        metrics_at(cluster.address("metrics")) as metrics,
    ):
        for seconds in (7200.0, -7200.0, 0.0):
            clock.ahead += seconds
            await write(client)
            fresh = await until_fresh(metrics, 3)
            assert all(0 <= row.writes < 100_000 and row.age_s >= 0 for row in fresh)
            found = matrix(await metrics.history(WRITES, EVERYTHING))
            assert not (found < 0).any()
            assert not (found > 100_000).any()


async def test_without_etcd_figures_stay_fresh_and_the_service_starts_once_it_is_back(
    metrics_cluster: ProcessCluster,
) -> None:
    cluster = metrics_cluster
    async with metrics_at(cluster.address("metrics")) as metrics:
        before = await until_fresh(metrics, 3)
        cluster.kill("etcd")
        cluster.kill("metrics-2")
        again = [await until_fresh(metrics, 3) for _ in range(2)][-1]
        assert [row.partition_id for row in again] == [row.partition_id for row in before]
        cluster.launch("metrics-2")
        await cluster.start("etcd")
        await cluster.serving("metrics-2")
        await until_fresh(metrics, 3)
    async with metrics_at(cluster.address("metrics-2")) as other:
        await until_fresh(other, 3)


async def test_all_nodes_restart_and_no_count_becomes_zero(metrics_cluster: ProcessCluster) -> None:
    cluster = metrics_cluster
    async with (
        connect(cluster.address("router"), mode="gateway") as client,
        metrics_at(cluster.address("metrics")) as metrics,
    ):
        await write(client)
        await until_fresh(metrics, 3)
        held = await client.count(EVERYTHING)

        async def is_right() -> bool:
            found = await rows(metrics)
            return all(row.counted for row in found) and sum(row.records for row in found) == held

        await eventually(is_right)
        cluster.kill(*cluster.names)
        seen = [await rows(metrics)]
        for name in cluster.names:
            cluster.launch(name)
        for name in cluster.names:
            await cluster.serving(name)
            seen.append(await rows(metrics))
        for found in seen:
            assert [row.records for row in found if row.counted] == [
                before.records for row, before in zip(found, seen[0], strict=True) if row.counted
            ]
            assert all(row.writes >= 0 and row.reads >= 0 for row in found)
        await until_fresh(metrics, 3)
        await eventually(is_right)


async def test_two_services_answer_alike_and_the_router_by_either(metrics_cluster: ProcessCluster) -> None:
    cluster = metrics_cluster
    async with (
        connect(cluster.address("router"), mode="gateway") as client,
        metrics_at(cluster.address("metrics")) as one,
        metrics_at(cluster.address("metrics-2")) as other,
        metrics_at(cluster.address("router")) as through,
    ):
        await write(client)
        await asyncio.gather(until_fresh(one, 3), until_fresh(other, 3))

        async def are_alike() -> bool:
            found = [await rows(each) for each in (one, other, through)]
            first, *rest = ([known(row) for row in each] for each in found)
            return rest == [first, first]

        await eventually(are_alike)
        for name in ("metrics", "metrics-2"):
            assert await cluster.stop(name) == 0
            await eventually(lambda: until_fresh(through, 3))
            await cluster.start(name)
        for name in ("metrics", "metrics-2"):
            cluster.kill(name)
        with pytest.raises(NotServing):
            await rows(through)
        for name in ("metrics", "metrics-2"):
            await cluster.start(name)

        async def answers_again() -> bool:
            try:
                return bool(await rows(through))
            except NotServing:
                return False

        await eventually(answers_again)


def known(row: metrics_pb2.PartitionStats) -> tuple[object, ...]:
    """What both know of a partition, whenever its node told each of them."""
    return row.partition_id, row.start, row.end, row.epoch, row.primary, row.records, row.bytes, row.sequence
