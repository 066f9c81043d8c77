"""The map from Topology.Watch of whichever address answers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

import grpc

from dstk.v1 import topology_pb2, topology_pb2_grpc
from dstk_client.operation import UNREADABLE
from dstk_service.channels import CHANNEL_OPTIONS, open_channel, unanswered

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.1

_PING_MS = 1000
"""A node that hangs says nothing, as one whose map does not change. Whoever listens to it alone would miss that others have
taken over, so this stream is given up after two seconds without a sign of life.
"""

_OPTIONS = [*(dict(CHANNEL_OPTIONS) | {"grpc.keepalive_time_ms": _PING_MS, **unanswered(_PING_MS)}).items()]


class WatchSource:
    """A MapSource on seed addresses; goes on with the next one when a stream breaks. Every stream starts with a full map."""

    def __init__(self, seeds: Sequence[str]) -> None:
        self._seeds = list(seeds)

    async def updates(self) -> AsyncIterator[topology_pb2.TopologyUpdate]:
        """See MapSource."""
        while True:
            seed = self._seeds[0]
            try:
                async with open_channel(seed, _OPTIONS) as channel:
                    async for update in topology_pb2_grpc.TopologyStub(channel).Watch(topology_pb2.WatchRequest()):
                        if update is None:
                            log.error("the map's stream from %s: %s", seed, UNREADABLE)
                            break
                        yield update
            except grpc.aio.AioRpcError as error:
                log.debug("the map's stream from %s broke: %s", seed, error.details())
            self._seeds.append(self._seeds.pop(0))
            await asyncio.sleep(RETRY_SECONDS)
