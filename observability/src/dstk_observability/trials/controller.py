"""Trials of alerts about the controller and single partitions."""

from collections.abc import Mapping

from dstk_observability.trials.kinds import Trial, becomes, gone, grows, on
from dstk_telemetry.registry.partitions import ACTIONS, BACKLOG, FINDINGS, LEADS, PAUSED, READS, SIZE

GIB = 1 << 30
_NODE = {"instance": "storage-1"}

TRIALS: Mapping[str, Trial] = {
    "DstkControllerMissing": Trial([becomes(LEADS, 0)], [on()], [[gone(LEADS)]]),
    "DstkControllerTwice": Trial([becomes(LEADS, 1, instance="storage-2")], [on()], [[gone(LEADS)]]),
    "DstkControllerPaused": Trial([becomes(PAUSED, 1)], [on()], [[gone(PAUSED)]], step=600),
    "DstkControllerBacklog": Trial(
        [becomes(BACKLOG, 2, **_NODE)], [on()], [[becomes(BACKLOG, 2), becomes(PAUSED, 1)]], step=600
    ),
    "DstkControllerStuck": Trial([becomes(FINDINGS, 1, **_NODE)], [on()], [[gone(FINDINGS)]]),
    "DstkControllerActionsFail": Trial(
        [grows(ACTIONS, 0.05, action="split", result="failed", **_NODE)],
        [on(action="split")],
        [[grows(ACTIONS, 1, result="done")]],
        after=1,
    ),
    "DstkPartitionHot": Trial(
        [grows(READS, 9000, partition="1", **_NODE)],
        [on(partition="1")],
        [
            [
                grows(READS, 9000, partition="1"),
                grows(READS, 9000, partition="2"),
                grows(READS, 9000, partition="others"),
            ],
            [grows(READS, 1500, partition="1", **_NODE)],
            [grows(READS, 9000, partition="others")],
        ],
        after=2,
    ),
    "DstkPartitionLarge": Trial(
        [becomes(SIZE, 2 * GIB, partition="2", **_NODE)],
        [on(partition="2")],
        [[becomes(SIZE, 0.9 * GIB), becomes(SIZE, 50 * GIB, partition="others")]],
    ),
}
