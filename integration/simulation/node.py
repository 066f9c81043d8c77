"""A simulated storage node: StorageNode as it is in production, on twins of disk, network and etcd."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import PartitionInfo
from dstk_cluster.port import Coordinator
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId, PartitionId
from dstk_service.service import Part
from dstk_service.testing import RecordingObserver
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.adapters.memory_peers import MemoryPeers
from dstk_storage.adapters.peers import PeerTimeouts
from dstk_storage.application.routing import AddressBook
from dstk_storage.domain import layout
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.domain.replication.ports import PeerUnreachable
from dstk_storage.domain.replication.runtime.comparer import Pace
from dstk_storage.domain.replication.runtime.replication import Replication
from dstk_storage.domain.room import Room
from dstk_storage.domain.store import Store
from dstk_storage.domain.writes import Writer
from dstk_storage.node import NodePorts, NodeSettings, Offloads, StorageNode
from dstk_storage.servicers.replication import Follower, Receive
from simulation.links import NetworkExecutor, NetworkHost, NetworkReader, SimLinks, SimListener
from simulation.loop import LoopClock
from simulation.network import GIVE_UP, Network

log = logging.getLogger(__name__)

T = TypeVar("T")

CLUSTER = "sim"
DISK_SECONDS = 0.004
DISK_BYTES = 1 << 40
RESERVE_BYTES = 8000
FREE_BYTES = {
    Room.AMPLE: DISK_BYTES,
    Room.SCARCE: RESERVE_BYTES * 7 // 8,
    Room.FULL: RESERVE_BYTES // 2,
    Room.EXHAUSTED: 0,
}
"""What a disk has left that has room for so much."""

LEASE_SECONDS = 2
PATIENT = PeerTimeouts(GIVE_UP, GIVE_UP, GIVE_UP, GIVE_UP, GIVE_UP, GIVE_UP)
"""Callers wait as long as the network does: messages that arrive late show more mistakes than calls that are given up."""

COMPARED_BYTES = 1000.0
"""A second: so little that what is compared is written to meanwhile."""

SPEAKER: ContextVar[str] = ContextVar("speaker", default="-")
"""The node whose code runs, for the log."""


class SimDisk:
    """A file system with as much room as the nemesis leaves it."""

    def __init__(self) -> None:
        self.free = DISK_BYTES

    def free_bytes(self) -> int:
        """Bytes that may still be written."""
        return self.free

    def capacity_bytes(self) -> int:
        """Its size."""
        return DISK_BYTES


class SimNode:
    """Lives from `start` to `crash`; its engine outlives it."""

    def __init__(
        self, me: NodeId, network: Network, nodes: "dict[NodeId, SimNode]", coordinator: Coordinator, seed: int
    ) -> None:
        self.me = me
        self._network, self._nodes, self._coordinator = network, nodes, coordinator
        self.rng = random.Random(seed)
        self.clock = LoopClock(self.rng.randint(-2000, 2000))
        self.engine, self.disk = MemoryEngine(), SimDisk()
        self.process: StorageNode | None = None
        """The process, while it runs."""
        self._parts: Sequence[Part] = ()
        self._listener = SimListener(me, self._is_proven)
        self.image: dict[bytes, bytes] = {}
        """What lay on the disk when the process was last started: an older state of it, from then on."""
        self.unproven = True
        """What lies on the disk does not count, or nobody knows yet whether it does."""
        self.forgiven: set[PartitionId] = set()
        """Partitions that it may be in sync of by the map although it has lost its disk, until it is seen to be whole."""
        self.lose_disk({})
        self.disk_seconds = DISK_SECONDS
        self.hangs_until = 0.0
        """By the loop's time: nothing asked of the disk begins before."""
        self.compare_seconds = 0.0
        """After which replicas are compared again; 0: as seldom as in production."""
        self.observer = RecordingObserver()
        """What the node has told of, over all its processes."""
        self._tasks: dict[asyncio.Task[Any], None] = {}

    @property
    def lives(self) -> bool:
        """Whether the process runs."""
        return self.process is not None

    @property
    def store(self) -> Store | None:
        """The process's store."""
        return None if self.process is None else self.process.store

    @property
    def writer(self) -> Writer | None:
        """The process's write side."""
        return None if self.process is None else self.process.writer

    @property
    def replication(self) -> Replication | None:
        """The process's replication."""
        return None if self.process is None else self.process.replication

    @property
    def has_failed(self) -> bool:
        """Whether a write of the process has failed, and its engine was not reopened since."""
        return self.store is not None and self.store.committer.intake.failure is not None

    def start(self) -> None:
        """Starts the process, which opens the engine: a disk lets it do so only once it takes writes again."""
        assert not self.lives
        self.engine.failing = False
        self.engine.reopen()
        self.image = self.engine.image()
        pace = Pace(self.compare_seconds, COMPARED_BYTES) if self.compare_seconds else None
        settings = NodeSettings(CLUSTER, lease_seconds=LEASE_SECONDS, disk_reserve_bytes=RESERVE_BYTES, comparison=pace)
        self.process = StorageNode(self.me, self._ports(), settings)
        self._listener = SimListener(self.me, self._is_proven)
        self._parts = self.process.parts(self._listener)
        self._background(self._run(self._parts))

    async def _run(self, parts: Sequence[Part]) -> None:
        """As Service does; but a process that is killed closes nothing."""
        for part in parts:
            await part.start(self._background)
        for part in parts:
            await part.ready()

    async def drain(self) -> None:
        """The first half of an orderly stop. The process should be ended then."""
        for part in reversed(self._parts):
            await part.drain()

    def _is_proven(self) -> None:
        self.unproven = False

    def _ports(self) -> NodePorts:
        me, network, nodes = self.me, self._network, self._nodes
        map_store = MapStore(self._coordinator, CLUSTER)
        view = ClusterView(map_store, self.clock, self.rng)
        hosts = {node: NetworkHost(me, node, network, other.answer) for node, other in nodes.items()}
        own = self.engine.get(layout.ENGINE)
        assert own is not None
        return NodePorts(
            engine=self.engine,
            identity=EngineIdentity.decode(own),
            offloads=Offloads(self._offload, self._offload, self._offload, self._exclusive, self._close),
            disk=self.disk,
            coordinator=self._coordinator,
            map_store=map_store,
            view=view,
            addresses=AddressBook(),
            peers=MemoryPeers(me, hosts, PATIENT),
            links=SimLinks(),
            nodes=NetworkReader(me, view, network, nodes),
            executor=NetworkExecutor(me, view, network, nodes),
            clock=self.clock,
            rng=self.rng,
            bind=lambda _uid: None,
            observers=(self.observer,),
        )

    def lose_disk(self, image: dict[bytes, bytes]) -> None:
        """The disk comes back as it was once, or empty: with what a node makes of that when it starts (at_rest.py)."""
        assert not self.lives
        new = EngineIdentity.new(self.me, CLUSTER, self.clock.now_ms(), "its disk was lost")
        self.unproven = True
        self.engine.reset(image or {layout.ENGINE: new.encode()}, keep=False)

    def holds_whole(self, partition: PartitionId) -> bool:
        """Whether what lies on its disk counts, and is a whole replica."""
        if self.unproven:
            return False
        is_there = self.engine.get(layout.range_key(partition)) is not None
        return is_there and self.engine.get(layout.snapshot_key(partition)) is None

    def start_again(self) -> None:
        """Starts the process unless somebody else has."""
        if not self.lives:
            self.start()

    def is_tidy(self, partitions: Iterable[PartitionInfo]) -> bool:
        """Whether the process holds the ranges that the map gives to it, and has nothing left to delete. A process that has not
        read its disk yet holds nothing as far as it knows.
        """
        if self.store is None or not self._listener.is_open:
            return False
        mine = {info.id: info.range for info in partitions if self.me in info.replicas}
        held = {partition.id: partition.range for partition in self.store.locals}
        return held == mine and not self.store.orphaned_ranges.ranges

    def crash(self) -> None:
        """Ends the process at this instant: what is not in the engine is gone."""
        if self.process is not None:
            self.process.replication.end()
        self.process, self._parts = None, ()
        for task in self._tasks:
            task.cancel()
        self._tasks = {}

    def serve(self, call: Callable[[Replication], Awaitable[T]]) -> "Awaitable[T] | None":
        """Runs a call of a client as part of this process; None: it does not live."""
        return self.ask(lambda process: call(process.replication))

    def ask(self, call: Callable[[StorageNode], Awaitable[T]]) -> "Awaitable[T] | None":
        """Runs a call that came in as part of this process; None: it does not live."""
        return None if self.process is None else self._spawn(call(self.process))

    def answer(self, ask: Callable[[Follower, Receive], Coroutine[Any, Any, T]]) -> "Awaitable[T] | None":
        """Runs a call of another node as part of this process; None: it does not live."""

        async def admitted(process: StorageNode) -> T:
            if not self._listener.is_open:
                raise PeerUnreachable(f"{self.me} is starting")
            return await ask(process.follower, process.receive)

        return self.ask(admitted)

    def _spawn(self, work: Awaitable[T]) -> "asyncio.Future[T]":
        """Something that ends with the process; callers of what was ended wait in vain."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            SPEAKER.set(self.me)
            try:
                result = await work
            except asyncio.CancelledError:
                return
            except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
                if not outcome.done():  # else the caller has gone
                    outcome.set_exception(error)
            else:
                if not outcome.done():
                    outcome.set_result(result)

        self._keep(asyncio.get_running_loop().create_task(run()))
        return outcome

    def _background(self, loop: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        """A loop of the process. One that fails is a defect (run.py)."""

        async def run() -> None:
            SPEAKER.set(self.me)
            try:
                await loop
            except Exception:
                log.exception("a loop of a node ended")
                raise

        return self._keep(asyncio.get_running_loop().create_task(run()))

    def _keep(self, task: "asyncio.Task[T]") -> "asyncio.Task[T]":
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return task

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        yield

    async def _close(self) -> None:
        """The disk is no thread's."""

    async def _offload(self, call: Callable[[], T], /) -> T:
        """The disk: slow now and then, or hanging; a crash finds the call made or not."""
        await asyncio.sleep(max(0.0, self.hangs_until - asyncio.get_running_loop().time()))
        before = self.rng.random()
        seconds = self.rng.expovariate(1 / self.disk_seconds)
        await asyncio.sleep(seconds * before)
        result = call()
        await asyncio.sleep(seconds * (1 - before))
        return result
