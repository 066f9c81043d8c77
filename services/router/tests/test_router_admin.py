"""The Admin service of the router, before storage nodes that answer as they are told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_client.nodes import ThickLocator
from dstk_client.topology import Topology
from dstk_router import asking
from dstk_router.admin import AdminServicer
from dstk_service.channels import open_channel
from dstk_service.errors import DeadlineExceeded, InvalidArgument, NotOwner, NotServing, Unfit, WriteAmbiguous
from dstk_service.server import GrpcServer
from dstk_service.status import from_rpc_error
from dstk_service.testing import eventually

SERVING, STARTING = topology_pb2.NODE_STATE_SERVING, topology_pb2.NODE_STATE_STARTING


class ScriptedNode(admin_pb2_grpc.AdminServicer):
    """A storage node. `answers`: by method; an exception is raised, "hang" never ends. `asked`: what arrived."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = ""
        self.stop: Callable[[float], Awaitable[None]]
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.metadata: dict[str, Any] = {}

    async def _answer(self, method: str, request: Any, context: Any) -> Any:
        self.asked.append((method, request))
        self.metadata = dict(context.invocation_metadata())
        answer = self.answers.get(method, getattr(admin_pb2, f"{method}Response")())
        if answer == "hang":
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _method(name: str) -> Any:
    async def call(self: ScriptedNode, request: Any, context: Any) -> Any:
        return await self._answer(name, request, context)

    return call


METHODS = [method.name for method in admin_pb2.DESCRIPTOR.services_by_name["Admin"].methods]
for each in METHODS:
    setattr(ScriptedNode, each, _method(each))


class Cluster:
    """Nodes, the router's map, and a caller of the router."""

    def __init__(self, nodes: dict[str, ScriptedNode], topology: Topology, stub: admin_pb2_grpc.AdminStub) -> None:
        self.nodes = nodes
        self.topology = topology
        self.stub = stub

    def shows(self, *partitions: topology_pb2.Partition, alive: str = "abc", **states: Any) -> None:
        """The map, as the router's watch brings it."""
        nodes = [
            topology_pb2.Node(id=name, address=self.nodes[name].address, state=states.get(name, SERVING))
            for name in alive
        ]
        self.topology.apply(topology_pb2.TopologyUpdate(full=True, partitions=partitions, nodes=nodes))

    def asked(self, method: str) -> list[str]:
        """The nodes that the call came to."""
        return [name for name, node in self.nodes.items() if method in [asked for asked, _ in node.asked]]

    async def fails(self, call: Any) -> Exception:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return from_rpc_error(caught.value)


def partition(number: int, replicas: str, start: bytes = b"", end: bytes = b"", epoch: int = 1) -> Any:
    return topology_pb2.Partition(
        id=number,
        start=start,
        end=end,
        epoch=epoch,
        primary=replicas[0],
        replicas=list(replicas.lower()),
        in_sync=[name for name in replicas if name.islower()],
    )


async def _serve(stack: AsyncExitStack, servicer: Any) -> tuple[str, Callable[[float], Awaitable[None]]]:
    server = GrpcServer("127.0.0.1:0", admin_token="secret" if isinstance(servicer, ScriptedNode) else None)
    server.add(admin_pb2_grpc.add_AdminServicer_to_server, servicer, "dstk.v1.Admin")
    address = await server.start()
    stack.push_async_callback(server.stop, 0)
    return address, server.stop


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    """Nodes a, b and c with a partition below "m" on all and one above on b and c."""
    async with AsyncExitStack() as stack:
        nodes = {name: ScriptedNode(name) for name in "abc"}
        for node in nodes.values():
            node.address, node.stop = await _serve(stack, node)
        locator = ThickLocator(Topology())
        stack.push_async_callback(locator.close)
        router, _ = await _serve(stack, AdminServicer(locator, "secret"))
        channel = await stack.enter_async_context(open_channel(router))
        made = Cluster(nodes, locator.topology, admin_pb2_grpc.AdminStub(channel))
        made.shows(partition(1, "abc", end=b"m"), partition(2, "bcA", start=b"m"))
        yield made


TO_THE_PRIMARY = [
    ("SplitPartition", admin_pb2.SplitPartitionRequest(at=b"z")),
    ("SplitPartition", admin_pb2.SplitPartitionRequest(partition_id=2, by_load=True)),
    ("MergePartitions", admin_pb2.MergePartitionsRequest(at=b"m")),
    ("AddReplica", admin_pb2.AddReplicaRequest(partition_id=2, node="a")),
    ("RemoveReplica", admin_pb2.RemoveReplicaRequest(partition_id=2, node="a")),
    ("SwitchPrimary", admin_pb2.SwitchPrimaryRequest(partition_id=2, node="c")),
    ("RepairPartition", admin_pb2.RepairPartitionRequest(partition_id=2, apply=True)),
]


@pytest.mark.parametrize(("method", "request_"), TO_THE_PRIMARY, ids=lambda value: str(value)[:20])
async def test_a_change_goes_to_the_primary_with_the_token(method: str, request_: Any) -> None:
    async with cluster() as made:
        await getattr(made.stub, method)(request_)
        assert made.asked(method) == ["b"]
        assert made.nodes["b"].asked == [(method, request_)]
        assert made.nodes["b"].metadata["authorization"] == "Bearer secret"


async def test_a_stale_route_is_healed_and_asked_once_more() -> None:
    async with cluster() as made:
        moved = partition(2, "cab", start=b"m", epoch=2)
        made.nodes["b"].answers["AddReplica"] = NotOwner(moved, made.nodes["c"].address)
        await made.stub.AddReplica(admin_pb2.AddReplicaRequest(partition_id=2, node="a"))
        assert made.asked("AddReplica") == ["b", "c"]
        assert made.topology.entries[2].primary == "c"


async def test_two_refusals_go_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "HEAL_SECONDS", 0.01)
    async with cluster() as made:
        made.nodes["b"].answers["MergePartitions"] = NotOwner(None, "")
        error = await made.fails(made.stub.MergePartitions(admin_pb2.MergePartitionsRequest(at=b"z")))
        assert isinstance(error, NotOwner)
        assert len(made.nodes["b"].asked) == 2


async def test_a_partition_that_has_just_been_made_is_waited_for_and_one_that_is_not_is_refused() -> None:
    async with cluster() as made:
        request = admin_pb2.RepairPartitionRequest(partition_id=9)
        call = asyncio.ensure_future(made.stub.RepairPartition(request))
        await asyncio.sleep(0.1)
        made.shows(partition(9, "cab"))
        await call
        assert made.asked("RepairPartition") == ["c"]
        error = await made.fails(made.stub.RepairPartition(admin_pb2.RepairPartitionRequest(partition_id=77)))
        assert isinstance(error, InvalidArgument)
        assert "partition_id is 77" in str(error)


async def test_what_is_in_the_way_reaches_the_caller_as_it_is() -> None:
    async with cluster() as made:
        made.nodes["b"].answers["SwitchPrimary"] = Unfit("node 'a' is not in sync")
        error = await made.fails(made.stub.SwitchPrimary(admin_pb2.SwitchPrimaryRequest(partition_id=2, node="a")))
        assert isinstance(error, Unfit)
        assert error.why == "node 'a' is not in sync"


async def test_a_change_without_an_answer_is_said_to_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster() as made:
        monkeypatch.setattr(made.nodes["a"], "answers", {"ForcePrimary": "hang"})
        monkeypatch.setattr(asking.Asking.named, "__defaults__", (0.1,))
        error = await made.fails(made.stub.ForcePrimary(admin_pb2.ForcePrimaryRequest(partition_id=1, node="a")))
        assert isinstance(error, DeadlineExceeded)
        assert "may yet happen" in str(error)


async def test_a_change_whose_connection_breaks_may_have_been_made() -> None:
    async with cluster() as made:
        made.nodes["a"].answers["ForcePrimary"] = "hang"
        call = asyncio.create_task(
            made.fails(made.stub.ForcePrimary(admin_pb2.ForcePrimaryRequest(partition_id=1, node="a")))
        )
        await eventually(lambda: made.asked("ForcePrimary") == ["a"])
        await made.nodes["a"].stop(0)
        error = await call
        assert isinstance(error, WriteAmbiguous)
        assert "look before asking again" in str(error)


async def test_a_change_that_reached_nobody_has_not_been_made() -> None:
    async with cluster() as made:
        await made.nodes["a"].stop(0)
        error = await made.fails(made.stub.ForcePrimary(admin_pb2.ForcePrimaryRequest(partition_id=1, node="a")))
        assert isinstance(error, NotServing)


async def test_the_forced_node_is_the_one_that_was_named_whoever_is_primary() -> None:
    async with cluster() as made:
        await made.stub.ForcePrimary(admin_pb2.ForcePrimaryRequest(partition_id=1, node="c"))
        assert made.asked("ForcePrimary") == ["c"]
        error = await made.fails(made.stub.ForcePrimary(admin_pb2.ForcePrimaryRequest(partition_id=1, node="nobody")))
        assert isinstance(error, NotServing)
        assert "'nobody'" in str(error)


OF_THE_CLUSTER = [
    ("SetNodeWish", admin_pb2.SetNodeWishRequest(node="a", wish=admin_pb2.NODE_WISH_CORDONED)),
    ("GetController", admin_pb2.GetControllerRequest()),
    ("SetController", admin_pb2.SetControllerRequest(fields=["paused"])),
    ("ListEvents", admin_pb2.ListEventsRequest(limit=3)),
]


@pytest.mark.parametrize(("method", "request_"), OF_THE_CLUSTER, ids=lambda value: str(value)[:20])
async def test_what_is_the_clusters_is_asked_of_one_node_after_the_other(
    method: str, request_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANY_SECONDS", 0.2)
    async with cluster() as made:
        made.shows(partition(1, "abc"), a=STARTING)
        made.nodes["b"].answers[method] = NotServing("waiting for etcd", 0.1)
        made.nodes["c"].answers[method] = "hang"
        await getattr(made.stub, method)(request_)
        assert made.asked(method) == ["a", "b", "c"]
        made.nodes["a"].answers[method] = NotServing("nor this one", 0.1)
        assert "nor this one" in str(await made.fails(getattr(made.stub, method)(request_)))
        made.shows(partition(1, "abc"), alive="")
        assert "no storage node is alive" in str(await made.fails(getattr(made.stub, method)(request_)))


def controlled(leader: str, reason: str) -> admin_pb2.GetControllerResponse:
    step = admin_pb2.PlannedStep(action="wait", reason=reason)
    return admin_pb2.GetControllerResponse(leader=leader, plan=[step])


@pytest.mark.parametrize(
    ("leader", "answer", "expected"),
    [
        ("c", controlled("c", "seen by the leader"), "seen by the leader"),
        ("c", NotServing("stopping", 0.1), "seen by another"),
        ("gone", None, "seen by another"),
        ("", None, "seen by another"),
    ],
    ids=["leader", "silent leader", "gone leader", "no leader"],
)
async def test_what_the_controller_plans_is_what_its_leader_says(leader: str, answer: Any, expected: str) -> None:
    async with cluster() as made:
        made.nodes["a"].answers["GetController"] = controlled(leader, "seen by another")
        if answer is not None:
            made.nodes[leader].answers["GetController"] = answer
        shown = await made.stub.GetController(admin_pb2.GetControllerRequest())
        assert (shown.leader, shown.plan[0].reason) == (leader, expected)


async def test_a_partition_whose_primary_is_silent_appears_with_what_the_map_knows() -> None:
    async with cluster() as made:
        row = admin_pb2.PartitionStatus(partition=partition(1, "abc", end=b"m"), known=True, reads=7)
        made.nodes["a"].answers["ListPartitions"] = admin_pb2.ListPartitionsResponse(partitions=[row])
        made.nodes["b"].answers["ListPartitions"] = NotServing("gone", 0.1)
        answer = await made.stub.ListPartitions(admin_pb2.ListPartitionsRequest())
        first, second = answer.partitions
        assert first == row
        assert not second.known
        assert (list(second.partition.replicas), list(second.partition.in_sync)) == (["b", "c", "a"], ["b", "c"])
        assert answer.unreachable_nodes == ["b"]


async def test_of_two_that_hold_themselves_for_the_primary_the_newer_is_shown() -> None:
    async with cluster() as made:
        for name, epoch in (("a", 3), ("b", 5)):
            row = admin_pb2.PartitionStatus(partition=partition(1, name, end=b"m", epoch=epoch), known=True)
            made.nodes[name].answers["ListPartitions"] = admin_pb2.ListPartitionsResponse(partitions=[row])
        first, _ = (await made.stub.ListPartitions(admin_pb2.ListPartitionsRequest())).partitions
        assert first.partition.primary == "b"


def told(*names: str, **fields: Any) -> admin_pb2.ListNodesResponse:
    return admin_pb2.ListNodesResponse(
        nodes=[
            admin_pb2.NodeStatus(node=topology_pb2.Node(id=name), alive=name in "abc", uptime_s=5, **fields)
            for name in names
        ]
    )


async def test_nodes_are_listed_alive_silent_gone_and_wished_away() -> None:
    async with cluster() as made:
        made.shows(partition(1, "abx"), alive="abc")
        made.nodes["a"].answers["ListNodes"] = told("a", "w", wish=admin_pb2.NODE_WISH_REMOVED)
        made.nodes["b"].answers["ListNodes"] = NotServing("busy", 0.1)
        made.nodes["c"].answers["ListNodes"] = told("c")
        rows = {row.node.id: row for row in (await made.stub.ListNodes(admin_pb2.ListNodesRequest())).nodes}
        assert list(rows) == ["a", "b", "c", "w", "x"]
        assert [name for name, row in rows.items() if row.alive] == ["a", "b", "c"]
        assert [name for name, row in rows.items() if row.uptime_s] == ["a", "c", "w"]
        assert rows["b"].node.address == made.nodes["b"].address
        assert rows["w"].wish == admin_pb2.NODE_WISH_REMOVED


async def test_replicas_of_all_nodes_come_by_partition_then_by_node() -> None:
    async with cluster() as made:
        made.shows(partition(1, "abx"), alive="abc")
        for name, numbers in (("c", (2, 1)), ("a", (2,))):
            made.nodes[name].answers["ListReplicas"] = admin_pb2.ListReplicasResponse(
                replicas=[admin_pb2.ReplicaStatus(partition_id=number, node=name) for number in numbers]
            )
        made.nodes["b"].answers["ListReplicas"] = NotServing("gone", 0.1)
        answer = await made.stub.ListReplicas(admin_pb2.ListReplicasRequest())
        assert [(row.partition_id, row.node) for row in answer.replicas] == [(1, "c"), (2, "a"), (2, "c")]
        assert answer.unreachable_nodes == ["b", "x"]


@pytest.mark.parametrize("method", [name for name in METHODS if not name.startswith(("List", "Get"))] + ["ListEvents"])
async def test_what_is_out_of_bounds_is_refused_here_already(method: str) -> None:
    async with cluster() as made:
        empty = getattr(admin_pb2, f"{method}Request")()
        assert isinstance(await made.fails(getattr(made.stub, method)(empty)), InvalidArgument)
        assert made.asked(method) == []
