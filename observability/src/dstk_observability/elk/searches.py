"""The searches that Kibana offers. In Lucene's query language, which OpenSearch understands too: tests run them."""

from dataclasses import dataclass

from dstk_observability.elk.names import UNPARSED


@dataclass(frozen=True, slots=True)
class Search:
    """A saved search. `columns`: names of fields, beside the time and the message."""

    id: str
    title: str
    meaning: str
    query: str
    columns: tuple[str, ...]


_WHO = ("service.name", "service.node.name")

SEARCHES = (
    Search("dstk-all", "DSTK: all lines", "Every line of the cluster, of etcd too.", "*", ("log.level", *_WHO)),
    Search(
        "dstk-errors",
        "DSTK: errors",
        "What failed, with the class of the exception where there is one.",
        "log.level:(error OR critical)",
        ("log.level", *_WHO, "error.type", "error.message"),
    ),
    Search(
        "dstk-exceptions",
        "DSTK: unexpected exceptions",
        "Lines with a traceback: each is a defect of DSTK, or of a library.",
        "_exists_:error.stack_trace AND NOT service.name:etcd",
        (*_WHO, "error.type", "error.message", "log.logger"),
    ),
    Search(
        "dstk-audit",
        "DSTK: control plane",
        "What operators, the controller and nodes did to partitions, nodes and settings.",
        "event.kind:event",
        ("event.action", "event.outcome", "dstk.origin", "dstk.partition", "dstk.epoch", "dstk.node", "event.reason"),
    ),
    Search(
        "dstk-requested",
        "DSTK: by operators and the controller",
        "Changes that someone asked for, with the reason.",
        "event.kind:event AND dstk.origin:(operator OR controller)",
        ("event.action", "event.outcome", "dstk.origin", "dstk.partition", "dstk.node", "event.reason"),
    ),
    Search(
        "dstk-failovers",
        "DSTK: failovers",
        "Elections, in-sync changes, and nodes that come and go.",
        "event.action:(failover OR primary_lost OR primary_serving OR in_sync OR out_of_sync OR node_joined OR node_left "
        "OR controller_elected)",
        ("event.action", "dstk.partition", "dstk.epoch", "dstk.node", "dstk.previous_primary", "service.node.name"),
    ),
    Search(
        "dstk-disks",
        "DSTK: disks and engines",
        "Full, hanging and failing disks, corrupt and replaced engines.",
        "event.action:(disk_* OR write_failed OR engine_* OR quarantined OR outvoted OR differs)",
        ("event.action", "service.node.name", "dstk.partition", "error.message", "dstk.disk.free_bytes"),
    ),
    Search(
        "dstk-etcd",
        "DSTK: etcd",
        "Warnings and errors of etcd, and of nodes that wait for it.",
        '(service.name:etcd AND log.level:(warning OR error OR critical)) OR message:"waiting for etcd"',
        ("log.level", *_WHO, "error.message", "etcd.details"),
    ),
    Search(
        "dstk-callers",
        "DSTK: retried and failed operations",
        "Why routers repeat or refuse operations, by reason.",
        "service.name:router AND _exists_:error.code",
        ("error.code", "dstk.count", "service.node.name"),
    ),
    Search(
        "dstk-lost",
        "DSTK: lines that are missing",
        "Suppressed by the throttle, lost because the log could not be written, or not understood by the pipeline.",
        f"_exists_:dstk.log.suppressed OR _exists_:dstk.log.dropped OR tags:{UNPARSED}",
        (*_WHO, "dstk.log.suppressed", "dstk.log.dropped", "tags"),
    ),
)
