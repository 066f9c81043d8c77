"""A cluster under traffic, watched by a real Prometheus whose alerts a real Alertmanager delivers to a receiver."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kit.operators import Operator, operator_at
from kit.process_cluster import ProcessCluster

from dstk_observability.alerts import ALERTS
from dstk_observability.alerts.kinds import Severity
from dstk_observability.external import ALERTMANAGER, ETCD
from dstk_observability.rules import Pace
from dstk_service.testing import eventually
from dstk_telemetry.registry.kinds import Owner
from observe.alertmanager_server import Alertmanager
from observe.prometheus_server import Addresses, Prometheus
from observe.receiver import Receiver, receiving
from observe.traffic import traffic_on

SPLITS = ("f", "p")
DISK_BYTES, RESERVE_BYTES = 64 << 20, 4 << 20
PACE = Pace(divisor=240, least=5)
"""A minute becomes five seconds, an hour fifteen, and four hours a minute."""
FIRES_WITHIN = RESOLVES_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Watched:
    """All that a fault may need."""

    cluster: ProcessCluster
    operator: Operator
    prometheus: Prometheus
    alertmanager: Alertmanager
    receiver: Receiver

    async def fires(self, alert: str) -> None:
        """Waits until an alert fires."""

        async def fired() -> bool:
            assert await self._states(alert, "firing"), f"{alert} does not fire"
            return True

        await eventually(fired, within=FIRES_WITHIN)

    async def ends(self, alert: str) -> None:
        """Waits until an alert neither fires nor is about to."""

        async def ended() -> bool:
            for state in ("firing", "pending"):
                assert not await self._states(alert, state), f"{alert} is {state}"
            return True

        await eventually(ended, within=RESOLVES_WITHIN)

    async def is_told(self, alert: str, status: str) -> None:
        """Waits until the receiver of the alert's severity was last told that it is firing, or resolved."""
        path = f"/{ALERTS[alert].severity}"

        def told() -> bool:
            found = self.receiver.statuses(path, alert)
            assert found[-1:] == [status], f"{path} was told that {alert} is {found}"
            return True

        await eventually(told, within=RESOLVES_WITHIN)

    async def _states(self, alert: str, state: str) -> bool:
        return bool(await self.prometheus.query(f'ALERTS{{alertname="{alert}", alertstate="{state}"}}'))


@asynccontextmanager
async def watching(directory: Path) -> AsyncIterator[Watched]:
    """Starts everything, and ends everything when the block ends."""
    options = ("--write-buffer-bytes", str(64 << 10), "--disk-reserve-bytes", str(RESERVE_BYTES))
    cluster = ProcessCluster(
        directory / "cluster",
        nodes=3,
        splits=SPLITS,
        router=True,
        routers=2,
        metrics=1,
        storage_options=options,
        disk_bytes=DISK_BYTES,
        tampered=True,
    )
    with receiving() as receiver:
        urls = {severity: f"http://{receiver.address}/{severity}" for severity in Severity}
        alertmanager = Alertmanager(directory / "alertmanager", urls)
        prometheus = Prometheus(directory / "prometheus", _targets(cluster, alertmanager), cluster="test", pace=PACE)
        router, nodes = cluster.address("router"), [cluster.address(name) for name in cluster.names]
        async with cluster, alertmanager, prometheus, traffic_on(router, nodes), operator_at(router) as operator:
            await operator.healed()
            yield Watched(cluster, operator, prometheus, alertmanager, receiver)


def _targets(cluster: ProcessCluster, alertmanager: Alertmanager) -> Addresses:
    return {
        "storage": {name: cluster.operations(name) for name in cluster.names},
        "router": {name: cluster.operations(name) for name in ("router", "router-2")},
        Owner.METRICS: {"metrics": cluster.operations("metrics")},
        ETCD: {"etcd": cluster.address("etcd")},
        ALERTMANAGER: {ALERTMANAGER: alertmanager.address},
    }
