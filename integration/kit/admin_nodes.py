"""Nodes behind real gRPC that hold one map in memory, with the controller of one of them."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_cluster.election import Election
from dstk_cluster.events import EventLog
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.model import ClusterMap
from dstk_cluster.overrides import OverrideStore
from dstk_cluster.settings import SettingsStore
from dstk_cluster.wire import partition_to_proto
from dstk_keytypes import Key, KeyRange, NodeId, PartitionId
from dstk_service.errors import PreconditionFailed
from dstk_service.testing import ManualClock
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.adapters.overseer import AdminClusterReader, AdminExecutor, controller_links
from dstk_storage.application.cluster_admin import ClusterAdmin
from dstk_storage.application.overrides import OperatorActions
from dstk_storage.domain.controller.controller import Controller, Parts
from dstk_storage.domain.controller.model import Action, Load, Step
from dstk_storage.domain.controller.situation_reader import Sources
from dstk_storage.servicers.recorded import RecordedAdminServicer
from dstk_storage.servicers.translate import Translator
from kit.map_entries import node_info, partition_info
from kit.owners import NoOwners
from kit.stores import inline

N1 = NodeId("n1")
TOKEN = "secret"  # noqa: S105


class FakeView:
    """The map as every node knows it."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster

    @property
    def current(self) -> ClusterMap:
        return self._cluster.map


class FakeAdmin:
    """Admin calls, carried out on the fake cluster."""

    def __init__(self, cluster: MemoryCluster, me: NodeId) -> None:
        self.cluster, self.me = cluster, me

    def _do(self, action: Action, number: int, **about: Any) -> topology_pb2.Partition:
        if self.cluster.partitions[PartitionId(number)].primary != self.me:
            raise PreconditionFailed(f"{self.me} is not the primary")
        self.cluster.apply(Step(action, PartitionId(number), "", **about))
        return partition_to_proto(self.cluster.partitions[PartitionId(number)])

    async def split(self, at: Key) -> Any:
        raise AssertionError(f"the controller names partitions, not keys such as {at}")

    async def split_middle(self, partition_id: int, *, by_load: bool) -> Any:
        lower = self._do(Action.SPLIT, partition_id, by_load=by_load)
        return lower, partition_to_proto(self.cluster.partitions[PartitionId(max(self.cluster.partitions))])

    async def merge(self, at: Key) -> topology_pb2.Partition:
        upper = self.cluster.map.partition_of(at)
        lower = self.cluster.map.partition_below(at)
        return self._do(Action.MERGE, lower.id, at=bytes(at), upper=upper.id)

    async def add_replica(self, partition_id: int, name: str) -> topology_pb2.Partition:
        return self._do(Action.ADD_REPLICA, partition_id, node=NodeId(name))

    async def remove_replica(self, partition_id: int, name: str) -> topology_pb2.Partition:
        return self._do(Action.REMOVE_REPLICA, partition_id, node=NodeId(name))

    async def transfer(self, partition_id: int, name: str | None) -> topology_pb2.Partition:
        return self._do(Action.TRANSFER_PRIMARY, partition_id, node=NodeId(name or ""))

    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        differing = admin_pb2.ReplicaComparison(node="n2", rebuild_started=apply)
        return admin_pb2.RepairPartitionResponse(compared_records=partition_id, replicas=[differing])

    async def compact(self, wanted: KeyRange, resume: bytes) -> admin_pb2.CompactNodeResponse:
        return admin_pb2.CompactNodeResponse(done=True)

    async def force_primary(self, partition_id: int) -> topology_pb2.Partition:
        return partition_to_proto(self.cluster.partitions[PartitionId(partition_id)])

    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        return []

    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        return [
            admin_pb2.PartitionStatus(
                partition=partition_to_proto(info),
                known=True,
                estimated_bytes=self.cluster.loads[info.id].bytes,
                estimated_records=self.cluster.loads[info.id].records,
                reads=3,
                writes=4,
                scanned=1000,
                followers=[admin_pb2.FollowerStatus(node="n2", sequence=9, silent_s=0.5, needs_snapshot=True)],
            )
            for info in self.cluster.partitions.values()
            if info.primary == self.me
        ]

    def status(self) -> admin_pb2.NodeStatus:
        return admin_pb2.NodeStatus(node=topology_pb2.Node(id=self.me), read_only=self.me in self.cluster.read_only)


class AdminNodes:
    """Nodes with Admin services on one map, and the controller of one of them."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self.cluster, self.clock, self.view = cluster, ManualClock(), FakeView(cluster)
        self.etcd = MemoryCoordinator(self.clock)
        self.settings, self.overrides = SettingsStore(self.etcd, "c"), OverrideStore(self.etcd, "c")
        self.log = EventLog(self.etcd, "c", N1, self.clock)
        self.links = controller_links(GRPC, OperatorCredentials(TOKEN))
        self.executor = AdminExecutor(self.view, self.links)  # type: ignore[arg-type]
        self.reader = AdminClusterReader(self.view, self.links)  # type: ignore[arg-type]
        self.election = Election(self.etcd, "c", N1, self.clock, random.Random(1))
        sources = Sources(self.reader, self.settings, self.overrides, self.log, self.clock)
        self.controller = Controller(Parts(N1, self.election, sources, self.executor, inline))
        self.admin = ClusterAdmin(self.controller, self.settings, self.log, self.view)  # type: ignore[arg-type]
        self.servers: list[GrpcServer] = []

    async def serve(self, me: NodeId) -> None:
        server = GrpcServer("127.0.0.1:0", operator=OperatorCredentials(TOKEN))
        actions = OperatorActions(self.log, self.overrides, self.view)  # type: ignore[arg-type]
        admin = FakeAdmin(self.cluster, me)
        servicer = RecordedAdminServicer(admin, admin, self.admin, Translator(NoOwners()), actions)
        server.add(admin_pb2_grpc.add_AdminServicer_to_server, servicer, "dstk.v1.Admin")
        self.cluster.nodes[me] = replace(self.cluster.nodes[me], address=await server.start())
        self.servers.append(server)


@asynccontextmanager
async def admin_nodes(cluster: MemoryCluster) -> AsyncIterator[AdminNodes]:
    made = AdminNodes(cluster)
    for name in list(cluster.nodes):
        await made.serve(name)
    try:
        yield made
    finally:
        await made.links.close()
        for server in made.servers:
            await server.stop(0)


@asynccontextmanager
async def operator(here: AdminNodes, name: NodeId = N1) -> AsyncIterator[Any]:
    """Calls of somebody who has the token, by name of the RPC."""
    credentials = OperatorCredentials(TOKEN)
    async with GRPC.connect(here.cluster.nodes[name].address, credentials=credentials) as channel:
        stub = admin_pb2_grpc.AdminStub(channel)

        async def call(rpc: str, request: Any) -> Any:
            return await getattr(stub, rpc)(request)

        yield call


def two_partitions() -> MemoryCluster:
    infos = [
        partition_info(1, ["n1", "n2", "n3"], end=b"m"),
        partition_info(2, ["n2", "n1", "n3"], start=b"m"),
    ]
    return MemoryCluster.of(
        [node_info("n1"), node_info("n2"), node_info("n3")], infos, {1: Load(10, 2), 2: Load(20, 3)}
    )
