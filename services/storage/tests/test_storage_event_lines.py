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
AT = {"partition": 7, "epoch": 4}
TO_OTHER = {"partition": 7, "node": "other"}
LINES: dict[Event, tuple[str, str, dict[str, Any]]] = {
    ElectionWon(SEVEN, 4, OTHER): ("INFO", "took over", {**AT, "from": "other"}),
    ReplicaAdmitted(SEVEN, OTHER, 4): ("INFO", "replica in sync", {**AT, "node": "other"}),
    ReplicaEvicted(SEVEN, OTHER, 4): ("WARNING", "out of sync", {**AT, "node": "other"}),
    ReplicaOutvoted(SEVEN, OTHER): ("ERROR", "a replica differs from what a majority holds, and is rebuilt", TO_OTHER),
    PartitionQuarantined(SEVEN, "a bad block"): ("ERROR", "quarantined: a bad block", {"error": "a bad block"}),
    WriteFailed("no space"): (
        "ERROR",
        "a write failed: refusing writes until the engine is reopened",
        {"error": "no space"},
    ),
    SnapshotStarted(SEVEN, OTHER): ("INFO", "sending a snapshot", TO_OTHER),
    SnapshotEnded(SEVEN, OTHER, 1, 1, 1.0, ""): ("INFO", "a snapshot is installed", TO_OTHER),
    SnapshotEnded(SEVEN, OTHER, 1, 1, 1.0, "cut"): ("INFO", "a snapshot begins again", {**TO_OTHER, "reason": "cut"}),
    MapChanged(MapChange.SPLIT, SEVEN, 4, other=EIGHT): ("INFO", "split", {**AT, "upper": 8}),
    MapChanged(MapChange.MERGE, SEVEN, 4, other=EIGHT): ("INFO", "merged", {**AT, "upper": 8}),
    MapChanged(MapChange.TRANSFER, SEVEN, 4, OTHER): ("INFO", "transferred", {**AT, "to": "other"}),
    MapChanged(MapChange.ADD_REPLICA, SEVEN, 4, OTHER): ("INFO", "replica added", {**AT, "node": "other"}),
    MapChanged(MapChange.REMOVE_REPLICA, SEVEN, 4, OTHER): ("INFO", "replica removed", {**AT, "node": "other"}),
    MapChanged(MapChange.FORCE_PRIMARY, SEVEN, 4, OTHER, position=Position(3, 9)): (
        "WARNING",
        "forced to be primary",
        {**AT, "position": (3, 9)},
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


def test_other_events_have_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        EventLines().observe(ElectionStarted(SEVEN, 4))
    assert not caplog.records
