"""`dstk nodes` against a scripted router: what is sent, printed, and refused."""

import json
import os
import signal
from typing import Any

import pytest
from kit import statuses

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.operate import drain
from dstk_service.errors import NotServing

ACTIVE, CORDONED = admin_pb2.DESIRED_STATE_ACTIVE, admin_pb2.DESIRED_STATE_CORDONED
DRAINED, REMOVED = admin_pb2.DESIRED_STATE_DRAINED, admin_pb2.DESIRED_STATE_REMOVED


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "POLL_SECONDS", 0.01)


@pytest.fixture
def cluster(operate: Any) -> Any:
    """Three nodes, of which the third is gone and has the only replica in sync of partition 2."""
    nodes = [statuses.node("storage-1"), statuses.node("storage-2", desired_state=CORDONED), statuses.gone("storage-3")]
    operate.router.shows(statuses.entry(1, "12/3", end=b"m"), statuses.entry(2, "3/1", start=b"m"), nodes=nodes)
    return operate


def desired_states(cluster: Any) -> list[tuple[str, int, str]]:
    return [(request.node, request.desired_state, request.replacement) for _, request in cluster.router.asked]


@pytest.mark.parametrize("arguments", [["nodes"], ["nodes", "list"]])
def test_plain_nodes_lists_them(cluster: Any, arguments: list[str]) -> None:
    shown = cluster(*arguments)
    assert shown.exit_code == 0, shown.output
    head, first, second, third = shown.stdout.splitlines()
    columns = [
        "id",
        "address",
        "zone",
        "state",
        "desired",
        "primaries",
        "replicas",
        "~size",
        "disk free",
        "misrouted",
        "up",
        "version",
    ]
    assert head.split() == " ".join(columns).split()
    assert first.split()[:5] == ["storage-1", "10.0.0.1:7101", "-", "serving", "-"]
    assert "60 GiB         12  1 min 5 s  0.1.0" in first
    assert "cordoned" in second
    assert third.split() == ["storage-3", "-", "-", "gone", *["-"] * 8]


def test_a_node_that_is_in_trouble_says_so(operate: Any) -> None:
    silent = admin_pb2.NodeStatus(node=topology_pb2.Node(id="storage-2"), alive=True)
    troubled = statuses.node("storage-1", read_only=True, etcd_reachable=False)
    operate.router.shows(statuses.entry(1, "12"), nodes=[troubled, silent])
    first, second = operate("nodes").stdout.splitlines()[1:]
    assert "serving, read-only, no etcd" in first
    assert "not answering" in second


def test_a_replaced_engine_is_shown_with_the_files_that_are_kept(operate: Any) -> None:
    engine = admin_pb2.EngineStatus(id="e2", made_at_ms=7, replaced_reason="CURRENT is missing", kept=["/d/damaged-1"])
    operate.router.shows(
        statuses.entry(1, "12"), nodes=[statuses.node("storage-1"), statuses.node("storage-2", engine=engine)]
    )
    first, second = (node["engine"] for node in json.loads(operate("nodes", "-o", "json").stdout)["nodes"])
    assert second == {"id": "e2", "made_at_ms": 7, "replaced_reason": "CURRENT is missing", "kept": ["/d/damaged-1"]}
    assert (first["replaced_reason"], first["kept"]) == (None, [])


def test_options_of_the_listing_need_no_word_for_it(cluster: Any) -> None:
    listed = json.loads(cluster("nodes", "--output", "json").stdout)["nodes"]
    assert [(node["id"], node["alive"], node["desired_state"]) for node in listed] == [
        ("storage-1", True, "active"),
        ("storage-2", True, "cordoned"),
        ("storage-3", False, None),
    ]


@pytest.mark.parametrize(
    ("command", "desired", "said"),
    [
        ("cordon", CORDONED, "storage-1 desired state: cordoned; it keeps its replicas and receives no new ones\n"),
        ("uncordon", ACTIVE, "storage-1 desired state: active; it takes its share of the partitions\n"),
        ("drain", DRAINED, "storage-1 desired state: drained; the controller moves its replicas to other nodes\n"),
    ],
)
def test_a_desired_state_is_sent_and_explained(cluster: Any, command: str, desired: int, said: str) -> None:
    shown = cluster("nodes", command, "storage-1")
    assert (shown.exit_code, shown.stdout) == (0, said)
    assert desired_states(cluster) == [("storage-1", desired, "")]
    as_json = json.loads(cluster("nodes", command, "storage-1", "-o", "json").stdout)
    assert as_json["node"] == "storage-1"


@pytest.mark.parametrize("command", ["cordon", "uncordon", "drain", "remove"])
def test_a_node_that_nobody_knows_is_refused_with_those_that_are_known(cluster: Any, command: str) -> None:
    shown = cluster("nodes", command, "storage-33")
    assert shown.exit_code == 2
    assert shown.stderr == "error: there is no node 'storage-33'\n  -> known nodes: storage-1, storage-2, storage-3\n"
    wrong = cluster("nodes", command, "Storage_1")
    assert wrong.exit_code == 2
    assert "node is 'Storage_1', and must be 1..64 characters of a-z, 0-9 and -" in wrong.stderr
    assert cluster.router.asked == []


def updates(*counts: int) -> list[topology_pb2.TopologyUpdate]:
    """Maps in which storage-1 holds so many replicas."""
    return [
        topology_pb2.TopologyUpdate(full=True, partitions=[statuses.entry(n + 1, "21") for n in range(count)])
        for count in counts
    ]


def one_a_stream(*answers: Any) -> list[Any]:
    """Answers of which each stream sends the next one: a stream of several may send two before its caller has ended it."""
    remaining = iter(answers)
    return [lambda _: next(remaining)]


def test_drain_waits_until_nothing_is_left_and_tells_how_far_it_is(cluster: Any) -> None:
    cluster.router.answers["Watch"] = one_a_stream(*updates(3, 3, 1, 0))
    shown = cluster("nodes", "drain", "storage-1", "--wait")
    assert shown.exit_code == 0, shown.output
    assert shown.stderr.splitlines() == [
        "storage-1: waiting for its replicas to move",
        "storage-1: 3 of 3 replicas left",
        "storage-1: 1 of 3 replicas left",
    ]
    assert shown.stdout == "storage-1 desired state: drained; it holds no replica and can be stopped\n"


def test_waiting_for_an_idle_controller_says_so(cluster: Any) -> None:
    cluster.router.answers["Watch"] = updates(0)
    for answer, said in (
        (admin_pb2.GetControllerResponse(), "there is no controller now"),
        (
            admin_pb2.GetControllerResponse(leader="a", settings=admin_pb2.ControllerSettings(paused=True)),
            "the controller is paused: replicas move after `dstk controller resume`",
        ),
        (NotServing("etcd is away", 0.1), "the controller does not answer: not serving: etcd is away"),
    ):
        cluster.router.answers["GetController"] = [answer]
        assert said in cluster("nodes", "drain", "storage-1", "--wait").stderr


def test_a_wait_ends_when_someone_changes_the_desired_state(cluster: Any) -> None:
    cluster.router.answers["Watch"] = updates(2)
    cluster.router.answers["ListNodes"] = [
        admin_pb2.ListNodesResponse(nodes=[statuses.node("storage-1", desired_state=state)])
        for state in (ACTIVE, ACTIVE, DRAINED, CORDONED)
    ]
    shown = cluster("nodes", "drain", "storage-1", "--wait")
    assert shown.exit_code == 1
    assert "storage-1 is no longer being drained: its desired state is 'cordoned' now" in shown.stderr


def test_ctrl_c_while_waiting_says_that_the_drain_continues(cluster: Any) -> None:
    cluster.router.answers["Watch"] = [*updates(2), interrupt(updates(2)[0])]
    shown = cluster("nodes", "drain", "storage-1", "--wait")
    assert shown.exit_code == 130
    assert "no longer waiting: the drain of storage-1 continues" in shown.stderr
    assert "dstk nodes uncordon storage-1" in shown.stderr


def interrupt(answer: Any) -> Any:
    """Ctrl-C while this is asked for."""

    def press(request: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return answer

    return press


def test_remove_shows_the_effects_and_changes_nothing(cluster: Any) -> None:
    shown = cluster("nodes", "remove", "storage-3")
    assert shown.exit_code == 0, shown.output
    assert cluster.router.asked == []
    lines = [line.rstrip() for line in shown.stdout.splitlines()]
    assert lines[0].split() == ["id", "start", "end", "epoch", "in", "sync", "replicas"]
    assert lines[1].split() == ["1", "(first)", "m", "5", "2/3", "storage-1", "storage-2", "(storage-3)"]
    assert lines[2].split() == ["2", "m", "(last)", "5", "1/2", "storage-3", "(storage-1)"]
    assert "storage-3 is gone; it holds 2 replicas by the map" in shown.stdout
    assert "no other replica in sync of partition 2: they stay on this node" in shown.stdout
    assert shown.stderr == "nothing was changed; --yes removes the node and rebuilds its replicas elsewhere\n"
    assert "is alive: `dstk nodes drain` is safer" in cluster("nodes", "remove", "storage-1").stdout


def test_remove_with_yes_does_it(cluster: Any) -> None:
    shown = cluster("nodes", "remove", "storage-3", "--yes")
    assert "removed: the controller rebuilds its replicas elsewhere" in shown.stdout
    assert desired_states(cluster) == [("storage-3", REMOVED, "")]
    as_json = json.loads(cluster("nodes", "remove", "storage-3", "-o", "json").stdout)
    assert as_json == {"node": "storage-3", "alive": False, "held": [1, 2], "only_there": [2], "applied": False}


def test_replace_drains_a_living_node_and_removes_a_gone_one_only_with_yes(cluster: Any) -> None:
    assert cluster("nodes", "replace", "storage-1", "storage-2").stdout == (
        "storage-1 desired state: drained; its replicas move to storage-2\n"
    )
    assert "nothing was changed" in cluster("nodes", "replace", "storage-3", "storage-2").stderr
    assert cluster("nodes", "replace", "storage-3", "storage-2", "--yes").exit_code == 0
    assert desired_states(cluster) == [("storage-1", DRAINED, "storage-2"), ("storage-3", REMOVED, "storage-2")]


def test_replace_refuses_a_node_that_is_gone_or_the_same(cluster: Any) -> None:
    shown = cluster("nodes", "replace", "storage-1", "storage-3")
    assert (shown.exit_code, "storage-3 is not alive" in shown.stderr) == (1, True)
    same = cluster("nodes", "replace", "storage-1", "storage-1")
    assert same.exit_code == 2
    assert "replacement is 'storage-1', and must be another node" in same.stderr
    assert cluster.router.asked == []


def test_the_admin_token_is_sent_along(cluster: Any, tmp_path: Any) -> None:
    (tmp_path / "token").write_text("secret\n")
    assert cluster("nodes", DSTK_ADMIN_TOKEN_FILE=str(tmp_path / "token")).exit_code == 0
    assert cluster.router.metadata["authorization"] == "Bearer secret"
    assert cluster("nodes", DSTK_ADMIN_TOKEN_FILE=str(tmp_path / "none")).exit_code == 2


@pytest.mark.parametrize(
    "arguments", [["nodes", "drian", "a"], ["nodes", "drain"], ["nodes", "replace", "a"], ["nodes", "--output", "xml"]]
)
def test_wrong_arguments_are_exit_code_2(cluster: Any, arguments: list[str]) -> None:
    shown = cluster(*arguments)
    assert shown.exit_code == 2
    assert "Traceback" not in shown.output
    assert shown.stderr
