"""What the router's Admin service asks of the whole cluster: of any node, of the leader, or of all."""

from typing import Any

import pytest
from kit.administered import STARTING, cluster
from kit.map_entries import map_entry_on

from dstk.v1 import admin_pb2, topology_pb2
from dstk_client import asking
from dstk_service.errors import NotServing

OF_THE_CLUSTER = [
    ("SetDesiredState", admin_pb2.SetDesiredStateRequest(node="a", desired_state=admin_pb2.DESIRED_STATE_CORDONED)),
    ("GetController", admin_pb2.GetControllerRequest()),
    ("SetController", admin_pb2.SetControllerRequest(fields=["paused"])),
    ("ListEvents", admin_pb2.ListEventsRequest(limit=3)),
]


@pytest.mark.parametrize(("method", "request_"), OF_THE_CLUSTER, ids=lambda value: str(value)[:20])
async def test_what_is_the_clusters_is_asked_of_one_node_after_the_other(
    method: str, request_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANY_SECONDS", 1.0)
    async with cluster() as made:
        made.shows(map_entry_on(1, "abc"), a=STARTING)
        made.nodes["b"].answers[method] = NotServing("waiting for etcd", 0.1)
        made.nodes["c"].answers[method] = "hang"
        await getattr(made.stub, method)(request_)
        assert made.asked(method) == ["a", "b", "c"]
        made.nodes["a"].answers[method] = NotServing("nor this one", 0.1)
        assert "nor this one" in str(await made.fails(getattr(made.stub, method)(request_)))
        made.shows(map_entry_on(1, "abc"), alive="")
        assert "no storage node is alive" in str(await made.fails(getattr(made.stub, method)(request_)))


def controlled(leader: str, reason: str) -> admin_pb2.GetControllerResponse:
    step = admin_pb2.PlannedStep(state=admin_pb2.STEP_STATE_BLOCKED, reason=reason)
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
        row = admin_pb2.PartitionStatus(partition=map_entry_on(1, "abc", end=b"m"), known=True, reads=7)
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
            row = admin_pb2.PartitionStatus(partition=map_entry_on(1, name, end=b"m", epoch=epoch), known=True)
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


async def test_nodes_are_listed_alive_silent_gone_and_removed() -> None:
    async with cluster() as made:
        made.shows(map_entry_on(1, "abx"), alive="abc")
        made.nodes["a"].answers["ListNodes"] = told("a", "w", desired_state=admin_pb2.DESIRED_STATE_REMOVED)
        made.nodes["b"].answers["ListNodes"] = NotServing("busy", 0.1)
        made.nodes["c"].answers["ListNodes"] = told("c")
        rows = {row.node.id: row for row in (await made.stub.ListNodes(admin_pb2.ListNodesRequest())).nodes}
        assert list(rows) == ["a", "b", "c", "w", "x"]
        assert [name for name, row in rows.items() if row.alive] == ["a", "b", "c"]
        assert [name for name, row in rows.items() if row.uptime_s] == ["a", "c", "w"]
        assert rows["b"].node.address == made.nodes["b"].address
        assert rows["w"].desired_state == admin_pb2.DESIRED_STATE_REMOVED


async def test_replicas_of_all_nodes_come_by_partition_then_by_node() -> None:
    async with cluster() as made:
        made.shows(map_entry_on(1, "abx"), alive="abc")
        for name, numbers in (("c", (2, 1)), ("a", (2,))):
            made.nodes[name].answers["ListReplicas"] = admin_pb2.ListReplicasResponse(
                replicas=[admin_pb2.ReplicaStatus(partition_id=number, node=name) for number in numbers]
            )
        made.nodes["b"].answers["ListReplicas"] = NotServing("gone", 0.1)
        answer = await made.stub.ListReplicas(admin_pb2.ListReplicasRequest())
        assert [(row.partition_id, row.node) for row in answer.replicas] == [(1, "c"), (2, "a"), (2, "c")]
        assert answer.unreachable_nodes == ["b", "x"]
