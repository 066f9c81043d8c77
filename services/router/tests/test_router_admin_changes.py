"""Changes through the router's Admin service: to whom they go, and what the caller hears when they fail."""

import asyncio
from typing import Any

import pytest
from kit.administered import METHODS, cluster
from kit.map_entries import map_entry_on

from dstk.v1 import admin_pb2
from dstk_client import asking
from dstk_service.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotOwner,
    NotServing,
    PreconditionFailed,
    WriteAmbiguous,
)
from dstk_service.testing import eventually

TO_THE_PRIMARY = [
    ("SplitPartition", admin_pb2.SplitPartitionRequest(at=b"z")),
    ("SplitPartition", admin_pb2.SplitPartitionRequest(partition_id=2, by_load=True)),
    ("MergePartitions", admin_pb2.MergePartitionsRequest(at=b"m")),
    ("AddReplica", admin_pb2.AddReplicaRequest(partition_id=2, node="a")),
    ("RemoveReplica", admin_pb2.RemoveReplicaRequest(partition_id=2, node="a")),
    ("TransferPrimary", admin_pb2.TransferPrimaryRequest(partition_id=2, node="c")),
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
        moved = map_entry_on(2, "cab", start=b"m", epoch=2)
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
        made.shows(map_entry_on(9, "cab"))
        await call
        assert made.asked("RepairPartition") == ["c"]
        error = await made.fails(made.stub.RepairPartition(admin_pb2.RepairPartitionRequest(partition_id=77)))
        assert isinstance(error, InvalidArgument)
        assert "partition_id is 77" in str(error)


async def test_what_is_in_the_way_reaches_the_caller_as_it_is() -> None:
    async with cluster() as made:
        made.nodes["b"].answers["TransferPrimary"] = PreconditionFailed("node 'a' is not in sync")
        error = await made.fails(made.stub.TransferPrimary(admin_pb2.TransferPrimaryRequest(partition_id=2, node="a")))
        assert isinstance(error, PreconditionFailed)
        assert error.why == "node 'a' is not in sync"


async def test_a_change_without_an_answer_is_said_to_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster() as made:
        monkeypatch.setattr(made.nodes["a"], "answers", {"ForcePrimary": "hang"})
        monkeypatch.setattr(asking.Asking.named, "__defaults__", (0.1,))
        error = await made.fails(made.stub.ForcePrimary(admin_pb2.ForcePrimaryRequest(partition_id=1, node="a")))
        assert isinstance(error, DeadlineExceeded)
        assert "may still be made" in str(error)


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
        assert "the change may have been made" in str(error)


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


async def test_loads_are_those_of_the_node_that_was_named() -> None:
    async with cluster() as made:
        made.nodes["c"].answers["ListLoads"] = admin_pb2.ListLoadsResponse(session="c", version=7)
        assert (await made.stub.ListLoads(admin_pb2.ListLoadsRequest(node="c", session="c", version=6))).version == 7
        assert made.asked("ListLoads") == ["c"]


CHECKED = [name for name in METHODS if not name.startswith(("List", "Get"))] + ["ListEvents", "ListLoads"]


@pytest.mark.parametrize("method", CHECKED)
async def test_what_is_out_of_bounds_is_refused_here_already(method: str) -> None:
    async with cluster() as made:
        empty = getattr(admin_pb2, f"{method}Request")()
        assert isinstance(await made.fails(getattr(made.stub, method)(empty)), InvalidArgument)
        assert made.asked(method) == []
