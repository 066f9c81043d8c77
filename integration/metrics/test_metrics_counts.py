"""The count of a whole cluster through the service: close while records are written, deleted and expire; then exact."""

import asyncio
import random
from datetime import timedelta

import pytest
from kit.metrics_calls import EVERYTHING, metrics_at, rows, until_fresh
from kit.process_cluster import ProcessCluster

from dstk_client import Client, connect
from dstk_client.metrics import MetricsClient
from dstk_keytypes import Key
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

LOADED, CALLS = 30_000, 8_000
EXPIRE = timedelta(seconds=3)
WITHIN = 0.02


def key(number: int) -> Key:
    """Spread over all partitions."""
    return Key.text(f"{'akz'[number % 3]}{number:08}")


async def mixed_writes(client: Client, rng: random.Random) -> None:
    """New records, overwritten ones, deletions, and records that expire soon."""
    turns = asyncio.Semaphore(64)

    async def call(number: int) -> None:
        async with turns:
            match number % 4:
                case 0:
                    await client.put(key(LOADED + number), rng.randbytes(rng.randrange(300)))
                case 1:
                    await client.put(key(rng.randrange(LOADED)), rng.randbytes(rng.randrange(300)))
                case 2:
                    await client.delete(key(rng.randrange(LOADED)))
                case _:
                    await client.put(key(10 * LOADED + number), b"soon gone", ttl=EXPIRE)

    await asyncio.gather(*map(call, range(CALLS)))


async def counted(metrics: MetricsClient) -> int:
    """Records of all partitions by the figures of the service."""
    return sum(row.records for row in await rows(metrics))


async def test_the_count_is_close_under_writes_and_exact_after_a_recount(metrics_cluster: ProcessCluster) -> None:
    cluster, rng = metrics_cluster, random.Random(5)
    async with (
        connect(cluster.address("router"), timeout=60) as client,
        metrics_at(cluster.address("router")) as metrics,
    ):
        await client.insert_sorted(sorted((key(number), rng.randbytes(number % 300)) for number in range(LOADED)))
        await mixed_writes(client, rng)

        async def is_close() -> bool:
            true, estimate = await client.count(EVERYTHING), await counted(metrics)
            error = sum(row.records_error for row in await rows(metrics))
            print(f"count under writes: {estimate} of {true}, {estimate / true - 1:+.2%}, stated error {error}")
            assert abs(estimate - true) <= WITHIN * true
            whole = await metrics.estimate(EVERYTHING)
            assert whole.records_low <= true <= whole.records_high
            return True

        await eventually(is_close)
        cluster.kill(*cluster.names)  # a node that starts counts its partitions
        for name in cluster.names:
            cluster.launch(name)
        for name in cluster.names:
            await cluster.serving(name)

        async def is_exact() -> bool:
            found = await until_fresh(metrics, 3)
            assert all(row.counted and not row.records_error for row in found), found
            true, whole = await client.count(EVERYTHING), await metrics.estimate(EVERYTHING)
            assert sum(row.records for row in found) == true
            return (whole.records_low, whole.records, whole.records_high) == (true, true, true)

        await eventually(is_exact)
