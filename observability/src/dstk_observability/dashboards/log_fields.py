"""The fields of log lines that dashboards name."""

LEVEL, MESSAGE, TRACE = "log.level", "message", "trace.id"
CLUSTER, SERVICE, NODE = "dstk.cluster", "service.name", "service.node.name"
PARTITION, ACTION = "dstk.partition", "event.action"
TIME = "@timestamp"
