"""Trials of alerts about processes."""

from collections.abc import Mapping

from dstk_observability.external import PROCESS_CPU, PROCESS_MEMORY, PROCESS_OPEN_FILES
from dstk_observability.trials.kinds import Trial, becomes, grows, on_node, takes
from dstk_telemetry.registry.runtime import GC_SECONDS, LOOP_LAG, LOOP_TASKS

_NODE = {"instance": "storage-1"}

TRIALS: Mapping[str, Trial] = {
    "DstkEventLoopBlocked": Trial([takes(LOOP_LAG, 0.4, **_NODE)], [on_node()], [[takes(LOOP_LAG, 0.2)]]),
    "DstkTasksGrow": Trial([becomes(LOOP_TASKS, 30000, **_NODE)], [on_node()], [[becomes(LOOP_TASKS, 15000)]]),
    "DstkGarbageCollectionLong": Trial([grows(GC_SECONDS, 0.5, **_NODE)], [on_node()], [[grows(GC_SECONDS, 0.09)]]),
    "DstkCpuSaturated": Trial([grows(PROCESS_CPU, 1.2, **_NODE)], [on_node()], [[grows(PROCESS_CPU, 0.9)]], after=2),
    "DstkDescriptorsLow": Trial(
        [becomes(PROCESS_OPEN_FILES, 60000, **_NODE)], [on_node()], [[becomes(PROCESS_OPEN_FILES, 50000)]]
    ),
    "DstkMemoryGrows": Trial(
        [becomes(PROCESS_MEMORY, 1.5e9, **_NODE)], [on_node()], [[becomes(PROCESS_MEMORY, 1.2e9)]], quiet=70
    ),
}
