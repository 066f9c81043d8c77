"""A cluster under traffic, in a quiet time and in faults, as Prometheus saw it: what tests and pictures are made from."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kit.operators import Operator, operator_at
from kit.process_cluster import ProcessCluster

from dstk_client import connect
from dstk_keytypes import Key, KeyRange
from dstk_observability.dashboards.model import Fault
from dstk_service.errors import DstkError
from dstk_service.testing import eventually
from observe.asking import asking
from observe.prometheus_server import Addresses, Prometheus
from observe.shown import variables
from observe.traffic import traffic_on

NODES = 3
SPLITS = ("f", "p")
CLUSTER = "test"
QUIET_SECONDS, FAULT_SECONDS, CALM_SECONDS = 30.0, 15.0, 12.0
"""The quiet time; how long a fault lasts; and how long the cluster then rests, so that the rates of the fault are over."""
MOST_QUIET_TIMES = 8
DISTURBED = [
    f"{text}[{QUIET_SECONDS:.0f}s]) {condition}"
    for text, condition in (
        ("min_over_time(up", "< 1"),
        ("increase(dstk_elections_total", "> 0"),
        ("increase(dstk_in_sync_changes_total", "> 0"),
    )
]
"""Expressions that have series if something happened in the quiet time."""
LARGE_RECORDS, LARGE_BYTES = 400, 20_000
SLOW_FSYNC = 0.4
"""Seconds that an fsync takes longer. Followers that are not heard of for two seconds are evicted; this one is heard."""


@dataclass(slots=True)
class Story:
    """What happened when. `variables`: of the dashboards, as they were in the quiet time."""

    prometheus: Prometheus
    variables: dict[str, str] = field(default_factory=dict)
    moments: dict[Fault | None, tuple[float, float]] = field(default_factory=dict)
    """The begin and the end, in Unix time, of the quiet time (None) and of each fault."""
    lines: list[str] = field(default_factory=list)
    """What the processes have logged."""

    @property
    def begin(self) -> float:
        """Of the quiet time."""
        return self.moments[None][0]

    @property
    def end(self) -> float:
        """Of the last fault."""
        return max(end for _, end in self.moments.values())


@asynccontextmanager
async def told(directory: Path) -> AsyncIterator[Story]:
    """Plays the whole story; Prometheus can be asked about it inside the block."""
    cluster = ProcessCluster(directory / "cluster", nodes=NODES, splits=SPLITS, router=True, metrics=1, tampered=True)
    async with cluster, Prometheus(directory / "prometheus", _targets(cluster), cluster=CLUSTER) as prometheus:
        story = Story(prometheus)
        router = cluster.address("router")
        async with (
            traffic_on(router, [cluster.address(name) for name in cluster.names]),
            asking(cluster.address("metrics"), cluster.console()),
            operator_at(router) as operator,
        ):
            await operator.healed()
            await asyncio.sleep(CALM_SECONDS)
            await _play(story, cluster, operator)
        story.lines = [line for name in cluster.speakers for line in cluster.log(name).splitlines()]
        yield story


async def _play(story: Story, cluster: ProcessCluster, operator: Operator) -> None:
    await _quiet(story)
    story.variables = await variables(story.prometheus)
    for fault, begin, mend in _faults(cluster, operator):
        with _moment(story, fault):
            await begin()
            await asyncio.sleep(FAULT_SECONDS)
        await mend()
        if mend is not _nothing:
            await operator.healed(within=60)
            await asyncio.sleep(CALM_SECONDS)


async def _quiet(story: Story) -> None:
    """Waits for a time in which nothing happens: on a busy machine a scrape or a heartbeat may be late, and it begins again."""
    for _ in range(MOST_QUIET_TIMES):
        with _moment(story, None):
            await asyncio.sleep(QUIET_SECONDS)
        disturbances = [text for text in DISTURBED if await story.prometheus.query(text, story.end)]
        if not disturbances:
            return
    raise AssertionError(f"the machine is too busy for a quiet time: {disturbances}")


Step = Callable[[], Awaitable[None]]


def _faults(cluster: ProcessCluster, operator: Operator) -> Iterator[tuple[Fault, Step, Step]]:
    """What happens, how, and what mends it. The last one is not mended: the pictures end in it."""

    async def hold_up(seconds: float) -> None:
        cluster.tampering("storage-2").slow = seconds

    async def replace() -> None:
        cluster.kill("storage-3")
        shutil.rmtree(cluster.data_dir("storage-3"))
        await cluster.start("storage-3")

    async def end_etcd() -> None:
        cluster.kill("etcd")

    async def start_etcd() -> None:
        await cluster.start("etcd")

    async def kill() -> None:
        cluster.kill("storage-1")

    yield Fault.LEADER_MOVES, lambda: _move(operator), _rest
    yield Fault.RANGE_DELETED, lambda: _delete_much(cluster.address("router")), _rest
    yield Fault.DISK_SLOW, lambda: hold_up(SLOW_FSYNC), lambda: hold_up(0)
    yield Fault.NODE_REPLACED, replace, _rest
    yield Fault.ETCD_DOWN, end_etcd, start_etcd
    yield Fault.NODE_KILLED, kill, _nothing


async def _rest() -> None:
    """It mends itself."""


async def _nothing() -> None:
    """It stays."""


async def _move(operator: Operator) -> None:
    """Splits a partition, and transfers all."""
    await operator.split(bytes(Key.text("s")))
    for status in await operator.partitions():
        await _hand_over(operator, status.partition.id)


async def _hand_over(operator: Operator, partition: int) -> None:
    """Transfers a partition; again, if its in-sync set changes meanwhile, as on a busy machine."""

    async def is_made() -> bool:
        await operator.healed(within=60)
        try:
            await operator.transfer(partition)
        except DstkError as error:
            raise AssertionError(f"partition {partition}: {error}") from error
        return True

    await eventually(is_made, within=60)


async def _delete_much(router: str) -> None:
    """Writes a range of some size and deletes it, so that nodes reclaim its bytes."""
    async with connect(router, mode="gateway") as client:
        records = [(Key.text(f"x{number:03}"), bytes(LARGE_BYTES)) for number in range(LARGE_RECORDS)]
        await client.insert_sorted(records)
        await client.delete_range(KeyRange(Key.text("x"), Key.text("y")))


@contextmanager
def _moment(story: Story, fault: Fault | None) -> Iterator[None]:
    begin = time.time()
    yield
    story.moments[fault] = begin, time.time()


def _targets(cluster: ProcessCluster) -> Addresses:
    return {
        "storage": {name: cluster.operations(name) for name in cluster.names},
        "router": {"router": cluster.operations("router")},
        "metrics": {"metrics": cluster.operations("metrics")},
        "etcd": {"etcd": cluster.address("etcd")},
    }
