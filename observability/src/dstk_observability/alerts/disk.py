"""Space on disks, and disks that fail."""

from dstk_observability.alerts.kinds import Group, page, ticket
from dstk_observability.promql import increase, now, predicted
from dstk_telemetry.registry.commit import COMMIT_FAILURES, DISK_CAPACITY, DISK_FREE, DISK_RESERVE, READ_ONLY

HOUR = 3600
_WHO = "{{ $labels.instance }}"

GROUP = Group(
    "disk",
    "Disks",
    [
        page(
            "DstkDiskReadOnly",
            "1m",
            now(READ_ONLY).equals(1),
            f"{_WHO} refuses puts: its disk is full or broken",
            "It transfers its partitions to followers with room. If there are none, callers get RESOURCE_EXHAUSTED.",
        ),
        page(
            "DstkDiskFillsWithinHours",
            "15m",
            predicted(DISK_FREE, "1h", 4 * HOUR)
            .below(now(DISK_RESERVE))
            .and_((now(DISK_FREE) / now(DISK_CAPACITY)).below(0.5)),
            f"The disk of {_WHO} is full within four hours",
            "As it fills since an hour, the node becomes read-only at {{ $value | humanize1024 }}B free.",
        ),
        ticket(
            "DstkDiskFillsWithinDays",
            "1h",
            predicted(DISK_FREE, "6h", 72 * HOUR)
            .below(now(DISK_RESERVE))
            .and_((now(DISK_FREE) / now(DISK_CAPACITY)).below(0.5)),
            f"The disk of {_WHO} is full within three days",
            "As it fills since six hours, the node will refuse puts.",
        ),
        ticket(
            "DstkDiskLow",
            "10m",
            (now(DISK_FREE) / now(DISK_CAPACITY)).below(0.1),
            f"{_WHO} has {{{{ $value | humanizePercentage }}}} of its disk left",
            "Below its reserve the node accepts deletions only.",
        ),
        ticket(
            "DstkClusterSpaceLow",
            "30m",
            (now(DISK_FREE).sum_by("cluster") / now(DISK_CAPACITY).sum_by("cluster")).below(0.2),
            "All disks together have {{ $value | humanizePercentage }} left",
            "If a node is lost, the others may have no room for its replicas.",
        ),
        ticket(
            "DstkDiskWritesFail",
            "1m",
            increase(COMMIT_FAILURES, "10m").above(0),
            f"The disk of {_WHO} refused a write",
            "The node reopened its engine. The writes of that moment were answered with WRITE_AMBIGUOUS.",
        ),
    ],
)
