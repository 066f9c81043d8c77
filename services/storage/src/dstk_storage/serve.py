"""The composition root of the storage node: the only place that knows every part."""

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from dstk.v1 import admin_pb2_grpc, kv_pb2_grpc, replication_pb2_grpc, topology_pb2_grpc
from dstk_cluster.engines import EngineRegistry
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from dstk_cluster.membership import Membership
from dstk_cluster.model import NodeInfo, NodeState
from dstk_cluster.topology import TopologyServicer
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId
from dstk_service import tokens
from dstk_service.addresses import reachable
from dstk_service.clock import SystemClock
from dstk_service.observe import Observers
from dstk_service.server import GrpcServer
from dstk_storage import __version__
from dstk_storage.adapters.at_rest import AtRest, find
from dstk_storage.adapters.datadir import DataDir, FileSystemDisk
from dstk_storage.adapters.event_log import EventLogObserver
from dstk_storage.adapters.leveldb import LevelDBOptions, shorten_switch_interval
from dstk_storage.adapters.overseer import AdminClusterReader, AdminExecutor, AdminLinks
from dstk_storage.adapters.peers import GrpcPeers
from dstk_storage.adapters.threads import ThreadOffload
from dstk_storage.application.bootstrap import FirstMap, join_cluster, make_map
from dstk_storage.application.controller_setup import ControllerPorts, ControllerSetup
from dstk_storage.application.failure_counters import FailureCounters
from dstk_storage.application.in_sync import ReplicatorInSyncSets
from dstk_storage.application.node_admin import NodeAdmin, NodeFacts
from dstk_storage.application.partition_admin import PartitionAdmin
from dstk_storage.application.repair import ReplicatorRepairs
from dstk_storage.application.replicas import ReplicatorReplicas
from dstk_storage.application.routing import AddressBook, MapOwners
from dstk_storage.config import StorageConfig
from dstk_storage.domain.commit import Committer, QueueLimits
from dstk_storage.domain.compaction import Compactor
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.engine_reset import EngineReset
from dstk_storage.domain.expiry import ExpiryReaper
from dstk_storage.domain.proof import EngineProof
from dstk_storage.domain.recount import Recounter
from dstk_storage.domain.replication.comparer import Comparer
from dstk_storage.domain.replication.leases import Timing
from dstk_storage.domain.replication.rebuild import receive
from dstk_storage.domain.replication.replicator import Around, Replicator
from dstk_storage.domain.store import Store
from dstk_storage.servicers.keyvalue import KeyValueServicer
from dstk_storage.servicers.recorded import RecordedAdminServicer
from dstk_storage.servicers.replication import ReplicationServicer
from dstk_storage.servicers.translate import Translator

log = logging.getLogger(__name__)

LEASE_MARGIN_SECONDS = 3.0
"""How much longer than its lease a process that was killed may stay registered: etcd looks at leases now and then."""

SETTLE_SECONDS = 5.0
"""How long a node that starts waits for what it is to lead before it says that it serves: the rest may wait for others."""


async def serve(config: StorageConfig, stop: asyncio.Event) -> None:
    """Runs a storage node until `stop` is set, then ends in order: no more calls, what waits goes to disk, the engine is
    closed, the registration goes last. Raises DataDirError, OSError, NodeIdTaken.
    """
    shorten_switch_interval()
    async with AsyncExitStack() as stack:
        data_dir = stack.enter_context(DataDir(config.data_dir))
        options = LevelDBOptions(write_buffer=config.write_buffer_bytes, block_cache=config.block_cache_bytes)
        node_id = NodeId(config.node_id) if config.node_id else None
        at_rest = find(data_dir, options, config.cluster, node_id, SystemClock().now_ms())
        coordinator = EtcdCoordinator(config.etcd.split(","))
        stack.push_async_callback(coordinator.close)
        service = _Service(config, data_dir, at_rest, coordinator)
        await service.run(stop)


class _Service:
    """All parts of the node, put together; `run` is their life."""

    def __init__(self, config: StorageConfig, data_dir: DataDir, at_rest: AtRest, coordinator: EtcdCoordinator) -> None:
        self._config, self._data_dir, self._coordinator = config, data_dir, coordinator
        self._identity = identity = at_rest.identity
        self._clock, self._rng = SystemClock(), random.Random()  # noqa: S311 - jitter
        self._engine = at_rest.engine
        self._commits, self._reads = ThreadOffload(1, "commit"), ThreadOffload(2, "read")
        self._compactions = ThreadOffload(1, "compact")
        limits = QueueLimits(config.queue_writes, config.queue_bytes)
        self._committer = Committer(self._engine, self._commits, limits)
        self._store = Store(self._engine, self._reads, self._committer, self._clock.monotonic)
        self._map_store = MapStore(coordinator, config.cluster)
        self._view = ClusterView(self._map_store, self._clock, self._rng)
        self._disk = FileSystemDisk(data_dir.path)
        reserve = config.disk_reserve_bytes
        self._guard = DiskGuard(self._disk, self._committer, self._reopen, self._clock, reserve_bytes=reserve)
        self._compactor = Compactor(self._engine, self._compactions, self._store, self._disk, self._clock)
        self._token = tokens.read(config.admin_token_file) if config.admin_token_file else None
        self._addresses = AddressBook()
        self._peers = GrpcPeers(identity.node_id, self._addresses.of, self._token)
        self._registration: Membership | None = None
        self._links = AdminLinks(self._token)
        self._controller = ControllerSetup(identity.node_id, config.cluster, self._controller_ports())
        self._event_log = EventLogObserver(identity.node_id, self._controller.events)
        self._failure_counters = FailureCounters()
        self._observer = Observers(self._event_log, self._failure_counters)
        store, clock = self._store, self._clock
        around = Around(identity.node_id, store, self._peers, self._map_store, clock, Timing(), self._observer)
        self._home = Replicator(around)
        self._proof = EngineProof(
            identity.node_id,
            at_rest.own,
            self._engine,
            self._committer,
            EngineRegistry(coordinator, config.cluster),
            self._exclusive,
            clock,
            observer=self._observer,
            lease=config.lease_seconds + LEASE_MARGIN_SECONDS,
        )
        self._comparer = Comparer(self._home, self._controller.pace, self._rng)
        self._controlling: list[asyncio.Task[None]] = []
        self._server = self._make_server()

    async def run(self, stop: asyncio.Event) -> None:
        """From the bound port to the last byte."""
        address = await self._server.start()
        membership = self._registration = self._membership(address)
        try:
            async with asyncio.TaskGroup() as tasks:
                for loop in self._upkeep():
                    tasks.create_task(loop)
                starting = tasks.create_task(self._come_up(tasks, membership, address))
                await stop.wait()
                starting.cancel()
                membership.update(NodeState.LEAVING)
                for task in self._controlling:
                    task.cancel()
                await self._controller.resign()
                await self._links.close()
                await self._hand_over()
                await self._server.stop(self._config.shutdown_seconds)
                await self._settle()
                raise _Stopped
        except* _Stopped:
            log.info("stopped")
        finally:
            await self._close(membership)

    async def _come_up(self, tasks: asyncio.TaskGroup, membership: Membership, address: str) -> None:
        config, view = self._config, self._view
        joined = await join_cluster(self._bind, self._map_store, self._clock)
        await self._proof.establish(joined.cluster_uid, self._store.load)
        tasks.create_task(self._proof.run())
        self._peers.join(joined.secret)
        self._replication.begin(self._home.following, partial(receive, self._home), joined.secret)
        tasks.create_task(view.run())
        tasks.create_task(membership.run())
        if config.bootstrap_expect:
            first = FirstMap(config.bootstrap_expect, config.split_keys(), config.bootstrap_replicas)
            tasks.create_task(make_map(self._map_store, view, first, self._clock))
        await view.ready()
        tasks.create_task(self._follow())
        await self._home.informed_at_all()
        await self._committer.durable()
        tasks.create_task(self._home.run())
        await self._home.settled(SETTLE_SECONDS)
        membership.update(NodeState.SERVING)
        await self._server.set_serving(serving=True)
        self._controlling = [tasks.create_task(loop) for loop in (*self._controller.loops(), self._comparer.run())]
        log.info("serving", extra={"address": address, "replicas": len(self._home.replicas)})

    async def _follow(self) -> None:
        """Goes by the newest map until cancelled. With many partitions that takes a while, and when they change by the hundred
        it takes half of the time at most: maps between are left out.
        """
        async for current in self._view.maps():
            begun = self._clock.monotonic()
            self._addresses.learn(current)
            if current.partitions:
                self._home.on_map(current)
            await self._clock.sleep(self._clock.monotonic() - begun)

    async def _settle(self) -> None:
        """What was begun for other nodes may wait for etcd; what waits for the disk does not."""
        try:
            async with asyncio.timeout(self._config.shutdown_seconds):
                await self._replication.settle()
        except TimeoutError:
            log.warning("stopping although other nodes wait for an answer")
        await self._committer.settle()
        await self._proof.end()

    async def _hand_over(self) -> None:
        """Leaves without a gap: others take over what this node leads, and wait for it no more."""
        try:
            async with asyncio.timeout(self._config.shutdown_seconds / 2):
                await self._home.planned.leave()
        except TimeoutError:
            log.warning("not everything was handed over in time: the others will notice that this node is gone")

    def _upkeep(self) -> Sequence[Coroutine[None, None, None]]:
        """What goes on all the time."""
        engine, reads, store, clock = self._engine, self._reads, self._store, self._clock
        reaper = ExpiryReaper(engine, reads, store, clock, step_size=self._config.expiry_records)
        recounter = Recounter(engine, reads, store, clock)
        orphaned_ranges = store.orphaned_ranges.run(clock)
        engine_reset = EngineReset(
            engine, ReplicatorInSyncSets(self._home), partial(self._proof.replace, keep=False), clock
        )
        loops = self._committer, reaper, recounter, engine_reset, self._guard, self._compactor, self._event_log
        return orphaned_ranges, *(loop.run() for loop in loops)

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        async with self._reads.exclusive(), self._commits.exclusive(), self._compactions.exclusive():
            yield

    async def _reopen(self) -> None:
        async with self._exclusive():
            self._engine.reopen()

    async def _close(self, membership: Membership) -> None:
        await self._server.stop(0)  # where it is not done already: what fails to start ends before its event loop, too
        self._home.end()
        await self._peers.close()
        await self._reads.close()
        await self._commits.close()
        await self._compactions.close()
        self._engine.close()
        await membership.leave()

    def _make_server(self) -> GrpcServer:
        server = GrpcServer(self._config.listen, admin_token=self._token, observer=self._observer)
        translate = Translator(MapOwners(self._view, self._addresses, self._home.newest))
        keyvalue = KeyValueServicer(self._store, self._clock, translate, server.drain, server.answers, self._observer)
        self._replication = ReplicationServicer(self._identity.node_id, translate, server.drain)
        admins = self._partition_admin(), self._node_admin(), self._controller.admin
        admin = RecordedAdminServicer(*admins, translate, self._controller.actions)
        register = replication_pb2_grpc.add_ReplicationServicer_to_server
        server.add(register, self._replication, "dstk.v1.Replication")
        server.add(kv_pb2_grpc.add_KeyValueServicer_to_server, keyvalue, "dstk.v1.KeyValue")
        server.add(topology_pb2_grpc.add_TopologyServicer_to_server, TopologyServicer(self._view), "dstk.v1.Topology")
        server.add(admin_pb2_grpc.add_AdminServicer_to_server, admin, "dstk.v1.Admin")
        return server

    def _controller_ports(self) -> ControllerPorts:
        view, links = self._view, self._links
        nodes, executor = AdminClusterReader(view, links), AdminExecutor(view, links)
        return ControllerPorts(self._coordinator, view, nodes, executor, self._clock, self._rng, self._reads)

    def _partition_admin(self) -> PartitionAdmin:
        replicas, repairs = ReplicatorReplicas(self._home), ReplicatorRepairs(self._home, self._comparer)
        changes = self._home.planned, self._map_store, repairs
        return PartitionAdmin(
            self._identity.node_id, self._view, replicas, *changes, self._engine, self._reads, self._clock
        )

    def _node_admin(self) -> NodeAdmin:
        me, admin = self._identity.node_id, self._controller.admin
        facts = NodeFacts(
            desired_state=lambda: admin.desired_state_of(me),
            reaches_etcd=self._reaches_etcd,
            engine=lambda: self._proof.identity,
            kept=self._data_dir.engine_files.kept,
            comparison=lambda: self._comparer.running,
        )
        upkeep, clock = (self._disk, self._guard, self._compactor), self._clock
        replicas = ReplicatorReplicas(self._home)
        told = facts, self._failure_counters
        return NodeAdmin(me, self._view, self._store, replicas, *upkeep, clock, clock.monotonic(), *told)

    def _bind(self, cluster_uid: str) -> None:
        self._data_dir.join(self._identity, cluster_uid)

    def _reaches_etcd(self) -> bool:
        return self._registration is not None and self._registration.reaches_etcd

    def _membership(self, address: str) -> Membership:
        config = self._config
        info = NodeInfo(
            self._identity.node_id,
            config.advertise or reachable(address, config.etcd.split(",")),
            config.zone,
            NodeState.STARTING,
            self._disk.capacity_bytes(),
            __version__,
            secrets.token_hex(8),
        )
        return Membership(self._coordinator, config.cluster, info, config.lease_seconds, self._clock, self._rng)


class _Stopped(Exception):
    """Ends the task group from inside once everything is drained."""
