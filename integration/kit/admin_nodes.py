"""Nodes behind real gRPC that hold one map in memory, with the controller of one of them."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from dstk.v1 import admin_pb2_grpc
from dstk_cluster.election import Election
from dstk_cluster.events import EventLog
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.model import ClusterMap
from dstk_cluster.overrides import OverrideStore
from dstk_cluster.settings import SettingsStore
from dstk_cluster.view import CurrentMap
from dstk_keytypes import NodeId
from dstk_service.testing import ManualClock
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer
from dstk_storage.adapters.loads_reader import AdminClusterReader
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.adapters.step_executor import AdminExecutor, controller_links
from dstk_storage.application.cluster_admin import ClusterAdmin
from dstk_storage.application.overrides import OperatorActions
from dstk_storage.domain.controller.controller import Controller, Parts
from dstk_storage.domain.controller.model import Load
from dstk_storage.domain.controller.situation_reader import Sources
from dstk_storage.servicers.recorded import RecordedAdminServicer
from dstk_storage.servicers.translate import Translator
from kit.admin_apis import MemoryNodeAdmin, MemoryPartitionAdmin
from kit.map_entries import node_info, partition_info
from kit.offloads import inline
from kit.owners import NoOwners

N1 = NodeId("n1")
TOKEN = "secret"  # noqa: S105


@dataclass
class FixedMap:
    """A CurrentMap that stays as it is."""

    current: ClusterMap


class FollowedMap(CurrentMap):
    """The map as every node knows it at once."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster

    @property
    @override
    def current(self) -> ClusterMap:
        return self._cluster.map


class AdminNodes:
    """Nodes with Admin services on one map, and the controller of one of them."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self.cluster, self.clock, self.view = cluster, ManualClock(), FollowedMap(cluster)
        self.etcd = MemoryCoordinator(self.clock)
        self.settings, self.overrides = SettingsStore(self.etcd, "c"), OverrideStore(self.etcd, "c")
        self.log = EventLog(self.etcd, "c", N1, self.clock)
        self.links = controller_links(GRPC, OperatorCredentials(TOKEN))
        self.executor = AdminExecutor(self.view, self.links)
        self.reader = AdminClusterReader(self.view, self.links)
        self.election = Election(self.etcd, "c", N1, self.clock, random.Random(1))
        sources = Sources(self.reader, self.settings, self.overrides, self.log, self.clock)
        self.controller = Controller(Parts(N1, self.election, sources, self.executor, inline))
        self.admin = ClusterAdmin(self.controller, self.settings, self.log, self.view)
        self.servers: list[GrpcServer] = []

    async def serve(self, me: NodeId) -> None:
        server = GrpcServer("127.0.0.1:0", operator=OperatorCredentials(TOKEN))
        actions = OperatorActions(self.log, self.overrides, self.view)
        partitions, node = MemoryPartitionAdmin(self.cluster, me), MemoryNodeAdmin(self.cluster, me)
        servicer = RecordedAdminServicer(partitions, node, self.admin, Translator(NoOwners()), actions)
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
