"""Trials of alerts about routers as clients."""

from collections.abc import Mapping

from dstk_observability.trials.kinds import Trial, becomes, grows, on, on_node, takes
from dstk_telemetry.registry.clients import CLIENT_QUEUE, CLIENT_RETRIES, CLIENT_SECONDS
from dstk_telemetry.registry.rpc import OPERATIONS

_ROUTER = {"instance": "router-1"}
_IDLE = grows(OPERATIONS, 0)

TRIALS: Mapping[str, Trial] = {
    "DstkClientRetries": Trial(
        [grows(CLIENT_RETRIES, 100, reason="OVERLOADED", **_ROUTER)],
        [on(**_ROUTER)],
        [[grows(CLIENT_RETRIES, 100, reason="NOT_OWNER")], [grows(CLIENT_RETRIES, 10, reason="OVERLOADED")], [_IDLE]],
        after=1,
    ),
    "DstkClientRedirects": Trial(
        [grows(CLIENT_RETRIES, 100, reason="NOT_OWNER", **_ROUTER)],
        [on(**_ROUTER)],
        [[grows(CLIENT_RETRIES, 100, reason="OVERLOADED")], [grows(CLIENT_RETRIES, 10, reason="NOT_OWNER")], [_IDLE]],
        after=1,
    ),
    "DstkRouterQueueGrows": Trial(
        [becomes(CLIENT_QUEUE, 20000, **_ROUTER)], [on_node("router-1", "router")], [[becomes(CLIENT_QUEUE, 9000)]]
    ),
    "DstkNodeMessagesSlow": Trial(
        [takes(CLIENT_SECONDS, 2, **_ROUTER)], [on(**_ROUTER)], [[takes(CLIENT_SECONDS, 0.9)]]
    ),
}
