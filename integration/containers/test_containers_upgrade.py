"""A new image comes in under load, one container after the other."""

import math
from collections.abc import Iterator, Sequence

from faults.attempts import Attempt, failures, summary
from faults.stage import HITCH_SECONDS, under_load

from containers.cluster import ROUTERS, ContainerCluster
from dstk_service.errors import WriteAmbiguous

VERSION_LABEL = "org.opencontainers.image.version"

ONE_MOMENT_SECONDS = 1.0
"""Some callers try again, within their rights, before they say that they do not know."""


async def test_a_rolling_upgrade_fails_no_request(cluster: ContainerCluster, images: tuple[str, str]) -> None:
    async with under_load(cluster, "upgrade", keys_each=3) as stage:
        for service in (*cluster.names, *ROUTERS):
            assert cluster.image_label(service, VERSION_LABEL) == "this"
            await cluster.upgrade(service, images[1])
            assert cluster.image_label(service, VERSION_LABEL) == "next"
            await stage.operator.healed()
        failed = failures(stage.load.attempts)
        assert all(isinstance(attempt.error, WriteAmbiguous) for attempt in failed), summary(failed)
        assert len(list(moments(failed))) <= len(cluster.names) + len(ROUTERS), summary(failed)
        stage.no_pause_above(HITCH_SECONDS)


def moments(failed: Sequence[Attempt]) -> Iterator[float]:
    """When calls failed. The message that a node or router has not read when it ends its streams is lost with them, and the
    outcome of the writes in it, of all callers that wrote at that moment, is not known.
    """
    last = -math.inf
    for attempt in sorted(failed, key=lambda each: each.returned):
        if attempt.returned - last > ONE_MOMENT_SECONDS:
            yield attempt.returned
        last = attempt.returned
