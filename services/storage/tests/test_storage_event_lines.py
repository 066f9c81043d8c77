"""What happens on a node and has a line in its log, with its level and its fields."""

import logging
from typing import Any

import pytest

from dstk_keytypes import NodeId, PartitionId
from dstk_service.observe import Event
from dstk_storage.adapters.event_lines import EventLines
from dstk_storage.domain.events import (
    ElectionStarted,
    ElectionWon,
    MapChange,
    MapChanged,
    PartitionQuarantined,
    ReplicaAdmitted,
    ReplicaEvicted,
    ReplicaOutvoted,
    SnapshotEnded,
    SnapshotStarted,
    WriteFailed,
)
from dstk_storage.domain.history import Position

SEVEN, EIGHT, OTHER = PartitionId(7), PartitionId(8), NodeId("other")
TO_OTHER = {"partition": 7, "node": "other"}


def at(action: str, node: str | None = None) -> dict[str, Any]:
    """The fields of an action on partition 7 in epoch 4."""
    return {"action": action, "partition": 7, "epoch": 4} | ({} if node is None else {"node": node})


QUARANTINED, CUT = {"action": "quarantined", "error": "a bad block"}, {"outcome": "failure", "error": "cut"}
WRITE_FAILED = {"action": "write_failed", "error": "no space"}
LINES: dict[Event, tuple[str, str, dict[str, Any]]] = {
    ElectionWon(SEVEN, 4, OTHER): ("INFO", "took over", {**at("failover"), "previous": "other"}),
    ReplicaAdmitted(SEVEN, OTHER, 4): ("INFO", "replica in sync", at("in_sync", "other")),
    ReplicaEvicted(SEVEN, OTHER, 4): ("WARNING", "out of sync", at("out_of_sync", "other")),
    ReplicaOutvoted(SEVEN, OTHER): ("ERROR", "a replica differs from what a majority holds, and is rebuilt", TO_OTHER),
    PartitionQuarantined(SEVEN, "a bad block"): ("ERROR", "quarantined: a bad block", QUARANTINED),
    WriteFailed("no space"): ("ERROR", "a write failed: refusing writes until the engine is reopened", WRITE_FAILED),
    SnapshotStarted(SEVEN, OTHER): ("INFO", "sending a snapshot", TO_OTHER),
    SnapshotEnded(SEVEN, OTHER, 1, 2, 1.0, ""): ("INFO", "a snapshot is installed", {**TO_OTHER, "bytes": 2}),
    SnapshotEnded(SEVEN, OTHER, 1, 1, 1.0, "cut"): ("INFO", "a snapshot begins again", {**TO_OTHER, **CUT}),
    MapChanged(MapChange.SPLIT, SEVEN, 4, other=EIGHT): ("INFO", "split", {**at("split"), "upper": 8}),
    MapChanged(MapChange.MERGE, SEVEN, 4, other=EIGHT): ("INFO", "merged", {**at("merge"), "upper": 8}),
    MapChanged(MapChange.TRANSFER, SEVEN, 4, OTHER): ("INFO", "transferred", at("transfer_primary", "other")),
    MapChanged(MapChange.ADD_REPLICA, SEVEN, 4, OTHER): ("INFO", "replica added", at("add_replica", "other")),
    MapChanged(MapChange.REMOVE_REPLICA, SEVEN, 4, OTHER): ("INFO", "replica removed", at("remove_replica", "other")),
    MapChanged(MapChange.FORCE_PRIMARY, SEVEN, 4, OTHER, position=Position(3, 9)): (
        "WARNING",
        "forced to be primary",
        {**at("force_primary", "other"), "position": "3/9"},
    ),
}


@pytest.mark.parametrize("event", LINES, ids=lambda event: type(event).__name__)
def test_an_event_has_one_line_with_its_fields(event: Event, caplog: pytest.LogCaptureFixture) -> None:
    level, message, fields = LINES[event]
    with caplog.at_level(logging.INFO):
        EventLines().observe(event)
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (level, message)
    assert {name: vars(record)[name] for name in fields} == fields
    assert vars(record)["origin"] == "node"


def test_other_events_have_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        EventLines().observe(ElectionStarted(SEVEN, 4))
    assert not caplog.records
