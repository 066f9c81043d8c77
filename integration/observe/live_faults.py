"""Faults of a live cluster and the alerts that they must raise: a row each."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from dstk_client import connect
from dstk_keytypes import Key, KeyRange
from dstk_observability.prometheus import configuration
from observe.watched import RESERVE_BYTES, Watched

STARTS_WITHIN = 90.0

Step = Callable[[Watched], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LiveFault:
    """`told`: alerts that fire and reach their receiver. `silent`: alerts that fire, and are inhibited by these."""

    begin: Step
    mend: Step
    told: Sequence[str] = ()
    silent: Sequence[str] = ()
    undelivered: Sequence[str] = ()
    """Alerts that fire while nothing is delivered."""


async def nothing(_: Watched) -> None:
    """It mends itself, or there is no fault."""


def kill(*names: str) -> Step:
    """SIGKILL."""

    async def step(watched: Watched) -> None:
        watched.cluster.kill(*names)

    return step


def start(*names: str) -> Step:
    """Starts processes again."""

    async def step(watched: Watched) -> None:
        for name in names:
            watched.cluster.launch(name)
        await asyncio.gather(*(watched.cluster.serving(name, STARTS_WITHIN) for name in names))

    return step


def pause(*names: str) -> Step:
    """SIGSTOP."""

    async def step(watched: Watched) -> None:
        for name in names:
            watched.cluster.pause(name)

    return step


def resume(*names: str) -> Step:
    """SIGCONT."""

    async def step(watched: Watched) -> None:
        for name in names:
            watched.cluster.resume(name)

    return step


def fill(*names: str, leaving: int = 0) -> Step:
    """Fills disks."""

    async def step(watched: Watched) -> None:
        for name in names:
            watched.cluster.disk(name).fill(leaving)

    return step


def make_room(*names: str) -> Step:
    """Undoes `fill`."""

    async def step(watched: Watched) -> None:
        for name in names:
            watched.cluster.disk(name).make_room()

    return step


def slow(name: str, seconds: float) -> Step:
    """Makes each fsync of a node take longer."""

    async def step(watched: Watched) -> None:
        watched.cluster.tampering(name).slow = seconds

    return step


def controller(*, paused: bool) -> Step:
    """Pauses or resumes the controller."""

    async def step(watched: Watched) -> None:
        await watched.operator.pause_controller(paused=paused)

    return step


async def come_back_empty(watched: Watched) -> None:
    """The disk of a node is gone with its process."""
    watched.cluster.kill("storage-3")
    await watched.cluster.start("storage-3")


async def corrupt(watched: Watched) -> None:
    """Damages the tables of a node that follows everything, and has them read."""
    noise = random.Random(1)
    async with connect(watched.cluster.address("router"), mode="gateway") as client:
        puts = (client.put(Key.of(letter, "fill", n), noise.randbytes(1000)) for letter in "bjt" for n in range(100))
        await asyncio.gather(*puts)
        assert watched.cluster.disk("storage-3").damage_tables()
        async for _ in client.scan(KeyRange()):
            pass


async def stutter(watched: Watched) -> None:
    """Stops a router again and again, for half a second each."""
    for _ in range(20):
        watched.cluster.pause("router-2")
        await asyncio.sleep(0.5)
        watched.cluster.resume("router-2")
        await asyncio.sleep(0.5)


async def refuse_notifications(watched: Watched) -> None:
    """The receiver refuses what it is told, and there is something to tell."""
    watched.receiver.refuses = True
    watched.cluster.kill("router-2")


async def accept_notifications(watched: Watched) -> None:
    """Undoes it."""
    watched.receiver.refuses = False
    await watched.cluster.start("router-2")


async def kill_alertmanager(watched: Watched) -> None:
    """SIGKILL."""
    watched.alertmanager.kill()


async def start_alertmanager(watched: Watched) -> None:
    """Starts it again."""
    await watched.alertmanager.start()


async def misconfigure(watched: Watched) -> None:
    """Prometheus is given what is no configuration."""
    watched.prometheus.reload("scrape_configs: none\n")


async def configure(watched: Watched) -> None:
    """Undoes it."""
    watched.prometheus.reload(configuration(1))


async def forget_routers(watched: Watched) -> None:
    """The list of routers is empty."""
    watched.prometheus.retarget("router", {})


async def remember_routers(watched: Watched) -> None:
    """Undoes it."""
    names = ("router", "router-2")
    watched.prometheus.retarget("router", {name: watched.cluster.operations(name) for name in names})


NODES = ("storage-1", "storage-2", "storage-3")

FAULTS: Mapping[str, LiveFault] = {
    "none": LiveFault(nothing, nothing, ["DstkWatchdog"]),
    "a node is killed": LiveFault(kill("storage-3"), start("storage-3"), ["DstkNodeDown"], ["DstkUnderReplicated"]),
    "a node comes back with an empty disk": LiveFault(come_back_empty, nothing, ["DstkEngineReplaced"]),
    "two nodes hang": LiveFault(
        pause("storage-2", "storage-3"), resume("storage-2", "storage-3"), ["DstkNodesDown"], ["DstkNodeDown"]
    ),
    "a router is killed": LiveFault(kill("router-2"), start("router-2"), ["DstkRouterDown"]),
    "all routers are killed": LiveFault(
        kill("router", "router-2"), start("router", "router-2"), ["DstkRoutersDown"], ["DstkRouterDown"]
    ),
    "a metrics service is killed": LiveFault(kill("metrics"), start("metrics"), ["DstkMetricsDown"]),
    "the disk of a metrics service is full": LiveFault(
        fill("metrics"), make_room("metrics"), ["DstkHistoryWritesFail"]
    ),
    "etcd hangs": LiveFault(
        pause("etcd"),
        resume("etcd"),
        ["DstkEtcdNoQuorum"],
        ["DstkEtcdMemberDown", "DstkEtcdUnreachable", "DstkLeaseStale"],
    ),
    "etcd and a node hang": LiveFault(
        pause("etcd", "storage-3"),
        resume("etcd", "storage-3"),
        ["DstkPartitionsNotServing", "DstkAvailabilityBudgetBurnsFast"],
    ),
    "a disk is nearly full": LiveFault(
        fill("storage-3", leaving=RESERVE_BYTES * 3 // 2), make_room("storage-3"), ["DstkDiskLow"]
    ),
    "a disk is full": LiveFault(fill("storage-3"), make_room("storage-3"), ["DstkDiskReadOnly"], ["DstkDiskLow"]),
    "all disks are full": LiveFault(
        fill(*NODES), make_room(*NODES), ["DstkAvailabilityBudgetBurnsFast", "DstkClusterSpaceLow"]
    ),
    "a disk is slow": LiveFault(slow("storage-3", 0.8), slow("storage-3", 0), ["DstkCommitSlow"]),
    "a disk hangs": LiveFault(slow("storage-3", 20), slow("storage-3", 0), ["DstkDiskHangs"]),
    "tables are corrupt": LiveFault(corrupt, nothing, ["DstkBlockCorrupt"]),
    "the controller is paused": LiveFault(controller(paused=True), controller(paused=False), ["DstkControllerPaused"]),
    "a router stutters": LiveFault(stutter, nothing, ["DstkEventLoopBlocked"]),
    "the receiver refuses": LiveFault(
        refuse_notifications, accept_notifications, undelivered=["DstkNotificationsFail", "DstkRouterDown"]
    ),
    "Alertmanager is killed": LiveFault(kill_alertmanager, start_alertmanager, undelivered=["DstkAlertsDropped"]),
    "Prometheus is misconfigured": LiveFault(misconfigure, configure, ["DstkConfigurationRefused"]),
    "no router is scraped": LiveFault(forget_routers, remember_routers, ["DstkTargetsMissing"]),
}
"""By name. Each leaves the cluster as it was, once it is mended."""
