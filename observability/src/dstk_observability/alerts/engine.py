"""The commit pipeline, LevelDB and expiry."""

from dstk_observability.alerts.kinds import Group, page, ticket
from dstk_observability.promql import happened, increase, now, over, slower
from dstk_storage.config import StorageConfig
from dstk_telemetry.registry.commit import COMMIT_WAIT, COMMIT_WRITE, QUEUE_AGE, QUEUE_BYTES
from dstk_telemetry.registry.engine import (
    CORRUPTIONS,
    ENGINE_BYTES,
    ENGINE_TABLES,
    EXPIRY_BEHIND,
    GARBAGE,
    REPLACEMENTS,
)

QUEUE_LIMIT: int = StorageConfig.model_fields["queue_bytes"].default
SLOWED_TABLES = 8
"""With so many tables in level 0 LevelDB delays writes, and with 12 it stops them."""
_WHO = "{{ $labels.instance }}"

GROUP = Group(
    "engine",
    "Commit pipeline, LevelDB and expiry",
    [
        page(
            "DstkDiskHangs",
            "1m",
            now(QUEUE_AGE).above(4),
            f"A write of {_WHO} waits for the disk since {{{{ $value | humanizeDuration }}}}",
            "A primary resigns after four seconds. If followers' disks hang too, writes stop.",
        ),
        ticket(
            "DstkCommitSlow",
            "10m",
            slower(0.512, COMMIT_WRITE, "5m", "cluster", "instance"),
            f"One in a hundred engine writes of {_WHO} takes {{{{ $value | humanizeDuration }}}}",
            "Each write waits for the slowest disk of its partition's replicas in sync.",
        ),
        ticket(
            "DstkCommitWaits",
            "10m",
            slower(1, COMMIT_WAIT, "5m", "cluster", "instance"),
            f"Writes of {_WHO} wait {{{{ $value | humanizeDuration }}}} for their turn",
            "More writes arrive than the disk takes.",
        ),
        ticket(
            "DstkCommitQueueFull",
            "5m",
            now(QUEUE_BYTES).above(0.75 * QUEUE_LIMIT),
            f"{_WHO} has {{{{ $value | humanize1024 }}}}B of writes in its queue",
            f"At {QUEUE_LIMIT >> 20} MiB it answers further ones with RESOURCE_EXHAUSTED.",
        ),
        ticket(
            "DstkCompactionBehind",
            "10m",
            now(ENGINE_TABLES, level="0").at_least(SLOWED_TABLES),
            f"LevelDB of {_WHO} has {{{{ $value }}}} tables in level 0",
            "Compactions do not keep up with the writes: from 8 tables on LevelDB delays writes, and at 12 it stops them.",
        ),
        ticket(
            "DstkGarbageGrows",
            "6h",
            (now(GARBAGE).max_by("cluster", "instance") / now(ENGINE_BYTES).sum_by("cluster", "instance"))
            .above(0.5)
            .and_(now(GARBAGE).max_by("cluster", "instance").above(1 << 30)),
            f"{{{{ $value | humanizePercentage }}}} of {_WHO}'s data are deleted records",
            "The background compaction of deleted ranges has not kept up for six hours.",
        ),
        ticket(
            "DstkBlockCorrupt",
            "1m",
            increase(CORRUPTIONS, "1h").above(0),
            f"{_WHO} read a corrupt block",
            "The node resets its engine and is rebuilt from the others. Two corrupt blocks are a reason to replace the disk.",
        ),
        ticket(
            "DstkEngineReplaced",
            "1m",
            happened(REPLACEMENTS, "1h"),
            f"{_WHO} started with an empty engine",
            "Its files were damaged, lost or older than the cluster's record of them. It is rebuilt from the others.",
        ),
        ticket(
            "DstkExpiryBehind",
            "30m",
            over("min_over_time", EXPIRY_BEHIND, "5m").equals(1),
            f"{_WHO} does not keep up with expired records",
            "More records expire than the reaper removes. They are not returned, but take space.",
        ),
    ],
)
