"""`dstk doctor` against a scripted router: what is printed, and the exit code."""

import json
from typing import Any

import pytest
from kit import statuses

from dstk.v1 import admin_pb2
from dstk_doctor import gathering
from dstk_doctor.examine import CHECKS
from dstk_service.errors import NotServing


@pytest.fixture
def cluster(operate: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(gathering, "APART_SECONDS", 0.01)
    operate.router.shows(statuses.entry(1, "123", end=b"m"), statuses.entry(2, "231", start=b"m"))
    return operate


def test_all_is_well_is_said_with_how_much_was_looked_at(cluster: Any) -> None:
    shown = cluster("doctor")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout == f"no problems found   3 nodes, 2 partitions, 6 replicas, {len(CHECKS)} checks, 0 compared\n"
    as_json = json.loads(cluster("doctor", "--output", "json").stdout)
    checked = {"nodes": 3, "partitions": 2, "replicas": 6, "checks": len(CHECKS), "compared": 0}
    assert [each["outcome"] for each in as_json.pop("comparisons")] == [None, None]
    assert as_json == {"healthy": True, "checked": checked, "findings": []}


def test_warnings_and_notes_do_not_fail(cluster: Any) -> None:
    nodes = [statuses.node("storage-1"), statuses.node("storage-2", version="0.2.0"), statuses.node("storage-3")]
    cluster.router.answers["ListNodes"] = [admin_pb2.ListNodesResponse(nodes=nodes)]
    shown = cluster("doctor")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[-1].startswith("1 warning   3 nodes")


def test_what_is_broken_is_exit_code_1_in_a_table_and_in_json(cluster: Any) -> None:
    cluster.router.shows(
        statuses.entry(1, "12/3"), nodes=[*map(statuses.node, ("storage-1", "storage-2")), statuses.gone("storage-3")]
    )
    cluster.router.answers["ListReplicas"] = [
        admin_pb2.ListReplicasResponse(
            replicas=[statuses.replica(statuses.entry(1, "12/3"), f"storage-{n}") for n in (1, 2)],
            unreachable_nodes=["storage-3"],
        )
    ]
    shown = cluster("doctor")
    assert shown.exit_code == 1
    text = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert text == [
        "where what run",
        "error storage-3 is gone, and has replicas of partition 1: start it again, or give it up dstk nodes remove storage-3",
        "warning partition 1 2 of 3 replicas are in sync; not in sync: storage-3 dstk partitions show 1",
        "",
        f"1 error, 1 warning 3 nodes, 1 partition, 2 replicas, {len(CHECKS)} checks, 0 compared",
    ]
    as_json = json.loads(cluster("doctor", "-o", "json").stdout)
    assert not as_json["healthy"]
    assert [each["kind"] for each in as_json["findings"]] == ["node_gone", "under_replicated"]


def test_many_of_a_kind_are_cut_for_people_and_whole_for_programs(cluster: Any) -> None:
    starts = [b"", *(b"%02d" % number for number in range(1, 30)), b""]
    cluster.router.shows(
        *(statuses.entry(n + 1, "1/23", start=starts[n], end=starts[n + 1]) for n in range(30)),
    )
    shown = cluster("doctor")
    assert shown.stdout.count("1 of 3 replicas") == 10
    assert "20 more" in shown.stdout
    assert "of kind under_replicated: --output json shows all" in shown.stdout
    assert len(json.loads(cluster("doctor", "-o", "json").stdout)["findings"]) == 30


def test_the_controller_may_be_out_of_reach_while_the_rest_is_looked_at(cluster: Any) -> None:
    for method in ("GetController", "ListEvents"):
        cluster.router.answers[method] = [NotServing("waiting for etcd", 0.1)]
    shown = cluster("doctor")
    assert shown.exit_code == 1
    assert "does not answer: not serving: waiting for etcd" in shown.stdout


def test_a_router_that_cannot_be_reached_is_a_clean_error(cluster: Any) -> None:
    shown = cluster("doctor", DSTK_ROUTER="127.0.0.1:1")
    assert shown.exit_code == 1
    assert "Traceback" not in shown.output
    assert "nothing answers at 127.0.0.1:1" in shown.stderr
