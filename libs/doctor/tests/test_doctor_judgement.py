"""The doctor: what is in flight, has passed or must be so is no trouble, and what to run depends on the rest."""

from kit import statuses
from kit.examined import NOW, FakeFacts, at, kinds, only

from dstk.v1 import admin_pb2
from dstk_doctor.examine import examine
from dstk_doctor.facts import Severity


def test_what_is_in_flight_is_no_finding(well: FakeFacts) -> None:
    well.replica(1, "1", at(sequence=100), at(sequence=200))
    well.replica(1, "2", at(sequence=103), at(sequence=203))
    well.replica(1, "3", at(sequence=120), at(sequence=200))
    well.replica(2, "2", at(sequence=10), at(sequence=500))
    well.replica(2, "1", at(sequence=10), at(sequence=499))
    well.replica(2, "3", at(sequence=10), at(sequence=498))
    assert examine(well.facts()) == []


def test_a_learner_that_gets_on_is_only_missing_from_the_in_sync_set(well: FakeFacts) -> None:
    well.entries[0] = statuses.entry(1, "12/3", end=b"m")
    well.replica(1, "3", at(sequence=10), at(sequence=50))
    assert kinds(examine(well.facts())) == ["under_replicated"]


def test_what_was_so_in_one_look_only_has_passed(well: FakeFacts) -> None:
    well.before = [statuses.entry(1, "1/23", end=b"m"), well.entries[1]]
    well.replica(1, "3", {"needs_snapshot": True}, {})
    well.replica(2, "1", {"primary": True}, {})
    well.replica(2, "3", None, {})
    assert examine(well.facts()) == []


def test_a_split_between_the_looks_is_no_trouble(well: FakeFacts) -> None:
    well.before = [statuses.entry(1, "123"), statuses.entry(2, "231", start=b"m")]
    well.before[0].end = b"m"
    lower, upper = statuses.entry(1, "123", end=b"g", epoch=6), statuses.entry(3, "123", start=b"g", end=b"m", epoch=6)
    well.entries = [lower, upper, well.entries[1]]
    well.replica(1, "1", at(sequence=100))
    well.replica(1, "2", at(sequence=100))
    well.replica(1, "3", at(sequence=100))
    assert examine(well.facts()) == []


def test_a_switch_between_the_looks_is_no_trouble(well: FakeFacts) -> None:
    well.before = [statuses.entry(1, "123", end=b"m", epoch=4), well.entries[1]]
    well.entries = [statuses.entry(1, "213", end=b"m"), well.entries[1]]
    assert examine(well.facts()) == []


def test_a_primary_that_is_gone_with_no_other_in_sync_needs_somebody_to_decide(well: FakeFacts) -> None:
    well.entries[0] = statuses.entry(1, "1/23", end=b"m")
    well.nodes["storage-1"] = statuses.gone("storage-1")
    found = only(examine(well.facts()), "no_primary")
    assert found.run == "dstk partitions repair 1 --force-primary NODE"


def test_a_quarantined_primary_is_handed_over_first_and_the_last_replica_is_not_rebuilt_from_nothing(
    well: FakeFacts,
) -> None:
    well.replica(1, "1", {"quarantined": True})
    found = only(examine(well.facts()), "quarantined")
    assert found.run == "dstk partitions transfer 1; dstk partitions repair 1 --apply"
    well.entries[0] = statuses.entry(1, "1", end=b"m")
    assert only(examine(well.facts()), "quarantined").run == "dstk partitions show 1"


def test_two_nodes_cannot_have_three_replicas_and_a_drained_one_needs_none(well: FakeFacts) -> None:
    well.entries = [statuses.entry(1, "12")]
    del well.nodes["storage-3"]
    assert examine(well.facts()) == []
    well.nodes["storage-3"] = statuses.node("storage-3", desired_state=admin_pb2.DESIRED_STATE_DRAINED)
    assert kinds(examine(well.facts())) == ["emptied"]


def test_old_falls_out_of_sync_and_rare_ones_are_no_finding(well: FakeFacts) -> None:
    hour = 3_600_000
    well.events = [
        admin_pb2.Event(at_ms=NOW - n * hour, action="out_of_sync", partition_id=1, subject="storage-3")
        for n in range(5)
    ]
    assert examine(well.facts()) == []


def test_a_controller_that_cannot_be_asked_is_an_error(well: FakeFacts) -> None:
    found = only(examine(well.facts(controller=None, controller_trouble="etcd is away")), "controller_unknown")
    assert (found.severity, "etcd is away" in found.what) == (Severity.ERROR, True)


def test_failures_by_the_callers_doing_those_before_and_those_of_another_process_are_no_finding(
    well: FakeFacts,
) -> None:
    old, counts = admin_pb2.FailureCounts(client=1, server=5), admin_pb2.FailureCounts
    for now in (counts(client=9, refused=9, server=5), counts(server=2), old):
        well.failures[1] = old, now
        assert examine(well.facts()) == []
    well.failures[1] = counts(), old
    well.before = [statuses.entry(1, "213", end=b"m", epoch=4), well.entries[1]]
    assert examine(well.facts()) == []
