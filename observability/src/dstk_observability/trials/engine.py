"""Trials of alerts about the commit pipeline, LevelDB and expiry."""

from collections.abc import Mapping

from dstk_observability.trials.kinds import Trial, becomes, gone, jumps, on, on_node, takes
from dstk_telemetry.registry.commit import COMMIT_WAIT, COMMIT_WRITE, QUEUE_AGE, QUEUE_BYTES
from dstk_telemetry.registry.engine import (
    CORRUPTIONS,
    ENGINE_BYTES,
    ENGINE_TABLES,
    EXPIRY_BEHIND,
    GARBAGE,
    REPLACEMENTS,
)

MIB, GIB = 1 << 20, 1 << 30
_NODE = {"instance": "storage-1"}
_ABOUT = [on(**_NODE)]

TRIALS: Mapping[str, Trial] = {
    "DstkDiskHangs": Trial([becomes(QUEUE_AGE, 6, **_NODE)], [on_node()], [[becomes(QUEUE_AGE, 3.9)]], step=15),
    "DstkCommitSlow": Trial([takes(COMMIT_WRITE, 0.8, **_NODE)], _ABOUT, [[takes(COMMIT_WRITE, 0.3)]]),
    "DstkCommitWaits": Trial([takes(COMMIT_WAIT, 3, **_NODE)], _ABOUT, [[takes(COMMIT_WAIT, 0.9)]]),
    "DstkCommitQueueFull": Trial(
        [becomes(QUEUE_BYTES, 60 * MIB, **_NODE)], [on_node()], [[becomes(QUEUE_BYTES, 40 * MIB)]]
    ),
    "DstkCompactionBehind": Trial(
        [becomes(ENGINE_TABLES, 9, level="0", **_NODE)],
        [on_node(level="0")],
        [[becomes(ENGINE_TABLES, 7, level="0"), becomes(ENGINE_TABLES, 100, level="1")]],
    ),
    "DstkGarbageGrows": Trial(
        [becomes(GARBAGE, 5 * GIB, **_NODE)],
        _ABOUT,
        [
            [becomes(GARBAGE, 3 * GIB)],
            [becomes(GARBAGE, 0.9 * GIB), becomes(ENGINE_BYTES, 0.1 * GIB)],
        ],
        step=600,
    ),
    "DstkBlockCorrupt": Trial([jumps(CORRUPTIONS, 1, **_NODE)], [on_node()], [[gone(CORRUPTIONS)]]),
    "DstkEngineReplaced": Trial([jumps(REPLACEMENTS, 1, **_NODE)], [on_node()], [[gone(REPLACEMENTS)]]),
    "DstkExpiryBehind": Trial([becomes(EXPIRY_BEHIND, 1, **_NODE)], [on_node()], [[gone(EXPIRY_BEHIND)]], after=4),
}
