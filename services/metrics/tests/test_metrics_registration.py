"""A metrics service is found in etcd while it serves."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kit.etcd import running_etcd
from kit.feeds import FakeFeed
from kit.metrics_service import config_of, fake_nodes, running
from kit.ports import free_port
from pydantic import ValidationError

from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.services import ServiceDirectory, ServiceKind
from dstk_metrics import __version__
from dstk_service.clock import SystemClock
from dstk_service.testing import eventually


@asynccontextmanager
async def followed(etcd: str) -> AsyncIterator[ServiceDirectory]:
    """The metrics services of cluster `c`."""
    coordinator = EtcdCoordinator([etcd])
    found = ServiceDirectory(coordinator, "c", ServiceKind.METRICS, SystemClock(), random.Random(1))
    task = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        task.cancel()
        await coordinator.close()


async def test_services_are_registered_from_when_they_are_ready_until_they_drain(tmp_path: Path) -> None:
    with running_etcd() as etcd:
        first = config_of(etcd, tmp_path / "1")
        second = config_of(
            etcd, tmp_path / "2", advertise="metrics.example:7300", console_listen=f"127.0.0.1:{free_port()}"
        )
        async with followed(etcd) as found, running(first):
            feeds = {"storage-1": FakeFeed()}
            assert not found.services, "it is not ready without a partition map"
            async with fake_nodes(etcd, feeds):
                await eventually(lambda: [info.address for info in found.services] == [first.listen])
                assert (found.services[0].software, found.services[0].console) == (__version__, "")
                async with running(second):
                    both = {first.listen, "metrics.example:7300"}
                    await eventually(lambda: {info.address for info in found.services} == both)
                    assert f"http://{second.console_listen}" in {info.console for info in found.services}
                await eventually(lambda: [info.address for info in found.services] == [first.listen])


@pytest.mark.parametrize("advertise", ["metrics", "metrics:0", "a:1,b:2", "http://metrics:7300"])
def test_an_address_that_routers_cannot_use_is_refused_at_the_start(tmp_path: Path, advertise: str) -> None:
    with pytest.raises(ValidationError, match="advertise"):
        config_of("127.0.0.1:2379", tmp_path, advertise=advertise)
