"""`dstk controller` against a scripted router."""

import json
import os
import signal
from typing import Any

import pytest

from dstk.v1 import admin_pb2
from dstk_cli.errors import CliError
from dstk_cli.operate import controller, settings
from dstk_service.controller_settings import BOUNDS
from dstk_service.errors import InvalidArgument

SETTINGS = {
    "replicas": 3,
    "gone_seconds": 90.0,
    "split_bytes": 2 << 30,
    "split_operations": 20_000.0,
    "merge_share": 0.25,
    "moves_at_once": 2,
    "compare_hours": 24.0,
    "compare_bytes_per_second": 2097152,
}


@pytest.fixture
def cluster(operate: Any) -> Any:
    """A controller that would do two steps, and has done two."""
    operate.router.answers["GetController"] = [
        admin_pb2.GetControllerResponse(
            leader="storage-2",
            settings=admin_pb2.ControllerSettings(**SETTINGS),
            plan=[
                admin_pb2.PlannedStep(
                    action="add_replica",
                    partition_id=7,
                    node="storage-4",
                    reason="storage-3 has been gone for 95 s",
                    state=admin_pb2.STEP_STATE_RUNNING,
                ),
                admin_pb2.PlannedStep(
                    action="merge", partition_id=9, at=b"m", reason="both [small]", state=admin_pb2.STEP_STATE_PLANNED
                ),
                admin_pb2.PlannedStep(partition_id=4, reason="no node", state=admin_pb2.STEP_STATE_BLOCKED),
            ],
        )
    ]
    operate.router.answers["ListEvents"] = [admin_pb2.ListEventsResponse(events=[event(2), event(1)])]
    operate.router.answers["SetController"] = [
        lambda request: admin_pb2.SetControllerResponse(settings=request.settings)
    ]
    return operate


def event(number: int) -> admin_pb2.Event:
    return admin_pb2.Event(
        at_ms=1_700_000_000_000 + number,
        node="storage-2",
        action="failover",
        partition_id=number,
        subject="storage-1" if number % 2 else "",
        origin=admin_pb2.EVENT_ORIGIN_NODE,
        reason=f"reason {number}",
        outcome=admin_pb2.EVENT_OUTCOME_DONE,
    )


def words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_status_names_the_controller_and_its_settings(cluster: Any) -> None:
    shown = words(cluster("controller", "status").stdout)
    assert shown[0] == "controller: storage-2, running, 2 steps planned, 1 blocked"
    assert shown[2:6] == [
        "setting value meaning",
        "paused false the controller plans but takes no action",
        "replicas 3 replicas of each partition, if there are enough nodes",
        "gone_seconds 90 (1 min 30 s) how long a node must be gone before its replicas are rebuilt elsewhere",
    ]
    assert shown[6].startswith("split_bytes 2147483648 (2.0 GiB)")
    as_json = json.loads(cluster("controller", "status", "-o", "json").stdout)
    assert as_json == {"leader": "storage-2", "settings": {"paused": False, **SETTINGS}, "steps": 2, "blocked": 1}


def test_a_missing_and_a_paused_controller_are_told_apart(cluster: Any) -> None:
    cluster.router.answers["GetController"] = [admin_pb2.GetControllerResponse()]
    assert "controller: none at the moment, not running, 0 steps planned" in cluster("controller", "status").stdout
    paused = admin_pb2.ControllerSettings(paused=True)
    cluster.router.answers["GetController"] = [admin_pb2.GetControllerResponse(leader="a", settings=paused)]
    assert "controller: a, paused, 0 steps" in cluster("controller", "status").stdout


def test_the_plan_is_a_table_with_reasons(cluster: Any) -> None:
    assert words(cluster("controller", "plan").stdout) == [
        "state step partition node key reason",
        "1 running add_replica 7 storage-4 - storage-3 has been gone for 95 s",
        "2 planned merge 9 - m both [small]",
        "3 blocked - 4 - - no node",
    ]
    as_json = json.loads(cluster("controller", "plan", "-o", "json").stdout)
    assert as_json["plan"][1] == {
        "state": "planned",
        "action": "merge",
        "partition_id": 9,
        "node": None,
        "at": "m",
        "reason": "both [small]",
    }


def test_an_empty_plan_and_a_paused_one_say_so(cluster: Any) -> None:
    paused = admin_pb2.ControllerSettings(paused=True)
    cluster.router.answers["GetController"] = [admin_pb2.GetControllerResponse(leader="a", settings=paused)]
    shown = cluster("controller", "plan")
    assert shown.stdout == "nothing to do: all partitions are as they should be\n"
    assert shown.stderr == "paused: the plan is not carried out before `dstk controller resume`\n"


@pytest.mark.parametrize(
    ("command", "fields", "values"),
    [
        (["pause"], ["paused"], {"paused": True}),
        (["resume"], ["paused"], {"paused": False}),
        (["set", "replicas=3"], ["replicas"], {"replicas": 3}),
        (
            ["set", "gone_seconds=10m", "split_bytes=1.5GiB", "merge_share=never"],
            ["gone_seconds", "split_bytes", "merge_share"],
            {"gone_seconds": 600, "split_bytes": 3 << 29, "merge_share": 0},
        ),
        (
            ["set", "compare_hours=36h", "compare_bytes_per_second=64KiB"],
            ["compare_hours", "compare_bytes_per_second"],
            {"compare_hours": 36, "compare_bytes_per_second": 65536},
        ),
        (["set", "compare_hours=90min"], ["compare_hours"], {"compare_hours": 1.5}),
        (["set", "compare_hours=never"], ["compare_hours"], {"compare_hours": 0}),
        (["set", "compare_hours=0.25"], ["compare_hours"], {"compare_hours": 0.25}),
        (["set", "paused=true", "split_operations=1e4"], ["paused", "split_operations"], {"split_operations": 1e4}),
    ],
)
def test_only_the_settings_that_are_named_are_changed(
    cluster: Any, command: list[str], fields: list[str], values: dict[str, Any]
) -> None:
    shown = cluster("controller", *command)
    assert shown.exit_code == 0, shown.output
    ((method, request),) = cluster.router.asked
    assert (method, list(request.fields)) == ("SetController", fields)
    for name, value in values.items():
        assert getattr(request.settings, name) == value
    assert fields[0] in shown.stdout
    assert set(json.loads(cluster("controller", *command, "-o", "json").stdout)) == set(BOUNDS)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("replicas", "'replicas' sets nothing"),
        ("replicas=8", "replicas 8 is out of bounds: it must be a whole number in 1..7"),
        ("replicas=-1", "replicas -1 is out of bounds: it must be a whole number in 1..7"),
        ("replicas=2.5", "replicas 2.5 is out of bounds: it must be a whole number in 1..7"),
        ("replicas=many", "'many' is not a value"),
        ("replicas=nan", "replicas nan is out of bounds"),
        ("split_bytes=1KiB", "split_bytes 1024 is out of bounds: it must be whole bytes in 1 MiB..1 TiB"),
        ("split_bytes=0MiB", "split_bytes 0 is out of bounds"),
        ("gone_seconds=0s", "gone_seconds 0.0 is out of bounds"),
        ("gone_seconds=10M", "'10M' is not a value"),
        ("paused=2", "paused 2.0 is out of bounds: it must be true or false"),
        ("replica=3", "fields 'replica' is out of bounds: it must be one of paused, replicas"),
        ("merge_share=0.6", "merge_share 0.6 is out of bounds: it must be 0 (never)..0.5"),
    ],
)
def test_wrong_settings_name_the_value_and_the_limit(cluster: Any, assignment: str, said: str) -> None:
    shown = cluster("controller", "set", assignment)
    assert shown.exit_code == 2
    assert said in shown.stderr
    assert cluster.router.asked == []


def test_settings_are_checked_one_by_one() -> None:
    with pytest.raises(InvalidArgument):
        settings.parse(["replicas=3", "moves_at_once=99"])
    with pytest.raises(CliError):
        settings.parse(["replicas=3", "x"])


def test_events_come_newest_first(cluster: Any) -> None:
    assert words(cluster("controller", "events").stdout) == [
        "time node origin event partition subject outcome reason",
        "2023-11-14T22:13:20Z storage-2 node failover 2 - done reason 2",
        "2023-11-14T22:13:20Z storage-2 node failover 1 storage-1 done reason 1",
    ]
    listed = json.loads(cluster("controller", "events", "-o", "json").stdout)["events"]
    assert [each["partition_id"] for each in listed] == [2, 1]


@pytest.mark.parametrize("limit", ["0", "1001", "-1"])
def test_how_many_events_is_bounded(cluster: Any, limit: str) -> None:
    shown = cluster("controller", "events", "--limit", limit)
    assert shown.exit_code == 2
    assert f"limit is {limit}, and must be 1..1000 events" in shown.stderr


@pytest.mark.parametrize("output", ["table", "json"])
def test_following_prints_each_event_once_as_it_happens(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setattr(controller, "FOLLOW_SECONDS", 0.01)

    def press(request: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return admin_pb2.ListEventsResponse()

    looks = ([2, 1, 0], [2, 1, 0], [3, 2, 1, 0], [3, 2, 4, 1, 0])
    cluster.router.answers["ListEvents"] = [
        *(admin_pb2.ListEventsResponse(events=map(event, numbers)) for numbers in looks),
        press,
    ]
    shown = cluster("controller", "events", "--follow", "--limit", "2", "-o", output)
    assert shown.exit_code == 130
    lines = shown.stdout.splitlines()
    numbers = [json.loads(line)["partition_id"] if output == "json" else int(line[-1]) for line in lines]
    assert numbers == [1, 2, 3, 4]
