"""The composition root of the storage node process: settings and adapters, given to a StorageNode."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from dstk.v1 import admin_pb2_grpc, kv_pb2_grpc, replication_pb2_grpc, statistics_pb2_grpc, topology_pb2_grpc
from dstk_client.admin import AdminLinks
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from dstk_cluster.topology import TopologyServicer
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId
from dstk_service import logs, tokens
from dstk_service.addresses import reachable
from dstk_service.clock import SystemClock
from dstk_service.readiness import ReadinessHealth
from dstk_service.service import Background, Closing, Listener, Service
from dstk_service.trace import Sampler
from dstk_service.transport.credentials import NodeCredentials, OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_transport import GrpcTransport
from dstk_service.transport.port import Server
from dstk_storage.adapters.at_rest import AtRest, find
from dstk_storage.adapters.datadir import DataDir, FileSystemDisk
from dstk_storage.adapters.leveldb import LevelDBOptions, shorten_switch_interval
from dstk_storage.adapters.loads_reader import AdminClusterReader
from dstk_storage.adapters.peers import GrpcPeers
from dstk_storage.adapters.step_executor import AdminExecutor, controller_links
from dstk_storage.adapters.threads import ThreadOffload
from dstk_storage.application.bootstrap import FirstMap
from dstk_storage.application.readiness import NodeReadiness
from dstk_storage.application.routing import AddressBook
from dstk_storage.config import StorageConfig
from dstk_storage.domain.admission import QueueLimits
from dstk_storage.node import NodePorts, NodeSettings, Offloads, StorageNode
from dstk_storage.node_parts import NodeListener
from dstk_storage.servicers.keyvalue import KeyValueServicer
from dstk_storage.servicers.recorded import RecordedAdminServicer
from dstk_storage.servicers.replication import ReplicationServicer
from dstk_storage.servicers.statistics import StatisticsServicer
from dstk_storage.servicers.translate import Translator
from dstk_storage.telemetry import NodeTelemetry
from dstk_telemetry.sentry import ErrorReports


async def serve(config: StorageConfig, stop: asyncio.Event, reports: ErrorReports) -> None:
    """Runs a storage node until `stop` is set, then stops it in order; the lock of its data directory goes last. Raises
    DataDirError, OSError, NodeIdTaken, EngineError.
    """
    shorten_switch_interval()
    with DataDir(config.data_dir) as data_dir:
        options = LevelDBOptions(write_buffer=config.write_buffer_bytes, block_cache=config.block_cache_bytes)
        node_id = NodeId(config.node_id) if config.node_id else None
        token = tokens.read(config.admin_token_file) if config.admin_token_file else None
        at_rest = find(data_dir, options, config.cluster, node_id, SystemClock().now_ms())
        me = at_rest.identity.node_id
        logs.identify(node=me, cluster=config.cluster)
        telemetry = NodeTelemetry(config, me, SystemClock(), reports)
        operator, mine = OperatorCredentials(token), NodeCredentials(token)
        coordinator = EtcdCoordinator(config.etcd.split(","), observer=telemetry.of_etcd)
        links = controller_links(GRPC, operator)
        ports = _ports(config, data_dir, at_rest, coordinator, links, mine, telemetry)
        node = StorageNode(me, ports, _settings(config))
        server = GrpcTransport().listen(
            config.listen, operator=operator, node=mine, observer=node.observer, sampler=telemetry.sampler
        )
        services = NodeServices(config, node, ports, server, telemetry.sampler)
        readiness = _readiness(node, ports, services)
        parts = [
            *telemetry.parts(node, ports, at_rest.engine, readiness),
            Closing("etcd", coordinator.close),
            Closing("admin links", links.close),
            *node.parts(services),
            ReadinessHealth(server, "dstk.v1.KeyValue", readiness, ports.clock),
        ]
        await Service(parts).run(stop)


def _readiness(node: StorageNode, ports: NodePorts, services: "NodeServices") -> NodeReadiness:
    machines, intake = node.replication.machines, node.store.committer.intake
    return NodeReadiness(lambda: services.obstacle, ports.view, intake, machines.in_sync, ports.engine)


def _ports(
    config: StorageConfig,
    data_dir: DataDir,
    at_rest: AtRest,
    coordinator: EtcdCoordinator,
    links: AdminLinks,
    credentials: NodeCredentials,
    telemetry: NodeTelemetry,
) -> NodePorts:
    clock, rng = SystemClock(), random.Random()  # noqa: S311 - jitter
    map_store, addresses = MapStore(coordinator, config.cluster), AddressBook()
    view = ClusterView(map_store, clock, rng)
    peers = GrpcPeers(at_rest.identity.node_id, addresses.of, credentials, observer=telemetry.of_peers)

    def bind(cluster_uid: str) -> None:
        data_dir.join(at_rest.identity, cluster_uid)

    return NodePorts(
        engine=at_rest.engine,
        identity=at_rest.own,
        offloads=_threads(),
        disk=FileSystemDisk(data_dir.path),
        coordinator=coordinator,
        map_store=map_store,
        view=view,
        addresses=addresses,
        peers=peers,
        links=peers,
        nodes=AdminClusterReader(view, links),
        executor=AdminExecutor(view, links),
        clock=clock,
        rng=rng,
        bind=bind,
        kept=data_dir.engine_files.kept,
        observers=telemetry.of_node,
    )


def _threads() -> Offloads:
    commit, read, compact = ThreadOffload(1, "commit"), ThreadOffload(2, "read"), ThreadOffload(1, "compact")

    @asynccontextmanager
    async def exclusive() -> AsyncIterator[None]:
        async with read.exclusive(), commit.exclusive(), compact.exclusive():
            yield

    async def close() -> None:
        for threads in (read, commit, compact):
            await threads.close()

    return Offloads(commit, read, compact, exclusive, close)


def _settings(config: StorageConfig) -> NodeSettings:
    first_map = FirstMap(config.bootstrap_expect, config.split_keys(), config.bootstrap_replicas)
    return NodeSettings(
        cluster=config.cluster,
        zone=config.zone,
        lease_seconds=config.lease_seconds,
        queues=QueueLimits(config.queue_writes, config.queue_bytes),
        disk_reserve_bytes=config.disk_reserve_bytes,
        expiry_records=config.expiry_records,
        shutdown_seconds=config.shutdown_seconds,
        first_map=first_map if config.bootstrap_expect else None,
    )


class NodeServices(Listener, NodeListener):
    """The node's services. Calls of other nodes are refused until they are admitted."""

    def __init__(
        self, config: StorageConfig, node: StorageNode, ports: NodePorts, server: Server, sampler: Sampler
    ) -> None:
        super().__init__(server, config.shutdown_seconds)
        self.drain_seconds += config.shutdown_seconds  # calls of other nodes may wait for etcd
        translate = Translator(node.owners)
        self._config, self._follower, self._receive = config, node.follower, node.receive
        self._replication = ReplicationServicer(node.me, translate, server.drain, node.observer)
        keyvalue = KeyValueServicer(
            node.store, node.writer, ports.clock, translate, server.drain, server.answers, node.observer, sampler
        )
        admin = RecordedAdminServicer(
            node.partition_admin, node.node_admin, node.cluster_admin, translate, node.operator_actions
        )
        register = replication_pb2_grpc.add_ReplicationServicer_to_server
        server.add(register, self._replication, "dstk.v1.Replication")
        server.add(kv_pb2_grpc.add_KeyValueServicer_to_server, keyvalue, "dstk.v1.KeyValue")
        server.add(topology_pb2_grpc.add_TopologyServicer_to_server, TopologyServicer(ports.view), "dstk.v1.Topology")
        server.add(admin_pb2_grpc.add_AdminServicer_to_server, admin, "dstk.v1.Admin")
        statistics = StatisticsServicer(node.statistics, node.measurer, translate)
        server.add(statistics_pb2_grpc.add_StatisticsServicer_to_server, statistics, "dstk.v1.Statistics")

    @override
    async def start(self, background: Background) -> None:
        await super().start(background)
        self.address = self._config.advertise or reachable(self.address, self._config.etcd.split(","))

    @override
    def admit(self, secret: str) -> None:
        self._replication.begin(self._follower, self._receive)

    @override
    async def drain(self) -> None:
        await super().drain()
        await self._replication.settle()
