"""A new image comes in under load, one container after the other."""

from faults.scenario import RECONFIGURATION_SECONDS, under_load

from containers.cluster import ROUTERS, ContainerCluster

VERSION_LABEL = "org.opencontainers.image.version"


async def test_a_rolling_upgrade_fails_no_request(cluster: ContainerCluster, images: tuple[str, str]) -> None:
    async with under_load(cluster, "upgrade", keys_each=3) as scenario:
        for service in (*cluster.names, *ROUTERS):
            assert cluster.image_label(service, VERSION_LABEL) == "this"
            await cluster.upgrade(service, images[1])
            assert cluster.image_label(service, VERSION_LABEL) == "next"
            await scenario.operator.healed()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)
