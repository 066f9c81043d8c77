"""Storage nodes and routers as processes, and the partitions that they serve."""

from dstk_observability.alerts.kinds import Group, page, ticket
from dstk_observability.external import ETCD, UP
from dstk_observability.promql import Not, absent, now, over, rate, slower
from dstk_telemetry.registry.kinds import Owner
from dstk_telemetry.registry.replication import NOT_SERVING
from dstk_telemetry.registry.rpc import RPC_ENDED, RPC_SECONDS
from dstk_telemetry.registry.runtime import BUILD, READY_PARTS, STARTED

KEY_VALUE = "dstk.v1.KeyValue"
_WHO = "{{ $labels.instance }}"

GROUP = Group(
    "nodes",
    "Nodes, routers and calls",
    [
        page(
            "DstkPartitionsNotServing",
            "1m",
            now(NOT_SERVING).above(0),
            f"{{{{ $value }}}} partitions of {_WHO} serve no reads and no writes",
            "The node leads them and does not serve them: callers of their keys wait. A failover takes about a second.",
        ),
        page(
            "DstkNodesDown",
            "1m",
            now(UP, job=Owner.STORAGE).equals(0).count_by("cluster").at_least(2),
            "{{ $value }} storage nodes are down",
            "Partitions with two of three replicas on them have no majority of their data left, and some may serve nothing.",
        ),
        ticket(
            "DstkNodeDown",
            "2m",
            now(UP, job=Owner.STORAGE).equals(0),
            f"Storage node {_WHO} is down",
            "Other nodes serve its partitions. One more fault may stop some of them.",
        ),
        page(
            "DstkRoutersDown",
            "1m",
            now(UP, job=Owner.ROUTER).sum_by("cluster").equals(0),
            "No router is up",
            "Callers that are not thick clients reach nothing.",
        ),
        ticket(
            "DstkRouterDown",
            "2m",
            now(UP, job=Owner.ROUTER).equals(0),
            f"Router {_WHO} is down",
            "The other routers carry its callers.",
        ),
        page(
            "DstkTargetsMissing",
            "5m",
            absent(UP, job=Owner.STORAGE).or_(absent(UP, job=Owner.ROUTER)).or_(absent(UP, job=ETCD)),
            "Prometheus scrapes no {{ $labels.job }} process",
            "Its list of targets is empty, so no other alert about these processes can fire.",
        ),
        ticket(
            "DstkNodeNotReady",
            "5m",
            now(READY_PARTS).equals(0),
            f"{_WHO} is not ready: {{{{ $labels.part }}}}",
            "The process runs, and this part of its readiness has not held for five minutes.",
        ),
        ticket(
            "DstkProcessRestarts",
            "1m",
            over("changes", STARTED, "30m").at_least(3),
            f"{_WHO} restarted {{{{ $value }}}} times within half an hour",
            "It crashes, or something ends it, such as a memory limit or a failing health check.",
        ),
        ticket(
            "DstkVersionsMixed",
            "2h",
            now(BUILD, job=Owner.STORAGE).count_by("cluster", "version").count_by("cluster").above(1),
            "Storage nodes run {{ $value }} versions of DSTK",
            "An upgrade was not finished two hours after it began.",
        ),
        ticket(
            "DstkCallsFail",
            "10m",
            (
                rate(RPC_ENDED, "5m", outcome="server").sum_by("cluster", "job", "rpc_service", "rpc_method")
                / rate(RPC_ENDED, "5m", outcome=Not("client")).sum_by("cluster", "job", "rpc_service", "rpc_method")
            ).above(0.05),
            "{{ $value | humanizePercentage }} of {{ $labels.rpc_method }} calls fail ({{ $labels.job }})",
            "The server failed, or its answer is in doubt. Calls that callers cancel or get wrong do not count.",
        ),
        ticket(
            "DstkCallsSlow",
            "10m",
            slower(1, RPC_SECONDS, "5m", "cluster", "job", "rpc_method", rpc_service=KEY_VALUE),
            "One in a hundred {{ $labels.rpc_method }} calls takes {{ $value | humanizeDuration }} ({{ $labels.job }})",
            "Calls of KeyValue that are not streams should take milliseconds.",
        ),
    ],
)
