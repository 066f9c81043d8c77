"""Trials of alerts about disks."""

from collections.abc import Mapping

from dstk_observability.trials.kinds import Trial, becomes, gone, grows, jumps, on, on_node
from dstk_telemetry.registry.commit import COMMIT_FAILURES, DISK_CAPACITY, DISK_FREE, READ_ONLY

_NODE = {"instance": "storage-1"}
_SMALL = becomes(DISK_CAPACITY, 10e12, **_NODE)
"""A disk of which less than a tenth is free."""

TRIALS: Mapping[str, Trial] = {
    "DstkDiskReadOnly": Trial([becomes(READ_ONLY, 1, **_NODE)], [on_node()], [[gone(READ_ONLY)]], step=15),
    "DstkDiskFillsWithinHours": Trial(
        [becomes(DISK_CAPACITY, 2e12, **_NODE), grows(DISK_FREE, -60e6, **_NODE)],
        [on_node()],
        [
            [grows(DISK_FREE, -10e6, **_NODE), becomes(DISK_CAPACITY, 2e12, **_NODE)],
            [grows(DISK_FREE, -60e6, **_NODE), becomes(DISK_CAPACITY, 0.7e12, **_NODE)],
        ],
        after=32,
        quiet=60,
    ),
    "DstkDiskFillsWithinDays": Trial(
        [becomes(DISK_CAPACITY, 2e12, **_NODE), grows(DISK_FREE, -4e6, **_NODE)],
        [on_node()],
        [[becomes(DISK_CAPACITY, 2e12, **_NODE), grows(DISK_FREE, -0.5e6, **_NODE)]],
        after=18,
        step=600,
        quiet=36,
    ),
    "DstkDiskLow": Trial([_SMALL], [on_node()], [[becomes(DISK_CAPACITY, 5.9e12, **_NODE)], [gone(DISK_FREE)]]),
    "DstkClusterSpaceLow": Trial([becomes(DISK_FREE, 190e9)], [on()], [[_SMALL, becomes(DISK_FREE, 3e12)]]),
    "DstkDiskWritesFail": Trial([jumps(COMMIT_FAILURES, 1, **_NODE)], [on_node()], [[gone(COMMIT_FAILURES)]]),
}
