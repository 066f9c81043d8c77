"""Grafana's dashboards, as plain values."""

from collections.abc import Sequence

from dstk_observability.dashboards import (
    clients,
    etcd,
    logs,
    metrics_service,
    node,
    overview,
    partition,
    replication,
    runtime,
    slo,
)
from dstk_observability.dashboards.model import Dashboard as Dashboard

DASHBOARDS: Sequence[Dashboard] = (
    overview.DASHBOARD,
    node.DASHBOARD,
    partition.DASHBOARD,
    replication.DASHBOARD,
    clients.DASHBOARD,
    metrics_service.DASHBOARD,
    etcd.DASHBOARD,
    runtime.DASHBOARD,
    logs.DASHBOARD,
    slo.DASHBOARD,
)
