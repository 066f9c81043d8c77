"""A new image comes in under load, one container after the other."""

from collections.abc import Iterator

import pytest
from docker.client import DockerClient
from faults.stage import HITCH_SECONDS, under_load

from containers.cluster import ROUTERS, ContainerCluster
from containers.docker import build

VERSION_LABEL = "org.opencontainers.image.version"


@pytest.fixture(scope="module")
def next_image(engine: DockerClient, session: str) -> Iterator[str]:
    """The same tree by another version."""
    tag = f"{session}:next"
    build(tag, version="next")
    yield tag
    engine.images.remove(tag, force=True)


async def test_a_rolling_upgrade_fails_no_request(cluster: ContainerCluster, next_image: str) -> None:
    async with under_load(cluster, "upgrade", keys_each=3) as stage:
        for service in (*cluster.names, *ROUTERS):
            await cluster.up(service, image=next_image)
            assert cluster.image_label(service, VERSION_LABEL) == "next"
            await stage.operator.healed()
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)
