"""The Admin client: typed answers, typed failures, nothing sent that is out of bounds, and links that outlive no address."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kit.administered import METHODS, ScriptedNode
from kit.spoiled import holds_once

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_client.admin import AdminClient, AdminLinks
from dstk_keytypes import KeyRange
from dstk_service.errors import DeadlineExceeded, InvalidArgument, NotServing, PreconditionFailed, WriteAmbiguous
from dstk_service.testing import eventually
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_transport import GrpcTransport

CREDENTIALS = OperatorCredentials("token")


@asynccontextmanager
async def served(seconds: float = 60.0, patience: float = 0.0) -> AsyncIterator[tuple[AdminClient, ScriptedNode]]:
    server, node = GrpcTransport().listen("127.0.0.1:0", operator=CREDENTIALS), ScriptedNode("a")
    server.add(admin_pb2_grpc.add_AdminServicer_to_server, node, "dstk.v1.Admin")
    node.address, node.stop = await server.start(), server.stop
    try:
        async with GRPC.connect(node.address, credentials=CREDENTIALS) as channel:
            yield AdminClient(channel, "node 'a'", seconds, patience_seconds=patience), node
    finally:
        await server.stop(0)


async def test_every_call_of_admin_has_a_method_that_shows_the_token() -> None:
    async with served() as (admin, node):
        node.answers["ListNodes"] = admin_pb2.ListNodesResponse(nodes=[admin_pb2.NodeStatus(alive=True)])
        node.answers["MergePartitions"] = admin_pb2.MergePartitionsResponse(merged=topology_pb2.Partition(id=7))
        assert [status.alive for status in await admin.nodes()] == [True]
        assert (await admin.merge(b"k")).id == 7
        await admin.partitions()
        await admin.replicas()
        await admin.loads("b")
        await admin.split(at=b"k")
        await admin.add_replica(1, "b")
        await admin.remove_replica(1, "b")
        await admin.transfer(1, "")
        await admin.repair(1, apply=True)
        await admin.force_primary(1, "b")
        await admin.compact("b", KeyRange(), b"")
        await admin.set_desired_state("b", admin_pb2.DESIRED_STATE_DRAINED)
        await admin.controller()
        await admin.configure(paused=True)
        await admin.events(10)
        assert {method for method, _ in node.asked} == set(METHODS)
        assert node.metadata["authorization"] == "Bearer token"


async def test_what_is_out_of_bounds_is_not_sent() -> None:
    async with served() as (admin, node):
        for call in (admin.split(), admin.transfer(0, "b"), admin.add_replica(1, ""), admin.events(0)):
            with pytest.raises(InvalidArgument):
                await call
        assert not node.asked


async def test_a_refusal_is_the_error_that_the_server_raised() -> None:
    async with served() as (admin, node):
        node.answers["MergePartitions"] = PreconditionFailed("the primaries differ")
        with pytest.raises(PreconditionFailed, match="the primaries differ"):
            await admin.merge(b"k")


async def test_a_patient_client_waits_out_a_takeover() -> None:
    async with served(patience=60.0) as (admin, node):
        node.answers["MergePartitions"] = NotServing("a takeover", 0.01)
        merging = asyncio.create_task(admin.merge(b"k"))
        await eventually(lambda: len(node.asked) > 1)
        node.answers["MergePartitions"] = admin_pb2.MergePartitionsResponse(merged=topology_pb2.Partition(id=7))
        assert (await merging).id == 7


@pytest.mark.parametrize(("patience", "asked"), [(0.0, {1}), (0.15, {2, 3})])
async def test_patience_has_an_end(patience: float, asked: set[int]) -> None:
    async def ends(patience: float) -> None:
        async with served(patience=patience) as (admin, node):
            node.answers["MergePartitions"] = NotServing("a takeover", 0.01)
            with pytest.raises(NotServing, match="a takeover"):
                await admin.merge(b"k")
            assert len(node.asked) in asked

    await holds_once(ends, [patience] * 10)


async def test_a_server_that_is_gone_has_done_nothing() -> None:
    async with served() as (admin, node):
        await node.stop(0)
        with pytest.raises(NotServing, match="node 'a' cannot be reached"):
            await admin.merge(b"k")


@pytest.mark.parametrize(("call", "error"), [("merge", WriteAmbiguous), ("nodes", NotServing)])
async def test_a_broken_connection_leaves_open_only_what_changes_something(call: str, error: type[Exception]) -> None:
    async with served() as (admin, node):
        node.answers |= {"MergePartitions": "hang", "ListNodes": "hang"}
        under_way = asyncio.create_task(admin.merge(b"k") if call == "merge" else admin.nodes())
        await eventually(lambda: node.asked)
        await node.stop(0)
        with pytest.raises(error, match="node 'a' broke"):
            await under_way


async def test_a_change_without_an_answer_may_still_be_made() -> None:
    async with served(seconds=0.2) as (admin, node):
        node.answers["MergePartitions"] = "hang"
        with pytest.raises(DeadlineExceeded, match="may still be made"):
            await admin.merge(b"k")


async def test_links_to_addresses_that_are_gone_are_closed_once_they_rest() -> None:
    async with served() as (_, node):
        links = AdminLinks(GRPC, CREDENTIALS, 60.0, (("from", "x"),))
        link = links.to("a", node.address)
        assert links.to("a", node.address) is link
        node.answers["ListNodes"] = "hang"
        under_way = asyncio.create_task(link.nodes())
        await eventually(lambda: node.asked)
        assert node.metadata["from"] == "x"
        await links.keep([])
        assert links.to("a", node.address) is link
        under_way.cancel()
        await asyncio.wait([under_way])
        await links.keep([node.address])
        assert links.to("a", node.address) is link
        await links.keep([])
        fresh: Any = links.to("a", node.address)
        assert fresh is not link
        await links.close()
