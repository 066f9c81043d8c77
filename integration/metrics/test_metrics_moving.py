"""A partition that is split, merged and moved all the time under load: no figure is negative or larger than what was done."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from kit.metrics_calls import EVERYTHING, matrix, metrics_at, rows, until_fresh
from kit.operators import Operator, operator_at
from kit.process_cluster import ProcessCluster

from dstk.v1 import metrics_pb2
from dstk_client import Client, connect
from dstk_client.metrics import MetricsClient
from dstk_keytypes import Key
from dstk_service.errors import DstkError
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

CALLERS = 4
CHANGES_SECONDS = 12.0
AT = bytes(Key.text("b500"))


@dataclass(slots=True)
class Done:
    """What the load did: the time of each acknowledged write, on the monotonic clock, and how many failed."""

    at: list[float] = field(default_factory=list)
    failed: int = 0

    def most_a_second(self, seconds: float) -> float:
        """The highest rate over any time of this length."""
        times = np.asarray(self.at)
        ends = np.searchsorted(times, times + seconds, side="right")
        return float((ends - np.arange(times.size)).max() / seconds)


@asynccontextmanager
async def load_on(client: Client) -> AsyncIterator[Done]:
    """Callers that write records of one small range, until the block ends."""
    done, stop = Done(), asyncio.Event()

    async def call(caller: int) -> None:
        number = caller
        while not stop.is_set():
            try:
                await client.put(Key.text(f"b{number % 1000:03}"), b"value", timeout=10)
                done.at.append(time.monotonic())
            except DstkError:
                done.failed += 1
            number += CALLERS

    async with asyncio.TaskGroup() as callers:
        for caller in range(CALLERS):
            callers.create_task(call(caller))
        try:
            yield done
        finally:
            stop.set()


@asynccontextmanager
async def totals_of(metrics: MetricsClient) -> AsyncIterator[list[metrics_pb2.ClusterStats]]:
    """Collects the cluster's totals of each second, until the block ends."""
    found: list[metrics_pb2.ClusterStats] = []

    async def watch() -> None:
        async for totals in metrics.watch(1000):
            found.append(totals)

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def change_all_the_time(operator: Operator, until: float) -> int:
    """Splits, transfers and merges one range in turn; returns how many changes were made."""
    changes = 0
    while time.monotonic() < until:
        await operator.split(AT)
        (left, right) = [await operator.partition_of(key) for key in (AT[:-1], AT)]
        await operator.transfer(right.id)
        await operator.transfer(left.id, (await operator.partition_of(AT)).primary)
        try:
            await operator.merge(AT)
        except DstkError:  # a lease has run out in between: the two have different primaries
            await operator.transfer(left.id, (await operator.partition_of(AT)).primary)
            await operator.merge(AT)
        changes += 4
    return changes


async def test_totals_are_never_negative_nor_more_than_was_done(metrics_cluster: ProcessCluster) -> None:
    address = metrics_cluster.address
    async with (
        connect(address("router"), mode="gateway", timeout=30) as client,
        metrics_at(address("metrics")) as metrics,
        operator_at(address("router")) as operator,
    ):
        await operator.pause_controller()  # it would merge what is split
        await until_fresh(metrics, 3)
        async with load_on(client) as done, totals_of(metrics) as totals:
            changes = await change_all_the_time(operator, time.monotonic() + CHANGES_SECONDS)
            await until_fresh(metrics, 3)
            await eventually(lambda: totals[-1].writes > 0)  # the minute that the next test reads has some of them
        assert changes >= 8
        assert len(totals) >= CHANGES_SECONDS / 2
        most = done.most_a_second(1.0)
        for each in totals:
            rates = (each.reads, each.writes, each.scanned, each.read_bytes, each.written_bytes, each.time)
            assert min(rates) >= 0, each
            assert each.writes <= 2 * most, f"{each.writes:.0f}/s, and no more than {most:.0f} were done"
            assert each.records <= 1000 + each.records_error, each
        spans = np.diff([each.at_ms for each in totals]) / 1000
        counted = sum(each.writes * seconds for each, seconds in zip(totals[1:], spans, strict=True))
        assert counted <= 1.2 * (len(done.at) + done.failed), "no write counts twice"
        await operator.pause_controller(paused=False)


async def test_the_history_keeps_what_a_range_did_before_it_was_changed(metrics_cluster: ProcessCluster) -> None:
    address = metrics_cluster.address
    await metrics_cluster.restart("metrics")  # which keeps the minute in progress
    async with metrics_at(address("metrics")) as metrics, operator_at(address("router")) as operator:
        await until_fresh(metrics, 3)
        to_ms = round(time.time() * 1000)
        before = await metrics.history(metrics_pb2.FIGURE_WRITES, EVERYTHING, to_ms=to_ms)
        await operator.pause_controller()
        await operator.split(AT)

        async def knows_the_split() -> bool:
            return AT in [row.start for row in await rows(metrics)]

        await eventually(knows_the_split)
        after = await metrics.history(metrics_pb2.FIGURE_WRITES, EVERYTHING, to_ms=to_ms)
        await operator.merge(AT)
        await operator.pause_controller(paused=False)
        assert sums(after) == pytest.approx(sums(before), rel=0.01, abs=0.01, nan_ok=True)
        assert np.nansum(sums(after)) > 0


def sums(history: metrics_pb2.GetHistoryResponse) -> list[float]:
    """Of the whole key space, for each column."""
    return [float(each) for each in matrix(history).sum(axis=0)]
