"""All alerts."""

from collections.abc import Mapping, Sequence

from dstk_observability.alerts import (
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
from dstk_observability.alerts.kinds import Alert, Group

GROUPS: Sequence[Group] = (
    objectives.GROUP,
    nodes.GROUP,
    disk.GROUP,
    engine.GROUP,
    replication.GROUP,
    controller.GROUP,
    etcd.GROUP,
    routers.GROUP,
    metrics_service.GROUP,
    runtime.GROUP,
    monitoring.GROUP,
)
"""Symptoms first, then causes."""

ALERTS: Mapping[str, Alert] = {alert.name: alert for group in GROUPS for alert in group.alerts}
"""By name."""

AREA_OF: Mapping[str, str] = {alert.name: group.area for group in GROUPS for alert in group.alerts}
"""The area of each alert, by its name."""

assert len(ALERTS) == sum(len(group.alerts) for group in GROUPS), "two alerts have one name"
