"""Operators' way to the controller, over real gRPC; nodes hold a map in memory."""

from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from kit.admin_nodes import admin_nodes, operator, two_partitions
from kit.map_entries import partition_info

from dstk.v1 import admin_pb2
from dstk_keytypes import NodeId, PartitionId
from dstk_service.controller_settings import MIB, ControllerSettings
from dstk_service.errors import DstkError, InvalidArgument, NotServing
from dstk_service.status import from_rpc_error

RUNNING, PLANNED = admin_pb2.STEP_STATE_RUNNING, admin_pb2.STEP_STATE_PLANNED
BLOCKED = admin_pb2.STEP_STATE_BLOCKED
N1, N2, N3 = (NodeId(f"n{number}") for number in range(1, 4))
P1, P2 = PartitionId(1), PartitionId(2)


async def test_what_operators_do_is_written_down_and_remembered() -> None:
    async with admin_nodes(two_partitions()) as here, operator(here) as call:
        halves = await call("SplitPartition", admin_pb2.SplitPartitionRequest(partition_id=1))
        await call("TransferPrimary", admin_pb2.TransferPrimaryRequest(partition_id=1, node="n2"))
        await call("RepairPartition", admin_pb2.RepairPartitionRequest(partition_id=1))
        await call("RepairPartition", admin_pb2.RepairPartitionRequest(partition_id=1, apply=True))
        await call("ForcePrimary", admin_pb2.ForcePrimaryRequest(partition_id=1, node="n1"))
        told = [(event.action, event.partition_id, event.subject) for event in (await here.admin.events(10)).events]
        assert told == [
            ("force_primary", 1, "n1"),
            ("repair", 1, ""),
            ("transfer_primary", 1, "n2"),
            ("split", 1, ""),
        ]
        kept = {(override.partition, override.action, override.subject) for override in await here.overrides.load()}
        assert kept == {(1, "split", None), (halves.upper.id, "split", None), (1, "transfer_primary", "n2")}
        assert {override.nodes for override in await here.overrides.load()} == {frozenset({N1, N2, N3})}


async def test_a_note_that_cannot_be_made_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with admin_nodes(two_partitions()) as here, operator(here) as call:
        here.etcd.unreachable = True
        await call("TransferPrimary", admin_pb2.TransferPrimaryRequest(partition_id=1, node="n2"))
        assert here.cluster.partitions[P1].primary == "n2"
        assert "the controller may undo it" in caplog.text


# -- requests to the controller ------------------------------------------------------------------------------------------


def desired(name: str, wanted: Any, replacement: str = "") -> admin_pb2.SetDesiredStateRequest:
    return admin_pb2.SetDesiredStateRequest(node=name, desired_state=wanted, replacement=replacement)


async def test_a_desired_state_shows_at_once_also_of_a_node_that_is_not_alive() -> None:
    async with admin_nodes(two_partitions()) as here:
        await here.admin.set_desired_state(desired("n1", admin_pb2.DESIRED_STATE_CORDONED))
        await here.admin.set_desired_state(desired("n9", admin_pb2.DESIRED_STATE_REMOVED, "n3"))
        assert here.admin.desired_state_of(N1) == admin_pb2.DESIRED_STATE_CORDONED
        assert here.admin.desired_state_of(N2) == admin_pb2.DESIRED_STATE_ACTIVE
        (absent,) = here.admin.absent()
        assert (absent.node.id, absent.desired_state, absent.alive) == ("n9", admin_pb2.DESIRED_STATE_REMOVED, False)
        newest = (await here.admin.events(1)).events[0]
        assert (newest.action, newest.subject) == ("desired_state", "n9")
        assert newest.reason == "the desired state is removed, with n3 as its replacement"
        assert (newest.origin, newest.outcome) == (admin_pb2.EVENT_ORIGIN_OPERATOR, admin_pb2.EVENT_OUTCOME_DONE)


async def refused_field(call: Awaitable[Any]) -> str:
    """The field that the refusal of a call names."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgument)
    return error.field


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (desired("N 1", admin_pb2.DESIRED_STATE_ACTIVE), "node"),
        (desired("n1", admin_pb2.DESIRED_STATE_UNSPECIFIED), "desired_state"),
        (desired("n1", 17), "desired_state"),
        (desired("n1", admin_pb2.DESIRED_STATE_CORDONED, "n2"), "replacement"),
        (desired("n1", admin_pb2.DESIRED_STATE_DRAINED, "n1"), "replacement"),
    ],
)
async def test_a_desired_state_out_of_bounds_is_refused(request_: admin_pb2.SetDesiredStateRequest, field: str) -> None:
    async with admin_nodes(two_partitions()) as here, operator(here) as call:
        assert await refused_field(call("SetDesiredState", request_)) == field
        assert here.admin.absent() == []
        assert (await here.settings.load()).nodes == {}


def change(*fields: str, **values: Any) -> admin_pb2.SetControllerRequest:
    return admin_pb2.SetControllerRequest(settings=admin_pb2.ControllerSettings(**values), fields=fields)


async def test_settings_are_changed_by_name() -> None:
    async with admin_nodes(two_partitions()) as here:
        answer = await here.admin.configure(change("replicas", "gone_seconds", replicas=2, gone_seconds=9, paused=True))
        assert (answer.settings.replicas, answer.settings.gone_seconds, answer.settings.paused) == (2, 9, False)
        assert (await here.settings.load()).controller == ControllerSettings(replicas=2, gone_seconds=9)
        await here.admin.configure(change("paused", paused=True))
        await here.admin.configure(change("paused", paused=True))
        await here.admin.configure(change("paused"))
        assert [event.action for event in (await here.admin.events(10)).events] == ["resume", "pause"]


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
    async with admin_nodes(two_partitions()) as here, operator(here) as call:
        assert await refused_field(call("SetController", request_)) == field
        assert (await here.settings.load()).controller == ControllerSettings()


async def test_events_are_listed_within_bounds() -> None:
    async with admin_nodes(two_partitions()) as here, operator(here) as call:
        for limit in (0, 1001):
            assert await refused_field(call("ListEvents", admin_pb2.ListEventsRequest(limit=limit))) == "limit"


async def test_the_desk_shows_plan_and_findings_whether_it_leads_or_not() -> None:
    cluster = two_partitions()
    cluster.partitions[P1] = partition_info(1, ["n1", "n2"], end=b"m")
    cluster.partitions[P2] = partition_info(2, ["n9"], start=b"m")
    async with admin_nodes(cluster) as here:
        await here.settings.configure({"paused": True})
        await here.admin.set_desired_state(desired("n9", admin_pb2.DESIRED_STATE_REMOVED))
        shown = await here.admin.controller()
        assert shown.leader == ""
        assert shown.settings.paused
        assert shown.settings.split_bytes == 256 * MIB
        steps = [(step.state, step.action, step.partition_id, step.node) for step in shown.plan]
        assert steps == [(PLANNED, "add_replica", 1, "n3"), (BLOCKED, "", 2, "n9")]
        await here.election.step()
        await here.controller.tick()
        led = await here.admin.controller()
        assert led.leader == "n1"
        assert [(step.state, step.action, step.partition_id, step.node) for step in led.plan] == steps
        await here.settings.configure({"paused": False})
        assert await here.controller.tick()
        (running, blocked) = (await here.admin.controller()).plan
        assert (running.state, blocked.state) == (RUNNING, BLOCKED)
        assert running.reason.startswith("2 of 3 replicas")


async def test_without_etcd_the_desk_says_so() -> None:
    async with admin_nodes(two_partitions()) as here, operator(here) as call:
        here.etcd.unreachable = True
        for asked in (
            here.admin.controller(),
            here.admin.events(5),
            here.admin.set_desired_state(desired("n1", admin_pb2.DESIRED_STATE_DRAINED)),
            here.admin.configure(change("paused")),
        ):
            with pytest.raises(NotServing, match="etcd"):
                await asked
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call("GetController", admin_pb2.GetControllerRequest())
        error: DstkError = from_rpc_error(caught.value)
        assert isinstance(error, NotServing)
