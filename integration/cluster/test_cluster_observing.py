"""Metrics through the router, and the commands that show it: three nodes and two metrics services, which are killed, paused and
cut off from etcd.
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kit.command import Command
from kit.process_cluster import ProcessCluster, running
from PIL import Image

from dstk_cli.observe.heat_image import Layout
from dstk_client import Key, KeyRange, NotServing, connect
from dstk_client.metrics import MetricsClient
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.port import Delete, Put
from dstk_cluster.records import Keys
from dstk_cluster.services import ServiceKind
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC

pytestmark = [pytest.mark.slow]

RECORDS = 3_000
BRIGHT = 600
"""Of the three parts of a colour together: more than half of the peak, on the scale of logarithms."""
SERVICES = ("metrics", "metrics-2")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Three partitions with a thousand records each."""
    made = ProcessCluster(
        tmp_path_factory.mktemp("observed"),
        nodes=3,
        splits=["b", "c"],
        router=True,
        metrics=2,
        metrics_options=["--feed-seconds", "1", "--lease-seconds", "2"],
    )
    with running(made):
        asyncio.run(_filled(made.address("router")))
        yield made


async def _filled(router: str) -> None:
    keys = [Key(f"{letter}{number:06}".encode()) for letter in "abc" for number in range(RECORDS // 3)]
    async with connect(router, mode="gateway", timeout=60) as client:
        await client.insert_sorted((key, b"v" * 100) for key in keys)


@pytest.fixture
def dstk(cluster: ProcessCluster, tmp_path: Path) -> Command:
    return Command(cluster.address("router"), tmp_path)


@asynccontextmanager
async def through_the_router(cluster: ProcessCluster) -> AsyncIterator[MetricsClient]:
    async with GRPC.connect(cluster.address("router")) as channel:
        yield MetricsClient(channel, "the router", 60)


async def answers(metrics: MetricsClient) -> bool:
    try:
        await metrics.partition_stats(KeyRange(), limit=1)
    except NotServing:
        return False
    return True


def shown(dstk: Command, *arguments: str) -> Any:
    """What a command prints as JSON."""
    answer = dstk(*arguments, "--output", "json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


async def test_top_counts_every_record_and_names_every_node(cluster: ProcessCluster, dstk: Command) -> None:
    async def is_counted() -> bool:
        found = await asyncio.to_thread(shown, dstk, "top", "--once")
        totals = found["totals"]
        assert totals["reporting_nodes"] == totals["nodes"] == 3
        assert totals["serving_partitions"] == totals["partitions"] == 3
        assert totals["in_sync_replicas"] == totals["replicas"] == 9
        assert totals["uncounted_partitions"] == totals["stale_partitions"] == 0
        assert totals["records"] == RECORDS
        assert {node["node"] for node in found["nodes"]} == set(cluster.names)
        return True

    await eventually(is_counted)


async def test_an_exact_count_reads_every_key(dstk: Command) -> None:
    assert (await asyncio.to_thread(shown, dstk, "count", "--exact"))["records"] == RECORDS
    assert (await asyncio.to_thread(shown, dstk, "count", "--exact", "b"))["records"] == RECORDS // 3


async def test_a_count_of_a_prefix_has_the_true_number_within_its_bounds(dstk: Command) -> None:
    found = await asyncio.to_thread(shown, dstk, "count", "b0005")
    assert found["records_low"] <= 100 <= found["records_high"]
    assert found["records"] == pytest.approx(100, rel=0.1)


async def test_pieces_cover_the_keys_once_and_have_all_records(dstk: Command) -> None:
    pieces = (await asyncio.to_thread(shown, dstk, "splits", "--records", "250"))["pieces"]
    assert all(lower["end"] == upper["start"] for lower, upper in itertools.pairwise(pieces))
    assert sum(piece["records"] for piece in pieces) == pytest.approx(RECORDS, rel=0.02)
    assert all(125 <= piece["records"] <= 500 for piece in pieces)


async def test_a_hotspot_is_what_is_bright_in_the_picture(
    cluster: ProcessCluster, dstk: Command, tmp_path: Path
) -> None:
    async def reads() -> None:
        async with connect(cluster.address("router"), mode="gateway", timeout=60) as client:
            while True:
                await asyncio.gather(*(client.get(Key(b"b000042")) for _ in range(20)))

    async def is_drawn() -> bool:
        await asyncio.sleep(1)  # a command takes most of a core: the load has to come through, too
        drawn = await asyncio.to_thread(dstk, "heatmap", "--output", "reads.png", "--overwrite", "--last", "5m")
        return drawn.returncode == 0 and _bright(tmp_path / "reads.png") != []

    loading = asyncio.create_task(reads())
    try:
        await eventually(is_drawn, within=150)
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
    starts = [row["start"] for row in shown(dstk, "heatmap", "--last", "5m")["rows"]]
    hot = {at for at, start in enumerate(starts) if start is not None and "b" <= start < "c"}
    height = Layout(1600, 1000).plot_height
    assert {y * len(starts) // height for y in _bright(tmp_path / "reads.png")} <= hot


def _bright(picture: Path) -> list[int]:
    """The lines of the plot that have bright pixels."""
    layout = Layout(1600, 1000)
    box = (layout.left, layout.top, layout.left + layout.plot_width, layout.top + layout.plot_height)
    with Image.open(picture) as opened:
        plot = opened.crop(box)
    lines = [plot.crop((0, y, plot.width, y + 1)).getcolors(plot.width) for y in range(plot.height)]
    return [y for y, colours in enumerate(lines) if any(sum(colour) > BRIGHT for _, colour in colours)]


async def test_a_stream_goes_on_while_one_service_after_the_other_is_killed(cluster: ProcessCluster) -> None:
    async with through_the_router(cluster) as metrics, aclosing(metrics.watch(1_000)) as stream:
        await anext(stream)
        for name in SERVICES:
            cluster.kill(name)
            for _ in range(3):
                assert (await anext(stream)).partitions == 3
            await cluster.start(name)
            await cluster.serving(name)


async def test_a_service_that_hangs_is_stood_in_for_within_seconds(cluster: ProcessCluster) -> None:
    async with through_the_router(cluster) as metrics:
        for name in SERVICES:
            await eventually(lambda: answers(metrics))
            cluster.pause(name)
            try:
                began = time.monotonic()
                assert (await metrics.partition_stats(KeyRange())).total == 3
                assert time.monotonic() - began < 20
            finally:
                cluster.resume(name)
                await cluster.serving(name)


async def test_nonsense_in_etcd_is_named_in_the_log_and_ends_no_process(cluster: ProcessCluster) -> None:
    coordinator = EtcdCoordinator([cluster.address("etcd")])
    prefix = Keys("test").services(ServiceKind.METRICS)
    wrong = {prefix + name: value for name, value in ((b"a", b"{"), (b"b", b"[" * 9_000), (b"\xff", b"{}"))}
    try:
        await coordinator.txn([], [Put(key, value) for key, value in wrong.items()])
        await eventually(lambda: cluster.log("router").count("does not hold a metrics service") == len(wrong))
        async with through_the_router(cluster) as metrics:
            await eventually(lambda: answers(metrics))
    finally:
        await coordinator.txn([], [Delete(key) for key in wrong])
        await coordinator.close()
    await cluster.serving("router")


async def test_without_etcd_the_router_goes_on_with_the_services_that_it_knows(cluster: ProcessCluster) -> None:
    async with through_the_router(cluster) as metrics:
        await eventually(lambda: answers(metrics))
        cluster.kill("etcd")
        try:
            await asyncio.sleep(3)  # longer than the lease of the services
            assert await answers(metrics)
        finally:
            await cluster.start("etcd")
        await eventually(lambda: answers(metrics))


async def test_without_a_service_commands_say_how_to_start_one_and_with_one_they_work(
    cluster: ProcessCluster, dstk: Command
) -> None:
    cluster.kill(*SERVICES)
    try:

        async def is_said() -> bool:
            refused = await asyncio.to_thread(dstk, "hot")
            assert refused.returncode == 1
            return b"no metrics service is registered" in refused.stderr and b"dstk-metrics" in refused.stderr

        await eventually(is_said)
    finally:
        for name in SERVICES:
            await cluster.start(name)
    for name in SERVICES:
        await cluster.serving(name)
    await eventually(lambda: _works(dstk))


async def _works(dstk: Command) -> bool:
    return (await asyncio.to_thread(dstk, "hot")).returncode == 0


async def test_a_stopped_service_leaves_at_once(cluster: ProcessCluster) -> None:
    async with through_the_router(cluster) as metrics:
        assert await cluster.stop("metrics") == 0
        assert (await metrics.partition_stats(KeyRange())).total == 3
    await cluster.start("metrics")
    await cluster.serving("metrics")
