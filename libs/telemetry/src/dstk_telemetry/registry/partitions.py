"""Metrics of single partitions, within a budget, and of the controller."""

from dstk_telemetry.registry.kinds import Label, Owner, Unit, counter, gauge
from dstk_telemetry.registry.labels import PARTITION

STORAGE = (Owner.STORAGE,)
OTHERS = "others"
"""The value of the label `partition` in the sums of those that have no series of their own."""
ACTION = Label("action", "of the controller", ("split", "merge", "add_replica", "remove_replica", "transfer_primary"))
RESULT = Label("result", "how it ended", ("done", "failed"))

READS = counter("dstk_partition_reads_total", "Reads of a partition led here.", PARTITION, owners=STORAGE)
WRITES = counter("dstk_partition_writes_total", "Writes to a partition led here.", PARTITION, owners=STORAGE)
RECORDS = gauge("dstk_partition_records", "Records of a partition led here, estimated.", PARTITION, owners=STORAGE)
SIZE = gauge(
    "dstk_partition_size_bytes", "Bytes of a partition led here, estimated.", PARTITION, unit=Unit.BYTES, owners=STORAGE
)
LEADS = gauge("dstk_controller_leads", "1 on the node that leads the controller.", owners=STORAGE)
PAUSED = gauge("dstk_controller_paused", "1 while the controller takes no action.", owners=STORAGE)
ACTIONS = counter(
    "dstk_controller_actions_total", "Actions of the controller on this node.", ACTION, RESULT, owners=STORAGE
)
BACKLOG = gauge(
    "dstk_controller_backlog",
    "Actions that are under way, or that a paused controller would take. 0 on nodes that do not lead it.",
    owners=STORAGE,
)
FINDINGS = gauge(
    "dstk_controller_findings",
    "Problems that the controller cannot fix at the moment. 0 on nodes that do not lead it.",
    owners=STORAGE,
)

METRICS = (READS, WRITES, RECORDS, SIZE, LEADS, PAUSED, ACTIONS, BACKLOG, FINDINGS)
