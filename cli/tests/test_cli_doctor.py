"""The doctor: each finding when there is reason for it, and its absence when there is none."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dstk.v1 import admin_pb2
from dstk_cli.doctor import command
from dstk_cli.doctor.examine import CHECKS, examine
from dstk_cli.doctor.facts import Facts, Finding, Look, Severity
from dstk_service.errors import NotServing

NOW = 1_700_000_000_000


class Cluster:
    """Facts about three nodes and two partitions that are all well, and ways to spoil them."""

    def __init__(self, build: Any) -> None:
        self.build = build
        self.entries = [build.entry(1, "123", end=b"m"), build.entry(2, "231", start=b"m")]
        self.nodes = {name: build.node(name) for name in ("storage-1", "storage-2", "storage-3")}
        self.settings: dict[str, Any] = {"replicas": 3}
        self.leader = "storage-1"
        self.first: dict[tuple[int, str], dict[str, Any] | None] = {}
        self.second: dict[tuple[int, str], dict[str, Any] | None] = {}
        self.not_serving: list[int] = []
        self.silent: list[str] = []
        self.events: list[admin_pb2.Event] = []
        self.before: list[Any] | None = None

    def replica(self, number: int, name: str, *looks: dict[str, Any] | None) -> None:
        """How a replica differs from its primary's in the first and in the second look; once: in both. None: is not there."""
        self.first[number, f"storage-{name}"] = looks[0]
        self.second[number, f"storage-{name}"] = looks[-1]

    def facts(self, **fields: Any) -> Facts:
        controller = admin_pb2.GetControllerResponse(
            leader=self.leader, settings=admin_pb2.ControllerSettings(**self.settings)
        )
        first = self._look(self.before or self.entries, self.first)
        second = self._look(self.entries, self.second)
        made = Facts(list(self.nodes.values()), first, second, controller, events=tuple(self.events))
        return replace(made, **fields)

    def _look(self, entries: list[Any], differing: dict[tuple[int, str], dict[str, Any] | None]) -> Look:
        statuses = [self.build.figures(entry) for entry in entries]
        for status in statuses:
            status.serving = status.partition.id not in self.not_serving
        rows = {(entry.id, name): (entry, name) for entry in entries for name in entry.replicas}
        strays = {at: (next(each for each in entries if each.id == at[0]), at[1]) for at in differing if at not in rows}
        replicas = [
            self.build.replica(entry, name, **fields)
            for at, (entry, name) in {**rows, **strays}.items()
            if (fields := differing.get(at, {})) is not None and name not in self.silent
        ]
        return Look(entries, statuses, replicas, self.silent)


@pytest.fixture
def well(build: Any) -> Cluster:
    return Cluster(build)


def kinds(found: list[Finding]) -> list[str]:
    return [each.kind for each in found]


def only(found: list[Finding], kind: str) -> Finding:
    (one,) = [each for each in found if each.kind == kind]
    return one


def test_a_cluster_that_is_well_has_no_findings(well: Cluster) -> None:
    assert examine(well.facts()) == []


def at(*, epoch: int = 5, sequence: int) -> dict[str, Any]:
    return {"position_epoch": epoch, "position_sequence": sequence}


def gap(well: Cluster) -> None:
    well.entries[1].start = b"n"


def gap_at_the_end(well: Cluster) -> None:
    well.entries[1].end = b"z"


def gap_at_the_start(well: Cluster) -> None:
    well.entries[0].start = b"a"


def no_map(well: Cluster) -> None:
    well.entries = []


def overlap(well: Cluster) -> None:
    well.entries[1].start = b"k"


def primary_gone(well: Cluster) -> None:
    well.nodes["storage-1"] = well.build.gone("storage-1")


def not_serving(well: Cluster) -> None:
    well.not_serving = [2]


def one_in_sync(well: Cluster) -> None:
    well.entries[0] = well.build.entry(1, "1/23", end=b"m")


def two_in_sync(well: Cluster) -> None:
    well.entries[0] = well.build.entry(1, "12", end=b"m")


def behind(well: Cluster) -> None:
    well.replica(1, "2", at(sequence=90))


def behind_by_an_epoch(well: Cluster) -> None:
    well.replica(1, "2", at(epoch=4, sequence=100))


def ahead(well: Cluster) -> None:
    well.replica(1, "2", at(sequence=120))


def stuck_learner(well: Cluster) -> None:
    well.entries[0] = well.build.entry(1, "12/3", end=b"m")
    well.replica(1, "3", at(sequence=50))


def stale_epoch(well: Cluster) -> None:
    well.replica(2, "1", {"epoch": 4})


def two_primaries(well: Cluster) -> None:
    well.replica(1, "3", {"primary": True})


def missing(well: Cluster) -> None:
    well.replica(1, "3", None)


def quarantined(well: Cluster) -> None:
    well.replica(1, "3", {"quarantined": True})


def rebuilding(well: Cluster) -> None:
    well.replica(1, "3", {"rebuilding": True})


def comes_and_goes(well: Cluster) -> None:
    well.events = [
        admin_pb2.Event(at_ms=NOW + n, action="out_of_sync", partition_id=1, subject="storage-3") for n in range(3)
    ]


def gone(well: Cluster) -> None:
    well.nodes["storage-3"] = well.build.gone("storage-3")
    well.silent = ["storage-3"]


def silent(well: Cluster) -> None:
    about = well.nodes["storage-3"].node
    well.nodes["storage-3"] = admin_pb2.NodeStatus(node=about, alive=True)
    well.silent = ["storage-3"]


def read_only(well: Cluster) -> None:
    well.nodes["storage-3"].read_only = True


def low_disk(well: Cluster) -> None:
    well.nodes["storage-3"].free_bytes = 9 << 30


def clocks(well: Cluster) -> None:
    well.nodes["storage-3"].clock_ms += 1500


def no_etcd(well: Cluster) -> None:
    well.nodes["storage-3"].etcd_reachable = False


def mixed(well: Cluster) -> None:
    well.nodes["storage-3"].node.version = "0.2.0"


def cordoned(well: Cluster) -> None:
    well.nodes["storage-3"].wish = admin_pb2.NODE_WISH_CORDONED


def draining(well: Cluster) -> None:
    well.nodes["storage-3"].wish = admin_pb2.NODE_WISH_DRAINED


def emptied(well: Cluster) -> None:
    well.nodes["storage-4"] = well.build.node("storage-4", wish=admin_pb2.NODE_WISH_DRAINED)


def removed(well: Cluster) -> None:
    well.nodes["storage-4"] = well.build.gone("storage-4", wish=admin_pb2.NODE_WISH_REMOVED)


def leaderless(well: Cluster) -> None:
    well.leader = ""


def paused(well: Cluster) -> None:
    well.settings["paused"] = True


E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE

CASES: list[tuple[Callable[[Cluster], None], str, Severity, str, str, str]] = [
    (gap, "map_gap", E, "from m up to n", "the map", "dstk partitions"),
    (gap_at_the_start, "map_gap", E, "from the first up to a", "the map", "dstk partitions"),
    (gap_at_the_end, "map_gap", E, "from z up to the last", "the map", "dstk partitions"),
    (no_map, "map_gap", E, "has not been bootstrapped", "the whole key space", "dstk nodes"),
    (overlap, "map_overlap", E, "1 and 2 both hold the keys from k on", "partitions 1, 2", "dstk partitions show 2"),
    (primary_gone, "no_primary", E, "storage-1 is gone", "partition 1", "dstk partitions show 1"),
    (not_serving, "no_primary", E, "storage-2 does not serve it", "partition 2", "dstk partitions show 2"),
    (one_in_sync, "under_replicated", E, "1 of 3", "partition 1", "dstk partitions show 1"),
    (two_in_sync, "under_replicated", W, "2 of 3", "partition 1", "dstk controller plan"),
    (behind, "replica_behind", E, "stands at 5:90", "partition 1 on storage-2", "dstk partitions repair 1"),
    (behind_by_an_epoch, "replica_behind", E, "at 4:100", "partition 1 on storage-2", "dstk partitions repair 1"),
    (ahead, "replica_ahead", E, "stood at 5:120", "partition 1 on storage-2", "dstk partitions repair 1"),
    (stuck_learner, "learner_stuck", W, "stands at 5:50", "partition 1 on storage-3", "dstk partitions show 1"),
    (stale_epoch, "epoch_stale", E, "epoch 4 of the map, which is at 5", "partition 2 on storage-1", "dstk partitions"),
    (two_primaries, "two_primaries", E, "which is storage-1", "partition 1 on storage-3", "dstk partitions show 1"),
    (missing, "replica_missing", E, "and has none", "partition 1 on storage-3", "dstk partitions show 1"),
    (quarantined, "quarantined", E, "corrupt", "partition 1 on storage-3", "dstk partitions repair 1 --apply"),
    (rebuilding, "rebuilding", N, "being copied", "partition 1 on storage-3", "dstk partitions show 1"),
    (comes_and_goes, "comes_and_goes", E, "3 times", "partition 1 on storage-3", "dstk controller events"),
    (gone, "node_gone", E, "has replicas of partitions 1, 2", "storage-3", "dstk nodes remove storage-3"),
    (silent, "node_silent", E, "does not answer", "storage-3", "dstk nodes"),
    (read_only, "read_only", E, "60 GiB of 100 GiB are free", "storage-3", "dstk nodes drain storage-3"),
    (low_disk, "low_disk", W, "9.0 GiB of 100 GiB are free", "storage-3", "dstk nodes cordon storage-3"),
    (clocks, "clocks_apart", W, "1.5 s ahead of storage-1's", "storage-1, storage-3", "dstk nodes"),
    (no_etcd, "no_etcd", E, "does not reach etcd", "storage-3", "dstk nodes"),
    (mixed, "mixed_versions", W, "0.1.0: storage-1, storage-2; 0.2.0: storage-3", "nodes", "dstk nodes"),
    (cordoned, "cordoned", N, "given nothing new", "storage-3", "dstk nodes uncordon storage-3"),
    (draining, "draining", N, "2 replicas are left", "storage-3", "dstk nodes drain storage-3 --wait"),
    (emptied, "emptied", N, "emptied and still runs", "storage-4", "dstk nodes uncordon storage-4"),
    (removed, "emptied", N, "emptied and is gone", "storage-4", "dstk nodes uncordon storage-4"),
    (leaderless, "no_controller", E, "nobody is the controller", "controller", "dstk controller status"),
    (paused, "controller_paused", W, "it would do 0 steps", "controller", "dstk controller resume"),
]


@pytest.mark.parametrize(
    ("spoil", "kind", "severity", "what", "where", "run"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_each_trouble_is_found_said_placed_and_helped(
    well: Cluster, spoil: Callable[[Cluster], None], kind: str, severity: Severity, what: str, where: str, run: str
) -> None:
    spoil(well)
    found = only(examine(well.facts()), kind)
    assert found.severity is severity
    assert what in found.what
    assert found.where == where
    assert found.run.startswith(run)


@pytest.mark.parametrize(
    "spoil",
    [case[0] for case in CASES if case[0] not in {primary_gone, gone, silent, one_in_sync, no_map, stuck_learner}],
)
def test_each_trouble_is_found_alone(well: Cluster, spoil: Callable[[Cluster], None]) -> None:
    spoil(well)
    assert len(examine(well.facts())) == 1


def test_what_is_in_flight_is_no_finding(well: Cluster) -> None:
    well.replica(1, "1", at(sequence=100), at(sequence=200))
    well.replica(1, "2", at(sequence=103), at(sequence=203))
    well.replica(1, "3", at(sequence=120), at(sequence=200))
    well.replica(2, "2", at(sequence=10), at(sequence=500))
    well.replica(2, "1", at(sequence=10), at(sequence=499))
    well.replica(2, "3", at(sequence=10), at(sequence=498))
    assert examine(well.facts()) == []


def test_a_learner_that_gets_on_is_only_missing_from_the_in_sync_set(well: Cluster) -> None:
    well.entries[0] = well.build.entry(1, "12/3", end=b"m")
    well.replica(1, "3", at(sequence=10), at(sequence=50))
    assert kinds(examine(well.facts())) == ["under_replicated"]


def test_what_was_so_in_one_look_only_has_passed(well: Cluster) -> None:
    well.before = [well.build.entry(1, "1/23", end=b"m"), well.entries[1]]
    well.replica(1, "3", {"rebuilding": True}, {})
    well.replica(2, "1", {"primary": True}, {})
    well.replica(2, "3", None, {})
    assert examine(well.facts()) == []


def test_a_split_between_the_looks_is_no_trouble(well: Cluster) -> None:
    build = well.build
    well.before = [build.entry(1, "123"), build.entry(2, "231", start=b"m")]
    well.before[0].end = b"m"
    lower, upper = build.entry(1, "123", end=b"g", epoch=6), build.entry(3, "123", start=b"g", end=b"m", epoch=6)
    well.entries = [lower, upper, well.entries[1]]
    well.replica(1, "1", at(sequence=100))
    well.replica(1, "2", at(sequence=100))
    well.replica(1, "3", at(sequence=100))
    assert examine(well.facts()) == []


def test_a_switch_between_the_looks_is_no_trouble(well: Cluster) -> None:
    well.before = [well.build.entry(1, "123", end=b"m", epoch=4), well.entries[1]]
    well.entries = [well.build.entry(1, "213", end=b"m"), well.entries[1]]
    assert examine(well.facts()) == []


def test_a_primary_that_is_gone_with_no_other_in_sync_needs_somebody_to_decide(well: Cluster) -> None:
    well.entries[0] = well.build.entry(1, "1/23", end=b"m")
    well.nodes["storage-1"] = well.build.gone("storage-1")
    found = only(examine(well.facts()), "no_primary")
    assert found.run == "dstk partitions repair 1 --force-primary NODE"


def test_a_quarantined_primary_is_handed_over_first_and_the_last_replica_is_not_rebuilt_from_nothing(
    well: Cluster,
) -> None:
    well.replica(1, "1", {"quarantined": True})
    found = only(examine(well.facts()), "quarantined")
    assert found.run == "dstk partitions switch 1; dstk partitions repair 1 --apply"
    well.entries[0] = well.build.entry(1, "1", end=b"m")
    assert only(examine(well.facts()), "quarantined").run == "dstk partitions show 1"


def test_a_silent_member_of_the_in_sync_set_holds_writes_up(well: Cluster) -> None:
    silent(well)
    found = [each for each in examine(well.facts()) if each.kind == "in_sync_silent"]
    assert [each.where for each in found] == ["partition 1", "partition 2"]
    assert "replica_missing" not in kinds(examine(well.facts()))


def test_clocks_may_differ_by_as_long_as_the_asking_took(well: Cluster) -> None:
    clocks(well)
    assert examine(well.facts(nodes_took_s=0.6)) == []


def test_two_nodes_cannot_have_three_replicas_and_a_drained_one_needs_none(well: Cluster) -> None:
    well.entries = [well.build.entry(1, "12")]
    del well.nodes["storage-3"]
    assert examine(well.facts()) == []
    well.nodes["storage-3"] = well.build.node("storage-3", wish=admin_pb2.NODE_WISH_DRAINED)
    assert kinds(examine(well.facts())) == ["emptied"]


def test_old_falls_out_of_sync_and_rare_ones_are_no_finding(well: Cluster) -> None:
    hour = 3_600_000
    well.events = [
        admin_pb2.Event(at_ms=NOW - n * hour, action="out_of_sync", partition_id=1, subject="storage-3")
        for n in range(5)
    ]
    assert examine(well.facts()) == []


def test_a_controller_that_cannot_be_asked_is_an_error(well: Cluster) -> None:
    found = only(examine(well.facts(controller=None, controller_trouble="etcd is away")), "controller_unknown")
    assert (found.severity, "etcd is away" in found.what) == (Severity.ERROR, True)


def test_the_worst_comes_first(well: Cluster) -> None:
    for spoil in (cordoned, mixed, no_etcd):
        spoil(well)
    assert [each.severity for each in examine(well.facts())] == [E, W, N]


@pytest.fixture
def cluster(operate: Any, build: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(command, "APART_SECONDS", 0.01)
    operate.router.shows(build.entry(1, "123", end=b"m"), build.entry(2, "231", start=b"m"))
    return operate


def test_all_is_well_is_said_with_how_much_was_looked_at(cluster: Any) -> None:
    shown = cluster("doctor")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout == f"everything is fine   3 nodes, 2 partitions, 6 replicas, {len(CHECKS)} checks\n"
    as_json = json.loads(cluster("doctor", "--output", "json").stdout)
    checked = {"nodes": 3, "partitions": 2, "replicas": 6, "checks": len(CHECKS)}
    assert as_json == {"healthy": True, "checked": checked, "findings": []}


def test_warnings_and_notes_do_not_fail(cluster: Any, build: Any) -> None:
    nodes = [build.node("storage-1"), build.node("storage-2", version="0.2.0"), build.node("storage-3")]
    cluster.router.answers["ListNodes"] = [admin_pb2.ListNodesResponse(nodes=nodes)]
    shown = cluster("doctor")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[-1].startswith("1 warning   3 nodes")


def test_what_is_broken_is_exit_code_1_in_a_table_and_in_json(cluster: Any, build: Any) -> None:
    cluster.router.shows(
        build.entry(1, "12/3"), nodes=[*map(build.node, ("storage-1", "storage-2")), build.gone("storage-3")]
    )
    cluster.router.answers["ListReplicas"] = [
        admin_pb2.ListReplicasResponse(
            replicas=[build.replica(build.entry(1, "12/3"), f"storage-{n}") for n in (1, 2)],
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
        f"1 error, 1 warning 3 nodes, 1 partition, 2 replicas, {len(CHECKS)} checks",
    ]
    as_json = json.loads(cluster("doctor", "-o", "json").stdout)
    assert not as_json["healthy"]
    assert [each["kind"] for each in as_json["findings"]] == ["node_gone", "under_replicated"]


def test_many_of_a_kind_are_cut_for_people_and_whole_for_programs(cluster: Any, build: Any) -> None:
    starts = [b"", *(b"%02d" % number for number in range(1, 30)), b""]
    cluster.router.shows(
        *(build.entry(n + 1, "1/23", start=starts[n], end=starts[n + 1]) for n in range(30)),
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
    assert "cannot be asked: not serving: waiting for etcd" in shown.stdout


def test_a_router_that_cannot_be_reached_is_a_clean_error(cluster: Any) -> None:
    shown = cluster("doctor", DSTK_ROUTER="127.0.0.1:1")
    assert shown.exit_code == 1
    assert "Traceback" not in shown.output
    assert "is the cluster up?" in shown.stderr
