"""The registry of actions: what the control plane does, and what befalls nodes and partitions. Each is one audit event.

A line with `action` is never throttled. Its category and type are those of the Elastic Common Schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class LogAction:
    """An action. `category`, `type`: event.category and event.type of ECS."""

    name: str
    meaning: str
    category: str = "database"
    type: str = "change"


_ALL = (
    LogAction("split", "A partition was split in two."),
    LogAction("merge", "Two neighbouring partitions became one."),
    LogAction("transfer_primary", "Another replica became the primary, as planned."),
    LogAction("add_replica", "A partition got a replica on another node."),
    LogAction("remove_replica", "A partition lost a replica, as planned."),
    LogAction("force_primary", "An operator made a replica the primary, whatever other replicas have."),
    LogAction("repair", "An operator had replicas rebuilt that differ from the primary."),
    LogAction("failover", "A node won the election for a partition."),
    LogAction("primary_serving", "A primary began to serve."),
    LogAction("primary_lost", "A node stopped being the primary of a partition."),
    LogAction("in_sync", "A follower joined the in-sync set."),
    LogAction("out_of_sync", "A follower left the in-sync set."),
    LogAction("outvoted", "A replica differed from the majority, and is rebuilt.", type="error"),
    LogAction("differs", "Replicas differ, and no majority agrees.", type="error"),
    LogAction("compare", "The replicas of a partition were compared.", type="info"),
    LogAction("quarantined", "A partition was taken out of service on a node.", type="error"),
    LogAction("converge", "A node's replicas were changed to what the partition map says."),
    LogAction("snapshot_started", "A primary began to send a whole replica.", type="start"),
    LogAction("snapshot_ended", "A whole replica was sent, or was given up.", type="end"),
    LogAction("make_map", "A new cluster got its partition map.", type="creation"),
    LogAction("write_failed", "The disk refused a write: the node takes no writes.", type="error"),
    LogAction("engine_reopened", "The engine was reopened after a failed write: writes resume."),
    LogAction("engine_corrupt", "The engine met corrupt data.", type="error"),
    LogAction("engine_replaced", "An empty engine took the place of the one that a node had."),
    LogAction("disk_full", "The disk is nearly full: the node accepts deletions only, or nothing.", type="error"),
    LogAction("disk_has_room", "The disk has room again: writes resume."),
    LogAction("disk_hangs", "The disk does not answer: others are to lead.", type="error"),
    LogAction("disk_answers", "The disk answers again."),
    LogAction("settings_changed", "An operator changed a setting of the controller.", "configuration"),
    LogAction("desired_state", "An operator cordons, drains or readmits a node.", "configuration"),
    LogAction("pause", "An operator paused the controller.", "configuration"),
    LogAction("resume", "An operator resumed the controller.", "configuration"),
    LogAction("controller_elected", "Another node is the controller.", "configuration"),
    LogAction("controller_started", "This node began to act as the controller.", "configuration", "start"),
    LogAction("controller_ended", "This node stopped acting as the controller.", "configuration", "end"),
    LogAction("controller_finding", "The controller found a problem that it cannot fix.", "configuration", "info"),
    LogAction("node_joined", "A node registered with the cluster.", "host", "start"),
    LogAction("node_left", "A node's registration ended.", "host", "end"),
    LogAction(
        "history_damaged", "A metrics service moved its damaged history aside, and began a new one.", type="error"
    ),
    LogAction("service_started", "A service answers calls.", "process", "start"),
    LogAction("service_stopping", "A service was told to stop.", "process", "end"),
    LogAction("service_stopped", "A service has stopped in order.", "process", "end"),
    LogAction("worker_ended", "A worker of a router ended unexpectedly, and is restarted.", "process", "end"),
)

ACTIONS: Final[Mapping[str, LogAction]] = {action.name: action for action in _ALL}
"""By name."""

SUCCESS, FAILURE, UNKNOWN = "success", "failure", "unknown"
OUTCOMES: Final = (SUCCESS, FAILURE, UNKNOWN)
"""How an action ends; success unless a line says otherwise."""
