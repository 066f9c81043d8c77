"""The parts of a storage node, in the order in which they start: registration, engine, listener, replication, controller.

So a node that stops hands the controller over first, then its partitions, then ends the calls under way, then brings what waits
to disk; and gives its registration up last.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from typing_extensions import override

from dstk_cluster.mapstore import MapStore
from dstk_cluster.membership import Membership
from dstk_cluster.model import ClusterMap, NodeState
from dstk_cluster.view import ClusterView
from dstk_service.clock import Clock
from dstk_service.service import Background, Part
from dstk_storage.application.bootstrap import FirstMap, join_cluster, make_map
from dstk_storage.application.routing import AddressBook
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.proof import EngineProof
from dstk_storage.domain.replication.runtime.replication import Replication
from dstk_storage.ports import Engine

SETTLE_SECONDS = 5.0
"""How long a node that starts waits for the partitions that it is to lead before it serves: some may wait for other nodes."""

LATE_SECONDS = 5.0
"""How much longer than the grace of its callers a node may take to bring what waits to disk."""

ENGINE_CLOSE_SECONDS = 30.0

Loop = Callable[[], Coroutine[Any, Any, None]]


class NodeListener(Part, ABC):
    """What accepts calls of clients and of other nodes."""

    address = ""
    """host:port that other nodes reach, once it has started."""

    @abstractmethod
    def admit(self, secret: str) -> None:
        """Answers calls of nodes that prove the cluster's secret from now on."""


class Links(Protocol):
    """The links to other nodes."""

    def join(self, secret: str) -> None:
        """Proves the cluster's secret from now on."""

    async def close(self) -> None:
        """Closes all links."""


class Registration(Part):
    """The node's entry in the cluster's list of nodes. `make` takes the node's address."""

    name = "registration"

    def __init__(self, make: Callable[[str], Membership]) -> None:
        self._make = make
        self._membership: Membership | None = None

    @property
    def reaches_etcd(self) -> bool:
        """Whether etcd answered when it was last asked."""
        return self._membership is not None and self._membership.reaches_etcd

    @property
    def renewed(self) -> float | None:
        """When etcd was last asked, with success, to renew it. Monotonic seconds; None: never yet."""
        return None if self._membership is None else self._membership.renewed

    def begin(self, address: str) -> Coroutine[Any, Any, None]:
        """The loop that registers the node and keeps it registered."""
        self._membership = self._make(address)
        return self._membership.run()

    def leaving(self) -> None:
        """Tells the others that this node is about to stop."""
        if self._membership is not None:
            self._membership.update(NodeState.LEAVING)

    @override
    async def ready(self) -> None:
        assert self._membership is not None, "the node has not joined its cluster"
        self._membership.update(NodeState.SERVING)

    @override
    async def close(self) -> None:
        if self._membership is not None:
            await self._membership.leave()


class EnginePart(Part):
    """The engine, the commit pipeline, and the loops that keep both in order."""

    name = "engine"
    close_seconds = ENGINE_CLOSE_SECONDS

    def __init__(
        self,
        engine: Engine,
        committer: GroupCommitter,
        proof: EngineProof,
        loops: Sequence[Loop],
        release: Callable[[], Awaitable[None]],
        grace: float,
    ) -> None:
        self._engine, self._committer, self._proof, self._loops = engine, committer, proof, loops
        self._release = release
        """Waits for the calls under way on other threads, and ends these."""
        self.drain_seconds = grace + LATE_SECONDS

    @override
    async def start(self, background: Background) -> None:
        for loop in self._loops:
            background(loop())

    @override
    async def drain(self) -> None:
        await self._committer.settle()
        await self._proof.end()

    @override
    async def close(self) -> None:
        await self._release()
        self._engine.close()


@dataclass(frozen=True, slots=True)
class ClusterPorts:
    """The cluster that a node joins. `bind` ties the data directory to its uid; `first_map`: None: another node makes it."""

    map_store: MapStore
    view: ClusterView
    addresses: AddressBook
    links: Links
    bind: Callable[[str], None]
    first_map: FirstMap | None


class ReplicationPart(Part):
    """Joins the cluster, proves the engine, follows the map, and leads what the map gives to this node."""

    name = "replication"

    def __init__(
        self,
        cluster: ClusterPorts,
        replication: Replication,
        proof: EngineProof,
        registration: Registration,
        listener: NodeListener,
        load: Callable[[], None],
        clock: Clock,
        grace: float,
    ) -> None:
        self._cluster, self._replication, self._proof = cluster, replication, proof
        self._registration, self._listener = registration, listener
        self._load, self._clock = load, clock
        self.drain_seconds = grace / 2

    @override
    async def start(self, background: Background) -> None:
        cluster, replication = self._cluster, self._replication
        joined = await join_cluster(cluster.bind, cluster.map_store, self._clock)
        await self._proof.establish(joined.cluster_uid, self._load)
        background(self._proof.run())
        cluster.links.join(joined.secret)
        self._listener.admit(joined.secret)
        background(cluster.view.run())
        background(self._registration.begin(self._listener.address))
        if cluster.first_map is not None:
            background(make_map(cluster.map_store, cluster.view, cluster.first_map, self._clock))
        await cluster.view.ready()
        background(self._follow(cluster.view.maps()))
        await replication.informed.at_all()
        await replication.persisted()
        background(replication.run())
        await replication.settled(SETTLE_SECONDS)

    @override
    async def drain(self) -> None:
        self._registration.leaving()
        await self._replication.reconfigurations.leave()

    @override
    async def close(self) -> None:
        self._replication.end()
        await self._cluster.links.close()

    async def _follow(self, maps: AsyncIterator[ClusterMap]) -> None:
        """Adopts the newest map until cancelled. With many partitions that takes a while; it may take half of the time at most,
        and maps that were outdated meanwhile are skipped.
        """
        async for current in maps:
            began = self._clock.monotonic()
            self._cluster.addresses.learn(current)
            if current.partitions:
                self._replication.reactor.on_map(current)
            await self._clock.sleep(self._clock.monotonic() - began)


class ControllerPart(Part):
    """The loops that run while the node serves, such as the controller's. `resign` lets another node be the controller."""

    name = "controller"

    def __init__(self, loops: Sequence[Loop], resign: Callable[[], Awaitable[None]]) -> None:
        self._loops, self._resign = loops, resign
        self._running: list[asyncio.Task[None]] = []

    @override
    async def start(self, background: Background) -> None:
        self._running = [background(loop()) for loop in self._loops]

    @override
    async def drain(self) -> None:
        for task in self._running:
            task.cancel()
        await self._resign()
