"""A storage node, put together once: for `serve`, for the simulation, and for tests in process."""

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dstk_cluster.engines import EngineRegistry
from dstk_cluster.events import EventLog
from dstk_cluster.mapstore import MapStore
from dstk_cluster.membership import Membership
from dstk_cluster.model import NodeInfo, NodeState
from dstk_cluster.port import Coordinator
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.observe import Observer, Observers
from dstk_service.service import Part
from dstk_storage import __version__
from dstk_storage.adapters.event_lines import EventLines
from dstk_storage.adapters.event_log import EventLogObserver
from dstk_storage.application.bootstrap import FirstMap
from dstk_storage.application.controller_setup import ControllerPorts, ControllerSetup
from dstk_storage.application.failure_counters import FailureCounters
from dstk_storage.application.in_sync import NodeInSyncSets
from dstk_storage.application.node_admin import NodeAdmin, NodeFacts
from dstk_storage.application.partition_admin import PartitionAdmin
from dstk_storage.application.repair import NodeRepairs
from dstk_storage.application.replicas import NodeReplicas
from dstk_storage.application.routing import AddressBook, MapOwners
from dstk_storage.application.statistics import NodeFigures, NodeStatistics
from dstk_storage.domain.admission import QueueLimits
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.compaction import Compactor
from dstk_storage.domain.controller import ports as controller
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.engine_reset import EngineReset
from dstk_storage.domain.expiry import ExpiryReaper
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.domain.measuring.measurer import RangeMeasurer
from dstk_storage.domain.measuring.write_buffer import WriteBuffer
from dstk_storage.domain.proof import EngineProof
from dstk_storage.domain.recount import Recounter
from dstk_storage.domain.replication.ports import Peers
from dstk_storage.domain.replication.runtime.comparer import Pace
from dstk_storage.domain.replication.runtime.replication import Ports, Replication
from dstk_storage.domain.replication.timing import Timing
from dstk_storage.domain.store import Store
from dstk_storage.domain.write_queue import WriteQueue
from dstk_storage.domain.writes import Writer
from dstk_storage.node_parts import (
    ClusterPorts,
    ControllerPart,
    EnginePart,
    Links,
    Loop,
    NodeListener,
    Registration,
    ReplicationPart,
)
from dstk_storage.ports import Disk, Engine, Offload

INCARNATION_BITS = 47

LEASE_MARGIN_SECONDS = 3.0
"""How much longer than its lease a process that was killed may stay registered: etcd checks leases at intervals."""


@dataclass(frozen=True, slots=True)
class Offloads:
    """Where blocking calls of the engine run. `exclusive` keeps all other calls away; `close` waits for those under way."""

    commit: Offload
    read: Offload
    compact: Offload
    exclusive: Callable[[], AbstractAsyncContextManager[None]]
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class NodePorts:
    """What a node needs from the world outside.

    `identity`: what the engine says of itself; `bind` ties the data directory to a cluster's uid; `kept` lists engines that
    were moved aside; `nodes` and `executor` are the controller's.
    """

    engine: Engine
    identity: EngineIdentity
    offloads: Offloads
    disk: Disk
    coordinator: Coordinator
    map_store: MapStore
    view: ClusterView
    addresses: AddressBook
    peers: Peers
    links: Links
    nodes: controller.ClusterReader
    executor: controller.Executor
    clock: Clock
    rng: random.Random
    bind: Callable[[str], None]
    kept: Callable[[], Sequence[Path]] = tuple
    observers: Sequence[Observer] = ()


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Plain values. `comparison`: None: the cluster's setting decides how often replicas are compared."""

    cluster: str
    zone: str = ""
    lease_seconds: int = 6
    queues: QueueLimits = field(default_factory=QueueLimits)
    disk_reserve_bytes: int = 0
    expiry_records: int = 500
    shutdown_seconds: float = 10.0
    timing: Timing = field(default_factory=Timing)
    first_map: FirstMap | None = None
    comparison: Pace | None = None


class StorageNode:
    """All parts of one node `me`. Its public attributes are what a listener serves; `parts` is its life."""

    def __init__(self, me: NodeId, ports: NodePorts, settings: NodeSettings) -> None:
        self.me, self._ports, self._settings = me, ports, settings
        clock, engine, offloads = ports.clock, ports.engine, ports.offloads
        events = EventLog(ports.coordinator, settings.cluster, me, clock)
        self._event_log = EventLogObserver(me, events)
        self._failures = FailureCounters()
        self.observer = Observers(EventLines(), self._event_log, self._failures, *ports.observers)
        setup = self.controller = ControllerSetup(me, settings.cluster, self._controller_ports(events))
        self.cluster_admin, self.operator_actions = setup.admin, setup.actions
        committer = GroupCommitter(engine, offloads.commit, clock.monotonic, self.observer)
        self.store = Store(engine, offloads.read, committer, clock.monotonic, self.observer)
        world = ports.peers, ports.map_store, clock
        incarnation = ports.rng.getrandbits(INCARNATION_BITS)
        self.replication = Replication(Ports(me, self.store, *world, settings.timing, incarnation, self.observer))
        self.queue = WriteQueue(committer, self.replication.proposals, settings.queues)
        self.writer = Writer(self.store, self.queue, clock.monotonic, self.observer)
        self.follower, self.receive = self.replication.peer_api, self.replication.snapshots.receive
        silent_since = self.replication.machines.watch.silent_since
        self.replicas = NodeReplicas(self.replication.replicas, silent_since)
        self.owners = MapOwners(ports.view, ports.addresses, self.replicas.newest)
        self.registration = Registration(self._membership)
        self._proof = self._make_proof(committer)
        self._comparer = self.replication.comparer(self._pace, ports.rng)
        reserve = settings.disk_reserve_bytes
        self.disk_guard = DiskGuard(ports.disk, committer, self._reopen, clock, reserve_bytes=reserve)
        self._compactor = Compactor(engine, offloads.compact, self.store, ports.disk, clock, self.observer)
        self.partition_admin, self.node_admin = self._partition_admin(), self._node_admin()
        self.statistics = NodeStatistics(
            self.replication.replicas, silent_since, self._failures, self._node_figures, clock
        )
        buffer = WriteBuffer(engine, committer, offloads.compact, clock)
        self.measurer = RangeMeasurer(self.store, buffer, clock, ports.rng)

    def parts(self, listener: NodeListener) -> list[Part]:
        """The parts in the order in which they start, the listener in its place."""
        committer, grace = self.store.committer, self._settings.shutdown_seconds
        ports, setup = self._ports, self.controller
        engine = EnginePart(ports.engine, committer, self._proof, self._upkeep(), ports.offloads.close, grace)
        cluster = ClusterPorts(
            ports.map_store, ports.view, ports.addresses, ports.links, ports.bind, self._settings.first_map
        )
        about = self.registration, listener, self.store.load, ports.clock, grace
        replication = ReplicationPart(cluster, self.replication, self._proof, *about)
        controller_part = ControllerPart([*setup.loops, self._comparer.run], setup.resign)
        return [self.registration, engine, listener, replication, controller_part]

    def _upkeep(self) -> list[Loop]:
        """The loops that run for as long as the node does."""
        ports, store = self._ports, self.store
        engine, reads, clock = ports.engine, ports.offloads.read, ports.clock
        in_sync, replace = NodeInSyncSets(self.replication), partial(self._proof.replace, keep=False)
        reset = EngineReset(engine, in_sync, replace, clock, self.observer)
        step = self._settings.expiry_records
        return [
            partial(store.committer.run, self.queue),
            partial(store.orphaned_ranges.run, clock),
            ExpiryReaper(engine, reads, store, self.writer, clock, step_size=step, observer=self.observer).run,
            Recounter(engine, reads, store, clock).run,
            reset.run,
            self.disk_guard.run,
            self._compactor.run,
            self._event_log.run,
        ]

    def _controller_ports(self, events: EventLog) -> ControllerPorts:
        ports = self._ports
        world = ports.nodes, ports.executor, ports.clock, ports.rng, ports.offloads.read
        return ControllerPorts(ports.coordinator, ports.view, *world, events, self.observer)

    def _make_proof(self, committer: GroupCommitter) -> EngineProof:
        ports, settings = self._ports, self._settings
        return EngineProof(
            self.me,
            ports.identity,
            ports.engine,
            committer,
            EngineRegistry(ports.coordinator, settings.cluster),
            ports.offloads.exclusive,
            ports.clock,
            observer=self.observer,
            lease=settings.lease_seconds + LEASE_MARGIN_SECONDS,
        )

    def _partition_admin(self) -> PartitionAdmin:
        ports, replication = self._ports, self.replication
        repairs = NodeRepairs(replication.comparing, replication.distrust, self._comparer)
        changes = replication.reconfigurations, ports.map_store, repairs
        return PartitionAdmin(
            self.me, ports.view, self.replicas, *changes, ports.engine, ports.offloads.read, ports.clock
        )

    def _node_admin(self) -> NodeAdmin:
        ports, cluster_admin = self._ports, self.cluster_admin
        facts = NodeFacts(
            desired_state=lambda: cluster_admin.desired_state_of(self.me),
            reaches_etcd=lambda: self.registration.reaches_etcd,
            engine=lambda: self._proof.identity,
            kept=ports.kept,
            comparison=lambda: self._comparer.running,
        )
        upkeep = ports.disk, self.disk_guard, self._compactor
        clock, failures = ports.clock, self._failures
        return NodeAdmin(
            self.me, ports.view, self.store, self.replicas, *upkeep, clock, clock.monotonic(), facts, failures
        )

    def _node_figures(self) -> NodeFigures:
        disk = self._ports.disk
        return NodeFigures(disk.free_bytes(), disk.capacity_bytes(), self.node_admin.is_read_only)

    def _membership(self, address: str) -> Membership:
        ports, settings = self._ports, self._settings
        capacity, incarnation = ports.disk.capacity_bytes(), f"{ports.rng.getrandbits(64):016x}"
        info = NodeInfo(self.me, address, settings.zone, NodeState.STARTING, capacity, __version__, incarnation)
        return Membership(ports.coordinator, settings.cluster, info, settings.lease_seconds, ports.clock, ports.rng)

    def _pace(self) -> Pace:
        return self._settings.comparison or self.controller.pace()

    async def _reopen(self) -> None:
        async with self._ports.offloads.exclusive():
            self._ports.engine.reopen()
            self.replication.reactor.engine_reopened()
