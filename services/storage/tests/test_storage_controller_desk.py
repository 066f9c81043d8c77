"""The controller's way to the nodes, and operators' way to the controller, over real gRPC; nodes hold a map in memory."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_cluster.choices import ChoiceStore
from dstk_cluster.election import Election
from dstk_cluster.events import EventLog
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.model import ClusterMap
from dstk_cluster.settings import MIB, ControllerSettings, SettingsStore
from dstk_cluster.wire import partition_to_proto
from dstk_keytypes import Key, NodeId, PartitionId
from dstk_service.channels import open_channel
from dstk_service.errors import DstkError, InvalidArgument, NotServing, Unfit
from dstk_service.server import GrpcServer
from dstk_service.status import from_rpc_error
from dstk_service.testing import ManualClock
from dstk_storage.adapters.overseer import AdminLinks, GrpcCluster, GrpcHands
from dstk_storage.adapters.world import World, node, partition
from dstk_storage.desk import ControllerDesk
from dstk_storage.domain.controller.gathering import Sources
from dstk_storage.domain.controller.loop import Controller, Parts
from dstk_storage.domain.controller.model import Action, Follower, Load, Step
from dstk_storage.domain.controller.ports import StepFailed
from dstk_storage.notes import OperatorNotes
from dstk_storage.servicers.noted import NotedAdminServicer
from dstk_storage.servicers.translate import Translator
from dstk_storage.testing import inline

N1, N2, N3 = (NodeId(f"n{number}") for number in range(1, 4))
P1, P2 = PartitionId(1), PartitionId(2)
TOKEN = "secret"  # noqa: S105


class View:
    """The map as every node knows it."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def current(self) -> ClusterMap:
        return self._world.map


class WorldOperations:
    """What AdminServicer asks, done to the world."""

    def __init__(self, world: World, me: NodeId) -> None:
        self.world, self.me = world, me

    def _do(self, action: Action, number: int, **about: Any) -> topology_pb2.Partition:
        if self.world.partitions[PartitionId(number)].primary != self.me:
            raise Unfit(f"{self.me} is not the primary")
        self.world.apply(Step(action, PartitionId(number), "", **about))
        return partition_to_proto(self.world.partitions[PartitionId(number)])

    async def split(self, at: Key) -> Any:
        raise AssertionError(f"the controller names partitions, not keys such as {at}")

    async def split_middle(self, partition_id: int, *, by_load: bool) -> Any:
        lower = self._do(Action.SPLIT, partition_id, by_load=by_load)
        return lower, partition_to_proto(self.world.partitions[PartitionId(max(self.world.partitions))])

    async def merge(self, at: Key) -> topology_pb2.Partition:
        upper = self.world.map.partition_of(at)
        lower = self.world.map.partition_below(at)
        return self._do(Action.MERGE, lower.id, at=bytes(at), upper=upper.id)

    async def add_replica(self, partition_id: int, name: str) -> topology_pb2.Partition:
        return self._do(Action.ADD_REPLICA, partition_id, node=NodeId(name))

    async def remove_replica(self, partition_id: int, name: str) -> topology_pb2.Partition:
        return self._do(Action.REMOVE_REPLICA, partition_id, node=NodeId(name))

    async def switch(self, partition_id: int, name: str | None) -> topology_pb2.Partition:
        return self._do(Action.SWITCH_PRIMARY, partition_id, node=NodeId(name or ""))

    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        differing = admin_pb2.ReplicaComparison(node="n2", rebuild_begun=apply)
        return admin_pb2.RepairPartitionResponse(compared_records=partition_id, replicas=[differing])

    async def force_primary(self, partition_id: int) -> topology_pb2.Partition:
        return partition_to_proto(self.world.partitions[PartitionId(partition_id)])

    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        return []

    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        return [
            admin_pb2.PartitionStatus(
                partition=partition_to_proto(info),
                known=True,
                estimated_bytes=self.world.loads[info.id].bytes,
                estimated_records=self.world.loads[info.id].records,
                reads=3,
                writes=4,
                scanned=1000,
                followers=[admin_pb2.FollowerStatus(node="n2", sequence=9, silent_s=0.5, rebuilding=True)],
            )
            for info in self.world.partitions.values()
            if info.primary == self.me
        ]

    def status(self) -> admin_pb2.NodeStatus:
        return admin_pb2.NodeStatus(node=topology_pb2.Node(id=self.me), read_only=self.me in self.world.read_only)


class Owners:
    def owner(self, key: bytes, *, before: bool) -> tuple[topology_pb2.Partition | None, str]:
        return None, ""


class Cluster:
    """Nodes with Admin services on one world, and one node's controller."""

    def __init__(self, world: World) -> None:
        self.world, self.clock, self.view = world, ManualClock(), View(world)
        self.etcd = MemoryCoordinator(self.clock)
        self.settings, self.choices = SettingsStore(self.etcd, "c"), ChoiceStore(self.etcd, "c")
        self.log = EventLog(self.etcd, "c", N1, self.clock)
        self.links = AdminLinks(TOKEN)
        self.hands = GrpcHands(self.view, self.links)  # type: ignore[arg-type]
        self.eyes = GrpcCluster(self.view, self.links)  # type: ignore[arg-type]
        self.election = Election(self.etcd, "c", N1, self.clock, random.Random(1))
        sources = Sources(self.eyes, self.settings, self.choices, self.log, self.clock)
        self.controller = Controller(Parts(N1, self.election, sources, self.hands, inline))
        self.desk = ControllerDesk(self.controller, self.settings, self.log, self.view)  # type: ignore[arg-type]
        self.servers: list[GrpcServer] = []

    async def serve(self, me: NodeId) -> None:
        server = GrpcServer("127.0.0.1:0", admin_token=TOKEN)
        notes = OperatorNotes(self.log, self.choices, self.view)  # type: ignore[arg-type]
        operations = WorldOperations(self.world, me)
        servicer = NotedAdminServicer(operations, self.desk, Translator(Owners()), notes)
        server.add(admin_pb2_grpc.add_AdminServicer_to_server, servicer, "dstk.v1.Admin")
        self.world.nodes[me] = replace(self.world.nodes[me], address=await server.start())
        self.servers.append(server)


@asynccontextmanager
async def cluster(world: World) -> AsyncIterator[Cluster]:
    made = Cluster(world)
    for name in list(world.nodes):
        await made.serve(name)
    try:
        yield made
    finally:
        await made.links.close()
        for server in made.servers:
            await server.stop(0)


@asynccontextmanager
async def operator(here: Cluster, name: NodeId = N1) -> AsyncIterator[Any]:
    """Calls of somebody who has the token, by name of the RPC."""
    async with open_channel(here.world.nodes[name].address) as channel:
        stub = admin_pb2_grpc.AdminStub(channel)

        async def call(rpc: str, request: Any) -> Any:
            return await getattr(stub, rpc)(request, metadata=(("authorization", f"Bearer {TOKEN}"),))

        yield call


def two_partitions() -> World:
    infos = [
        partition(1, ["n1", "n2", "n3"], end=b"m"),
        partition(2, ["n2", "n1", "n3"], start=b"m"),
    ]
    return World.of([node("n1"), node("n2"), node("n3")], infos, {1: Load(10, 2), 2: Load(20, 3)})


async def test_all_nodes_are_looked_at_and_those_that_do_not_answer_tell_nothing() -> None:
    async with cluster(two_partitions()) as here:
        here.world.read_only = frozenset({N3})
        seen = await here.eyes.look()
        assert seen.read_only == {N3}
        assert {number: (f.node, f.bytes, f.records, f.operations) for number, f in seen.figures.items()} == {
            1: (N1, 10, 2, 7),
            2: (N2, 20, 3, 7),
        }
        assert seen.figures[P1].followers == {N2: Follower(9, 0.5, rebuilding=True)}
        await here.servers[1].stop(0)
        assert set((await here.eyes.look()).figures) == {P1}


async def test_figures_of_another_range_than_the_maps_are_left_out() -> None:
    async with cluster(two_partitions()) as here:
        stale = here.world.map
        here.world.apply(Step(Action.SPLIT, P1, ""))
        here.view = type("Old", (), {"current": stale})()  # type: ignore[assignment]
        old = GrpcCluster(here.view, here.links)  # type: ignore[arg-type]
        assert set((await old.look()).figures) == {P2}


async def test_every_step_is_made_at_the_primary_and_is_no_operators() -> None:
    async with cluster(two_partitions()) as here:
        done = await here.hands.take(Step(Action.SPLIT, P1, "", by_load=True))
        assert done.upper == 3
        assert here.world.taken[-1].by_load
        lower, upper = here.world.partitions[P1], here.world.partitions[PartitionId(3)]
        merge = Step(Action.MERGE, lower.id, "", at=upper.range.start, upper=upper.id)
        assert (await here.hands.take(merge)).upper == 3
        await here.hands.take(Step(Action.SWITCH_PRIMARY, P1, "", node=N3))
        await here.hands.take(Step(Action.REMOVE_REPLICA, P1, "", node=N1))
        await here.hands.take(Step(Action.ADD_REPLICA, P1, "", node=N1))
        assert here.world.partitions[P1].replicas == ("n2", "n3", "n1")
        assert await here.log.newest() == []
        assert await here.choices.load() == ()


async def test_a_refused_step_has_failed_and_says_why() -> None:
    async with cluster(two_partitions()) as here:
        stale = here.world.map
        here.world.apply(Step(Action.SWITCH_PRIMARY, P1, "", node=N2))
        hands = GrpcHands(type("Old", (), {"current": stale})(), here.links)
        with pytest.raises(StepFailed, match="FAILED_PRECONDITION: n1 is not the primary"):
            await hands.take(Step(Action.SWITCH_PRIMARY, P1, "", node=N3))
        with pytest.raises(StepFailed, match="no partition 77"):
            await hands.take(Step(Action.SPLIT, PartitionId(77), ""))
        del here.world.nodes[N2]
        with pytest.raises(StepFailed, match="n2, the primary, is not alive"):
            await here.hands.take(Step(Action.SPLIT, P2, ""))
        await here.servers[0].stop(0)
        with pytest.raises(StepFailed, match="UNAVAILABLE"):
            await hands.take(Step(Action.SPLIT, P1, ""))


async def test_what_operators_do_is_written_down_and_remembered() -> None:
    async with cluster(two_partitions()) as here, operator(here) as call:
        halves = await call("SplitPartition", admin_pb2.SplitPartitionRequest(partition_id=1))
        await call("SwitchPrimary", admin_pb2.SwitchPrimaryRequest(partition_id=1, node="n2"))
        await call("RepairPartition", admin_pb2.RepairPartitionRequest(partition_id=1))
        await call("RepairPartition", admin_pb2.RepairPartitionRequest(partition_id=1, apply=True))
        await call("ForcePrimary", admin_pb2.ForcePrimaryRequest(partition_id=1, node="n1"))
        told = [(event.action, event.partition_id, event.subject) for event in (await here.desk.events(10)).events]
        assert told == [
            ("force_primary", 1, "n1"),
            ("repair", 1, ""),
            ("switch_primary", 1, "n2"),
            ("split", 1, ""),
        ]
        kept = {(choice.partition, choice.action, choice.subject) for choice in await here.choices.load()}
        assert kept == {(1, "split", None), (halves.upper.id, "split", None), (1, "switch_primary", "n2")}
        assert {choice.nodes for choice in await here.choices.load()} == {frozenset({N1, N2, N3})}


async def test_a_note_that_cannot_be_made_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with cluster(two_partitions()) as here, operator(here) as call:
        here.etcd.unreachable = True
        await call("SwitchPrimary", admin_pb2.SwitchPrimaryRequest(partition_id=1, node="n2"))
        assert here.world.partitions[P1].primary == "n2"
        assert "the controller may undo it" in caplog.text


# -- the desk ------------------------------------------------------------------------------------------------------------


def wish(name: str, wanted: Any, replacement: str = "") -> admin_pb2.SetNodeWishRequest:
    return admin_pb2.SetNodeWishRequest(node=name, wish=wanted, replacement=replacement)


async def test_a_wish_shows_at_once_also_of_a_node_that_is_not_alive() -> None:
    async with cluster(two_partitions()) as here:
        await here.desk.set_wish(wish("n1", admin_pb2.NODE_WISH_CORDONED))
        await here.desk.set_wish(wish("n9", admin_pb2.NODE_WISH_REMOVED, "n3"))
        assert here.desk.wish_of(N1) == admin_pb2.NODE_WISH_CORDONED
        assert here.desk.wish_of(N2) == admin_pb2.NODE_WISH_NONE
        (absent,) = here.desk.absent()
        assert (absent.node.id, absent.wish, absent.alive) == ("n9", admin_pb2.NODE_WISH_REMOVED, False)
        newest = (await here.desk.events(1)).events[0]
        assert (newest.action, newest.subject) == ("wish", "n9")
        assert newest.detail == "operator: n9 is to be removed, in favour of n3; done"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (wish("N 1", admin_pb2.NODE_WISH_NONE), "node id"),
        (wish("n1", admin_pb2.NODE_WISH_UNSPECIFIED), "wish"),
        (wish("n1", 17), "wish"),
        (wish("n1", admin_pb2.NODE_WISH_CORDONED, "n2"), "replacement"),
        (wish("n1", admin_pb2.NODE_WISH_DRAINED, "n1"), "replacement"),
    ],
)
async def test_a_wish_out_of_bounds_is_refused(request_: admin_pb2.SetNodeWishRequest, field: str) -> None:
    async with cluster(two_partitions()) as here:
        with pytest.raises(InvalidArgument) as caught:
            await here.desk.set_wish(request_)
        assert caught.value.field == field
        assert here.desk.absent() == []


def change(*fields: str, **values: Any) -> admin_pb2.SetControllerRequest:
    return admin_pb2.SetControllerRequest(settings=admin_pb2.ControllerSettings(**values), fields=fields)


async def test_settings_are_changed_by_name() -> None:
    async with cluster(two_partitions()) as here:
        answer = await here.desk.configure(change("replicas", "gone_seconds", replicas=2, gone_seconds=9, paused=True))
        assert (answer.settings.replicas, answer.settings.gone_seconds, answer.settings.paused) == (2, 9, False)
        assert (await here.settings.load()).controller == ControllerSettings(replicas=2, gone_seconds=9)
        await here.desk.configure(change("paused", paused=True))
        await here.desk.configure(change("paused", paused=True))
        await here.desk.configure(change("paused"))
        assert [event.action for event in (await here.desk.events(10)).events] == ["resume", "pause"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (change(), "fields"),
        (change("speed"), "fields"),
        (change("replicas"), "replicas"),
        (change("merge_share", merge_share=0.7), "merge_share"),
    ],
)
async def test_a_setting_out_of_bounds_is_refused(request_: admin_pb2.SetControllerRequest, field: str) -> None:
    async with cluster(two_partitions()) as here:
        with pytest.raises(InvalidArgument) as caught:
            await here.desk.configure(request_)
        assert caught.value.field == field


async def test_events_are_listed_within_bounds() -> None:
    async with cluster(two_partitions()) as here:
        for limit in (0, 1001):
            with pytest.raises(InvalidArgument, match="limit"):
                await here.desk.events(limit)


async def test_the_desk_shows_plan_and_findings_whether_it_leads_or_not() -> None:
    world = two_partitions()
    world.partitions[P1] = partition(1, ["n1", "n2"], end=b"m")
    world.partitions[P2] = partition(2, ["n9"], start=b"m")
    async with cluster(world) as here:
        await here.settings.configure({"paused": True})
        await here.desk.set_wish(wish("n9", admin_pb2.NODE_WISH_REMOVED))
        shown = await here.desk.controller()
        assert shown.leader == ""
        assert shown.settings.paused
        assert shown.settings.split_bytes == 256 * MIB
        steps = [(step.action, step.partition_id, step.node) for step in shown.plan]
        assert steps == [("add_replica", 1, "n3"), ("wait", 2, "n9")]
        await here.election.step()
        await here.controller.look()
        led = await here.desk.controller()
        assert led.leader == "n1"
        assert [(step.action, step.partition_id, step.node) for step in led.plan] == steps
        await here.settings.configure({"paused": False})
        assert await here.controller.look()
        assert (await here.desk.controller()).plan[0].reason.startswith("under way: 2 of 3 replicas")


async def test_without_etcd_the_desk_says_so() -> None:
    async with cluster(two_partitions()) as here, operator(here) as call:
        here.etcd.unreachable = True
        for asked in (
            here.desk.controller(),
            here.desk.events(5),
            here.desk.set_wish(wish("n1", admin_pb2.NODE_WISH_DRAINED)),
            here.desk.configure(change("paused")),
        ):
            with pytest.raises(NotServing, match="etcd"):
                await asked
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call("GetController", admin_pb2.GetControllerRequest())
        error: DstkError = from_rpc_error(caught.value)
        assert isinstance(error, NotServing)
