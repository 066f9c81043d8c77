"""Trials of alerts about nodes, routers and calls."""

from collections.abc import Mapping

from dstk_observability.external import UP
from dstk_observability.trials.cluster import NEW, OLD
from dstk_observability.trials.kinds import Trial, becomes, gone, grows, on, on_node, takes
from dstk_telemetry.registry.replication import NOT_SERVING
from dstk_telemetry.registry.rpc import RPC_ENDED, RPC_SECONDS
from dstk_telemetry.registry.runtime import BUILD, READY_PARTS, STARTED

_NODE = {"instance": "storage-1"}
_METHOD = {"rpc_service": "dstk.v1.KeyValue", "rpc_method": "Get"}

TRIALS: Mapping[str, Trial] = {
    "DstkPartitionsNotServing": Trial([becomes(NOT_SERVING, 1, **_NODE)], [on_node()], [[gone(NOT_SERVING)]], step=15),
    "DstkNodesDown": Trial(
        [becomes(UP, 0, instance="storage-1"), becomes(UP, 0, instance="storage-3")],
        [on()],
        [[becomes(UP, 0, instance="storage-1")], [becomes(UP, 0, job="router"), becomes(UP, 0, job="etcd")]],
        step=15,
    ),
    "DstkNodeDown": Trial([becomes(UP, 0, **_NODE)], [on_node()], [[becomes(UP, 0, job="router")]], step=15),
    "DstkRoutersDown": Trial([becomes(UP, 0, job="router")], [on()], [[becomes(UP, 0, instance="router-1")]], step=15),
    "DstkRouterDown": Trial(
        [becomes(UP, 0, instance="router-2")],
        [on_node("router-2", "router")],
        [[becomes(UP, 0, job="storage")]],
        step=15,
    ),
    "DstkTargetsMissing": Trial(
        [gone(UP, job="storage"), gone(UP, job="etcd")],
        [{"job": "storage"}, {"job": "etcd"}],
        [[becomes(UP, 0)], [gone(UP, instance="router-1")]],
        after=4,
    ),
    "DstkNodeNotReady": Trial(
        [becomes(READY_PARTS, 0, part="serving", **_NODE)], [on_node(part="serving")], [[gone(READY_PARTS)]]
    ),
    "DstkProcessRestarts": Trial(
        [grows(STARTED, 0.1, **_NODE)],
        [on_node()],
        [[becomes(STARTED, 1.8e9)]],
        after=2,
    ),
    "DstkVersionsMixed": Trial(
        [becomes(BUILD, 1, **_NODE, version=NEW), gone(BUILD, **_NODE, version=OLD)],
        [on()],
        [[gone(BUILD, **_NODE)]],
    ),
    "DstkCallsFail": Trial(
        [grows(RPC_ENDED, 10, outcome="server", job="storage", **_METHOD)],
        [on(job="storage", **_METHOD)],
        [[grows(RPC_ENDED, 1000, outcome="client"), grows(RPC_ENDED, 1000, outcome="refused")]],
        after=2,
    ),
    "DstkCallsSlow": Trial(
        [takes(RPC_SECONDS, 2, job="router", rpc_method="Put")],
        [on(job="router", rpc_method="Put")],
        [[takes(RPC_SECONDS, 0.9)]],
    ),
}
