"""A simulated storage node: the real store, committer and replication, on twins of disk, network and etcd."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import TypeVar

from typing_extensions import override

from dstk_cluster.engines import EngineRegistry
from dstk_cluster.mapstore import MapStore
from dstk_cluster.port import Coordinator
from dstk_cluster.view import ClusterView
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.testing import RecordingObserver
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.application.in_sync import NodeInSyncSets
from dstk_storage.domain import layout
from dstk_storage.domain.admission import QueueLimits
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.engine_reset import EngineReset
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.domain.proof import EngineProof
from dstk_storage.domain.replication.heartbeats import Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.ports import Append, Appended, Digest, Peers, PeerUnreachable, SnapshotChunk, Vote
from dstk_storage.domain.replication.runtime.comparer import Pace
from dstk_storage.domain.replication.runtime.replication import Ports, Replication
from dstk_storage.domain.replication.timing import Timing
from dstk_storage.domain.store import Store
from dstk_storage.domain.write_queue import WriteQueue
from dstk_storage.domain.writes import Writer
from simulation.loop import LoopClock
from simulation.network import Lost, Network

log = logging.getLogger(__name__)

T = TypeVar("T")

DISK_SECONDS = 0.004
CLUSTER_UID = "simulated"
COMPARED_BYTES = 1000.0
"""A second: so little that what is compared is written to meanwhile."""

SPEAKER: ContextVar[str] = ContextVar("speaker", default="-")
"""The node whose code runs, for the log."""


class SimPeers(Peers):
    """Calls other nodes over the simulated network."""

    def __init__(self, me: NodeId, network: Network, nodes: "dict[NodeId, SimNode]") -> None:
        self._me, self._network, self._nodes = me, network, nodes

    @override
    async def append(self, node: NodeId, appends: Sequence[Append]) -> Sequence[Appended]:
        return await self._call(node, lambda replication: replication.peer_api.on_append(appends))

    @override
    async def heartbeat(self, node: NodeId, heartbeat: Heartbeat) -> HeartbeatResponse:
        return await self._call(node, lambda replication: replication.peer_api.on_heartbeat(heartbeat))

    @override
    async def request_vote(self, node: NodeId, partition: PartitionId, epoch: int, known: int) -> Vote:
        vote = await self._call(node, lambda replication: replication.peer_api.on_request_vote(partition, epoch, known))
        if vote is None:
            raise PeerUnreachable(f"{node} has no replica of {partition}")
        return vote

    @override
    async def install_snapshot(self, node: NodeId, chunk: SnapshotChunk) -> None:
        if not await self._call(node, lambda replication: replication.snapshots.receive(chunk)):
            raise PeerUnreachable(f"{node} refuses the copy")

    @override
    async def leave(self, node: NodeId) -> None:
        me = self._me
        await self._call(node, lambda replication: replication.peer_api.on_leave(me))

    @override
    async def digest(self, node: NodeId, partition: PartitionId, key_range: KeyRange) -> Digest:
        found = await self._call(node, lambda replication: replication.peer_api.on_digest(partition, key_range))
        if found is None:
            raise PeerUnreachable(f"{node} has no whole replica of {partition}")
        return found

    async def _call(self, node: NodeId, serve: Callable[[Replication], Awaitable[T]]) -> T:
        try:
            return await self._network.call(self._me, node, lambda: self._nodes[node].serve(serve))
        except Lost as error:
            raise PeerUnreachable(str(error), refused=error.nobody) from error


class SimNode:
    """Lives from `start` to `crash`; its engine outlives it."""

    replication: Replication | None = None
    """The process, while it runs."""

    def __init__(
        self, me: NodeId, network: Network, nodes: "dict[NodeId, SimNode]", coordinator: Coordinator, seed: int
    ) -> None:
        self.me = me
        self._network, self._nodes, self._coordinator = network, nodes, coordinator
        self.rng = random.Random(seed)
        self.clock = LoopClock(self.rng.randint(-2000, 2000))
        self.engine = MemoryEngine()
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
        self.store: Store | None = None
        self.writer: Writer | None = None
        self.compare_seconds = 0.0
        """After which replicas are compared again; 0: never."""
        self.observer = RecordingObserver()
        """What the node has told of, over all its processes."""
        self._tasks: dict[asyncio.Task[None], None] = {}

    @property
    def lives(self) -> bool:
        """Whether the process runs."""
        return self.replication is not None

    def start(self) -> None:
        """Starts the process."""
        assert not self.lives
        self.image = self.engine.image()
        committer = GroupCommitter(self.engine, self._offload)
        store = self.store = Store(self.engine, self._offload, committer, self.clock.monotonic)
        map_store = MapStore(self._coordinator, "sim")
        peers = SimPeers(self.me, self._network, self._nodes)
        incarnation = self.rng.getrandbits(47)
        ports = Ports(self.me, store, peers, map_store, self.clock, Timing(), incarnation, self.observer)
        self.replication = replication = Replication(ports)
        queue = WriteQueue(committer, replication.proposals, QueueLimits())
        self.writer = Writer(store, queue, self.clock.monotonic)
        proof = self._proof(committer)
        in_sync, reset = NodeInSyncSets(replication), partial(proof.replace, keep=False)
        engine_reset = EngineReset(self.engine, in_sync, reset, self.clock)
        for loop in (committer.run(queue), store.orphaned_ranges.run(self.clock, every=0.5), engine_reset.run()):
            self.spawn(_for_ever(loop))
        self.spawn(_for_ever(self._come_up(proof, map_store, store, replication)))

    async def _come_up(self, proof: EngineProof, map_store: MapStore, store: Store, replication: Replication) -> None:
        """As serve.py does: nothing that the engine holds counts before the cluster has confirmed it."""
        await proof.establish(CLUSTER_UID, store.load)
        self.unproven = False
        view = ClusterView(map_store, self.clock, self.rng)
        for loop in (proof.run(), view.run(), self._follow(view, replication), replication.run()):
            self.spawn(_for_ever(loop))
        if self.compare_seconds:
            rng = random.Random(self.me)
            pace = Pace(self.compare_seconds, COMPARED_BYTES)
            self.spawn(_for_ever(replication.comparer(lambda: pace, rng).run()))

    def _proof(self, committer: GroupCommitter) -> EngineProof:
        own = self.engine.get(layout.ENGINE)
        assert own is not None
        registry = EngineRegistry(self._coordinator, "sim")
        identity = EngineIdentity.decode(own)
        return EngineProof(self.me, identity, self.engine, committer, registry, self._exclusive, self.clock)

    def lose_disk(self, image: dict[bytes, bytes]) -> None:
        """The disk comes back as it was once, or empty: with what a node makes of that when it starts (at_rest.py)."""
        assert not self.lives
        new = EngineIdentity.new(self.me, "sim", self.clock.now_ms(), "its disk was lost")
        self.unproven = True
        self.engine.reset(image or {layout.ENGINE: new.encode()}, keep=False)

    def holds_whole(self, partition: PartitionId) -> bool:
        """Whether what lies on its disk counts, and is a whole replica."""
        if self.unproven:
            return False
        is_there = self.engine.get(layout.range_key(partition)) is not None
        return is_there and self.engine.get(layout.copying_key(partition)) is None

    def start_again(self) -> None:
        """Starts the process unless somebody else has."""
        if not self.lives:
            self.start()

    def crash(self) -> None:
        """Ends the process at this instant: what is not in the engine is gone."""
        if self.replication is not None:
            self.replication.end()
        self.store = self.replication = None
        for task in self._tasks:
            task.cancel()
        self._tasks = {}

    def serve(self, call: Callable[[Replication], Awaitable[T]]) -> "Awaitable[T] | None":
        """Runs a call that came in as part of this process; None: it does not live."""
        if self.replication is None:
            return None
        return self.spawn(call(self.replication))

    def spawn(self, work: Awaitable[T]) -> "asyncio.Future[T]":
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

        task = asyncio.get_running_loop().create_task(run())
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return outcome

    async def _follow(self, view: ClusterView, replication: Replication) -> None:
        async for current in view.maps():
            replication.reactor.on_map(current)

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        yield

    async def _offload(self, call: Callable[[], T], /) -> T:
        """The disk: slow now and then, or hanging; a crash finds the call made or not."""
        await asyncio.sleep(max(0.0, self.hangs_until - asyncio.get_running_loop().time()))
        before = self.rng.random()
        seconds = self.rng.expovariate(1 / self.disk_seconds)
        await asyncio.sleep(seconds * before)
        result = call()
        await asyncio.sleep(seconds * (1 - before))
        return result


async def _for_ever(loop: Awaitable[None]) -> None:
    try:
        await loop
    except Exception:
        log.exception("a loop of a node ended")
        raise
