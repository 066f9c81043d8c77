"""One node and a metrics service in trouble: a node that is silent, a full disk for the history, a history that is damaged."""

import time

import numpy as np
import pytest
from kit.metrics_calls import EVERYTHING, matrix, metrics_at, rows, totals, until_fresh
from kit.process_cluster import ProcessCluster
from kit.scrape import answer

from dstk.v1 import metrics_pb2
from dstk_client import connect
from dstk_client.metrics import MetricsClient
from dstk_keytypes import Key
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

RECORDS = metrics_pb2.FIGURE_RECORDS
MINUTE_MS = 60_000
HELD = [Key.text(f"{letter}{number:04}") for letter in "akz" for number in range(100)]


async def load(cluster: ProcessCluster) -> None:
    """The same records each time, 100 in each partition."""
    async with connect(cluster.address("storage-1")) as client:
        await client.insert_sorted([(key, b"value") for key in HELD])


async def until_counted(metrics: MetricsClient) -> None:
    """Waits until the service has the records of `load`."""

    async def is_right() -> bool:
        return [(row.records, row.counted) for row in await until_fresh(metrics, 3)] == [(100, True)] * 3

    await eventually(is_right)


async def test_rows_of_a_silent_node_grow_old_and_keep_their_figures(metrics_of_one_node: ProcessCluster) -> None:
    cluster = metrics_of_one_node
    await load(cluster)
    async with metrics_at(cluster.address("metrics")) as metrics:
        await until_counted(metrics)
        cluster.pause("storage-1")
        try:

            async def are_marked() -> bool:
                found = await rows(metrics)
                assert [row.records for row in found] == [100, 100, 100], "never zero"
                return all(row.stale and row.age_s > 3 for row in found)

            await eventually(are_marked)
            first = await rows(metrics)
            await eventually(lambda: older(metrics, first))
            found = await totals(metrics)
            assert (found.partitions, found.stale_partitions, found.reporting_nodes) == (3, 3, 0)
            assert found.records == 300
        finally:
            cluster.resume("storage-1")
        await until_counted(metrics)

        async def is_well() -> bool:
            found = await totals(metrics)
            return (found.stale_partitions, found.nodes, found.reporting_nodes) == (0, 1, 1)

        await eventually(is_well)


async def older(metrics: MetricsClient, than: list[metrics_pb2.PartitionStats]) -> bool:
    """Whether each row has grown older by a second."""
    pairs = zip(await rows(metrics), than, strict=True)
    return all(now.age_s >= before.age_s + 1 for now, before in pairs)


async def known_until_ms(metrics: MetricsClient, from_ms: int) -> int:
    """The end of the last column of the history that has a figure; 0: none has."""
    found = await metrics.history(RECORDS, EVERYTHING, from_ms=from_ms, to_ms=from_ms + 60 * MINUTE_MS)
    known = np.isfinite(matrix(found)).any(axis=0).nonzero()[0]
    return [*found.column_times_ms, found.until_ms][known[-1] + 1] if known.size else 0


async def test_a_full_disk_stops_the_history_and_nothing_else(metrics_on_small_disks: ProcessCluster) -> None:
    cluster = metrics_on_small_disks
    await load(cluster)
    async with metrics_at(cluster.address("metrics")) as metrics:
        await until_counted(metrics)
        cluster.disk("metrics").fill()
        await load(cluster)
        await until_counted(metrics)
        status, told = await answer(cluster.operations("metrics"), "/readyz")
        assert status == 200, told
        await known_until_ms(metrics, round(time.time() * 1000) - MINUTE_MS)
    assert await cluster.stop("metrics") == 0, "it tries to write the minute in progress, and ends in order"
    assert "the history cannot be written" in cluster.log("metrics")
    await cluster.start("metrics")


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty"])
async def test_a_damaged_history_is_kept_aside_and_a_new_one_begins(
    metrics_of_one_node: ProcessCluster, damage: str
) -> None:
    cluster = metrics_of_one_node
    path = cluster.data_dir("metrics") / "history.sqlite"
    await load(cluster)
    async with metrics_at(cluster.address("metrics")) as metrics:
        await until_counted(metrics)
    assert await cluster.stop("metrics") == 0
    aside, content = set(path.parent.glob("*.damaged-*")), path.read_bytes()
    spoiled = {"garbage": b"\xa5" * len(content), "truncated": content[: len(content) // 2 + 7], "empty": b"\0" * 4096}
    path.write_bytes(spoiled[damage])
    said = len(cluster.log("metrics"))
    began_ms = round(time.time() * 1000) - MINUTE_MS
    await cluster.start("metrics")
    async with metrics_at(cluster.address("metrics")) as metrics:
        await until_counted(metrics)
    await cluster.restart("metrics")
    async with metrics_at(cluster.address("metrics")) as metrics:
        assert await known_until_ms(metrics, began_ms)
    (kept,) = set(path.parent.glob("*.damaged-*")) - aside
    assert kept.read_bytes() == spoiled[damage]
    assert kept.name in cluster.log("metrics")[said:]
