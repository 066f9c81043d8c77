"""The Admin service of a node over real gRPC, with what stands behind it replaced."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from kit.admin_apis import Calls, ScriptedClusterAdmin, ScriptedNodeAdmin, ScriptedPartitionAdmin
from kit.map_entries import map_entry
from kit.servers import listening
from typing_extensions import override

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_keytypes import KeyRange
from dstk_service.errors import DstkError, InvalidArgument, NotOwner, PreconditionFailed
from dstk_service.status import from_rpc_error
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer
from dstk_storage.domain.errors import NotOwned
from dstk_storage.servicers.admin import AdminServicer
from dstk_storage.servicers.translate import Owners, Translator


class FakeOwners(Owners):
    """Knows one owner of all keys."""

    @override
    def owner(self, key: bytes, *, before: bool) -> tuple[topology_pb2.Partition | None, str]:
        return map_entry(5, start=key), "host:1"


class Served:
    """The service, what stands behind it, and a caller."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.stub: admin_pb2_grpc.AdminStub

    async def refusal(self, call: Any) -> DstkError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return from_rpc_error(caught.value)


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    here = Served()
    server = GrpcServer("127.0.0.1:0")
    partitions, node = ScriptedPartitionAdmin(here.calls), ScriptedNodeAdmin(here.calls)
    servicer = AdminServicer(partitions, node, ScriptedClusterAdmin(here.calls), Translator(FakeOwners()))
    async with listening(server, Admin=servicer) as address, GRPC.connect(address) as channel:
        here.stub = admin_pb2_grpc.AdminStub(channel)
        yield here


CHANGES: list[tuple[str, Any, tuple[Any, ...]]] = [
    ("SplitPartition", admin_pb2.SplitPartitionRequest(at=b"k"), ("split", b"k")),
    (
        "SplitPartition",
        admin_pb2.SplitPartitionRequest(partition_id=4, by_load=True),
        ("split_middle", 4, True),
    ),
    ("MergePartitions", admin_pb2.MergePartitionsRequest(at=b"k"), ("merge", b"k")),
    ("AddReplica", admin_pb2.AddReplicaRequest(partition_id=4, node="n"), ("add_replica", 4, "n")),
    ("RemoveReplica", admin_pb2.RemoveReplicaRequest(partition_id=4, node="n"), ("remove_replica", 4, "n")),
    ("TransferPrimary", admin_pb2.TransferPrimaryRequest(partition_id=4, node="n"), ("transfer", 4, "n")),
    ("TransferPrimary", admin_pb2.TransferPrimaryRequest(partition_id=4), ("transfer", 4, None)),
    ("RepairPartition", admin_pb2.RepairPartitionRequest(partition_id=4), ("repair", 4, False)),
    ("RepairPartition", admin_pb2.RepairPartitionRequest(partition_id=4, apply=True), ("repair", 4, True)),
    ("ForcePrimary", admin_pb2.ForcePrimaryRequest(partition_id=4, node="storage-1"), ("force_primary", 4)),
    ("ListLoads", admin_pb2.ListLoadsRequest(node="storage-1", session="s", version=7), ("loads", "s", 7)),
    ("CompactNode", admin_pb2.CompactNodeRequest(node="storage-1"), ("compact", KeyRange.everything(), b"")),
    (
        "CompactNode",
        admin_pb2.CompactNodeRequest(node="storage-1", start=b"a", end=b"b", resume=b"r"),
        ("compact", KeyRange(b"a", b"b"), b"r"),
    ),
]


async def test_every_change_reaches_the_node_as_it_was_asked_for() -> None:
    async with served() as here:
        for name, request, _ in CHANGES:
            assert (await getattr(here.stub, name)(request)).ByteSize()
        assert here.calls.asked == [asked for _, _, asked in CHANGES]


async def test_a_node_tells_of_itself_and_of_the_nodes_that_only_a_desired_state_names() -> None:
    async with served() as here:
        nodes = (await here.stub.ListNodes(admin_pb2.ListNodesRequest())).nodes
        assert [(status.node.id, status.alive) for status in nodes] == [("storage-0", False), ("storage-1", True)]
        (replica,) = (await here.stub.ListReplicas(admin_pb2.ListReplicasRequest())).replicas
        assert replica.primary
        (partition,) = (await here.stub.ListPartitions(admin_pb2.ListPartitionsRequest())).partitions
        assert partition.known


async def test_the_controller_is_reached_through_any_node() -> None:
    async with served() as here:
        stub = here.stub
        request = admin_pb2.SetDesiredStateRequest(
            node="a", desired_state=admin_pb2.DESIRED_STATE_DRAINED, replacement="b"
        )
        await stub.SetDesiredState(request)
        change = admin_pb2.SetControllerRequest(settings=admin_pb2.ControllerSettings(paused=True), fields=["paused"])
        assert (await stub.SetController(change)).settings.paused
        assert (await stub.GetController(admin_pb2.GetControllerRequest())).leader == "storage-2"
        assert (await stub.ListEvents(admin_pb2.ListEventsRequest(limit=7))).events[0].action == "split"
        assert here.calls.asked == [
            ("set_desired_state", "a", admin_pb2.DESIRED_STATE_DRAINED, "b"),
            ("configure", ["paused"]),
            ("events", 7),
        ]


async def test_a_refusal_of_the_domain_names_the_owner_and_one_of_the_api_passes_as_it_is() -> None:
    async with served() as here:
        here.calls.error = NotOwned(b"k")
        error = await here.refusal(here.stub.MergePartitions(admin_pb2.MergePartitionsRequest(at=b"k")))
        assert isinstance(error, NotOwner)
        assert error.partition is not None
        assert (error.partition.id, error.address) == (5, "host:1")
        here.calls.error = PreconditionFailed("the node is not alive")
        error = await here.refusal(here.stub.AddReplica(admin_pb2.AddReplicaRequest(partition_id=1, node="n")))
        assert isinstance(error, PreconditionFailed)
        assert error.why == "the node is not alive"


@pytest.mark.parametrize(
    ("name", "request_", "field"),
    [
        ("SplitPartition", admin_pb2.SplitPartitionRequest(), "partition_id"),
        ("MergePartitions", admin_pb2.MergePartitionsRequest(), "at"),
        ("AddReplica", admin_pb2.AddReplicaRequest(partition_id=1), "node"),
        ("RemoveReplica", admin_pb2.RemoveReplicaRequest(node="n"), "partition_id"),
        ("TransferPrimary", admin_pb2.TransferPrimaryRequest(), "partition_id"),
        ("RepairPartition", admin_pb2.RepairPartitionRequest(), "partition_id"),
        ("ForcePrimary", admin_pb2.ForcePrimaryRequest(partition_id=1), "node"),
        ("ForcePrimary", admin_pb2.ForcePrimaryRequest(partition_id=1, node="storage-2"), "node"),
        ("CompactNode", admin_pb2.CompactNodeRequest(), "node"),
        ("CompactNode", admin_pb2.CompactNodeRequest(node="storage-2"), "node"),
        ("ListLoads", admin_pb2.ListLoadsRequest(node="storage-2"), "node"),
        ("CompactNode", admin_pb2.CompactNodeRequest(node="storage-1", start=b"b", end=b"b"), "end"),
        ("CompactNode", admin_pb2.CompactNodeRequest(node="storage-1", start=b"k" * 1025), "start"),
        ("CompactNode", admin_pb2.CompactNodeRequest(node="storage-1", resume=b"k" * 1026), "resume"),
        ("SetDesiredState", admin_pb2.SetDesiredStateRequest(node="n"), "desired_state"),
        ("SetController", admin_pb2.SetControllerRequest(), "fields"),
        ("ListEvents", admin_pb2.ListEventsRequest(), "limit"),
    ],
)
async def test_what_is_out_of_bounds_is_refused_and_reaches_nobody(name: str, request_: Any, field: str) -> None:
    async with served() as here:
        error = await here.refusal(getattr(here.stub, name)(request_))
        assert isinstance(error, InvalidArgument)
        assert error.field == field
        assert here.calls.asked == []
