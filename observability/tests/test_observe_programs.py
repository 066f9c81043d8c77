"""The programs export the metrics of theirs that rules read, and Prometheus loads what ships."""

import asyncio
from pathlib import Path

import pytest
from kit.process_cluster import ProcessCluster
from observe.alertmanager_server import Alertmanager
from observe.exposition import lines_of, missing
from observe.prometheus_server import Prometheus

from dstk_observability.alerts import ALERTS
from dstk_observability.alerts.kinds import Severity
from dstk_observability.external import ALERTMANAGER, ETCD, ETCD_PEER_ROUND_TRIP, EXTERNALS, PROMETHEUS, UP
from dstk_service.testing import eventually
from dstk_telemetry.registry.kinds import Owner

pytestmark = [pytest.mark.observe, pytest.mark.slow]

ALONE = {UP, ETCD_PEER_ROUND_TRIP}
"""Prometheus itself makes the one, and a single member of etcd has no peers: test_observe_etcd_peers has two members."""


async def test_every_program_exports_what_rules_read_of_it(tmp_path: Path) -> None:
    urls = dict.fromkeys(Severity, "http://127.0.0.1:1/")
    alertmanager = Alertmanager(tmp_path / "alertmanager", urls)
    cluster = ProcessCluster(tmp_path / "cluster", router=True)
    targets = {ALERTMANAGER: {ALERTMANAGER: alertmanager.address}}
    async with cluster, alertmanager, Prometheus(tmp_path / "prometheus", targets, cluster="test") as prometheus:
        addresses = {
            Owner.STORAGE: cluster.operations("storage-1"),
            Owner.ROUTER: cluster.operations("router"),
            ETCD: cluster.address("etcd"),
            PROMETHEUS: prometheus.address,
            ALERTMANAGER: alertmanager.address,
        }
        await eventually(lambda: any("alertmanager=" in line for line in lines_of(prometheus.address)))
        found = {job: await asyncio.to_thread(lines_of, address) for job, address in addresses.items()}
    families = [family for family in EXTERNALS if family not in ALONE]
    lacking = {
        (job, family.name): missing(family, found[job])
        for family in families
        for job in family.jobs
        if job in found and missing(family, found[job])
    }
    assert not lacking


async def test_prometheus_loads_every_alert_and_the_watchdog_fires(tmp_path: Path) -> None:
    async with Prometheus(tmp_path, {}, cluster="test") as prometheus:

        async def fires() -> bool:
            return bool(await prometheus.query('ALERTS{alertname="DstkWatchdog"}'))

        await eventually(fires)
        assert await prometheus.alerts() == sorted(ALERTS)
