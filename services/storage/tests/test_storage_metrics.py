"""What a node's events become in its metrics."""

import pytest
from prometheus_client import generate_latest

from dstk_keytypes import NodeId, PartitionId
from dstk_service.observe import Event
from dstk_storage.adapters.metrics import NodeMetrics
from dstk_storage.domain.controller.model import Action
from dstk_storage.domain.events import (
    CorruptionFound,
    ElectionLost,
    ElectionWon,
    EngineReplaced,
    EpochBumped,
    GroupCommitted,
    MapChange,
    MapChanged,
    RangeCompacted,
    RecordsExpired,
    ReplicaAdmitted,
    ReplicaEvicted,
    ReplicaOutvoted,
    ReplicasDiffer,
    SnapshotEnded,
    StepEnded,
    WriteFailed,
)
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.registry import partitions, replication
from dstk_telemetry.registry.kinds import Owner

P, ME, OTHER = PartitionId(1), NodeId("me"), NodeId("other")
MOVED: list[tuple[Event, dict[str, float]]] = [
    (
        GroupCommitted(3, 5, 70, 0.25, 0.5),
        {
            "dstk_commit_wait_seconds_sum": 0.25,
            "dstk_commit_write_seconds_sum": 0.5,
            "dstk_commit_batches_sum": 3,
            "dstk_commit_records_total": 5,
            "dstk_commit_bytes_total": 70,
        },
    ),
    (WriteFailed("no space"), {"dstk_commit_failures_total": 1}),
    (ElectionWon(P, 2, OTHER), {'dstk_elections_total{result="won"}': 1, "dstk_failovers_total": 1}),
    (ElectionWon(P, 2, ME), {'dstk_elections_total{result="won"}': 1, "dstk_failovers_total": 0}),
    (ElectionLost(P, 2), {'dstk_elections_total{result="lost"}': 1}),
    (EpochBumped(P, 2), {"dstk_epoch_bumps_total": 1}),
    (ReplicaAdmitted(P, OTHER, 2), {'dstk_in_sync_changes_total{change="admitted"}': 1}),
    (ReplicaEvicted(P, OTHER, 2), {'dstk_in_sync_changes_total{change="evicted"}': 1}),
    (ReplicaOutvoted(P, OTHER), {'dstk_in_sync_changes_total{change="outvoted"}': 1}),
    (ReplicasDiffer(P, (ME, OTHER), 4), {"dstk_replicas_differ_total": 1}),
    (
        SnapshotEnded(P, OTHER, 5, 600, 2.0, ""),
        {
            'dstk_snapshots_total{result="installed"}': 1,
            "dstk_snapshot_seconds_sum": 2,
            "dstk_snapshot_bytes_total": 600,
        },
    ),
    (SnapshotEnded(P, OTHER, 5, 600, 2.0, "gone"), {'dstk_snapshots_total{result="given_up"}': 1}),
    (CorruptionFound("bad"), {"dstk_engine_corruptions_total": 1}),
    (EngineReplaced("bad"), {"dstk_engine_replacements_total": 1}),
    (RangeCompacted(100, 40, 0.5), {"dstk_engine_reclaimed_bytes_total": 60, "dstk_engine_reclaim_seconds_sum": 0.5}),
    (RangeCompacted(40, 100, 0.5), {"dstk_engine_reclaimed_bytes_total": 0}),
    (RecordsExpired(7, 2, more=True), {"dstk_expired_records_total": 7, "dstk_expiry_behind": 1}),
    (RecordsExpired(7, 2, more=False), {"dstk_expiry_behind": 0}),
    *((MapChanged(each, P, 2), {f'dstk_map_changes_total{{change="{each}"}}': 1}) for each in MapChange),
    *(
        (
            StepEnded(each, failed=failed),
            {f'dstk_controller_actions_total{{action="{each}",result="{"failed" if failed else "done"}"}}': 1},
        )
        for each in Action
        for failed in (True, False)
    ),
]


@pytest.mark.parametrize(("event", "expected"), MOVED, ids=lambda each: type(each).__name__)
def test_an_event_moves_its_metrics(event: Event, expected: dict[str, float]) -> None:
    instruments = Instruments(Owner.STORAGE)
    NodeMetrics(instruments, ME).observe(event)
    text = generate_latest(instruments.collector).decode()
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert {name: float(found[name]) for name in expected} == expected


def test_the_registry_has_every_change_and_action() -> None:
    assert set(replication.CHANGE.values) == set(MapChange)
    assert set(partitions.ACTION.values) == set(Action)
