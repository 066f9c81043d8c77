"""How each alert is tested: what happens to a healthy cluster, and which alerts fire then."""

from collections.abc import Mapping

from dstk_observability.trials import (
    controller,
    disk,
    engine,
    etcd,
    metrics_service,
    monitoring,
    nodes,
    objectives,
    replication,
    routers,
    runtime,
)
from dstk_observability.trials.kinds import Trial

TRIALS: Mapping[str, Trial] = {
    **objectives.TRIALS,
    **nodes.TRIALS,
    **disk.TRIALS,
    **engine.TRIALS,
    **replication.TRIALS,
    **controller.TRIALS,
    **etcd.TRIALS,
    **routers.TRIALS,
    **metrics_service.TRIALS,
    **runtime.TRIALS,
    **monitoring.TRIALS,
}
"""By the name of the alert."""
